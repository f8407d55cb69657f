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
from dataclasses import dataclass

import numpy as np
from numba import njit

from poreflux.base.random_stream import advance, normal, seeded, uniform
from poreflux.diffusion.grid_engine import (
    Dynamics,
    Field,
    State,
    advance_state,
    cartesian,
    energy_at,
    make_field,
    refresh_acceleration,
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

# Times at which D(t) is noted are this one and its doubles; it is first looked at after FIRST_PS.
LEVEL_PS, FIRST_PS = 0.5, 2.0
# D(t) is flat where the last doubling of t changed it by at most this many standard errors of the
# change, or by the error that is aimed at: what is still to come is then much less, for D(t) nears
# its limit about exponentially.
FLAT_SIGMAS = 1.5
# Starts at first, and in what portions there are more.
FIRST_STARTS = 1024
# A relative standard error beyond which a result is no diffusivity.
MOST_ERROR = 0.3
# The network is open to this many kT above the threshold of the channels, so that their walls are
# in it, and its search ends at this precision, below the Boltzmann factor of 60 kT.
WALL_KT, PRECISION = 5.0, 1e-30
# Layers of closed points beside the network that get coordinates too: molecules may go there.
LAYERS = 4
# Points along each axis of a cell of the network at which its dissipation is estimated, and places
# among which one is chosen for a start.
SUBPOINTS, CANDIDATES = 2, 8

NO_CHANNEL = "no channel"
BALLISTIC = "ballistic"
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
        Trajectories, each run forwards and backwards for the longest time.
    reason : str
        Empty, or why ``d_A2_fs`` is no diffusivity: :data:`NO_CHANNEL`, :data:`BALLISTIC` (D(t)
        still changes at the longest time) or :data:`UNCERTAIN` (relative error above 30 %).
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
    The mean is an integral over places and velocities. Places are drawn with a density
    proportional to w |grad y|^2, what a current dissipates there, velocities with one proportional
    to that of Maxwell and Boltzmann times the speed along the gradients; both are divided out, so
    that the estimate is exact for any bounded chi, once t is long enough. From each place the
    molecule runs forwards and backwards in time under Newton's equations in the spline of the
    field. D is taken at the first time, from :data:`FIRST_PS` on, whose half gives the same within
    errors; starts are added until its error is small.
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
        _on_grid(field.coefficients, field.inverse_cap, shape),
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
    """Starts and trajectories; see :func:`harmonic_diffusivity`."""
    flights = Flights(landscape, seed)
    first = round(math.log2(FIRST_PS / LEVEL_PS))
    last = max(first, math.floor(math.log2(longest_ps / LEVEL_PS)))
    n_starts, level = FIRST_STARTS, first
    while True:
        flights.extend(n_starts, level + 1)
        # an earlier time may do after all, now that more is known
        flat = [k for k in range(first, level + 1) if flights.is_flat(k, target_error)]
        level = flat[0] if flat else level
        d, error = _mean_and_error(flights.traces(level))
        if not flat and level < last:
            level += 1
        elif flat and error > target_error * abs(d) and n_starts < most_starts:
            n_starts = _more_starts(n_starts, error / abs(d) / target_error, most_starts)
        else:
            break
    reason = ""
    if not flat:
        reason = BALLISTIC
    elif error > MOST_ERROR * abs(d) or d <= 0.0:
        reason = UNCERTAIN
    tensor, tensor_error = _mean_and_error(flights.tensors(level))
    curve = [_mean_and_error(flights.traces(k)) for k in range(level + 1)]
    return Harmonic(
        d_A2_fs=float(d),
        d_err_A2_fs=float(error),
        tensor_A2_fs=tensor,
        tensor_err_A2_fs=tensor_error,
        times_ps=LEVEL_PS * 2.0 ** np.arange(level + 1),
        curve_A2_fs=np.array([value for value, _ in curve]),
        curve_err_A2_fs=np.array([its for _, its in curve]),
        n_starts=n_starts,
        reason=reason,
    )


class Flights:
    """Trajectories from weighted starts, which may grow in number and in time.

    Parameters
    ----------
    landscape : Landscape
    seed : int
        Start number m depends on it and on m alone.
    """

    def __init__(self, landscape: Landscape, seed: int):
        self._landscape, self._seed = landscape, seed
        field, dynamics = landscape.field, landscape.dynamics
        dissipation = _dissipation(
            landscape.cells,
            landscape.corrector_A,
            field.cell,
            field.coefficients,
            field.inverse_cap,
            landscape.lowest_K,
            1.0 / dynamics.temperature_K,
        )
        self._chance = dissipation / dissipation.sum()
        self._batches: list[_Batch] = []

    def extend(self, n_starts: int, levels: int) -> None:
        """Run until there are this many starts, each with this many times noted."""
        missing = n_starts - sum(len(batch.current) for batch in self._batches)
        if missing > 0:
            self._batches.append(self._begin(n_starts - missing, missing))
        for batch in self._batches:
            self._advance(batch, levels)

    def is_flat(self, level: int, tolerance: float) -> bool:
        """Whether D(t) changed by no more than errors, or this share, since half of t.

        Where the latest starts did not run so far, the earlier ones tell.
        """
        now = self.traces(level)
        change, error = _mean_and_error(now - self.traces(level - 1)[: len(now)])
        return abs(change) <= max(FLAT_SIGMAS * error, tolerance * abs(now.mean()))

    def traces(self, level: int) -> np.ndarray:
        """A third of the trace of the tensor from each start that ran so far, Å^2/fs, (n,)."""
        return np.concatenate(
            [
                (b.current * b.moved[level]).sum(axis=1) / 3.0
                for b in self._batches
                if level < len(b.moved)
            ]
        )

    def tensors(self, level: int) -> np.ndarray:
        """The tensor from each start, symmetric, Å^2/fs, (n, 3, 3)."""
        raw = np.concatenate(
            [b.current[:, :, None] * b.moved[level][:, None, :] for b in self._batches]
        )
        return 0.5 * (raw + raw.transpose(0, 2, 1))

    def _begin(self, first: int, n_starts: int) -> _Batch:
        landscape, dynamics = self._landscape, self._landscape.dynamics
        field = landscape.field
        place, velocity = np.empty((n_starts, 3)), np.empty((n_starts, 3))
        current = np.empty((n_starts, 3))
        _draw(
            landscape.cells, self._chance, np.cumsum(self._chance), landscape.corrector_A,
            field.cell, field.coefficients, field.inverse_cap, landscape.lowest_K,
            1.0 / dynamics.temperature_K, np.uint64(self._seed), first, place, velocity, current,
        )  # fmt: skip
        speed = math.sqrt(dynamics.integrator.thermal)
        velocity *= speed
        current *= speed / landscape.partition_A3
        # forwards, then backwards: what runs back in time runs with its velocity turned
        state = State(
            position=np.concatenate([place, place]) * np.array(field.shape),
            image=np.zeros((2 * n_starts, 3), np.int64),
            velocity=np.concatenate([velocity, -velocity]),
            acceleration=np.zeros((2 * n_starts, 3)),
            friction=np.zeros((2 * n_starts, 3)),
        )
        refresh_acceleration(field, state, dynamics)
        return _Batch(state, current, [])

    def _advance(self, batch: _Batch, levels: int) -> None:
        field, dynamics = self._landscape.field, self._landscape.dynamics
        unit = max(1, round(1000.0 * LEVEL_PS / dynamics.timestep_fs))
        while len(batch.moved) < levels:
            level = len(batch.moved)
            steps = unit if level == 0 else unit * 2 ** (level - 1)
            # a chain of its own for each: it runs all its steps before the next begins
            advance_state(field, batch.state, dynamics, 1, 1, steps)
            where = _harmonic(self._landscape, batch.state)
            ahead, back = where[: len(batch.current)], where[len(batch.current) :]
            batch.moved.append(0.5 * (ahead - back))


@dataclass
class _Batch:
    """Starts: their molecules now, their weighted currents (n, 3), and for each time noted
    [y(t) - y(-t)] / 2 (n, 3)."""

    state: State
    current: np.ndarray
    moved: list[np.ndarray]


def _harmonic(landscape: Landscape, state: State) -> np.ndarray:
    """Harmonic coordinates of molecules, Å, (n, 3)."""
    field = landscape.field
    chi = _interpolated(landscape.corrector_A, state.position / np.array(field.shape))
    return cartesian(field, state) + chi


def _mean_and_error(samples: np.ndarray):
    """Mean over independent starts (first axis) and its standard error."""
    return samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(len(samples))


def _more_starts(n: int, error_over_target: float, most: int) -> int:
    """How many starts make the error the target, a little more for luck; at most four times."""
    wanted = 1.1 * n * error_over_target**2
    return min(most, 4 * n, math.ceil(wanted / FIRST_STARTS) * FIRST_STARTS)


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
def _on_grid(coefficients, inverse_cap, shape):
    """Energy (K) of a field on another grid of its cell."""
    nx, ny, nz = shape
    energy = np.empty((nx, ny, nz))
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                energy[i, j, k] = energy_at(coefficients, inverse_cap, i / nx, j / ny, k / nz)
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
def _interpolated(chi, frac):
    """The corrector (n, 3) at fractional coordinates (n, 3) in [0, 1]."""
    nx, ny, nz = chi.shape[:3]
    out = np.zeros((len(frac), 3))
    for m in range(len(frac)):
        x, y, z = frac[m, 0] * nx, frac[m, 1] * ny, frac[m, 2] * nz
        i, j, k = int(x), int(y), int(z)
        x, y, z = x - i, y - j, z - k
        for a in range(2):
            wx = x if a else 1.0 - x
            for b in range(2):
                wxy = wx * (y if b else 1.0 - y)
                for c in range(2):
                    w = wxy * (z if c else 1.0 - z)
                    corner = chi[(i + a) % nx, (j + b) % ny, (k + c) % nz]
                    for axis in range(3):
                        out[m, axis] += w * corner[axis]
    return out


@njit(cache=True, nogil=True)
def _gradients(chi, i, j, k, x, y, z, to_grid, gradient):
    """grad y_i in row i of ``gradient`` (3, 3), at (x, y, z) in [0, 1) of cell (i, j, k).

    ``to_grid`` (3, 3): grid coordinates of this grid are ``to_grid @ cartesian``.
    """
    nx, ny, nz = chi.shape[:3]
    for axis in range(3):
        g0 = g1 = g2 = 0.0
        for a in range(2):
            wx, sx = (x, 1.0) if a else (1.0 - x, -1.0)
            for b in range(2):
                wy, sy = (y, 1.0) if b else (1.0 - y, -1.0)
                for c in range(2):
                    wz, sz = (z, 1.0) if c else (1.0 - z, -1.0)
                    value = chi[(i + a) % nx, (j + b) % ny, (k + c) % nz, axis]
                    g0 += sx * wy * wz * value
                    g1 += wx * sy * wz * value
                    g2 += wx * wy * sz * value
        for d in range(3):
            gradient[axis, d] = g0 * to_grid[0, d] + g1 * to_grid[1, d] + g2 * to_grid[2, d]
        gradient[axis, axis] += 1.0


@njit(cache=True, nogil=True)
def _power_at(chi, i, j, k, x, y, z, to_grid, coefficients, inverse_cap, lowest, beta, gradient):
    """Boltzmann factor w and w |grad y|^2 at a place in a cell; ``gradient`` is filled."""
    nx, ny, nz = chi.shape[:3]
    _gradients(chi, i, j, k, x, y, z, to_grid, gradient)
    energy = energy_at(coefficients, inverse_cap, (i + x) / nx, (j + y) / ny, (k + z) / nz)
    weight = math.exp(-beta * (energy - lowest))
    return weight, weight * (gradient * gradient).sum()


@njit(cache=True, nogil=True)
def _grid_matrix(cell, shape):
    """Matrix that leads from Cartesian to grid coordinates."""
    matrix = np.linalg.inv(cell).T.copy()
    for axis in range(3):
        matrix[axis] *= shape[axis]
    return matrix


@njit(cache=True, nogil=True)
def _dissipation(cells, chi, cell, coefficients, inverse_cap, lowest, beta):
    """Mean of w |grad y|^2 over each cell (n,), from a few places in it."""
    nx, ny, nz = chi.shape[:3]
    to_grid = _grid_matrix(cell, (nx, ny, nz))
    gradient, power = np.empty((3, 3)), np.zeros(len(cells))
    for n, flat in enumerate(cells):
        i, j, k = flat // (ny * nz), flat // nz % ny, flat % nz
        for a in range(SUBPOINTS):
            for b in range(SUBPOINTS):
                for c in range(SUBPOINTS):
                    x, y, z = (a + 0.5) / SUBPOINTS, (b + 0.5) / SUBPOINTS, (c + 0.5) / SUBPOINTS
                    _, here = _power_at(
                        chi, i, j, k, x, y, z, to_grid, coefficients, inverse_cap, lowest, beta,
                        gradient,
                    )  # fmt: skip
                    power[n] += here / SUBPOINTS**3
    return power


@njit(cache=True, nogil=True)
def _draw(
    cells, chance, cumulative, chi, cell, coefficients, inverse_cap, lowest, beta, seed, first,
    place, velocity, current,
):  # fmt: skip
    """Starts: places (fractional), velocities (in thermal speeds), and weighted currents.

    A row of ``current`` is (v . grad y_i) w over the density that the start was drawn with; times
    the thermal speed and over the partition function its mean product with a function of the start
    is the mean of ydot_i times this function.

    One of some places in a cell is chosen in proportion to w |grad y|^2; that their mean takes the
    place of a normalisation leaves averages exact (importance resampling: D. B. Rubin, in Bayesian
    Statistics 3, 1988, 395). The velocity along one of the principal directions of the gradients
    is that of molecules that pass a plane.
    """
    nx, ny, nz = chi.shape[:3]
    to_grid = _grid_matrix(cell, (nx, ny, nz))
    volume = abs(np.linalg.det(cell)) / (nx * ny * nz)
    gradient, v = np.empty((3, 3)), np.empty(3)
    where, power = np.empty((CANDIDATES, 3)), np.empty(CANDIDATES)
    for m in range(len(place)):
        state = advance(seeded(seed, np.uint64(2 * (first + m))))
        n = min(np.searchsorted(cumulative, uniform(state), side="right"), len(cells) - 1)
        flat = cells[n]
        i, j, k = flat // (ny * nz), flat // nz % ny, flat % nz
        for c in range(CANDIDATES):
            for axis in range(3):
                state = advance(state)
                where[c, axis] = uniform(state)
            _, power[c] = _power_at(
                chi, i, j, k, where[c, 0], where[c, 1], where[c, 2], to_grid, coefficients,
                inverse_cap, lowest, beta, gradient,
            )  # fmt: skip
        state = advance(state)
        left, chosen = uniform(state) * power.sum(), 0
        while chosen < CANDIDATES - 1 and left >= power[chosen]:
            left -= power[chosen]
            chosen += 1
        x, y, z = where[chosen]
        weight, here = _power_at(
            chi, i, j, k, x, y, z, to_grid, coefficients, inverse_cap, lowest, beta, gradient
        )
        place[m, 0], place[m, 1], place[m, 2] = (i + x) / nx, (j + y) / ny, (k + z) / nz
        weight *= power.mean() / here * volume / chance[n] if here > 0.0 else 0.0

        state = seeded(seed, np.uint64(2 * (first + m) + 1))
        square, axes = np.linalg.eigh(gradient.T @ gradient)
        share = np.sqrt(np.maximum(square, 0.0))
        share /= share.sum()
        state = advance(state)
        left, along = uniform(state), 0
        while along < 2 and left >= share[along]:
            left -= share[along]
            along += 1
        density = 0.0
        for axis in range(3):
            other = advance(state)
            state = advance(other)
            v[axis] = normal(other, state)
            if axis == along:
                sign = 1.0 if v[axis] >= 0.0 else -1.0
                state = advance(state)
                v[axis] = sign * math.sqrt(-2.0 * math.log(1.0 - uniform(state)))
            density += share[axis] * abs(v[axis]) * math.sqrt(0.5 * math.pi)
        for d in range(3):
            velocity[m, d] = 0.0
            for axis in range(3):
                velocity[m, d] += axes[d, axis] * v[axis]
        for axis in range(3):
            current[m, axis] = 0.0
            for d in range(3):
                current[m, axis] += gradient[axis, d] * velocity[m, d]
            current[m, axis] *= weight / density
