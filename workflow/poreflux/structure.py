"""Crystal structures: reading CIFs, checking them, and the canonical form that identifies them.

A :class:`Structure` is always canonical: symmetry expanded to P1, coordinates wrapped and
rounded, atoms sorted. Everything downstream computes from that form, so that two CIFs with
the same content hash give the same bits whatever their names, formatting or atom order.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from poreflux.errors import StructureError

# Digits kept in the canonical form: 1e-8 of a cell edge is below 1e-6 Å, finer than any
# CIF carries, coarser than the round-off of rewriting one.
FRACTIONAL_DIGITS = 8
CELL_DIGITS = 6
# The largest cell taken; a bigger one is a damaged file or not a crystal.
MAX_ATOMS = 50_000
# Opposite faces nearer than this: a collapsed cell, in which every atom overlaps its images.
MIN_WIDTH_A = 1.0


@dataclass(frozen=True, eq=False)
class Structure:
    """A periodic structure in canonical form.

    Build one with :func:`read_cif` or :func:`make_structure`, which check and canonicalise.

    Attributes
    ----------
    lengths_A, angles_deg : tuple of 3 floats
        Cell edges a, b, c and angles alpha, beta, gamma.
    species : tuple of str, length n_atoms
        Element symbols, sorted.
    frac : ndarray (n_atoms, 3)
        Fractional coordinates in [0, 1).
    """

    lengths_A: tuple[float, float, float]
    angles_deg: tuple[float, float, float]
    species: tuple[str, ...]
    frac: np.ndarray

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the unit cell."""
        return len(self.species)

    @cached_property
    def cell(self) -> np.ndarray:
        """Lattice vectors in rows, ndarray (3, 3), Å: a along x, b in the xy plane."""
        return cell_matrix(self.lengths_A, self.angles_deg)

    @cached_property
    def cart(self) -> np.ndarray:
        """Cartesian coordinates, ndarray (n_atoms, 3), Å."""
        return self.frac @ self.cell

    @cached_property
    def volume_A3(self) -> float:
        """Volume of the unit cell, Å^3."""
        return float(abs(np.linalg.det(self.cell)))

    @cached_property
    def perpendicular_widths_A(self) -> np.ndarray:
        """Distances between opposite faces of the cell, ndarray (3,), Å."""
        return 1.0 / np.linalg.norm(np.linalg.inv(self.cell), axis=0)

    @cached_property
    def mass_amu(self) -> float:
        """Mass of the unit cell, amu."""
        return float(sum(gemmi.Element(s).weight for s in self.species))

    @cached_property
    def density_g_cm3(self) -> float:
        """Crystal density, g/cm^3 (1 amu/Å^3 = 1.66053906660 g/cm^3, CODATA 2018)."""
        return self.mass_amu / self.volume_A3 * 1.66053906660

    @cached_property
    def formula(self) -> str:
        """Formula of the unit cell in Hill order."""
        count = Counter(self.species)
        first = [e for e in ("C", "H") if e in count] if "C" in count else []
        order = first + sorted(set(count) - set(first))
        return " ".join(f"{e}{count[e] if count[e] > 1 else ''}" for e in order)

    @cached_property
    def content_hash(self) -> str:
        """sha256 (hex) of the canonical form: the identity of this structure."""
        lines = [_fixed(self.lengths_A, CELL_DIGITS), _fixed(self.angles_deg, CELL_DIGITS)]
        lines += [
            f"{s} {_fixed(f, FRACTIONAL_DIGITS)}"
            for s, f in zip(self.species, self.frac, strict=True)
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def repeats(self, min_width_A: float) -> tuple[int, int, int]:
        """Smallest supercell whose perpendicular widths all reach ``min_width_A``."""
        n = np.ceil(min_width_A / self.perpendicular_widths_A - 1e-9).astype(int)
        return tuple(int(max(1, x)) for x in n)

    def supercell(self, repeats: tuple[int, int, int]) -> Structure:
        """The same crystal in a cell repeated ``repeats`` times along a, b, c."""
        n = np.asarray(repeats)
        shifts = np.stack(np.meshgrid(*map(np.arange, n), indexing="ij"), -1).reshape(-1, 3)
        frac = ((self.frac[None] + shifts[:, None]) / n).reshape(-1, 3)
        return make_structure(
            np.asarray(self.lengths_A) * n, self.angles_deg, self.species * len(shifts), frac
        )

    def to_cif(self, name: str = "structure") -> str:
        """The structure as a P1 CIF, digits as in the canonical form."""
        keys = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
        out = [f"data_{name}"]
        out += [
            f"_cell_{k} {v:.{CELL_DIGITS}f}"
            for k, v in zip(keys, (*self.lengths_A, *self.angles_deg), strict=True)
        ]
        out += ["_symmetry_space_group_name_H-M 'P 1'", "_symmetry_Int_Tables_number 1"]
        out += ["loop_", "_symmetry_equiv_pos_as_xyz", "'x,y,z'"]
        columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
        out += ["loop_", *(f"_atom_site_{c}" for c in columns)]
        seen: Counter = Counter()
        for s, f in zip(self.species, self.frac, strict=True):
            seen[s] += 1
            out.append(f"{s}{seen[s]} {s} {_fixed(f, FRACTIONAL_DIGITS)}")
        return "\n".join(out) + "\n"


def cell_matrix(lengths_A, angles_deg) -> np.ndarray:
    """Lattice vectors in rows, ndarray (3, 3), Å, from edges (Å) and angles (degrees).

    Raises
    ------
    StructureError
        If the six numbers are not a cell: not finite, not positive, or no volume.
    """
    lengths = np.asarray(lengths_A, float)
    angles = np.asarray(angles_deg, float)
    if not (np.isfinite(lengths).all() and np.isfinite(angles).all()):
        raise StructureError(f"cell is not finite: lengths {lengths}, angles {angles}")
    if (lengths <= 0).any() or (lengths > 1000).any():
        raise StructureError(f"cell lengths must be in (0, 1000] Å, got {lengths.tolist()}")
    if (angles <= 0).any() or (angles >= 180).any():
        raise StructureError(f"cell angles must be in (0, 180) degrees, got {angles.tolist()}")
    cos = np.cos(np.radians(angles))
    cos[np.isclose(angles, 90.0, atol=1e-9)] = 0.0
    ca, cb, cg = cos
    sg = np.sqrt(1 - cg**2)
    y = (ca - cb * cg) / sg
    z2 = 1 - cb**2 - y**2
    if z2 <= 1e-6:
        raise StructureError(f"cell angles {angles.tolist()} enclose no volume")
    a, b, c = lengths
    return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * y, c * np.sqrt(z2)]])


def make_structure(lengths_A, angles_deg, species, frac) -> Structure:
    """Canonical :class:`Structure` from a cell, element symbols and fractional coordinates.

    Parameters
    ----------
    lengths_A, angles_deg : sequences of 3 floats
        Cell edges (Å) and angles (degrees).
    species : sequence of str
        Element symbols, one an atom.
    frac : array (n_atoms, 3)
        Fractional coordinates, any lattice image.

    Raises
    ------
    StructureError
        If the cell is impossible or collapsed, there are no atoms or too many, or a coordinate
        is not finite.
    """
    frac = np.asarray(frac, float).reshape(-1, 3)
    if not len(frac):
        raise StructureError("no atoms")
    if len(frac) > MAX_ATOMS:
        raise StructureError(f"{len(frac)} atoms in the cell, more than {MAX_ATOMS}")
    if not np.isfinite(frac).all():
        raise StructureError("an atom has a coordinate that is not a number")
    lengths = tuple(float(round(float(x), CELL_DIGITS)) for x in lengths_A)
    angles = tuple(float(round(float(x), CELL_DIGITS)) for x in angles_deg)
    widths = 1.0 / np.linalg.norm(np.linalg.inv(cell_matrix(lengths, angles)), axis=0)
    if widths.min() < MIN_WIDTH_A:
        raise StructureError(
            f"the cell is collapsed: opposite faces {widths.min():.3g} Å apart "
            f"(lengths {list(lengths)} Å, angles {list(angles)} degrees)"
        )
    frac = np.round(frac - np.floor(frac), FRACTIONAL_DIGITS)
    frac = np.where(frac >= 1.0, 0.0, frac) + 0.0
    order = np.lexsort((frac[:, 2], frac[:, 1], frac[:, 0], np.asarray(species)))
    frac = np.ascontiguousarray(frac[order])
    frac.setflags(write=False)
    return Structure(lengths, angles, tuple(species[i] for i in order), frac)


def read_cif(path, *, symmetry: str = "expand", min_distance_A: float = 0.5) -> Structure:
    """Read a CIF file into a canonical structure, checked.

    Parameters
    ----------
    path : str or Path
        A CIF file; its first data block with atoms is read.
    symmetry : {'expand', 'as-listed'}
        Apply the file's symmetry operators, or take the listed atoms alone.
    min_distance_A : float
        Two atoms closer than this are an error (0 switches the check off).

    Raises
    ------
    StructureError
        With the reason: unreadable, empty, no cell or atoms, partial occupancy, unknown
        element, overlapping atoms.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StructureError(f"cannot be read: {error.strerror}") from error
    return parse_cif(data, symmetry=symmetry, min_distance_A=min_distance_A)


def parse_cif(data: bytes, *, symmetry: str = "expand", min_distance_A: float = 0.5) -> Structure:
    """The same as :func:`read_cif` for the bytes of a CIF file."""
    if symmetry not in ("expand", "as-listed"):
        raise ValueError(f"symmetry must be 'expand' or 'as-listed', got {symmetry!r}")
    block = _block_with_atoms(data)
    lengths = [_number(block, f"_cell_length_{x}") for x in "abc"]
    angles = [_number(block, f"_cell_angle_{x}") for x in ("alpha", "beta", "gamma")]
    species, frac = _listed_atoms(block)
    cell = cell_matrix(lengths, angles)
    if symmetry == "expand":
        species, frac = _expand(_operators(block), species, frac, cell)
    structure = make_structure(lengths, angles, species, frac)
    if min_distance_A > 0:
        _check_overlaps(structure, min_distance_A)
    return structure


def _fixed(values, digits: int) -> str:
    return " ".join(f"{v:.{digits}f}" for v in values)


def _block_with_atoms(data: bytes) -> gemmi.cif.Block:
    if not data.strip():
        raise StructureError("the file is empty")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # Old CIFs carry Latin-1 author names; every byte is a Latin-1 character.
        text = data.decode("latin-1")
    if "\0" in text:
        raise StructureError("not a CIF: the file holds binary data")
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise StructureError(f"not a valid CIF: {str(error).splitlines()[0]}") from error
    for block in document:
        if block.find_loop("_atom_site_fract_x") or block.find_value("_atom_site_fract_x"):
            return block
    raise StructureError("no atoms: no _atom_site_fract_x in the file")


def _number(block: gemmi.cif.Block, tag: str) -> float:
    text = block.find_value(tag)
    if text is None:
        raise StructureError(f"no {tag} in the file")
    return _to_float(text, tag)


def _to_float(text: str, what: str) -> float:
    value = gemmi.cif.as_number(text)  # understands standard uncertainties: 9.806(4)
    if not np.isfinite(value):
        raise StructureError(f"{what} is {text!r}, not a number")
    return value


def _listed_atoms(block: gemmi.cif.Block) -> tuple[list[str], np.ndarray]:
    tags = ["fract_x", "fract_y", "fract_z", "?type_symbol", "?label", "?occupancy"]
    table = block.find("_atom_site_", tags)
    if not len(table):
        raise StructureError("no atoms: the _atom_site_ loop is empty or incomplete")
    has_symbol, has_label, has_occupancy = (table.has_column(i) for i in (3, 4, 5))
    if not (has_symbol or has_label):
        raise StructureError("atoms have neither _atom_site_type_symbol nor _atom_site_label")
    species, frac = [], []
    for row in table:
        label = gemmi.cif.as_string(row[4]) if has_label else gemmi.cif.as_string(row[3])
        symbol = gemmi.cif.as_string(row[3]) if has_symbol else ""
        species.append(_element(symbol, label))
        frac.append([_to_float(row[i], f"coordinate {'xyz'[i]} of atom {label}") for i in range(3)])
        if has_occupancy and row[5] not in (".", "?"):
            occupancy = _to_float(row[5], f"occupancy of atom {label}")
            if abs(occupancy - 1.0) > 1e-3:
                raise StructureError(
                    f"disordered: atom {label} has occupancy {occupancy:g}; "
                    "resolve the disorder in the CIF first"
                )
    return species, np.array(frac)


def _element(symbol: str, label: str) -> str:
    """Element from a type symbol (``Zn2+``, ``ZN``, ``D``), else from a label (``Zn1``)."""
    for text, both_cases in ((symbol, True), (label, False)):
        match = re.match(r"[A-Za-z]{1,2}", text)
        if not match:
            continue
        letters = match.group()
        # In a label "CA1" is an alpha carbon, "Ca1" is calcium.
        if len(letters) == 2 and (both_cases or letters[1].islower()):
            candidates = [letters.capitalize(), letters[0].upper()]
        else:
            candidates = [letters[0].upper()]
        # A type symbol is taken as it stands: "Xy" is an error, not xenon or X.
        for candidate in candidates[:1] if both_cases and len(letters) == 2 else candidates:
            if candidate == "D":
                return "H"
            if gemmi.Element(candidate).atomic_number > 0:
                return candidate
        if both_cases:
            break
    raise StructureError(f"unknown element {symbol or label!r} (atom {label})")


def _operators(block: gemmi.cif.Block) -> list[gemmi.Op]:
    """Symmetry operators: listed ones first, else those of the space group named."""
    for tag in ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"):
        texts = [gemmi.cif.as_string(x) for x in block.find_values(tag)]
        if texts:
            try:
                return [gemmi.Op(t) for t in texts]
            except (ValueError, RuntimeError) as error:
                raise StructureError(f"symmetry operator not understood: {error}") from error
    for tag in ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M"):
        text = block.find_value(tag)
        if text and text not in (".", "?"):
            name = gemmi.cif.as_string(text)
            group = gemmi.find_spacegroup_by_name(name)
            if group is None:
                raise StructureError(f"unknown space group {name!r} and no symmetry operators")
            return list(group.operations())
    for tag in ("_space_group_IT_number", "_symmetry_Int_Tables_number"):
        text = block.find_value(tag)
        if text and text not in (".", "?"):
            group = gemmi.find_spacegroup_by_number(int(_to_float(text, tag)))
            if group is None:
                raise StructureError(f"{tag} is {text}: no such space group")
            return list(group.operations())
    return [gemmi.Op("x,y,z")]


def _expand(operators, species, frac, cell) -> tuple[list[str], np.ndarray]:
    """Images of each atom under the operators, those on special positions merged."""
    if len(operators) * len(species) > 20 * MAX_ATOMS:
        raise StructureError(
            f"{len(species)} atoms x {len(operators)} symmetry operators are more than a cell holds"
        )
    if len(operators) <= 1:
        return species, frac
    rotations = np.array([op.rot for op in operators], float) / gemmi.Op.DEN
    shifts = np.array([op.tran for op in operators], float) / gemmi.Op.DEN
    images = np.einsum("oij,aj->aoi", rotations, frac) + shifts
    images -= np.floor(images)
    all_species, all_frac = [], []
    for symbol, points in zip(species, images, strict=True):
        kept: list[np.ndarray] = []
        for point in points:
            if kept:
                d = np.array(kept) - point
                d -= np.round(d)
                # 0.1 Å: the spread of images that rounded coordinates give one site
                if (np.linalg.norm(d @ cell, axis=1) < 0.1).any():
                    continue
            kept.append(point)
        all_species += [symbol] * len(kept)
        all_frac += kept
    return all_species, np.array(all_frac)


def _check_overlaps(structure: Structure, min_distance_A: float) -> None:
    """Raise for the closest pair of atoms, images included, nearer than ``min_distance_A``."""
    margin = min_distance_A / structure.perpendicular_widths_A
    points, owners = [structure.frac], [np.arange(structure.n_atoms)]
    for axis in range(3):
        base, owner = np.concatenate(points), np.concatenate(owners)
        for shift in (1.0, -1.0):
            near = base[:, axis] < margin[axis] if shift > 0 else base[:, axis] > 1 - margin[axis]
            moved = base[near].copy()
            moved[:, axis] += shift
            points.append(moved)
            owners.append(owner[near])
    owner = np.concatenate(owners)
    tree = cKDTree(np.concatenate(points) @ structure.cell)
    pairs = tree.query_pairs(min_distance_A, output_type="ndarray")
    if not len(pairs):
        return
    distance = np.linalg.norm(tree.data[pairs[:, 0]] - tree.data[pairs[:, 1]], axis=1)
    i, j = pairs[np.argmin(distance)]
    a, b = structure.species[owner[i]], structure.species[owner[j]]
    raise StructureError(
        f"overlapping atoms: {a} and {b} are {distance.min():.3f} Å apart "
        f"(limit {min_distance_A:g} Å), {len(pairs)} such pairs"
    )
