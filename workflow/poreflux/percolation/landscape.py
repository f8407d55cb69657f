"""What the guest feels in one structure, to be looked at: its energy in space, and a way through.

The way is the path of least resistance, which minimises the integral of exp(E/kT) along it: the
resistance of a narrow channel to an overdamped guest.

References
----------
R. Zwanzig, Proc. Natl. Acad. Sci. USA 85 (1988) 2029, doi:10.1073/pnas.85.7.2029.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra

from poreflux.fields.channels import channels_of_guest
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.percolation.settings import PercolationSettings
from poreflux.structures.crystal import Structure

# Points of the grid that the path is sought on, and of the one that is looked at; finest spacing.
SEARCHED_POINTS, SHOWN_POINTS, FINEST_A = 24_000, 27_000, 0.35
# Around the path, Å.
MARGIN_A = 2.0
# Steps to all 26 neighbours, each pair of opposite ones once.
STEPS = [s for s in itertools.product((-1, 0, 1), repeat=3) if s > (0, 0, 0)]


@dataclass(frozen=True)
class Landscape:
    """The energy of a guest in a box of the crystal.

    Attributes
    ----------
    axes_A : tuple of 3 ndarray
        Coordinates of the grid along x, y and z (Cartesian), Å.
    energy_K : ndarray (nx, ny, nz)
        Energy over kB, K, cut off at ``cap_K`` of the settings.
    path_A : ndarray (n, 3)
        From a place where the guest likes to be to one of its images, Å; no points where there
        is no channel.
    path_energy_K : ndarray (n,)
        Energy along it.
    atoms_A : ndarray (m, 3)
        The framework's atoms in the box, Å.
    species : tuple of str, length m
        Their elements.
    """

    axes_A: tuple[np.ndarray, np.ndarray, np.ndarray]
    energy_K: np.ndarray
    path_A: np.ndarray
    path_energy_K: np.ndarray
    atoms_A: np.ndarray
    species: tuple[str, ...]


def landscape(structure: Structure, settings: PercolationSettings | None = None) -> Landscape:
    """Energy of a guest in a box around its way through the crystal.

    Parameters
    ----------
    structure : Structure
    settings : PercolationSettings, optional
        Guest, temperature, cutoff, cap and threshold count.

    Raises
    ------
    StructureError
        If an element has no parameters.
    """
    settings = settings or PercolationSettings()
    guest = guest_parameters(settings.guest)
    spacing_A = max(FINEST_A, (structure.volume_A3 / SEARCHED_POINTS) ** (1 / 3))
    energy = lj_grid(structure, guest, grid_shape(structure, spacing_A), settings.cutoff_A)
    found, _ = channels_of_guest(
        energy, settings.threshold_kT, settings.temperature_K, settings.cap_K
    )
    energy = np.minimum(energy, settings.cap_K)
    path, path_energy = _path(energy, found.mask, structure.cell, settings.temperature_K)
    low, high = _box(structure.cell, path)
    step = max(FINEST_A, (np.prod(high - low) / SHOWN_POINTS) ** (1 / 3))
    axes = tuple(
        np.linspace(a, b, max(2, math.ceil((b - a) / step))) for a, b in zip(low, high, strict=True)
    )
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = (places @ np.linalg.inv(structure.cell)) * energy.shape
    shown = ndimage.map_coordinates(energy, np.moveaxis(points, -1, 0), order=1, mode="grid-wrap")
    atoms, species = _atoms(structure, low, high)
    return Landscape(axes, shown, path, path_energy, atoms, species)


def _path(energy_K, mask, cell, temperature_K) -> tuple[np.ndarray, np.ndarray]:
    """The path of least resistance from the best point of the channels to one of its images.

    Sought in three cells along each edge: a longer way round is not found.
    """
    nowhere = np.zeros((0, 3)), np.zeros(0)
    if not mask.any():
        return nowhere
    shape = np.array(energy_K.shape)
    numbers = np.full(mask.shape, -1)
    numbers[mask] = np.arange(mask.sum())
    tiled = np.tile(numbers, (3, 3, 3))
    cells = np.indices(tiled.shape) // shape[:, None, None, None]
    n_open = int(mask.sum())
    nodes = np.where(tiled >= 0, tiled + n_open * np.ravel_multi_index(cells, (3, 3, 3)), -1)
    least = energy_K[mask].min()
    resistance = np.exp((energy_K[mask] - least) / temperature_K)
    graph = _graph(nodes, np.tile(resistance, 27), cell / shape[:, None])
    start = int(np.argmin(energy_K[mask])) + n_open * 13  # 13: the cell in the middle
    cost, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    images = start % n_open + n_open * np.array([k for k in range(27) if k != 13])
    end = int(images[np.argmin(cost[images])])
    if not np.isfinite(cost[end]):
        return nowhere
    nodes_of_path = [end]
    while nodes_of_path[-1] != start:
        nodes_of_path.append(int(before[nodes_of_path[-1]]))
    way = np.array(nodes_of_path[::-1])
    inside = np.argwhere(mask)[way % n_open]
    shifts = np.stack(np.unravel_index(way // n_open, (3, 3, 3)), axis=1) - 1
    return (inside / shape + shifts) @ cell, energy_K[tuple(inside.T)]


def _graph(nodes: np.ndarray, resistance: np.ndarray, steps_A: np.ndarray) -> sparse.csr_array:
    """Resistances between open points that touch; points on the outside have no outer ones."""
    rows, columns, weights = [], [], []
    for step in STEPS:
        sides = list(zip(step, nodes.shape, strict=True))
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in sides)
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in sides)
        one, other = nodes[here].ravel(), nodes[there].ravel()
        both = (one >= 0) & (other >= 0)
        one, other = one[both], other[both]
        length_A = float(np.linalg.norm(np.array(step) @ steps_A))
        rows.append(one)
        columns.append(other)
        weights.append(length_A * (resistance[one] + resistance[other]) / 2)
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array(entries, shape=(len(resistance),) * 2)


def _box(cell: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a box of the volume of the cell at least, around the middle of the path."""
    if not len(path):
        return np.zeros(3), np.abs(np.diag(cell))
    low, high = path.min(axis=0), path.max(axis=0)
    half = np.maximum((high - low) / 2 + MARGIN_A, np.abs(np.diag(cell)) / 2)
    return (low + high) / 2 - half, (low + high) / 2 + half


def _atoms(structure: Structure, low, high) -> tuple[np.ndarray, tuple[str, ...]]:
    """The atoms of all images in a box."""
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    ends = corners @ np.linalg.inv(structure.cell)
    ranges = [
        range(math.floor(a) - 1, math.ceil(b) + 1)
        for a, b in zip(ends.min(axis=0), ends.max(axis=0), strict=True)
    ]
    places, species = [], []
    for shift in itertools.product(*ranges):
        cart = (structure.frac + shift) @ structure.cell
        inside = ((cart >= low) & (cart <= high)).all(axis=1)
        places.append(cart[inside])
        species += [s for s, keep in zip(structure.species, inside, strict=True) if keep]
    return np.concatenate(places), tuple(species)
