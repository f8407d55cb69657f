"""Atoms of a whole cell from those that a file lists: images under symmetry, one atom per site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from poreflux.base.errors import StructureError
from poreflux.structures.cif_text import show
from poreflux.structures.crystal import MAX_ATOMS
from poreflux.structures.images import images

# Images nearer than this are one site: the spread that rounded coordinates give.
SAME_SITE_A = 0.1
# No two atoms are nearer. Where half of the atoms have one of their own element within this
# distance, a crystal is laid over itself: 32 of the 23,845 CIFs of CoRE MOF.
OVERLAID_A = 0.5
OVERLAID_SHARE = 0.5
# What the search for shared sites may hold in memory, about 100 MB
MAX_PAIRS = 3_000_000


@dataclass(frozen=True)
class Atoms:
    """Atoms as a file lists them.

    Attributes
    ----------
    species : list of str
        Element symbols.
    frac : ndarray (n, 3)
        Fractional coordinates, any lattice image.
    labels : list of str
        Their names, for messages.
    """

    species: list[str]
    frac: np.ndarray
    labels: list[str]


def fill_cell(
    atoms: Atoms, operators: Sequence[gemmi.Op], cell: np.ndarray, remarks: dict[str, str]
) -> tuple[list[str], np.ndarray]:
    """All atoms of the cell, one for each site.

    Parameters
    ----------
    atoms : Atoms
        Those listed.
    operators : sequence of gemmi.Op
        A group of symmetry operators, the identity among them.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    remarks : dict of str to str
        Takes ``merged`` where several listed atoms share a site.

    Returns
    -------
    list of str
        Element symbols.
    ndarray (n, 3)
        Fractional coordinates.

    Raises
    ------
    StructureError
        If atoms of different elements share a site, half of the atoms overlap with others of their
        element, or there are too many.

    Notes
    -----
    Images nearer than :data:`SAME_SITE_A` to each other share a site; the first that is listed
    stays. Two listed atoms share their sites if any image of the one is that near to the other, for
    the operators are a group.
    """
    if len(operators) * len(atoms.species) > 20 * MAX_ATOMS:
        raise StructureError(
            f"{len(atoms.species)} atoms x {len(operators)} symmetry operators "
            "are more than a cell holds"
        )
    if len(operators) == 1 and not _is_crowded(atoms.frac, cell, 1.0):
        return atoms.species, atoms.frac
    rotations, shifts = map(np.array, zip(*map(_rotation_and_shift, operators), strict=True))
    kept = _without_doubles(atoms, rotations, shifts, cell, remarks)
    species, frac = [atoms.species[i] for i in kept], atoms.frac[kept]
    if len(operators) > 1:
        species, frac = _images_of(species, frac, rotations, shifts, cell)
    _refuse_overlaid(species, frac, cell)
    return species, frac


def is_complete(species: Sequence[str], frac: np.ndarray, cell: np.ndarray, triplets) -> bool:
    """Whether a group of operators (triplets) maps the atoms of a cell onto themselves."""
    places = frac - np.floor(frac)
    points, owner, _ = images(places, cell, SAME_SITE_A)
    _, number = np.unique(np.array(species), return_inverse=True)
    # the element as a fourth coordinate keeps elements apart
    tree = cKDTree(np.column_stack([points, number[owner]]))
    group = gemmi.GroupOps([gemmi.Op(triplet) for triplet in triplets])
    # these generate the group
    for operator in [*group.sym_ops, *map(_translation, group.cen_ops)]:
        rotation, shift = _rotation_and_shift(operator)
        moved = places @ rotation.T + shift
        moved -= np.floor(moved)
        distance, _ = tree.query(np.column_stack([moved @ cell, number]))
        if distance.max() > SAME_SITE_A:
            return False
    return True


def _rotation_and_shift(operator: gemmi.Op) -> tuple[np.ndarray, np.ndarray]:
    """What an operator does to fractional coordinates, (3, 3) and (3,)."""
    return np.array(operator.rot, float) / gemmi.Op.DEN, np.array(
        operator.tran, float
    ) / gemmi.Op.DEN


def _translation(shift: Sequence[int]) -> gemmi.Op:
    operator = gemmi.Op()
    operator.tran = list(shift)
    return operator


def _images_of(species, frac, rotations, shifts, cell) -> tuple[list[str], np.ndarray]:
    """Images of atoms under symmetry, atom by atom, those on special positions merged."""
    all_species, all_frac, total = [], [], 0
    for symbol, place in zip(species, frac, strict=True):
        points = rotations @ place + shifts
        kept = _distinct(points - np.floor(points), cell)
        all_species += [symbol] * len(kept)
        all_frac.append(kept)
        total += len(kept)
        if total > MAX_ATOMS:
            raise StructureError(f"more than {MAX_ATOMS} atoms in the cell with all symmetry")
    return all_species, np.concatenate(all_frac)


def _without_doubles(atoms: Atoms, rotations, shifts, cell, remarks) -> list[int]:
    """Indices of the listed atoms that share no site with one listed before."""
    places = atoms.frac - np.floor(atoms.frac)
    points, owner, _ = images(places, cell, SAME_SITE_A)
    here = cKDTree(points)
    found = []
    n_pairs = 0
    for rotation, shift in zip(rotations, shifts, strict=True):
        moved = places @ rotation.T + shift
        around = cKDTree((moved - np.floor(moved)) @ cell)
        if around.n * here.n > MAX_PAIRS:
            n_pairs += around.count_neighbors(here, SAME_SITE_A)
        if n_pairs > MAX_PAIRS:
            raise StructureError("too many atoms on the same sites; keep one for each")
        hits = around.sparse_distance_matrix(here, SAME_SITE_A, output_type="ndarray")
        pairs = np.column_stack([hits["i"], owner[hits["j"]], hits["v"]])
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    pairs = np.concatenate(found)
    dropped: dict[int, float] = {}
    for i, j, d in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist():
        i, j = int(i), int(j)
        a, b = atoms.species[i], atoms.species[j]
        if a != b:
            raise StructureError(
                f"disordered: {a} and {b} on one site (atoms {show(atoms.labels[i], 12)} and "
                f"{show(atoms.labels[j], 12)}, {d:.3f} Å apart); keep one of them"
            )
        if i not in dropped:
            dropped[j] = min(d, dropped.get(j, np.inf))
    if dropped:
        remarks["merged"] = (
            f"{len(dropped)} of {len(atoms.species)} listed atoms are on the site of another of "
            f"their element, at most {max(dropped.values()):.3f} Å from it, and were left out"
        )
    return [i for i in range(len(atoms.species)) if i not in dropped]


def _distinct(points: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Of the images of one atom those on sites of their own, the first of each."""
    d = points[:, None] - points[None]
    d -= np.round(d)
    same = np.tril((np.linalg.norm(d @ cell, axis=2) < SAME_SITE_A), -1)
    if not same.any():
        return points
    alive = np.ones(len(points), bool)
    for i in range(1, len(points)):
        alive[i] = not (same[i, :i] & alive[:i]).any()
    return points[alive]


def _is_crowded(frac: np.ndarray, cell: np.ndarray, n_neighbours: float) -> bool:
    """Whether the atoms have more than so many within OVERLAID_A on average, with themselves."""
    places = frac - np.floor(frac)
    home, around = cKDTree(places @ cell), cKDTree(images(places, cell, OVERLAID_A)[0])
    return home.count_neighbors(around, OVERLAID_A) > n_neighbours * home.n


def _refuse_overlaid(species: list[str], frac: np.ndarray, cell: np.ndarray) -> None:
    if not _is_crowded(frac, cell, 1 + OVERLAID_SHARE / 2):
        return
    places = frac - np.floor(frac)
    points, owner, _ = images(places, cell, OVERLAID_A)
    _, number = np.unique(np.array(species), return_inverse=True)
    home = cKDTree(np.column_stack([places @ cell, number]))
    around = cKDTree(np.column_stack([points, number[owner]]))
    # the nearest is the atom itself
    distance = around.query(home.data, k=2)[0][:, 1]
    share = float((distance < OVERLAID_A).mean())
    if share >= OVERLAID_SHARE:
        raise StructureError(
            f"{share:.0%} of the atoms have another of their element within {OVERLAID_A:g} Å: "
            "disordered, or all atoms and symmetry are given; keep one of each in the CIF, or set "
            "structure_checks.symmetry: as-listed if all atoms are listed"
        )
