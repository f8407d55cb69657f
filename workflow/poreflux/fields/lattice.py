"""Regions of a periodic network or grid: what hangs together, across which lattice vectors.

A node stands for all of its lattice images, so a link between two nodes carries the lattice vector
between the images that it joins. A region that a chain of links leads back to another image of
itself runs through the crystal. The kernels here say so, one link at a time, for the Voronoi
network, the saddles of percolation, the basins of hopping and the flood fill of channels.

A lattice vector (i, j, k) of integers is kept packed into one integer, (i << 42) + (j << 21) + k:
it is then added, subtracted, negated and compared as one number. Components stay within +-2^20.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import register_jitable

# Steps from a point of a grid to those that share a face, an edge or a corner with it, (26, 3).
NEIGHBOURS = np.array([s for s in np.ndindex(3, 3, 3) if s != (1, 1, 1)]) - 1


# --- lattice vectors ---------------------------------------------------------------------------


@register_jitable
def pack(i, j, k):
    """Pack the components of a lattice vector, ints or arrays of int64, into one integer each."""
    return (i << 42) + (j << 21) + k


# One step to the next cell along a, b and c, packed.
ACROSS = (pack(1, 0, 0), pack(0, 1, 0), pack(0, 0, 1))


@njit(cache=True)
def lattice_vector(packed):
    """Components of a packed lattice vector, ndarray (3,) float64."""
    half, full = np.int64(1) << 20, np.int64(1) << 21
    z = (packed + half) % full - half
    packed = (packed - z) // full
    y = (packed + half) % full - half
    x = (packed - y) // full
    return np.array([float(x), float(y), float(z)])


@njit(cache=True)
def extend_basis(basis, rank, vector):
    """Add a lattice vector to a set of independent directions, if it is independent of them.

    Parameters
    ----------
    basis : ndarray (3, 3)
        Orthonormal in its first ``rank`` rows; the next row is overwritten.
    rank : int
        0 to 2.
    vector : ndarray (3,)
        Integers as floats, not all 0.

    Returns
    -------
    int
        The new rank.
    """
    left_over = vector.copy()
    for row in range(rank):
        left_over -= (left_over * basis[row]).sum() * basis[row]
    left = math.sqrt((left_over * left_over).sum())
    # lattice vectors are small integers: an independent part is far above round-off
    if left > 1e-6 * math.sqrt((vector * vector).sum()):
        basis[rank] = left_over / left
        return rank + 1
    return rank


# --- regions: union-find with lattice vectors --------------------------------------------------


@njit(cache=True)
def separate_nodes(n_nodes):
    """Regions of one node each: ``parent`` and ``shift``, as :func:`find` reads them."""
    return np.full(n_nodes, -1, np.int64), np.zeros(n_nodes, np.int64)


@njit(cache=True)
def find(parent, shift, node):
    """Representative of the region of a node, and the packed lattice vector to it.

    Parameters
    ----------
    parent : ndarray (n_nodes,) int64
        The node above each, -1 for a representative. Paths are halved on the way.
    shift : ndarray (n_nodes,) int64
        The image of a node in cell L belongs with that of its parent in cell L + shift, packed.
    node : int

    Returns
    -------
    representative : int
    total : int
        The image of the node in cell 0 belongs with that of the representative in cell ``total``.

    References
    ----------
    R. E. Tarjan, J. van Leeuwen, J. ACM 1984, 31, 245 (halving of paths). J. Machta et al., Phys.
    Rev. E 1996, 54, 1332 (vectors to the representative, for clusters that wrap around).
    """
    total = np.int64(0)
    while parent[node] >= 0:
        above = parent[node]
        if parent[above] >= 0:
            shift[node] += shift[above]
            parent[node] = parent[above]
        total += shift[node]
        node = parent[node]
    return node, total


@njit(cache=True)
def ends_of_link(parent, shift, first, second, across):
    """Representatives that a link joins, and the lattice vector between them along it.

    Parameters
    ----------
    parent, shift : ndarrays (n_nodes,) int64
        As in :func:`find`.
    first, second : int
        The nodes at the ends of the link.
    across : int
        The link joins ``first`` in cell 0 and ``second`` in this cell, packed.

    Returns
    -------
    one, two : int
        Their representatives. If they differ, :func:`unite` may make them one region.
    by : int
        The link joins ``one`` in cell 0 and ``two`` in this cell, packed. Where ``one`` is
        ``two`` and this is not 0, the region runs through the crystal along this vector.
    """
    one, to_one = find(parent, shift, first)
    two, to_two = find(parent, shift, second)
    return one, two, across + to_two - to_one


@njit(cache=True)
def unite(parent, shift, one, two, by):
    """Make the region of ``two`` a part of that of ``one``, for the ends of a link.

    ``one`` remains the representative. Arguments are those of :func:`find` and what
    :func:`ends_of_link` returns.
    """
    parent[two] = one
    shift[two] = -by
