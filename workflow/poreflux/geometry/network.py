"""The periodic Voronoi network of a set of spheres, and what percolates along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import ConvexHull, QhullError, cKDTree

from poreflux.errors import StructureError
from poreflux.geometry.periodic import (
    clearance_grid,
    half_diagonal_A,
    images,
    neighbour_lists,
)
from poreflux.geometry.spheres import Spheres
from poreflux.structure import Structure

# Spacing and reach, Å, of the grids that bound the widest clearance, tried in turn.
GRIDS = ((0.5, 4.0), (1.0, 10.0), (2.0, 30.0), (4.0, 1000.0))
# Directions, of a whole sphere, tried to tell whether a sphere is exposed; no direction is
# farther from all of them than so much (rad; 0.035 measured).
DIRECTIONS = 6000
DIRECTIONS_APART = 0.038
# Added to the images' margin, so that few edges leave it.
MARGIN_A = 0.1
# Two nodes nearer than this are one: far above the error of Qhull's vertices, far below any
# length that matters.
SAME_NODE_A = 1e-4


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes and edges of a periodic Voronoi network, those with clearance only.

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
        """Radius of the largest sphere that fits, Å (-inf without nodes).

        Parameters
        ----------
        merged_A : float
            Zeo++ makes nodes one whose coordinates differ by less than 0.02 Å, and gives it
            the smallest of their radii. This leaves the network alone, but rates each node by
            the smallest radius in such a box around it. (Which nodes Zeo++ merges depends on
            the order in which it meets them; this comes closest to its numbers.)
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
        """Radius of the largest sphere that can travel through the crystal, Å (-inf if none)."""
        return float(_first_loop(len(self.radius), self.edges, self.shift, self.bottleneck))

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
        root, loop = _components(len(self.radius), self.edges, self.shift, self.bottleneck, probe_A)
        fits = self.radius > probe_A
        roots, label = np.unique(root[fits], return_inverse=True)
        out = np.full(len(root), -1)
        out[fits] = label
        return out, loop[roots]


def voronoi_network(
    structure: Structure,
    radii: np.ndarray,
    spheres: Spheres,
    floor_A: float = -math.inf,
) -> Network:
    """Voronoi network of the spheres in the periodic crystal, wherever clearance is enough.

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
        what remains is exact. It takes spheres of one size and must exceed their ``gap_A``.

    Returns
    -------
    Network

    Raises
    ------
    StructureError
        If Qhull fails.

    Notes
    -----
    With a floor *t*, only spheres count that have a piece of their surface, inflated by *t*,
    outside all other inflated spheres: the sphere nearest to a point with clearance of at
    least *t* is such a one, so that part of the diagram is unchanged. In the space that the
    absence of the others opens, the diagram is wrong; but nothing there connects to the true
    part above *t*, because a path from one to the other would meet the surface of an absent
    sphere where it is exposed. Nodes there are recognised by a sphere that is nearer than the
    four that made them.

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
    widest = _widest_clearance(structure, radii) + spheres.gap_A
    margin = max(widest, 0.0) + spheres.radii.max() + MARGIN_A
    for _ in range(6):
        network = _network(structure.cell, frac, spheres.radii, wall, floor_A, margin)
        if network is not None:
            return network
        # an edge leaves the region in which all spheres are there
        margin *= 1.5
    raise StructureError("the Voronoi network could not be closed periodically")


def _widest_clearance(structure: Structure, radii: np.ndarray) -> float:
    """An upper bound of the clearance anywhere in the cell, Å."""
    for spacing, cap in GRIDS:
        grid = clearance_grid(structure, radii, spacing, cap)
        if grid.max() < cap:
            break
    return float(grid.max()) + half_diagonal_A(structure, grid.shape)


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


def _network(cell, frac, radii, wall, floor, margin) -> Network | None:
    """The network from the spheres within ``margin`` of the cell; None if that is too little."""
    everything = np.flatnonzero(wall)
    points, owner, _ = images(frac[everything], cell, margin)
    r = radii[everything][owner]
    middle = cell.sum(axis=0) / 2
    x = points - middle
    lifted = np.column_stack([x, (x * x).sum(axis=1) - r * r])
    # A point far above takes no part in the lower hull, but gives points on one sphere a volume.
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
    # clearance: the smallest over the spheres that meet here
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

    # Edges: facets between a home simplex and its neighbours, three spheres each.
    tail = np.repeat(np.arange(len(home)), 4)
    opposite = hull.neighbors[home].ravel()
    trio = np.stack([simplices[home][:, [j for j in range(4) if j != k]] for k in range(4)], 1)
    trio = trio.reshape(-1, 3)
    closed = ~lower[opposite]
    a = centre[home][tail]
    b = np.where(closed[:, None], a, centre[opposite])
    along = b - a
    length2 = np.maximum((along * along).sum(axis=1), 1e-300)
    bottleneck = np.full(len(tail), np.inf)
    for k in range(1 if np.ptp(radii) == 0.0 else 3):
        p = x[trio[:, k]]
        t = np.clip(((p - a) * along).sum(axis=1) / length2, 0.0, 1.0)
        gap = np.linalg.norm(a + t[:, None] * along - p, axis=1) - r[trio[:, k]]
        bottleneck = np.minimum(bottleneck, gap)
    used = bottleneck >= floor
    if (closed & used).any():
        return None
    tail, opposite, bottleneck = tail[used], opposite[used], bottleneck[used]

    # The home node that the far end is an image of.
    far = (centre[opposite] + middle) @ inverse
    step = np.floor(far).astype(int)
    copies, which, copy_shift = images(wrapped, cell, 10 * SAME_NODE_A)
    tree = cKDTree(copies)
    miss, nearest = tree.query((far - step) @ cell, distance_upper_bound=SAME_NODE_A)
    if np.isinf(miss).any():
        return None
    head = which[nearest]
    shift = step + copy_shift[nearest] - base[tail]
    # Coincident nodes (spheres that meet in more than fours) are one.
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
    """Which spheres may have a piece of inflated surface outside all others; none is missed.

    Points on the inflated surface are tried one by one. A point of such a piece keeps off
    every atom by what that atom's own spheres ask for; a tried point near it, by ``tolerance``
    less.
    """
    inflated = spheres.radii[0] + floor
    tolerance = inflated * DIRECTIONS_APART
    keep = spheres.keep_off(radii, floor) - tolerance
    reach = radii.max() + floor + keep.max()
    points, owner, _ = images(structure.frac, structure.cell, reach)
    neighbour, start = neighbour_lists(structure.cart, points, reach)
    return _any_direction_open(
        spheres.centres - structure.cart[spheres.parent],
        spheres.parent,
        inflated,
        DIRECTIONS,
        points,
        keep[owner],
        neighbour,
        start,
    )


@njit(cache=True, error_model="numpy", nogil=True)
def _any_direction_open(offset, parent, inflated, n_sphere, points, keep, neighbour, start):
    out = np.zeros(len(offset), np.bool_)
    golden = math.pi * (3.0 - math.sqrt(5.0))
    for s in range(len(offset)):
        a = parent[s]
        ox, oy, oz = offset[s, 0], offset[s, 1], offset[s, 2]
        length = math.sqrt(ox * ox + oy * oy + oz * oz)
        own = keep[a]
        # The surface keeps off the own atom only within a cap around the way out.
        lowest = -1.0
        ux, uy, uz = 0.0, 0.0, 1.0
        if length > 1e-9:
            lowest = (own * own - length * length - inflated * inflated) / (2 * length * inflated)
            if own <= 0.0 or lowest < -1.0:
                lowest = -1.0
            ux, uy, uz = ox / length, oy / length, oz / length
        elif inflated < own:
            continue
        # two directions at right angles to it
        if abs(uz) < 0.9:
            norm = math.sqrt(ux * ux + uy * uy)
            vx, vy, vz = -uy / norm, ux / norm, 0.0
        else:
            norm = math.sqrt(uy * uy + uz * uz)
            vx, vy, vz = 0.0, -uz / norm, uy / norm
        wx, wy, wz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        last = start[a]
        for d in range(n_sphere):
            cos = 1.0 - (2 * d + 1.0) / n_sphere
            if cos < lowest:
                break
            sin = math.sqrt(1.0 - cos * cos)
            p, q = sin * math.cos(golden * d), sin * math.sin(golden * d)
            x = ox + inflated * (cos * ux + p * vx + q * wx) + points[a, 0]
            y = oy + inflated * (cos * uy + p * vy + q * wy) + points[a, 1]
            z = oz + inflated * (cos * uz + p * vz + q * wz) + points[a, 2]
            free = True
            # what blocked the last direction often blocks this one
            for m in range(start[a] - 1, start[a + 1]):
                k = last if m < start[a] else m
                if k >= start[a + 1]:
                    continue
                n = neighbour[k]
                if keep[n] <= 0.0:
                    continue
                dx, dy, dz = x - points[n, 0], y - points[n, 1], z - points[n, 2]
                if dx * dx + dy * dy + dz * dz < keep[n] * keep[n]:
                    free = False
                    last = k
                    break
            if free:
                out[s] = True
                break
    return out


@njit(cache=True)
def _find(parent, offset, node):
    """Root of a node; paths are shortened, offsets kept relative to the root."""
    root = node
    sa, sb, sc = 0, 0, 0
    while parent[root] != root:
        sa += offset[root, 0]
        sb += offset[root, 1]
        sc += offset[root, 2]
        root = parent[root]
    while parent[node] != root and node != root:
        up = parent[node]
        oa, ob, oc = offset[node, 0], offset[node, 1], offset[node, 2]
        parent[node] = root
        offset[node, 0], offset[node, 1], offset[node, 2] = sa, sb, sc
        sa -= oa
        sb -= ob
        sc -= oc
        node = up
    return root


@njit(cache=True)
def _join(parent, offset, size, u, v, s):
    """Connect v, shifted by s, to u. The root, and whether the connection closes a loop that
    ends a lattice vector away from its start."""
    ru, rv = _find(parent, offset, u), _find(parent, offset, v)
    da = offset[u, 0] + s[0] - offset[v, 0]
    db = offset[u, 1] + s[1] - offset[v, 1]
    dc = offset[u, 2] + s[2] - offset[v, 2]
    if ru == rv:
        return ru, da != 0 or db != 0 or dc != 0
    if size[ru] >= size[rv]:
        parent[rv] = ru
        offset[rv, 0], offset[rv, 1], offset[rv, 2] = da, db, dc
        size[ru] += size[rv]
        return ru, False
    parent[ru] = rv
    offset[ru, 0], offset[ru, 1], offset[ru, 2] = -da, -db, -dc
    size[rv] += size[ru]
    return rv, False


@njit(cache=True)
def _first_loop(n, edges, shift, bottleneck):
    """Bottleneck of the first edge that lets a component return to itself elsewhere."""
    parent, offset, size = np.arange(n), np.zeros((n, 3), np.int64), np.ones(n, np.int64)
    for e in range(len(edges)):
        _, loop = _join(parent, offset, size, edges[e, 0], edges[e, 1], shift[e])
        if loop:
            return bottleneck[e]
    return -np.inf


@njit(cache=True)
def _components(n, edges, shift, bottleneck, threshold):
    """Root of every node, and whether a root's component runs through the crystal."""
    parent, offset, size = np.arange(n), np.zeros((n, 3), np.int64), np.ones(n, np.int64)
    closing = np.zeros(n, np.bool_)
    for e in range(len(edges)):
        if bottleneck[e] <= threshold:
            break
        root, loop = _join(parent, offset, size, edges[e, 0], edges[e, 1], shift[e])
        if loop:
            closing[root] = True
    root = np.empty(n, np.int64)
    for i in range(n):
        root[i] = _find(parent, offset, i)
    through = np.zeros(n, np.bool_)
    for i in range(n):
        if closing[i]:
            through[root[i]] = True
    return root, through
