"""The grid engine on a CUDA device: a thread per chain, all chains of many structures at once.

The kernel is :func:`poreflux.uptake.kernels.run_chain`, compiled for the device, where threads of a
warp take different moves together (:func:`poreflux.uptake.kernels.moved`). The chains stay
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

from poreflux.base.device import batches_of, kernel, lanes_per_warp, multiprocessors
from poreflux.uptake import kernels as k
from poreflux.uptake.grid import NO_LIMIT, SAMPLE_STEPS, Chain, IsothermRun, PressureRun

# Steps of one launch: a second or so.
LAUNCH_STEPS = 50_000
# Warps that a multiprocessor holds, by the registers of the kernel. A block is a warp: chains share
# nothing, and a block's place is free again once its slowest chain is done.
WARPS_HELD = 8
# Slots a chain starts with, so that few have to grow.
CAPACITY = 256
# What a lane, a chain under way, has: its conditions and proposal, and where its parts of the flat
# arrays begin and end.
IN_LANE = (
    "host", "alias_from", "alias_to", "slots_from", "slots_to", "bins_from", "bins_to", "capacity",
)  # fmt: skip
LANE = np.dtype(
    [(name, np.float64) for name in k.Conditions._fields + k.Proposal._fields[:3]]
    + [(name, np.int64) for name in IN_LANE],
    align=True,
)
# The same of a host, which all its chains share.
IN_HOST = ("grid_from", "grid_to", "factors_from", "factors_to", "near_from", "near_to")
HOST = np.dtype([(name, np.int64) for name in IN_HOST], align=True)


@kernel()
def advance_lanes(
    n_steps, max_cycles, lanes, hosts, coefficients, factors, neighbours, integers, boxes, alias,
    slots, slot_of, molecule_at, count, states, trace_n, trace_w,
):  # fmt: skip
    """Thread i advances chain i by ``n_steps[i]`` steps, see :func:`kernels.run_chain`.

    Parameters
    ----------
    n_steps, max_cycles : int64 (n_lanes,)
        Limits of this launch.
    lanes : LANE (n_lanes,); hosts : HOST (n_hosts,)
        Tables.
    coefficients, factors : float32, flat; neighbours : int32, flat
        Of all hosts.
    integers : int64 (n_hosts, 3, 3); boxes : float64 (n_hosts, 2, 6)
        Shape of the grid, unit cells and bins along each axis; supercell and its inverse.
    alias, slot_of, molecule_at, count : int32, flat; slots : float64 (5, n_slots)
        Of all lanes, see :class:`kernels.Proposal` and :class:`kernels.Guests`.
    states : STATE (n_lanes,)
        Moved on.
    trace_n, trace_w : float64 (n_lanes, samples)
        Filled.
    """
    i = cuda.grid(1)
    if i >= len(n_steps) or n_steps[i] == 0:
        return
    states[i]["n_samples"] = 0
    lane = lanes[i]
    h = lane["host"]
    host = hosts[h]
    first, last = lane["slots_from"], lane["slots_to"]
    # built here, for an argument of a launch is an array
    conditions = k.Conditions(
        lane["beta"], lane["activity_volume"], lane["four_epsilon"], lane["sigma2"],
        lane["cutoff2"], lane["max_shift"], lane["reject"], lane["translations"],
    )  # fmt: skip
    proposal = k.Proposal(
        lane["crowding"], lane["scale"], lane["even"], alias[lane["alias_from"] : lane["alias_to"]]
    )
    framework = k.Framework(
        coefficients[host["grid_from"] : host["grid_to"]],
        factors[host["factors_from"] : host["factors_to"]],
        integers[h, 0],
    )
    cells = k.Cells(
        integers[h, 1], boxes[h, 0], boxes[h, 1], integers[h, 2],
        neighbours[host["near_from"] : host["near_to"]],
    )  # fmt: skip
    guests = k.Guests(
        slots[0, first:last], slots[1, first:last], slots[2, first:last],
        slots[3, first:last], slots[4, first:last],
        slot_of[first:last], molecule_at[first:last],
        count[lane["bins_from"] : lane["bins_to"]],
        lane["capacity"],
        slots[0, first:last],  # the sums of the device need no scratch
    )  # fmt: skip
    system = k.System(conditions, proposal, framework, cells, guests)
    k.run_chain(
        n_steps[i], max_cycles[i], SAMPLE_STEPS, system, states[i : i + 1], trace_n[i], trace_w[i]
    )


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
    lanes = Lanes(isotherms)
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
            if any(run.chain.state["is_full"][0] for run in waiting):
                break
        lanes.fetch()
        for run in waiting:
            if run.chain.state["is_full"][0]:
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


class Lanes:
    """Chains in flat arrays, of which the device has a copy.

    Parameters
    ----------
    isotherms : list of IsothermRun
        All whose chains will be held.
    """

    def __init__(self, isotherms: list[IsothermRun]):
        first = [isotherm.runs[0].chain for isotherm in isotherms]
        self._host_of = {id(c.host): h for h, c in enumerate(first)}
        hosts = np.empty(len(first), HOST)
        parts = {
            "grid": [c.host.coefficients for c in first],
            "factors": [c.host.factors for c in first],
            "near": [c.cells.neighbours for c in first],
        }
        for name, arrays in parts.items():
            ends = _ends(arrays)
            hosts[f"{name}_from"], hosts[f"{name}_to"] = ends[:-1], ends[1:]
        self._static = [
            cuda.to_device(a)
            for a in (
                hosts,
                *map(np.concatenate, parts.values()),
                np.stack([(c.host.shape, c.cells.repeats, c.cells.bins) for c in first]),
                np.stack([(c.cells.box, c.cells.inverse) for c in first]),
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
            "state": np.zeros(n, k.STATE),
        }
        table = np.empty(n, LANE)
        for i, c in enumerate(chains):
            at, near = slice(slots[i], slots[i + 1]), slice(bins[i], bins[i + 1])
            for name, part in (
                ("slots", (slice(None), at)),
                ("slot_of", at),
                ("molecule_at", at),
                ("count", near),
                ("state", slice(i, i + 1)),
            ):
                view = mirror[name][part]
                view[...] = getattr(c, name)
                setattr(c, name, view)
            table[i] = (
                *c.conditions, *c.proposal[:3], self._host_of[id(c.host)], *self._alias_at[c],
                *slots[i : i + 2], *bins[i : i + 2], c.capacity,
            )  # fmt: skip
        self._mirror = mirror
        self._table = cuda.to_device(table)
        self._device = {name: cuda.to_device(a) for name, a in mirror.items()}
        self._lane_of = {c: i for i, c in enumerate(chains)}

    def advance(
        self, requests: list[tuple[Chain, int, int]], threads_per_block: int | None = None
    ) -> None:
        """Advance (chain, steps, most cycles) in one launch, or as far as a launch goes."""
        n = len(self._lane_of)
        self._asked = np.zeros(n, np.int64)
        cycles = np.full(n, NO_LIMIT)
        for c, steps, most in requests:
            self._asked[self._lane_of[c]] = min(steps, LAUNCH_STEPS)
            cycles[self._lane_of[c]] = most
        self._before = self._mirror["state"]["n_steps"].copy()
        traces = cuda.device_array((2, n, LAUNCH_STEPS // SAMPLE_STEPS + 1), np.float64)
        d = self._device
        threads = threads_per_block or lanes_per_warp(n, WARPS_HELD * multiprocessors())
        advance_lanes[-(-n // threads), threads](
            cuda.to_device(self._asked), cuda.to_device(cycles), self._table, *self._static,
            self._alias, d["slots"], d["slot_of"], d["molecule_at"], d["count"], d["state"],
            traces[0], traces[1],
        )  # fmt: skip
        d["state"].copy_to_host(self._mirror["state"])
        self._traces = traces.copy_to_host()

    def outcome(self, chain: Chain) -> tuple[int, int, np.ndarray, bool]:
        """Of the last launch: steps taken, steps asked for, samples (2, n), whether it is full."""
        i = self._lane_of[chain]
        state = chain.state[0]
        samples = int(state["n_samples"])
        steps = int(state["n_steps"] - self._before[i])
        traces = self._traces[:, i, :samples].copy()
        return steps, int(self._asked[i]), traces, bool(state["is_full"])

    def fetch(self) -> None:
        """Bring the state of all chains up to date."""
        for name, array in self._device.items():
            array.copy_to_host(self._mirror[name])

    def _fits(self, chain: Chain) -> bool:
        # a chain that grew has arrays of its own again
        return chain.slots.base is self._mirror["slots"]

    def _place_alias(self, chain: Chain) -> None:
        if chain not in self._alias_at:
            alias = chain.proposal.alias
            start, self._alias_end = self._alias_end, self._alias_end + len(alias)
            self._alias_at[chain] = start, self._alias_end
            self._alias[start : self._alias_end].copy_to_device(alias)
            # those of all chains together are large
            chain.proposal = chain.proposal._replace(alias=alias[:0].copy())


def _ends(arrays: list[np.ndarray]) -> np.ndarray:
    """Where each of the arrays begins when they are joined, and where the last ends."""
    return np.cumsum([0, *map(len, arrays)])
