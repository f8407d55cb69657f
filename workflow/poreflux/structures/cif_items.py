"""What a data block says of the cell, the symmetry and the atoms, however its tags are spelt."""

from __future__ import annotations

import math
import re

import gemmi
import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.cif_text import (
    ATOM_COLUMNS,
    LIKE_HYDROGENS,
    LIKE_OCCUPANCY,
    SUMMARY,
    is_needed,
    normal_tag,
    show,
)

# Of these an atom's meaning depends; in a loop of their own they cannot be told apart from
# those of other atoms.
_DECIDING = {"x", "y", "z", "symbol", "occupancy", "disorder_group", "flag"}

# Of these the first column counts, whatever others say.
_SPARE = {"label", "attached_hydrogens"}

# How to write what is no number, by what it looks like
_REMEDIES = (
    (r"\d\s*/\s*\d", "write the fraction as a decimal number, 0.1667 for 1/6"),
    (r"^['\"]?[-+\d.]+[dD][-+]?\d", "write the exponent with an E, 1.7E-1"),
    (
        r"^['\"]?[(\[{]*[-+.\d][-+.\deE]*[()\[\]{}]",
        "write the standard uncertainty right behind the digits, 0.1234(5)",
    ),
    (r"^['\"]?[-+]?\.?\d.*[^\d.]+$", "write the number alone, without a unit or mark"),
)


class Items:
    """The values of one data block by tag.

    Attributes
    ----------
    values : dict of str to list of str
        Values of the cell and the symmetry as in the file, by tag (:func:`normal_tag`).
    tags : dict of str to str
        The tags of these as the file spells them.
    other : list of (str, str)
        Tags and values of all other items, of loops only what may be operators.
    summary : dict of str to list of str
        Values of the items in :data:`SUMMARY`, without quotes, placeholders left out.
    like_occupancy : list of (str, list of str)
        Tags and values of what may be occupancies under tags of no dictionary.
    frames : list of str
        Names of the save frames that hold a cell, symmetry or atoms; they are not read.
    atoms : dict of str to list of str
        The columns of the loop with ``_atom_site_fract_x``, named as in :data:`ATOM_COLUMNS`.
    """

    def __init__(self, block: gemmi.cif.Block):
        self.name = block.name
        self.values: dict[str, list[str]] = {}
        self.tags: dict[str, str] = {}
        self.other: list[tuple[str, str]] = []
        self.summary: dict[str, list[str]] = {}
        self.like_occupancy: list[tuple[str, list[str]]] = []
        self.frames = [i.frame.name for i in block if i.frame is not None and _counts(i.frame)]
        self.has_cartesian = False
        pairs: list[tuple[str, str, list[str]]] = []
        tables = [pairs]
        for item in block:
            if item.pair:
                self._take(*item.pair, pairs)
            elif item.loop is not None:
                tables.append(self._take_loop(item.loop))
        self.atoms = self._atoms([table for table in tables if table])

    def _take(self, tag: str, value: str, atoms: list) -> None:
        name = normal_tag(tag)
        if is_needed(name):
            self._store(tag, name, [value])
        elif name.startswith("_atom_site_"):
            self._take_column(tag, name, [value], atoms)
        elif name in SUMMARY:
            self._summarise(name, [value])
        else:
            self.other.append((tag, value))

    def _take_loop(self, loop: gemmi.cif.Loop) -> list:
        names = [normal_tag(tag) for tag in loop.tags]
        atoms: list[tuple[str, str, list[str]]] = []
        for tag, name in zip(loop.tags, names, strict=True):
            if re.search("symop|equiv|xyz", name) and not is_needed(name):
                column = loop.values[loop.tags.index(tag) :: len(names)]
                self.other += [(tag, value) for value in column]
        if not any(map(_is_read, names)):
            return atoms
        values = loop.values
        for i, (tag, name) in enumerate(zip(loop.tags, names, strict=True)):
            column = values[i :: len(names)]
            if is_needed(name):
                self._store(tag, name, column)
            elif name in SUMMARY:
                self._summarise(name, column)
            else:
                self._take_column(tag, name, column, atoms)
        return atoms

    def _take_column(self, tag: str, name: str, column: list[str], atoms: list) -> None:
        if name.startswith("_atom_site_cartn_"):
            self.has_cartesian = True
        kind = ATOM_COLUMNS.get(name)
        if not kind and LIKE_HYDROGENS.match(name):
            kind = "attached_hydrogens"
        if kind:
            atoms.append((kind, tag, column))
        elif LIKE_OCCUPANCY.match(name):
            self.like_occupancy.append((tag, column))

    def _summarise(self, name: str, column: list[str]) -> None:
        self.summary.setdefault(name, []).extend(filter(None, map(_plain, column)))

    def _store(self, tag: str, name: str, column: list[str]) -> None:
        before = self.values.setdefault(name, column)
        known = self.tags.setdefault(name, tag)
        if before is not column and [*map(_plain, before)] != [*map(_plain, column)]:
            raise StructureError(
                f"{known} and {tag} are one item given twice, as {show(before[0], 20)} and as "
                f"{show(column[0], 20)}; delete one"
            )

    def _atoms(self, tables: list[list[tuple[str, str, list[str]]]]) -> dict[str, list[str]]:
        with_places = [t for t in tables if any(kind == "x" for kind, _, _ in t)]
        if not with_places:
            return {}
        (first, *more) = with_places
        if more:
            raise StructureError("two loops of atoms in one data block; delete one of them")
        columns: dict[str, list[str]] = {}
        for kind, tag, column in first:
            if kind in columns and kind not in _SPARE and columns[kind] != column:
                raise StructureError(f"{tag} is the second column of its kind; delete one")
            columns.setdefault(kind, column)
        for table in tables:
            for kind, tag, _ in table:
                if table is not first and kind in _DECIDING:
                    raise StructureError(
                        f"{tag} is not in the loop of the atoms' coordinates; move it there"
                    )
        return columns

    def first(self, tag: str) -> str | None:
        """The one value of a tag, as in the file; :class:`StructureError` if it has several."""
        column = self.values.get(tag)
        if not column:
            return None
        if len(column) > 1 and len(set(map(_comparable, column))) > 1:
            other = next(v for v in column if _comparable(v) != _comparable(column[0]))
            raise StructureError(
                f"{self.tags[tag]} has {len(column)} values, {show(column[0], 20)} and "
                f"{show(other, 20)} among them: ambiguous; keep one"
            )
        return column[0]

    def text(self, tag: str) -> str | None:
        """The same without quotes; unknown (``?``), inapplicable (``.``) and empty are None."""
        value = self.first(tag)
        return _plain(value) or None if value is not None else None

    def texts(self, tag: str) -> list[str]:
        """All values of a tag without quotes, placeholders left out."""
        return [text for value in self.values.get(tag, ()) if (text := _plain(value))]


def _plain(value: str) -> str:
    return " ".join(gemmi.cif.as_string(value).split())


def _comparable(value: str) -> str | float:
    """Equal for values that mean the same: 10 and 10.0."""
    number = as_number(value)
    return number if number == number else _plain(value).lower()


def _is_read(name: str) -> bool:
    return is_needed(name) or name.startswith("_atom_site_") or name in SUMMARY


def _counts(frame: gemmi.cif.Block) -> bool:
    """Whether a save frame holds a cell, symmetry or places of atoms."""
    tags = []
    for item in frame:
        if item.pair:
            tags.append(item.pair[0])
        elif item.loop is not None:
            tags += item.loop.tags
    return any(is_needed(n) or n.startswith("_atom_site_fract_") for n in map(normal_tag, tags))


def as_number(text: str) -> float:
    """A number with or without its standard uncertainty (``9.806(4)``) and quotes, or NaN."""
    if text[:1] in "'\"":
        text = gemmi.cif.as_string(text)
    return math.nan if "()" in text else gemmi.cif.as_number(text)


def to_float(text: str, what: str) -> float:
    """The same, finite, or a :class:`StructureError` that says ``what`` is no number."""
    value = as_number(text)
    if not np.isfinite(value):
        raise StructureError(f"{what} is {show(text)}, not a number; {_remedy(text)}")
    return value


def _remedy(text: str) -> str:
    """How to write what is no number by the rules of CIF."""
    if text.count(",") == 1 and text.replace(",", "").lstrip("-").isdigit():
        return "write a decimal point"
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text):
            return remedy
    return "give a number"
