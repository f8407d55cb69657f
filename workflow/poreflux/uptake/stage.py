"""Uptake of a guest by grand-canonical Monte Carlo: the isotherm of one structure.

Each pressure becomes a Peng-Robinson fugacity; a chain of insertions, deletions and
translations in a supercell gives the mean number of molecules, its standard error, and how
many steps were discarded as equilibration. Pressures are taken in rising order, each from the
configuration of the one before.

Engine ``grid`` reads the rigid framework's energy from a periodic cubic spline. Engine
``raspa3`` calls RASPA3 with the same force field, as a cross-check; it knows no pocket
blocking (``block_pockets`` has no effect, ``pocket_share`` is still reported) and starts every
pressure from an empty box, so that it takes ten times ``equilibration_steps`` to fill it. It runs
``production_steps`` without looking at the target error; its steps are some hundred times slower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from poreflux.base.random_stream import seed_from
from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.base.units import molecules_per_cell_to_cm3stp_cm3, molecules_per_cell_to_mol_kg
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures.crystal import Structure
from poreflux.uptake import grid, raspa3
from poreflux.uptake.settings import DEFAULT_PRESSURES_BAR, UptakeSettings
from poreflux.uptake.statistics import Estimate

__all__ = [
    "DEFAULT_PRESSURES_BAR",
    "Isotherm",
    "IsothermTask",
    "UptakePoint",
    "UptakeSettings",
    "compute",
    "prepare",
    "run_on_gpu",
    "warm_up",
]


@dataclass(frozen=True)
class UptakePoint(Result):
    """Uptake of one structure at one pressure.

    Attributes
    ----------
    pressure_bar, fugacity_bar : float
        State.
    uptake_molecules_per_cell : float
        Molecules in one crystallographic unit cell (absolute, not excess).
    uptake_mol_kg, uptake_cm3stp_cm3 : float
        The same per kg of framework, and as gas at 273.15 K and 1 atm per volume of crystal.
    uptake_err_cm3stp_cm3, uptake_err_mol_kg : float
        One standard error of the mean.
    n_equilibration, n_production : int
        Monte Carlo steps (single trial moves) discarded and averaged.
    converged : bool
        Whether the chain equilibrated, its insertion trials confirm the mean, and it met the target
        error (adaptive protocol). Dense states of a cold guest often do not.
    pocket_share : float
        Share of the Henry coefficient in pockets that no channel reaches (1: no channel).
    energy_drift_K : float
        Running energy less the energy recomputed at the end; 0 for the raspa3 engine.
    engine : str
        'grid' or 'raspa3'.
    note : str
        Empty, or what makes the number doubtful: a window about as high as ``block_threshold_kT``.
    """

    pressure_bar: float
    fugacity_bar: float
    uptake_molecules_per_cell: float
    uptake_mol_kg: float
    uptake_cm3stp_cm3: float
    uptake_err_cm3stp_cm3: float
    uptake_err_mol_kg: float
    n_equilibration: int
    n_production: int
    converged: bool
    pocket_share: float
    energy_drift_K: float
    engine: str
    note: str = ""


class Isotherm(Result, tuple):
    """The uptakes of one structure at several pressures, a tuple of :class:`UptakePoint`.

    Parameters
    ----------
    points : iterable of UptakePoint
        In the order of the pressures.
    """

    def __new__(cls, points: Iterable[UptakePoint] = ()) -> Isotherm:
        return super().__new__(cls, points)

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        of = ", ".join(f"{p.uptake_mol_kg:.3g} at {p.pressure_bar:g} bar" for p in self)
        return f"<Isotherm, mol/kg: {of}>"

    @property
    def pressures_bar(self) -> np.ndarray:
        """Pressures, ndarray (n_points,), bar."""
        return np.array([p.pressure_bar for p in self])

    @property
    def uptake_mol_kg(self) -> np.ndarray:
        """Absolute uptakes, ndarray (n_points,), mol per kg of framework."""
        return np.array([p.uptake_mol_kg for p in self])

    @property
    def uptake_err_mol_kg(self) -> np.ndarray:
        """One standard error of each, ndarray (n_points,), mol/kg."""
        return np.array([p.uptake_err_mol_kg for p in self])

    @property
    def uptake_cm3stp_cm3(self) -> np.ndarray:
        """The same as gas at 273.15 K and 1 atm per volume of crystal, ndarray (n_points,)."""
        return np.array([p.uptake_cm3stp_cm3 for p in self])

    def rows(self) -> list[dict]:
        """The rows of the table, one for each pressure."""
        return [point.columns() for point in self]

    def shown(self) -> list[dict]:
        """The rows without the settings and counts of the simulation."""
        shown = (
            *("pressure_bar", "uptake_mol_kg", "uptake_err_mol_kg"),
            *("uptake_cm3stp_cm3", "uptake_err_cm3stp_cm3", "converged"),
        )
        return [{name: row[name] for name in shown} for row in self.rows()]


@names_checked(UptakeSettings)
def compute(structure: Structure, settings: UptakeSettings | None = None) -> Isotherm:
    """Uptake of a structure at each pressure by grand-canonical Monte Carlo.

    Parameters
    ----------
    structure : Structure
        The rigid framework.
    settings : UptakeSettings, optional
        The defaults if not given.

    Returns
    -------
    Isotherm
        A point per pressure, in their order.

    Raises
    ------
    ConfigError
        If the engine or the device is missing.
    StructureError
        If an element has no parameters.
    ExternalToolError
        If RASPA3 fails.

    Notes
    -----
    Where few guests are present the mean number comes mostly from the insertion trials, whose
    Boltzmann factors average to it as well, see
    :func:`poreflux.uptake.statistics.combined`.
    """
    task = IsothermTask(structure, settings or UptakeSettings())
    if task.settings.engine == "raspa3":
        return _raspa3_points(task)
    if task.settings.device == "cuda":
        run_on_gpu([task])
    elif task.isotherm:
        grid.run_all(task.isotherm)
    return task.points()


class IsothermTask:
    """An isotherm ready to be run: the framework's potential and the first chain.

    Parameters
    ----------
    structure : Structure
        The rigid framework.
    settings : UptakeSettings
        What it is computed with.

    Attributes
    ----------
    guest : Guest
        The guest's parameters.
    schedule : grid.Schedule
        How long the grid engine runs at each pressure.
    isotherm : grid.IsothermRun or None
        To be run; none where a guest has nowhere to be.

    Raises
    ------
    StructureError
        If an element has no parameters.
    """

    def __init__(self, structure: Structure, settings: UptakeSettings):
        self.structure, self.settings = structure, settings
        self.guest = guest_parameters(settings.guest)
        self.schedule = grid.Schedule(
            settings.protocol,
            settings.equilibration_steps,
            settings.production_steps,
            settings.max_steps,
            settings.target_error,
        )
        shape = grid_shape(structure, settings.spacing_A)
        host = grid.prepare_host(
            lj_grid(structure, self.guest, shape, settings.cutoff_A),
            structure.cell,
            temperature_K=settings.temperature_K,
            cap_K=settings.cap_K,
            block_pockets=settings.block_pockets and settings.engine == "grid",
            block_threshold_kT=settings.block_threshold_kT,
        )
        self.pocket_share, self.note = host.pocket_share, host.doubt
        self.seed = seed_from(settings.seed, structure.content_hash, "uptake")
        self.isotherm = None
        if len(host.voxels):
            chain = grid.Chain(
                host,
                epsilon_K=self.guest.epsilon_K,
                sigma_A=self.guest.sigma_A,
                temperature_K=settings.temperature_K,
                cutoff_A=settings.cutoff_A,
                repeats=structure.repeats(2.0 * settings.cutoff_A),
                seed=self.seed,
            )
            fugacities = sorted(set(settings.fugacities_bar))
            self.isotherm = grid.IsothermRun(chain, fugacities, self.schedule)

    def points(self) -> Isotherm:
        """What came out, once the isotherm has been run, in the order of the pressures."""
        if self.isotherm is None:
            nothing = Estimate(0.0, 0.0, 0, True, True)
            n_points = len(self.settings.pressures_bar)
            return Isotherm(self.point(i, nothing) for i in range(n_points))
        points = []
        adaptive = self.settings.protocol == "adaptive"
        for i, fugacity_bar in enumerate(self.settings.fugacities_bar):
            run = self.isotherm.runs[self.isotherm.fugacities_bar.index(fugacity_bar)]
            found = run.estimate
            missed = adaptive and found.error > self.settings.target_error * found.mean
            points.append(
                self.point(
                    i,
                    found,
                    n_equilibration=run.n_equilibration,
                    n_production=run.n_production,
                    converged=found.equilibrated and found.confirmed and not missed,
                    energy_drift_K=run.chain.energy_drift()[1],
                )
            )
        return Isotherm(points)

    def point(
        self,
        i: int,
        found: Estimate,
        *,
        n_equilibration: int = 0,
        n_production: int = 0,
        converged: bool = True,
        energy_drift_K: float = 0.0,
    ) -> UptakePoint:
        """An :class:`UptakePoint` at pressure i from an estimate of molecules in the supercell."""
        mass, volume = self.structure.mass_amu, self.structure.volume_A3
        n_cells = math.prod(self.structure.repeats(2.0 * self.settings.cutoff_A))
        mean, error = found.mean / n_cells, found.error / n_cells
        return UptakePoint(
            pressure_bar=self.settings.pressures_bar[i],
            fugacity_bar=self.settings.fugacities_bar[i],
            uptake_molecules_per_cell=mean,
            uptake_mol_kg=molecules_per_cell_to_mol_kg(mean, mass),
            uptake_cm3stp_cm3=molecules_per_cell_to_cm3stp_cm3(mean, volume),
            uptake_err_cm3stp_cm3=molecules_per_cell_to_cm3stp_cm3(error, volume),
            uptake_err_mol_kg=molecules_per_cell_to_mol_kg(error, mass),
            n_equilibration=n_equilibration,
            n_production=n_production,
            converged=bool(converged),
            pocket_share=self.pocket_share,
            energy_drift_K=energy_drift_K,
            engine=self.settings.engine,
            note=self.note,
        )


def prepare(structure: Structure, settings: UptakeSettings | None = None) -> IsothermTask:
    """The part of :func:`compute` before the Monte Carlo, for :func:`run_on_gpu`."""
    return IsothermTask(structure, settings or UptakeSettings())


def run_on_gpu(tasks: Sequence[IsothermTask], threads: int = 1) -> None:
    """Run the isotherms of many structures together on a CUDA device.

    Parameters
    ----------
    tasks : sequence of IsothermTask
        From :func:`prepare`, engine ``grid``; :meth:`IsothermTask.points` has the results after.
    threads : int
        Threads of the host.

    Raises
    ------
    ConfigError
        If there is no device that can be used.
    """
    from poreflux.uptake import cuda

    cuda.run_all([task.isotherm for task in tasks if task.isotherm], threads)


def warm_up() -> None:
    """Compile the kernels, or load them from numba's cache, before processes are forked."""
    host = grid.prepare_host(np.zeros((4, 4, 4)), np.eye(3) * 12.0, temperature_K=298.0)
    chain = grid.Chain(
        host, epsilon_K=1.0, sigma_A=3.0, temperature_K=298.0, cutoff_A=6.0, repeats=(1, 1, 1),
        seed=0,
    )  # fmt: skip
    short = grid.Schedule(equilibration_steps=1000, production_steps=1000, max_steps=1000)
    grid.run_all(grid.IsothermRun(chain, [1.0], short))
    chain.energy_drift()


def _raspa3_points(task: IsothermTask) -> Isotherm:
    settings, schedule = task.settings, task.schedule
    # a cycle's length depends on the loading: short runs of ours tell it roughly
    loadings: dict[float, float] = {}
    if task.isotherm and schedule.protocol != "paper":
        isotherm = grid.IsothermRun(
            task.isotherm.runs[0].chain,
            task.isotherm.fugacities_bar,
            grid.Schedule(production_steps=20_000, max_steps=20_000),
        )
        grid.run_all(isotherm)
        means = [run.estimate.mean for run in isotherm.runs]
        loadings = dict(zip(isotherm.fugacities_bar, means, strict=True))
    points = []
    for i, fugacity_bar in enumerate(settings.fugacities_bar):
        if schedule.protocol == "paper":
            initial, cycles = 0, grid.PAPER_CYCLES
        else:
            loading = loadings.get(fugacity_bar, 0.0)
            initial = raspa3.cycles_for(10 * schedule.equilibration_steps, loading)
            cycles = raspa3.cycles_for(schedule.production_steps, loading)
        found, before, after = raspa3.run_pressure(
            task.structure,
            task.guest,
            pressure_bar=settings.pressures_bar[i],
            fugacity_bar=fugacity_bar,
            temperature_K=settings.temperature_K,
            cutoff_A=settings.cutoff_A,
            initial_cycles=initial,
            cycles=cycles,
            seed=seed_from(task.seed, i),
        )
        points.append(
            task.point(
                i,
                found,
                n_equilibration=before,
                n_production=after,
                converged=found.equilibrated,
            )
        )
    return Isotherm(points)
