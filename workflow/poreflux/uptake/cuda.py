"""The grid engine on a CUDA device: a thread a chain, all chains of many structures at once.

The kernel is :func:`poreflux.uptake.kernels.run_chain`, compiled for the device. The chains stay
Python objects of the host (:mod:`poreflux.uptake.grid`), which decide how long to go on; their
arrays are views of flat arrays that have a twin on the device. Grids and alias tables go there
once, the state of the chains comes back when a chain hands its molecules on, grows or ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain as joined

import numpy as np
from numba import cuda

from poreflux.base.device import batches_of
from poreflux.uptake import kernels as k
from poreflux.uptake.grid import NO_LIMIT, SAMPLE_STEPS, Chain, IsothermRun, PressureRun

# Steps of one launch: a second or so.
LAUNCH_STEPS = 50_000
THREADS_PER_BLOCK = 64
# Slots a chain starts with, so that few have to grow.
CAPACITY = 256
# Where the parts of a lane lie in the flat arrays
HOST, ALIAS_FROM, ALIAS_TO, SLOTS_FROM, SLOTS_TO, BINS_FROM, BINS_TO, SLOTS_PER_BIN = range(8)
# The same of a host
GRID_FROM, GRID_TO, FACTORS_FROM, FACTORS_TO, NEAR_FROM, NEAR_TO = range(6)


@cuda.jit(cache=True)
def advance_lanes(
    n_steps, max_cycles, sample_steps, lanes, hosts, constants, coefficients, factors, shapes,
    alias, repeats, boxes, inverses, bins, neighbours, slots, slot_of, molecule_at, count,
    integers, floats, rng, trace_n, trace_w,
):  # fmt: skip
    """Thread i advances chain i by ``n_steps[i]`` steps, see :func:`kernels.run_chain`."""
    i = cuda.grid(1)
    if i >= len(n_steps) or n_steps[i] == 0:
        return
    integers[i, k.N_SAMPLES] = 0
    h = lanes[i, HOST]
    first, last = lanes[i, SLOTS_FROM], lanes[i, SLOTS_TO]
    k.run_chain(
        n_steps[i], max_cycles[i], sample_steps, constants[i],
        coefficients[hosts[h, GRID_FROM] : hosts[h, GRID_TO]],
        factors[hosts[h, FACTORS_FROM] : hosts[h, FACTORS_TO]],
        shapes[h],
        alias[lanes[i, ALIAS_FROM] : lanes[i, ALIAS_TO]],
        repeats[h], boxes[h], inverses[h], bins[h],
        neighbours[hosts[h, NEAR_FROM] : hosts[h, NEAR_TO]],
        lanes[i, SLOTS_PER_BIN],
        slots[0, first:last], slots[1, first:last], slots[2, first:last],
        slots[3, first:last], slots[4, first:last],
        slot_of[first:last], molecule_at[first:last],
        count[lanes[i, BINS_FROM] : lanes[i, BINS_TO]],
        integers[i], floats[i], rng[i],
        floats[i],  # the sums of the device need no scratch
        trace_n[i], trace_w[i],
    )  # fmt: skip


def run_all(isotherms: Sequence[IsothermRun], threads: int = 1) -> None:
    """Advance the chains of many isotherms on the device until all are done.

    Parameters
    ----------
    isotherms : sequence of IsothermRun
        Not yet begun. As many at a time go to the device as its memory holds.
    threads : int
        Threads of the host, for the tables of new chains and the analysis of traces.

    Raises
    ------
    ConfigError
        If there is no device that can be used.
    """
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches_of(isotherms, device_bytes, "uptake.device"):
            _run_batch(batch, pool)


def device_bytes(isotherm: IsothermRun) -> int:
    """About what an isotherm takes on the device: grids, and a chain a fugacity."""
    chain = isotherm.runs[0].chain
    host = chain.host
    lane = 4 * len(host.voxels) * k.ALIAS + 48 * CAPACITY * len(chain.count)
    return host.coefficients.nbytes + host.factors.nbytes + len(isotherm.fugacities_bar) * lane


def _run_batch(isotherms: list[IsothermRun], pool: ThreadPoolExecutor) -> None:
    lanes = _Lanes(isotherms)
    begun: dict[PressureRun, _Request] = {}
    while True:
        waiting = list(joined.from_iterable(pool.map(IsothermRun.waiting, isotherms)))
        if not waiting:
            break
        for run in waiting:
            begun.setdefault(run, _Request(run.wanted))
        lanes.hold([run.chain for run in waiting])
        # without new work on the host, go on on the device alone
        done: list[PressureRun] = []
        while not done:
            lanes.advance([(run.chain, begun[run].left, run.max_cycles) for run in waiting])
            for run in waiting:
                begun[run].take(*lanes.outcome(run.chain))
            done = [run for run in waiting if begun[run].over]
            if any(run.chain.integers[k.FULL] for run in waiting):
                break
        lanes.fetch()
        for run in waiting:
            if run.chain.integers[k.FULL]:
                run.chain.allocate(2 * run.chain.capacity)
        list(pool.map(_answer, [(run, begun.pop(run)) for run in done]))


def _answer(pair: tuple[PressureRun, _Request]) -> None:
    run, request = pair
    run.add(*request.traces())


class _Request:
    """Steps that a run wants, taken in several launches."""

    def __init__(self, steps: int):
        self.left = steps
        self.over = False
        self._parts: list[np.ndarray] = []

    def take(self, steps: int, asked: int, traces: np.ndarray, full: bool) -> None:
        self.left -= steps
        self._parts.append(traces)
        # short of what was asked: the last cycle is done
        self.over = self.left == 0 or (steps < asked and not full)

    def traces(self) -> np.ndarray:
        return np.concatenate(self._parts, axis=1)


class _Lanes:
    """Chains in flat arrays, of which the device has a copy.

    Parameters
    ----------
    isotherms : list of IsothermRun
        All whose chains will be held.
    """

    def __init__(self, isotherms: list[IsothermRun]):
        first = [isotherm.runs[0].chain for isotherm in isotherms]
        self._host_of = {id(c.host): h for h, c in enumerate(first)}
        grids = _ends([c.host.coefficients for c in first])
        factors = _ends([c.host.factors for c in first])
        near = _ends([c.neighbours for c in first])
        hosts = np.stack([grids[:-1], grids[1:], factors[:-1], factors[1:], near[:-1], near[1:]], 1)
        self._static = [
            cuda.to_device(a)
            for a in (
                hosts,
                np.concatenate([c.host.coefficients for c in first]),
                np.concatenate([c.host.factors for c in first]),
                np.stack([c.host.shape for c in first]),
                np.stack([c.repeats for c in first]),
                np.stack([c.box for c in first]),
                np.stack([c.inverse for c in first]),
                np.stack([c.bins for c in first]),
                np.concatenate([c.neighbours for c in first]),
            )
        ]
        size = sum(
            len(i.fugacities_bar) * len(c.host.voxels) * k.ALIAS
            for i, c in zip(isotherms, first, strict=True)
        )
        self._alias = cuda.device_array(size, np.int32)
        self._alias_end = 0
        self._alias_at: dict[Chain, tuple[int, int]] = {}
        self._lane_of: dict[Chain, int] = {}
        self._device: dict = {}

    def hold(self, chains: list[Chain]) -> None:
        """Have these chains on the device, and drop others where that is worth the copy."""
        known = all(c in self._lane_of and self._fits(c) for c in chains)
        if known and 2 * len(chains) > len(self._lane_of):
            return
        # neighbouring threads do about the same work
        chains = sorted(chains, key=lambda c: c.n_molecules)
        for c in chains:
            if c.capacity * len(c.count) < CAPACITY:
                c.allocate(CAPACITY)
            self._place_alias(c)
        slots = _ends([c.slot_of for c in chains])
        bins = _ends([c.count for c in chains])
        n = len(chains)
        mirror = {
            "slots": np.zeros((5, slots[-1])),
            "slot_of": np.zeros(slots[-1], np.int32),
            "molecule_at": np.zeros(slots[-1], np.int32),
            "count": np.zeros(bins[-1], np.int32),
            "integers": np.zeros((n, k.INTEGER_STATE), np.int64),
            "floats": np.zeros((n, k.FLOAT_STATE)),
            "rng": np.zeros((n, 1), np.uint64),
        }
        table = np.zeros((n, 8), np.int64)
        for i, c in enumerate(chains):
            at, near = slice(slots[i], slots[i + 1]), slice(bins[i], bins[i + 1])
            for name, part in (
                ("slots", (slice(None), at)),
                ("slot_of", at),
                ("molecule_at", at),
                ("count", near),
                ("integers", i),
                ("floats", i),
                ("rng", i),
            ):
                view = mirror[name][part]
                view[...] = getattr(c, name)
                setattr(c, name, view)
            table[i] = (
                self._host_of[id(c.host)], *self._alias_at[c], *slots[i : i + 2],
                *bins[i : i + 2], c.capacity,
            )  # fmt: skip
        self._mirror = mirror
        self._table = cuda.to_device(table)
        self._constants = cuda.to_device(np.stack([c.constants for c in chains]))
        self._device = {name: cuda.to_device(a) for name, a in mirror.items()}
        self._lane_of = {c: i for i, c in enumerate(chains)}

    def advance(self, requests: list[tuple[Chain, int, int]]) -> None:
        """Advance (chain, steps, most cycles) in one launch, or as far as a launch goes."""
        n = len(self._lane_of)
        self._asked = np.zeros(n, np.int64)
        cycles = np.full(n, NO_LIMIT)
        for c, steps, most in requests:
            self._asked[self._lane_of[c]] = min(steps, LAUNCH_STEPS)
            cycles[self._lane_of[c]] = most
        self._before = self._mirror["integers"][:, k.N_STEPS].copy()
        traces = cuda.device_array((2, n, LAUNCH_STEPS // SAMPLE_STEPS + 1), np.float64)
        d = self._device
        hosts, grids, factors, shapes, repeats, boxes, inverses, bins, near = self._static
        blocks = -(-n // THREADS_PER_BLOCK)
        advance_lanes[blocks, THREADS_PER_BLOCK](
            cuda.to_device(self._asked), cuda.to_device(cycles), SAMPLE_STEPS, self._table, hosts,
            self._constants, grids, factors, shapes, self._alias, repeats, boxes, inverses, bins,
            near, d["slots"], d["slot_of"], d["molecule_at"], d["count"], d["integers"],
            d["floats"], d["rng"], traces[0], traces[1],
        )  # fmt: skip
        d["integers"].copy_to_host(self._mirror["integers"])
        self._traces = traces.copy_to_host()

    def outcome(self, chain: Chain) -> tuple[int, int, np.ndarray, bool]:
        """Of the last launch: steps taken, steps asked for, samples (2, n), whether it is full."""
        i = self._lane_of[chain]
        samples = int(chain.integers[k.N_SAMPLES])
        steps = int(chain.integers[k.N_STEPS] - self._before[i])
        traces = self._traces[:, i, :samples].copy()
        return steps, int(self._asked[i]), traces, bool(chain.integers[k.FULL])

    def fetch(self) -> None:
        """Bring the state of all chains up to date."""
        for name, array in self._device.items():
            array.copy_to_host(self._mirror[name])

    def _fits(self, chain: Chain) -> bool:
        # a chain that grew has arrays of its own again
        return chain.slots.base is self._mirror["slots"]

    def _place_alias(self, chain: Chain) -> None:
        if chain not in self._alias_at:
            start, self._alias_end = self._alias_end, self._alias_end + len(chain.alias)
            self._alias_at[chain] = start, self._alias_end
            self._alias[start : self._alias_end].copy_to_device(chain.alias)
            # those of all chains together are large
            chain.alias = None


def _ends(arrays: list[np.ndarray]) -> np.ndarray:
    """Where each of the arrays begins when they are joined, and where the last ends."""
    return np.cumsum([0, *map(len, arrays)])
