"""Reading CIF files into canonical structures.

A file that gemmi accepts is read as it stands. One that it does not, because it breaks the
rules of CIF 1.1 (Hall, Allen & Brown 1991, doi 10.1107/S010876739101067X), is read from its
cell, symmetry and atoms alone, each mended only where that leaves no choice; numbers are never
guessed. What was mended, ignored or ambiguous is a remark.
"""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path

import gemmi
import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.cif_items import Items, as_number, to_float
from poreflux.structures.cif_repair import repair
from poreflux.structures.cif_text import (
    CELL_ANGLES,
    CELL_LENGTHS,
    EXPORT,
    SYMMETRY,
    MalformedError,
    check_size,
    decode,
    printable,
    show,
)
from poreflux.structures.crystal import (
    MAX_ATOMS,
    Structure,
    cell_matrix,
    check_width,
    make_structure,
)
from poreflux.structures.elements import element, is_charged
from poreflux.structures.sites import Atoms, fill_cell, is_complete
from poreflux.structures.symmetry import Symmetry, misfit, read_symmetry

# Beyond this a coordinate has lost the digits that place it in the cell.
MAX_COORDINATE = 1000.0


def read_cif(path, *, symmetry: str = "expand") -> Structure:
    """Read a CIF file into a canonical structure.

    Parameters
    ----------
    path : str or Path
        A CIF file; its first data block with atoms is read.
    symmetry : {'expand', 'as-listed'}
        Apply the file's symmetry operators, or take the listed atoms alone, whatever symmetry the
        file states.

    Returns
    -------
    Structure

    Raises
    ------
    StructureError
        With the reason and, where there is one, the remedy: unreadable, empty, no cell or atoms,
        partial occupancy, unknown element, several elements on one site, a space group of which
        the file gives neither the operators nor all atoms.
    """
    return parse_cif(read_bytes(path), symmetry=symmetry)


def read_bytes(path) -> bytes:
    """The bytes of a file, or a :class:`StructureError` why they cannot be had."""
    try:
        info = Path(path).stat()
        if not stat.S_ISREG(info.st_mode):
            raise StructureError("cannot be read: not a file")
        check_size(info.st_size)
        return Path(path).read_bytes()
    except OSError as error:
        raise StructureError(f"cannot be read: {error.strerror}") from error


def parse_cif(data: bytes, *, symmetry: str = "expand") -> Structure:
    """The same as :func:`read_cif` for the bytes of a CIF file."""
    return parse_with_remarks(data, symmetry=symmetry)[0]


def parse_with_remarks(
    data: bytes, *, symmetry: str = "expand"
) -> tuple[Structure, dict[str, str]]:
    """Structure in the bytes of a CIF file, and what a user should know about the reading.

    Parameters
    ----------
    data, symmetry
        As in :func:`read_cif`.

    Returns
    -------
    Structure
    dict of str to str
        Remarks by code: ``repaired``, ``several_structures``, ``dummy_atoms``, ``disorder``,
        ``charged_labels``, ``deuterium``, ``symmetry``, ``merged``.

    Raises
    ------
    StructureError
        As :func:`read_cif`.
    """
    if symmetry not in ("expand", "as-listed"):
        raise ValueError(f"symmetry must be 'expand' or 'as-listed', got {symmetry!r}")
    text = decode(data)
    try:
        return _parse(text, symmetry)
    except MalformedError as error:
        fault = str(error)
    try:
        structure, remarks = _parse(repair(text), symmetry)
    except MalformedError:
        raise StructureError(f"not a valid CIF: {fault}; mend it there") from None
    return structure, {"repaired": f"not a valid CIF ({fault})"} | remarks


def _parse(text: str, symmetry: str) -> tuple[Structure, dict[str, str]]:
    items, others, remarks = _block_with_atoms(text)
    lengths = [_number(items, tag) for tag in CELL_LENGTHS]
    angles = [_number(items, tag) for tag in CELL_ANGLES]
    # Numbers that cell_matrix would divide by
    if 0 < min(lengths) < 0.1:
        raise StructureError(f"the cell is collapsed: an edge of {min(lengths):g} Å; {EXPORT}")
    if min(map(math.sin, map(math.radians, angles))) < 1e-6:
        raise StructureError(f"cell angles {angles} enclose no volume; {EXPORT}")
    atoms = _listed_atoms(items.atoms, remarks)
    cell = cell_matrix(lengths, angles)
    check_width(lengths, angles)
    if symmetry == "as-listed":
        species, frac = fill_cell(atoms, [gemmi.Op()], cell, remarks)
    else:
        stated = _symmetry(items, others, angles)
        species, frac = fill_cell(atoms, stated.operators, cell, remarks)
        doubts = stated.remarks + _check_complete(stated, species, frac, cell)
        doubts += misfit(stated.operators, cell) + _multiplicities(items, stated)
        if doubts:
            remarks["symmetry"] = ", ".join(doubts)
    return make_structure(lengths, angles, species, frac), remarks


# --- from text to a block ----------------------------------------------------------------------


def _block_with_atoms(text: str) -> tuple[Items, list[Items], dict[str, str]]:
    """The first data block with atoms, those without, and a remark if several have them."""
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise MalformedError(_fault(str(error), text)) from error
    blocks = [Items(block) for block in document]
    found = [b for b in blocks if b.atoms]
    if found:
        several = f"{len(found)} data blocks have atoms, {show(found[0].name)} was read"
        remarks = {"several_structures": several} if len(found) > 1 else {}
        return found[0], [b for b in blocks if not b.atoms], remarks
    if any(b.has_cartesian for b in blocks):
        raise StructureError(
            "no fractional coordinates: atoms are given in Å (_atom_site_Cartn_x) only; "
            "export the CIF with _atom_site_fract_x, _y and _z"
        )
    raise StructureError(f"no atoms: no _atom_site_fract_x in the file; {EXPORT} with coordinates")


def _fault(message: str, text: str) -> str:
    """Gemmi's message with the text of the line it names."""
    match = re.match(r"string:(\d+)(?::\d+\(\d+\))?(?: in [^:]*)?: (.*)", message, re.DOTALL)
    if not match:
        return printable(message.removeprefix("string:").strip())
    number, what = int(match.group(1)), printable(match.group(2))
    lines = text.split("\n")
    line = lines[number - 1].strip() if number <= len(lines) else ""
    return f"line {number}: {what}" + (f": {show(line)}" if line else "")


def _number(items: Items, tag: str) -> float:
    text = items.first(tag)
    if text is None:
        raise StructureError(f"no {tag} in the file; {EXPORT} with its cell")
    return to_float(text, tag)


# --- atoms -------------------------------------------------------------------------------------


def _listed_atoms(columns: dict[str, list[str]], remarks: dict) -> Atoms:
    n = len(columns["x"])
    if not n or not {"x", "y", "z"} <= set(columns):
        raise StructureError(
            "no atoms: the _atom_site_ loop is empty or lacks one of _atom_site_fract_x, _y, _z"
        )
    if n > MAX_ATOMS:
        raise StructureError(f"{n} atoms in the file, more than {MAX_ATOMS}")
    symbols, labels = _names(columns, n)
    # Dummy atoms (centroids of rings) are no atoms by the CIF core dictionary.
    flags = columns.get("flag")
    real = [i for i in range(n) if not (flags and _plain(flags[i]).lower() == "dum")]
    if len(real) < n:
        remarks["dummy_atoms"] = f"{n - len(real)} dummy atoms left out"
        if not real:
            raise StructureError("no atoms: all are dummy atoms (_atom_site_calc_flag dum)")
    places = [columns[axis] for axis in "xyz"]
    frac = np.array([[as_number(c[i]) for c in places] for i in real])
    bad = ~(np.abs(frac) <= MAX_COORDINATE)
    if bad.any():
        row, axis = np.argwhere(bad)[0]
        _bad_coordinate(places[axis][real[row]], "xyz"[axis], labels[real[row]])
    if "occupancy" in columns:
        _check_occupancies([columns["occupancy"][i] for i in real], [labels[i] for i in real])
    species = [element(symbols[i], labels[i]) for i in real]
    if "D" in species:
        remarks["deuterium"] = f"{species.count('D')} D atoms taken as H"
        species = ["H" if s == "D" else s for s in species]
    charged = sorted({symbols[i] for i in real if is_charged(symbols[i])})
    if charged:
        more = ", ..." if len(charged) > 5 else ""
        remarks["charged_labels"] = f"charges of {printable(', '.join(charged[:5]))}{more} ignored"
    if groups := columns.get("disorder_group"):
        in_groups = [labels[i] for i in real if _plain(groups[i]) not in ("", "0")]
        if in_groups:
            remarks["disorder"] = (
                f"{len(in_groups)} of {len(real)} atoms are in disorder groups, "
                f"{show(in_groups[0], 12)} for one"
            )
    return Atoms(species, frac, [labels[i] for i in real])


def _names(columns: dict[str, list[str]], n: int) -> tuple[list[str], list[str]]:
    """Type symbols, empty where the file has none at all, and labels."""
    symbols, labels = columns.get("symbol"), columns.get("label")
    if symbols is None and labels is None:
        raise StructureError(
            "atoms have neither _atom_site_type_symbol nor _atom_site_label; "
            "add a column with their elements"
        )
    symbols = [_plain(s) or s for s in symbols or [""] * n]
    labels = [_plain(s) for s in labels] if labels else symbols
    # A column of placeholders is none; one among symbols is an atom of which nobody knows.
    if labels is not symbols and all(s in ("", "?", ".", "''", '""') for s in symbols):
        symbols = [""] * n
    return symbols, labels


def _plain(text: str) -> str:
    """A value without quotes; unknown (``?``) and inapplicable (``.``) are empty."""
    return gemmi.cif.as_string(text).strip()


def _bad_coordinate(text: str, axis: str, label: str) -> None:
    what = f"coordinate {axis} of atom {show(label, 12)}"
    if text in (".", "?"):
        raise StructureError(
            f"{what} is {show(text)}, not a number; place the atom or delete its line"
        )
    raise StructureError(f"{what} is {to_float(text, what):g}: not a fraction of the cell")


def _check_occupancies(texts: list[str], labels: list[str]) -> None:
    known = set(texts) - {".", "?"}
    if all(as_number(text) == 1.0 for text in known):
        return
    for text, label in zip(texts, labels, strict=True):
        if text in (".", "?"):
            continue
        occupancy = to_float(text, f"occupancy of atom {show(label, 12)}")
        if abs(occupancy - 1.0) > 1e-3:
            raise StructureError(
                f"disordered: atom {show(label, 12)} has occupancy {occupancy:g}; "
                "resolve the disorder in the CIF first"
            )


# --- symmetry ----------------------------------------------------------------------------------


def _symmetry(items: Items, others: list[Items], angles: list[float]) -> Symmetry:
    """The symmetry of the block with the atoms; one that stands elsewhere is not guessed at."""
    if not any(tag.startswith(SYMMETRY) for tag in items.values):
        for other in others:
            elsewhere = read_symmetry(other, angles)
            if len(elsewhere.operators) > 1 or elsewhere.larger:
                raise StructureError(
                    f"the symmetry stands in data block {show(other.name, 20)}, the atoms in "
                    f"{show(items.name, 20)}; put them into one"
                )
    return read_symmetry(items, angles)


def _check_complete(stated: Symmetry, species, frac, cell) -> list[str]:
    """Remarks on groups that the file states but does not apply, if it lists all of their atoms.

    Raises
    ------
    StructureError
        If it does not: an asymmetric unit taken for the cell.
    """
    n = len(stated.operators)
    applied = "the identity alone was applied" if n == 1 else f"{n} of its operators were applied"
    remarks = []
    for statement in stated.larger:
        if not statement.settings:
            reason = f"{statement.said} is not understood and {applied}"
        elif any(is_complete(species, frac, cell, group) for group in statement.settings):
            remarks.append(f"{statement.said}: {applied}, all atoms are listed")
            continue
        else:
            reason = f"{statement.said}, but {applied} and its atoms are not all listed"
        raise StructureError(
            f"{reason}; give all operators (_space_group_symop_operation_xyz) or correct that "
            "item; if all atoms are listed, set structure_checks.symmetry: as-listed"
        )
    return remarks


def _multiplicities(items: Items, stated: Symmetry) -> list[str]:
    numbers = [as_number(text) for text in items.atoms.get("multiplicity", ())]
    most = max((m for m in numbers if np.isfinite(m)), default=1)
    if most <= 1 or len(stated.operators) > 1 or stated.larger:
        return []
    return [f"atoms have multiplicities up to {most:g}, but no symmetry was applied"]
