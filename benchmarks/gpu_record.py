"""What the record on a GPU is taken with: frameworks' potentials, and what the CPU made of them.

One file, written where structures can be read and read where nothing but numpy, scipy and numba is
installed. It holds for each framework the energy of methane on a grid, softened below the cap as
:mod:`poreflux.diffusion.grid_engine` does and rounded to 16 bits (0.2 K or so): both sides of every
comparison get these rounded energies. Beside them lie the atoms, to time the making of a grid, and
the CPU's results: molecules in the supercell, mean squared displacements, diffusivities.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from poreflux.diffusion import grid_engine, harmonic
from poreflux.diffusion.grid_engine import Dynamics, Field
from poreflux.fields.channels import channels_of_guest
from poreflux.uptake import grid

TEMPERATURE_K, CUTOFF_A, SPACING_A, CAP_K, THRESHOLD_KT = 298.0, 12.0, 0.25, 20_000.0, 20.0
EPSILON_K, SIGMA_A, MASS_AMU = 148.0, 3.73, 16.04246
# A softened energy never reaches the cap: beyond this share of it, it is stored as that.
MOST_OF_CAP = 0.98
LEVELS = 65_535
# Molecules of a thermostat, as in a stage of 60 in two groups.
CHAIN_SIZE = 30
DYNAMICS = Dynamics(MASS_AMU, TEMPERATURE_K, 1.0, 100.0)
# Engine harmonic has no thermostat.
NEWTON = Dynamics(MASS_AMU, TEMPERATURE_K, 2.0, 0.0)


def shorten_paths() -> None:
    """Let engine harmonic take D after femtoseconds, for the simulator."""
    harmonic.LEVEL_PS, harmonic.FIRST_PS, harmonic.POINT_FS = 0.008, 0.016, 4.0
    harmonic.FIRST_STARTS, harmonic.MORE_STARTS = 32, 32


class Checks(NamedTuple):
    """What is computed on both sides, for every framework.

    Attributes
    ----------
    fugacities_bar : tuple of float
        Of the Monte Carlo chains, rising.
    equilibration_steps, production_steps, max_steps, target_error
        See :class:`poreflux.uptake.grid.Schedule`.
    md_molecules, md_steps : int
        Molecules (whole thermostats), and time steps of 1 fs after which their squared displacement
        is taken.
    d_error, longest_ps, most_starts
        See :func:`poreflux.diffusion.harmonic.run`.
    """

    fugacities_bar: tuple = (0.998, 9.782, 33.5, 56.739)
    equilibration_steps: int = 20_000
    production_steps: int = 100_000
    max_steps: int = 400_000
    target_error: float = 0.02
    md_molecules: int = 480
    md_steps: int = 20_000
    d_error: float = 0.05
    longest_ps: float = 16.0
    most_starts: int = 4096

    @property
    def schedule(self) -> grid.Schedule:
        """Of the Monte Carlo."""
        return grid.Schedule(
            "adaptive",
            self.equilibration_steps,
            self.production_steps,
            self.max_steps,
            self.target_error,
        )


@dataclass
class Framework:
    """A framework, and the CPU's results.

    Attributes
    ----------
    name : str
    energy_K : ndarray (nx, ny, nz)
        Of one methane at fractional coordinates (i/nx, j/ny, k/nz).
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    repeats : ndarray int (3,)
        Unit cells of the supercell.
    frac, four_epsilon_K, sigma2_A2 : ndarray (n, 3), (n,), (n,)
        Atoms, and their parameters with methane.
    uptake : ndarray (n_fugacities, 2)
        Molecules in the supercell and their standard error; nan where no methane fits.
    msd_A2, d_A2_fs : ndarray (2,)
        Mean squared displacement and diffusivity (engine harmonic), and standard errors; nan where
        there is no channel, or D is none.
    """

    name: str
    energy_K: np.ndarray
    cell: np.ndarray
    repeats: np.ndarray
    frac: np.ndarray
    four_epsilon_K: np.ndarray
    sigma2_A2: np.ndarray
    uptake: np.ndarray | None = None
    msd_A2: np.ndarray | None = None
    d_A2_fs: np.ndarray | None = None


ARRAYS = [f.name for f in fields(Framework) if f.name not in ("name", "energy_K")]


def packed(energy_K: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Softened energies in 16 bits: levels (uint16), the lowest (K), and a level (K)."""
    soft = energy_K / (1.0 + np.maximum(energy_K, 0.0) / CAP_K)
    soft = np.minimum(soft, MOST_OF_CAP * CAP_K)
    lowest = float(soft.min())
    level = max(float(np.ptp(soft)), 1e-6) / LEVELS
    return np.rint((soft - lowest) / level).astype(np.uint16), lowest, level


def unpacked(levels: np.ndarray, lowest: float, level: float) -> np.ndarray:
    """Energies (K) of :func:`packed`."""
    soft = lowest + level * levels
    return soft / (1.0 - np.maximum(soft, 0.0) / CAP_K)


def write_record(path: Path, frameworks: list[Framework], checks: Checks) -> None:
    """Write a file that :func:`read_record` reads; energies become those of 16 bits."""
    arrays = {"checks": np.array(json.dumps(checks._asdict()))}
    for i, framework in enumerate(frameworks):
        levels, lowest, level = packed(framework.energy_K)
        # neighbours along c differ little: differences take less room
        arrays[f"{i}/levels"] = np.diff(levels, axis=-1, prepend=np.uint16(0))
        arrays[f"{i}/scale"] = np.array([lowest, level])
        arrays[f"{i}/name"] = np.array(framework.name)
        for name in ARRAYS:
            arrays[f"{i}/{name}"] = np.asarray(getattr(framework, name))
    np.savez_compressed(path, **arrays)


def read_record(path: Path) -> tuple[list[Framework], Checks]:
    """Frameworks and what was computed for each."""
    with np.load(path) as data:
        checks = json.loads(str(data["checks"]))
        checks["fugacities_bar"] = tuple(checks["fugacities_bar"])
        frameworks = []
        for i in range(sum(name.endswith("/name") for name in data.files)):
            levels = np.cumsum(data[f"{i}/levels"], axis=-1, dtype=np.uint16)
            energy_K = unpacked(levels.astype(float), *data[f"{i}/scale"])
            rest = {name: data[f"{i}/{name}"] for name in ARRAYS}
            frameworks.append(Framework(str(data[f"{i}/name"]), energy_K, **rest))
    return frameworks, Checks(**checks)


@dataclass
class Ready:
    """A framework ready to be simulated.

    Attributes
    ----------
    name : str
    repeats : ndarray int (3,)
    host : grid.Host
        For Monte Carlo; without voxels where no methane fits.
    field : Field
        For dynamics.
    energy_K, is_open : ndarray (nx, ny, nz)
        Energy, and where molecules start.
    landscape : harmonic.Landscape or None
        None without a channel.
    cpu_s : dict of str to float
        What each of these took.
    """

    name: str
    repeats: np.ndarray
    host: grid.Host
    field: Field
    energy_K: np.ndarray
    is_open: np.ndarray
    landscape: harmonic.Landscape | None
    cpu_s: dict


def ready(framework: Framework) -> Ready:
    """What the stages prepare on the CPU before their kernels run."""
    energy, cell, cpu_s = framework.energy_K, framework.cell, {}

    def timed(what, function, *arguments, **options):
        start = time.process_time()
        made = function(*arguments, **options)
        cpu_s[what] = time.process_time() - start
        return made

    channels, _ = timed("channels", channels_of_guest, energy, THRESHOLD_KT, TEMPERATURE_K, CAP_K)
    host = timed("host", grid.prepare_host, energy, cell, temperature_K=TEMPERATURE_K)
    field = timed("field", grid_engine.make_field, energy, cell, CAP_K)
    landscape = timed(
        "landscape", _landscape, energy, cell, channels if channels.dimensionality else None
    )
    return Ready(
        framework.name, framework.repeats, host, field, energy, channels.mask, landscape, cpu_s
    )


def _landscape(energy, cell, channels):
    if channels is None:
        return None
    made = harmonic.prepare(
        energy, cell, NEWTON, threshold_kT=THRESHOLD_KT, cap_K=CAP_K, channels=channels
    )
    assert made.coordinates  # made now, and kept with it
    return made


def isotherm(made: Ready, fugacities_bar, schedule: grid.Schedule, seed: int) -> grid.IsothermRun:
    """An isotherm at its start."""
    chain = grid.Chain(
        made.host,
        epsilon_K=EPSILON_K,
        sigma_A=SIGMA_A,
        temperature_K=TEMPERATURE_K,
        cutoff_A=CUTOFF_A,
        repeats=tuple(map(int, made.repeats)),
        seed=seed,
    )
    return grid.IsothermRun(chain, list(fugacities_bar), schedule)


def molecules(made: Ready, n: int, seed: int) -> grid_engine.State:
    """``n`` molecules in the channels."""
    return grid_engine.start(made.field, made.is_open, made.energy_K, n, CHAIN_SIZE, DYNAMICS, seed)


def mean_and_error(samples: np.ndarray) -> np.ndarray:
    """Mean of independent samples, and its standard error."""
    return np.array([samples.mean(), samples.std(ddof=1) / np.sqrt(len(samples))])


def squared_displacements(start_A: np.ndarray, end_A: np.ndarray) -> np.ndarray:
    """Of each molecule, Å^2."""
    return ((end_A - start_A) ** 2).sum(axis=-1)


def with_results(framework: Framework, checks: Checks, seed: int) -> Framework:
    """The CPU's results of a framework, from its energies as they are stored."""
    framework.energy_K = unpacked(*packed(framework.energy_K))
    made = ready(framework)
    framework.uptake = np.full((len(checks.fugacities_bar), 2), np.nan)
    framework.msd_A2, framework.d_A2_fs = np.full((2, 2), np.nan)
    if len(made.host.voxels):
        run = isotherm(made, checks.fugacities_bar, checks.schedule, seed)
        grid.run_all(run)
        framework.uptake = np.array([(r.estimate.mean, r.estimate.error) for r in run.runs])
    if made.landscape is not None:
        state = molecules(made, checks.md_molecules, seed)
        start = grid_engine.cartesian(made.field, state)
        frames = grid_engine.advance_state(
            made.field, state, DYNAMICS, CHAIN_SIZE, 1, checks.md_steps
        )
        framework.msd_A2 = mean_and_error(squared_displacements(start, frames[0]))
        found = harmonic.run(
            made.landscape,
            seed=seed,
            target_error=checks.d_error,
            longest_ps=checks.longest_ps,
            most_starts=checks.most_starts,
        )
        if found.diffusive:
            framework.d_A2_fs = np.array([found.d_A2_fs, found.d_err_A2_fs])
    return framework
