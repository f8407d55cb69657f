"""The grid engine: grand-canonical Monte Carlo with the host's energy read from a spline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from poreflux.pores import accessible, pocket_share
from poreflux.potential import spline_coefficients
from poreflux.random_stream import seeded
from poreflux.units import BOLTZMANN_BAR_A3_PER_K
from poreflux.uptake import kernels as k
from poreflux.uptake.statistics import Estimate, estimate

# A guest is rejected where the host's energy exceeds this (K), or 17 kT if that is more.
REJECT_K = 5000.0
REJECT_KT = 17.0
# Largest displacement along each axis, Å.
MAX_SHIFT_A = 1.0
# Share of insertions spread evenly over the domain.
EVEN_SHARE = 0.05
# Volume of a guest in the local Langmuir estimate of free space, in sigma^3.
LANGMUIR_VOLUME = 1.0
# Share of translations among the moves; the rest is half insertions, half deletions.
TRANSLATIONS = 0.25
# Fewest steps per molecule, discarded and averaged: slow rearrangements need every molecule to
# have moved many times, and a short trace that has not seen them looks converged.
EQUILIBRATION_PER_MOLECULE = 50
PRODUCTION_PER_MOLECULE = 300
# Steps that one sample of the traces averages over.
SAMPLE_STEPS = 250
# Cycles of the paper's protocol: a cycle is max(20, N) steps.
PAPER_CYCLES = 50_000
_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Host:
    """The framework as the engine sees it.

    Attributes
    ----------
    coefficients : ndarray (nx+3, ny+3, nz+3) float32
        Spline of the energy, padded periodically.
    shape : ndarray (3,) int64
        Grid points along the unit cell.
    cell : ndarray (3, 3)
        Unit cell in rows, Å, lower triangular.
    voxels : ndarray (n,) int32
        Flat indices of the domain: the voxels a guest may be in.
    boltzmann : ndarray (n,) float64
        Boltzmann factor of each voxel of the domain, averaged with its neighbours.
    pocket_share : float
        Share of the Henry coefficient in pockets, blocked or not.
    """

    coefficients: np.ndarray
    shape: np.ndarray
    cell: np.ndarray
    voxels: np.ndarray
    boltzmann: np.ndarray
    pocket_share: float


@dataclass(frozen=True)
class ChainResult:
    """What one pressure gave: molecules in the supercell and how they were found.

    Attributes: ``estimate``; ``n_equilibration`` and ``n_production`` steps; ``energy_K`` at
    the end and ``energy_drift_K``, the running energy less the recomputed one.
    """

    estimate: Estimate
    n_equilibration: int
    n_production: int
    energy_K: float
    energy_drift_K: float


@dataclass(frozen=True)
class Schedule:
    """How long to run at each pressure.

    Attributes
    ----------
    protocol : {'adaptive', 'paper'}
        Until the target error is met, or exactly 50,000 cycles of max(20, N) steps.
    equilibration_steps, production_steps, max_steps : int
        Fewest steps discarded, fewest and most steps averaged.
    target_error : float
        Relative standard error to reach.
    """

    protocol: str = "adaptive"
    equilibration_steps: int = 20_000
    production_steps: int = 100_000
    max_steps: int = 10_000_000
    target_error: float = 0.01


def prepare_host(
    energy_K: np.ndarray,
    cell: np.ndarray,
    *,
    temperature_K: float,
    cap_K: float = 20_000.0,
    block_pockets: bool = True,
    block_threshold_kT: float = 20.0,
) -> Host:
    """Spline, domain and insertion weights of a host from its energy grid.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy of one guest on the grid of the unit cell, K.
    cell : ndarray (3, 3)
        Unit cell in rows, Å, lower triangular.
    temperature_K : float
        Temperature.
    cap_K : float
        Energies are cut here before the spline is fitted.
    block_pockets : bool
        Leave pockets out of the domain.
    block_threshold_kT : float
        Regions below this many kT are channels or pockets.

    Returns
    -------
    Host
        With an empty domain if there is nowhere for a guest.
    """
    energy = np.minimum(energy_K, cap_K)
    threshold = block_threshold_kT * temperature_K
    channels = accessible(energy, threshold).mask
    share = pocket_share(energy, channels, temperature_K)
    inside = energy < max(REJECT_K, REJECT_KT * temperature_K)
    if block_pockets:
        inside &= channels | (energy >= threshold)
        # high ground counts only next to a channel
        inside &= _dilated(channels)
    domain = _dilated(inside)
    if block_pockets:
        domain &= channels | (energy >= threshold)
    voxels = np.flatnonzero(domain).astype(np.int32)
    factor = np.exp(np.maximum(-energy / temperature_K, -700.0))
    smooth = ndimage.uniform_filter(factor, size=3, mode="wrap")
    coefficients = spline_coefficients(energy, cap_K)
    padded = np.pad(coefficients.astype(np.float32), [(1, 2)] * 3, mode="wrap")
    return Host(
        coefficients=padded,
        shape=np.array(energy.shape, np.int64),
        cell=np.ascontiguousarray(cell, float),
        voxels=voxels,
        boltzmann=np.maximum(smooth.reshape(-1)[voxels], 0.0),
        pocket_share=share,
    )


def _dilated(mask: np.ndarray) -> np.ndarray:
    """The mask and every voxel next to it, corners included, across the periodic faces."""
    out = mask
    for axis in range(3):
        out = out | np.roll(out, 1, axis) | np.roll(out, -1, axis)
    return out


class Chain:
    """One Markov chain in a supercell, carried from pressure to pressure.

    Parameters
    ----------
    host : Host
        From :func:`prepare_host`; its domain must not be empty.
    epsilon_K, sigma_A : float
        Lennard-Jones parameters between guests; ``epsilon_K = 0`` for an ideal gas.
    temperature_K, cutoff_A : float
        Temperature and cutoff between guests.
    repeats : tuple of 3 ints
        Unit cells in the supercell: perpendicular widths of at least two cutoffs.
    seed : int
        In [0, 2**64); fixes the chain.
    """

    def __init__(self, host, *, epsilon_K, sigma_A, temperature_K, cutoff_A, repeats, seed):
        self.host = host
        self.temperature_K = float(temperature_K)
        self.sigma_A = float(sigma_A)
        self.repeats = np.array(repeats, np.int64)
        box = host.cell * self.repeats[:, None]
        lower = np.tril_indices(3)
        self.volume_A3 = float(abs(np.linalg.det(box)))
        self.box = np.ascontiguousarray(box[lower])
        self.inverse = np.ascontiguousarray(np.linalg.inv(box)[lower])
        widths = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
        if (widths < 2.0 * cutoff_A * (1.0 - 1e-9)).any():
            raise ValueError(
                f"supercell widths {widths.round(3).tolist()} Å are below twice the cutoff "
                f"of {cutoff_A:g} Å"
            )
        self.bins, self.neighbours = _cell_list(widths, cutoff_A)
        self.constants = np.zeros(k.CONSTANTS)
        self.constants[k.BETA] = 1.0 / self.temperature_K
        self.constants[k.FOUR_EPSILON] = 4.0 * epsilon_K
        self.constants[k.SIGMA2] = sigma_A**2
        self.constants[k.CUTOFF2] = cutoff_A**2
        self.constants[k.MAX_SHIFT] = MAX_SHIFT_A
        self.constants[k.REJECT] = max(REJECT_K, REJECT_KT * self.temperature_K)
        self.constants[k.TRANSLATE] = TRANSLATIONS
        self.integers = np.zeros(k.INTEGER_STATE, np.int64)
        self.floats = np.zeros(k.FLOAT_STATE)
        self.rng = np.array([seeded(np.uint64(seed), np.uint64(0))], np.uint64)
        self.count = np.zeros(len(self.neighbours), np.int32)
        self._allocate(16 if len(self.count) > 1 else 64)

    @property
    def n_molecules(self) -> int:
        """Molecules in the supercell now."""
        return int(self.integers[k.N_MOLECULES])

    def positions(self) -> np.ndarray:
        """Fractional coordinates in the supercell now, ndarray (n_molecules, 3)."""
        return self._slots[:3, self._slot_of[: self.n_molecules]].T.copy()

    def set_fugacity(self, fugacity_bar: float) -> None:
        """Choose the fugacity (bar, > 0) of the steps to come."""
        host = self.host
        activity = fugacity_bar / (BOLTZMANN_BAR_A3_PER_K * self.temperature_K)
        self.constants[k.ACTIVITY_VOLUME] = activity * self.volume_A3
        n = len(host.voxels)
        weights = np.empty(n)
        k.insertion_weights(
            host.boltzmann, activity, LANGMUIR_VOLUME * self.sigma_A**3, EVEN_SHARE, weights
        )
        keep, other = np.empty(n), np.empty(n, np.int32)
        k.alias_table(weights, keep, other, np.empty(n, np.int32), np.empty(n, np.int32))
        self._keep, self._other = keep.astype(np.float32), other
        n_grid = int(host.shape.prod())
        self._density = np.zeros(n_grid, np.float32)
        self._density[host.voxels] = weights * n_grid
        for slot in self._slot_of[: self.n_molecules]:
            unit = self._slots[:3, slot] * self.repeats
            unit -= np.floor(unit)
            self._slots[4, slot] = self._density[k.voxel_of(host.shape, *unit)]

    def advance(self, n_steps: int, *, max_cycles: int = _NO_LIMIT):
        """Take steps (a multiple of :data:`SAMPLE_STEPS`), or stop at a number of cycles.

        Returns
        -------
        trace_n, trace_w : ndarray (samples,)
            See :func:`poreflux.uptake.kernels.run_chain`.
        """
        samples = max(1, n_steps // SAMPLE_STEPS)
        trace_n, trace_w = np.empty(samples), np.empty(samples)
        self.integers[k.N_SAMPLES] = 0
        end = self.integers[k.N_STEPS] + n_steps
        while True:
            k.run_chain(
                end - self.integers[k.N_STEPS], max_cycles, SAMPLE_STEPS, self.constants,
                self.host.coefficients, self._density, self.host.shape, self.host.voxels,
                self._keep, self._other, self.repeats, self.box, self.inverse, self.bins,
                self.neighbours, self._capacity, *self._slots,
                self._slot_of, self._molecule_at, self.count, self.integers, self.floats,
                self.rng, self._scratch, trace_n, trace_w,
            )  # fmt: skip
            if not self.integers[k.FULL]:
                break
            self._allocate(2 * self._capacity)
        done = int(self.integers[k.N_SAMPLES])
        return trace_n[:done], trace_w[:done]

    def energy_drift(self) -> tuple[float, float]:
        """The energy recomputed from scratch (K), and the running energy less that."""
        fresh = k.total_energy(
            *self._slots, self.count, self._capacity, self.neighbours,
            self.bins, self.box, self.constants, self._scratch, self.host.coefficients,
            self.repeats,
        )  # fmt: skip
        return float(fresh), float(self.floats[k.ENERGY] - fresh)

    def _allocate(self, capacity: int) -> None:
        """Slots for ``capacity`` molecules a bin; molecules keep their order in each bin."""
        n_bins = len(self.count)
        # x, y, z, host energy, insertion density
        slots = np.zeros((5, n_bins * capacity))
        slot_of = np.zeros(n_bins * capacity, np.int32)
        molecule_at = np.zeros(n_bins * capacity, np.int32)
        if self.count.any():
            for b, c in enumerate(self.count):
                old = slice(b * self._capacity, b * self._capacity + c)
                new = slice(b * capacity, b * capacity + c)
                slots[:, new] = self._slots[:, old]
                molecule_at[new] = self._molecule_at[old]
                slot_of[molecule_at[new]] = np.arange(new.start, new.stop)
        self._capacity = capacity
        self._slots, self._slot_of, self._molecule_at = slots, slot_of, molecule_at
        self._scratch = np.zeros(capacity)
        self.integers[k.FULL] = 0


def _cell_list(widths: np.ndarray, cutoff_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Bins along each axis and, for each bin, the bins within the cutoff.

    An axis is divided where that saves work: four bins or more of at least the cutoff.
    """
    bins = np.floor(widths / cutoff_A * (1.0 + 1e-9)).astype(np.int64)
    bins[bins < 4] = 1
    near = [range(1) if b == 1 else (-1, 0, 1) for b in bins]
    shifts = np.stack(np.meshgrid(*near, indexing="ij"), -1).reshape(-1, 3)
    homes = np.stack(np.meshgrid(*map(np.arange, bins), indexing="ij"), -1).reshape(-1, 3)
    ijk = (homes[:, None] + shifts[None]) % bins
    flat = (ijk[..., 0] * bins[1] + ijk[..., 1]) * bins[2] + ijk[..., 2]
    return bins, np.ascontiguousarray(flat.astype(np.int32))


def run_pressure(
    chain: Chain, fugacity_bar: float, schedule: Schedule, least_steps: int = 0
) -> ChainResult:
    """Bring a chain to a fugacity and average the number of molecules there.

    Parameters
    ----------
    chain : Chain
        Continued from where it is.
    fugacity_bar : float
        Fugacity, > 0.
    schedule : Schedule
        How long.
    least_steps : int
        Steps to average at least, besides those of the schedule. Correlation times change
        slowly with pressure: half the steps that the pressure below needed guards against
        a short trace that looks converged by luck.

    Returns
    -------
    ChainResult
    """
    chain.set_fugacity(fugacity_bar)
    if schedule.protocol == "paper":
        first, least = 0, 0
        trace = _paper_cycles(chain)
        result = estimate(*trace)
    else:
        first = math.ceil(schedule.equilibration_steps / SAMPLE_STEPS)
        most = math.ceil(schedule.max_steps / SAMPLE_STEPS)
        trace = chain.advance((first + schedule.production_steps // SAMPLE_STEPS) * SAMPLE_STEPS)
        while True:
            crowd = float(trace[0][-1])
            first = max(schedule.equilibration_steps, EQUILIBRATION_PER_MOLECULE * crowd)
            first = min(math.ceil(first / SAMPLE_STEPS), len(trace[0]) // 2)
            least = max(schedule.production_steps, PRODUCTION_PER_MOLECULE * crowd, least_steps)
            least = min(math.ceil(least / SAMPLE_STEPS), most)
            result = estimate(*trace, min_discard=first)
            done = len(trace[0]) - result.discarded
            wanted = schedule.target_error * abs(result.mean)
            if (result.equilibrated and result.error <= wanted and done >= least) or done >= most:
                break
            need = least
            if result.error > wanted > 0.0:
                need = int(1.1 * done * min(9.0, (result.error / wanted) ** 2))
            if not result.equilibrated:
                need = max(need, 2 * done)
            # at most threefold, since an early error is itself uncertain
            goal = min(most, max(need, least, done + done // 4 + 1), 3 * done)
            more = chain.advance(max(1, goal - done) * SAMPLE_STEPS)
            trace = tuple(np.concatenate(pair) for pair in zip(trace, more, strict=True))
    energy, drift = chain.energy_drift()
    return ChainResult(
        estimate=result,
        n_equilibration=result.discarded * SAMPLE_STEPS,
        n_production=(len(trace[0]) - result.discarded) * SAMPLE_STEPS,
        energy_K=energy,
        energy_drift_K=drift,
    )


def _paper_cycles(chain: Chain):
    """Exactly 50,000 cycles; the last incomplete sample (under 250 steps) is not averaged."""
    start = int(chain.integers[k.N_CYCLES])
    chain.integers[[k.LEFT_IN_CYCLE, k.IN_SAMPLE, k.N_TRIALS]] = 0
    chain.floats[[k.SUM_N, k.SUM_W]] = 0.0
    traces = []
    while True:
        more = chain.advance(1_000_000, max_cycles=start + PAPER_CYCLES)
        traces.append(more)
        if len(more[0]) * SAMPLE_STEPS < 1_000_000:
            break
    return tuple(np.concatenate(parts) for parts in zip(*traces, strict=True))
