"""Warnings, each with a code, on what looks wrong in a structure that can be read.

Two atoms are bonded if they are nearer than the sum of their covalent radii (Cordero et al. 2008,
doi 10.1039/b801115j, as in gemmi) and a tolerance: 0.4 Å, as in the Cambridge Structural
Database; 0.6 Å between a metal and N, O, S or a halogen, whose bonds stretch (axial sites of
Cu(II), Pb, Ag); 0.25 Å with hydrogen, so that hydrogen bonds are none; 0.15 Å between metals,
alkali and alkaline earth metals excepted, which do not bond to each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import gemmi
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

from poreflux.base.errors import StructureError
from poreflux.structures.crystal import Structure
from poreflux.structures.images import images

#: Codes of all warnings, those of :mod:`poreflux.structures.cif` included, and the remedy of each.
REMEDIES = {
    "repaired": "export the CIF again or mend that line",
    "several_structures": "split the file, one data block a file",
    "symmetry": "give the operators (_space_group_symop_operation_xyz) of this cell",
    "merged": "list each site once",
    "disorder": "keep one disorder group in the CIF",
    "dummy_atoms": "delete their lines if this is wrong",
    "charged_labels": "no force field here uses them",
    "deuterium": "write H if mass matters",
    "labels": "correct the type symbols or the labels of these atoms",
    "coordinates": "correct these coordinates",
    "contradiction": "correct the cell, the atoms or what is said of them",
    "density": "check cell and atoms",
    "overlapping_atoms": "delete all but one of the atoms that exclude each other",
    "close_contacts": "correct these atoms or relax the structure",
    "missing_hydrogens": "add hydrogen atoms",
    "lone_molecules": "delete solvent that is to be absent",
    "no_framework": "this is a molecular crystal, or atoms are missing",
    "no_metal": "not a metal-organic framework",
    "unchecked": "check cell and atoms",
}

# MOFs and their hypothetical kin have 0.1 to 4 g/cm^3; at 0.05 the cell is mostly a mistake of
# its unit, beyond 6.5 (uranium and lead oxides) atoms are listed more than once.
DENSITY_RANGE_G_CM3 = (0.05, 6.5)
# Shares of the sum of covalent radii. The shortest sound bonds are N≡N and C≡O, 0.77 and 0.81 of
# it; with metals U=O and V=O, 0.67 and 0.72; O-H by X-rays has been published down to 0.65.
CLASH = 0.7
CLASH_METAL = 0.6
CLASH_HYDROGEN = 0.6
# H...H in water and CH2 is 1.5 Å, 1.3 by X-rays; H2 is 0.74 Å.
CLASH_HYDROGENS_A = 1.0
HYDROGEN_MOLECULE_A = 0.85
# Two-coordinate carbon: sp is linear, sp2 and sp3 without hydrogen are bent.
BENT_DEG = 145.0
# Three-coordinate carbon: the angles add up to 360 when flat, 348 in C60, 328 in sp3.
PYRAMIDAL_DEG = 338.0
# One-coordinate carbon: C≡O 1.13, C≡N 1.16, C≡C 1.20 Å; a double bond has 1.32.
TRIPLE_BOND_A = 1.25
# What a neighbour search may hold in memory, about 300 MB; real cells need a tenth.
MAX_IMAGES = 2_000_000
MAX_PAIRS = 3_000_000

_S_BLOCK = frozenset("Li Na K Rb Cs Fr Be Mg Ca Sr Ba Ra".split())


@dataclass(frozen=True)
class _Pairs:
    """Pairs of atoms, each in both directions: ``i`` at home, ``j`` in the cell ``shift``."""

    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray
    distance: np.ndarray

    def where(self, mask) -> _Pairs:
        return _Pairs(self.i[mask], self.j[mask], self.shift[mask], self.distance[mask])

    def __len__(self) -> int:
        return len(self.i)


@dataclass(frozen=True)
class _Atoms:
    """Radii (Å) and kinds of the atoms."""

    species: np.ndarray
    radius: np.ndarray
    metal: np.ndarray
    s_block: np.ndarray
    hydrogen: np.ndarray
    carbon: np.ndarray


def find_warnings(structure: Structure, *, min_distance_A: float = 0.5) -> dict[str, str]:
    """Look for what is wrong or unusual in a structure.

    Parameters
    ----------
    structure : Structure
        Symmetry expanded.
    min_distance_A : float
        Atoms nearer than this overlap, Å; 0 looks for none.

    Returns
    -------
    dict of str to str
        Text by code (:data:`REMEDIES`), empty if nothing was found.

    Notes
    -----
    ``missing_hydrogens`` looks at carbon alone: one neighbour farther than a triple bond, two at
    an angle below 145 degrees, or three in a pyramid; carbons that touch a metal or clash are
    left out, and water or hydroxide without hydrogen is not recognised. ``lone_molecules`` are
    bonded groups without periodicity beside a periodic network.
    """
    atoms = _describe(structure)
    found = {}
    low, high = DENSITY_RANGE_G_CM3
    if not low <= structure.density_g_cm3 <= high:
        found["density"] = f"{structure.density_g_cm3:.3g} g/cm3, not {low:g} to {high:g}"
    if not atoms.metal.any():
        found["no_metal"] = "all atoms are hydrogen" if atoms.hydrogen.all() else "no metal atom"
    pairs, reason = _neighbours(structure, _search_radius(atoms, min_distance_A), min_distance_A)
    if pairs is None:
        found |= reason
    else:
        bonds, clashing = _judge_pairs(atoms, pairs, min_distance_A, found)
        if text := _open_carbons(structure, atoms, bonds, clashing):
            found["missing_hydrogens"] = text
        _judge_fragments(atoms, bonds, found)
    return {code: found[code] for code in REMEDIES if code in found}


def merge(remarks: dict[str, str], warnings: dict[str, str]) -> dict[str, str]:
    """Remarks on the reading and warnings, the texts of a code that both have joined."""
    return {
        code: ", ".join(found[code] for found in (remarks, warnings) if code in found)
        for code in REMEDIES
        if code in remarks or code in warnings
    }


def bare_framework(structure: Structure) -> np.ndarray:
    """Which atoms make up the framework, whatever solvent and hydrogens a file has beside it.

    Parameters
    ----------
    structure : Structure

    Returns
    -------
    ndarray (n_atoms,) bool
        The atoms of periodic networks of bonds, but no hydrogen, and no oxygen of water, hydroxide
        or oxide that hangs on one metal atom alone. Where there is no such atom, or the bonds
        cannot be found: all atoms but hydrogen, or all.
    """
    atoms = _describe(structure)
    heavy = ~atoms.hydrogen
    kept = heavy
    pairs, _ = _neighbours(structure, _search_radius(atoms, 0.0), 0.0)
    if pairs is not None:
        bonds, _ = _judge_pairs(atoms, pairs, 0.0, {})
        label, periodic = _fragments(len(heavy), bonds)
        inner = bonds.where(heavy[bonds.i] & heavy[bonds.j])
        degree = np.bincount(inner.i, minlength=len(heavy))
        on_metal = np.bincount(inner.i, weights=atoms.metal[inner.j], minlength=len(heavy))
        hanging = (atoms.species == "O") & (degree == 1) & (on_metal == 1)
        kept = heavy & periodic[label] & ~hanging
    return next((mask for mask in (kept, heavy) if mask.any()), ~heavy)


def fail_on(warnings: dict[str, str], codes) -> None:
    """Raise :class:`StructureError` for the first warning whose code is among ``codes``."""
    for code, text in warnings.items():
        if code in codes:
            raise StructureError(
                f"{code}: {text}; {REMEDIES[code]}, or take {code} out of structure_checks.fail_on"
            )


def join(warnings: dict[str, str]) -> str:
    """Warnings as the text of a table's cell: ``"code: text; code: text"``."""
    return "; ".join(f"{code}: {warnings[code]}" for code in REMEDIES if code in warnings)


def _describe(structure: Structure) -> _Atoms:
    kinds, which = np.unique(np.array(structure.species), return_inverse=True)
    elements = [gemmi.Element(str(kind)) for kind in kinds]
    return _Atoms(
        species=kinds[which],
        radius=np.array([e.covalent_r for e in elements])[which],
        metal=np.array([e.is_metal for e in elements])[which],
        s_block=np.isin(kinds, list(_S_BLOCK))[which],
        hydrogen=(kinds == "H")[which],
        carbon=(kinds == "C")[which],
    )


# --- neighbours --------------------------------------------------------------------------------


def _search_radius(atoms: _Atoms, min_distance_A: float) -> float:
    """The longest bond that these elements can have, Å."""
    metal = atoms.radius[atoms.metal].max(initial=0.0)
    other = atoms.radius[~atoms.metal].max(initial=0.0)
    metals = atoms.radius[atoms.metal & ~atoms.s_block].max(initial=0.0)
    return max(
        2 * other + 0.4, metal + other + 0.6, 2 * metals + 0.15, CLASH_HYDROGENS_A, min_distance_A
    )


def _neighbours(structure, radius_A, min_distance_A) -> tuple[_Pairs | None, dict[str, str]]:
    """All pairs within ``radius_A``, or None and the warnings why they were not looked for."""
    margin = radius_A / structure.perpendicular_widths_A
    if structure.n_atoms * np.prod(1 + 2 * margin) > MAX_IMAGES:
        return None, {"unchecked": "the cell is too skewed or thin for a search of contacts"}
    points, owner, shift = images(structure.frac, structure.cell, radius_A)
    home, around = cKDTree(structure.cart), cKDTree(points)
    if home.n * around.n > MAX_PAIRS and home.count_neighbors(around, radius_A) > MAX_PAIRS:
        found = {"unchecked": f"too many atoms within {radius_A:.1f} Å of each other"}
        near = home.count_neighbors(around, min_distance_A) - home.n if min_distance_A else 0
        if near:
            found["overlapping_atoms"] = (
                f"{_count(near // 2, 'pair')} closer than {min_distance_A:g} Å"
            )
        return None, found
    hits = home.sparse_distance_matrix(around, radius_A, output_type="ndarray")
    i, image = hits["i"].astype(np.int64), hits["j"].astype(np.int64)
    pairs = _Pairs(i, owner[image], shift[image], hits["v"])
    return pairs.where((pairs.i != pairs.j) | pairs.shift.any(axis=1)), {}


# --- contacts and bonds ------------------------------------------------------------------------


def _judge_pairs(atoms, pairs, min_distance_A, found) -> tuple[_Pairs, np.ndarray]:
    """Bonds, and a mask of the atoms that clash; the warnings on contacts go into ``found``."""
    i, j, d = pairs.i, pairs.j, pairs.distance
    total = atoms.radius[i] + atoms.radius[j]
    metals = atoms.metal[i].astype(int) + atoms.metal[j]
    hydrogens = atoms.hydrogen[i].astype(int) + atoms.hydrogen[j]

    carbon = atoms.carbon[i] | atoms.carbon[j]
    tolerance = np.where(metals == 1, np.where(carbon, 0.4, 0.6), 0.4)
    tolerance = np.where(metals == 2, 0.15, tolerance)
    tolerance = np.where(hydrogens == 1, 0.25, tolerance)
    limit = total + tolerance
    limit[hydrogens == 2] = HYDROGEN_MOLECULE_A
    limit[(metals == 2) & (atoms.s_block[i] | atoms.s_block[j])] = 0.0
    bonds = pairs.where(d < limit)

    overlapping = d < min_distance_A
    closest = np.where(metals > 0, CLASH_METAL, CLASH) * total
    closest[hydrogens == 1] = CLASH_HYDROGEN * total[hydrogens == 1]
    # Of H2 each atom has one neighbour, the other one; a clash has more.
    degree = np.bincount(bonds.i, minlength=len(atoms.radius))
    molecule = (d < HYDROGEN_MOLECULE_A) & (degree[i] == 1) & (degree[j] == 1) & (d > 0.6)
    closest[hydrogens == 2] = CLASH_HYDROGENS_A
    clashing = (d < closest) & ~overlapping & ~((hydrogens == 2) & molecule)
    for code, mask in (("overlapping_atoms", overlapping), ("close_contacts", clashing)):
        if mask.any():
            k = np.flatnonzero(mask)[d[mask].argmin()]
            a, b = sorted((atoms.species[i[k]], atoms.species[j[k]]))
            n = _count(int(mask.sum()) // 2, "such pair")
            found[code] = f"{a} and {b} {d[k]:.2f} Å apart, {n}"
    touched = np.zeros(len(atoms.radius), bool)
    touched[i[overlapping | clashing]] = True
    return bonds, touched


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _open_carbons(structure, atoms, bonds, clashing) -> str:
    """Text on carbons whose neighbours leave a valence open, empty if there are none."""
    n = len(atoms.radius)
    beside_metal = np.bincount(bonds.i, weights=atoms.metal[bonds.j], minlength=n) > 0
    judged = atoms.carbon & ~beside_metal & ~clashing
    order = np.argsort(bonds.i, kind="stable")
    order = order[judged[bonds.i[order]]]
    b = bonds.where(order)
    if not len(b):
        return ""
    vectors = structure.frac[b.j] + b.shift - structure.frac[b.i]
    unit = (vectors @ structure.cell) / np.maximum(b.distance, 1e-9)[:, None]
    first, degree = np.unique(b.i, return_index=True, return_counts=True)[1:]

    hydrogens = np.add.reduceat(atoms.hydrogen[b.j].astype(int), first)
    one = first[degree == 1]
    is_open = int(((b.distance[one] > TRIPLE_BOND_A) & ~atoms.hydrogen[b.j[one]]).sum())
    two = first[degree == 2]
    bent = _angle_deg(unit[two], unit[two + 1]) < BENT_DEG
    # A cyanide or alkyne that disorder bends is no CH.
    bent &= np.minimum(b.distance[two], b.distance[two + 1]) > TRIPLE_BOND_A - 0.05
    is_open += int(bent.sum())
    # Hydrogens are often placed beside the plane of a ring: heavy neighbours alone tell.
    three = first[(degree == 3) & (hydrogens == 0)]
    u, v, w = unit[three], unit[three + 1], unit[three + 2]
    flat = _angle_deg(u, v) + _angle_deg(v, w) + _angle_deg(u, w)
    is_open += int((flat < PYRAMIDAL_DEG).sum())
    if not is_open:
        return ""
    none = "" if atoms.hydrogen.any() else ", and no H atom at all"
    return f"{is_open} of {int(atoms.carbon.sum())} C atoms have an open valence{none}"


def _angle_deg(u, v) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((u * v).sum(axis=1), -1.0, 1.0)))


# --- fragments ---------------------------------------------------------------------------------


def _judge_fragments(atoms, bonds, found) -> None:
    label, periodic = _fragments(len(atoms.radius), bonds)
    if not periodic.any():
        found["no_framework"] = f"no periodic network of bonds, {_count(len(periodic), 'molecule')}"
        return
    if periodic.all():
        return
    lone = np.flatnonzero(~periodic)
    members = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[members], [lone, lone + 1]).T
    kinds = Counter(_formula(Counter(atoms.species[members[a:b]].tolist())) for a, b in bounds)
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{n} {formula}" for formula, n in ranked[:5])
    found["lone_molecules"] = text + (", ..." if len(ranked) > 5 else "")


def _formula(count: Counter) -> str:
    first = [e for e in ("C", "H") if e in count] if "C" in count else []
    order = first + sorted(set(count) - set(first))
    return "".join(f"{e}{count[e] if count[e] > 1 else ''}" for e in order)


def _fragments(n: int, bonds: _Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Bonded groups: the group of each atom, and whether each group is periodic.

    A tree of bonds from the first atom of each group reaches every other atom of it at some lattice
    shift. A group is periodic if a bond leads to one of its atoms at another shift.
    """
    # Both directions: round-off at the limit may have let one of them through alone.
    i, j = np.concatenate([bonds.i, bonds.j]), np.concatenate([bonds.j, bonds.i])
    shift = np.concatenate([bonds.shift, -bonds.shift])
    graph = csr_array((np.ones(len(i)), (i, j)), shape=(n, n))
    n_groups, label = connected_components(graph, directed=False)
    roots = np.unique(label, return_index=True)[1]

    # One more node, linked to each root, makes a single tree of the forest.
    rows, cols = np.concatenate([i, np.full(len(roots), n)]), np.concatenate([j, roots])
    forest = csr_array((np.ones(len(rows)), (rows, cols)), shape=(n + 1, n + 1))
    parent = breadth_first_order(forest, n, directed=True)[1][:n].astype(np.int64)
    inner = np.flatnonzero(parent < n)
    key = i * n + j
    order = np.argsort(key, kind="stable")
    step = order[np.searchsorted(key[order], parent[inner] * n + inner)]
    offset = np.zeros((n, 3), np.int64)
    offset[inner] = shift[step]
    parent[roots] = roots
    # Each pass doubles the steps up the tree that an atom's offset covers.
    while (parent[parent] != parent).any():
        offset += offset[parent]
        parent = parent[parent]
    periodic = np.zeros(n_groups, bool)
    periodic[label[i[(offset[i] + shift != offset[j]).any(axis=1)]]] = True
    return label, periodic
