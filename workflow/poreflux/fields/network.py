"""A periodic energy landscape as a network of conductors, and the corrector of its cell problem.

With w = exp(-E/kT), the corrector chi_i of direction i is the periodic function that makes the
current w (e_i + grad chi_i) end nowhere. It is found on the points of a grid: conductances join
neighbouring points, and chi_i is the potential that, added to that of a unit gradient, dissipates
least. The mobility is that least power; the harmonic coordinates x_i + chi_i are those in which
diffusion forgets its barriers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import splu

# Points this many kT above the lowest are closed: passing them takes longer than anything else.
CEILING_KT = 25.0
# The search ends when this many steps lower the dissipated power by less than this share, or when
# the residual has fallen to this share of the power of a unit gradient.
LOOK_EVERY, SETTLED, PRECISION = 30, 1e-3, 1e-14
MAX_STEPS = 5000
# The equations are solved directly where the search leaves less than this share of the power of a
# unit gradient, but more than what round-off leaves of a closed direction.
DIRECT_BELOW, LEAST_SHARE = 0.02, 1e-12

# Windows of tight pores need a fine grid and wide pores do not: this spacing in Å times the cube
# root of the open share, within limits, and wider in large cells so that no more than OPEN_POINTS
# are open.
SPACING_A, SPACING_LIMITS_A, OPEN_POINTS = 0.5, (0.2, 0.6), 60_000


@dataclass(frozen=True)
class Network:
    """Conductors between the open points of a periodic grid.

    Attributes
    ----------
    shape : tuple of 3 ints
        Of the grid, on one cell.
    points : ndarray int64 (n,)
        Flat indices of the open points.
    offsets : ndarray int64 (k, 3)
        Steps between neighbours, in grid points; each joins a point to the one ahead of it.
    steps_A : ndarray (3, k)
        The same, Cartesian, Å.
    neighbour : ndarray int32 (n, k)
        Number, among ``points``, of the one ahead; -1 for none.
    conductance : ndarray (n, k)
        Between the two, 1/Å^2: the drops d of a function f give sum(conductance d^2) = sum of
        w |grad f|^2 over the points.
    weight : ndarray (n,)
        w = exp(-E/kT) of the points over that of the lowest one that may be open.
    """

    shape: tuple[int, int, int]
    points: np.ndarray
    offsets: np.ndarray
    steps_A: np.ndarray
    neighbour: np.ndarray
    conductance: np.ndarray
    weight: np.ndarray


def network_spacing_A(volume_A3: float, open_share: float) -> float:
    """Spacing of a grid that resolves windows as far as this many open points allow, Å.

    Parameters
    ----------
    volume_A3 : float
        Of the cell.
    open_share : float
        Share of it that is open to the guest.
    """
    spacing = max(SPACING_A, (volume_A3 / OPEN_POINTS) ** (1 / 3))
    return float(np.clip(spacing * open_share ** (1 / 3), *SPACING_LIMITS_A))


def conductors(
    energy_K: np.ndarray,
    cell: np.ndarray,
    temperature_K: float,
    mask: np.ndarray | None = None,
    ceiling_kT: float = CEILING_KT,
) -> Network:
    """The network of a landscape.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy over kB on the grid of one cell, K.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    temperature_K : float
    mask : ndarray of bool (nx, ny, nz), optional
        Where the guest may be, such as the channels; everywhere if not given.
    ceiling_kT : float
        Points this far above the lowest in the mask are closed.

    Returns
    -------
    Network
        Without points if the mask is empty.

    Raises
    ------
    ValueError
        If the shapes do not fit or the temperature is not above 0.

    Notes
    -----
    Selling's reduction gives at most six directions and positive weights with which differences
    along them make the Laplacian of any cell, however skewed. Between two points the energy is
    taken for linear, for which the conductance is known exactly (Scharfetter & Gummel).

    References
    ----------
    D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 1969, 16, 64.
    J. Fehrenbach, J.-M. Mirebeau, J. Math. Imaging Vis. 2014, 49, 123 (Selling's reduction for
    diffusion on a grid).
    """
    energy, cell = np.asarray(energy_K, float), np.asarray(cell, float)
    if energy.ndim != 3 or energy.size == 0 or cell.shape != (3, 3):
        raise ValueError(f"need (nx, ny, nz) and (3, 3), got {energy.shape} and {cell.shape}")
    if not temperature_K > 0:
        raise ValueError(f"the temperature must be above 0, got {temperature_K!r}")
    mask = np.ones(energy.shape, bool) if mask is None else np.asarray(mask, bool)
    if mask.shape != energy.shape:
        raise ValueError(f"the mask has the shape {mask.shape}, the energy {energy.shape}")
    lowest = energy[mask].min() if mask.any() else 0.0
    reduced = (energy - lowest) / temperature_K
    points = np.flatnonzero((mask & (reduced < ceiling_kT)).reshape(-1))
    number = np.full(energy.size, -1, np.int32)
    number[points] = np.arange(len(points))

    to_cartesian = (cell / np.array(energy.shape)[:, None]).T
    to_grid = np.linalg.inv(to_cartesian)
    offsets, weights = stencil(to_grid @ to_grid.T)
    neighbour, conductance = _network(
        reduced, number.reshape(energy.shape), points, offsets, weights
    )
    weight = np.exp(-reduced.reshape(-1)[points])
    steps = to_cartesian @ offsets.T
    return Network(energy.shape, points, offsets, steps, neighbour, conductance, weight)


def corrector(network: Network, precision: float = PRECISION) -> np.ndarray:
    """The corrector along each Cartesian axis at the points of a network, Å, (3, n).

    Parameters
    ----------
    network : Network
    precision : float
        The search ends where the residual has fallen to this share of the power of a unit
        gradient, if it has not ended before; much smaller where barriers are to be seen whose
        Boltzmann factor comes near it.

    Notes
    -----
    Conjugate gradients from a unit gradient. Parts of the network that do not hang together have
    a solution each, up to a constant; one that does not run through the crystal along an axis
    carries no current along it.

    Behind high barriers the search may rest on a plateau far above the least power, as if a barrier
    in the middle were the highest. So where little is left of the power of a unit gradient
    (:data:`DIRECT_BELOW`), the equations are solved directly, and the potential that dissipates
    less is taken.

    References
    ----------
    G. A. Pavliotis, A. M. Stuart, Multiscale Methods (2008), ch. 13 (homogenisation).
    """
    links = network.neighbour, network.conductance
    found = np.stack([_potential(*links, step, precision) for step in network.steps_A])
    power = np.array(
        [_power_along(*links, step, chi) for step, chi in zip(network.steps_A, found, strict=True)]
    )
    whole = (network.conductance * (network.neighbour >= 0)) @ np.square(network.steps_A).T
    share = power / np.maximum(whole.sum(axis=0), np.finfo(float).tiny)
    doubtful = (share < DIRECT_BELOW) & (share > max(LEAST_SHARE, 1e3 * precision))
    if not doubtful.any():
        return found
    try:
        solved = _direct(network, doubtful)
    except RuntimeError:
        # singular in double precision: parts that links below 1e-16 of the others join
        return found
    for axis, chi in zip(np.flatnonzero(doubtful), solved, strict=True):
        if _power_along(*links, network.steps_A[axis], chi) < power[axis]:
            found[axis] = chi
    return found


def _direct(network: Network, axes: np.ndarray) -> np.ndarray:
    """The corrector along some axes (a mask) by sparse factors, Å: one point of each part is 0."""
    n, k = network.neighbour.shape
    at, ahead = np.repeat(np.arange(n), k), network.neighbour.reshape(-1)
    joined = (ahead >= 0) & (ahead != at)
    at, ahead = at[joined], ahead[joined]
    conductance = network.conductance.reshape(-1)[joined]
    # net current out of each point under unit gradients
    inflow = np.zeros((axes.sum(), n))
    for residual, step in zip(inflow, network.steps_A[axes], strict=True):
        current = conductance * np.tile(step, n)[joined]
        residual += np.bincount(at, current, n) - np.bincount(ahead, current, n)
    links = sparse.coo_array((conductance, (at, ahead)), shape=(n, n))
    links = (links + links.T).tocsc()
    total = np.asarray(links.sum(axis=0)).reshape(-1)
    _, part = sparse.csgraph.connected_components(links)
    free = np.setdiff1d(np.arange(n), np.unique(part, return_index=True)[1])
    scale = 1.0 / np.sqrt(total[free])
    scaled = sparse.dia_array((scale[None], [0]), shape=(len(free),) * 2)
    matrix = sparse.eye_array(len(free)) - scaled @ links[free][:, free] @ scaled
    factors = splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )  # fmt: skip
    potentials = np.zeros_like(inflow)
    potentials[:, free] = (scale[:, None] * factors.solve((inflow[:, free] * scale).T)).T
    return potentials


def dissipated(network: Network, potentials_A: np.ndarray) -> np.ndarray:
    """Power (3, 3) that unit gradients and ``potentials_A`` (3, n) added to them dissipate.

    In units of w: over the sum of the weights it is the diffusivity over that in free space.
    """
    return _power(network.neighbour, network.conductance, network.steps_A, potentials_A)


def dissipation(network: Network, potentials_A: np.ndarray) -> np.ndarray:
    """Power (n,) that unit gradients and ``potentials_A`` (3, n) dissipate at each point.

    Half of what the links of a point dissipate, summed over the three axes: w |grad y|^2, which no
    turn of the axes changes. Their sum is the trace of :func:`dissipated`.
    """
    return _dissipation(network.neighbour, network.conductance, network.steps_A, potentials_A)


def stencil(tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions and weights of a diffusion tensor on a grid, by Selling's reduction.

    Parameters
    ----------
    tensor : ndarray (3, 3)
        Symmetric and positive definite.

    Returns
    -------
    offsets : ndarray of int64 (k, 3)
        At most six steps between grid points.
    weights : ndarray (k,)
        Above 0, such that ``tensor`` is the sum of weights times ``outer(offset, offset)``.
    """
    base = [np.array(v) for v in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, -1, -1))]
    tiny = 1e-12 * np.trace(tensor)

    def acute():
        pairs = combinations(range(4), 2)
        return next(((i, j) for i, j in pairs if base[i] @ tensor @ base[j] > tiny), None)

    while pair := acute():
        i = pair[0]
        for other in set(range(4)) - set(pair):
            base[other] = base[other] + base[i]
        base[i] = -base[i]
    offsets, weights = [], []
    for i, j in combinations(range(4), 2):
        weight = -(base[i] @ tensor @ base[j])
        if weight > tiny:
            others = [base[k] for k in range(4) if k not in (i, j)]
            offsets.append(np.cross(*others))
            weights.append(weight)
    return np.array(offsets), np.array(weights)


@njit(cache=True, error_model="numpy", nogil=True)
def _network(reduced, number, points, offsets, weights):
    """Neighbour (-1: none) and conductance of each point along each offset."""
    nx, ny, nz = reduced.shape
    neighbour = np.full((len(points), len(weights)), -1, np.int32)
    conductance = np.zeros((len(points), len(weights)))
    for p, flat in enumerate(points):
        i, j, k = flat // (ny * nz), (flat // nz) % ny, flat % nz
        for m in range(len(weights)):
            a, b, c = (i + offsets[m, 0]) % nx, (j + offsets[m, 1]) % ny, (k + offsets[m, 2]) % nz
            q = number[a, b, c]
            if q < 0:
                continue
            higher = max(reduced[i, j, k], reduced[a, b, c])
            rise = abs(reduced[i, j, k] - reduced[a, b, c])
            # one over the mean of exp(energy) on a straight line between the two
            share = 1.0 + 0.5 * rise if rise < 1e-6 else rise / (1.0 - math.exp(-rise))
            neighbour[p, m] = q
            conductance[p, m] = weights[m] * math.exp(-higher) * share
    return neighbour, conductance


@njit(cache=True, error_model="numpy", nogil=True)
def _potential(neighbour, conductance, step, precision):
    """Potential (n,) that, added to that of a unit gradient, makes currents that end nowhere."""
    n, n_offsets = neighbour.shape
    diagonal, residual = np.zeros(n), np.zeros(n)
    power = 0.0
    for p in range(n):
        for m in range(n_offsets):
            q = neighbour[p, m]
            if q < 0:
                continue
            power += conductance[p, m] * step[m] ** 2
            if q == p:  # its own image
                continue
            diagonal[p] += conductance[p, m]
            diagonal[q] += conductance[p, m]
            current = conductance[p, m] * step[m]
            residual[p] += current
            residual[q] -= current
    for p in range(n):
        if diagonal[p] == 0.0:
            diagonal[p] = 1.0
    potential, along = np.zeros(n), residual / diagonal
    direction, current = along.copy(), np.empty(n)
    square = (residual * along).sum()
    least, seen = precision * power, power
    for count in range(MAX_STEPS):
        if square <= least:
            break
        current[:] = 0.0
        for p in range(n):
            for m in range(n_offsets):
                q = neighbour[p, m]
                if q >= 0:
                    flow = conductance[p, m] * (direction[q] - direction[p])
                    current[p] -= flow
                    current[q] += flow
        length = square / (direction * current).sum()
        potential += length * direction
        residual -= length * current
        if count % LOOK_EVERY == LOOK_EVERY - 1:
            # anew, for round-off of the first power may exceed what is left of it
            power = _power_along(neighbour, conductance, step, potential)
            if seen - power < SETTLED * power:
                break
            seen = power
        along = residual / diagonal
        before, square = square, (residual * along).sum()
        direction = along + square / before * direction
    return potential


@njit(cache=True, error_model="numpy", nogil=True)
def _power_along(neighbour, conductance, step, potential):
    """Dissipated power of one unit gradient and its potential."""
    power = 0.0
    for p in range(len(neighbour)):
        for m in range(neighbour.shape[1]):
            q = neighbour[p, m]
            if q >= 0:
                power += conductance[p, m] * (step[m] + potential[q] - potential[p]) ** 2
    return power


@njit(cache=True, error_model="numpy", nogil=True)
def _power(neighbour, conductance, steps, potentials):
    """Dissipated power (3, 3) of unit gradients and their potentials."""
    power, drop = np.zeros((3, 3)), np.empty(3)
    for p in range(len(neighbour)):
        for m in range(neighbour.shape[1]):
            q = neighbour[p, m]
            if q < 0:
                continue
            for i in range(3):
                drop[i] = steps[i, m] + potentials[i, q] - potentials[i, p]
            for i in range(3):
                for j in range(3):
                    power[i, j] += conductance[p, m] * drop[i] * drop[j]
    return power


@njit(cache=True, error_model="numpy", nogil=True)
def _dissipation(neighbour, conductance, steps, potentials):
    """Dissipated power of unit gradients and their potentials, half of each link at each end."""
    power = np.zeros(len(neighbour))
    for p in range(len(neighbour)):
        for m in range(neighbour.shape[1]):
            q = neighbour[p, m]
            if q < 0:
                continue
            for i in range(3):
                drop = steps[i, m] + potentials[i, q] - potentials[i, p]
                power[p] += 0.5 * conductance[p, m] * drop * drop
                power[q] += 0.5 * conductance[p, m] * drop * drop
    return power
