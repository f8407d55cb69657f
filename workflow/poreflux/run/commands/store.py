"""What ``poreflux store`` and ``poreflux crate`` do."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.tables import read_table
from poreflux.run.commands.plans import foreign_files, plan_of, say
from poreflux.run.crate import LICENSE
from poreflux.run.crate import export as write_crate
from poreflux.run.stages import ingredients
from poreflux.run.usage import used_by
from poreflux.store import Store
from poreflux.store.pruning import DAY_S, prune, scan, unfinished

# Files of a configuration.
Files = Sequence[Path]


def store_of(folder: Path | None, *files: Files | None) -> Store:
    """The store that is named, else that of the first study named, else that of this folder."""
    study = next(filter(None, files), None)
    return Store(folder or (study and plan_of(study).config.store))


def crate(folder: Path | None, files: Files, author: str | None, license: str | None) -> None:
    """Describe a finished study as an RO-Crate; prints where."""
    plan, store = plan_of(files), store_of(folder, files)
    path = write_crate(
        plan, store, license=license or LICENSE, author=author, without=foreign_files(files)
    )
    say(str(path))


def list_entries(folder: Path | None) -> None:
    """Print entries, bytes and age by stage."""
    store = Store(folder)
    count, size, structures = Counter(), Counter(), defaultdict(set)
    first, last = {}, {}
    for entry in scan(store):
        for stage in (entry.stage, "all"):
            count[stage] += 1
            size[stage] += entry.bytes
            first[stage] = min(entry.written, first.get(stage, entry.written))
            last[stage] = max(entry.written, last.get(stage, entry.written))
        # its subject, in 8 bytes
        structures[entry.stage].add(int(Path(entry.path).name[:16], 16))
    say(f"{'stage':12s} {'entries':>9s} {'subjects':>9s} {'MB':>10s} {'oldest, d':>10s} newest, d")
    now = time.time()
    for stage in [*sorted(set(count) - {"all"}), "all"]:
        subjects = str(len(structures[stage])) if stage in structures else ""
        ages = [(now - t[stage]) / DAY_S if stage in t else 0.0 for t in (first, last)]
        say(
            f"{stage:12s} {count[stage]:9d} {subjects:>9s} {size[stage] / 1e6:10.1f} "
            f"{ages[0]:10.1f} {ages[1]:9.1f}"
        )
    damaged = sum(1 for _ in store.root.glob("damaged/*"))
    say(f"{damaged} damaged and set aside, {sum(1 for _ in store.leftovers())} half-written")
    runs = list(unfinished(store))
    oldest = max((now - run.written) / DAY_S for run in runs) if runs else 0.0
    say(
        f"{len(runs)} unfinished runs, {sum(run.bytes for run in runs) / 1e6:.1f} MB, "
        f"the oldest last written to {oldest:.1f} days ago"
    )


def verify(folder: Path | None) -> None:
    """Set entries with a wrong checksum aside; prints them."""
    store = Store(folder)
    damaged = [path for path in store.entries() if not store.verify(path)]
    for path in damaged:
        say(f"damaged: {path}")
    say(f"{len(damaged)} damaged entries")


def prune_entries(
    folder: Path | None,
    *,
    older_than_days: float | None,
    max_gb: float | None,
    stage: str,
    used: Files | None,
    unused: Files | None,
    dry_run: bool,
) -> None:
    """Remove entries to which all that is said applies; prints how many.

    Raises
    ------
    ConfigError
        If nothing is said.
    """
    if all(option is None for option in (older_than_days, max_gb, used, unused)):
        raise ConfigError("say what to remove: --older-than-days, --max-gb, --used-by, --unused-by")
    store = store_of(folder, used, unused)
    gone = prune(
        store,
        older_than_days=older_than_days,
        max_bytes=None if max_gb is None else max_gb * 1e9,
        stage=stage,
        only=_used(store, used),
        but=_used(store, unused),
        dry_run=dry_run,
    )
    say(
        f"{'would remove' if dry_run else 'removed'} {gone.entries} entries and "
        f"{gone.runs} interrupted runs, {gone.bytes / 1e6:.1f} MB"
    )


def _used(store: Store, files: Files | None) -> set[str] | None:
    if files is None:
        return None
    return {str(path) for path in used_by(plan_of(files), store)}


def why(folder: Path | None, structure: str, stage: str, files: Files) -> None:
    """Print whether a structure's result is stored, and if not, which ingredient changed.

    Raises
    ------
    ConfigError
        If the study has no such stage, or no tables of it for such a guest or temperature.
    DataError
        If the study has no such structure.
    """
    plan, store = plan_of(files), store_of(folder, files)
    if stage not in plan.gases.variants:
        raise ConfigError(f"{stage!r} is none of {', '.join(plan.gases.variants)}")
    _, of_stage, settings = plan.gases.variants[stage]
    # of another guest any set may have it
    sets = sorted(name for name, s in plan.sets.items() if stage in s.computed or stage != of_stage)
    found = _rows_of(structure, sets, Path(plan.results))
    for name, row in found.items():
        say(f"{name}: {store.why(ingredients(of_stage, row, settings))}")


def _rows_of(structure: str, sets: list[str], results: Path) -> dict[str, dict]:
    """By set: the row of a structure, given by name or content hash, in the shard tables."""
    found = {}
    for name in sets:
        for path in sorted(results.glob(f"{name}/shards/structures/*.parquet")):
            table = read_table(path, ["name", "content_hash", "status", "listed"])
            is_it = (table["name"] == structure) | (table["content_hash"] == structure)
            rows = table[is_it & (table["status"] == "ok")]
            if len(rows):
                found[name] = rows.iloc[0].to_dict()
    if not found:
        raise DataError(
            f"no structure {structure!r} in {results}/*/shards/structures/*.parquet, sets "
            f"{', '.join(sets) or '(none has this stage)'}; run the study in this folder first"
        )
    return found
