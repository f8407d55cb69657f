"""Monte Carlo surface area and void fraction, from the random numbers that Zeo++ draws."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from poreflux.geometry.network import Network
from poreflux.geometry.periodic import neighbour_lists
from poreflux.structures.crystal import Structure
from poreflux.structures.images import images

# Zeo++ seeds rand() of the C library with this before every sampling (randSeed, voronoicell.h).
ZEOPP_SEED = 994879221


def accessible_area_A2(
    structure: Structure,
    radii: np.ndarray,
    order: np.ndarray,
    network: Network,
    threshold_A: float,
    probe_A: float,
    samples: int,
) -> float:
    """Area of the surface that the centre of a probe describes in the channels, Å^2 per cell.

    Parameters
    ----------
    structure : Structure
        The framework.
    radii : ndarray (n_atoms,)
        Å.
    order : ndarray (n_atoms,) int
        The order in which Zeo++ reads the atoms: each takes the next random numbers.
    network : Network
        Its Voronoi network.
    threshold_A : float
        Clearance in the network above which the probe fits: its radius, or 0 if the network
        is that of atoms inflated by it.
    probe_A : float
        Radius of the probe, Å.
    samples : int
        Points on each atom's sphere of radius + probe.

    Notes
    -----
    A point counts if it lies inside no other atom inflated by the probe, and in a region that
    runs through the crystal. The statistical error is that of ``samples``; with the same order
    of atoms, Zeo++ draws the same points.
    """
    label, channel = network.regions(threshold_A)
    if not channel.any():
        return 0.0
    inflated = radii + probe_A
    reach = 2.0 * inflated.max()
    points, owner, _ = images(structure.frac, structure.cell, reach)
    neighbour, start = neighbour_lists(structure.cart, points, reach)
    hits, atoms = _outside_on_spheres(
        structure.cart, inflated, order, points, inflated[owner], neighbour, start, samples
    )
    good = _in_channel(structure, network, label, channel, hits)
    counts = np.bincount(atoms[good], minlength=len(radii))
    return float((counts / samples * 4.0 * math.pi * inflated**2).sum())


def accessible_fraction(
    structure: Structure,
    radii: np.ndarray,
    network: Network,
    threshold_A: float,
    probe_A: float,
    samples: int,
) -> float:
    """Share of the cell that the centre of a probe can reach through the channels.

    Parameters are those of :func:`accessible_area_A2`; ``samples`` points in all are drawn
    uniformly in the cell.
    """
    label, channel = network.regions(threshold_A)
    if not channel.any():
        return 0.0
    inflated = radii + probe_A
    bins = np.maximum(1, (structure.perpendicular_widths_A / 2.0).astype(int))
    points, owner, _ = images(structure.frac, structure.cell, inflated.max())
    near = _bin_spheres(
        points @ np.linalg.inv(structure.cell),
        inflated[owner],
        bins,
        structure.perpendicular_widths_A,
    )
    hits = _outside_in_cell(structure.cell, points, inflated[owner], bins, *near, samples)
    return float(_in_channel(structure, network, label, channel, hits).sum() / samples)


def _in_channel(structure, network: Network, label, channel, hits) -> np.ndarray:
    """Whether each point (Cartesian, outside the inflated atoms) lies in a channel."""
    if channel.all():
        return np.ones(len(hits), bool)
    frac = hits @ np.linalg.inv(structure.cell)
    home = (frac - np.floor(frac)) @ structure.cell
    cell = structure.cell
    # The sphere nearest to each point, and the point as seen from it.
    margin = 4.0
    seen = np.full(len(hits), -1)
    offset = np.zeros((len(hits), 3))
    todo = np.arange(len(hits))
    while len(todo):
        points, owner, _ = images(network.centres, cell, margin)
        distance, nearest = cKDTree(points).query(home[todo], distance_upper_bound=margin)
        found = np.isfinite(distance)
        seen[todo[found]] = owner[nearest[found]]
        offset[todo[found]] = home[todo[found]] - points[nearest[found]]
        todo = todo[~found]
        margin *= 2.0
    node = _visible_node(
        seen,
        offset,
        label >= 0,
        network.corner_node,
        network.corner_offset,
        network.corner_start,
    )
    region = np.where(node >= 0, label[node], -1)
    return (region >= 0) & channel[region]


@njit(cache=True, error_model="numpy", nogil=True)
def _visible_node(sphere, offset, fits, corner_node, corner_offset, corner_start):
    """A node of the sphere's cell that a point there can reach straight, at no less clearance.

    The cell is convex and the sphere the nearest everywhere in it, so the way is clear if it
    never comes nearer to the sphere's centre. Where no node is in sight, the one in the most
    similar direction is taken; -1 if the probe fits at none.
    """
    out = np.full(len(sphere), -1)
    for i in range(len(sphere)):
        x, y, z = offset[i, 0], offset[i, 1], offset[i, 2]
        r2 = x * x + y * y + z * z
        best = -2.0
        for k in range(corner_start[sphere[i]], corner_start[sphere[i] + 1]):
            node = corner_node[k]
            if not fits[node]:
                continue
            nx, ny, nz = corner_offset[k, 0], corner_offset[k, 1], corner_offset[k, 2]
            dot = x * nx + y * ny + z * nz
            if dot >= r2:
                out[i] = node
                break
            cos = dot / math.sqrt(r2 * (nx * nx + ny * ny + nz * nz))
            if cos > best:
                best = cos
                out[i] = node
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def _bin_spheres(frac, reach, bins, widths):
    """Spheres that touch each bin of the cell: rows, and where each bin's rows start."""
    na, nb, nc = bins
    start = np.zeros(na * nb * nc + 1, np.int64)
    rows = np.empty(0, np.int64)
    for turn in range(2):
        fill = start[:-1].copy()
        for s in range(len(frac)):
            lo, hi = np.empty(3, np.int64), np.empty(3, np.int64)
            for d in range(3):
                r = reach[s] / widths[d]
                lo[d] = max(0, math.floor((frac[s, d] - r) * bins[d]))
                hi[d] = min(bins[d] - 1, math.floor((frac[s, d] + r) * bins[d]))
            for i in range(lo[0], hi[0] + 1):
                for j in range(lo[1], hi[1] + 1):
                    for k in range(lo[2], hi[2] + 1):
                        b = (i * nb + j) * nc + k
                        if turn == 0:
                            start[b + 1] += 1
                        else:
                            rows[fill[b]] = s
                            fill[b] += 1
        if turn == 0:
            start = np.cumsum(start)
            rows = np.empty(start[-1], np.int64)
    return rows, start


@njit(cache=True)
def _seeded(seed):
    """State of the C library's rand() (glibc, TYPE_3) after srand(seed)."""
    state = np.zeros(34, np.int64)
    state[0] = seed
    for i in range(1, 31):
        # 16807 x mod 2^31 - 1, without overflow
        hi, lo = state[i - 1] // 127773, state[i - 1] % 127773
        word = 16807 * lo - 2836 * hi
        state[i] = word + 2147483647 if word < 0 else word
    ring = np.empty(32, np.int64)
    ring[:31] = state[:31]
    ring[31] = 3
    for _ in range(310):
        _rand(ring)
    return ring


@njit(cache=True)
def _rand(ring):
    """Next number of rand(): x_i = x_(i-3) + x_(i-31) mod 2^32, the lowest bit dropped."""
    i = ring[31]
    value = (ring[i] + ring[(i + 28) % 31]) & 0xFFFFFFFF
    ring[i] = value
    ring[31] = (i + 1) % 31
    return value >> 1


@njit(cache=True)
def _uniform(ring):
    return _rand(ring) / 2147483647.0


@njit(cache=True, error_model="numpy", nogil=True)
def _outside_on_spheres(centres, inflated, order, points, reach, neighbour, start, samples):
    """Points on the inflated atoms that lie inside no other, and the atom of each."""
    ring = _seeded(ZEOPP_SEED)
    hits = np.empty((1024, 3))
    atoms = np.empty(1024, np.int64)
    n = 0
    for a in order:
        r = inflated[a]
        first = start[a]
        stop = first
        # neighbours are sorted by distance: none after this one can cover
        for k in range(first, start[a + 1]):
            m = neighbour[k]
            dx = points[m, 0] - centres[a, 0]
            dy = points[m, 1] - centres[a, 1]
            dz = points[m, 2] - centres[a, 2]
            if dx * dx + dy * dy + dz * dz < (r + reach[m]) ** 2:
                stop = k + 1
        last = first
        for _ in range(samples):
            theta = _uniform(ring) * 2.0 * math.pi
            cos = 1.0 - _uniform(ring) * 2.0
            sin = math.sqrt(max(0.0, 1.0 - cos * cos))
            x = centres[a, 0] + r * sin * math.cos(theta)
            y = centres[a, 1] + r * sin * math.sin(theta)
            z = centres[a, 2] + r * cos
            free = True
            for k in range(first - 1, stop):
                k = last if k < first else k
                if k >= stop:
                    continue
                m = neighbour[k]
                dx, dy, dz = x - points[m, 0], y - points[m, 1], z - points[m, 2]
                if dx * dx + dy * dy + dz * dz < (reach[m] - 1e-8) ** 2:
                    free = False
                    last = k
                    break
            if not free:
                continue
            if n == len(atoms):
                more, ids = np.empty((2 * n, 3)), np.empty(2 * n, np.int64)
                more[:n] = hits
                ids[:n] = atoms
                hits, atoms = more, ids
            hits[n, 0], hits[n, 1], hits[n, 2] = x, y, z
            atoms[n] = a
            n += 1
    return hits[:n], atoms[:n]


@njit(cache=True, error_model="numpy", nogil=True)
def _outside_in_cell(cell, points, reach, bins, rows, start, samples):
    """Points, uniform in the cell, that lie inside no inflated atom."""
    ring = _seeded(ZEOPP_SEED)
    hits = np.empty((samples, 3))
    n = 0
    for _ in range(samples):
        a, b, c = _uniform(ring), _uniform(ring), _uniform(ring)
        x = a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
        y = b * cell[1, 1] + c * cell[2, 1]
        z = c * cell[2, 2]
        i = min(int(a * bins[0]), bins[0] - 1)
        j = min(int(b * bins[1]), bins[1] - 1)
        k = min(int(c * bins[2]), bins[2] - 1)
        at = (i * bins[1] + j) * bins[2] + k
        free = True
        for row in range(start[at], start[at + 1]):
            m = rows[row]
            dx, dy, dz = x - points[m, 0], y - points[m, 1], z - points[m, 2]
            if dx * dx + dy * dy + dz * dz < (reach[m] - 1e-8) ** 2:
                free = False
                break
        if free:
            hits[n, 0], hits[n, 1], hits[n, 2] = x, y, z
            n += 1
    return hits[:n]
