"""Rows of grid points around an atom, for the kernels that go over a periodic grid atom by atom."""

from __future__ import annotations

import math

from numba import njit


@njit(inline="always")
def row_within(u, v, cell, step, step2, reach2):
    """Where a row of grid points along c is within reach of an atom.

    Parameters
    ----------
    u, v : float
        Fractional coordinates a and b of the row, less those of the atom.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    step : tuple of 3 floats
        Vector from one point of the row to the next, Å.
    step2 : float
        Its square, Å^2.
    reach2 : float
        Square of the reach, Å^2.

    Returns
    -------
    p2, ps : float
        The point t steps from where the row passes the atom's c is
        sqrt(p2 + t (2 ps + t step2)) Å from the atom.
    low, high : float
        It is within reach for t between these; ``low > high`` where no t is.
    """
    px = u * cell[0, 0] + v * cell[1, 0]
    py = u * cell[0, 1] + v * cell[1, 1]
    pz = u * cell[0, 2] + v * cell[1, 2]
    p2 = px * px + py * py + pz * pz
    ps = px * step[0] + py * step[1] + pz * step[2]
    disc = ps * ps - step2 * (p2 - reach2)
    if disc <= 0.0:
        return p2, ps, 1.0, -1.0
    root = math.sqrt(disc)
    return p2, ps, (-ps - root) / step2, (-ps + root) / step2
