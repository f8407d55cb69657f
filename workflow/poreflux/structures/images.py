"""Lattice images of points around a cell."""

from __future__ import annotations

import math

import numpy as np

# The cell itself and those that share a face, an edge or a corner with it, (27, 3), in order.
CELLS_AROUND = np.array(list(np.ndindex(3, 3, 3))) - 1


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
