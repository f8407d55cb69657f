"""What a file says of its cell as a whole, held against its cell and atoms."""

from __future__ import annotations

import re
from collections import Counter

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from poreflux.structures.cif_items import Items, as_number
from poreflux.structures.cif_text import (
    DENSITY,
    ELECTRONS,
    ELEMENTS,
    FORMULA,
    FORMULA_UNITS,
    NUMBERS_IN_CELL,
    VOLUME,
    WEIGHT,
    show,
)
from poreflux.structures.crystal import Structure
from poreflux.structures.images import images

# Rounding and the temperature of another measurement are within these shares.
VOLUME_TOLERANCE = 0.01
MASS_TOLERANCE = 0.03
# Atoms of an element that rounded formulas and numbers leave open
ATOMS_TOLERANCE = 0.5
# O-H and C-H are 0.8 to 1.1 Å long, B-H and metal hydrides longer.
HYDROGEN_BOND_A = 1.3
# Distances between atoms given twice, as fractions and in Å, agree within the digits of both.
CARTESIAN_TOLERANCE_A = 0.1


def contradictions(items: Items, structure: Structure) -> list[str]:
    """Items that the cell and the atoms contradict, in words.

    The volume of the cell, the formula with the number of its units, the atoms of each element and
    the electrons in the cell, the weight and the density are looked at.
    """
    found = []
    for text in dict.fromkeys(items.summary.get(VOLUME, ())):
        found += _compared(VOLUME, text, structure.volume_A3, VOLUME_TOLERANCE, "Å^3")
    units = _number(items, FORMULA_UNITS)
    if items.summary.get(FORMULA_UNITS) and not units:
        found.append(f"Z is {show(items.summary[FORMULA_UNITS][0], 20)}, not a positive number")
    counts = Counter(structure.species)
    formulas = [f for f in map(_parsed, items.summary.get(FORMULA, ())) if f]
    for formula in formulas[:1]:
        found += _formula(formula, units, counts)
    found += _numbers_in_cell(items, counts)
    for text in items.summary.get(WEIGHT, ())[:1]:
        likely = max(1.0, np.round(structure.mass_amu / max(as_number(text), 1.0)))
        weight = structure.mass_amu / (units or likely)
        found += _compared(WEIGHT, text, weight, MASS_TOLERANCE, f"with Z = {units or likely:g}")
    for text in items.summary.get(DENSITY, ())[:1]:
        found += _compared(DENSITY, text, structure.density_g_cm3, MASS_TOLERANCE, "g/cm3")
    for text in items.summary.get(ELECTRONS, ())[:1]:
        electrons = sum(gemmi.Element(e).atomic_number * n for e, n in counts.items())
        found += _compared(ELECTRONS, text, electrons, MASS_TOLERANCE, "electrons")
    return found


def unread_formula(items: Items) -> str:
    """Remark on a formula that is none, so that the atoms could not be held against it."""
    texts = [t for t in items.summary.get(FORMULA, ()) if t not in (".", "?")]
    if not texts or any(map(_parsed, texts)):
        return ""
    return f"{FORMULA} {show(texts[0], 40)} is no formula of elements: the atoms were not compared"


def missing_hydrogens(columns: dict[str, list[str]], frac, structure: Structure) -> str:
    """Remark on hydrogen atoms that the file counts (``_atom_site_attached_hydrogens``) but lacks.

    Parameters
    ----------
    columns : dict of str to list of str
        The loop of atoms.
    frac : ndarray (n, 3)
        Places of the listed atoms.
    structure : Structure
        All atoms.
    """
    texts = columns.get("attached_hydrogens", ())
    stated = np.array([as_number(text) for text in texts])
    strange = [t for t, n in zip(texts, stated, strict=True) if t not in (".", "?") and not n >= 0]
    if strange:
        return f"_atom_site_attached_hydrogens {show(strange[0], 20)} is no number of atoms"
    here = np.flatnonzero(stated > 0)
    if not len(here):
        return ""
    present = np.zeros(len(here), int)
    hydrogen = np.array(structure.species) == "H"
    if hydrogen.any():
        points, _, _ = images(structure.frac[hydrogen], structure.cell, HYDROGEN_BOND_A)
        places = (frac[here] - np.floor(frac[here])) @ structure.cell
        near = cKDTree(points).query_ball_point(places, HYDROGEN_BOND_A, return_length=True)
        present = np.asarray(near)
    missing = np.maximum(stated[here] - present, 0).sum()
    if missing <= 0:
        return ""
    return (
        f"{missing:g} H atoms of the {len(frac)} listed atoms are counted "
        "(_atom_site_attached_hydrogens or the like), but not placed"
    )


def cartesian_contradiction(columns: dict[str, list[str]], frac, cell: np.ndarray) -> list[str]:
    """Whether coordinates in Å beside the fractions (ndarray (n, 3)) place the atoms elsewhere.

    The axes of a file are its own: distances between atoms that follow each other are compared.
    """
    if not all(f"cartesian_{axis}" in columns for axis in "xyz") or len(frac) < 2:
        return []
    places = np.array([[as_number(t) for t in columns[f"cartesian_{axis}"]] for axis in "xyz"]).T
    stated = np.linalg.norm(np.diff(places, axis=0), axis=1)
    found = np.linalg.norm(np.diff(frac, axis=0) @ cell, axis=1)
    wrong = int((np.abs(stated - found) > CARTESIAN_TOLERANCE_A).sum())
    if not wrong:
        return []
    return [f"_atom_site_Cartn_x, _y and _z place {wrong} of {len(frac)} atoms elsewhere"]


def _compared(tag: str, text: str, found: float, tolerance: float, unit: str) -> list[str]:
    stated = as_number(text)
    if abs(stated - found) <= tolerance * found:
        return []
    return [f"{tag} is {show(text, 20)}, but the cell and its atoms give {found:.5g} {unit}"]


def _number(items: Items, tag: str) -> float:
    """The first value of a tag if that is a positive number, else 0."""
    value = as_number(next(iter(items.summary.get(tag, ())), ""))
    return value if 0 < value < np.inf else 0.0


def _parsed(text: str) -> Counter:
    """Atoms of each element in a formula like ``C12 H8 N2.5``, empty if it is not one."""
    plain = re.sub(r"[\s,]+", " ", text.strip())
    counts: Counter = Counter()
    if not re.fullmatch(r"(?:[A-Z][a-z]?(?:\d+\.?\d*|\.\d+)? ?)+", plain):
        return counts
    for symbol, number in re.findall(r"([A-Z][a-z]?)([\d.]*)", plain):
        if not gemmi.Element(symbol).atomic_number:
            return Counter()
        counts["H" if symbol == "D" else symbol] += float(number or 1)
    return counts


def _formula(formula: Counter, units: float, counts: Counter) -> list[str]:
    """The formula, times its units in the cell, against the atoms in it."""
    shared = sorted(counts[e] / n for e, n in formula.items() if counts[e] and n and e != "H")
    ratio = shared[len(shared) // 2] if shared else sum(counts.values()) / sum(formula.values())
    # pymatgen gives the formula of the whole cell and, beside it, the units of the reduced one.
    whole = units and all((n / units) % 1 == 0 for n in formula.values())
    likely = [units] if units else [ratio]
    if not all(_differences(formula, n, counts) for n in [*likely, *([1.0] if whole else [])]):
        return []
    if not _differences(formula, ratio, counts):
        return [f"the cell holds {ratio:g} formula units, not Z = {units:g}"]
    text = _listed(_differences(formula, likely[0], counts))
    return [f"the formula times {likely[0]:g} differs from the atoms in the cell: {text}"]


def _numbers_in_cell(items: Items, counts: Counter) -> list[str]:
    """The loop of elements with their numbers in the cell against the atoms in it."""
    symbols, numbers = items.summary.get(ELEMENTS, []), items.summary.get(NUMBERS_IN_CELL, [])
    if not numbers or len(numbers) != len(symbols):
        return []
    stated: Counter = Counter()
    for symbol, number in zip(symbols, numbers, strict=True):
        name = re.match(r"[A-Za-z]{0,2}", symbol)[0].capitalize()
        stated["H" if name == "D" else name] += as_number(number)
    text = _listed(_differences(stated, 1.0, counts))
    return [f"_atom_type_number_in_cell differs from the atoms in the cell: {text}"] if text else []


def _differences(formula: Counter, units: float, counts: Counter) -> dict:
    """Elements of which there are more or fewer than stated: their stated and found numbers."""
    found = {}
    for element in sorted({*formula, *counts}):
        stated = formula[element] * units
        if not abs(stated - counts[element]) <= max(ATOMS_TOLERANCE, 0.01 * stated):
            found[element] = (stated, counts[element])
    return found


def _listed(differences: dict) -> str:
    return ", ".join(f"{e} {n:g} for {m}" for e, (n, m) in differences.items())
