"""Mobility: how much a framework slows an overdamped guest, from its energy alone.

In the overdamped limit a lone guest obeys Smoluchowski's equation. Over many cells it then
diffuses with the diffusivity it has in free space times a tensor: the effective conductivity of a
periodic medium whose local conductivity is the Boltzmann factor, over the mean of that factor. In
one dimension this is the formula of Lifson and Jackson. The tensor depends on the barriers, on how
wide the windows are, and on how channels branch and join; it leaves out inertia.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numba import njit

# Points this many kT above the lowest are closed: passing them takes longer than anything else.
CEILING_KT = 25.0
# The search ends when this many steps lower the dissipated power by less than this share.
LOOK_EVERY, SETTLED = 30, 1e-3
MAX_STEPS = 5000


def relative_mobility(
    energy_K: np.ndarray, cell: np.ndarray, temperature_K: float, mask: np.ndarray | None = None
) -> np.ndarray:
    """Diffusion tensor of an overdamped guest over its diffusivity in free space.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy over kB on the grid of one cell, K.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    temperature_K : float
    mask : ndarray of bool (nx, ny, nz), optional
        Where the guest may be, such as the channels; everywhere if not given.

    Returns
    -------
    ndarray (3, 3)
        Symmetric, with eigenvalues from 0 (closed) to 1 (free space).

    Raises
    ------
    ValueError
        If the shapes do not fit or the temperature is not above 0.

    Notes
    -----
    The grid is a network of conductors. Selling's reduction gives at most six directions and
    positive weights with which differences along them make the Laplacian of any cell, however
    skewed. Between two points the energy is taken for linear, for which the conductance is known
    exactly (Scharfetter & Gummel). Conjugate gradients find the potential for a unit gradient
    along each axis; the dissipated power is the conductivity, and falls to it from above.

    References
    ----------
    S. Lifson, J. L. Jackson, J. Chem. Phys. 1962, 36, 2410.
    G. A. Pavliotis, A. M. Stuart, Multiscale Methods (2008), ch. 13 (homogenisation).
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
    if not mask.any():
        return np.zeros((3, 3))
    reduced = (energy - energy[mask].min()) / temperature_K
    points = np.flatnonzero((mask & (reduced < CEILING_KT)).reshape(-1))
    number = np.full(energy.size, -1, np.int32)
    number[points] = np.arange(len(points))

    to_cartesian = (cell / np.array(energy.shape)[:, None]).T
    to_grid = np.linalg.inv(to_cartesian)
    offsets, weights = stencil(to_grid @ to_grid.T)
    neighbour, conductance = _network(
        reduced, number.reshape(energy.shape), points, offsets, weights
    )
    steps = to_cartesian @ offsets.T
    potentials = [_potential(neighbour, conductance, step) for step in steps]
    occupied = np.exp(-reduced.reshape(-1)[points]).sum()
    return _power(neighbour, conductance, steps, np.stack(potentials)) / occupied


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
def _potential(neighbour, conductance, step):
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
    least, seen = 1e-14 * power, power
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
        power -= length * square
        if count % LOOK_EVERY == LOOK_EVERY - 1:
            if seen - power < SETTLED * power:
                break
            seen = power
        along = residual / diagonal
        before, square = square, (residual * along).sum()
        direction = along + square / before * direction
    return potential


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
