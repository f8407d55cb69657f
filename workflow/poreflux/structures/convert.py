"""Structures from what a modeller has: a path, ASE, pymatgen; and back.

ASE and pymatgen are imported where they are needed, and not by those who do not use them.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Union

import gemmi
import numpy as np

from poreflux.base.errors import StructureError, StructureWarning
from poreflux.structures.cif import parse_with_remarks, read_bytes
from poreflux.structures.crystal import Structure, cell_matrix, check_width, make_structure
from poreflux.structures.sites import Atoms, fill_cell

if TYPE_CHECKING:
    import ase
    import pymatgen.core

StructureLike = Union[Structure, str, os.PathLike, "ase.Atoms", "pymatgen.core.IStructure"]

# Remarks that change no atom.
HARMLESS = ("charged_labels", "deuterium")


def as_structure(given: StructureLike) -> Structure:
    """The structure in a path of a CIF, ase.Atoms or a pymatgen Structure.

    Parameters
    ----------
    given : Structure, str, Path, ase.Atoms or pymatgen.core.Structure
        A :class:`Structure` is returned as it is.

    Raises
    ------
    StructureError
        If it is no usable structure.
    TypeError
        If it is something else.
    """
    if isinstance(given, Structure):
        return given
    if isinstance(given, (str, os.PathLike)):
        return from_cif(given)
    if _is_a(given, "ase.atoms", "Atoms"):
        return from_ase(given)
    if _is_a(given, "pymatgen.core.structure", "SiteCollection"):
        return from_pymatgen(given)
    kind = f"{type(given).__module__}.{type(given).__qualname__}".removeprefix("builtins.")
    if isinstance(given, (list, tuple)):
        kind += "; call it for one structure at a time"
    raise TypeError(
        "a structure is the path of a CIF, a poreflux.Structure, ase.Atoms or a pymatgen "
        f"Structure, not a {kind}"
    )


def _is_a(given, module: str, name: str) -> bool:
    """Whether it is of a class of a package; where that is not imported, it cannot be."""
    cls = getattr(sys.modules.get(module), name, None)
    return cls is not None and isinstance(given, cls)


def from_cif(path: str | os.PathLike, *, symmetry: str = "expand") -> Structure:
    """Read a CIF file, see :meth:`Structure.from_cif`."""
    text = os.fspath(path)
    if isinstance(text, str) and "\n" in text:
        raise StructureError(
            "this is the text of a CIF, not a path: use "
            "poreflux.structures.cif.parse_cif(text.encode())"
        )
    with _naming(str(path)):
        structure, remarks = parse_with_remarks(read_bytes(path), symmetry=symmetry)
        _warn(str(path), remarks)
        return structure


def from_ase(atoms: ase.Atoms) -> Structure:
    """Take over the crystal in ase.Atoms, see :meth:`Structure.from_ase`."""
    with _naming(f"ase.Atoms {atoms.get_chemical_formula()}"):
        zero = [v for v, length in zip("abc", atoms.cell.lengths(), strict=True) if length == 0]
        if zero:
            raise StructureError(
                f"no cell: the lattice vectors {', '.join(zero)} are zero; set atoms.cell"
            )
        if not all(atoms.pbc):
            raise StructureError(
                f"not periodic in all directions (pbc is {atoms.pbc.tolist()}): set "
                "atoms.pbc = True if this is a crystal; a slab or molecule is none"
            )
        _refuse_shared_sites(atoms)
        frac = np.linalg.solve(_sound_cell(atoms.cell.array).T, atoms.positions.T).T
        return _crystal(atoms.cell.array, atoms.get_chemical_symbols(), frac)


def _refuse_shared_sites(atoms: ase.Atoms) -> None:
    """ASE keeps one element of each mixed site, and the shares aside."""
    shares = atoms.info.get("occupancy") or {}
    for kind in map(str, dict.fromkeys(atoms.arrays.get("spacegroup_kinds", ()))):
        found = shares.get(kind, {})
        if len(found) > 1 or any(abs(share - 1.0) > 1e-3 for share in found.values()):
            _disordered(" ".join(f"{symbol}{share:g}" for symbol, share in found.items()))


def from_pymatgen(structure: pymatgen.core.IStructure) -> Structure:
    """Take over a pymatgen Structure, see :meth:`Structure.from_pymatgen`."""
    with _naming(f"pymatgen {type(structure).__name__} {structure.composition.formula}"):
        if not hasattr(structure, "lattice"):
            raise StructureError("a molecule is no crystal: give a Structure with a lattice")
        if not all(structure.lattice.pbc):
            raise StructureError(
                f"not periodic in all directions (pbc is {list(structure.lattice.pbc)}): give the "
                "lattice pbc=(True, True, True) if this is a crystal"
            )
        for site in structure:
            if not site.is_ordered:
                _disordered(site.species_string)
        symbols = [site.specie.symbol for site in structure]
        return _crystal(structure.lattice.matrix, symbols, structure.frac_coords)


def _disordered(site: str) -> None:
    raise StructureError(
        f"disordered: a site holds {site}; resolve the disorder first, one whole atom a site"
    )


def to_ase(structure: Structure) -> ase.Atoms:
    """The structure as ase.Atoms, see :meth:`Structure.to_ase`."""
    try:
        import ase
    except ImportError:
        raise ImportError("to_ase() needs ASE: pip install 'poreflux[structures]'") from None
    species, frac = _as_given(structure)
    return ase.Atoms(species, scaled_positions=frac, cell=structure.cell, pbc=True)


def to_pymatgen(structure: Structure) -> pymatgen.core.Structure:
    """The structure as pymatgen has it, see :meth:`Structure.to_pymatgen`."""
    try:
        from pymatgen.core import Lattice
        from pymatgen.core import Structure as PymatgenStructure
    except ImportError:
        raise ImportError(
            "to_pymatgen() needs pymatgen: pip install 'poreflux[structures]'"
        ) from None
    species, frac = _as_given(structure)
    return PymatgenStructure(Lattice(structure.cell), species, frac)


def _as_given(structure: Structure) -> tuple[list[str], np.ndarray]:
    order = structure.listed if structure.listed is not None else np.arange(structure.n_atoms)
    return [structure.species[i] for i in order], structure.frac[order]


def _crystal(vectors: np.ndarray, symbols: Sequence[str], frac: np.ndarray) -> Structure:
    """A structure in any orientation, with the checks that a CIF's atoms get.

    Parameters
    ----------
    vectors : ndarray (3, 3)
        Lattice vectors in rows, Å. Where they are left-handed all three are turned round: edges
        and angles are the same, and the crystal is not mirrored.
    symbols : sequence of str
        Element of each atom.
    frac : ndarray (n_atoms, 3)
        Fractional coordinates.
    """
    if not len(frac):
        raise StructureError("no atoms")
    if not np.isfinite(frac).all():
        raise StructureError("an atom has a coordinate that is not a number")
    lengths, angles = _parameters(_sound_cell(vectors))
    check_width(lengths, angles)
    if np.linalg.det(vectors) < 0:
        frac = -np.asarray(frac)
    species = [_element(symbol, i) for i, symbol in enumerate(symbols)]
    remarks: dict[str, str] = {}
    atoms = Atoms(species, np.asarray(frac), [f"{s}{i}" for i, s in enumerate(symbols)])
    species, frac = fill_cell(atoms, [gemmi.Op()], cell_matrix(lengths, angles), remarks)
    _warn("structure", remarks)
    return make_structure(lengths, angles, species, frac)


def _sound_cell(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, float)
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(vectors).all():
        raise StructureError(f"cell is not finite: {vectors.tolist()}")
    if not lengths.all() or abs(np.linalg.det(vectors)) < 1e-6 * lengths.prod():
        raise StructureError(f"the lattice vectors enclose no volume: {vectors.tolist()}")
    return vectors


def _parameters(vectors: np.ndarray) -> tuple[list[float], list[float]]:
    """Edges (Å) and angles (degrees) of a cell."""
    angles = []
    for i, j in ((1, 2), (0, 2), (0, 1)):
        across = np.linalg.norm(np.cross(vectors[i], vectors[j]))
        # as exact near 0 and 180 degrees as at 90
        angles.append(float(np.degrees(np.arctan2(across, vectors[i] @ vectors[j]))))
    return np.linalg.norm(vectors, axis=1).tolist(), angles


def _element(symbol: str, index: int) -> str:
    if symbol == "D":
        return "H"
    if gemmi.Element(symbol).atomic_number == 0:
        raise StructureError(
            f"unknown element {symbol!r} (atom {index}): give the atom its element, or delete it "
            "if it is a dummy"
        )
    return symbol


def _warn(what: str, remarks: dict[str, str]) -> None:
    """Say in Python's way what was done to the atoms, or is in doubt."""
    for code, text in remarks.items():
        if code not in HARMLESS:
            warnings.warn(f"{what}: {code}: {text}", StructureWarning, stacklevel=4)


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """An error of a structure says which."""
    try:
        yield
    except StructureError as error:
        raise StructureError(f"{what}: {error}") from None
