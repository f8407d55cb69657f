"""The part of a pore system that a guest can reach, by a flood fill on a periodic energy grid."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numba import njit

from poreflux.fields.grid import finer_grid, spline_coefficients
from poreflux.fields.lattice import ACROSS, extend_basis, lattice_vector

# Share of the Henry coefficient in pockets below which they are taken as they are.
SILENT_SHARE = 0.001
# Points of a finer grid: 0.5 GB while it is flooded.
MOST_FINE_POINTS = 30_000_000
# What a grid may add to the height of a window, kT: the windows of UNIPAJ, 19.8 kT by their saddle
# points, are 19.8 to 20.5 kT high on three times finer grids of 0.15 to 0.35 Å.
DOUBT_KT = 1.0


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
    doubtful : bool
        A threshold higher by 1 kT, which is within what a grid resolves, would open pockets with
        more than 0.1 % of the Henry coefficient; from :func:`channels_of_guest`.
    """

    mask: np.ndarray
    dimensionality: int
    n_channels: int
    n_pockets: int
    doubtful: bool = False

    def doubt(self, threshold_kT: float) -> str:
        """What to say where :attr:`doubtful` is true, else an empty text."""
        if not self.doubtful:
            return ""
        return (
            f"a window is {threshold_kT:g} to {threshold_kT + DOUBT_KT:g} kT high, too near to "
            "block_threshold_kT to say whether the guest passes: compare a higher threshold"
        )


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


def channels_of_guest(
    energy_K: np.ndarray, threshold_kT: float, temperature_K: float, cap_K: float
) -> tuple[Accessibility, float]:
    """The channels of a guest on its energy grid, windows narrower than the spacing included.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy of the guest, K.
    threshold_kT : float
        Regions below this many kT are channels or pockets.
    temperature_K : float
        Temperature.
    cap_K : float
        Energies are cut off here, but not below twice the threshold, before the spline of the
        finer grid. ``energy_K`` itself must not be cut below the threshold.

    Returns
    -------
    found : Accessibility
        On the grid as given.
    share : float
        See :func:`pocket_share`.

    Notes
    -----
    A window between two grid points shuts off what lies behind it. Where pockets hold more than
    0.1 % of the Henry coefficient, regions are therefore flooded on a grid up to three times
    finer, from the cubic spline that the engines read. Of 49 CoRE MOFs whose saddle points let
    CH4 pass below 20 kT where a grid of 0.35 Å does not, 23 are closed at 0.25 Å, and 2 at a
    third of either.
    """
    threshold_K = threshold_kT * temperature_K
    found = accessible(energy_K, threshold_K)
    share = pocket_share(energy_K, found.mask, temperature_K)
    factor = next((f for f in (3, 2) if energy_K.size * f**3 <= MOST_FINE_POINTS), 1)
    if share <= SILENT_SHARE or factor == 1:
        return found, share
    # a cap below the threshold would open everything
    coefficients = spline_coefficients(energy_K, max(cap_K, 2.0 * threshold_K))
    fine_K = finer_grid(coefficients, factor)
    fine = accessible(fine_K, threshold_K)
    mask = _coarse(fine.mask, factor) & (energy_K < threshold_K)
    share = pocket_share(energy_K, mask, temperature_K)
    doubtful = False
    if share > SILENT_SHARE:
        above = accessible(fine_K, threshold_K + DOUBT_KT * temperature_K)
        wider = _coarse(above.mask, factor) & (energy_K < threshold_K)
        doubtful = share - pocket_share(energy_K, wider, temperature_K) > SILENT_SHARE
    return dataclasses.replace(fine, mask=mask, doubtful=doubtful), share


def _coarse(fine: np.ndarray, factor: int) -> np.ndarray:
    """The points of a grid that lie in, or beside, the voxels of a finer one."""
    near = fine
    for axis in range(3):
        near = near | np.roll(near, 1, axis) | np.roll(near, -1, axis)
    return near[::factor, ::factor, ::factor]


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
    """Label open regions: label of each voxel (0: closed), rank of each label, number of labels.

    The lattice shifts at which voxels are reached are packed, see :mod:`poreflux.fields.lattice`.
    """
    nx, ny, nz = is_open.shape
    size = nx * ny * nz
    flat = is_open.ravel()
    labels = np.zeros(size, np.int32)
    shifts = np.zeros(size, np.int64)
    queue = np.empty(size, np.int32)
    ranks = np.zeros(16, np.int64)
    basis = np.zeros((3, 3))
    across_x, across_y, across_z = ACROSS
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
