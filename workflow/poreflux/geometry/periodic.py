"""Neighbours across the faces of the cell, and the distance to the nearest surface."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from poreflux.fields.rows import row_within
from poreflux.structures.crystal import Structure


def neighbour_lists(points: np.ndarray, around: np.ndarray, reach_A: float):
    """Neighbours of each point, without itself, nearest first.

    Parameters
    ----------
    points, around : ndarray (n, 3), ndarray (m, 3)
        Cartesian, Å; ``around`` holds the points first, then their lattice images, see
        :func:`poreflux.structures.images.images`.
    reach_A : float
        No neighbour is farther than this, Å.

    Returns
    -------
    neighbour : ndarray int
        Rows of ``around``.
    start : ndarray (n + 1,) int
        ``neighbour[start[i]:start[i + 1]]`` are those of point ``i``.
    """
    near, far = cKDTree(points), cKDTree(around)
    pairs = near.sparse_distance_matrix(far, reach_A, output_type="ndarray")
    pairs = pairs[pairs["i"] != pairs["j"]]
    pairs = pairs[np.lexsort((pairs["j"], pairs["v"], pairs["i"]))]
    return pairs["j"], np.searchsorted(pairs["i"], np.arange(len(points) + 1))


def clearance_grid(
    structure: Structure, radii: np.ndarray, spacing_A: float, cap_A: float
) -> np.ndarray:
    """Distance to the nearest atom's surface at every point of a periodic grid.

    Parameters
    ----------
    structure : Structure
        The framework; grid points lie at fractional coordinates (i/nx, j/ny, k/nz).
    radii : ndarray (n_atoms,)
        Å.
    spacing_A : float
        No spacing along the cell edges is larger.
    cap_A : float
        Larger clearances are given as this, Å.

    Returns
    -------
    ndarray (nx, ny, nz)
        Å, negative within atoms.
    """
    shape = tuple(max(1, math.ceil(x / spacing_A)) for x in structure.lengths_A)
    grid = np.full(shape, cap_A)
    _lower(
        grid,
        structure.frac,
        structure.cell,
        structure.perpendicular_widths_A,
        np.asarray(radii, float),
        cap_A,
    )
    return grid


def half_diagonal_A(structure: Structure, shape: tuple[int, int, int]) -> float:
    """No point of the cell is farther than this from the nearest grid point, Å."""
    return half_diagonal(structure.cell / np.array(shape)[:, None])


def half_diagonal(edges: np.ndarray) -> float:
    """Half the longest diagonal of the body that three vectors span, rows of ndarray (3, 3)."""
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])
    return float(0.5 * np.linalg.norm(signs @ edges, axis=1).max())


@njit(cache=True, error_model="numpy", nogil=True)
def _lower(grid, frac, cell, widths, radii, cap):
    """grid = min(grid, distance to the atom - radius), atom by atom."""
    nx, ny, nz = grid.shape
    step = (cell[2, 0] / nz, cell[2, 1] / nz, cell[2, 2] / nz)
    step2 = step[0] * step[0] + step[1] * step[1] + step[2] * step[2]
    for a in range(frac.shape[0]):
        reach = radii[a] + cap
        if reach <= 0.0:
            continue
        fi, fj, fk = frac[a, 0] * nx, frac[a, 1] * ny, frac[a, 2] * nz
        ri, rj = reach / widths[0] * nx, reach / widths[1] * ny
        for i in range(math.ceil(fi - ri), math.floor(fi + ri) + 1):
            u = (i - fi) / nx
            for j in range(math.ceil(fj - rj), math.floor(fj + rj) + 1):
                v = (j - fj) / ny
                p2, ps, low, high = row_within(u, v, cell, step, step2, reach * reach)
                if low > high:
                    continue
                row = grid[i % nx, j % ny]
                for k in range(math.ceil(fk + low), math.floor(fk + high) + 1):
                    t = k - fk
                    d = math.sqrt(max(p2 + t * (2.0 * ps + t * step2), 0.0)) - radii[a]
                    kk = k % nz
                    if d < row[kk]:
                        row[kk] = d
