"""One stage for CIF files: read, compute or take from the store, show, write, draw."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from poreflux.base.errors import ConfigError
from poreflux.base.tables import csv_text, write_csv
from poreflux.run.artifacts import Limits
from poreflux.run.commands import pictures, show
from poreflux.run.commands.plans import tell
from poreflux.run.intake import read_structures
from poreflux.run.members import matches
from poreflux.run.settings import StudyConfig
from poreflux.run.stages import ingredients, run_stage
from poreflux.store import Store


def run(
    stage: str,
    files: Sequence[str],
    settings: dict[str, Any],
    other: Sequence[str],
    *,
    csv: str | None,
    json: bool,
    plot: Path | None,
    cores: int | None,
    store: Path | None,
) -> int:
    """Pass CIF files through a stage and show the result.

    Parameters
    ----------
    stage : str
        A key of :data:`poreflux.run.stages.STAGES`.
    files : sequence of str
        CIF files, folders and globs of them.
    settings : dict
        Keys of the stage's settings and their values.
    other : sequence of str
        Further ones as ``key=value``.
    csv, json, plot, cores, store
        As on the command line.

    Returns
    -------
    int
        How many files failed.

    Raises
    ------
    ConfigError
        If a setting is wrong, a folder holds no CIFs, or the picture's format is unknown.
    """
    members = members_of(files)
    chosen = settings_of(stage, settings, other, single=len(members) == 1)
    if plot:
        pictures.check(plot)
    if csv not in (None, "-") and not can_be_written(Path(csv).parent):
        raise ConfigError(f"--csv {csv}: {Path(csv).parent} is no folder that can be written")
    workers = min(cores or len(os.sched_getaffinity(0)), len(members))
    with progress_shown(several=len(members) > 1), usable_store(store) as kept:
        table = compute(stage, members, chosen, kept, workers)
    failed = table.loc[table["status"] != "ok", "name"].nunique()
    # before the picture, which may fail
    _print(stage, table, chosen, csv, json)
    if plot and failed < len(members):
        pictures.draw(stage, table[table["status"] == "ok"], chosen, plot)
    return failed


def members_of(files: Sequence[str]) -> dict[str, str]:
    """Path by name: the file's, without its ending, or the path where two have one name.

    Raises
    ------
    ConfigError
        If a folder holds no CIFs.
    """
    paths: list[str] = []
    for given in files:
        found = sorted(matches(given))
        if not found and os.path.isdir(given):
            raise ConfigError(f"{given} holds no CIF files (*.cif)")
        # what is not there is a row of the table
        paths += found or [given]
    paths = list(dict.fromkeys(map(os.path.normpath, paths)))
    stems = [Path(path).stem for path in paths]
    names = [s if stems.count(s) == 1 else p for s, p in zip(stems, paths, strict=True)]
    return {_text(name): path for name, path in zip(names, paths, strict=True)}


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def settings_of(stage: str, settings: dict[str, Any], other: Sequence[str], *, single: bool):
    """The settings of a stage, of the words on the command line.

    Raises
    ------
    ConfigError
        If one of them is wrong.
    """
    given = settings | dict(map(_pair, other))
    # a GPU is for many structures at once
    if single and given.get("device") == "auto":
        given["device"] = "cpu"
    return type(StudyConfig().settings_of(stage))(**given)


def _pair(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(f"--set {word}: write KEY=VALUE, such as --set cutoff_A=14")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {word}: the value is no YAML: {error}") from None


def compute(
    stage: str, members: dict[str, str], settings, store: Store, workers: int
) -> pd.DataFrame:
    """The table of a stage for CIF files, in their order.

    Returns
    -------
    DataFrame
        As of :func:`poreflux.run.stages.run_stage`, with ``file`` and the ``warnings`` of reading.
    """
    limits = StudyConfig().limits
    limits = Limits(workers, limits.seconds, limits.memory_mb)
    checks = StudyConfig().structure_checks.model_dump(mode="json")
    structures = read_structures(members, {}, store=store, checks=checks, limits=limits)
    if _must_compile(stage, structures, settings, store):
        tell("Compiling the kernels of this stage, once per version: up to a minute")
    table = run_stage(stage, structures, settings, store=store, limits=limits)
    warnings = structures.set_index("name")["warnings"]
    order = {name: i for i, name in enumerate(members)}
    table = table.sort_values(
        "name", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )
    table.insert(1, "file", table["name"].map(members).map(_text))
    table.insert(5, "warnings", table["name"].map(warnings).fillna(""))
    return table


def _must_compile(stage: str, structures: pd.DataFrame, settings, store: Store) -> bool:
    """Whether something is to be computed, and the stage's kernels were never compiled."""
    rows = structures[structures["status"] == "ok"].to_dict("records")
    stored = [store.path(ingredients(stage, row, settings)).exists() for row in rows]
    return not all(stored) and will_compile(stage)


def will_compile(stage: str) -> bool:
    """Whether a stage's kernels were never compiled."""
    room = {"energy": "fields"}.get(stage, stage)
    return not any(Path(os.environ["NUMBA_CACHE_DIR"]).glob(f"{room}_*"))


@contextmanager
def usable_store(folder: Path | None) -> Iterator[Store]:
    """The store; one that is removed afterwards where none is named and none can be written."""
    store = Store(folder)
    if folder is not None or can_be_written(store.root):
        yield store
        return
    tell(f"{store.root} cannot be written: results are not kept (POREFLUX_STORE, --store)")
    with tempfile.TemporaryDirectory(prefix="poreflux-") as temporary:
        yield Store(temporary)


def can_be_written(folder: Path) -> bool:
    """Whether files can be written to a folder that is there, or the folder made."""
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


@contextmanager
def progress_shown(several: bool) -> Iterator[None]:
    """Progress of several files to standard error; what fails is in the table."""
    log = logging.getLogger("poreflux")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.levelno != logging.WARNING)
    before = log.level, log.propagate
    log.setLevel(logging.INFO if several else logging.ERROR)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def _print(stage: str, table: pd.DataFrame, settings, csv: str | None, as_json: bool) -> None:
    if csv == "-":
        sys.stdout.write(csv_text(table))
    elif csv:
        write_csv(table, csv)
    if as_json:
        sys.stdout.write(to_json(table))
    elif csv != "-":
        show.print_table(stage, table, settings)


def to_json(table: pd.DataFrame) -> str:
    """A table as JSON, a record per row without what is not known."""
    # through pandas' own, for what is no number is null
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    known = [{k: v for k, v in row.items() if v is not None} for row in rows]
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"
