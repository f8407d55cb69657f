"""Command line: look into the content store, describe a finished study.

``poreflux store list | verify | prune | why`` and ``poreflux crate`` — see ``--help`` of each.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd

from poreflux.base.errors import ConfigError, DataError, PorefluxError
from poreflux.run import stages
from poreflux.run.config import load
from poreflux.run.crate import LICENSE, export
from poreflux.run.usage import used_by
from poreflux.store import Store
from poreflux.store.pruning import DAY_S, prune, scan, unfinished

# The checkout that this library lies in, if it lies in one.
CHECKOUT = Path(__file__).parents[3]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(_store_of(options), options)
    except PorefluxError as error:
        sys.stderr.write(f"poreflux: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="poreflux", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    where = {"help": "folder of the store (default: as for snakemake)"}
    crate = commands.add_parser("crate", help="describe a finished study as an RO-Crate")
    crate.add_argument("--store", **where)
    crate.add_argument("--configfile", nargs="*", default=[], help="as given to snakemake")
    crate.add_argument("--author", help="who answers for the results")
    crate.add_argument("--license", default=LICENSE, help="address of their licence")
    crate.set_defaults(run=_crate)
    store = commands.add_parser("store", help="look into the content store")
    store.add_argument("--store", **where)
    actions = store.add_subparsers(required=True)

    show = actions.add_parser("list", help="entries, bytes and age by stage")
    show.set_defaults(run=_list)
    verify = actions.add_parser("verify", help="check every checksum; set damaged entries aside")
    verify.set_defaults(run=_verify)
    remove = actions.add_parser(
        "prune", help="remove entries to which all that is said applies, and what was left behind"
    )
    remove.add_argument("--older-than-days", type=float, help="written longer ago")
    remove.add_argument("--max-gb", type=float, help="the oldest, until so many GB are left")
    remove.add_argument("--stage", default="*", help="of this stage")
    files = {"nargs": "*", "metavar": "FILE"}
    remove.add_argument(
        "--used-by", **files, help="used by the study of these --configfile, run in this folder"
    )
    remove.add_argument("--unused-by", **files, help="not used by it")
    remove.add_argument("--dry-run", action="store_true", help="count and remove nothing")
    remove.set_defaults(run=_prune)
    why = actions.add_parser("why", help="is it stored, and if not, which ingredient changed")
    why.add_argument("structure", help="name in the study, or content hash")
    why.add_argument("stage", choices=sorted(stages.STAGES))
    why.add_argument("--configfile", nargs="*", default=[], help="as given to snakemake")
    why.set_defaults(run=_why)
    return parser


def _store_of(options) -> Store:
    """The store named on the command line, else that of the study named there."""
    named = vars(options)
    files = next(filter(None, map(named.get, ("configfile", "used_by", "unused_by"))), None)
    return Store(options.store or (files and _configuration(files)["store"]))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _crate(store: Store, options) -> None:
    config = _configuration(options.configfile)
    folder = Path("results") / config["study"]
    _say(str(export(config, folder, store, license=options.license, author=options.author)))


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
    damaged = [path for path in store.entries() if store.manifest(path) is None]
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
    config = _configuration(files)
    return {str(p) for p in used_by(config, Path("results") / config["study"], store)}


def _why(store: Store, options) -> None:
    config = _configuration(options.configfile)
    params = stages.stage_params(config, options.stage)
    sets = sorted(k for k, v in config["structures"].items() if options.stage in v["stages"])
    sets += ["predict"] if config["predict"]["cifs"] else []
    found = _rows_of(options.structure, sets, Path("results") / config["study"])
    for name, row in found.items():
        _say(f"{name}: {store.why(stages.ingredients(options.stage, row, params))}")


def _configuration(files: list[str]) -> dict:
    """What Snakemake would read in this folder with these ``--configfile``."""
    default = Path("config") / "config.yaml"
    folder = next((f for f in (CHECKOUT, Path()) if (f / default).is_file()), None)
    if folder is None:
        raise ConfigError("no config/config.yaml here: run this in the folder of the Snakefile")
    return load(folder / default, *files).model_dump(mode="json")


def _rows_of(structure: str, sets: list[str], results: Path) -> dict[str, dict]:
    """By set: the row of a structure, given by name or content hash, in the shard tables."""
    found = {}
    for name in sets:
        for path in sorted(results.glob(f"{name}/shards/structures/*.parquet")):
            table = pd.read_parquet(path, columns=["name", "content_hash", "status", "listed"])
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


if __name__ == "__main__":
    sys.exit(main())
