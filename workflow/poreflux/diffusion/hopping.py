"""Self-diffusivity from hops between basins, where molecular dynamics is too short to show them.

Transition-state theory on the energy grid: the cell is divided into basins; a molecule in
equilibrium leaves one across the surface towards another at the rate of one-way crossings. The
hops make a random walk on the periodic network of basins, whose diffusivity is found exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from poreflux.fields.lattice import (
    ACROSS,
    NEIGHBOURS,
    ends_of_link,
    find,
    lattice_vector,
    pack,
    separate_nodes,
    unite,
)

# A basin whose lowest way out is less than this many kT above its floor is a part of its
# neighbour: a molecule passes through it without settling.
SHALLOW_KT = 2.0
# Nothing hops where more than this share of the molecules is in basins that no barrier parts from
# their own images.
FREE_SHARE = 0.01
# Faces within this distance make up the local direction of a dividing surface.
PATCH_A = 1.0
# Faces whose weight is below this share of the heaviest of their surface are left out.
LIGHT = 1e-4


@dataclass(frozen=True)
class Hopping:
    """What :func:`hopping_diffusivity` finds.

    Attributes
    ----------
    tensor_A2_fs : ndarray (3, 3)
        Diffusion tensor, Å^2/fs.
    n_basins, n_surfaces : int
        Size of the network: basins, and dividing surfaces between them.
    lowest_kT : float
        The lowest barrier that counts as one, from the shallower side, kT; if it is small, the
        molecules hardly settle in between.
    """

    tensor_A2_fs: np.ndarray
    n_basins: int
    n_surfaces: int
    lowest_kT: float

    @property
    def d_A2_fs(self) -> float:
        """A third of the trace."""
        return float(np.trace(self.tensor_A2_fs) / 3.0)


def hopping_diffusivity(
    energy_K: np.ndarray,
    cell: np.ndarray,
    temperature_K: float,
    thermal_A2_fs2: float,
    shallow_kT: float = SHALLOW_KT,
) -> Hopping | None:
    """Diffusivity of a guest that hops, by transition-state theory.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy at fractional coordinates (i/nx, j/ny, k/nz), K; infinite where the guest must
        not be.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    temperature_K : float
        Temperature.
    thermal_A2_fs2 : float
        kT over the mass of a guest, Å^2/fs^2.
    shallow_kT : float
        Basins that are less deep than this join their neighbours, kT.

    Returns
    -------
    Hopping or None
        ``None`` where a channel without barriers runs through the crystal: nothing hops.

    Raises
    ------
    ValueError
        If no point has a finite energy.

    Notes
    -----
    Basins are the catchments of the grid's minima; one whose lowest way out is less than
    ``shallow_kT`` above its floor is joined to the neighbour there. With w = exp(-E / kT), Z_i the
    integral of w over basin i and S_ij that over the surface between two, the rate of hops is

        k_ij = sqrt(kT / (2 pi m)) S_ij / Z_i,

    and the long-time diffusivity along a unit vector e, by detailed balance, is

        D(e) = min_u 1/2 sum_ij (Z_i / Z) k_ij (e . r_ij + u_j - u_i)^2,

    r_ij leading from basin to basin; the minimum takes correlations between hops into account.
    A surface made of the faces of grid cells is jagged: each face counts with its projection on
    the direction of the surface around it.

    Every crossing counts as a hop that ends in the basin behind the surface. Molecules that turn
    back at once make the estimate too high, those that fly on through the next window too low.

    References
    ----------
    D. Frenkel & B. Smit, Understanding Molecular Simulation, chapter 16; A. Mace, S. Barthel &
    B. Smit, J. Chem. Theory Comput. 2019, 15, 2127 (hops between basins of an energy grid).
    """
    energy = np.ascontiguousarray(energy_K, float)
    flat = energy.ravel()
    order = np.argsort(flat, kind="stable")[: np.count_nonzero(np.isfinite(flat))]
    if not len(order):
        raise ValueError("no point of the grid has a finite energy")
    distances = np.linalg.norm(NEIGHBOURS @ (cell / np.array(energy.shape)[:, None]), axis=1)
    labels, shifts = _catchments(energy, order, NEIGHBOURS, distances)
    minima = np.unique(labels[labels >= 0])
    faces, face_shifts, heights = _faces(energy, labels, shifts)
    ends = np.searchsorted(minima, faces[:, 2:])
    root, root_shift, free, lowest_K = _joined(
        ends,
        face_shifts,
        np.argsort(heights, kind="stable"),
        heights,
        flat[minima],
        shallow_kT * temperature_K,
    )

    # faces between joined basins, in one direction for each surface
    one, two = root[ends].T
    across = face_shifts + root_shift[ends[:, 1]] - root_shift[ends[:, 0]]
    swap = (one > two) | ((one == two) & (across < 0))
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    across = np.where(swap, -across, across)
    apart = (one != two) | (across != 0)
    keys, surface = np.unique(
        np.stack([one, two, across], axis=1)[apart], axis=0, return_inverse=True
    )
    surface = surface.ravel()
    sign = np.where(swap, -1.0, 1.0)[apart]
    area_A2 = _areas(
        faces[apart, :2], sign, surface, heights[apart], energy.shape, cell, temperature_K
    )
    weight = np.exp((flat[order[0]] - heights[apart]) / temperature_K)
    crossings = np.bincount(surface, weight * area_A2, minlength=len(keys))

    # what the basins at the ends of a surface hold
    used = np.unique(keys[:, :2])
    voxel_A3 = abs(np.linalg.det(cell)) / energy.size
    holder = root[np.searchsorted(minima, labels.ravel()[order])]
    held = np.bincount(
        holder, np.exp((flat[order[0]] - flat[order]) / temperature_K), minlength=len(root)
    )
    total = held[used].sum() * voxel_A3
    if held[free].sum() > FREE_SHARE * held[used].sum():
        return None
    conductance = math.sqrt(thermal_A2_fs2 / (2.0 * math.pi)) * crossings / total
    steps = np.array([lattice_vector(s) for s in keys[:, 2]]).reshape(-1, 3) @ cell
    tensor = _walk_tensor(np.searchsorted(used, keys[:, :2]), steps, conductance, len(used))
    return Hopping(tensor, len(used), len(keys), float(lowest_K / temperature_K))


@njit(cache=True)
def _joined(ends, across, order, heights, floors, shallow_K):
    """Basins after the shallow ones have joined their neighbours, faces taken in ``order``.

    Returns the representative of each basin, the packed lattice vector to the image of it in
    cell 0, which representatives would join their own images, and the least barrier left.
    """
    n = len(floors)
    parent, shift = separate_nodes(n)
    floor = floors.copy()
    free = np.zeros(n, np.bool_)
    lowest = math.inf
    for face in order:
        one, two, by = ends_of_link(parent, shift, ends[face, 0], ends[face, 1], across[face])
        if one == two and by == 0:
            continue
        barrier = heights[face] - max(floor[one], floor[two])
        if barrier >= shallow_K:
            lowest = min(lowest, barrier)
        elif one == two:
            free[one] = True
        else:
            unite(parent, shift, one, two, by)
            # what runs through high above the floor is a way out, not a channel
            if floor[two] < floor[one]:
                floor[one], free[one] = floor[two], free[two]
    root, to_root = np.empty(n, np.int64), np.empty(n, np.int64)
    for node in range(n):
        root[node], to_root[node] = find(parent, shift, node)
        free[node] &= root[node] == node
    return root, to_root, free, lowest


def _areas(faces, sign, surface, heights, shape, cell, temperature_K) -> np.ndarray:
    """Projection of each face on the direction of its surface nearby, Å^2."""
    steps = cell / np.array(shape)[:, None]
    normals = np.array([np.cross(steps[(a + 1) % 3], steps[(a + 2) % 3]) for a in range(3)])
    vector = normals[faces[:, 1]] * sign[:, None]
    index = np.stack(np.unravel_index(faces[:, 0], shape), axis=1).astype(float)
    index[np.arange(len(faces)), faces[:, 1]] += 0.5
    area = np.zeros(len(faces))
    if not len(faces):
        return area
    order = np.argsort(surface, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(surface[order])) + 1):
        weight = np.exp((heights[part].min() - heights[part]) / temperature_K)
        part = part[weight > LIGHT]
        # images of one surface's faces may lie on both sides of the cell
        frac = index[part] / shape
        frac -= np.round(frac - frac[0])
        centre = frac @ cell
        tree = cKDTree(centre)
        for face, near in zip(part, tree.query_ball_point(centre, PATCH_A), strict=True):
            direction = vector[part[near]].sum(axis=0)
            length = np.linalg.norm(direction)
            if length > 0.0:
                area[face] = abs(vector[face] @ direction) / length
    return area


def _walk_tensor(ends, steps_A, conductance, n) -> np.ndarray:
    """Diffusion tensor of a walk on a periodic network, Å^2/fs.

    ``conductance``: hops per fs one way along each link, times the share of molecules at its
    start; the same both ways. ``steps_A``: lattice vector (Cartesian) that a link crosses. Where
    the nodes lie in the cell makes no difference.
    """
    if not len(conductance) or conductance.max() <= 0.0:
        return np.zeros((3, 3))
    laplacian, load = np.zeros((n, n)), np.zeros((n, 3))
    scaled = conductance / conductance.max()
    for (i, j), step, g in zip(ends, steps_A, scaled, strict=True):
        if i != j:
            laplacian[[i, j], [i, j]] += g
            laplacian[[i, j], [j, i]] -= g
            load[i] += g * step
            load[j] -= g * step
    # one singular direction for each part of the network; slow links must not pass for singular
    u = np.linalg.lstsq(laplacian, load, rcond=1e-14)[0]
    moved = steps_A + u[ends[:, 1]] - u[ends[:, 0]]
    return np.einsum("l,li,lj->ij", conductance, moved, moved)


@njit(cache=True)
def _catchments(energy, order, sides, distances):
    """Minimum (flat index) that steepest descent leads to from each point, -1 for none, and the
    packed lattice vector to its image."""
    nx, ny, nz = energy.shape
    labels = np.full(energy.shape, -1, np.int64)
    shifts = np.zeros(energy.shape, np.int64)
    for point in order:
        i, j, k = point // (ny * nz), point // nz % ny, point % nz
        steepest, label, shift = -1.0, point, np.int64(0)
        for side in range(26):
            ii, jj, kk = i + sides[side, 0], j + sides[side, 1], k + sides[side, 2]
            ci, cj, ck = ii // nx, jj // ny, kk // nz
            ii, jj, kk = ii - ci * nx, jj - cj * ny, kk - ck * nz
            # lower, or as low and earlier: it has its label
            if labels[ii, jj, kk] < 0:
                continue
            slope = (energy[i, j, k] - energy[ii, jj, kk]) / distances[side]
            if slope > steepest:
                steepest = slope
                label = labels[ii, jj, kk]
                shift = pack(ci, cj, ck) + shifts[ii, jj, kk]
        labels[i, j, k] = label
        shifts[i, j, k] = shift
    return labels, shifts


@njit(cache=True)
def _faces(energy, labels, shifts):
    """Faces between points of different basins: (point, axis, minimum, minimum), the packed
    lattice vector from the one minimum to the other, and the mean energy of the two points."""
    nx, ny, nz = energy.shape
    n = 0
    faces = np.empty((1024, 4), np.int64)
    across = np.empty(1024, np.int64)
    heights = np.empty(1024)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if labels[i, j, k] < 0:
                    continue
                for axis in range(3):
                    ii, jj, kk, by = i, j, k, np.int64(0)
                    if axis == 0:
                        ii += 1
                        if ii == nx:
                            ii, by = 0, ACROSS[0]
                    elif axis == 1:
                        jj += 1
                        if jj == ny:
                            jj, by = 0, ACROSS[1]
                    else:
                        kk += 1
                        if kk == nz:
                            kk, by = 0, ACROSS[2]
                    if labels[ii, jj, kk] < 0:
                        continue
                    by += shifts[ii, jj, kk] - shifts[i, j, k]
                    if labels[ii, jj, kk] == labels[i, j, k] and by == 0:
                        continue
                    if n == len(across):
                        faces = np.concatenate((faces, np.empty_like(faces)))
                        across = np.concatenate((across, np.empty_like(across)))
                        heights = np.concatenate((heights, np.empty_like(heights)))
                    faces[n, 0] = (i * ny + j) * nz + k
                    faces[n, 1] = axis
                    faces[n, 2], faces[n, 3] = labels[i, j, k], labels[ii, jj, kk]
                    across[n] = by
                    heights[n] = 0.5 * (energy[i, j, k] + energy[ii, jj, kk])
                    n += 1
    return faces[:n], across[:n], heights[:n]
