"""Results of a stage as a table for people: units in the head, numbers rounded to their error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from poreflux.data.features import histogram_columns

# Widest output where there is no terminal that has a width.
WIDTH = 120
BLOCKS = "▁▂▃▄▅▆▇█"


class Column(NamedTuple):
    """A column: that of the stage's table, its head, its unit, and where its error stands."""

    name: str
    head: str
    unit: str = ""
    error: str = ""
    digits: int = 4


UPTAKE = Column("uptake_mol_kg", "uptake", "mol/kg", "uptake_err_mol_kg")
COLUMNS = {
    "geometry": (
        Column("lcd_A", "largest cavity", "Å"),
        Column("pld_A", "pore limit", "Å"),
        Column("asa_m2_g", "surface", "m²/g"),
        Column("asa_m2_cm3", "surface", "m²/cm³"),
        Column("void_fraction", "void fraction", digits=3),
        Column("n_channels", "channels"),
    ),
    "percolation": (
        Column("dimensionality", "channels run in"),
        Column("barrier_1_K", "barrier", "K"),
        Column("henry_mol_kg_bar", "Henry coefficient", "mol/kg/bar", digits=3),
        Column("heat_of_adsorption_kJ_mol", "heat", "kJ/mol"),
        Column("mobility", "mobility", digits=3),
    ),
    "uptake": (
        Column("pressure_bar", "pressure", "bar"),
        UPTAKE,
        Column("uptake_cm3stp_cm3", "uptake", "cm³/cm³", "uptake_err_cm3stp_cm3"),
    ),
    "diffusion": (
        Column("d_m2_s", "D", "m²/s", "d_err_m2_s"),
        Column("dimensionality", "channels run in"),
        Column("cavity_A", "cavity", "Å", digits=3),
    ),
    "energy": (
        Column("n_grid", "grid points"),
        Column("attractive", "share below 0 K", digits=3),
        Column("histogram", "histogram"),
    ),
}
DIRECTIONS = {0: "none", 1: "1 direction", 2: "2 directions", 3: "3 directions"}


def print_table(stage: str, table: pd.DataFrame, settings) -> None:
    """Print the table of a stage.

    Parameters
    ----------
    stage : str
        A key of :data:`COLUMNS`.
    table : DataFrame
        From :func:`poreflux.run.commands.files.compute`.
    settings
        Of the stage.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(WIDTH, console.width))
    ready = _with_histograms(table, settings) if stage == "energy" else table
    if stage == "uptake":
        shown = _by_pressure(ready)
        unbounded = console.options.update(width=10_000)
        widest = console.measure(shown, options=unbounded).maximum
        if table["name"].nunique() == 1 or widest > console.width:
            shown = _rows(stage, ready)
    else:
        shown = _rows(stage, ready)
    shown.title = _title(stage, settings)
    console.print(shown)
    if (ready["status"] == "ok").any() and any(column.error for column in COLUMNS[stage]):
        console.print("± one standard error", style="dim")


def _title(stage: str, settings) -> str:
    given = settings.model_dump()
    facts = [stage.capitalize(), given.get("guest")]
    facts += [f"{given['temperature_K']:g} K"] if "temperature_K" in given else []
    return ", ".join(filter(None, facts))


def _rows(stage: str, table: pd.DataFrame) -> Table:
    """A row for each of the table's."""
    columns = [c for c in COLUMNS[stage] if c.name in table]
    notes = [_note(row) for row in table.to_dict("records")]
    shown = _empty([*_heads(columns), *(["note"] if any(notes) else [])])
    last = None
    for row, note in zip(table.to_dict("records"), notes, strict=True):
        cells = [_cell(column, row) for column in columns]
        name = "" if row["name"] == last else _name(row)
        last = row["name"]
        shown.add_row(name, *cells, *([note] if any(notes) else []))
    return shown


def _by_pressure(table: pd.DataFrame) -> Table:
    """A row per file, a column per pressure."""
    ok = table[table["status"] == "ok"]
    pressures = list(ok["pressure_bar"].drop_duplicates()) if len(ok) else []
    first = table.drop_duplicates("name").to_dict("records")
    notes = [_note(row) for row in first]
    heads = [f"{pressure:g} bar\n{UPTAKE.unit}" for pressure in pressures]
    shown = _empty([*heads, *(["note"] if any(notes) else [])])
    for row, note in zip(first, notes, strict=True):
        of_file = ok[ok["name"] == row["name"]]
        points = {p["pressure_bar"]: p for p in of_file.to_dict("records")}
        cells = [_cell(UPTAKE, points[p]) if p in points else "" for p in pressures]
        shown.add_row(_name(row), *cells, *([note] if any(notes) else []))
    return shown


def _heads(columns: Sequence[Column]) -> list[str]:
    return [f"{c.head}\n{c.unit}" if c.unit else c.head for c in columns]


def _empty(heads: Sequence[str]) -> Table:
    shown = Table(title_justify="left", title_style="bold", header_style="bold")
    shown.add_column("file", overflow="fold")
    for head in heads:
        is_text = head in ("note", "histogram")
        shown.add_column(
            head, justify="left" if is_text else "right", no_wrap=head == "histogram",
            overflow="fold",
        )  # fmt: skip
    return shown


def _name(row: dict) -> str:
    name = escape(str(row["name"]))
    return name if row["status"] == "ok" else f"[red]{name}[/red]"


def _note(row: dict) -> str:
    """Why a file failed, what its number is not, what is suspicious about it."""
    if row["status"] != "ok":
        return f"[red]failed:[/red] {escape(row['reason'])}"
    found = [row.get("note"), row.get("warnings")]
    if row.get("converged") is False:
        found.append("target error not reached")
    return escape("; ".join(text for text in found if isinstance(text, str) and text))


def _cell(column: Column, row: dict) -> str:
    value = row.get(column.name)
    if row["status"] != "ok" or value is None or (isinstance(value, float) and math.isnan(value)):
        return "" if row["status"] != "ok" else "–"
    if column.name == "dimensionality":
        return DIRECTIONS[int(value)]
    if isinstance(value, str):
        return value
    if column.error:
        return with_error(value, row[column.error])
    return significant(value, column.digits)


def with_error(value: float, error: float) -> str:
    """A value and its standard error, rounded where the error begins.

    Its first digit stays, the first two where that is a 1.

    >>> with_error(2.3147, 0.042), with_error(1.2345e-9, 6.1e-11), with_error(12.3, 0.0)
    ('2.31 ± 0.04', '(1.23 ± 0.06)e-09', '12.3')
    """
    if not error > 0 or not math.isfinite(error) or value == 0:
        return significant(value, 3)
    power = math.floor(math.log10(abs(value)))
    scale = 0 if -3 <= power < 5 else power
    value, error = value / 10.0**scale, error / 10.0**scale
    first = math.floor(math.log10(error))
    leading = round(error / 10.0**first, 1)
    places = max(0, -first + (1 if leading < 1.95 else 0))
    pair = f"{value:.{places}f} ± {error:.{places}f}"
    return f"({pair})e{scale:+03d}" if scale else pair


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits; a whole number as it is.

    >>> significant(5.680371, 4), significant(0.000012345, 3), significant(7.0, 4)
    ('5.680', '1.23e-05', '7')
    """
    if float(value).is_integer() and abs(value) < 10**digits:
        return f"{value:.0f}"
    power = math.floor(math.log10(abs(value)))
    if -4 <= power < 6:
        return f"{value:.{max(0, digits - 1 - power)}f}"
    return f"{value:.{digits - 1}e}"


def _with_histograms(table: pd.DataFrame, settings) -> pd.DataFrame:
    """The table with a column of little histograms, and one of the share below 0 K."""
    bins = histogram_columns(table)
    low, high = settings.range_K
    width = (high - low) / max(1, len(bins))
    below = [name for i, name in enumerate(bins) if low + (i + 1) * width <= 1e-9]
    return table.assign(
        attractive=table[below].sum(axis=1, min_count=1),
        histogram=[_bars(row) for row in table[bins].to_numpy(float)],
    )


def _bars(shares, cells: int = 25) -> str:
    """A histogram in a line of text, as high as its highest bin."""
    if len(shares) == 0 or math.isnan(shares[0]):
        return ""
    step = math.ceil(len(shares) / cells)
    sums = [sum(shares[i : i + step]) for i in range(0, len(shares), step)]
    top = max(sums) or 1.0
    return "".join(
        BLOCKS[min(len(BLOCKS) - 1, math.ceil(s / top * (len(BLOCKS) - 1)))] for s in sums
    )
