"""Which part of a pore system a guest can reach: flood fill on a periodic energy grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Accessibility:
    """The channels and pockets of an energy grid at one threshold.

    Attributes
    ----------
    mask : ndarray (nx, ny, nz) bool
        True for the voxels of channels.
    dimensionality : int
        0 (no channel) to 3: the number of independent directions in which the most
        connected channel runs through the crystal.
    n_channels, n_pockets : int
        Connected regions below the threshold in one cell that do, and do not, run through.
    """

    mask: np.ndarray
    dimensionality: int
    n_channels: int
    n_pockets: int


def accessible(energy_K: np.ndarray, threshold_K: float) -> Accessibility:
    """Regions below an energy threshold that run through the crystal, and those that do not.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy of the guest on the periodic grid of one cell, K; not a number is closed.
    threshold_K : float
        Voxels strictly below are open. Open voxels that share a face are connected.

    Returns
    -------
    Accessibility

    Raises
    ------
    ValueError
        If the grid is not three-dimensional or is empty.

    Notes
    -----
    Each region is flooded in the infinite crystal and folded back: a voxel that is met again
    with another lattice shift proves that the region returns to itself a lattice vector
    further on. The rank of those vectors is its dimensionality; rank 0 is a pocket. A window
    narrower than the grid spacing can be missed, and faces, not corners, connect.

    References
    ----------
    The criterion of Zeo++ on a grid: T. F. Willems et al., Microporous Mesoporous Mater.
    2012, 149, 134, section 3.2.
    """
    energy = np.asarray(energy_K)
    if energy.ndim != 3 or energy.size == 0:
        raise ValueError(f"energy grid must be (nx, ny, nz), got shape {energy.shape}")
    is_open = np.ascontiguousarray(energy < threshold_K)
    labels, rank, n_regions = _flood(is_open)
    rank = rank[: n_regions + 1]
    channel = rank > 0
    return Accessibility(
        mask=channel[labels],
        dimensionality=int(rank.max(initial=0)),
        n_channels=int(channel.sum()),
        n_pockets=int(n_regions - channel.sum()),
    )


def pocket_share(energy_K: np.ndarray, mask: np.ndarray, temperature_K: float) -> float:
    """Share of the Henry coefficient that lies outside the channels.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy of the guest, K.
    mask : ndarray (nx, ny, nz) bool
        The channels, from :func:`accessible`.
    temperature_K : float
        Temperature of the Boltzmann weights.

    Returns
    -------
    float
        In [0, 1]; 1 if there is no channel.
    """
    lowest = float(np.min(energy_K))
    weight = np.exp((lowest - energy_K) / temperature_K)
    return float(min(1.0, max(0.0, 1.0 - weight[mask].sum() / weight.sum())))


@njit(cache=True)
def _flood(is_open):
    """Label open regions; return labels (0 closed), rank a label, number of labels.

    The lattice shift at which a voxel was reached is packed into one integer, 21 bits an axis.
    """
    nx, ny, nz = is_open.shape
    size = nx * ny * nz
    flat = is_open.ravel()
    labels = np.zeros(size, np.int32)
    shifts = np.zeros(size, np.int64)
    queue = np.empty(size, np.int32)
    ranks = np.zeros(16, np.int64)
    basis = np.zeros((3, 3))
    across_x, across_y, across_z = np.int64(1) << 42, np.int64(1) << 21, np.int64(1)
    label = 0
    for start in range(size):
        if not flat[start] or labels[start] != 0:
            continue
        label += 1
        if label >= len(ranks):
            longer = np.zeros(2 * len(ranks), np.int64)
            longer[: len(ranks)] = ranks
            ranks = longer
        labels[start] = label
        queue[0] = start
        head, tail = 0, 1
        rank = 0
        while head < tail:
            here = queue[head]
            head += 1
            i = here // (ny * nz)
            rest = here - i * ny * nz
            j = rest // nz
            k = rest - j * nz
            here_shift = shifts[here]
            for side in range(6):
                there, shift = here, here_shift
                if side == 0:
                    if k + 1 < nz:
                        there += 1
                    else:
                        there -= nz - 1
                        shift += across_z
                elif side == 1:
                    if k > 0:
                        there -= 1
                    else:
                        there += nz - 1
                        shift -= across_z
                elif side == 2:
                    if j + 1 < ny:
                        there += nz
                    else:
                        there -= (ny - 1) * nz
                        shift += across_y
                elif side == 3:
                    if j > 0:
                        there -= nz
                    else:
                        there += (ny - 1) * nz
                        shift -= across_y
                elif side == 4:
                    if i + 1 < nx:
                        there += ny * nz
                    else:
                        there -= (nx - 1) * ny * nz
                        shift += across_x
                elif i > 0:
                    there -= ny * nz
                else:
                    there += (nx - 1) * ny * nz
                    shift -= across_x
                if not flat[there]:
                    continue
                if labels[there] == 0:
                    labels[there] = label
                    shifts[there] = shift
                    queue[tail] = there
                    tail += 1
                elif rank < 3 and shifts[there] != shift:
                    rank = extend_basis(basis, rank, lattice_vector(shift - shifts[there]))
        ranks[label] = rank
    return labels.reshape(is_open.shape), ranks, label


@njit(cache=True)
def lattice_vector(packed):
    """Three components of a lattice shift that is packed into one integer, 21 bits an axis."""
    half, full = np.int64(1) << 20, np.int64(1) << 21
    z = (packed + half) % full - half
    packed = (packed - z) // full
    y = (packed + half) % full - half
    x = (packed - y) // full
    return np.array([float(x), float(y), float(z)])


@njit(cache=True)
def extend_basis(basis, rank, vector):
    """Add a vector to the orthonormal rows ``basis[:rank]``; return the new rank."""
    left_over = vector.copy()
    for row in range(rank):
        left_over -= (left_over * basis[row]).sum() * basis[row]
    left = math.sqrt((left_over * left_over).sum())
    # lattice vectors are small integers: an independent part is far above round-off
    if left > 1e-6 * math.sqrt((vector * vector).sum()):
        basis[rank] = left_over / left
        return rank + 1
    return rank
