"""The grid engine: grand-canonical Monte Carlo with the host's energy read from a spline."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from poreflux.base.random_stream import seeded
from poreflux.base.units import BOLTZMANN_BAR_A3_PER_K
from poreflux.fields.channels import channels_of_guest
from poreflux.fields.grid import spline_coefficients
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
# Wells deeper than this many kT count as this deep where insertions are drawn: exp(88) is the end
# of single precision. Acceptance knows the true energy, so that the averages do not change.
DEEPEST_KT = 80.0
# Share of translations among the moves; the rest is half insertions, half deletions.
TRANSLATIONS = 0.25
# Fewest steps per molecule, discarded and averaged: slow rearrangements need every molecule to
# have moved many times, and a short trace that has not seen them looks converged.
EQUILIBRATION_PER_MOLECULE = 100
PRODUCTION_PER_MOLECULE = 1500
# Steps that one sample of the traces averages over.
SAMPLE_STEPS = 250
# Cycles of the paper's protocol: a cycle is max(20, N) steps.
PAPER_CYCLES = 50_000
NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Host:
    """The framework as the engine sees it.

    Attributes
    ----------
    coefficients : ndarray ((nx+3)*(ny+3)*(nz+3),) float32
        Spline of the energy, padded periodically.
    shape : ndarray (3,) int64
        Grid points along the unit cell.
    cell : ndarray (3, 3)
        Unit cell in rows, Å, lower triangular.
    voxels : ndarray (n,) int32
        Flat indices of the domain: the voxels a guest may be in.
    factors : ndarray (nx*ny*nz,) float32
        Boltzmann factor of each voxel of the domain, averaged with its neighbours; -1 outside.
    pocket_share : float
        Share of the Henry coefficient in pockets, blocked or not.
    doubt : str
        Empty, or that a window is as high as the threshold, so that a pocket may be a channel.
    """

    coefficients: np.ndarray
    shape: np.ndarray
    cell: np.ndarray
    voxels: np.ndarray
    factors: np.ndarray
    pocket_share: float
    doubt: str


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
    found, share = channels_of_guest(energy_K, block_threshold_kT, temperature_K, cap_K)
    channels, high = found.mask, energy_K >= threshold
    inside = energy < max(REJECT_K, REJECT_KT * temperature_K)
    if block_pockets:
        inside &= channels | high
        # high ground counts only next to a channel
        inside &= _dilated(channels)
    domain = _dilated(inside)
    if block_pockets:
        domain &= channels | high
    factor = np.exp(np.clip(-energy / temperature_K, -700.0, DEEPEST_KT))
    smooth = np.maximum(ndimage.uniform_filter(factor, size=3, mode="wrap"), 0.0)
    coefficients = spline_coefficients(energy, cap_K)
    padded = np.pad(coefficients.astype(np.float32), [(1, 2)] * 3, mode="wrap")
    return Host(
        coefficients=padded.reshape(-1),
        shape=np.array(energy.shape, np.int64),
        cell=np.ascontiguousarray(cell, float),
        voxels=np.flatnonzero(domain).astype(np.int32),
        factors=np.where(domain, smooth, -1.0).astype(np.float32).reshape(-1),
        pocket_share=share,
        doubt=found.doubt(block_threshold_kT) if block_pockets else "",
    )


def _dilated(mask: np.ndarray) -> np.ndarray:
    """The mask and every voxel next to it, corners included, across the periodic faces."""
    out = mask
    for axis in range(3):
        out = out | np.roll(out, 1, axis) | np.roll(out, -1, axis)
    return out


class Chain:
    """One Markov chain in a supercell, at one fugacity.

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
        self.seed = np.uint64(seed)
        box = host.cell * np.array(repeats)[:, None]
        lower = np.tril_indices(3)
        self.volume_A3 = float(abs(np.linalg.det(box)))
        inverse = np.linalg.inv(box)
        widths = 1.0 / np.linalg.norm(inverse, axis=0)
        if (widths < 2.0 * cutoff_A * (1.0 - 1e-9)).any():
            raise ValueError(
                f"supercell widths {widths.round(3).tolist()} Å are below twice the cutoff "
                f"of {cutoff_A:g} Å"
            )
        bins, neighbours = _cell_list(widths, cutoff_A)
        self.cells = k.Cells(
            repeats=np.array(repeats, np.int64),
            box=np.ascontiguousarray(box[lower]),
            inverse=np.ascontiguousarray(inverse[lower]),
            bins=bins,
            neighbours=neighbours,
        )
        self.conditions = k.Conditions(
            beta=1.0 / self.temperature_K,
            activity_volume=0.0,
            four_epsilon=4.0 * epsilon_K,
            sigma2=float(sigma_A) ** 2,
            cutoff2=float(cutoff_A) ** 2,
            max_shift=MAX_SHIFT_A,
            reject=max(REJECT_K, REJECT_KT * self.temperature_K),
            translations=TRANSLATIONS,
        )
        self.proposal = k.Proposal(0.0, 0.0, 0.0, np.empty(0, np.int32))
        self.state = np.zeros(1, k.STATE)
        self.state["rng"] = seeded(self.seed, np.uint64(0))
        self.count = np.zeros(bins.prod(), np.int32)
        self.allocate(16 if len(self.count) > 1 else 64)

    def branched(self, stream: int) -> Chain:
        """A chain that starts from this one's molecules, with random stream ``stream`` of its seed.

        Its fugacity is yet to be set.
        """
        other = copy.copy(self)
        for name in ("count", "slots", "slot_of", "molecule_at", "scratch"):
            setattr(other, name, getattr(self, name).copy())
        other.state = np.zeros(1, k.STATE)
        other.state[["n_molecules", "energy_K"]] = self.state[["n_molecules", "energy_K"]]
        other.state["rng"] = seeded(self.seed, np.uint64(stream))
        return other

    @property
    def n_molecules(self) -> int:
        """Molecules in the supercell now."""
        return int(self.state["n_molecules"][0])

    def positions(self) -> np.ndarray:
        """Fractional coordinates in the supercell now, ndarray (n_molecules, 3)."""
        return self.slots[:3, self.slot_of[: self.n_molecules]].T.copy()

    def set_fugacity(self, fugacity_bar: float) -> None:
        """Choose the fugacity (bar, > 0) of the steps to come."""
        activity = fugacity_bar / (BOLTZMANN_BAR_A3_PER_K * self.temperature_K)
        self.conditions = self.conditions._replace(activity_volume=activity * self.volume_A3)
        crowding = activity * LANGMUIR_VOLUME * self.sigma_A**3
        voxels = self.host.voxels
        n = len(voxels)
        weights, keep = np.empty((2, n))
        small, large = np.empty((2, n), np.int32)
        scale, even = k.insertion_weights(self.host.factors[voxels], crowding, EVEN_SHARE, weights)
        alias = np.empty(n * k.ALIAS, np.int32)
        k.alias_table(weights, voxels, alias, keep, small, large)
        points = float(self.host.shape.prod())
        self.proposal = k.Proposal(crowding, scale * points, even * points, alias)

    def advance(self, n_steps: int, *, max_cycles: int = NO_LIMIT):
        """Take steps (a multiple of :data:`SAMPLE_STEPS`), or stop at a number of cycles.

        Returns
        -------
        trace_n, trace_w : ndarray (samples,)
            See :func:`poreflux.uptake.kernels.run_chain`.
        """
        samples = max(1, n_steps // SAMPLE_STEPS)
        trace_n, trace_w = np.empty(samples), np.empty(samples)
        state = self.state
        state["n_samples"] = 0
        end = state["n_steps"][0] + n_steps
        while True:
            left = end - state["n_steps"][0]
            k.run_chain(left, max_cycles, SAMPLE_STEPS, self.system(), state, trace_n, trace_w)
            if not state["is_full"][0]:
                break
            self.allocate(2 * self.capacity)
        done = int(state["n_samples"][0])
        return trace_n[:done], trace_w[:done]

    def system(self) -> k.System:
        """What the kernels need of the chain: its arrays, not copies."""
        guests = k.Guests(
            *self.slots, self.slot_of, self.molecule_at, self.count, self.capacity, self.scratch
        )
        host = self.host
        framework = k.Framework(host.coefficients, host.factors, host.shape)
        return k.System(self.conditions, self.proposal, framework, self.cells, guests)

    def energy_drift(self) -> tuple[float, float]:
        """The energy recomputed from scratch (K), and the running energy less that."""
        fresh = k.total_energy(self.system())
        return float(fresh), float(self.state["energy_K"][0] - fresh)

    def allocate(self, capacity: int) -> None:
        """Slots for ``capacity`` molecules a bin; molecules keep their order in each bin."""
        n_bins = len(self.count)
        # x, y, z, host energy, local Boltzmann factor
        slots = np.zeros((5, n_bins * capacity))
        slot_of = np.zeros(n_bins * capacity, np.int32)
        molecule_at = np.zeros(n_bins * capacity, np.int32)
        if self.count.any():
            for b, c in enumerate(self.count):
                old = slice(b * self.capacity, b * self.capacity + c)
                new = slice(b * capacity, b * capacity + c)
                slots[:, new] = self.slots[:, old]
                molecule_at[new] = self.molecule_at[old]
                slot_of[molecule_at[new]] = np.arange(new.start, new.stop)
        self.capacity = capacity
        self.slots, self.slot_of, self.molecule_at = slots, slot_of, molecule_at
        self.scratch = np.zeros(capacity)
        self.state["is_full"] = 0


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
    return bins, flat.astype(np.int32).reshape(-1)


class PressureRun:
    """The averaging of one chain at one fugacity: says how many steps to take, and when to stop.

    It never takes steps itself, so that chains may be advanced one after the other or together:

    >>> while run.wanted:
    ...     run.add(*run.chain.advance(run.wanted, max_cycles=run.max_cycles))

    Parameters
    ----------
    chain : Chain
        Where to start from.
    fugacity_bar : float
        Fugacity, > 0.
    schedule : Schedule
        How long.

    Attributes
    ----------
    wanted : int
        Steps to take next, a multiple of :data:`SAMPLE_STEPS`; 0 when done.
    settled : bool
        Whether the chain has relaxed enough to start the next pressure from it.
    estimate : Estimate
        Of the number of molecules in the supercell, when done.
    n_equilibration, n_production : int
        Steps discarded and averaged, when done.
    """

    def __init__(self, chain: Chain, fugacity_bar: float, schedule: Schedule):
        self.chain = chain
        self.schedule = schedule
        chain.set_fugacity(fugacity_bar)
        self.settled = False
        self.max_cycles = NO_LIMIT
        self._traces = np.empty((2, 0))
        self._least_steps = 0
        if schedule.protocol == "paper":
            self._ask_cycles()
        else:
            self._ask(math.ceil(schedule.equilibration_steps / SAMPLE_STEPS))

    def add(self, trace_n: np.ndarray, trace_w: np.ndarray) -> None:
        """Take in the samples of the steps wanted, and decide how to go on."""
        self._traces = np.concatenate([self._traces, [trace_n, trace_w]], axis=1)
        if self.schedule.protocol == "paper":
            self._ask_cycles(len(trace_n) * SAMPLE_STEPS)
        elif not self.settled:
            self._settle()
        else:
            self._decide()

    def extend(self, least_steps: int) -> None:
        """Average at least so many steps (of a run that is done).

        Correlation times change slowly with pressure: half the steps that the pressure below
        needed guard against a short trace that looks converged by luck.
        """
        if self.schedule.protocol != "paper" and least_steps > self._least_steps:
            self._least_steps = least_steps
            self._decide()

    def _samples(self) -> int:
        return self._traces.shape[1]

    def _ask(self, samples: int) -> None:
        self.wanted = max(1, samples) * SAMPLE_STEPS

    def _finish(self, estimate: Estimate) -> None:
        self.wanted = 0
        self.estimate = estimate
        self.n_equilibration = estimate.discarded * SAMPLE_STEPS
        self.n_production = (self._samples() - estimate.discarded) * SAMPLE_STEPS

    def _ask_cycles(self, done: int = 0) -> None:
        """Exactly 50,000 cycles; the last incomplete sample (under 250 steps) is not averaged."""
        if self.max_cycles == NO_LIMIT:
            self.max_cycles = PAPER_CYCLES // 10
        elif done < self.wanted:
            self.settled = True
            if self.max_cycles == PAPER_CYCLES:
                self._finish(estimate(*self._traces))
                return
            self.max_cycles = PAPER_CYCLES
        self._ask(1_000_000 // SAMPLE_STEPS)

    def _least_discarded(self) -> int:
        """Samples that the schedule discards, given how many molecules there are."""
        crowd = float(self._traces[0, -1])
        steps = max(self.schedule.equilibration_steps, EQUILIBRATION_PER_MOLECULE * crowd)
        return math.ceil(steps / SAMPLE_STEPS)

    def _settle(self) -> None:
        most = math.ceil(self.schedule.max_steps / SAMPLE_STEPS)
        left = min(self._least_discarded(), most) - self._samples()
        self.settled = left <= 0
        self._ask(left if left > 0 else self.schedule.production_steps // SAMPLE_STEPS)

    def _decide(self) -> None:
        schedule = self.schedule
        most = math.ceil(schedule.max_steps / SAMPLE_STEPS)
        crowd = float(self._traces[0, -1])
        first = min(self._least_discarded(), self._samples() // 2)
        least = max(schedule.production_steps, PRODUCTION_PER_MOLECULE * crowd, self._least_steps)
        least = min(math.ceil(least / SAMPLE_STEPS), most)
        found = estimate(*self._traces, min_discard=first)
        done = self._samples() - found.discarded
        wanted = schedule.target_error * abs(found.mean)
        sound = found.equilibrated and found.confirmed
        good = sound and found.error <= wanted and done >= least
        if good or done >= most:
            self._finish(found)
            return
        need = least
        if found.error > wanted > 0.0:
            need = int(1.1 * done * min(9.0, (found.error / wanted) ** 2))
        if not sound:
            need = max(need, 2 * done)
        # at most threefold, since an early error is itself uncertain
        goal = min(most, max(need, least, done + done // 4 + 1), 3 * done)
        self._ask(goal - done)


class IsothermRun:
    """The chains of one host at rising fugacities.

    Each starts from the molecules of the one below once that has settled, with a random stream
    of its own: what comes out depends on neither the order in which the chains are advanced
    nor how many at a time.

    Parameters
    ----------
    chain : Chain
        The first, empty.
    fugacities_bar : sequence of float
        Rising.
    schedule : Schedule
        How long, at each.
    """

    def __init__(self, chain: Chain, fugacities_bar: Sequence[float], schedule: Schedule):
        self.fugacities_bar = list(fugacities_bar)
        self.schedule = schedule
        self.runs = [PressureRun(chain, self.fugacities_bar[0], schedule)]
        self._finished = 0

    def waiting(self) -> list[PressureRun]:
        """The runs that want steps now, lowest fugacity first; empty when all are done."""
        runs = self.runs
        while runs[-1].settled and len(runs) < len(self.fugacities_bar):
            chain = runs[-1].chain.branched(len(runs))
            runs.append(PressureRun(chain, self.fugacities_bar[len(runs)], self.schedule))
        while self._finished < len(runs) and not runs[self._finished].wanted:
            if self._finished:
                runs[self._finished].extend(runs[self._finished - 1].n_production // 2)
                if runs[self._finished].wanted:
                    break
            self._finished += 1
        return [run for run in runs if run.wanted]


def run_all(isotherm: IsothermRun) -> None:
    """Advance the chains of an isotherm, one after the other, until they are done."""
    while runs := isotherm.waiting():
        run = runs[0]
        run.add(*run.chain.advance(run.wanted, max_cycles=run.max_cycles))
