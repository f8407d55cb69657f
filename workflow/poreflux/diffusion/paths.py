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
from poreflux.diffusion.grid_engine import Molecule, acceleration_at, energy_in, step

# Places tried per start that tell the normalisation, and the most until one is taken.
TRIES, MOST_TRIES = 16, 100_000
# Numbers at a point of the grid of the harmonic coordinates: the corrector's three and the ceiling.
IN_NODE = 4

_compile = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
_inline = njit(cache=True, error_model="numpy", nogil=True, _nrt=False, inline="always")


class Coordinates(NamedTuple):
    """Harmonic coordinates and the density of starts, as the kernels take them.

    Attributes
    ----------
    nodes : float64, flat
        In C order, :data:`IN_NODE` numbers at each point of a grid on the cell, whose first layer
        is repeated after the last along each axis: the corrector chi (Å), linear between the
        points, and, for the cell of the grid whose lowest corner the point is, what the density of
        starts, w |grad y|^2, is cut at; 0 where none starts.
    strides : tuple of 2 ints
        Of the nodes along x and y.
    lengths : tuple of 3 floats
        Cells of this grid along each axis.
    to_grid : tuple of 9 floats
        Row by row: coordinates of this grid = ``to_grid @ cartesian``.
    cell : tuple of 9 floats
        Lattice vectors, row by row, Å.
    lowest, beta : float
        Energy (K) at which w is 1, and 1/T (1/K).
    """

    nodes: np.ndarray
    strides: tuple
    lengths: tuple
    to_grid: tuple
    cell: tuple
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
def _node(coordinates, i, j, k):
    """Where the numbers of a point begin."""
    stride_x, stride_y = coordinates.strides
    return i * stride_x + j * stride_y + k * IN_NODE


@_inline
def _corners(coordinates, i, j, k, axis):
    """Component ``axis`` of the corrector at the corners of a cell, z fastest."""
    nodes, (stride_x, stride_y) = coordinates.nodes, coordinates.strides
    # unsigned: a signed index costs a test for negative ones
    o, z = np.uintp(_node(coordinates, i, j, k) + axis), np.uintp(IN_NODE)
    x, y = np.uintp(stride_x), np.uintp(stride_y)
    return (
        nodes[o], nodes[o + z], nodes[o + y], nodes[o + y + z],
        nodes[o + x], nodes[o + x + z], nodes[o + x + y], nodes[o + x + y + z],
    )  # fmt: skip


@_inline
def _slopes(coordinates, i, j, k, x, y, z, axis):
    """Gradient of component ``axis`` of the corrector along the grid, at (x, y, z) of a cell."""
    c000, c001, c010, c011, c100, c101, c110, c111 = _corners(coordinates, i, j, k, axis)
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
def square_gradient(coordinates, i, j, k, x, y, z):
    """Sum over i of |grad y_i|^2 at (x, y, z) in [0, 1] of cell (i, j, k)."""
    g00, g01, g02, g10, g11, g12, g20, g21, g22 = coordinates.to_grid
    total = 0.0
    for axis in range(3):
        sx, sy, sz = _slopes(coordinates, i, j, k, x, y, z, axis)
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
    """Number of the grid cell, of ``n``, and the place in it of a coordinate in [0, 1]."""
    f *= n
    i = min(int(f), int(n) - 1)
    return i, f - i


@_inline
def density_over_weight(potential, coordinates, x, y, z):
    """What starts are drawn with, over w, at coordinates of the potential's grid."""
    lx, ly, lz = potential.lengths
    mx, my, mz = coordinates.lengths
    i, fx = _cell_of(x / lx, mx)
    j, fy = _cell_of(y / ly, my)
    k, fz = _cell_of(z / lz, mz)
    most = coordinates.nodes[_node(coordinates, i, j, k) + 3]
    if most <= 0.0:
        return 0.0
    square = square_gradient(coordinates, i, j, k, fx, fy, fz)
    height = coordinates.beta * (energy_in(potential, x, y, z) - coordinates.lowest)
    # a place so high that its weight is nothing
    if height > 600.0:
        return square
    return min(square, most * math.exp(height))


@_inline
def harmonic_at(coordinates, fx, fy, fz):
    """The corrector at fractional coordinates in [0, 1], Å."""
    mx, my, mz = coordinates.lengths
    i, x = _cell_of(fx, mx)
    j, y = _cell_of(fy, my)
    k, z = _cell_of(fz, mz)
    return (
        _between(_corners(coordinates, i, j, k, 0), x, y, z),
        _between(_corners(coordinates, i, j, k, 1), x, y, z),
        _between(_corners(coordinates, i, j, k, 2), x, y, z),
    )


@_inline
def _between(corners, x, y, z):
    c000, c001, c010, c011, c100, c101, c110, c111 = corners
    x0, y0, z0 = 1.0 - x, 1.0 - y, 1.0 - z
    return x0 * (y0 * (z0 * c000 + z * c001) + y * (z0 * c010 + z * c011)) + x * (
        y0 * (z0 * c100 + z * c101) + y * (z0 * c110 + z * c111)
    )


@_compile
def draw(potential, coordinates, cells, cumulative, seed, first, place, velocity, moment, found):
    """Starts with density min(w |grad y|^2, ceiling), by rejection.

    Parameters
    ----------
    potential, coordinates
        Named tuples.
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
    lx, ly, lz = potential.lengths
    mx, my, mz = coordinates.lengths
    ny, nz = int(my), int(mz)
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
            fx, fy, fz = (i + x) / mx, (j + y) / my, (k + z) / mz
            square = square_gradient(coordinates, i, j, k, x, y, z)
            height = energy_in(potential, fx * lx, fy * ly, fz * lz)
            weight = math.exp(-coordinates.beta * (height - coordinates.lowest))
            most = coordinates.nodes[_node(coordinates, i, j, k) + 3]
            share = min(1.0, square * weight / most)
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


@_inline
def path_through(potential, integrator, coordinates, schedule, place, velocity, moment, m, path):
    """A path, first from its start to its end, then from there to its beginning.

    Parameters
    ----------
    potential, integrator, coordinates, schedule
        Named tuples.
    place, velocity, moment
        From :func:`draw`.
    m : int
        The row of the start in these.
    path : float64 (blocks + 1, 3)
        Filled: harmonic coordinates at the ends of the blocks, Å.

    Returns
    -------
    float
        Mean over the points of the path of :func:`density_over_weight`.
    """
    lx, ly, lz = potential.lengths
    n_points = schedule.points * schedule.blocks + 1
    speed = math.sqrt(integrator.thermal)
    x, y, z = place[m, 0] * lx, place[m, 1] * ly, place[m, 2] * lz
    vx, vy, vz = speed * velocity[m, 0], speed * velocity[m, 1], speed * velocity[m, 2]
    ax, ay, az = acceleration_at(potential, integrator.kelvin, x, y, z)
    here = np.int64(0)
    molecule = Molecule(x, y, z, here, here, here, vx, vy, vz, ax, ay, az)
    # what runs back in time runs with its velocity turned
    back = Molecule(x, y, z, here, here, here, -vx, -vy, -vz, ax, ay, az)
    first = min(int(moment[m] * n_points), n_points - 1)
    point, ahead, total = first, 1, 0.0
    # one loop for both ways: threads of a device that turn at different points stay together
    for visited in range(n_points):
        if visited > 0:
            if point == n_points - 1:
                molecule, point, ahead = back, first, -1
            for _ in range(schedule.steps):
                molecule = step(potential, integrator, 1.0, molecule)
            point += ahead
        total += density_over_weight(potential, coordinates, molecule.x, molecule.y, molecule.z)
        if point % schedule.points == 0:
            _note(coordinates, molecule, potential.lengths, path[point // schedule.points])
    return total / n_points


@_compile
def fly(potential, integrator, coordinates, schedule, place, velocity, moment, paths, density):
    """Paths through starts, without a thermostat.

    Parameters
    ----------
    potential, integrator, coordinates, schedule, place, velocity, moment
        As for :func:`path_through`.
    paths : float64 (n_starts, blocks + 1, 3)
        Filled: the path of each start.
    density : float64 (n_starts,)
        Filled: what :func:`path_through` returns for each.
    """
    for m in range(len(place)):
        density[m] = path_through(
            potential, integrator, coordinates, schedule, place, velocity, moment, m, paths[m]
        )
