"""Near duplicates of a set of structures: the table of their groups, kept in the store."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from poreflux.base.canonical import digest
from poreflux.base.processes import run_isolated
from poreflux.run.artifacts import Limits
from poreflux.run.stages import structure_of
from poreflux.store import Ingredients, Store, package_version
from poreflux.store.code import code_digest
from poreflux.structures.duplicates import Member, find_groups

log = logging.getLogger(__name__)

STAGE = "near_duplicates"
GROUP_COLUMNS = ("name", "content_hash", "group", "framework", "note")
# A reduction takes 20 ms and a comparison 10; what takes so long hangs.
SECONDS = 120.0


def group_table(
    structures: pd.DataFrame, *, store: Store, limits: Limits | None = None
) -> pd.DataFrame:
    """Which structures of a set share a framework.

    Parameters
    ----------
    structures : DataFrame
        As written by :func:`poreflux.run.intake.read_structures`.
    store : Store
        Keeps the groups of these contents, unless a limit or a crash had a part in them.
    limits : Limits
        Processes at once, and what each reduction and comparison may take, at most
        :data:`SECONDS`.

    Returns
    -------
    DataFrame
        Columns :data:`GROUP_COLUMNS`, one row per structure that could be read, see
        :class:`poreflux.structures.duplicates.Member`. Equal numbers in ``group``: one framework.
    """
    limits = limits or Limits()
    limits = replace(limits, seconds=min(limits.seconds, SECONDS))
    rows = structures[structures["status"] == "ok"]
    different = rows.drop_duplicates("content_hash").sort_values("content_hash")
    hashes = different["content_hash"].tolist()
    wanted = group_ingredients(hashes)
    found = store.get(wanted)
    if found:
        members = [Member(*member) for member in json.loads(found.payload)]
    else:
        call = _Isolated(limits)
        members = find_groups([structure_of(r) for r in different.to_dict("records")], call=call)
        if call.final:
            cost = {"cpu_s": round(call.cpu_s, 3), "models": len(members)}
            store.put(wanted, json.dumps(members).encode(), **cost)
    table = pd.DataFrame(members, columns=Member._fields, index=hashes)
    for content_hash, note in table.loc[table["note"] != "", "note"].items():
        log.warning("%s: %s", content_hash[:12], note)
    sizes = table["group"].value_counts()
    log.info(
        "%d frameworks in %d structures, %d of them more than once, the most common %d times",
        len(sizes), len(table), (sizes > 1).sum(), sizes.max() if len(sizes) else 0,
    )  # fmt: skip
    named = rows[["name", "content_hash"]].join(table, on="content_hash")
    return named.reindex(columns=list(GROUP_COLUMNS)).reset_index(drop=True)


def group_ingredients(content_hashes: Iterable[str]) -> Ingredients:
    """What determines the groups of structures of these contents."""
    return Ingredients(
        stage=STAGE,
        subject=digest(sorted(set(content_hashes))),
        inputs={},
        params={},
        code=code_digest("poreflux.structures.duplicates"),
        engines={name: package_version(name) for name in ("pymatgen-core",)},
    )


class _Isolated:
    """Calls each task in a process of its own."""

    def __init__(self, limits: Limits):
        self.limits, self.cpu_s, self.final = limits, 0.0, True

    def __call__(self, function: Callable, tasks: Sequence[tuple]) -> list[tuple[Any, str]]:
        found: list[tuple[Any, str]] = [(None, "")] * len(tasks)
        for outcome in run_isolated(function, tasks, **self.limits.as_dict()):
            found[outcome.index] = outcome.value, outcome.reason
            self.cpu_s += outcome.cpu_s
            # another run may fare better
            self.final &= outcome.error in ("", "StructureError")
        return found
