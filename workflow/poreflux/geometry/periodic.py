"""Lattice images of points, and how far a point of the cell is from the nearest surface."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from poreflux.structures.crystal import Structure


def images(frac: np.ndarray, cell: np.ndarray, margin_A: float):
    """Points and all of their lattice images within a margin of the cell.

    Parameters
    ----------
    frac : ndarray (n, 3)
        Fractional coordinates in [0, 1).
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    margin_A : float
        Images no farther than this from the cell, measured across its faces, are given.

    Returns
    -------
    points : ndarray (m, 3)
        Cartesian, Å; the points themselves come first.
    owner : ndarray (m,) int
        Which point each is an image of.
    shift : ndarray (m, 3) int
        Its lattice shift.
    """
    reach = margin_A * np.linalg.norm(np.linalg.inv(cell), axis=0)
    owner = np.arange(len(frac))
    shift = np.zeros((len(frac), 3), int)
    for axis in range(3):
        n = math.ceil(reach[axis])
        steps = np.array([0, *range(-n, 0), *range(1, n + 1)])
        x = frac[owner, axis][None] + steps[:, None]
        step, which = np.nonzero((x >= -reach[axis]) & (x <= 1 + reach[axis]))
        owner, shift = owner[which], shift[which]
        shift[:, axis] = steps[step]
    order = np.argsort(np.any(shift != 0, axis=1), kind="stable")
    owner, shift = owner[order], shift[order]
    return (frac[owner] + shift) @ cell, owner, shift


def neighbour_lists(points: np.ndarray, around: np.ndarray, reach_A: float):
    """Neighbours of each point, itself left out, nearest first.

    Parameters
    ----------
    points, around : ndarray (n, 3), ndarray (m, 3)
        Cartesian, Å; ``around`` as from :func:`images`, the points themselves first.
    reach_A : float
        How far neighbours are looked for.

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
        The framework; grid points sit at i/nx, j/ny, k/nz.
    radii : ndarray (n_atoms,)
        Å.
    spacing_A : float
        No spacing along the cell edges is larger.
    cap_A : float
        Clearances above are given as this.

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
    sx, sy, sz = cell[2, 0] / nz, cell[2, 1] / nz, cell[2, 2] / nz
    step2 = sx * sx + sy * sy + sz * sz
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
                px = u * cell[0, 0] + v * cell[1, 0]
                py = u * cell[0, 1] + v * cell[1, 1]
                pz = u * cell[0, 2] + v * cell[1, 2]
                p2 = px * px + py * py + pz * pz
                ps = px * sx + py * sy + pz * sz
                disc = ps * ps - step2 * (p2 - reach * reach)
                if disc <= 0.0:
                    continue
                root = math.sqrt(disc)
                row = grid[i % nx, j % ny]
                for k in range(
                    math.ceil(fk + (-ps - root) / step2), math.floor(fk + (-ps + root) / step2) + 1
                ):
                    t = k - fk
                    d = math.sqrt(max(p2 + t * (2.0 * ps + t * step2), 0.0)) - radii[a]
                    kk = k % nz
                    if d < row[kk]:
                        row[kk] = d
