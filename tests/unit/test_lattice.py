"""Periodic union-find, lattice vectors and images, against enumeration of the infinite crystal."""

import itertools

import numpy as np
import pytest

from poreflux.fields.lattice import (
    ACROSS,
    NEIGHBOURS,
    ends_of_link,
    extend_basis,
    find,
    lattice_vector,
    pack,
    separate_nodes,
    unite,
)
from poreflux.structures.crystal import make_structure
from poreflux.structures.images import CELLS_AROUND, images

FAR = 2**20 - 1


def test_neighbours_are_the_cells_around_but_for_the_middle():
    steps = {s for s in itertools.product((-1, 0, 1), repeat=3)}
    assert {tuple(s) for s in CELLS_AROUND.tolist()} == steps and len(CELLS_AROUND) == 27
    assert {tuple(s) for s in NEIGHBOURS.tolist()} == steps - {(0, 0, 0)} and len(NEIGHBOURS) == 26


@pytest.mark.parametrize(
    "vector", [*itertools.product((-1, 0, 1), repeat=3), (FAR, -FAR, FAR), (-FAR, FAR, -FAR)]
)
def test_packed_vectors_come_back(vector):
    np.testing.assert_array_equal(lattice_vector(pack(*vector)), vector)
    assert (pack(*vector) == 0) == (vector == (0, 0, 0))


def test_packed_vectors_add_up_as_the_vectors_do():
    rng = np.random.default_rng(0)
    some = rng.integers(-1000, 1000, (50, 3))
    packed = pack(*some.T)
    for one, two in itertools.product(range(50), range(0, 50, 7)):
        sum_, less = packed[one] + packed[two], packed[one] - packed[two]
        np.testing.assert_array_equal(lattice_vector(sum_), some[one] + some[two])
        np.testing.assert_array_equal(lattice_vector(less), some[one] - some[two])
    np.testing.assert_array_equal([lattice_vector(step) for step in ACROSS], np.eye(3))


def test_rank_is_that_of_the_matrix():
    rng = np.random.default_rng(1)
    for _ in range(200):
        vectors = rng.integers(-2, 3, (4, 3)).astype(float)
        vectors = vectors[vectors.any(axis=1)]
        basis, rank = np.zeros((3, 3)), 0
        for m, vector in enumerate(vectors):
            if rank < 3:
                rank = extend_basis(basis, rank, vector)
            assert rank == np.linalg.matrix_rank(vectors[: m + 1])
        np.testing.assert_allclose(basis[:rank] @ basis[:rank].T, np.eye(rank), atol=1e-12)


def regions(n_nodes, links):
    """Representative of each node, lattice vector to it, and the loops, by the union-find."""
    parent, shift = separate_nodes(n_nodes)
    loops = []
    for first, second, across in links:
        one, two, by = ends_of_link(parent, shift, first, second, pack(*across))
        if one != two:
            unite(parent, shift, one, two, by)
        elif by:
            loops.append((one, lattice_vector(by)))
    found = [find(parent, shift, node) for node in range(n_nodes)]
    roots = [root for root, _ in found]
    return roots, np.array([lattice_vector(to) for _, to in found]), loops


def walked(n_nodes, links):
    """The same by walking along the links from one node of each region: label of each node, the
    cell in which it is met, and the lattice vectors at which it is met again, by label."""
    ways = [[] for _ in range(n_nodes)]
    for first, second, across in links:
        ways[first].append((second, np.array(across)))
        ways[second].append((first, -np.array(across)))
    label, cell, again = [-1] * n_nodes, np.zeros((n_nodes, 3)), {}
    for start in range(n_nodes):
        if label[start] >= 0:
            continue
        label[start], again[start], todo = start, [], [start]
        while todo:
            here = todo.pop()
            for there, across in ways[here]:
                if label[there] < 0:
                    label[there], cell[there] = start, cell[here] + across
                    todo.append(there)
                elif (cell[here] + across != cell[there]).any():
                    again[start].append(cell[here] + across - cell[there])
    return label, cell, again


@pytest.mark.parametrize("seed", range(20))
def test_regions_are_those_that_a_walk_finds(seed):
    rng = np.random.default_rng(seed)
    n_nodes, n_links = int(rng.integers(1, 30)), int(rng.integers(0, 40))
    links = [
        (*(int(i) for i in rng.integers(n_nodes, size=2)), tuple(rng.integers(-1, 2, 3).tolist()))
        for _ in range(n_links)
    ]
    roots, to_root, loops = regions(n_nodes, links)
    label, cell, again = walked(n_nodes, links)
    for one, two in itertools.combinations(range(n_nodes), 2):
        assert (roots[one] == roots[two]) == (label[one] == label[two])
    for start, vectors in again.items():
        nodes = [node for node in range(n_nodes) if label[node] == start]
        mine = [vector for root, vector in loops if roots[root] == roots[start]]
        rank = np.linalg.matrix_rank(vectors) if vectors else 0
        assert (np.linalg.matrix_rank(mine) if mine else 0) == rank
        if not rank:
            # without loops the way from node to node is unique
            for node in nodes:
                np.testing.assert_array_equal(to_root[start] - to_root[node], cell[node])


def test_the_first_of_a_link_stays_the_representative_and_paths_get_shorter():
    n = 64
    parent, shift = separate_nodes(n)
    for node in range(n - 1, 0, -1):
        one, two, by = ends_of_link(parent, shift, node - 1, node, pack(0, 0, 1))
        assert (one, two, by) == (node - 1, node, pack(0, 0, 1))
        unite(parent, shift, one, two, by)
    # the chain's last node in cell 63 hangs together with the first in cell 0
    for _ in range(7):
        assert find(parent, shift, n - 1) == (0, pack(0, 0, -(n - 1)))
    assert parent[n - 1] == 0


def test_images_are_all_there():
    s = make_structure((4, 5, 6), (60, 75, 110), ["C"] * 3, np.random.default_rng(1).random((3, 3)))
    points, owner, shift = images(s.frac, s.cell, 7.0)
    np.testing.assert_allclose(points, (s.frac[owner] + shift) @ s.cell)
    np.testing.assert_array_equal(owner[:3], [0, 1, 2])
    assert not shift[:3].any()
    steps = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), -1).reshape(-1, 3)
    reach = 7.0 / s.perpendicular_widths_A
    inside = [
        (i, *n)
        for i in range(3)
        for n in steps
        if ((s.frac[i] + n >= -reach) & (s.frac[i] + n <= 1 + reach)).all()
    ]
    assert sorted(inside) == sorted(
        (int(o), *map(int, n)) for o, n in zip(owner, shift, strict=True)
    )
