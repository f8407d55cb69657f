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

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poreflux.cif import read_cif
from poreflux.eos import fugacity
from poreflux.errors import ConfigError
from poreflux.forcefield import Guest, guest_parameters
from poreflux.potential import grid_shape, lj_grid
from poreflux.random_stream import seed_from
from poreflux.structure import Structure
from poreflux.units import molecules_per_cell_to_cm3stp_cm3, molecules_per_cell_to_mol_kg
from poreflux.uptake import grid, raspa3
from poreflux.uptake.statistics import Estimate

__all__ = ["DEFAULT_PRESSURES_BAR", "UptakePoint", "isotherm", "simulate", "warm_up"]

log = logging.getLogger(__name__)

DEFAULT_PRESSURES_BAR = (0.25, 0.5, 0.75, 1.0, 2.0, 5.8, 10.0, 30.0, 50.0, 65.0, 80.0, 100.0)


@dataclass(frozen=True)
class UptakePoint:
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
        Whether the chain equilibrated and met the target error (adaptive protocol).
    pocket_share : float
        Share of the Henry coefficient in pockets that no channel reaches (1: no channel).
    energy_drift_K : float
        Running energy less the energy recomputed at the end; 0 for the raspa3 engine.
    engine : str
        'grid' or 'raspa3'.
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


def isotherm(
    path: str | Path, pressures_bar: Sequence[float] | None = None, **params
) -> list[UptakePoint]:
    """Uptake of the structure in a CIF file at each pressure.

    Parameters
    ----------
    path : str or Path
        A CIF file.
    pressures_bar : sequence of float, optional
        Pressures, bar; the twelve of the study by default.
    **params
        See :func:`simulate`.

    Returns
    -------
    list of UptakePoint
        In the order of ``pressures_bar``.

    Raises
    ------
    StructureError
        If the file is no usable structure.
    ConfigError
        If a parameter is out of range.
    """
    if pressures_bar is not None:
        params["pressures_bar"] = pressures_bar
    return simulate(read_cif(path), **params)


def simulate(
    structure: Structure,
    *,
    guest: str = "CH4",
    temperature_K: float = 298.0,
    pressures_bar: Sequence[float] = DEFAULT_PRESSURES_BAR,
    engine: str = "grid",
    device: str = "auto",
    cutoff_A: float = 12.0,
    spacing_A: float = 0.25,
    cap_K: float = 20_000.0,
    block_pockets: bool = True,
    block_threshold_kT: float = 20.0,
    protocol: str = "adaptive",
    equilibration_steps: int = 20_000,
    production_steps: int = 100_000,
    max_steps: int = 10_000_000,
    target_error: float = 0.01,
    seed: int = 0,
) -> list[UptakePoint]:
    """Uptake of a structure at each pressure by grand-canonical Monte Carlo.

    Parameters
    ----------
    structure : Structure
        The rigid framework.
    guest : str
        Name of a guest, see :func:`poreflux.forcefield.guest_parameters`.
    temperature_K : float
        Temperature.
    pressures_bar : sequence of float
        Pressures above 0.
    engine : {'grid', 'raspa3'}
        See the package.
    device : {'auto', 'cpu', 'cuda'}
        Where the grid engine runs; this version has CPU kernels alone.
    cutoff_A : float
        Cutoff of all pairs: truncated, not shifted, no tail correction. The supercell's
        perpendicular widths are at least twice this.
    spacing_A : float
        Largest spacing of the energy grid. 0.25 Å gives uptakes as 0.15 Å does.
    cap_K : float
        Energies are cut here before the spline.
    block_pockets : bool
        Leave out pockets, regions below the threshold that do not run through the crystal. A
        structure without a channel then takes up exactly 0, with error 0 and pocket share 1.
    block_threshold_kT : float
        The threshold, in kT, on the energy grid.
    protocol : {'adaptive', 'paper'}
        'adaptive' runs at least ``production_steps`` after equilibration, until the
        standard error is ``target_error`` times the mean, or to ``max_steps``. 'paper' takes
        exactly 50,000 iterations at each pressure, an iteration being a cycle of max(20, N)
        steps as in RASPA; the equilibration found in them is not averaged.
    equilibration_steps : int
        Fewest steps discarded at each pressure; more are by the marginal standard error rule.
    production_steps, max_steps : int
        Fewest and most steps averaged at each pressure.
    target_error : float
        Relative standard error to reach.
    seed : int
        With the structure's content hash it fixes every random number.

    Returns
    -------
    list of UptakePoint
        In the order of ``pressures_bar``.

    Raises
    ------
    ConfigError
        If a parameter is out of range, the guest unknown or liquid, or the engine missing.
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
    pressures = [float(p) for p in pressures_bar]
    _check(
        pressures, temperature_K, engine, device, cutoff_A, spacing_A, cap_K, block_threshold_kT,
        protocol, equilibration_steps, production_steps, max_steps, target_error,
    )  # fmt: skip
    molecule = guest_parameters(guest)
    fugacities = [fugacity(p, temperature_K, guest) for p in pressures]
    energy = lj_grid(structure, molecule, grid_shape(structure, spacing_A), cutoff_A)
    host = grid.prepare_host(
        energy,
        structure.cell,
        temperature_K=temperature_K,
        cap_K=cap_K,
        block_pockets=block_pockets and engine == "grid",
        block_threshold_kT=block_threshold_kT,
    )
    del energy
    schedule = grid.Schedule(
        protocol, int(equilibration_steps), int(production_steps), int(max_steps), target_error
    )
    chain_seed = seed_from(seed, structure.content_hash, "uptake")
    state = (molecule, temperature_K, cutoff_A, schedule, chain_seed)
    if engine == "raspa3":
        points = _raspa3_points(structure, host, pressures, fugacities, *state)
    else:
        points = _grid_points(structure, host, pressures, fugacities, *state)
    return points


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


def _grid_points(
    structure: Structure,
    host: grid.Host,
    pressures: list[float],
    fugacities: list[float],
    guest: Guest,
    temperature_K: float,
    cutoff_A: float,
    schedule: grid.Schedule,
    seed: int,
) -> list[UptakePoint]:
    if not len(host.voxels):
        nothing = Estimate(0.0, 0.0, 0, True, True)
        return [
            _point(structure, p, f, nothing, 0, 0, True, host.pocket_share, 0.0, "grid")
            for p, f in zip(pressures, fugacities, strict=True)
        ]
    chain = _chain(structure, host, guest, temperature_K, cutoff_A, seed)
    rising = sorted(range(len(pressures)), key=pressures.__getitem__)
    isotherm = grid.IsothermRun(chain, [fugacities[i] for i in rising], schedule)
    grid.run_all(isotherm)
    n_cells = math.prod(structure.repeats(2.0 * cutoff_A))
    points: dict[int, UptakePoint] = {}
    for i, run in zip(rising, isotherm.runs, strict=True):
        found = run.estimate
        per_cell = dataclasses.replace(
            found, mean=found.mean / n_cells, error=found.error / n_cells
        )
        met = schedule.protocol == "paper" or found.error <= schedule.target_error * found.mean
        points[i] = _point(
            structure, pressures[i], fugacities[i], per_cell, run.n_equilibration,
            run.n_production, found.equilibrated and met, host.pocket_share,
            run.chain.energy_drift()[1], "grid",
        )  # fmt: skip
        log.debug("%g bar: %d steps", pressures[i], run.n_production)
    return [points[i] for i in range(len(pressures))]


def _chain(
    structure: Structure,
    host: grid.Host,
    guest: Guest,
    temperature_K: float,
    cutoff_A: float,
    seed: int,
) -> grid.Chain:
    return grid.Chain(
        host,
        epsilon_K=guest.epsilon_K,
        sigma_A=guest.sigma_A,
        temperature_K=temperature_K,
        cutoff_A=cutoff_A,
        repeats=structure.repeats(2.0 * cutoff_A),
        seed=seed,
    )


def _raspa3_points(
    structure: Structure,
    host: grid.Host,
    pressures: list[float],
    fugacities: list[float],
    guest: Guest,
    temperature_K: float,
    cutoff_A: float,
    schedule: grid.Schedule,
    seed: int,
) -> list[UptakePoint]:
    points = []
    # a cycle's length depends on the loading: short runs of ours tell it roughly
    loadings = dict.fromkeys(fugacities, 0.0)
    if len(host.voxels) and schedule.protocol != "paper":
        chain = _chain(structure, host, guest, temperature_K, cutoff_A, seed)
        rough = grid.Schedule(production_steps=20_000, max_steps=20_000)
        isotherm = grid.IsothermRun(chain, sorted(loadings), rough)
        grid.run_all(isotherm)
        means = [run.estimate.mean for run in isotherm.runs]
        loadings = dict(zip(sorted(loadings), means, strict=True))
    for i, (p, f) in enumerate(zip(pressures, fugacities, strict=True)):
        if schedule.protocol == "paper":
            initial, cycles = 0, grid.PAPER_CYCLES
        else:
            initial = raspa3.cycles_for(10 * schedule.equilibration_steps, loadings[f])
            cycles = raspa3.cycles_for(schedule.production_steps, loadings[f])
        found, before, after = raspa3.run_pressure(
            structure,
            guest,
            pressure_bar=p,
            fugacity_bar=f,
            temperature_K=temperature_K,
            cutoff_A=cutoff_A,
            initial_cycles=initial,
            cycles=cycles,
            seed=seed_from(seed, i),
        )
        points.append(
            _point(
                structure,
                p,
                f,
                found,
                before,
                after,
                found.equilibrated,
                host.pocket_share,
                0.0,
                "raspa3",
            )
        )
    return points


def _point(
    structure, pressure, fugacity_bar, per_cell, n_equilibration, n_production, converged, share,
    drift, engine,
) -> UptakePoint:  # fmt: skip
    """An :class:`UptakePoint` from an estimate of molecules a unit cell."""
    mass, volume = structure.mass_amu, structure.volume_A3
    return UptakePoint(
        pressure_bar=pressure,
        fugacity_bar=fugacity_bar,
        uptake_molecules_per_cell=per_cell.mean,
        uptake_mol_kg=molecules_per_cell_to_mol_kg(per_cell.mean, mass),
        uptake_cm3stp_cm3=molecules_per_cell_to_cm3stp_cm3(per_cell.mean, volume),
        uptake_err_cm3stp_cm3=molecules_per_cell_to_cm3stp_cm3(per_cell.error, volume),
        uptake_err_mol_kg=molecules_per_cell_to_mol_kg(per_cell.error, mass),
        n_equilibration=n_equilibration,
        n_production=n_production,
        converged=bool(converged),
        pocket_share=share,
        energy_drift_K=drift,
        engine=engine,
    )


def _check(
    pressures, temperature_K, engine, device, cutoff_A, spacing_A, cap_K, block_threshold_kT,
    protocol, equilibration_steps, production_steps, max_steps, target_error,
) -> None:  # fmt: skip
    """Raise ConfigError for parameters that make no simulation."""
    for name, value, allowed in (
        ("engine", engine, ("grid", "raspa3")),
        ("device", device, ("auto", "cpu", "cuda")),
        ("protocol", protocol, ("adaptive", "paper")),
    ):
        if value not in allowed:
            raise ConfigError(f"gcmc.{name} must be one of {', '.join(allowed)}, got {value!r}")
    if device == "cuda":
        raise ConfigError(
            "gcmc.device is 'cuda', but the CUDA kernel is not built in this version; "
            "use gcmc.device: cpu (or auto)"
        )
    if not pressures:
        raise ConfigError("gcmc.pressures_bar is empty")
    for name, value, low in (
        *(("pressures_bar", p, 0.0) for p in pressures),
        ("temperature_K", temperature_K, 0.0),
        ("cutoff_A", cutoff_A, 0.0),
        ("spacing_A", spacing_A, 0.0),
        ("cap_K", cap_K, math.nextafter(grid.REJECT_K, 0.0)),
        ("block_threshold_kT", block_threshold_kT, 0.0),
        ("target_error", target_error, 0.0),
        ("production_steps", production_steps, 999),
    ):
        if not (math.isfinite(value) and value > low):
            raise ConfigError(f"gcmc.{name} must be above {low:g}, got {value!r}")
    if equilibration_steps < 0:
        raise ConfigError(f"gcmc.equilibration_steps must be 0 or more, got {equilibration_steps}")
    if max_steps < production_steps:
        raise ConfigError(
            f"gcmc.max_steps ({max_steps}) must not be below gcmc.production_steps "
            f"({production_steps})"
        )
