"""``poreflux transfer``: labels read, structures described, the label learnt, shown and written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.table import Table

from poreflux.base import foreign_tables
from poreflux.base.errors import ConfigError, DataError
from poreflux.base.tables import write_csv
from poreflux.prediction import dataset
from poreflux.prediction.description import (
    FIRST,
    OF_THE_STRUCTURE,
    facts_of,
    is_open,
    joined,
    parts_in,
    settings_of,
)
from poreflux.prediction.transfer import Transfer, transfer
from poreflux.run.artifacts import Limits
from poreflux.run.commands.files import (
    members_of,
    progress_shown,
    usable_store,
    will_compile,
)
from poreflux.run.commands.plans import tell
from poreflux.run.commands.show import WIDTH
from poreflux.run.intake import read_structures
from poreflux.run.settings import StudyConfig
from poreflux.run.stages import run_stage
from poreflux.store import Store

# Heads of a column that are taken for that of the names.
NAMES = ("name", "structure", "mof", "cif", "file", "filename", "refcode", "id")
# Sources that the terminal shows, and labels that were left out.
SHOWN = 5


def run(
    path: Path,
    cifs: Sequence[str],
    *,
    label: str | None,
    name: str | None,
    scale: str,
    size_of_next: int,
    output: Path,
    cores: int | None,
    store: Path | None,
) -> None:
    """Learn the labels of a file, show and write what was found.

    Parameters
    ----------
    path : Path
        The table of labels.
    cifs : sequence of str
        CIF files, folders and globs of them; none for the data set that ships.
    label, name, scale, size_of_next, output, cores, store
        As on the command line.

    Raises
    ------
    DataError
        If the table cannot be read or learnt from.
    ConfigError
        If the output is no folder, or a folder holds no CIFs.
    """
    labels = read_labels(path, label, name)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output} is a file; name a folder with --output")
    lost: dict[str, tuple[str, str]] = {}
    if cifs:
        members = members_of(cifs)
        workers = min(cores or len(os.sched_getaffinity(0)), len(members))
        with progress_shown(several=len(members) > 1), usable_store(store) as kept:
            rows, lost = describe_files(members, kept, workers)
        data = f"Labels of {path.name}, structures of {len(members)} CIF files"
    else:
        rows = dataset()
        data = f"Labels of {path.name}, structures of the data set that ships ({len(rows)})"
    errors = Console(stderr=True)
    with Bar(console=errors, transient=True) as bar:
        task = bar.add_task("Learning", total=None)
        found = transfer(
            labels, rows, label=str(labels.name), scale=scale, size_of_next=size_of_next, lost=lost,
            step=lambda n: bar.update(task, advance=n),
        )  # fmt: skip
    write(found, output, data)
    _show(found, output)


def read_labels(path: Path, label: str | None, name: str | None) -> pd.Series:
    """The labels of a table by name of the structure; not a number where there is none.

    Parameters
    ----------
    path : Path
        CSV or Parquet.
    label, name : str, optional
        Columns; otherwise the only one beside the names, and the one called ``name`` or the first.

    Raises
    ------
    DataError
        Naming the file, the reason and the remedy.
    """
    table = foreign_tables.read_table(path)
    name = name or _column_of_names(table.columns)
    if label is None:
        others = [column for column in table.columns if column != name]
        if len(others) != 1:
            shown = ", ".join(map(repr, others[:20])) or "none"
            raise DataError(
                f"{path}: which column is the label? Name it with --label; beside the names "
                f"({name!r}) there are: {shown}"
            )
        label = others[0]
    names = table.texts(name)
    values, problems = table.numbers(label)
    if problems:
        first = min(problems)
        more = f", and {len(problems) - 1} more rows" if len(problems) > 1 else ""
        raise DataError(f"{path}: row {first + 1} of column {label!r}: {problems[first]}{more}")
    nameless = [i + 1 for i, text in enumerate(names) if text is None]
    if nameless:
        raise DataError(
            f"{path}: row {nameless[0]} has no name in column {name!r}; fill it in or delete it"
        )
    return pd.Series(values, index=pd.Index(names, name="name"), name=label)


def _column_of_names(columns: Sequence[str]) -> str:
    known = [column for column in columns if column.casefold() in NAMES]
    return known[0] if known else columns[0]


def describe_files(
    members: dict[str, str], store: Store, workers: int
) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """CIF files as rows of the data set's schema.

    Parameters
    ----------
    members : dict of str to str
        Path by name.
    store : Store
        Stages of structures are taken from it and put into it.
    workers : int
        Processes at once.

    Returns
    -------
    rows : DataFrame
        A row per open structure, by name.
    lost : dict of str to (status, reason)
        The others: ``failed`` or ``closed``.
    """
    config = StudyConfig()
    limits = Limits(workers, config.limits.seconds, config.limits.memory_mb)
    checks = config.structure_checks.model_dump(mode="json")
    structures = read_structures(members, {}, store=store, checks=checks, limits=limits)
    lost = _failed(structures)
    structures = structures[structures["status"] == "ok"]
    facts: dict[str, pd.DataFrame] = {}
    for part in parts_in(dataset()):
        tables: dict[str, pd.DataFrame] = {}
        for stage, settings in settings_of(part).items():
            if len(structures) and will_compile(stage):
                tell(f"Compiling the kernels of {stage}, once per version: up to a minute")
            table = run_stage(stage, structures, settings, store=store, limits=limits)
            lost |= _failed(table)
            table = tables[stage] = table[table["status"] == "ok"]
            if part == FIRST and stage == "percolation" and len(table):
                shut = table[~table.apply(is_open, axis=1)]
                reason = f"no channel lets {FIRST} through, and nothing follows from its diffusion"
                lost |= dict.fromkeys(shut["name"], ("closed", reason))
            structures = structures[~structures["name"].isin(list(lost))]
        facts[part] = _facts(tables, structures)
    if structures.empty:
        first = next(iter(lost.items()))
        raise DataError(
            f"no structure can be used; {first[0]} for one: {first[1][0]}, {first[1][1]}"
        )
    own = structures.set_index("name")[[c for c in OF_THE_STRUCTURE if c in structures]]
    # a structure that a later part lost is lost
    facts = {part: table.loc[own.index] for part, table in facts.items()}
    facts[FIRST] = facts[FIRST].join(own)
    rows = joined(facts)
    reason = f"its narrowest window lies at the threshold for {FIRST}, and stages differ"
    lost |= dict.fromkeys(own.index.difference(rows.index), ("closed", reason))
    return rows, lost


def _failed(table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    rows = table[table["status"] != "ok"]
    return {row.name: ("failed", row.reason) for row in rows[["name", "reason"]].itertuples(False)}


def _facts(tables: dict[str, pd.DataFrame], structures: pd.DataFrame) -> pd.DataFrame:
    own = ["name", "content_hash", "status", "reason"]
    by_name: dict[str, dict[str, list[dict]]] = {name: {} for name in structures["name"]}
    for stage, table in tables.items():
        for row in table.to_dict("records"):
            if row["name"] in by_name:
                of_stage = {k: v for k, v in row.items() if k not in own}
                by_name[row["name"]].setdefault(stage, []).append(of_stage)
    return pd.DataFrame({name: facts_of(rows) for name, rows in by_name.items()}.values(), by_name)


def write(found: Transfer, folder: Path, data: str) -> None:
    """Write the three tables and the page."""
    from poreflux.report.own_label import build

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("predictions", "sources", "next"):
        write_csv(getattr(found, name), folder / f"{name}.csv")
    build(found, folder, data=data)


def _show(found: Transfer, folder: Path) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(f"[bold]{escape(found.advice)}[/]")
    unit = f" {found.unit}" if found.unit else ""
    console.print(
        f"{escape(found.label)}: {found.n_labels} labels, {found.scale} scale. On structures held "
        f"out: R² {found.r2:.2f}, error {found.rmse:.3g}{unit} (root mean square), "
        f"{found.coverage:.0%} within the 90 % interval."
    )
    console.print(_sources(found))
    for row in found.left_out.head(SHOWN).itertuples():
        console.print(f"[yellow]{escape(str(row.name))}[/]: {escape(row.reason)}")
    if len(found.left_out) > SHOWN:
        console.print(f"[yellow]and {len(found.left_out) - SHOWN} more labels[/], see the page")
    console.print(
        f"{folder}/report.html, predictions.csv ({len(found.predictions)} structures), "
        f"sources.csv, next.csv ({len(found.next)} to measure next)"
    )


def _sources(found: Transfer) -> Table:
    shown = Table(header_style="bold")
    shown.add_column("source", overflow="fold")
    for head in ("line alone", "with a process", "gain over none"):
        shown.add_column(head, justify="right")
    for row in found.sources[found.sources["rmse"].notna()].head(SHOWN).itertuples():
        gain = f"{row.gain:+.2g} ± {row.gain_err:.1g}"
        shown.add_row(row.source, f"{row.rmse_line:.3g}", f"{row.rmse:.3g}", gain)
    return shown
