"""The harmonic engine on a CUDA device: a thread per path, many structures at once.

A path is that of the CPU (:func:`poreflux.diffusion.paths.path_through`). The host draws starts,
makes D(t) of the paths and decides about longer and more of them; potentials and coordinates go to
the device once, starts go and paths come back with every launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numba import cuda, njit

from poreflux.base.device import WARP, batches, batches_of, kernel
from poreflux.diffusion.cuda import (
    integrator_of,
    potential_bytes,
    potential_of,
    potentials_there,
)
from poreflux.diffusion.paths import IN_NODE, Coordinates, Schedule, path_through

if TYPE_CHECKING:
    from poreflux.diffusion.harmonic import Landscape
    from poreflux.diffusion.stage import DiffusionTask

# Paths of a block: all of one structure and length, so that its threads do the same. A block is a
# warp, so that a multiprocessor is filled to the last.
IN_BLOCK = WARP
# Of a thread: the fewest that need no memory for spilled values; left to itself the compiler takes
# 254. A multiprocessor holds 9 warps in place of 8.
REGISTERS = 208
# What comes back from a launch takes about so much; it is no part of what fills the device.
LAUNCH_BYTES = 1e9
# What a block has: structure, first and last path, where the first begins among all harmonic
# coordinates, and the numbers of its Schedule.
BLOCK = np.dtype(
    [(name, np.int64) for name in ("host", "first", "last", "rows_from", *Schedule._fields)],
    align=True,
)
# What a structure has: where its nodes lie, and the numbers of its Coordinates.
INTEGERS = ("nodes_from", "nodes_to", "stride_x", "stride_y")
FLOATS = (
    *("mx", "my", "mz", "g00", "g01", "g02", "g10", "g11", "g12", "g20", "g21", "g22"),
    *("ax", "ay", "az", "bx", "by", "bz", "cx", "cy", "cz", "lowest", "beta"),
)
CHART = np.dtype(
    [(name, np.int64) for name in INTEGERS] + [(name, np.float64) for name in FLOATS], align=True
)


@njit(inline="always")
def coordinates_of(chart, nodes):
    """A row of CHART as Coordinates; ``nodes`` has those of all structures."""
    return Coordinates(
        nodes[chart["nodes_from"] : chart["nodes_to"]],
        (chart["stride_x"], chart["stride_y"]),
        (chart["mx"], chart["my"], chart["mz"]),
        (
            chart["g00"], chart["g01"], chart["g02"],
            chart["g10"], chart["g11"], chart["g12"],
            chart["g20"], chart["g21"], chart["g22"],
        ),
        (
            chart["ax"], chart["ay"], chart["az"],
            chart["bx"], chart["by"], chart["bz"],
            chart["cx"], chart["cy"], chart["cz"],
        ),
        chart["lowest"],
        chart["beta"],
    )  # fmt: skip


@kernel(REGISTERS)
def fly_blocks(blocks, hosts, grids, charts, nodes, place, velocity, moment, paths, density):
    """Thread m of block i flies path m of the block.

    Parameters
    ----------
    blocks : BLOCK (n_blocks,); hosts : HOST (n_hosts,); charts : CHART (n_hosts,)
        Tables; for HOST see :mod:`poreflux.diffusion.cuda`.
    grids, nodes : float64, flat
        Padded spline coefficients (K), and harmonic coordinates of all structures.
    place, velocity : float64 (n_paths, 3); moment : float64 (n_paths,)
        Starts, see :func:`poreflux.diffusion.paths.draw`.
    paths : float64 (rows, 3); density : float64 (n_paths,)
        Filled, see :func:`poreflux.diffusion.paths.fly`.
    """
    block, thread = blocks[cuda.blockIdx.x], cuda.threadIdx.x
    m = block["first"] + thread
    if m >= block["last"]:
        return
    host = hosts[block["host"]]
    potential, integrator = potential_of(host, grids), integrator_of(host)
    coordinates = coordinates_of(charts[block["host"]], nodes)
    schedule = Schedule(block["steps"], block["points"], block["blocks"])
    rows = block["blocks"] + 1
    begin = block["rows_from"] + thread * rows
    density[m] = path_through(
        potential, integrator, coordinates, schedule, place, velocity, moment, m,
        paths[begin : begin + rows],
    )  # fmt: skip


def run_all(tasks: Sequence[DiffusionTask], threads: int = 1) -> None:
    """Find the diffusivities of many structures on the device.

    Parameters
    ----------
    tasks : sequence of DiffusionTask
        Those not yet run, engine ``harmonic``. As many at a time go to the device as its memory
        holds.
    threads : int
        Threads of the host, for starts and analyses.

    Raises
    ------
    ConfigError
        If there is no device that can be used.
    """
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches_of(tasks, device_bytes, "diffusion.device"):
            _run_batch(batch, pool)


def device_bytes(task: DiffusionTask) -> int:
    """What a structure takes on the device: its grid and its nodes."""
    landscape = task.landscape
    nodes = np.prod(np.array(landscape.corrector_A.shape[:3]) + 1)
    return potential_bytes(landscape.field) + 8 * IN_NODE * int(nodes)


def _run_batch(tasks: list[DiffusionTask], pool: ThreadPoolExecutor) -> None:
    runs = list(pool.map(_Run, range(len(tasks)), tasks))
    device = Device([task.landscape for task in tasks])
    while waiting := [run for run in runs if run.flight]:
        # the longest first: what is short fills the gaps at the end of a launch
        waiting.sort(key=lambda run: run.flight.level, reverse=True)
        for together in batches(waiting, lambda run: 24 * run.flight.n_rows, LAUNCH_BYTES):
            list(pool.map(_Run.take, together, device.fly(together)))
        list(pool.map(_Run.go_on, waiting))


class _Run:
    """A task under way; ``flight`` are the paths that it waits for, if any."""

    def __init__(self, host: int, task: DiffusionTask):
        self.host, self.task = host, task
        self._paths, self._search = task.search()
        self.go_on()

    def take(self, flown: tuple[np.ndarray, np.ndarray]) -> None:
        """The paths that were waited for, and their densities."""
        self._paths.add(self.flight, *flown)

    def go_on(self) -> None:
        """Analyse what there is: other paths are wanted then, or none."""
        try:
            self.flight = next(self._search)
        except StopIteration as done:
            self.task.settle(done.value)
            self.flight = self._paths = self._search = None


class Device:
    """Potentials and harmonic coordinates on the device, and launches.

    Parameters
    ----------
    landscapes : list of Landscape
        One a structure; their number is the ``host`` of a run.
    """

    def __init__(self, landscapes: list[Landscape]):
        nodes = [landscape.coordinates.nodes for landscape in landscapes]
        ends = np.cumsum([0, *map(len, nodes)])
        charts = []
        for landscape, start, end in zip(landscapes, ends[:-1], ends[1:], strict=True):
            _, strides, lengths, to_grid, cell, lowest, beta = landscape.coordinates
            charts.append((start, end, *strides, *lengths, *to_grid, *cell, lowest, beta))
        self._static = [
            *potentials_there([(x.field, x.dynamics) for x in landscapes]),
            cuda.to_device(np.array(charts, CHART)),
            cuda.to_device(np.concatenate(nodes)),
        ]

    def fly(self, runs: Sequence[_Run]) -> list[tuple[np.ndarray, np.ndarray]]:
        """One launch: for each run the paths that it waits for, and their densities."""
        flights = [run.flight for run in runs]
        firsts = np.cumsum([0, *(len(flight.place) for flight in flights)])
        rows = np.cumsum([0, *(flight.n_rows for flight in flights)])
        blocks = []
        for i, (run, flight) in enumerate(zip(runs, flights, strict=True)):
            for first in range(firsts[i], firsts[i + 1], IN_BLOCK):
                last = min(first + IN_BLOCK, firsts[i + 1])
                rows_from = rows[i] + (first - firsts[i]) * (flight.schedule.blocks + 1)
                blocks.append((run.host, first, last, rows_from, *flight.schedule))
        starts = [
            cuda.to_device(np.concatenate([getattr(flight, name) for flight in flights]))
            for name in ("place", "velocity", "moment")
        ]
        paths = cuda.device_array((int(rows[-1]), 3), np.float64)
        density = cuda.device_array(int(firsts[-1]), np.float64)
        fly_blocks[len(blocks), IN_BLOCK](
            cuda.to_device(np.array(blocks, BLOCK)), *self._static, *starts, paths, density
        )
        paths, density = paths.copy_to_host(), density.copy_to_host()
        return [
            (
                paths[rows[i] : rows[i + 1]].reshape(len(flight.place), -1, 3),
                density[firsts[i] : firsts[i + 1]],
            )
            for i, flight in enumerate(flights)
        ]
