"""Kernels of the harmonic engine: starts where the current dissipates, and paths through them.

Plain functions of scalars, arrays and named tuples of them, without allocations, as those of
:mod:`poreflux.diffusion.grid_engine`, whose step they take. A path needs nothing but its number:
its start, its speed and the time at which it passes the start come from streams of its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from poreflux.base.random_stream import advance, normal, seeded, uniform
from poreflux.diffusion.grid_engine import Molecule, acceleration_at, energy_at, step

# Places tried per start that tell the normalisation, and the most until one is taken.
TRIES, MOST_TRIES = 16, 100_000

_compile = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
_inline = njit(cache=True, error_model="numpy", nogil=True, _nrt=False, inline="always")


class Coordinates(NamedTuple):
    """Harmonic coordinates and the density of starts, as the kernels take them.

    Attributes
    ----------
    corrector : float64 (mx, my, mz, 3)
        chi at the points of a grid on the cell, linear between them, Å.
    ceiling : float64 (mx, my, mz)
        By the lowest corner of a cell of this grid: what the density of starts,
        w |grad y|^2, is cut at; 0 where none starts.
    to_grid : tuple of 9 floats
        Row by row: coordinates of this grid = ``to_grid @ cartesian``.
    cell : tuple of 9 floats
        Lattice vectors, row by row, Å.
    coefficients, inverse_cap
        Of the :class:`poreflux.diffusion.grid_engine.Field`.
    lowest, beta : float
        Energy (K) at which w is 1, and 1/T (1/K).
    """

    corrector: np.ndarray
    ceiling: np.ndarray
    to_grid: tuple
    cell: tuple
    coefficients: np.ndarray
    inverse_cap: float
    lowest: float
    beta: float


class Schedule(NamedTuple):
    """Times of a path: points, at which its density counts, and blocks of them.

    Attributes
    ----------
    steps : int
        Steps of the integrator between two points.
    points : int
        Points of a block.
    blocks : int
        Blocks of a path.
    """

    steps: int
    points: int
    blocks: int


@_inline
def _corner(n, i, a):
    """Grid point ``i`` or the one after it, in a period of ``n``."""
    i += a
    return i - n if i >= n else i


@_inline
def _slopes(chi, i, j, k, x, y, z, axis):
    """Gradient of component ``axis`` of the corrector along the grid, at (x, y, z) of a cell."""
    nx, ny, nz = chi.shape[0], chi.shape[1], chi.shape[2]
    i1, j1, k1 = _corner(nx, i, 1), _corner(ny, j, 1), _corner(nz, k, 1)
    c000, c001 = chi[i, j, k, axis], chi[i, j, k1, axis]
    c010, c011 = chi[i, j1, k, axis], chi[i, j1, k1, axis]
    c100, c101 = chi[i1, j, k, axis], chi[i1, j, k1, axis]
    c110, c111 = chi[i1, j1, k, axis], chi[i1, j1, k1, axis]
    x0, y0, z0 = 1.0 - x, 1.0 - y, 1.0 - z
    return (
        y0 * (z0 * (c100 - c000) + z * (c101 - c001))
        + y * (z0 * (c110 - c010) + z * (c111 - c011)),
        x0 * (z0 * (c010 - c000) + z * (c011 - c001))
        + x * (z0 * (c110 - c100) + z * (c111 - c101)),
        x0 * (y0 * (c001 - c000) + y * (c011 - c010))
        + x * (y0 * (c101 - c100) + y * (c111 - c110)),
    )


@_inline
def square_gradient(chi, to_grid, i, j, k, x, y, z):
    """Sum over i of |grad y_i|^2 at (x, y, z) in [0, 1] of cell (i, j, k)."""
    g00, g01, g02, g10, g11, g12, g20, g21, g22 = to_grid
    total = 0.0
    for axis in range(3):
        sx, sy, sz = _slopes(chi, i, j, k, x, y, z, axis)
        gx = sx * g00 + sy * g10 + sz * g20
        gy = sx * g01 + sy * g11 + sz * g21
        gz = sx * g02 + sy * g12 + sz * g22
        if axis == 0:
            gx += 1.0
        elif axis == 1:
            gy += 1.0
        else:
            gz += 1.0
        total += gx * gx + gy * gy + gz * gz
    return total


@_inline
def _cell_of(f, n):
    """Number of the grid cell and the place in it of a fractional coordinate in [0, 1]."""
    f *= n
    i = min(int(f), n - 1)
    return i, f - i


@_compile
def density_over_weight(coordinates, fx, fy, fz):
    """What starts are drawn with, over w, at fractional coordinates in [0, 1]."""
    chi, ceiling = coordinates.corrector, coordinates.ceiling
    i, x = _cell_of(fx, ceiling.shape[0])
    j, y = _cell_of(fy, ceiling.shape[1])
    k, z = _cell_of(fz, ceiling.shape[2])
    most = ceiling[i, j, k]
    if most <= 0.0:
        return 0.0
    square = square_gradient(chi, coordinates.to_grid, i, j, k, x, y, z)
    height = energy_at(coordinates.coefficients, coordinates.inverse_cap, fx, fy, fz)
    height = coordinates.beta * (height - coordinates.lowest)
    # a place so high that its weight is nothing
    if height > 600.0:
        return square
    return min(square, most * math.exp(height))


@_inline
def harmonic_at(coordinates, fx, fy, fz):
    """The corrector at fractional coordinates in [0, 1], Å."""
    chi = coordinates.corrector
    nx, ny, nz = chi.shape[0], chi.shape[1], chi.shape[2]
    i, x = _cell_of(fx, nx)
    j, y = _cell_of(fy, ny)
    k, z = _cell_of(fz, nz)
    c0 = c1 = c2 = 0.0
    for a in range(2):
        ia, wa = _corner(nx, i, a), x if a else 1.0 - x
        for b in range(2):
            jb, wb = _corner(ny, j, b), wa * (y if b else 1.0 - y)
            for c in range(2):
                kc, w = _corner(nz, k, c), wb * (z if c else 1.0 - z)
                c0 += w * chi[ia, jb, kc, 0]
                c1 += w * chi[ia, jb, kc, 1]
                c2 += w * chi[ia, jb, kc, 2]
    return c0, c1, c2


@_compile
def draw(coordinates, cells, cumulative, seed, first, place, velocity, moment, found):
    """Starts with density min(w |grad y|^2, ceiling), by rejection.

    Parameters
    ----------
    coordinates : Coordinates
    cells : int64 (n,)
        Flat indices of the cells with a ceiling.
    cumulative : float64 (n,)
        Running sum of their ceilings over its last value.
    seed, first
        Start number ``first + m`` depends on the seed and this number.
    place, velocity : float64 (n_starts, 3)
        Filled: fractional coordinates, and velocities in thermal speeds.
    moment : float64 (n_starts,)
        Filled: when, as a share of its length, a path passes its start.
    found : float64 (n_starts,)
        Filled: mean over some tries of density over ceiling. Its mean times the integral of the
        ceiling is the integral of the density.
    """
    nx, ny, nz = coordinates.ceiling.shape
    for m in range(len(place)):
        state = seeded(seed, np.uint64(2 * (first + m)))
        taken, total = False, 0.0
        for attempt in range(MOST_TRIES):
            state = advance(state)
            n = min(np.searchsorted(cumulative, uniform(state), side="right"), len(cells) - 1)
            flat = cells[n]
            i, j, k = flat // (ny * nz), flat // nz % ny, flat % nz
            state = advance(state)
            x = uniform(state)
            state = advance(state)
            y = uniform(state)
            state = advance(state)
            z = uniform(state)
            fx, fy, fz = (i + x) / nx, (j + y) / ny, (k + z) / nz
            square = square_gradient(coordinates.corrector, coordinates.to_grid, i, j, k, x, y, z)
            height = energy_at(coordinates.coefficients, coordinates.inverse_cap, fx, fy, fz)
            weight = math.exp(-coordinates.beta * (height - coordinates.lowest))
            share = min(1.0, square * weight / coordinates.ceiling[i, j, k])
            state = advance(state)
            if not taken and (uniform(state) < share or attempt == MOST_TRIES - 1):
                place[m, 0], place[m, 1], place[m, 2] = fx, fy, fz
                taken = True
            if attempt < TRIES:
                total += share
            elif taken:
                break
        found[m] = total / TRIES

        state = advance(seeded(seed, np.uint64(2 * (first + m) + 1)))
        moment[m] = uniform(state)
        for axis in range(3):
            other = advance(state)
            state = advance(other)
            velocity[m, axis] = normal(other, state)


@_inline
def _note(coordinates, molecule, lengths, row):
    """Write the harmonic coordinates of a molecule."""
    lx, ly, lz = lengths
    a0, a1, a2, b0, b1, b2, c0, c1, c2 = coordinates.cell
    fx, fy, fz = molecule.x / lx, molecule.y / ly, molecule.z / lz
    chi_x, chi_y, chi_z = harmonic_at(coordinates, fx, fy, fz)
    fx, fy, fz = fx + molecule.ix, fy + molecule.iy, fz + molecule.iz
    row[0] = chi_x + fx * a0 + fy * b0 + fz * c0
    row[1] = chi_y + fx * a1 + fy * b1 + fz * c1
    row[2] = chi_z + fx * a2 + fy * b2 + fz * c2


@_compile
def _one_way(potential, integrator, coordinates, schedule, molecule, point, ahead, path):
    """From point number ``point`` to the end (``ahead`` 1) or the beginning (-1) of a path.

    Returns the sum, over the points behind the first, of :func:`density_over_weight`.
    """
    lx, ly, lz = potential.lengths
    last = schedule.points * schedule.blocks if ahead > 0 else 0
    total = 0.0
    while point != last:
        for _ in range(schedule.steps):
            molecule = step(potential, integrator, 1.0, molecule)
        point += ahead
        total += density_over_weight(coordinates, molecule.x / lx, molecule.y / ly, molecule.z / lz)
        if point % schedule.points == 0:
            _note(coordinates, molecule, potential.lengths, path[point // schedule.points])
    return total


@_compile
def fly(potential, integrator, coordinates, schedule, place, velocity, moment, paths, density):
    """Paths through starts, without a thermostat.

    Parameters
    ----------
    potential, integrator, coordinates, schedule
        Named tuples.
    place, velocity, moment
        From :func:`draw`.
    paths : float64 (n_starts, blocks + 1, 3)
        Filled: harmonic coordinates at the ends of the blocks, Å.
    density : float64 (n_starts,)
        Filled: mean over the points of a path of the density of starts over w.
    """
    lx, ly, lz = potential.lengths
    n_points = schedule.points * schedule.blocks + 1
    speed = math.sqrt(integrator.thermal)
    for m in range(len(place)):
        x, y, z = place[m, 0] * lx, place[m, 1] * ly, place[m, 2] * lz
        vx, vy, vz = speed * velocity[m, 0], speed * velocity[m, 1], speed * velocity[m, 2]
        ax, ay, az = acceleration_at(potential, integrator.kelvin, x, y, z)
        point = min(int(moment[m] * n_points), n_points - 1)
        path = paths[m]
        ahead = Molecule(x, y, z, 0, 0, 0, vx, vy, vz, ax, ay, az)
        # what runs back in time runs with its velocity turned
        back = Molecule(x, y, z, 0, 0, 0, -vx, -vy, -vz, ax, ay, az)
        total = density_over_weight(coordinates, place[m, 0], place[m, 1], place[m, 2])
        if point % schedule.points == 0:
            _note(coordinates, ahead, potential.lengths, path[point // schedule.points])
        total += _one_way(potential, integrator, coordinates, schedule, ahead, point, 1, path)
        total += _one_way(potential, integrator, coordinates, schedule, back, point, -1, path)
        density[m] = total / n_points
