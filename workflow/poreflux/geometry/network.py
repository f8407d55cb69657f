"""The periodic Voronoi network of spheres: the widest pores, the regions that a probe reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import ConvexHull, QhullError, cKDTree

from poreflux.base.errors import StructureError
from poreflux.fields.lattice import ends_of_link, find, pack, separate_nodes, unite
from poreflux.geometry.periodic import (
    clearance_grid,
    half_diagonal,
    half_diagonal_A,
    neighbour_lists,
)
from poreflux.geometry.spheres import Spheres
from poreflux.structures.crystal import Structure
from poreflux.structures.images import images

# Spacing and reach, Å, of the grids that bound the widest clearance, tried in turn.
GRIDS = ((0.5, 4.0), (1.0, 10.0), (2.0, 24.0), (4.0, 60.0), (10.0, 150.0), (50.0, 1000.0))
# Patches of a sphere's surface smaller than this (rad) that no one atom covers count as open.
FINEST_RAD = 0.01
# Added to the images' margin, so that few edges leave it.
MARGIN_A = 0.1
# Grid points, along each axis, that share one ball.
BLOCK = 2
# Corners of a simplex that make each of its facets.
FACETS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
# Two nodes nearer than this are one: far above the error of Qhull's vertices, far below any
# length that matters.
SAME_NODE_A = 1e-4


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes and edges of a periodic Voronoi network that have clearance.

    Attributes
    ----------
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    nodes : ndarray (n_nodes, 3)
        Fractional coordinates of the nodes, in [0, 1).
    radius : ndarray (n_nodes,)
        Clearance at each node, Å: the largest sphere that fits there.
    edges : ndarray (n_edges, 2) int
        Nodes at the ends of each edge.
    shift : ndarray (n_edges, 3) int
        Lattice shift of the second node.
    bottleneck : ndarray (n_edges,)
        Smallest clearance along the edge, Å, in decreasing order.
    centres : ndarray (n_spheres, 3)
        The spheres that have a share in a node, Å, fractional coordinates in [0, 1).
    corner_node, corner_offset, corner_start : ndarrays
        For sphere ``s``, ``corner_start[s]:corner_start[s + 1]`` selects the nodes of its
        Voronoi cell (int) and the vectors from its centre to them (Å).
    """

    cell: np.ndarray
    nodes: np.ndarray
    radius: np.ndarray
    edges: np.ndarray
    shift: np.ndarray
    bottleneck: np.ndarray
    centres: np.ndarray
    corner_node: np.ndarray
    corner_offset: np.ndarray
    corner_start: np.ndarray

    def largest_A(self, merged_A: float = 0.0) -> float:
        """Radius of the largest sphere that fits, Å; -inf without nodes.

        Parameters
        ----------
        merged_A : float
            Half the side of a box, Å. Each node counts with the smallest radius of all nodes
            in this box around it. Zeo++ merges nodes whose coordinates differ by less than
            0.02 Å and gives them the smallest of their radii. Which nodes it merges depends on
            the order in which it meets them; the box comes closest to its numbers.
        """
        if not len(self.radius):
            return -math.inf
        if merged_A <= 0.0:
            return float(self.radius.max())
        near = np.flatnonzero(self.radius > self.radius.max() - 10 * merged_A)
        points, owner, _ = images(self.nodes[near], self.cell, 2 * merged_A)
        tree = cKDTree(points)
        best = -math.inf
        for i in np.argsort(-self.radius[near], kind="stable"):
            if self.radius[near[i]] <= best:
                break
            box = tree.query_ball_point(points[i], merged_A * (1 - 1e-9), p=np.inf)
            best = max(best, self.radius[near[owner[box]]].min())
        return float(best)

    def free_A(self) -> float:
        """Radius of the largest sphere that can travel through the crystal, Å; -inf if none can."""
        return float(_first_loop(len(self.radius), self.edges, self._across(), self.bottleneck))

    def regions(self, probe_A: float) -> tuple[np.ndarray, np.ndarray]:
        """Connected regions that the centre of a probe can reach.

        Parameters
        ----------
        probe_A : float
            Radius of the probe, Å.

        Returns
        -------
        label : ndarray (n_nodes,) int
            Region of each node, -1 where the probe does not fit.
        channel : ndarray (n_regions,) bool
            Whether the region runs through the crystal (else it is a pocket).
        """
        root, loop = _components(
            len(self.radius), self.edges, self._across(), self.bottleneck, probe_A
        )
        fits = self.radius > probe_A
        roots, label = np.unique(root[fits], return_inverse=True)
        out = np.full(len(root), -1)
        out[fits] = label
        return out, loop[roots]

    def _across(self) -> np.ndarray:
        """Packed lattice vector of each edge, see :mod:`poreflux.fields.lattice`."""
        return pack(*self.shift.T)


def voronoi_network(
    structure: Structure,
    radii: np.ndarray,
    spheres: Spheres,
    floor_A: float = -math.inf,
) -> Network:
    """Voronoi network of the spheres in the periodic crystal, where clearance is enough.

    Parameters
    ----------
    structure : Structure
        The crystal.
    radii : ndarray (n_atoms,)
        Radii of its atoms, Å.
    spheres : Spheres
        The spheres that stand for the atoms. Spheres of one size give the ordinary Voronoi
        diagram; of several, the radical (power) diagram.
    floor_A : float
        Nodes and edges with less clearance are left out, Å. A floor makes the network cheap;
        what remains is exact. It needs spheres of one size and must exceed their ``gap_A``.

    Returns
    -------
    Network

    Raises
    ------
    StructureError
        If Qhull fails.

    Notes
    -----
    With a floor *t*, all spheres are inflated by *t*, and only those count that then have a piece
    of their surface outside all others. The sphere nearest to a point with a clearance of at least
    *t* is among them, so that part of the diagram does not change. The diagram is wrong in the
    space that the other spheres leave open, but nothing there connects to the true part above
    *t*: a path between them would meet the surface of a sphere that was left out where it is
    exposed. A node there is recognised by a sphere that is nearer than the four that made it.

    The diagram is the dual of the Delaunay triangulation, which is the lower convex hull of
    the points lifted to (x, y, z, x^2 + y^2 + z^2 - r^2). Enough images surround the cell for
    every ball that is centred in it and touches no sphere's inside.

    References
    ----------
    T. F. Willems, C. H. Rycroft, M. Kazi, J. C. Meza, M. Haranczyk, Microporous Mesoporous
    Mater. 2012, 149, 134. C. B. Barber, D. P. Dobkin, H. Huhdanpaa, ACM Trans. Math. Softw.
    1996, 22, 469 (Qhull).
    """
    one_size = np.ptp(spheres.radii) == 0.0
    if floor_A > -math.inf and not (one_size and floor_A > spheres.gap_A):
        raise ValueError(
            f"floor_A must exceed the gap of spheres of one size, got {floor_A} "
            f"(gap {spheres.gap_A}, one size: {one_size})"
        )
    frac = spheres.centres @ np.linalg.inv(structure.cell)
    frac -= np.floor(frac)
    frac[frac >= 1.0] = 0.0
    wall = np.ones(len(frac), bool)
    if floor_A > -math.inf:
        wall = _exposed(structure, radii, spheres, floor_A)
    if not wall.any():
        return _empty(structure.cell)
    clearance = _clearance_bound(structure, radii) + spheres.gap_A
    margin = max(clearance.max(), 0.0) + spheres.radii.max() + MARGIN_A
    balls = _balls(structure.cell, clearance + spheres.radii[0]) if one_size else None
    for _ in range(6):
        network = _network(structure.cell, frac, spheres.radii, wall, floor_A, margin, balls)
        if network is not None:
            return network
        # an edge leaves the region in which all spheres are there
        balls, margin = None, margin if balls is not None else 1.5 * margin
    raise StructureError("the Voronoi network could not be closed periodically")


def _clearance_bound(structure: Structure, radii: np.ndarray) -> np.ndarray:
    """An upper bound of the clearance within half a step of each point of a periodic grid, Å."""
    for spacing, cap in GRIDS:
        grid = clearance_grid(structure, radii, spacing, cap)
        if grid.max() < cap:
            break
    # from point to point, clearance changes by no more than their distance
    return grid + half_diagonal_A(structure, grid.shape)


def _balls(cell: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Few balls that together hold the ball of radius ``reach`` around every point of the cell.

    ``reach`` is a periodic grid; each block of its points gives a ball: rows of x, y, z, radius, Å.
    """
    step = cell / np.array(reach.shape)[:, None]
    # the far faces of the cell are nearest to the images of the first points
    reach = np.pad(reach, (0, 1), mode="wrap")
    n = -(-np.array(reach.shape) // BLOCK)
    fill = [(0, size) for size in n * BLOCK - reach.shape]
    blocks = np.pad(reach, fill, constant_values=-np.inf)
    blocks = blocks.reshape(n[0], BLOCK, n[1], BLOCK, n[2], BLOCK).max(axis=(1, 3, 5)).ravel()
    corner = np.stack(np.meshgrid(*map(np.arange, n), indexing="ij"), -1).reshape(-1, 3) * BLOCK
    balls = np.column_stack(
        [(corner + (BLOCK - 1) / 2) @ step, blocks + half_diagonal(step) * BLOCK]
    )
    # the largest first: most points that lie in a ball lie in one of those
    return np.ascontiguousarray(balls[np.argsort(-balls[:, 3], kind="stable")])


@njit(cache=True, error_model="numpy", nogil=True)
def _in_any_ball(points, balls):
    out = np.zeros(len(points), np.bool_)
    for i in range(len(points)):
        x, y, z = points[i]
        for b in range(len(balls)):
            dx, dy, dz = x - balls[b, 0], y - balls[b, 1], z - balls[b, 2]
            if dx * dx + dy * dy + dz * dz <= balls[b, 3] * balls[b, 3]:
                out[i] = balls[b, 3] > 0.0
                break
    return out


def _empty(cell) -> Network:
    none = np.zeros(0, int)
    return Network(
        cell,
        np.zeros((0, 3)),
        np.zeros(0),
        np.zeros((0, 2), int),
        np.zeros((0, 3), int),
        np.zeros(0),
        np.zeros((0, 3)),
        none,
        np.zeros((0, 3)),
        np.zeros(1, int),
    )


def _network(cell, frac, radii, wall, floor, margin, balls) -> Network | None:
    """The network from the spheres in the cell and those within ``margin`` of it that lie in
    ``balls`` (None: all of them); None if these are too few."""
    everything = np.flatnonzero(wall)
    points, owner, lattice = images(frac[everything], cell, margin)
    if balls is not None:
        needed = ~lattice.any(axis=1) | _in_any_ball(points, balls)
        points, owner, lattice = points[needed], owner[needed], lattice[needed]
    r = radii[everything][owner]
    middle = cell.sum(axis=0) / 2
    x = points - middle
    lifted = np.column_stack([x, (x * x).sum(axis=1) - r * r])
    # A point far above is no part of the lower hull, but gives points on one sphere a volume.
    above = [[0.0, 0.0, 0.0, lifted[:, 3].max() + np.ptp(lifted[:, 3]) + 1.0]]
    try:
        hull = ConvexHull(np.concatenate([lifted, above]))
    except QhullError as error:
        raise StructureError(f"Qhull failed: {str(error).splitlines()[0]}") from error
    plane, simplices = hull.equations, hull.simplices
    lower = plane[:, 3] < -1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = -plane[:, :3] / (2.0 * plane[:, 3:4])
    centre[~lower] = np.inf
    # the clearance is the smallest over the spheres that meet here
    radius = np.full(len(simplices), -np.inf)
    spokes = np.linalg.norm(centre[lower, None] - x[simplices[lower]], axis=2)
    radius[lower] = (spokes - r[simplices[lower]]).min(axis=1)
    power = np.full(len(simplices), np.inf)
    power[lower] = spokes[:, 0] ** 2 - r[simplices[lower, 0]] ** 2

    inverse = np.linalg.inv(cell)
    open_ = lower & (radius >= floor)
    node_frac = np.full(centre.shape, np.nan)
    node_frac[open_] = (centre[open_] + middle) @ inverse
    home = np.zeros(len(simplices), bool)
    home[open_] = np.all((node_frac[open_] > -1e-9) & (node_frac[open_] < 1 + 1e-9), axis=1)
    home = np.flatnonzero(home)
    home = home[_is_true(node_frac[home], power[home], cell, frac, radii, wall, margin)]
    if not len(home):
        return _empty(cell)
    base = np.floor(node_frac[home]).astype(int)
    wrapped = node_frac[home] - base  # a tiny negative number may give exactly 1

    # Edges: facets of home simplices, three spheres each. One edge is two facets: those whose
    # spheres are the same but for a lattice vector.
    tail = np.repeat(np.arange(len(home)), 4)
    trio = simplices[home][:, FACETS].reshape(-1, 3)
    partner, partner_shift = _partners(owner[trio], lattice[trio])
    paired = partner >= 0
    head = np.where(paired, tail[partner], -1)
    shift = partner_shift + base[head] - base[tail]
    # Where more than four spheres meet, Qhull cuts the facets of one body in different ways;
    # there the node at the far end tells which edge it is.
    opposite = hull.neighbors[home].ravel()
    closed = ~paired & ~lower[opposite]
    a = centre[home][tail]
    b = np.where(closed[:, None], a, centre[opposite])
    b[paired] = (wrapped[head] + shift + base[tail])[paired] @ cell - middle
    bottleneck = _bottleneck(a, b, x[trio], r[trio], np.ptp(radii) == 0.0)
    used = bottleneck >= floor
    if (closed & used).any():
        return None
    copies, which, copy_shift = images(wrapped, cell, 10 * SAME_NODE_A)
    tree = cKDTree(copies)
    odd = np.flatnonzero(used & ~paired)
    far = (b[odd] + middle) @ inverse
    step = np.floor(far).astype(int)
    miss, nearest = tree.query((far - step) @ cell, distance_upper_bound=SAME_NODE_A)
    if np.isinf(miss).any():
        return None
    head[odd] = which[nearest]
    shift[odd] = step + copy_shift[nearest] - base[tail[odd]]
    tail, head, shift, bottleneck = tail[used], head[used], shift[used], bottleneck[used]

    # Nodes that coincide, where more than four spheres meet, become one.
    pairs = tree.query_pairs(SAME_NODE_A, output_type="ndarray")
    pairs = pairs[copy_shift[pairs[:, 0]].any(axis=1) == 0] if len(pairs) else pairs
    i, j = which[pairs[:, 0]], which[pairs[:, 1]]
    node_radius = radius[home]
    edges = np.concatenate([np.column_stack([tail, head]), np.column_stack([i, j])])
    shift = np.concatenate([shift, copy_shift[pairs[:, 1]]])
    bottleneck = np.concatenate([bottleneck, np.minimum(node_radius[i], node_radius[j])])
    order = np.argsort(-bottleneck, kind="stable")

    corner_sphere = everything[owner[simplices[home]]].ravel()
    corner_order = np.argsort(corner_sphere, kind="stable")
    offset = (centre[home][:, None] - x[simplices[home]]).reshape(-1, 3)
    touched, start = np.unique(corner_sphere[corner_order], return_index=True)
    return Network(
        cell=cell,
        nodes=wrapped,
        radius=node_radius,
        edges=np.ascontiguousarray(edges[order]),
        shift=np.ascontiguousarray(shift[order]),
        bottleneck=bottleneck[order],
        centres=frac[touched],
        corner_node=np.repeat(np.arange(len(home)), 4)[corner_order],
        corner_offset=offset[corner_order],
        corner_start=np.append(start, len(corner_sphere)),
    )


def _partners(owner, lattice) -> tuple[np.ndarray, np.ndarray]:
    """For each trio of spheres, the other trio that is its image by a lattice vector.

    Parameters
    ----------
    owner : ndarray (n, 3) int
        Which spheres.
    lattice : ndarray (n, 3, 3) int
        The lattice shift of each.

    Returns
    -------
    partner : ndarray (n,) int
        Row of the other trio; -1 where there is none or more than one.
    shift : ndarray (n, 3) int
        Lattice vector from the other trio to this one.
    """
    # the order within a trio must not depend on where it lies: by owner, then by shift
    place = np.lexsort((lattice[..., 2], lattice[..., 1], lattice[..., 0], owner), axis=-1)
    owner = np.take_along_axis(owner, place, 1)
    lattice = np.take_along_axis(lattice, place[..., None], 1)
    key = np.column_stack([owner, (lattice[:, 1:] - lattice[:, :1]).reshape(len(owner), -1)])
    order = np.lexsort(key.T)
    new = np.append(True, (np.diff(key[order], axis=0) != 0).any(axis=1))
    start = np.flatnonzero(new)
    twos = start[np.diff(np.append(start, len(order))) == 2]
    i, j = order[twos], order[twos + 1]
    partner, shift = np.full(len(owner), -1), np.zeros((len(owner), 3), int)
    partner[i], partner[j] = j, i
    shift[i] = lattice[i, 0] - lattice[j, 0]
    shift[j] = -shift[i]
    return partner, shift


def _bottleneck(a, b, centres, radii, one_size) -> np.ndarray:
    """Smallest clearance on the way from a to b, from the three spheres around it, Å."""
    along = b - a
    length2 = np.maximum((along * along).sum(axis=1), 1e-300)
    lowest = np.full(len(a), np.inf)
    for k in range(1 if one_size else 3):
        p = centres[:, k]
        t = np.clip(((p - a) * along).sum(axis=1) / length2, 0.0, 1.0)
        gap = np.linalg.norm(a + t[:, None] * along - p, axis=1) - radii[:, k]
        lowest = np.minimum(lowest, gap)
    return lowest


def _is_true(node_frac, power, cell, frac, radii, wall, margin) -> np.ndarray:
    """Whether no sphere of the crystal is nearer (in power) to a node than those that made it."""
    if wall.all() or not len(node_frac):
        return np.ones(len(node_frac), bool)
    r = radii[0]
    points, _, _ = images(frac[~wall], cell, margin)
    distance = np.sqrt(power + r * r)
    found, _ = cKDTree(points).query(
        node_frac @ cell, distance_upper_bound=float(distance.max()) + 1e-6
    )
    return found >= distance - 1e-6


def _exposed(structure: Structure, radii: np.ndarray, spheres: Spheres, floor: float):
    """Spheres that may have a piece of inflated surface outside all others; it misses none."""
    inflated = spheres.radii[0] + floor
    keep = spheres.keep_off(radii, floor)
    reach = radii.max() + floor + keep.max()
    points, owner, _ = images(structure.frac, structure.cell, reach)
    neighbour, start = neighbour_lists(structure.cart, points, reach)
    return _any_direction_open(
        spheres.centres - structure.cart[spheres.parent],
        spheres.parent,
        inflated,
        FINEST_RAD,
        points,
        keep[owner],
        neighbour,
        start,
    )


@njit(cache=True, error_model="numpy", nogil=True)
def _any_direction_open(offset, parent, inflated, finest, points, keep, neighbour, start):
    """Whether any point of the surface of each sphere keeps off all atoms by ``keep``.

    The surface is cut into patches of directions, each quartered until one atom covers it, its
    middle is open, or it is smaller than ``finest`` (rad; then it counts as open).
    """
    out = np.zeros(len(offset), np.bool_)
    patches = np.empty((256, 4))
    for s in range(len(offset)):
        a = parent[s]
        ox, oy, oz = offset[s, 0], offset[s, 1], offset[s, 2]
        length = math.sqrt(ox * ox + oy * oy + oz * oz)
        own = keep[a]
        # The surface keeps off its own atom only within a cap around the way out.
        lowest = -1.0
        ux, uy, uz = 0.0, 0.0, 1.0
        if length > 1e-9:
            lowest = (own * own - length * length - inflated * inflated) / (2 * length * inflated)
            if own <= 0.0 or lowest < -1.0:
                lowest = -1.0
            ux, uy, uz = ox / length, oy / length, oz / length
        elif inflated < own:
            continue
        if lowest > 1.0:
            continue
        # two directions at right angles to it
        if abs(uz) < 0.9:
            norm = math.sqrt(ux * ux + uy * uy)
            vx, vy, vz = -uy / norm, ux / norm, 0.0
        else:
            norm = math.sqrt(uy * uy + uz * uz)
            vx, vy, vz = 0.0, -uz / norm, uy / norm
        wx, wy, wz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        # patches: middle and half widths of the angle to the way out and of that around it
        half = 0.5 * math.acos(lowest)
        for quarter in range(4):
            patches[quarter] = (half, half, (quarter + 0.5) * 0.5 * math.pi, 0.25 * math.pi)
        n_patches = 4
        last = start[a]
        while n_patches > 0:
            n_patches -= 1
            theta, d_theta, phi, d_phi = patches[n_patches]
            cos, sin = math.cos(theta), math.sin(theta)
            p, q = sin * math.cos(phi), sin * math.sin(phi)
            x = ox + inflated * (cos * ux + p * vx + q * wx) + points[a, 0]
            y = oy + inflated * (cos * uy + p * vy + q * wy) + points[a, 1]
            z = oz + inflated * (cos * uz + p * vz + q * wz) + points[a, 2]
            # along the meridian, then along the widest parallel of the patch
            widest = 1.0
            if theta + d_theta < 0.5 * math.pi:
                widest = math.sin(theta + d_theta)
            elif theta - d_theta > 0.5 * math.pi:
                widest = math.sin(theta - d_theta)
            size = d_theta + widest * d_phi
            across = inflated * size
            covered, is_open = False, True
            # what covered the last patch often covers this one
            for m in range(start[a] - 1, start[a + 1]):
                k = last if m < start[a] else m
                if k >= start[a + 1]:
                    continue
                n = neighbour[k]
                if keep[n] <= 0.0:
                    continue
                dx, dy, dz = x - points[n, 0], y - points[n, 1], z - points[n, 2]
                d2 = dx * dx + dy * dy + dz * dz
                if d2 < keep[n] * keep[n]:
                    is_open = False
                    left = keep[n] - across
                    if left > 0.0 and d2 < left * left:
                        covered = True
                        last = k
                        break
            if covered:
                continue
            if is_open or size < finest:
                out[s] = True
                break
            d_theta, d_phi = 0.5 * d_theta, 0.5 * d_phi
            for i in range(-1, 2, 2):
                for j in range(-1, 2, 2):
                    patches[n_patches] = (theta + i * d_theta, d_theta, phi + j * d_phi, d_phi)
                    n_patches += 1
    return out


@njit(cache=True)
def _first_loop(n, edges, across, bottleneck):
    """Bottleneck of the first edge that lets a region return to another image of itself."""
    parent, shift = separate_nodes(n)
    for e in range(len(edges)):
        one, two, by = ends_of_link(parent, shift, edges[e, 0], edges[e, 1], across[e])
        if one != two:
            unite(parent, shift, one, two, by)
        elif by != 0:
            return bottleneck[e]
    return -np.inf


@njit(cache=True)
def _components(n, edges, across, bottleneck, threshold):
    """Representative of every node, and whether a representative's region runs through."""
    parent, shift = separate_nodes(n)
    closing = np.zeros(n, np.bool_)
    for e in range(len(edges)):
        if bottleneck[e] <= threshold:
            break
        one, two, by = ends_of_link(parent, shift, edges[e, 0], edges[e, 1], across[e])
        if one != two:
            unite(parent, shift, one, two, by)
        elif by != 0:
            closing[one] = True
    root = np.empty(n, np.int64)
    for i in range(n):
        root[i], _ = find(parent, shift, i)
    through = np.zeros(n, np.bool_)
    for i in range(n):
        if closing[i]:
            through[root[i]] = True
    return root, through
