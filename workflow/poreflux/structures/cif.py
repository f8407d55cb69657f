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
from functools import lru_cache
from pathlib import Path

import gemmi
import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.cif_repair import repair
from poreflux.structures.cif_text import (
    CELL_ANGLES,
    CELL_LENGTHS,
    EXPORT,
    GROUP_NUMBER,
    HALL,
    HERMANN_MAUGUIN,
    OPERATORS,
    MalformedError,
    check_size,
    decode,
    printable,
    show,
)
from poreflux.structures.crystal import MAX_ATOMS, Structure, cell_matrix, make_structure

# Beyond this a coordinate has lost the digits that place it in the cell.
MAX_COORDINATE = 1000.0
# Images nearer than this are one site: the spread that rounded coordinates give.
SAME_SITE_A = 0.1
# An operator that belongs to the cell keeps lengths; published cells are rounded to 1 in 1000.
METRIC_TOLERANCE = 0.02


def read_cif(path, *, symmetry: str = "expand") -> Structure:
    """Read a CIF file into a canonical structure.

    Parameters
    ----------
    path : str or Path
        A CIF file; its first data block with atoms is read.
    symmetry : {'expand', 'as-listed'}
        Apply the file's symmetry operators, or take the listed atoms alone.

    Returns
    -------
    Structure

    Raises
    ------
    StructureError
        With the reason and, where there is one, the remedy: unreadable, empty, no cell or atoms,
        partial occupancy, unknown element.
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
        ``charged_labels``, ``deuterium``, ``symmetry``.

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
    block, remarks = _block_with_atoms(text)
    lengths = [_number(block, tag) for tag in CELL_LENGTHS]
    angles = [_number(block, tag) for tag in CELL_ANGLES]
    # Numbers that cell_matrix would divide by
    if 0 < min(lengths) < 0.1:
        raise StructureError(f"the cell is collapsed: an edge of {min(lengths):g} Å; {EXPORT}")
    if min(map(math.sin, map(math.radians, angles))) < 1e-6:
        raise StructureError(f"cell angles {angles} enclose no volume; {EXPORT}")
    species, frac = _listed_atoms(block, remarks)
    cell = cell_matrix(lengths, angles)
    if symmetry == "expand":
        operators = _operators(block, angles, remarks)
        species, frac = _expand(operators, species, frac, cell, remarks)
    return make_structure(lengths, angles, species, frac), remarks


# --- from text to a block ----------------------------------------------------------------------


def _block_with_atoms(text: str) -> tuple[gemmi.cif.Block, dict[str, str]]:
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise MalformedError(_fault(str(error), text)) from error
    found = [b for b in document if _find_value(b, "_atom_site_fract_x") is not None]
    if found:
        several = f"{len(found)} data blocks have atoms, {show(found[0].name)} was read"
        return found[0], {"several_structures": several} if len(found) > 1 else {}
    if any(_find_value(b, "_atom_site_cartn_x") is not None for b in document):
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


# --- values ------------------------------------------------------------------------------------


def _spellings(tag: str) -> tuple[str, str]:
    """A tag in CIF 1 (``_cell_length_a``) and in the new dictionaries (``_cell.length_a``)."""
    for category in ("_cell", "_atom_site", "_space_group_symop", "_space_group", "_symmetry"):
        if tag.startswith(f"{category}_"):
            return tag, f"{category}.{tag[len(category) + 1 :]}"
    return tag, tag


def _find_value(block: gemmi.cif.Block, *tags: str) -> str | None:
    """First value of the first of these tags that the block has, as in the file."""
    for tag in tags:
        for spelling in _spellings(tag):
            for value in block.find_values(spelling):
                return value
    return None


def _find_text(block: gemmi.cif.Block, tags: tuple[str, ...]) -> str | None:
    """The same without quotes; unknown (``?``), inapplicable (``.``) and empty are None."""
    for tag in tags:
        value = _find_value(block, tag)
        if value is not None and gemmi.cif.as_string(value).strip():
            return gemmi.cif.as_string(value).strip()
    return None


def _number(block: gemmi.cif.Block, tag: str) -> float:
    text = _find_value(block, tag)
    if text is None:
        raise StructureError(f"no {tag} in the file; {EXPORT} with its cell")
    return _to_float(text, tag)


def _as_number(text: str) -> float:
    value = gemmi.cif.as_number(text)  # understands standard uncertainties: 9.806(4)
    if value != value and text[:1] in "'\"":
        value = gemmi.cif.as_number(gemmi.cif.as_string(text))
    return value


def _to_float(text: str, what: str) -> float:
    value = _as_number(text)
    if not np.isfinite(value):
        comma = "; write a decimal point" if re.fullmatch(r"-?\d+,\d+", text) else ""
        raise StructureError(f"{what} is {show(text)}, not a number{comma}")
    return value


# --- atoms -------------------------------------------------------------------------------------


def _listed_atoms(block: gemmi.cif.Block, remarks: dict) -> tuple[list[str], np.ndarray]:
    tags = ["fract_x", "fract_y", "fract_z", "?type_symbol", "?label", "?occupancy"]
    tags += ["?disorder_group", "?calc_flag"]
    table = block.find("_atom_site_", tags)
    if not len(table):
        table = block.find("_atom_site.", tags)
    n = len(table)
    if not n:
        raise StructureError(
            "no atoms: the _atom_site_ loop is empty or lacks one of _atom_site_fract_x, _y, _z"
        )
    if n > MAX_ATOMS:
        raise StructureError(f"{n} atoms in the file, more than {MAX_ATOMS}")
    columns = [list(table.column(i)) if table.has_column(i) else None for i in range(len(tags))]
    x, y, z, symbols, labels, occupancies, groups, flags = columns
    if symbols is None and labels is None:
        raise StructureError(
            "atoms have neither _atom_site_type_symbol nor _atom_site_label; "
            "add a column with their elements"
        )
    symbols = [gemmi.cif.as_string(s) for s in symbols or [""] * n]
    labels = [gemmi.cif.as_string(s) for s in labels] if labels else symbols

    # Dummy atoms (centroids of rings) are no atoms by the CIF core dictionary.
    real = [i for i in range(n) if not (flags and flags[i].lower() == "dum")]
    if len(real) < n:
        remarks["dummy_atoms"] = f"{n - len(real)} dummy atoms left out"
        if not real:
            raise StructureError("no atoms: all are dummy atoms (_atom_site_calc_flag dum)")
    frac = np.array([[_as_number(c[i]) for c in (x, y, z)] for i in real])
    bad = ~(np.abs(frac) <= MAX_COORDINATE)
    if bad.any():
        row, axis = np.argwhere(bad)[0]
        _bad_coordinate((x, y, z)[axis][real[row]], "xyz"[axis], labels[real[row]])
    if occupancies:
        _check_occupancies([occupancies[i] for i in real], [labels[i] for i in real])
    species = [_element(symbols[i], labels[i]) for i in real]
    if "D" in species:
        remarks["deuterium"] = f"{species.count('D')} D atoms taken as H"
        species = ["H" if s == "D" else s for s in species]
    charged = sorted({symbols[i] for i in real if _is_charged(symbols[i])})
    if charged:
        more = ", ..." if len(charged) > 5 else ""
        remarks["charged_labels"] = f"charges of {printable(', '.join(charged[:5]))}{more} ignored"
    if groups:
        in_groups = [labels[i] for i in real if groups[i].strip("'\" ") not in ("", ".", "?", "0")]
        if in_groups:
            remarks["disorder"] = (
                f"{len(in_groups)} of {len(real)} atoms are in disorder groups, "
                f"{show(in_groups[0], 12)} for one"
            )
    return species, frac


def _bad_coordinate(text: str, axis: str, label: str) -> None:
    what = f"coordinate {axis} of atom {show(label, 12)}"
    if text in (".", "?"):
        raise StructureError(
            f"{what} is {show(text)}, not a number; place the atom or delete its line"
        )
    raise StructureError(f"{what} is {_to_float(text, what):g}: not a fraction of the cell")


def _check_occupancies(texts: list[str], labels: list[str]) -> None:
    known = set(texts) - {".", "?"}
    if all(_as_number(text) == 1.0 for text in known):
        return
    for text, label in zip(texts, labels, strict=True):
        if text in (".", "?"):
            continue
        occupancy = _to_float(text, f"occupancy of atom {show(label, 12)}")
        if abs(occupancy - 1.0) > 1e-3:
            raise StructureError(
                f"disordered: atom {show(label, 12)} has occupancy {occupancy:g}; "
                "resolve the disorder in the CIF first"
            )


@lru_cache(maxsize=4096)
def _is_charged(symbol: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]{1,2}(\d*\.?\d*[+-]|[+-]\d*\.?\d*)", symbol)) and bool(
        re.search(r"[1-9]|^[A-Za-z]+[+-]$", symbol)
    )


@lru_cache(maxsize=65536)
def _element(symbol: str, label: str) -> str:
    """Element from a type symbol (``Zn2+``, ``ZN``, ``D``), else from a label (``Zn1``)."""
    found = None
    if match := re.match(r"[A-Za-z]+", symbol):
        # A type symbol is taken as it stands: "Xy" is an error, not xenon or X.
        found = _known(match.group()) if len(match.group()) <= 2 else None
    # "Wat1" names a molecule, not tungsten.
    elif (match := re.match(r"[A-Za-z]{1,2}", label)) and not re.match(r"[A-Z][a-z]{2}", label):
        letters = match.group()
        pair = _known(letters) if len(letters) == 2 else None
        # "Ca1" is calcium, "CA1" may be that or an alpha carbon.
        if pair and letters[1].isupper() and _known(letters[0]):
            raise StructureError(
                f"atom {show(label, 12)} may be {letters[0]} or {pair}; add _atom_site_type_symbol"
            )
        found = pair or _known(letters[0])
    if not found:
        raise StructureError(
            f"unknown element {show(symbol or label, 12)} (atom {show(label, 12)}); "
            "correct _atom_site_type_symbol"
        )
    return found


def _known(letters: str) -> str | None:
    element = gemmi.Element(letters.capitalize())
    return letters.capitalize() if element.atomic_number > 0 else None


# --- symmetry ----------------------------------------------------------------------------------


def _operators(block: gemmi.cif.Block, angles: list[float], remarks: dict) -> list[gemmi.Op]:
    """Symmetry operators: listed ones first, else those of the space group named."""
    for tag in OPERATORS:
        for spelling in _spellings(tag):
            texts = [gemmi.cif.as_string(x) for x in block.find_values(spelling)]
            # A placeholder is no operator.
            texts = [t for t in texts if t.strip()]
            if texts:
                return [_operator(t) for t in texts]
    name = _find_text(block, HALL)
    if name:
        try:
            return list(gemmi.symops_from_hall(name))
        except (ValueError, RuntimeError):
            # Hall symbols are rare and often misspelt; the common name decides then.
            pass
    name = _find_text(block, HERMANN_MAUGUIN)
    if name:
        group = _group_by_name(name, angles)
        if group is None:
            raise StructureError(
                f"unknown space group {show(name)} and no symmetry operators; "
                "add the loop _space_group_symop_operation_xyz"
            )
        if group.ext in "12" and not re.search(r":\s*[12]\s*$|[SZsz]\s*$", name):
            remarks["symmetry"] = f"origin of {group.hm} not given, {group.xhm()} taken"
        return list(group.operations())
    text = _find_text(block, GROUP_NUMBER)
    if text:
        number = _to_float(text, "_space_group_IT_number")
        group = gemmi.find_spacegroup_by_number(int(number)) if 1 <= number <= 230 else None
        if group is None:
            raise StructureError(f"_space_group_IT_number is {show(text)}: no such space group")
        group = _group_by_name(group.hm, angles) or group
        if number > 1:
            remarks["symmetry"] = f"setting taken as {group.xhm()} from the group's number alone"
        return list(group.operations())
    return [gemmi.Op("x,y,z")]


def _operator(text: str) -> gemmi.Op:
    """One operator; gemmi overflows silently on long integers, so these are refused here."""
    remedy = "correct the loop of symmetry operators"
    if len(text) > 100 or re.search(r"(?<![.\d])\d{3,}", text):
        raise StructureError(f"symmetry operator {show(text)} not understood; {remedy}")
    try:
        operator = gemmi.Op(text)
    except (ValueError, RuntimeError) as error:
        raise MalformedError(
            f"symmetry operator {show(text)} not understood: {printable(str(error))}"
        ) from error
    if abs(abs(np.linalg.det(np.array(operator.rot, float) / gemmi.Op.DEN)) - 1) > 1e-6:
        raise StructureError(f"{show(text)} is no symmetry operator: it changes volumes; {remedy}")
    return operator


def _group_by_name(name: str, angles: list[float]) -> gemmi.SpaceGroup | None:
    """Space group by Hermann-Mauguin name; the angles tell rhombohedral from hexagonal axes."""
    plain = re.sub(r"\(\s*(no\.?|#)?\s*\d{2,3}\s*\)\s*$", "", name, flags=re.IGNORECASE)
    plain = plain.replace("_", " ").replace("(", "").replace(")", "").strip()
    tried = [name, plain]
    # ICSD: S and Z for the first and second origin
    for letter, origin in (("S", "1"), ("Z", "2")):
        if plain[-1:].upper() == letter:
            tried.append(f"{plain[:-1].strip()}:{origin}")
    for candidate in tried:
        group = gemmi.find_spacegroup_by_name(candidate, angles[0], angles[2])
        if group is not None:
            return group
    return None


def _expand(operators, species, frac, cell, remarks) -> tuple[list[str], np.ndarray]:
    """Images of each atom under the operators, those on special positions merged."""
    if len(operators) * len(species) > 20 * MAX_ATOMS:
        raise StructureError(
            f"{len(species)} atoms x {len(operators)} symmetry operators are more than a cell holds"
        )
    if len(operators) <= 1:
        return species, frac
    rotations = np.array([op.rot for op in operators], float) / gemmi.Op.DEN
    shifts = np.array([op.tran for op in operators], float) / gemmi.Op.DEN
    _check_metric(rotations, operators, cell, remarks)
    all_species, all_frac, total = [], [], 0
    for symbol, position in zip(species, frac, strict=True):
        points = rotations @ position + shifts
        points -= np.floor(points)
        d = points[:, None] - points[None]
        d -= np.round(d)
        # The first of each heap of images stays.
        same = np.tril((np.linalg.norm(d @ cell, axis=2) < SAME_SITE_A), -1)
        kept = points
        if same.any():
            alive = np.ones(len(points), bool)
            for i in range(1, len(points)):
                alive[i] = not (same[i, :i] & alive[:i]).any()
            kept = points[alive]
        all_species += [symbol] * len(kept)
        all_frac.append(kept)
        total += len(kept)
        if total > MAX_ATOMS:
            raise StructureError(f"more than {MAX_ATOMS} atoms in the cell with all symmetry")
    return all_species, np.concatenate(all_frac)


def _check_metric(rotations, operators, cell, remarks) -> None:
    """Remark on an operator that changes lengths: it belongs to another cell."""
    metric = cell @ cell.T
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    changed = np.abs(np.einsum("oki,kl,olj->oij", rotations, metric, rotations) - metric) / scale
    worst = changed.max(axis=(1, 2))
    if worst.max() > METRIC_TOLERANCE:
        remarks["symmetry"] = (
            f"operator {operators[int(worst.argmax())].triplet()} does not fit the cell"
        )
