"""What lies in a store, and removing it: entries, interrupted runs, half-written files."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from poreflux.base.errors import ConfigError, StoreError
from poreflux.base.locks import locked
from poreflux.store import Store, is_entry

DAY_S = 86400
# What was written to since then may belong to a process that is alive.
GRACE_S = DAY_S


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a store: its ``path``, ``stage``, ``bytes``, and ``written`` (s since 1970)."""

    path: str
    stage: str
    bytes: int
    written: float


@dataclass(frozen=True)
class Run:
    """What an engine keeps of an unfinished structure: a folder, its size, when last written to.

    Attributes
    ----------
    path : Path
    stage : str
    key : str
        Of the artifact that it is to become.
    bytes : int
        Of all its files.
    written : float
        When the last of them was written to (s since 1970).
    """

    path: Path
    stage: str
    key: str
    bytes: int
    written: float


class Pruned(NamedTuple):
    """How many ``entries`` and interrupted ``runs`` went, or would go, and their ``bytes``."""

    entries: int
    runs: int
    bytes: int


def scan(store: Store, stage: str = "*") -> Iterator[Entry]:
    """Every entry of a stage, or of all, in no order and without reading any."""
    for folder in store.root.glob(f"objects/{stage}/*"):
        name = folder.parent.name
        with os.scandir(folder) as files:
            for file in files:
                if not is_entry(file.name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another process pruned it
                    status = file.stat()
                    yield Entry(file.path, name, status.st_size, status.st_mtime)


def unfinished(store: Store, stage: str = "*") -> Iterator[Run]:
    """What is kept of structures in work, or whose run was interrupted, of a stage or of all."""
    for folder in store.root.glob(f"running/{stage}/*"):
        found = []
        for path in [folder, *folder.rglob("*")]:
            with contextlib.suppress(FileNotFoundError):  # its engine goes on
                found.append(path.stat())
        if found:
            yield Run(
                folder,
                folder.parent.name,
                folder.name,
                sum(status.st_size for status in found[1:]),
                max(status.st_mtime for status in found),
            )


def prune(
    store: Store,
    *,
    older_than_days: float | None = None,
    max_bytes: float | None = None,
    stage: str = "*",
    only: set[str] | None = None,
    but: set[str] | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Remove entries, and what of killed processes was not written to for a day.

    That is half-written files, and interrupted runs whose result is stored meanwhile. Other
    interrupted runs go by age alone, since they can be resumed.

    Parameters
    ----------
    store : Store
    older_than_days : float, optional
        Only entries not written in the last so many days; without another choice, also
        interrupted runs.
    max_bytes : float, optional
        Only so many, the oldest first, that the rest of the stage (or of all) takes no more.
    stage : str
        Only those of this stage.
    only, but : set of str, optional
        Only these paths; not these paths.
    dry_run : bool
        Count, and remove nothing.

    Returns
    -------
    Pruned

    Raises
    ------
    ConfigError
        If a limit is negative or no number.
    StoreError
        If something cannot be removed.
    """
    for limit, value in (("older than days", older_than_days), ("at most bytes", max_bytes)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{limit}: must be a number that is not negative, got {value:g}")
    now = time.time()
    runs = [run for run in unfinished(store, stage) if run.written < now - GRACE_S]
    keys = {run.key for run in runs}
    stored = set()
    total = 0
    found: list[Entry] = []
    for entry in scan(store, stage):
        total += entry.bytes
        if keys and (key := entry.path.rpartition(".")[2]) in keys:
            stored.add((entry.stage, key))
        if (
            (older_than_days is None or entry.written < now - older_than_days * DAY_S)
            and (only is None or entry.path in only)
            and (but is None or entry.path not in but)
        ):
            found.append(entry)
    if max_bytes is not None:
        found.sort(key=lambda entry: entry.written)
    count = size = 0
    for entry in found:
        if max_bytes is not None and total - size <= max_bytes:
            break
        count, size = count + 1, size + entry.bytes
        if not dry_run:
            _remove(entry.path)

    by_age = older_than_days is not None and max_bytes is None and only is None and but is None
    gone = 0
    for run in runs:
        old = by_age and run.written < now - older_than_days * DAY_S
        if (old or (run.stage, run.key) in stored) and (dry_run or _remove_run(run)):
            gone, size = gone + 1, size + run.bytes
    if not dry_run:
        for path in store.leftovers():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < now - GRACE_S:
                    _remove(path)
    return Pruned(count, gone, size)


def _remove(path: str | Path) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # another process pruned it
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}") from error


def _remove_run(run: Run) -> bool:
    """Remove a run; ``False`` if a process holds it or it is gone."""
    try:
        # see poreflux.diffusion.lammps_engine.run_folder
        with locked(run.path):
            shutil.rmtree(run.path)
    except (BlockingIOError, FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # no engine holds a folder whose lock is a link
            shutil.rmtree(run.path, ignore_errors=True)
            return True
        raise StoreError(f"cannot remove {run.path}: {error.strerror}") from error
    return True
