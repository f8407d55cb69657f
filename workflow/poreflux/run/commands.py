"""What the commands of the command line do, see :mod:`poreflux.run.cli`."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.tables import read_table
from poreflux.run.config import load
from poreflux.run.crate import LICENSE, export
from poreflux.run.plan import StudyPlan
from poreflux.run.stages import ingredients
from poreflux.run.usage import used_by
from poreflux.store import Store
from poreflux.store.pruning import DAY_S, prune, scan, unfinished

# The checkout that this library lies in, if it lies in one.
CHECKOUT = Path(__file__).parents[3]


def run(options) -> None:
    """Run the command that was parsed."""
    COMMANDS[options.command](_store_of(options), options)


def _store_of(options) -> Store:
    """The store named on the command line, else that of the study named there."""
    named = vars(options)
    files = next(filter(None, map(named.get, ("configfile", "used_by", "unused_by"))), None)
    return Store(options.store or (files and _plan(files).config.store))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _crate(store: Store, options) -> None:
    plan = _plan(options.configfile)
    _say(str(export(plan, store, license=options.license or LICENSE, author=options.author)))


def _list(store: Store, _options) -> None:
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
    _say(f"{'stage':12s} {'entries':>9s} {'subjects':>9s} {'MB':>10s} {'oldest, d':>10s} newest, d")
    now = time.time()
    for stage in [*sorted(set(count) - {"all"}), "all"]:
        subjects = str(len(structures[stage])) if stage in structures else ""
        ages = [(now - t[stage]) / DAY_S if stage in t else 0.0 for t in (first, last)]
        _say(
            f"{stage:12s} {count[stage]:9d} {subjects:>9s} {size[stage] / 1e6:10.1f} "
            f"{ages[0]:10.1f} {ages[1]:9.1f}"
        )
    damaged = sum(1 for _ in store.root.glob("damaged/*"))
    _say(f"{damaged} damaged and set aside, {sum(1 for _ in store.leftovers())} half-written")
    runs = list(unfinished(store))
    oldest = max((now - run.written) / DAY_S for run in runs) if runs else 0.0
    _say(
        f"{len(runs)} unfinished runs, {sum(run.bytes for run in runs) / 1e6:.1f} MB, "
        f"the oldest last written to {oldest:.1f} days ago"
    )


def _verify(store: Store, _options) -> None:
    damaged = [path for path in store.entries() if not store.verify(path)]
    for path in damaged:
        _say(f"damaged: {path}")
    _say(f"{len(damaged)} damaged entries")


def _prune(store: Store, options) -> None:
    chosen = (options.older_than_days, options.max_gb, options.used_by, options.unused_by)
    if all(option is None for option in chosen):
        raise ConfigError("say what to remove: --older-than-days, --max-gb, --used-by, --unused-by")
    gone = prune(
        store,
        older_than_days=options.older_than_days,
        max_bytes=None if options.max_gb is None else options.max_gb * 1e9,
        stage=options.stage,
        only=_used(store, options.used_by),
        but=_used(store, options.unused_by),
        dry_run=options.dry_run,
    )
    _say(
        f"{'would remove' if options.dry_run else 'removed'} {gone.entries} entries and "
        f"{gone.runs} interrupted runs, {gone.bytes / 1e6:.1f} MB"
    )


def _used(store: Store, files: list[str] | None) -> set[str] | None:
    if files is None:
        return None
    return {str(path) for path in used_by(_plan(files), store)}


def _why(store: Store, options) -> None:
    plan = _plan(options.configfile)
    settings = plan.stage_settings(options.stage)
    sets = sorted(name for name, s in plan.sets.items() if options.stage in s.computed)
    found = _rows_of(options.structure, sets, Path(plan.results))
    for name, row in found.items():
        _say(f"{name}: {store.why(ingredients(options.stage, row, settings))}")


def _plan(files: list[str]) -> StudyPlan:
    """The study that Snakemake would run in this folder with these ``--configfile``."""
    folder = next((f for f in (CHECKOUT, Path()) if (f / "config" / "config.yaml").is_file()), None)
    if folder is None:
        raise ConfigError("no config/config.yaml here: run this in the folder of the Snakefile")
    config = load(folder / "config" / "config.yaml", *files)
    return StudyPlan(config, folder)


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


COMMANDS = {"crate": _crate, "list": _list, "verify": _verify, "prune": _prune, "why": _why}
