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
from poreflux.structures.checks import DENSITY_RANGE_G_CM3
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
from poreflux.structures.consistency import (
    cartesian_contradiction,
    contradictions,
    missing_hydrogens,
    unread_formula,
)
from poreflux.structures.crystal import (
    MAX_ATOMS,
    Structure,
    cell_matrix,
    check_width,
    make_structure,
)
from poreflux.structures.elements import element, is_charged, may_name
from poreflux.structures.sites import Atoms, fill_cell, is_complete
from poreflux.structures.symmetry import Symmetry, misfit, read_symmetry
from poreflux.structures.units import wrong_unit

# Atoms of molecules are listed in cells around the first, up to 1.8 of an edge away (CoRE MOF and
# the CSD); dynamics without wrapping leads farther, but not that far.
USUAL_COORDINATE = 2.0
MAX_COORDINATE = 100.0
# A longer edge is not in Å; a shorter one is of no crystal.
EDGES_A = (0.1, 1000.0)
# In degrees a cell with such an angle is flat.
RADIANS = 3.2


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
        several values of one item, a cell not in Å, coordinates that are no fractions, partial
        occupancy, unknown element, several elements on one site, a space group of which the file
        gives neither the operators nor all atoms.
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
        ``charged_labels``, ``deuterium``, ``labels``, ``coordinates``, ``symmetry``, ``merged``,
        ``missing_hydrogens``, ``contradiction``, ``unchecked``.

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
    lengths, angles = _cell(items, others)
    atoms, columns = _listed_atoms(items, remarks)
    cell = cell_matrix(lengths, angles)
    stated = None if symmetry == "as-listed" else _symmetry(items, others, angles)
    operators = stated.operators if stated else [gemmi.Op()]
    try:
        check_width(lengths, angles)
        species, frac = fill_cell(atoms, operators, cell, remarks)
        structure = make_structure(lengths, angles, species, frac)
    except StructureError as error:
        reason = wrong_unit(atoms, operators, lengths, angles)
        raise StructureError(reason or str(error)) from None
    _check_units(atoms, operators, structure, remarks)
    if stated:
        doubts = stated.remarks + _check_complete(stated, species, frac, cell)
        doubts += misfit(operators, cell) + _multiplicities(items, stated)
        if doubts:
            remarks["symmetry"] = ", ".join(doubts)
    if text := missing_hydrogens(columns, atoms.frac, structure):
        remarks["missing_hydrogens"] = text
    said = contradictions(items, structure) + cartesian_contradiction(columns, atoms.frac, cell)
    if said:
        remarks["contradiction"] = ", ".join(said)
    if text := unread_formula(items):
        remarks["unchecked"] = text
    return structure, remarks


def _check_units(atoms: Atoms, operators, structure: Structure, remarks: dict) -> None:
    """Refuse a cell or coordinates in another unit, remark on coordinates far from the cell."""
    low, high = DENSITY_RANGE_G_CM3
    far = (np.abs(atoms.frac) > USUAL_COORDINATE).any(axis=1)
    if far.any() or not low <= structure.density_g_cm3 <= high:
        if reason := wrong_unit(atoms, operators, structure.lengths_A, structure.angles_deg):
            raise StructureError(reason)
    if far.any():
        first = int(np.argmax(far))
        remarks["coordinates"] = (
            f"{far.sum()} of {len(far)} listed atoms are more than {USUAL_COORDINATE:g} cells "
            f"away, {show(atoms.labels[first], 12)} at "
            f"{' '.join(f'{x:g}' for x in atoms.frac[first])} for one"
        )


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
        if found[0].frames:
            remarks["several_structures"] = f"save frame {show(found[0].frames[0])} was not read"
        return found[0], [b for b in blocks if not b.atoms], remarks
    if frames := [frame for b in blocks for frame in b.frames]:
        raise StructureError(
            f"the structure stands in save frame {show(frames[0])}, which CIFs of structures do "
            f"not have; delete the lines save_{printable(frames[0])} and save_"
        )
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


def _cell(items: Items, others: list[Items]) -> tuple[list[float], list[float]]:
    """Edges (Å) and angles (degrees), looked at so that each fault is named with its item."""
    lengths = [_number(items, others, tag) for tag in CELL_LENGTHS]
    angles = [_number(items, others, tag) for tag in CELL_ANGLES]
    low, high = EDGES_A
    for tag, x in zip(CELL_LENGTHS, lengths, strict=True):
        if x <= 0:
            raise StructureError(f"cell lengths must be positive: {tag} is {x:g}; correct it")
        if x < low:
            raise StructureError(
                f"the cell is collapsed: {tag} is {x:g} Å; correct it, or give it in Å"
            )
        if x > high:
            raise StructureError(
                f"cell lengths must be in (0, {high:g}] Å: {tag} is {x:g}; give it in Å (100 pm "
                "are 1 Å)"
            )
    for tag, x in zip(CELL_ANGLES, angles, strict=True):
        if not 0 < x < 180:
            raise StructureError(
                f"cell angles must be between 0 and 180 degrees: {tag} is {x:g}; correct it"
            )
        if x < RADIANS:
            raise StructureError(
                f"{tag} is {x:g}, no angle of a cell in degrees; give degrees, not radians"
            )
    flat = min(math.sin(math.radians(x)) for x in angles) < 1e-6
    if flat or 2 * max(angles) >= sum(angles) or sum(angles) >= 360:
        raise StructureError(
            f"cell angles {angles} enclose no volume: each is less than the sum of the two others, "
            "and all three are less than 360; correct them"
        )
    return lengths, angles


def _number(items: Items, others: list[Items], tag: str) -> float:
    text = items.first(tag)
    if text is not None:
        return to_float(text, tag)
    elsewhere = next((b for b in others if b.first(tag) is not None), None)
    if elsewhere:
        raise StructureError(
            f"the cell stands in data block {show(elsewhere.name, 20)}, the atoms in "
            f"{show(items.name, 20)}; put them into one"
        )
    if items.frames:
        raise StructureError(
            f"no {tag} beside the atoms, only in save frame {show(items.frames[0])}; delete the "
            f"lines save_{printable(items.frames[0])} and save_"
        )
    raise StructureError(f"no {tag} in the file; {EXPORT} with its cell")


# --- atoms -------------------------------------------------------------------------------------


def _listed_atoms(items: Items, remarks: dict) -> tuple[Atoms, dict[str, list[str]]]:
    """The atoms of the loop and their other columns, dummy atoms left out."""
    columns = items.atoms
    n = len(columns["x"])
    if not n or not {"x", "y", "z"} <= set(columns):
        raise StructureError(
            "no atoms: the _atom_site_ loop is empty or lacks one of _atom_site_fract_x, _y, _z"
        )
    if n > MAX_ATOMS:
        raise StructureError(f"{n} atoms in the file, more than {MAX_ATOMS}")
    # Dummy atoms (centroids of rings) are no atoms by the CIF core dictionary.
    if "flag" in columns:
        real = [i for i in range(n) if _plain(columns["flag"][i]).lower() != "dum"]
        if len(real) < n:
            remarks["dummy_atoms"] = f"{n - len(real)} dummy atoms left out"
            if not real:
                raise StructureError("no atoms: all are dummy atoms (_atom_site_calc_flag dum)")
            columns = {kind: [column[i] for i in real] for kind, column in columns.items()}
    symbols, labels = _names(columns, len(columns["x"]))
    places = [columns[axis] for axis in "xyz"]
    frac = np.array([[as_number(text) for text in row] for row in zip(*places, strict=True)])
    bad = ~(np.abs(frac) <= MAX_COORDINATE)
    if bad.any():
        row, axis = np.argwhere(bad)[0]
        _bad_coordinate(places[axis][row], "xyz"[axis], labels[row])
    if "occupancy" in columns:
        _check_occupancies(columns["occupancy"], labels)
    species = list(map(element, symbols, labels))
    if "D" in species:
        remarks["deuterium"] = f"{species.count('D')} D atoms taken as H"
        species = ["H" if s == "D" else s for s in species]
    charged = sorted({s for s in symbols if is_charged(s)})
    if charged:
        more = ", ..." if len(charged) > 5 else ""
        remarks["charged_labels"] = f"charges of {printable(', '.join(charged[:5]))}{more} ignored"
    other = [
        i
        for i, s in enumerate(species)
        if labels[i].rstrip("0123456789") != s and not may_name(labels[i], s)
    ]
    if other:
        remarks["labels"] = (
            f"labels of {len(other)} of {len(species)} listed atoms name another element than "
            f"their type symbols, {show(labels[other[0]], 12)} of {species[other[0]]} for one"
        )
    if text := _disorder(columns, labels, items.like_occupancy):
        remarks["disorder"] = text
    if len(models := set(columns.get("model", ()))) > 1:
        remarks["several_structures"] = f"atoms of {len(models)} models were read as one structure"
    return Atoms(species, frac, labels), columns


def _disorder(columns, labels, like_occupancy) -> str:
    """Remark on groups or assemblies of disorder, and on what may be occupancies."""
    said = []
    for kind, text in (("disorder_group", "groups"), ("disorder_assembly", "assemblies")):
        column = columns.get(kind, ())
        inside = [labels[i] for i, x in enumerate(column) if _plain(x) not in ("", "0")]
        # atoms of a group are of an assembly, too
        if inside and not said:
            said.append(
                f"{len(inside)} of {len(labels)} atoms are in disorder {text}, "
                f"{show(inside[0], 12)} for one"
            )
    for tag, column in like_occupancy:
        partial = [x for x in column if x not in (".", "?") and as_number(x) != 1.0]
        if partial:
            said.append(f"{printable(tag, 60)} not read, {show(partial[0], 12)} for one")
    return ", ".join(said)


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
    raise StructureError(
        f"{what} is {to_float(text, what):g}: not a fraction of the cell; correct it or delete "
        "the atom's line"
    )


def _check_occupancies(texts: list[str], labels: list[str]) -> None:
    known = set(texts) - {".", "?"}
    if all(as_number(text) == 1.0 for text in known):
        return
    for text, label in zip(texts, labels, strict=True):
        if text in (".", "?"):
            continue
        atom = f"atom {show(label, 12)}"
        occupancy = to_float(text, f"occupancy of {atom}")
        if abs(occupancy - 1.0) <= 1e-3:
            continue
        if not 0 <= occupancy <= 1:
            raise StructureError(
                f"{atom} has occupancy {occupancy:g}, not between 0 and 1; correct "
                "_atom_site_occupancy: a fraction, no percentage or multiplicity"
            )
        if occupancy == 0:
            raise StructureError(f"{atom} has occupancy 0: it is not there; delete its line")
        raise StructureError(
            f"disordered: {atom} has occupancy {occupancy:g}; resolve the disorder in the CIF first"
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
    n = len(stated.operators)
    if most <= n or stated.larger:
        return []
    applied = "no symmetry was applied" if n == 1 else f"only {n} operators were applied"
    return [f"atoms have multiplicities up to {most:g}, but {applied}"]
