"""The per-structure stages and how a shard of structures passes through one of them.

A stage is one function of a structure and parameters. This module looks each structure up in
the store, computes the missing ones in processes of their own, stores each as it ends, and
returns the table.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

from poreflux.base.canonical import digest
from poreflux.base.errors import ConfigError
from poreflux.base.processes import run_isolated
from poreflux.base.progress import Progress
from poreflux.base.settings import Settings
from poreflux.fields.forcefield import guest_parameters
from poreflux.run.settings import STAGE_SETTINGS
from poreflux.store import Ingredients, Store, package_version
from poreflux.store.code import code_digest, code_parts
from poreflux.structures.crystal import Structure

log = logging.getLogger(__name__)

# What decides where or how much is computed, never what comes out.
NOT_INGREDIENTS = ("device", "lammps_package", "lammps_threads")
# The reader of CIFs: what it makes of a file is in the structure's content hash.
READER = "poreflux.structures.cif"
# Structures that share a GPU: many chains keep it busy, few are lost with a failure.
GPU_BATCH = 1000
# The framework's force field.
UFF = "fields/parameters/uff_lj.csv"


@dataclass(frozen=True)
class Stage:
    """One per-structure stage.

    Attributes
    ----------
    name : str
        As in rules, tables and the store.
    module, function : str
        What computes it: ``function(structure, settings)``.
    block : str
        Its block of the configuration.
    seeded : bool
        Whether the study's seed is one of its parameters.
    packages : dict of str to tuple of str
        PyPI packages whose versions are ingredients, by ``engine`` (``'*'``: any engine).
    resumed : tuple of str
        Engines that keep what they have of a structure in a folder ``run_dir`` of their own, so
        that an interrupted run goes on from there.
    listed_when : tuple
        The parameter and its value with which the order of the atoms in the file counts.
    data_files : tuple of str
        Files of the library that it reads, relative to the package; their contents are ingredients.
    on_gpu : bool
        Whether its engine ``grid`` runs on a CUDA device, too. The stage's module then has
        ``prepare(structure, settings)``, which makes a task of a structure, and
        ``run_on_gpu(tasks, threads)``, after which ``task.points()`` has rows.
    """

    name: str
    module: str
    function: str
    block: str
    seeded: bool = False
    packages: dict = dataclasses.field(default_factory=dict)
    resumed: tuple = ()
    listed_when: tuple = ()
    on_gpu: bool = False
    data_files: tuple = ()

    @property
    def code(self) -> str:
        """Digest of the library code that computes the stage from a structure."""
        return code_digest(self.module, without=(READER,))

    def code_parts(self) -> dict[str, str]:
        """Digests behind :attr:`code`, by module and data file."""
        return code_parts(self.module, without=(READER,))

    def engines(self, params: dict) -> dict[str, str]:
        """Versions of the external engines that these parameters call."""
        names = (*self.packages.get("*", ()), *self.packages.get(params.get("engine"), ()))
        return {name: package_version(name) for name in names}

    def data(self, params: dict) -> dict[str, str]:
        """Digests of the data that the stage reads: its files and the guest's parameters."""
        found = {file: _file_digest(file) for file in self.data_files}
        if "guest" in params:
            found["guest"] = digest(dataclasses.asdict(guest_parameters(params["guest"])))
        return found


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "geometry",
            "poreflux.geometry",
            "compute",
            "geometry",
            packages={"fast": ("scipy",), "zeopp": ("pyzeo",)},
            listed_when=("atom_order", "listed"),
        ),
        Stage("energy", "poreflux.energy", "compute", "energy", data_files=(UFF,)),
        Stage("percolation", "poreflux.percolation", "compute", "percolation", data_files=(UFF,)),
        Stage(
            "uptake",
            "poreflux.uptake",
            "compute",
            "uptake",
            seeded=True,
            packages={"raspa3": ("raspalib",)},
            on_gpu=True,
            data_files=(UFF,),
        ),
        Stage(
            "diffusion",
            "poreflux.diffusion",
            "compute",
            "diffusion",
            seeded=True,
            packages={"lammps": ("lammps", "mpich", "packmol")},
            resumed=("lammps",),
            on_gpu=True,
            data_files=(UFF,),
        ),
    )
}


@cache
def _file_digest(name: str) -> str:
    return hashlib.sha256(resources.files("poreflux").joinpath(name).read_bytes()).hexdigest()


def stage_params(config: dict, name: str) -> dict:
    """The parameters of a stage from a complete configuration: its block and, if used, the seed."""
    stage = STAGES[name]
    block = config[stage.block]
    params = {k: v for k, v in block.items() if not k.startswith("crosscheck")}
    return params | ({"seed": config["seed"]} if stage.seeded else {})


def ingredients(name: str, row: dict, params: dict) -> Ingredients:
    """What determines the artifact of one structure in one stage.

    Parameters
    ----------
    name : str
        A key of :data:`STAGES`.
    row : dict
        Of a structures table: ``content_hash`` and ``listed``.
    params : dict
        See :func:`stage_params`.
    """
    stage = STAGES[name]
    inputs = stage.data(params)
    if stage.listed_when and params.get(stage.listed_when[0]) == stage.listed_when[1]:
        order = np.asarray(row["listed"], "<i4")
        inputs["listed"] = hashlib.sha256(order.tobytes()).hexdigest()
    return Ingredients(
        stage=name,
        subject=row["content_hash"],
        inputs=inputs,
        params={k: v for k, v in params.items() if k not in NOT_INGREDIENTS},
        code=stage.code,
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
        As written by :func:`poreflux.run.intake.read_structures`: name, content_hash, status,
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

    Raises
    ------
    ConfigError
        If the parameters are wrong, whatever the structure.
    """
    rows = structures.to_dict("records")
    made_of = [ingredients(name, row, params) if row["status"] == "ok" else None for row in rows]
    keys = [m.key if m else "" for m in made_of]
    results: dict[str, dict] = {}
    todo: dict[str, tuple[Ingredients, Structure]] = {}
    for row, key, made in zip(rows, keys, made_of, strict=True):
        if not made or key in results or key in todo:
            continue
        found = store.get(made)
        if found:
            results[key] = json.loads(found.payload)
        else:
            todo[key] = made, structure_of(row)
    log.info("%s: %d structures, %d stored, %d to do", name, len(rows), len(results), len(todo))
    if todo:
        results |= _compute(name, todo, params, store, workers, seconds, memory_mb)

    out = []
    for row, key in zip(rows, keys, strict=True):
        columns = {"name": row["name"], "content_hash": row["content_hash"]}
        result = results.get(key, row)
        if result["status"] == "ok":
            out += [columns | {"status": "ok", "reason": ""} | r for r in result["rows"]]
        else:
            out.append(columns | {"status": "failed", "reason": result["reason"]})
    return pd.DataFrame(out, columns=None if out else ["name", "content_hash", "status", "reason"])


def _compute(name, todo, params, store, workers, seconds, memory_mb) -> dict[str, dict]:
    try:
        settings = STAGE_SETTINGS[name](**params)
    except ConfigError as error:
        raise ConfigError(f"stage {name}: {error}") from None
    function = resolve(name)
    keys = list(todo)
    limits = {"workers": workers, "seconds": seconds, "memory_mb": memory_mb}
    resumed = params.get("engine") in STAGES[name].resumed
    folders = {k: {"run_dir": store.root / "running" / name / k} if resumed else {} for k in keys}
    progress = Progress(len(keys), "structures", log)
    results = {}
    if _takes_gpu(STAGES[name], params):
        outcomes = _on_gpu(name, [todo[key][1] for key in keys], settings, limits)
    else:
        tasks = [(function, todo[key][1], settings, folders[key]) for key in keys]
        outcomes = run_isolated(_rows_of, tasks, **limits)
    for outcome in outcomes:
        key = keys[outcome.index]
        made_of, _ = todo[key]
        if outcome.error == "ConfigError":
            # no structure of the set would fare better
            raise ConfigError(f"stage {name}: {outcome.reason}")
        if outcome.error:
            log.warning("%s failed: %s", made_of.subject[:12], outcome.reason)
            result = {"status": "failed", "reason": outcome.reason}
        else:
            result = {"status": "ok", "rows": outcome.value}
        results[key] = result
        # A property of the structure is kept; a limit, a crash or a lacking program is not:
        # the next run tries again.
        if outcome.error in ("", "StructureError"):
            facts = {"cpu_s": round(outcome.cpu_s, 3), "peak_mb": round(outcome.peak_mb, 1)}
            if outcome.gpu_s:
                facts["gpu_s"] = round(outcome.gpu_s, 3)
            store.put(made_of, json.dumps(result).encode(), **facts)
        progress.step()
    return results


def _takes_gpu(stage: Stage, params: dict) -> bool:
    """Whether a stage runs on a GPU: where the configuration says so, or it may and can."""
    if not stage.on_gpu or params.get("engine", "grid") != "grid":
        return False
    device = params.get("device", "auto")
    if device == "auto":
        # in a process of its own: a process that has used CUDA cannot fork others that do
        asked = next(run_isolated(_usable, [()], memory_mb=math.inf))
        device = "cuda" if asked.value else "cpu"
    return device == "cuda"


def _usable() -> bool:
    from poreflux.base import device

    return device.usable()


def _on_gpu(name: str, structures: list[Structure], settings: Settings, limits: dict):
    """Outcomes of a stage on a GPU: tasks are prepared on the CPU, a batch runs in one process.

    A batch that fails, or outlasts its time, is a failure of each of its structures.
    """
    module = importlib.import_module(STAGES[name].module)
    for first in range(0, len(structures), GPU_BATCH):
        ready = []
        batch = [(module.prepare, s, settings) for s in structures[first : first + GPU_BATCH]]
        for outcome in run_isolated(_prepared, batch, **limits):
            outcome = dataclasses.replace(outcome, index=first + outcome.index)
            if outcome.error:
                yield outcome
            else:
                ready.append(outcome)
        if not ready:
            continue
        # which structures are done first must not decide who shares a warp with whom
        ready.sort(key=lambda outcome: outcome.index)
        work = (module.run_on_gpu, [outcome.value for outcome in ready], limits["workers"])
        seconds = limits["seconds"] * len(ready)
        ran = next(run_isolated(_rows_from_gpu, [work], seconds=seconds, memory_mb=math.inf))
        for i, outcome in enumerate(ready):
            yield dataclasses.replace(
                outcome,
                value=None if ran.error else ran.value[i],
                reason=ran.reason,
                error=ran.error,
                cpu_s=outcome.cpu_s + ran.cpu_s / len(ready),
                wall_s=ran.wall_s,
                peak_mb=ran.peak_mb,
                gpu_s=ran.wall_s / len(ready),
            )


def _prepared(prepare: Callable, structure: Structure, settings: Settings):
    return prepare(structure, settings)


def _rows_from_gpu(run_on_gpu: Callable, tasks: list, threads: int) -> list[list[dict]]:
    run_on_gpu(tasks, threads)
    return [[_columns(point) for point in task.points()] for task in tasks]


def _rows_of(
    function: Callable, structure: Structure, settings: Settings, folders: dict
) -> list[dict]:
    result = function(structure, settings, **folders)
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
        listed=np.array(row["listed"], int),
    )
