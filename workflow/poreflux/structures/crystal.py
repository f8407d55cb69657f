"""Crystal structures in the canonical form that identifies them.

A :class:`Structure` is always canonical: symmetry expanded to P1, coordinates wrapped and
rounded, atoms sorted. Everything downstream computes from that form, so that two CIFs with
the same content hash give the same bits whatever their names, formatting or atom order
(but for the areas that Zeo++ samples, see :attr:`Structure.listed`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.p1 import p1_cif

if TYPE_CHECKING:
    import os

    import ase
    import pymatgen.core

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

    Build one with :meth:`from_cif`, :meth:`from_ase`, :meth:`from_pymatgen` or
    :func:`make_structure`, which check it.

    Attributes
    ----------
    lengths_A, angles_deg : tuple of 3 floats
        Cell edges a, b, c and angles alpha, beta, gamma.
    species : tuple of str, length n_atoms
        Element symbols, sorted.
    frac : ndarray (n_atoms, 3)
        Fractional coordinates in [0, 1).
    listed : ndarray (n_atoms,) int or None
        The order in which the atoms were given: ``species[listed[0]]`` came first. No part of
        the identity; Zeo++'s numbers depend on it a little.
    """

    lengths_A: tuple[float, float, float]
    angles_deg: tuple[float, float, float]
    species: tuple[str, ...]
    frac: np.ndarray
    listed: np.ndarray | None = None

    @classmethod
    def from_cif(cls, path: str | os.PathLike, *, symmetry: str = "expand") -> Structure:
        """Read a CIF file.

        Parameters
        ----------
        path : str or Path
            A CIF file; its first data block with atoms is read.
        symmetry : {'expand', 'as-listed'}
            Apply the file's symmetry operators, or take the listed atoms alone.

        Raises
        ------
        StructureError
            With file, reason and remedy: unreadable, no cell or atoms, partial occupancy, unknown
            element, several elements on one site, a space group without its operators.

        Warns
        -----
        StructureWarning
            If the file had to be mended, or something in it is in doubt.
        """
        return _conversions().from_cif(path, symmetry=symmetry)

    @classmethod
    def from_ase(cls, atoms: ase.Atoms) -> Structure:
        """Take over the crystal in ase.Atoms, in any orientation.

        Raises
        ------
        StructureError
            If it is not periodic in three directions, has no cell or no atoms, a site is partly
            occupied or shared, or an atom has no element.
        """
        return _conversions().from_ase(atoms)

    @classmethod
    def from_pymatgen(cls, structure: pymatgen.core.IStructure) -> Structure:
        """Take over a pymatgen Structure, in any orientation; charges are left out.

        Raises
        ------
        StructureError
            If it is not periodic in three directions, has no atoms, a site is partly occupied or
            shared, or an atom has no element.
        """
        return _conversions().from_pymatgen(structure)

    def to_ase(self) -> ase.Atoms:
        """The structure as ase.Atoms: the atoms in the order in which they were given."""
        return _conversions().to_ase(self)

    def to_pymatgen(self) -> pymatgen.core.Structure:
        """The structure as pymatgen has it: the atoms in the order in which they were given."""
        return _conversions().to_pymatgen(self)

    def check(self) -> dict[str, str]:
        """What is wrong or unusual: overlapping atoms, missing hydrogens, solvent and others.

        Returns
        -------
        dict of str to str
            Text by code, see :func:`poreflux.structures.checks.find_warnings`; empty if nothing
            was found.
        """
        return import_module("poreflux.structures.checks").find_warnings(self)

    def __repr__(self) -> str:
        edges = ", ".join(f"{x:g}" for x in self.lengths_A)
        angles = ", ".join(f"{x:g}" for x in self.angles_deg)
        return f"<Structure {self.formula}: {self.n_atoms} atoms, {edges} Å, {angles}°>"

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
        # the kernels draw on this file where only the numerical packages are installed
        import gemmi

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

    def to_cif(self, name: str = "structure", order: np.ndarray | None = None) -> str:
        """The structure as a P1 CIF, digits as in the canonical form.

        Parameters
        ----------
        name : str
            Name of the data block.
        order : ndarray (n_atoms,) int, optional
            The order in which the atoms are written; as they are if not given.
        """
        order = np.arange(self.n_atoms) if order is None else order
        species = [self.species[i] for i in order]
        return p1_cif(
            name, self.lengths_A, self.angles_deg, species, self.frac[order],
            cell_digits=CELL_DIGITS, frac_digits=FRACTIONAL_DIGITS,
        )  # fmt: skip


def _conversions():
    """Readers and writers, by their name: they draw on this module, and no result on them."""
    return import_module("poreflux.structures.convert")


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
        raise StructureError(f"cell angles {angles.tolist()} enclose no volume; correct them")
    a, b, c = lengths
    return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * y, c * np.sqrt(z2)]])


def make_structure(lengths_A, angles_deg, species, frac) -> Structure:
    """Canonical :class:`Structure` from a cell, element symbols and fractional coordinates.

    Parameters
    ----------
    lengths_A, angles_deg : sequences of 3 floats
        Cell edges (Å) and angles (degrees).
    species : sequence of str
        Element symbol per atom.
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
    check_width(lengths, angles)
    frac = np.round(frac - np.floor(frac), FRACTIONAL_DIGITS)
    frac = np.where(frac >= 1.0, 0.0, frac) + 0.0
    order = np.lexsort((frac[:, 2], frac[:, 1], frac[:, 0], np.asarray(species)))
    frac = np.ascontiguousarray(frac[order])
    frac.setflags(write=False)
    return Structure(
        lengths, angles, tuple(species[i] for i in order), frac, listed=np.argsort(order)
    )


def check_width(lengths_A, angles_deg) -> None:
    """Raise :class:`StructureError` for a cell that is impossible or collapsed."""
    widths = 1.0 / np.linalg.norm(np.linalg.inv(cell_matrix(lengths_A, angles_deg)), axis=0)
    if widths.min() < MIN_WIDTH_A:
        raise StructureError(
            f"the cell is collapsed: opposite faces {widths.min():.3g} Å apart "
            f"(lengths {list(lengths_A)} Å, angles {list(angles_deg)} degrees); correct the cell"
        )


def _fixed(values, digits: int) -> str:
    return " ".join(f"{v:.{digits}f}" for v in values)
