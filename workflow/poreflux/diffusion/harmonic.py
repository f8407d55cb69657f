"""Self-diffusivity from picoseconds: molecular dynamics seen in harmonic coordinates.

With chi_i the corrector of the overdamped cell problem (:mod:`poreflux.fields.network`), the
harmonic coordinate y_i = x_i + chi_i(x) differs from the position by a bounded function. Both have
one long-time diffusivity,

    D_ij = lim <ydot_i(0) [y_j(t) - y_j(-t)]> / 2,    ydot_i = v . grad y_i,

the mean being over the Boltzmann distribution. The velocity of x remembers every barrier that the
molecule comes back from, that of y forgets within a few collisions: the mean is flat after one or
two picoseconds. It has its weight where y changes, on the barriers, and that is where trajectories
start; how high the barriers are makes no difference.

The field is given as a grid. Nothing here knows a framework.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from poreflux.diffusion.grid_engine import Dynamics, Field, energy_in, make_field
from poreflux.diffusion.paths import (
    IN_NODE,
    Coordinates,
    Schedule,
    draw,
    fly,
    square_gradient,
)
from poreflux.fields.channels import Accessibility, channels_of_guest
from poreflux.fields.lattice import NEIGHBOURS
from poreflux.fields.network import (
    CEILING_KT,
    Network,
    conductors,
    corrector,
    network_spacing_A,
)

# Times at which D(t) is noted are this one and its doubles; it is first looked at after FIRST_PS. A
# path is WINDOW times as long as the longest of them.
LEVEL_PS, FIRST_PS, WINDOW = 0.5, 4.0, 3
# D(t) is flat where the last doubling of t changed it by at most this many standard errors of the
# change, or this many times the error that is aimed at: what is still to come is less than half as
# much, for D(t) nears its limit about exponentially.
FLAT_SIGMAS, FLAT_TIMES = 1.5, 2.0
# Starts at first, and in what portions there are more.
FIRST_STARTS, MORE_STARTS = 512, 256
# Times at which a path asks how likely it was to start there are so far apart, fs: a guest moves
# less than the spacing of the network meanwhile.
POINT_FS = 40.0
# A relative standard error beyond which a result is no diffusivity.
MOST_ERROR = 0.3
# The network is open to this many kT above the threshold of the channels, so that their walls are
# in it, and its search ends at this precision, below the Boltzmann factor of 60 kT.
WALL_KT, PRECISION = 5.0, 1e-30
# Layers of closed points beside the network that get coordinates too: molecules may go there.
LAYERS = 4
# The density of starts in a cell of the network is cut at this much of its highest value among the
# corners and the middle.
ABOVE = 2.0

NO_CHANNEL = "no channel"
BALLISTIC = "ballistic"
UNSETTLED = "unsettled"
UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Landscape:
    """Where and how a guest moves: a field with its channels, and harmonic coordinates in it.

    Attributes
    ----------
    field : Field
        The potential, as the dynamics takes it.
    dynamics : Dynamics
        Mass, temperature and time step; no thermostat.
    corrector_A : ndarray (mx, my, mz, 3)
        chi at the points of a grid on the cell, linear between them, Å.
    cells : ndarray int64 (n,)
        Flat indices of those cells of this grid (by their lowest corner) that starts come from.
    partition_A3 : float
        Integral of exp(-(E - ``lowest_K``) / kT) over the channels of one cell, Å^3.
    lowest_K : float
        Lowest energy of the channels on the grid, K.
    """

    field: Field
    dynamics: Dynamics
    corrector_A: np.ndarray
    cells: np.ndarray
    partition_A3: float
    lowest_K: float

    @cached_property
    def coordinates(self) -> Coordinates:
        """What the kernels need of it."""
        shape = self.corrector_A.shape[:3]
        to_grid = (np.linalg.inv(self.field.cell) * np.array(shape)).T
        # the corrector, and room for the ceiling
        nodes = np.pad(self.corrector_A, [(0, 1)] * 3 + [(0, 0)], mode="wrap")
        nodes = np.pad(nodes, [(0, 0)] * 3 + [(0, 1)])
        coordinates = Coordinates(
            nodes=nodes.ravel(),
            strides=(IN_NODE * nodes.shape[1] * nodes.shape[2], IN_NODE * nodes.shape[2]),
            lengths=tuple(map(float, shape)),
            to_grid=tuple(to_grid.ravel().tolist()),
            cell=tuple(self.field.cell.ravel().tolist()),
            lowest=self.lowest_K,
            beta=1.0 / self.dynamics.temperature_K,
        )
        _fill_ceiling(self.field.potential, coordinates, self.cells)
        return coordinates

    @cached_property
    def ceiling(self) -> np.ndarray:
        """What the density of starts is cut at in each of ``cells``, (n,)."""
        shape = self.corrector_A.shape[:3]
        nodes = self.coordinates.nodes.reshape(*(n + 1 for n in shape), IN_NODE)
        return nodes[(*np.unravel_index(self.cells, shape), -1)]

    @cached_property
    def cumulative(self) -> np.ndarray:
        """Share of the ceilings in each cell and those before it, (n,)."""
        running = np.cumsum(self.ceiling)
        return running / running[-1]

    @property
    def scale(self) -> float:
        """Integral of the ceiling over the partition function."""
        n_cells = math.prod(self.corrector_A.shape[:3])
        volume = abs(float(np.linalg.det(self.field.cell))) / n_cells
        return float(self.ceiling.sum()) * volume / self.partition_A3


@dataclass(frozen=True)
class Harmonic:
    """What :func:`harmonic_diffusivity` finds.

    Attributes
    ----------
    d_A2_fs, d_err_A2_fs : float
        A third of the trace of the tensor, and its standard error, Å^2/fs.
    tensor_A2_fs : ndarray (3, 3)
        Diffusion tensor (Cartesian), symmetric.
    tensor_err_A2_fs : ndarray (3, 3)
        Standard errors of its components.
    times_ps, curve_A2_fs, curve_err_A2_fs : ndarray (k,)
        D(t) at ``times_ps``; the last is ``d_A2_fs``.
    n_starts : int
        Paths, each :data:`WINDOW` times as long as the longest of these times.
    reason : str
        Empty, or why ``d_A2_fs`` is no diffusivity: :data:`NO_CHANNEL`, :data:`BALLISTIC` or
        :data:`UNSETTLED` (D(t) still rises, or falls, at the longest time), or :data:`UNCERTAIN`
        (relative error above 30 %).
    """

    d_A2_fs: float
    d_err_A2_fs: float
    tensor_A2_fs: np.ndarray
    tensor_err_A2_fs: np.ndarray
    times_ps: np.ndarray
    curve_A2_fs: np.ndarray
    curve_err_A2_fs: np.ndarray
    n_starts: int
    reason: str

    @property
    def diffusive(self) -> bool:
        """Whether ``d_A2_fs`` is a diffusivity."""
        return not self.reason

    @property
    def time_ps(self) -> float:
        """The time at which D(t) was taken; 0 where nothing ran."""
        return float(self.times_ps[-1]) if len(self.times_ps) else 0.0

    @property
    def d_half_A2_fs(self) -> float:
        """D at half this time."""
        return float(self.curve_A2_fs[-2]) if len(self.times_ps) else 0.0

    @property
    def principal_A2_fs(self) -> np.ndarray:
        """Principal values of the tensor, falling, (3,)."""
        return np.linalg.eigvalsh(self.tensor_A2_fs)[::-1]


def harmonic_diffusivity(
    energy_K: np.ndarray,
    cell: np.ndarray,
    dynamics: Dynamics,
    *,
    threshold_kT: float,
    cap_K: float,
    seed: int,
    target_error: float = 0.05,
    longest_ps: float = 64.0,
    most_starts: int = 32_768,
    channels: Accessibility | None = None,
) -> Harmonic:
    """Diffusion tensor of a guest at infinite dilution in a periodic field.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy at fractional coordinates (i/nx, j/ny, k/nz), K.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    dynamics : Dynamics
        Mass, temperature, time step. There is no thermostat: ``tau_fs`` is not used.
    threshold_kT : float
        Channels are regions below this that run through the crystal; barriers beyond it by more
        than :data:`WALL_KT` are walls.
    cap_K : float
        See :func:`poreflux.diffusion.grid_engine.make_field`.
    seed : int
        In [0, 2**64).
    target_error : float
        Relative standard error at which there are enough starts.
    longest_ps : float
        Longest time for D(t) to become flat.
    most_starts : int
        Where the error does not reach its target.
    channels : Accessibility, optional
        From :func:`poreflux.fields.channels.channels_of_guest`, if it is known.

    Returns
    -------
    Harmonic

    Notes
    -----
    Places are drawn with a density proportional to w |grad y|^2, what a current dissipates there,
    velocities from Maxwell's distribution. A start lies at a random time of its path, which runs
    forwards and backwards from it under Newton's equations in the spline of the field. Each path
    is weighted with one over the mean of |grad y|^2 along it, which makes the estimate exact for
    any bounded chi, once t is long enough (docs/diffusion.md has the derivation and its sources).
    D is taken at the first time, from :data:`FIRST_PS` on, at which it is flat
    (:func:`is_flat`); paths are added until its error is small.
    """
    landscape = prepare(
        energy_K, cell, dynamics, threshold_kT=threshold_kT, cap_K=cap_K, channels=channels
    )
    if landscape is None:
        nothing, none = np.zeros((3, 3)), np.zeros(0)
        return Harmonic(0.0, 0.0, nothing, nothing, none, none, none, 0, NO_CHANNEL)
    return run(
        landscape,
        seed=seed,
        target_error=target_error,
        longest_ps=longest_ps,
        most_starts=most_starts,
    )


def prepare(
    energy_K: np.ndarray,
    cell: np.ndarray,
    dynamics: Dynamics,
    *,
    threshold_kT: float,
    cap_K: float,
    channels: Accessibility | None = None,
    spacing_A: float | None = None,
) -> Landscape | None:
    """Field, channels and harmonic coordinates; ``None`` where no channel runs through.

    Parameters are those of :func:`harmonic_diffusivity`; ``spacing_A`` is that of the network, by
    default :func:`poreflux.fields.network.network_spacing_A`.
    """
    energy, cell = np.asarray(energy_K, float), np.asarray(cell, float)
    temperature_K = dynamics.temperature_K
    if channels is None:
        channels, _ = channels_of_guest(energy, threshold_kT, temperature_K, cap_K)
    if channels.dimensionality == 0:
        return None
    dynamics = Dynamics(dynamics.mass_amu, temperature_K, dynamics.timestep_fs, 0.0)
    field = make_field(energy, cell, cap_K)
    lowest = float(energy[channels.mask].min())
    volume = abs(float(np.linalg.det(cell)))
    if spacing_A is None:
        is_open = channels.mask & (energy < lowest + CEILING_KT * temperature_K)
        spacing_A = network_spacing_A(volume, float(is_open.mean()))
    shape = tuple(max(2, math.ceil(a / spacing_A - 1e-9)) for a in np.linalg.norm(cell, axis=1))
    height_kT = threshold_kT - lowest / temperature_K
    network = conductors(
        _on_grid(field.potential, shape),
        cell,
        temperature_K,
        _nearby(channels.mask, shape),
        max(CEILING_KT, height_kT + WALL_KT),
    )
    chi, known = coordinates(network, corrector(network, PRECISION), cell)
    weight = np.exp((lowest - energy[channels.mask]) / temperature_K)
    return Landscape(
        field=field,
        dynamics=dynamics,
        corrector_A=chi,
        cells=_inner_cells(network, known),
        partition_A3=float(weight.sum()) * volume / energy.size,
        lowest_K=lowest,
    )


def coordinates(
    network: Network, potentials_A: np.ndarray, cell: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The corrector on the whole grid, from that on the points of a network.

    Parameters
    ----------
    network : Network
    potentials_A : ndarray (3, n)
        From :func:`poreflux.fields.network.corrector`, Å.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.

    Returns
    -------
    chi : ndarray (mx, my, mz, 3)
        Å; in :data:`LAYERS` layers around the open points such that y goes on as it ends; 0
        beyond.
    known : ndarray bool (mx, my, mz)
        The open points and these layers.
    """
    chi = np.zeros((math.prod(network.shape), 3))
    chi[network.points] = potentials_A.T
    known = np.zeros(len(chi), bool)
    known[network.points] = True
    chi, known = chi.reshape(*network.shape, 3), known.reshape(network.shape)
    steps = NEIGHBOURS / np.array(network.shape) @ cell
    for _ in range(LAYERS):
        chi, known = _one_layer_more(chi, known, NEIGHBOURS, steps)
    return chi, known


def run(
    landscape: Landscape, *, seed: int, target_error: float, longest_ps: float, most_starts: int
) -> Harmonic:
    """Paths until D is flat and precise; see :func:`harmonic_diffusivity`."""
    paths = Paths(landscape, seed)
    return driven(
        paths,
        searching(paths, target_error=target_error, longest_ps=longest_ps, most_starts=most_starts),
    )


def driven(paths: Paths, search: Generator[Flight, None, Harmonic]) -> Harmonic:
    """The outcome of a :func:`searching` whose paths are flown here."""
    try:
        while True:
            paths.fly(next(search))
    except StopIteration as done:
        return done.value


def searching(
    paths: Paths, *, target_error: float, longest_ps: float, most_starts: int
) -> Generator[Flight, None, Harmonic]:
    """:func:`run`, for a caller who makes many landscapes' paths fly at once.

    Yields
    ------
    Flight
        Paths to be flown, and to be added to ``paths``, before it goes on.

    Returns
    -------
    Harmonic
    """
    level = round(math.log2(FIRST_PS / LEVEL_PS))
    last = max(level, math.floor(math.log2(longest_ps / LEVEL_PS)))
    n_starts = FIRST_STARTS
    while True:
        yield paths.missing(n_starts, level)
        curve = paths.curve(n_starts, level)
        d, error = _mean_and_error(curve[:, -1])
        flat = is_flat(curve, target_error)
        if not flat and level < last:
            level += 1
        elif flat and error > target_error * abs(d) and n_starts < most_starts:
            n_starts = _more_starts(n_starts, error / abs(d) / target_error, most_starts)
        else:
            break
    reason = ""
    if not flat:
        reason = BALLISTIC if curve[:, -1].mean() > curve[:, -2].mean() else UNSETTLED
    elif error > MOST_ERROR * abs(d) or d <= 0.0:
        reason = UNCERTAIN
    tensor, tensor_error = _mean_and_error(paths.tensors(n_starts, level))
    values, errors = _mean_and_error(curve)
    return Harmonic(
        d_A2_fs=float(d),
        d_err_A2_fs=float(error),
        tensor_A2_fs=tensor,
        tensor_err_A2_fs=tensor_error,
        times_ps=LEVEL_PS * 2.0 ** np.arange(level + 1),
        curve_A2_fs=values,
        curve_err_A2_fs=errors,
        n_starts=n_starts,
        reason=reason,
    )


def is_flat(curve: np.ndarray, tolerance: float) -> bool:
    """Whether D(t) settled: the last doubling of t changed little, see :data:`FLAT_TIMES`.

    ``curve`` (n_starts, n_times): D(t) from each start.
    """
    d, (change, error) = curve[:, -1].mean(), _mean_and_error(curve[:, -1] - curve[:, -2])
    return abs(change) <= max(FLAT_SIGMAS * error, FLAT_TIMES * tolerance * abs(d))


class Flight(NamedTuple):
    """Paths at their starts.

    Attributes
    ----------
    level : int
        The longest time of D(t) is ``LEVEL_PS * 2**level``.
    schedule : Schedule
        Of each path.
    place, velocity, moment, found : ndarray
        From :func:`poreflux.diffusion.paths.draw`.
    """

    level: int
    schedule: Schedule
    place: np.ndarray
    velocity: np.ndarray
    moment: np.ndarray
    found: np.ndarray

    @property
    def n_rows(self) -> int:
        """Harmonic coordinates that are noted, of all paths."""
        return len(self.place) * (self.schedule.blocks + 1)


class Paths:
    """Paths of one landscape, and what they say of D.

    Parameters
    ----------
    landscape : Landscape
    seed : int
        Path number m depends on it, on m and on its length alone.
    """

    def __init__(self, landscape: Landscape, seed: int):
        self.landscape, self._seed = landscape, seed
        self._known: dict[int, list[_Batch]] = {}

    def missing(self, n_starts: int, level: int) -> Flight | None:
        """What lacks of so many paths, at their starts; ``None`` where all are there."""
        first = sum(len(batch.found) for batch in self._known.get(level, []))
        if first >= n_starts:
            return None
        landscape, n_starts = self.landscape, n_starts - first
        timestep_fs = landscape.dynamics.timestep_fs
        steps = max(1, round(POINT_FS / timestep_fs))
        points = max(1, round(1000.0 * LEVEL_PS / (steps * timestep_fs)))
        place, velocity = np.empty((n_starts, 3)), np.empty((n_starts, 3))
        moment, found = np.empty(n_starts), np.empty(n_starts)
        draw(
            landscape.field.potential, landscape.coordinates, landscape.cells,
            landscape.cumulative, np.uint64(self._seed), first, place, velocity, moment, found,
        )  # fmt: skip
        schedule = Schedule(steps, points, WINDOW * 2**level)
        return Flight(level, schedule, place, velocity, moment, found)

    def fly(self, flight: Flight) -> None:
        """Fly and add what lacked."""
        landscape, schedule, n_starts = self.landscape, flight.schedule, len(flight.place)
        paths, density = np.empty((n_starts, schedule.blocks + 1, 3)), np.empty(n_starts)
        fly(
            landscape.field.potential, landscape.dynamics.integrator, landscape.coordinates,
            schedule, flight.place, flight.velocity, flight.moment, paths, density,
        )  # fmt: skip
        self.add(flight, paths, density)

    def add(self, flight: Flight, paths_A: np.ndarray, density: np.ndarray) -> None:
        """Keep what :func:`poreflux.diffusion.paths.fly` made of the paths that lacked."""
        schedule, timestep_fs = flight.schedule, self.landscape.dynamics.timestep_fs
        block_fs = schedule.steps * schedule.points * timestep_fs
        spectra = spectral(np.diff(paths_A, axis=1), flight.level) / block_fs
        batch = _Batch(flight.found, 1.0 / density, spectra)
        self._known.setdefault(flight.level, []).append(batch)

    def curve(self, n_starts: int, level: int) -> np.ndarray:
        """D(t) from each start at all times up to ``LEVEL_PS * 2**level``, Å^2/fs,
        (n_starts, level + 1); their mean and scatter are those of the estimate."""
        return np.trace(self._estimates(n_starts, level), axis1=2, axis2=3) / 3.0

    def tensors(self, n_starts: int, level: int) -> np.ndarray:
        """The tensor from each start at the last of these times, (n_starts, 3, 3)."""
        return self._estimates(n_starts, level)[:, -1]

    def together(self, n_starts: int, level: int) -> _Batch:
        """All paths of a length, flown here where they lack."""
        flight = self.missing(n_starts, level)
        if flight is not None:
            self.fly(flight)
        return _Batch(
            *(np.concatenate(x)[:n_starts] for x in zip(*self._known[level], strict=True))
        )

    def _estimates(self, n_starts, level):
        found, weights, spectra = self.together(n_starts, level)
        # D is a product of two means: their scatters add, to first order
        ratios = weights[:, None, None, None] * spectra
        share = (found - found.mean())[:, None, None, None]
        return self.landscape.scale * (found.mean() * ratios + share * ratios.mean(axis=0))


class _Batch(NamedTuple):
    """Per start: density over ceiling (n,); Boltzmann's density of its path over that with which
    it was drawn, without a factor common to all (n,); tensors at all times (n, k, 3, 3)."""

    found: np.ndarray
    weights: np.ndarray
    spectra: np.ndarray


def spectral(moves: np.ndarray, level: int) -> np.ndarray:
    """Half the sum of correlations of moves, over lags up to 1, 2, 4 ... 2**level blocks.

    The last lag counts half, so that what moves on for ever gives its speed squared times this
    lag. Over the length of a block this is D(t), estimated with a flat-top lag window (D. N.
    Politis, J. P. Romano, J. Time Ser. Anal. 1995, 16, 67).

    Parameters
    ----------
    moves : ndarray (n, blocks, 3)
        Of n paths over successive blocks, Å.
    level : int

    Returns
    -------
    ndarray (n, level + 1, 3, 3)
        Symmetric, Å^2. The correlation of each lag is a mean over all its pairs.
    """
    n, blocks, _ = moves.shape
    total = np.einsum("nki,nkj->nij", moves, moves) / (2.0 * blocks)
    out, lag = np.empty((n, level + 1, 3, 3)), 0
    for k in range(level + 1):
        while lag < 2**k:
            lag += 1
            product = np.einsum("nki,nkj->nij", moves[:, lag:], moves[:, :-lag])
            product = (product + product.transpose(0, 2, 1)) / (2.0 * (blocks - lag))
            total = total + product
        out[:, k] = total - 0.5 * product
    return out


def _mean_and_error(samples: np.ndarray):
    """Mean over independent starts (first axis) and its standard error."""
    return samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(len(samples))


def _more_starts(n: int, error_over_target: float, most: int) -> int:
    """How many starts make the error the target, a little more for luck; at most four times."""
    wanted = 1.1 * n * error_over_target**2
    return min(most, 4 * n, math.ceil(wanted / MORE_STARTS) * MORE_STARTS)


def _nearby(mask: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A mask on another grid of the cell, where the nearest point or one beside it is in it."""
    near = mask
    for axis in range(3):
        near = near | np.roll(near, 1, axis) | np.roll(near, -1, axis)
    index = [
        np.rint(np.arange(m) * (n / m)).astype(int) % n
        for m, n in zip(shape, mask.shape, strict=True)
    ]
    return near[np.ix_(*index)]


def _inner_cells(network: Network, known: np.ndarray) -> np.ndarray:
    """Cells of the grid with an open corner and all corners known, by their lowest corner."""
    is_open = np.zeros(known.size, bool)
    is_open[network.points] = True
    some, every = is_open.reshape(known.shape), known
    for axis in range(3):
        some = some | np.roll(some, -1, axis)
        every = every & np.roll(every, -1, axis)
    return np.flatnonzero(some & every)


@njit(cache=True, nogil=True)
def _on_grid(potential, shape):
    """Energy (K) of a field on another grid of its cell."""
    lx, ly, lz = potential.lengths
    nx, ny, nz = shape
    energy = np.empty((nx, ny, nz))
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                energy[i, j, k] = energy_in(potential, i / nx * lx, j / ny * ly, k / nz * lz)
    return energy


@njit(cache=True, nogil=True)
def _one_layer_more(chi, known, sides, steps):
    """Give each point beside known ones the mean of their y, less its own position."""
    nx, ny, nz = known.shape
    new_chi, new_known = chi.copy(), known.copy()
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if known[i, j, k]:
                    continue
                count = 0
                for side in range(len(sides)):
                    a = (i + sides[side, 0]) % nx
                    b = (j + sides[side, 1]) % ny
                    c = (k + sides[side, 2]) % nz
                    if known[a, b, c]:
                        count += 1
                        for axis in range(3):
                            new_chi[i, j, k, axis] += chi[a, b, c, axis] + steps[side, axis]
                if count:
                    new_known[i, j, k] = True
                    for axis in range(3):
                        new_chi[i, j, k, axis] /= count
    return new_chi, new_known


@njit(cache=True, nogil=True)
def _fill_ceiling(potential, coordinates, cells):
    """What the density of starts is cut at: above it almost everywhere in a cell."""
    nodes, (stride_x, stride_y) = coordinates.nodes, coordinates.strides
    nx, ny, nz = coordinates.lengths
    shape = int(nx), int(ny), int(nz)
    weight = np.zeros(shape)
    for flat in cells:
        i, j, k = flat // (shape[1] * shape[2]), flat // shape[2] % shape[1], flat % shape[2]
        highest = _weight(potential, coordinates, i + 0.5, j + 0.5, k + 0.5)
        highest *= square_gradient(coordinates, i, j, k, 0.5, 0.5, 0.5)
        for a in range(2):
            for b in range(2):
                for c in range(2):
                    p, q, r = (i + a) % shape[0], (j + b) % shape[1], (k + c) % shape[2]
                    if weight[p, q, r] == 0.0:
                        weight[p, q, r] = _weight(potential, coordinates, p, q, r)
                    square = square_gradient(coordinates, i, j, k, float(a), float(b), float(c))
                    highest = max(highest, weight[p, q, r] * square)
        nodes[i * stride_x + j * stride_y + k * IN_NODE + 3] = ABOVE * highest


@njit(cache=True, nogil=True)
def _weight(potential, coordinates, x, y, z):
    """w at coordinates of the corrector's grid."""
    lx, ly, lz = potential.lengths
    nx, ny, nz = coordinates.lengths
    energy = energy_in(potential, x / nx * lx, y / ny * ly, z / nz * lz)
    return math.exp(-coordinates.beta * (energy - coordinates.lowest))
