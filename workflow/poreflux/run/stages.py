"""The stages that every structure passes through, and how a table of structures passes one.

A stage is a room of the library, ``poreflux.<name>``, with ``compute(structure, settings)``. This
module looks each structure up in the store, computes the missing ones in processes of their own,
stores each as it ends, and returns the table.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import ModuleType

import numpy as np
import pandas as pd

from poreflux.base.canonical import digest
from poreflux.base.errors import ConfigError
from poreflux.base.processes import Outcome, run_isolated
from poreflux.base.results import Result
from poreflux.base.settings import Settings
from poreflux.fields.forcefield import guest_parameters
from poreflux.run import gpu
from poreflux.run.artifacts import Limits, take_or_make
from poreflux.store import Ingredients, Store, package_version
from poreflux.store.code import code_digest, code_parts
from poreflux.structures.crystal import Structure

log = logging.getLogger(__name__)

# Settings that decide where or how fast, never what comes out.
NOT_INGREDIENTS = ("device", "lammps_package", "lammps_threads")
# The framework's force field.
UFF = "fields/parameters/uff_lj.csv"


@dataclass(frozen=True)
class Stage:
    """A stage that every structure passes through.

    Attributes
    ----------
    name : str
        Of the stage, wherever it shows: room of the library, block of the configuration, rule,
        log folder, table, entries of the store, page of the docs.
    doing : str
        What its jobs do, in words.
    worker_mb : int
        Memory that each process of a job needs, MB.
    packages : dict of str to tuple of str
        PyPI packages whose versions are ingredients, per ``engine``.
    data_files : tuple of str
        Files of the library that it reads; their contents are ingredients.
    resumed : tuple of str
        Engines that keep what they have of a structure in a folder ``run_dir`` of their own, so
        that an interrupted run goes on from there.
    order_counts_when : tuple
        The setting and its value with which the order of the atoms in the file counts.
    undefined : tuple of str
        Columns that may be NaN, which says that there is no such number. Any other number that is
        not finite fails the structure.
    on_gpu : tuple of str
        Engines that run on a CUDA device, too (:func:`poreflux.run.gpu.compute`).
    """

    name: str
    doing: str
    worker_mb: int
    packages: dict = field(default_factory=dict)
    data_files: tuple = ()
    resumed: tuple = ()
    order_counts_when: tuple = ()
    undefined: tuple = ()
    on_gpu: tuple = ()

    @property
    def room(self) -> str:
        """Dotted name of the room of the library that computes it."""
        return f"poreflux.{self.name}"

    def module(self) -> ModuleType:
        """The room itself, its kernels compiled where there are any (before any fork)."""
        module = importlib.import_module(self.room)
        if hasattr(module, "warm_up"):
            module.warm_up()
        return module

    @property
    def code(self) -> str:
        """Digest of the library code that computes the stage from a structure."""
        return code_digest(self.room)

    def code_parts(self) -> dict[str, str]:
        """Digests behind :attr:`code`, by module."""
        return code_parts(self.room)

    def engines(self, engine: str | None = None) -> dict[str, str]:
        """Versions of the packages that an engine of the stage calls."""
        return {name: package_version(name) for name in self.packages.get(engine, ())}

    def data(self, guest: str | None = None) -> dict[str, str]:
        """Digests of the data that the stage reads: its files and the guest's parameters."""
        found = {file: _file_digest(file) for file in self.data_files}
        if guest:
            found["guest"] = digest(dataclasses.asdict(guest_parameters(guest)))
        return found


# Columns of the stage diffusion that one kind of engine has, and the other leaves undefined.
OF_THE_MSD = ("msd_loglog_slope", "fit_start_ps", "fit_end_ps", "msd_end_A2")
IN_HARMONIC_COORDINATES = (
    *("d_1_m2_s", "d_2_m2_s", "d_3_m2_s", "d_xy_m2_s", "d_xz_m2_s", "d_yz_m2_s"),
    *("time_ps", "d_half_time_m2_s", "d_half_ps_m2_s", "d_1_ps_m2_s", "d_2_ps_m2_s"),
)

STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "geometry",
            "Describing the pores",
            worker_mb=600,
            packages={"fast": ("scipy",), "zeopp": ("pyzeo",)},
            order_counts_when=("atom_order", "listed"),
        ),
        Stage("energy", "Building energy histograms", worker_mb=600, data_files=(UFF,)),
        Stage(
            "percolation",
            "Finding percolation energies",
            worker_mb=1500,
            data_files=(UFF,),
            # of a structure without a channel
            undefined=(
                "heat_of_adsorption_kJ_mol",
                "e_mean_channels_K",
                "e_mean_dissipation_K",
            ),
        ),
        Stage(
            "uptake",
            "Simulating uptakes (GCMC)",
            worker_mb=1500,
            packages={"raspa3": ("raspalib",)},
            data_files=(UFF,),
            on_gpu=("grid",),
        ),
        Stage(
            "diffusion",
            "Simulating diffusion",
            worker_mb=1500,
            packages={"lammps": ("lammps", "mpich", "packmol")},
            data_files=(UFF,),
            resumed=("lammps",),
            undefined=(*OF_THE_MSD, *IN_HARMONIC_COORDINATES),
            on_gpu=("grid", "harmonic"),
        ),
    )
}


@cache
def _file_digest(name: str) -> str:
    return hashlib.sha256(resources.files("poreflux").joinpath(name).read_bytes()).hexdigest()


def ingredients(name: str, row: dict, settings: Settings) -> Ingredients:
    """What determines the artifact of one structure in one stage.

    Parameters
    ----------
    name : str
        A key of :data:`STAGES`.
    row : dict
        Of a structures table: ``content_hash`` and ``listed``.
    settings
        The stage's settings, see :meth:`poreflux.run.plan.StudyPlan.stage_settings`.
    """
    stage, params = STAGES[name], settings.model_dump(mode="json")
    inputs = stage.data(params.get("guest"))
    if (
        stage.order_counts_when
        and params.get(stage.order_counts_when[0]) == (stage.order_counts_when[1])
    ):
        order = np.asarray(row["listed"], "<i4")
        inputs["listed"] = hashlib.sha256(order.tobytes()).hexdigest()
    return Ingredients(
        stage=name,
        subject=row["content_hash"],
        inputs=inputs,
        params={k: v for k, v in params.items() if k not in NOT_INGREDIENTS},
        code=stage.code,
        engines=stage.engines(params.get("engine")),
    )


def run_stage(
    name: str,
    structures: pd.DataFrame,
    settings: Settings,
    *,
    store: Store,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Pass a table of structures through a stage.

    Parameters
    ----------
    name : str
        A key of :data:`STAGES`.
    structures : DataFrame
        As written by :func:`poreflux.run.intake.read_structures`: name, content_hash, status,
        reason and the structure itself.
    settings
        The stage's settings, see :meth:`poreflux.run.plan.StudyPlan.stage_settings`.
    store : Store
        Finished structures are taken from it and put into it.
    limits : Limits
        Processes at once, and what each structure may take.

    Returns
    -------
    DataFrame
        A row per structure (for uptake: per structure and pressure): name, content_hash, status,
        reason and the stage's columns. A failed structure is one row with the reason.

    Raises
    ------
    ConfigError
        If the settings are wrong, whatever the structure.
    """
    rows = structures.to_dict("records")
    keys = []
    wanted, usable = {}, {}
    for row in rows:
        found = ingredients(name, row, settings) if row["status"] == "ok" else None
        keys.append(found.key if found else "")
        if found and found.key not in wanted:
            wanted[found.key], usable[found.key] = found, row

    def make(missing: list[str]) -> Iterator[Outcome]:
        wanted_structures = [structure_of(usable[key]) for key in missing]
        return _outcomes(name, missing, wanted_structures, settings, store, limits or Limits())

    def encode(outcome: Outcome) -> tuple[bytes, dict]:
        if outcome.error == "ConfigError":
            # no structure of the set would fare better
            raise ConfigError(f"stage {name}: {outcome.reason}")
        if outcome.error:
            return json.dumps({"status": "failed", "reason": outcome.reason}).encode(), {}
        return json.dumps(sound(name, {"status": "ok", "rows": outcome.value})).encode(), {}

    results = take_or_make(
        wanted,
        make,
        store,
        encode=encode,
        decode=lambda payload, facts: sound(name, json.loads(payload)),
        keep=lambda outcome: outcome.error in ("", "StructureError"),
        what="structures",
    )
    out = []
    for row, key in zip(rows, keys, strict=True):
        columns = {"name": row["name"], "content_hash": row["content_hash"]}
        result = results.get(key, row)
        if result["status"] == "ok":
            out += [columns | {"status": "ok", "reason": ""} | r for r in result["rows"]]
        else:
            if key:
                log.warning("%s failed: %s", row["name"], result["reason"])
            out.append(columns | {"status": "failed", "reason": result["reason"]})
    return pd.DataFrame(out, columns=None if out else ["name", "content_hash", "status", "reason"])


def sound(name: str, result: dict) -> dict:
    """A structure's result in a stage, failed if a number in its rows is not finite.

    Parameters
    ----------
    name : str
        A key of :data:`STAGES`.
    result : dict
        ``status`` and, where that is ``ok``, ``rows``.

    Returns
    -------
    dict
        The same, or ``status`` ``failed`` and a ``reason`` that names the column.
    """
    for row in result.get("rows", ()):
        for column, value in row.items():
            if not isinstance(value, float) or math.isfinite(value):
                continue
            if math.isnan(value) and column in STAGES[name].undefined:
                continue
            reason = f"{column} came out as {value}, which is no result; see the settings of {name}"
            return {"status": "failed", "reason": reason}
    return result


def _outcomes(name, keys, structures, settings, store, limits) -> Iterator[Outcome]:
    """An outcome per structure, as each ends; the value is its rows."""
    stage = STAGES[name]
    module = stage.module()
    if _takes_gpu(stage, settings):
        return gpu.compute(module, structures, settings, _rows_of, limits)
    running = store.root / "running" / name
    resumed = getattr(settings, "engine", "") in stage.resumed
    if resumed:
        store.make_folder(running)
    folders = [{"run_dir": running / key} if resumed else {} for key in keys]
    tasks = [
        (module.compute, structure, settings, folder)
        for structure, folder in zip(structures, folders, strict=True)
    ]
    return run_isolated(_computed, tasks, **limits.as_dict())


def _takes_gpu(stage: Stage, settings: Settings) -> bool:
    """Whether a stage runs on a GPU: where the configuration says so, or it may and can."""
    return getattr(settings, "engine", "") in stage.on_gpu and gpu.is_wanted(settings.device)


def _computed(
    compute: Callable, structure: Structure, settings: Settings, folder: dict
) -> list[dict]:
    return _rows_of(compute(structure, settings, **folder))


def _rows_of(result: Result | list[Result]) -> list[dict]:
    """The rows of a table in what a stage returned: a result, or a list of them."""
    results = result if isinstance(result, list) else [result]
    return [row for each in results for row in each.rows()]


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
