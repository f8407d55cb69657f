"""All structures in one table that can be searched and sorted, and a figure of any two columns."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from poreflux.data.features import DIFFUSIVITY_UNIT_M2_S
from poreflux.data.labels import DIFFUSIVITY
from poreflux.report.figures.axes import legend_above, log_ticks
from poreflux.report.figures.interactive import Catalogue, Column, scatter
from poreflux.report.figures.style import MARKERS, rasterise, set_colour, single, styled
from poreflux.report.rendering import Section, missing_section, render
from poreflux.report.sections.structures import failures
from poreflux.report.statistics import finite, usable
from poreflux.report.study import TABLES, Study

TITLE = "All structures"
# The pressure that the field compares stored methane at, bar.
STORAGE_PRESSURE_BAR = 65.0
# Share of the Henry coefficient in closed pockets above which a structure is flagged.
POCKET_SHARE = 0.01
# What comes from a stage's table as it stands.
_NUMBERS = {
    "structures": (Column("density_g_cm3", "Density (g cm⁻³)", listed=False),),
    "geometry": (
        Column("lcd_A", "LCD (Å)", places=2),
        Column("pld_A", "PLD (Å)", places=2),
        Column("void_fraction", "Void fraction", listed=False),
        Column("asa_m2_cm3", "Surface area (m² cm⁻³)", listed=False),
    ),
    "percolation": (
        Column("dimensionality", "Dim."),
        Column("henry_mol_kg_bar", "Henry (mol kg⁻¹ bar⁻¹)", log=True, listed=False),
        Column("heat_of_adsorption_kJ_mol", "Heat of adsorption (kJ mol⁻¹)", listed=False),
        Column("mobility", "Relative mobility", log=True, listed=False),
    ),
}
# The figure begins with the first of these pairs of which there are structures.
_FIRST_AXES = (
    ("pld_A", "d_m2_s"),
    ("value", "predicted"),
    ("pld_A", "uptake"),
    ("pld_A", "void_fraction"),
    ("pld_A", "lcd_A"),
)


def section(study: Study) -> Section:
    """The table, and a figure whose axes the reader chooses."""
    catalogue = study.catalogue
    if catalogue is None:
        return missing_section("catalogue", TITLE, "The list of structures", _why(study))
    sets = list(dict.fromkeys(catalogue.table["set"]))
    axes = next((pair for pair in _FIRST_AXES if _has_points(catalogue, *pair)), None)
    body = render(
        "catalogue",
        structures=len(catalogue.table),
        sets=sets,
        notes=_notes(catalogue),
        picture=_picture(study, catalogue, sets, axes) if axes else None,
        x=catalogue[axes[0]].title if axes else "",
        y=catalogue[axes[1]].title if axes else "",
    )
    return Section("catalogue", TITLE, body)


def _why(study: Study) -> str:
    return study.why_nowhere("structures")


def _has_points(catalogue: Catalogue, x: str, y: str) -> bool:
    return catalogue.has(x, y) and len(_points(catalogue, x, y)) > 0


def _points(catalogue: Catalogue, x: str, y: str) -> pd.DataFrame:
    rows = finite(catalogue.table, x, y)
    for column in (catalogue[x], catalogue[y]):
        rows = rows[rows[column.key] > 0] if column.log else rows
    return rows


def _notes(catalogue: Catalogue) -> list[str]:
    notes = []
    if catalogue.has("dimensionality"):
        notes.append("Dim.: directions in which channels of the guest run through.")
    if catalogue.has("deviation"):
        notes.append(
            "Predicted: by models that never saw the structure; deviation: predicted less "
            "simulated."
        )
    return notes


def _picture(study: Study, catalogue: Catalogue, sets: list[str], axes: tuple[str, str]):
    choices = [c.key for c in catalogue.columns if c.kind != "text"]
    interactive = scatter(
        catalogue, *axes, group="set", names={name: name for name in sets}, choices=choices
    )
    drawing = draw_structures(_points(catalogue, *axes), *(catalogue[key] for key in axes), sets)
    return study.draw("structures", drawing, interactive)


def all_structures(study: Study) -> Catalogue | None:
    """A row for every structure of every set, with what is known of it.

    Returns
    -------
    Catalogue or None
        name, set, formula; the columns of :data:`_NUMBERS`, ``uptake`` at the pressure nearest
        to :data:`STORAGE_PRESSURE_BAR`, ``d_m2_s``, ``d_error`` (%), ``predicted``,
        ``deviation``, as far as there is a number of them; ``flags``. None without structures.
    """
    parts = [_of_set(study, name) for name in study.sets]
    table = pd.concat([part for part in parts if len(part)] or parts[:1] or [pd.DataFrame()])
    if table.empty:
        return None
    table = table.reset_index(drop=True)
    known = [c for c in _columns(study) if c.key in table and table[c.key].notna().any()]
    return Catalogue(tuple(known), table[[c.key for c in known]])


def _columns(study: Study) -> list[Column]:
    named = [Column("name", "Name", "text"), Column("set", "Set", "text")]
    of_stages = [column for columns in _NUMBERS.values() for column in columns]
    pressure = _pressure(study)
    uptake = [Column("uptake", f"Uptake, {pressure:g} bar (cm³(STP) cm⁻³)")] if pressure else []
    diffusion = [
        Column("d_m2_s", "D (m² s⁻¹)", "power", log=True),
        Column("d_error", "± (%)", places=1),
    ]
    if study.target_label == DIFFUSIVITY:
        learnt = [
            Column("predicted", "Predicted D (m² s⁻¹)", "power", log=True),
            Column("deviation", "Deviation (decades)", places=2),
        ]
    else:
        learnt = _label_columns(study)
    last = [Column("formula", "Formula", "text", listed=False), Column("flags", "Flags", "text")]
    return [*named, *of_stages, *uptake, *diffusion, *learnt, *last]


def _label_columns(study: Study) -> list[Column]:
    known = study.quantity(study.target_label)
    unit = f" ({known.unit})" if known.unit else ""
    return [
        Column("value", f"{known.symbol}{unit}"),
        Column("predicted", f"Predicted {known.symbol}{unit}"),
        Column("deviation", f"Deviation{unit}"),
    ]


def _of_set(study: Study, name: str) -> pd.DataFrame:
    """The rows of one set, by name."""
    tables = {stage: study.tables.get(f"{name}/{stage}") for stage in TABLES}
    named = [t["name"] for t in tables.values() if t is not None and "name" in t]
    if not named:
        return pd.DataFrame()
    rows = pd.DataFrame({"name": sorted(set(pd.concat(named).astype(str)))}).assign(set=name)
    rows.index = rows["name"]

    def add(key: str, values: pd.Series) -> None:
        rows[key] = values[~values.index.duplicated()].reindex(rows.index)

    for stage, columns in _NUMBERS.items():
        found = usable(tables[stage], "name", *(c.key for c in columns)).set_index("name")
        for column in columns:
            add(column.key, pd.to_numeric(found[column.key], errors="coerce"))
    add("formula", usable(tables["structures"], "name", "formula").set_index("name")["formula"])
    pressure = _pressure(study)
    uptakes = usable(tables["uptake"], "name", "pressure_bar", "uptake_cm3stp_cm3")
    uptakes = uptakes[uptakes["pressure_bar"] == pressure].set_index("name")
    add("uptake", pd.to_numeric(uptakes["uptake_cm3stp_cm3"], errors="coerce"))
    diffusion = usable(tables["diffusion"], "name", "d_m2_s", "d_err_m2_s").set_index("name")
    d = pd.to_numeric(diffusion["d_m2_s"], errors="coerce").astype(float)
    error = pd.to_numeric(diffusion["d_err_m2_s"], errors="coerce").astype(float)
    add("d_m2_s", d)
    add("d_error", 100 * error / d.where(d > 0))
    if name == "target":
        _add_predictions(study, add)
    rows["flags"] = _flags(study, name, rows, tables)
    return rows.reset_index(drop=True)


def _add_predictions(study: Study, add) -> None:
    table = finite(
        usable(study.tables.get("study/held_out"), "name", "value", "predicted"),
        "value",
        "predicted",
    ).set_index("name")
    is_d = study.target_label == DIFFUSIVITY
    predicted = table["predicted"]
    add("value", table["value"])
    add("predicted", DIFFUSIVITY_UNIT_M2_S * 10.0**predicted if is_d else predicted)
    add("deviation", predicted - table["value"])


def _pressure(study: Study) -> float | None:
    """The pressure of all uptakes that lies nearest to that of storage, bar."""
    tables = [study.rows(f"{name}/uptake", "pressure_bar") for name in study.sets]
    found = sorted({p for t in tables for p in t["pressure_bar"]})
    return min(found, key=lambda p: (abs(p - STORAGE_PRESSURE_BAR), p)) if found else None


def _flags(study: Study, name: str, rows: pd.DataFrame, tables: dict) -> pd.Series:
    """What is odd about each structure, in words."""
    flags: dict[str, list[str]] = {key: [] for key in rows["name"]}
    for failure in failures(study.tables, [name]).itertuples():
        for key in failure.names:
            flags[str(key)].append(f"failed in {failure.stage}: {failure.reason}")

    def flag(chosen: pd.Series, words: str) -> None:
        for key in chosen[chosen].index.unique():
            flags[str(key)].append(words)

    flag(rows["dimensionality"] == 0, "no channel")
    diffusion = usable(tables["diffusion"], "name", "diffusive").set_index("name")
    flag(diffusion["diffusive"].eq(False), "not diffusive")
    pockets = usable(tables["percolation"], "name", "pocket_share").set_index("name")
    flag(pd.to_numeric(pockets["pocket_share"], errors="coerce") > POCKET_SHARE, "closed pockets")
    read = usable(tables["structures"], "name", "warnings").set_index("name")["warnings"]
    for key, text in read[read.fillna("") != ""].items():
        flags[str(key)].append(str(text))
    return pd.Series({key: "; ".join(words) for key, words in flags.items()}, dtype=object)


@styled
def draw_structures(table: pd.DataFrame, x: Column, y: Column, sets: list[str]) -> Figure:
    """Two columns of the table of all structures, a marker for each set.

    Parameters
    ----------
    table : DataFrame
        set and both columns; finite, and positive where an axis is logarithmic.
    x, y : Column
    sets : list of str
    """
    figure, axis = single(6.4, 3.9)
    for k, name in enumerate(sets):
        rows = table[table["set"] == name]
        if rows.empty:
            continue
        (points,) = axis.plot(
            rows[x.key],
            rows[y.key],
            MARKERS[k % len(MARKERS)],
            ls="none",
            ms=4.5 if len(table) < 1000 else 2,
            mec="white",
            mew=0.3,
            color=set_colour(name, sets),
            alpha=0.85,
            label=f"{name} (n = {len(rows)})",
        )
        rasterise(points, len(table))
    for column, side in ((x, axis.xaxis), (y, axis.yaxis)):
        if column.log:
            getattr(axis, f"set_{side.axis_name}scale")("log")
            log_ticks(side, table[column.key])
    axis.set(xlabel=x.title, ylabel=y.title)
    legend_above(figure, axis.get_legend_handles_labels()[0])
    return figure
