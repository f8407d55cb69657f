"""The grid engine on a CUDA device: a thread per molecule, many structures at once.

A block holds the molecules of one thermostat and takes them through many steps per launch; the step
and the thermostat are those of the CPU (:func:`poreflux.diffusion.grid_engine.step`). The kinetic
energies of a block meet in shared memory, where every thread sums them in the CPU's order. The
host starts molecules, analyses trajectories and decides how long to go on; states go to the device
and come back with every launch, potentials go once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numba import cuda, float64, njit

from poreflux.base.device import WARP, batches_of, kernel
from poreflux.diffusion import grid_engine
from poreflux.diffusion.grid_engine import (
    PAD,
    Batch,
    Dynamics,
    Field,
    Integrator,
    Potential,
    keep_molecule,
    molecule_of,
    step,
    thermostat,
)
from poreflux.diffusion.msd import lengthening

if TYPE_CHECKING:
    from poreflux.diffusion.stage import DiffusionTask

# About how many steps per molecule a launch takes: a second or so.
LAUNCH_STEPS = 20_000
# Molecules of a block share so much memory; a thermostat has 45 at most.
MOST_IN_BLOCK = 64
# Of a thread: the fewest that need no memory for spilled values; left to itself the compiler takes
# 253. A multiprocessor holds 12 warps in place of 8.
REGISTERS = 168
# What a chain has: structure, first and last molecule, row of the first molecule's first frame,
# molecules in a frame, frames, steps per frame.
IN_CHAIN = ("host", "first", "last", "frames_from", "frame_size", "n_frames", "steps")
CHAIN = np.dtype([(name, np.int64) for name in IN_CHAIN], align=True)
# What a structure has: where its grid lies, and the numbers of its Potential and Integrator.
INTEGERS = ("grid_from", "grid_to", "stride_x", "stride_y")
FLOATS = (
    *("lx", "ly", "lz", "g00", "g01", "g02", "g10", "g11", "g12", "g20", "g21", "g22"),
    *("inverse_cap", *Integrator._fields),
)
HOST = np.dtype(
    [(name, np.int64) for name in INTEGERS] + [(name, np.float64) for name in FLOATS], align=True
)


# Named tuples are built on the device, for an argument of a launch is an array.
_inline = njit(inline="always")


@_inline
def potential_of(host, grids):
    """A row of HOST as a Potential; ``grids`` has the padded coefficients of all structures."""
    return Potential(
        grids[host["grid_from"] : host["grid_to"]],
        (host["stride_x"], host["stride_y"]),
        (host["lx"], host["ly"], host["lz"]),
        (
            host["g00"], host["g01"], host["g02"],
            host["g10"], host["g11"], host["g12"],
            host["g20"], host["g21"], host["g22"],
        ),
        host["inverse_cap"],
    )  # fmt: skip


@_inline
def integrator_of(host):
    """A row of HOST as an Integrator."""
    return Integrator(host["kelvin"], host["thermal"], host["timestep"], host["tau"])


@kernel(REGISTERS)
def advance_chains(chains, hosts, grids, position, image, velocity, acceleration, friction, frames):
    """Block i takes chain i through its frames, thread m the chain's molecule m.

    Parameters
    ----------
    chains : CHAIN (n_chains,); hosts : HOST (n_hosts,)
        Tables.
    grids : float64, flat
        Padded spline coefficients of all structures, K.
    position, velocity, acceleration : float64 (n_molecules, 3); image : int64 (n_molecules, 3)
    friction : float64 (n_chains, 3)
        State of all molecules, see :class:`grid_engine.State`.
    frames : float64 (rows, 3)
        Filled: unwrapped grid coordinates after each frame.
    """
    squares = cuda.shared.array((2, MOST_IN_BLOCK), float64)
    i, thread = cuda.blockIdx.x, cuda.threadIdx.x
    chain = chains[i]
    host = hosts[chain["host"]]
    potential, integrator = potential_of(host, grids), integrator_of(host)
    lx, ly, lz = potential.lengths
    dt, tau = integrator.timestep, integrator.tau
    n = chain["last"] - chain["first"]
    inside = thread < n
    # a thread without a molecule holds the first, which it leaves alone
    m = chain["first"] + (thread if inside else 0)
    dof = 3.0 * n
    rate = 1.0 / (tau * tau) if tau > 0.0 else 0.0
    v1, v2, v3 = friction[i, 0], friction[i, 1], friction[i, 2]
    scale = 1.0
    molecule = molecule_of(position, image, velocity, acceleration, m)
    side = 0
    for frame in range(chain["n_frames"]):
        for _ in range(chain["steps"]):
            if inside:
                molecule = step(potential, integrator, scale, molecule)
            if tau > 0.0:
                if inside:
                    vx, vy, vz = molecule.vx, molecule.vy, molecule.vz
                    squares[side, thread] = vx * vx + vy * vy + vz * vz
                # two sides in turn: nobody writes where another may still read
                cuda.syncthreads()
                square = 0.0
                for other in range(n):
                    square += squares[side, other]
                side = 1 - side
                kinetic = square / integrator.thermal
                scale, v1, v2, v3 = thermostat(kinetic, dof, rate, dt, v1, v2, v3)
        if inside:
            row = chain["frames_from"] + frame * chain["frame_size"] + thread
            frames[row, 0] = molecule.x + molecule.ix * lx
            frames[row, 1] = molecule.y + molecule.iy * ly
            frames[row, 2] = molecule.z + molecule.iz * lz
    if inside:
        keep_molecule(molecule, position, image, velocity, acceleration, m)
        for c in range(3):
            velocity[m, c] *= scale
    if thread == 0:
        friction[i, 0], friction[i, 1], friction[i, 2] = v1, v2, v3


def run_all(tasks: Sequence[DiffusionTask], threads: int = 1) -> None:
    """Run the dynamics of many structures on the device until all are done.

    Parameters
    ----------
    tasks : sequence of DiffusionTask
        Those not yet run, engine ``grid``. As many at a time go to the device as its memory holds.
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
    """About what a structure takes on the device: its grid, states, and frames of a launch."""
    frames = 2 + LAUNCH_STEPS // task.settings.steps_per_frame
    return potential_bytes(task.field) + task.settings.n_molecules * (96 + 24 * frames)


def potential_bytes(field: Field) -> int:
    """What a grid takes on the device."""
    return 8 * int(np.prod(np.array(field.shape) + sum(PAD)))


def _run_batch(tasks: list[DiffusionTask], pool: ThreadPoolExecutor) -> None:
    runs = [_Run(host, task) for host, task in enumerate(tasks)]
    device = Device([run.trajectory for run in runs])
    while waiting := [run for run in runs if run.wanted]:
        pieces = [piece for some in pool.map(_Run.missing, waiting) for piece in some]
        if pieces:
            device.advance(pieces)
        list(pool.map(_Run.answer, waiting))


class Piece:
    """What a launch does to a batch of molecules: ``n_frames`` frames of ``steps`` steps."""

    def __init__(self, host: int, run: _Run, batch: Batch, n_frames: int, steps: int):
        self.host, self.trajectory, self.batch = host, run.trajectory, batch
        self.n_frames, self.steps = n_frames, steps

    @property
    def firsts(self) -> range:
        """The first molecule of each chain."""
        return range(0, len(self.batch.state.position), self.trajectory.chain_size)

    def take(self, frames: np.ndarray) -> None:
        """The outcome: the state has moved on, ``frames`` are unwrapped grid coordinates."""
        field, batch = self.trajectory.field, self.batch
        if batch.left:
            batch.left -= self.steps
        else:
            batch.frames.append((frames / np.array(field.shape)) @ field.cell)


class _Run:
    """A task under way."""

    def __init__(self, host: int, task: DiffusionTask):
        self.host, self.task = host, task
        self.trajectory = task.trajectory()
        self._requests = lengthening(**task.growth())
        self.wanted: tuple[int, int] | None = next(self._requests)

    def missing(self) -> list[Piece]:
        """For the next launch, what lacks of the positions that are wanted."""
        n_frames, n_molecules = self.wanted
        per_frame = self.trajectory.steps_per_frame
        most = max(1, LAUNCH_STEPS // per_frame)
        pieces = []
        for batch in self.trajectory.batches(n_molecules):
            if batch.left:
                pieces.append(Piece(self.host, self, batch, 1, min(batch.left, LAUNCH_STEPS)))
                continue
            self.trajectory.begin(batch)
            left = n_frames + 1 - batch.n_frames
            if left > 0:
                pieces.append(Piece(self.host, self, batch, min(left, most), per_frame))
        return pieces

    def answer(self) -> None:
        """Analyse what is wanted, once it is there: more is wanted then, or nothing."""
        if self.missing():
            return
        try:
            self.wanted = self._requests.send(self.trajectory.positions(*self.wanted))
        except StopIteration as done:
            self.task.conclude(*done.value)
            self.wanted = self.trajectory = None


class Device:
    """Potentials on the device, and launches.

    Parameters
    ----------
    trajectories : list of grid_engine.Trajectory
        One a structure; their number is the ``host`` of a piece.
    """

    def __init__(self, trajectories: list[grid_engine.Trajectory]):
        self._static = potentials_there([(t.field, t.dynamics) for t in trajectories])

    def advance(self, pieces: list[Piece]) -> None:
        """One launch: states are moved on in place, frames handed to their pieces."""
        states = [piece.batch.state for piece in pieces]
        firsts = np.cumsum([0, *(len(s.position) for s in states)])
        sizes = np.diff(firsts)
        rows = np.cumsum([0, *(p.n_frames * n for p, n in zip(pieces, sizes, strict=True))])
        chains = []
        for i, piece in enumerate(pieces):
            size = piece.trajectory.chain_size
            for first in piece.firsts:
                last = min(first + size, sizes[i])
                chains.append((
                    piece.host, firsts[i] + first, firsts[i] + last, rows[i] + first, sizes[i],
                    piece.n_frames, piece.steps,
                ))  # fmt: skip
        chains = np.array(chains, CHAIN)
        threads = -(-int((chains["last"] - chains["first"]).max()) // WARP) * WARP
        if threads > MOST_IN_BLOCK:
            raise ValueError(f"a thermostat has more than {MOST_IN_BLOCK} molecules")
        names = ("position", "image", "velocity", "acceleration", "friction")
        arrays = [np.concatenate([getattr(s, name) for s in states]) for name in names]
        there = [cuda.to_device(array) for array in arrays]
        frames = cuda.device_array((int(rows[-1]), 3), np.float64)
        advance_chains[len(chains), threads](cuda.to_device(chains), *self._static, *there, frames)
        for array, moved in zip(arrays, there, strict=True):
            moved.copy_to_host(array)
        friction_from = np.cumsum([0, *(len(s.friction) for s in states)])
        frames = frames.copy_to_host()
        for i, piece in enumerate(pieces):
            for name, array in zip(names, arrays, strict=True):
                ends = friction_from if name == "friction" else firsts
                getattr(states[i], name)[...] = array[ends[i] : ends[i + 1]]
            part = frames[rows[i] : rows[i + 1]]
            piece.take(part.reshape(piece.n_frames, sizes[i], 3))


def potentials_there(structures: Sequence[tuple[Field, Dynamics]]) -> list:
    """The table HOST of structures, and their grids, on the device."""
    padded = [field.padded for field, _ in structures]
    ends = np.cumsum([0, *map(len, padded)])
    rows = []
    for (field, dynamics), start, end in zip(structures, ends[:-1], ends[1:], strict=True):
        _, strides, lengths, to_grid, inverse_cap = field.potential
        rows.append((start, end, *strides, *lengths, *to_grid, inverse_cap, *dynamics.integrator))
    return [cuda.to_device(np.array(rows, HOST)), cuda.to_device(np.concatenate(padded))]
