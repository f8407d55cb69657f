"""Command line: look into the content store, describe a finished study.

``poreflux store list | verify | prune | why`` and ``poreflux crate`` — see ``--help`` of each.
"""

from __future__ import annotations

import argparse
import sys

from poreflux.base.errors import PorefluxError
from poreflux.base.stage_names import STAGES


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        # here, for --help and a wrong word must not wait for the libraries of the science
        from poreflux.run import commands

        commands.run(options)
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
    crate.add_argument("--license", help="address of their licence")
    crate.set_defaults(command="crate")
    store = commands.add_parser("store", help="look into the content store")
    store.add_argument("--store", **where)
    actions = store.add_subparsers(required=True)

    show = actions.add_parser("list", help="entries, bytes and age by stage")
    show.set_defaults(command="list")
    verify = actions.add_parser(
        "verify", help="check every checksum and key; set wrong entries aside"
    )
    verify.set_defaults(command="verify")
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
    remove.set_defaults(command="prune")
    why = actions.add_parser("why", help="is it stored, and if not, which ingredient changed")
    why.add_argument("structure", help="name in the study, or content hash")
    why.add_argument("stage", choices=STAGES)
    why.add_argument("--configfile", nargs="*", default=[], help="as given to snakemake")
    why.set_defaults(command="why")
    return parser


if __name__ == "__main__":
    sys.exit(main())
