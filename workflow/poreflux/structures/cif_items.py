"""What a data block says of the cell, the symmetry and the atoms, however its tags are spelt."""

from __future__ import annotations

import re

import gemmi
import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.cif_text import ATOM_COLUMNS, is_needed, normal_tag, show

# Of these an atom's meaning depends; in a loop of their own they cannot be told apart from
# those of other atoms.
_DECIDING = {"x", "y", "z", "symbol", "occupancy", "disorder_group", "flag"}


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
    atoms : dict of str to list of str
        The columns of the loop with ``_atom_site_fract_x``, named as in :data:`ATOM_COLUMNS`.
    """

    def __init__(self, block: gemmi.cif.Block):
        self.name = block.name
        self.values: dict[str, list[str]] = {}
        self.tags: dict[str, str] = {}
        self.other: list[tuple[str, str]] = []
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
        else:
            self.other.append((tag, value))

    def _take_loop(self, loop: gemmi.cif.Loop) -> list:
        names = [normal_tag(tag) for tag in loop.tags]
        atoms: list[tuple[str, str, list[str]]] = []
        for tag, name in zip(loop.tags, names, strict=True):
            if re.search("symop|equiv|xyz", name) and not is_needed(name):
                column = loop.values[loop.tags.index(tag) :: len(names)]
                self.other += [(tag, value) for value in column]
        if not any(is_needed(n) or n.startswith("_atom_site_") for n in names):
            return atoms
        values = loop.values
        for i, (tag, name) in enumerate(zip(loop.tags, names, strict=True)):
            column = values[i :: len(names)]
            if is_needed(name):
                self._store(tag, name, column)
            else:
                self._take_column(tag, name, column, atoms)
        return atoms

    def _take_column(self, tag: str, name: str, column: list[str], atoms: list) -> None:
        if name.startswith("_atom_site_cartn_"):
            self.has_cartesian = True
        if kind := ATOM_COLUMNS.get(name):
            atoms.append((kind, tag, column))

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
            if kind in columns and kind != "label" and columns[kind] != column:
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
        """First value of a tag, as in the file."""
        return self.values[tag][0] if self.values.get(tag) else None

    def text(self, tag: str) -> str | None:
        """The same without quotes; unknown (``?``), inapplicable (``.``) and empty are None."""
        value = self.first(tag)
        return _plain(value) or None if value is not None else None

    def texts(self, tag: str) -> list[str]:
        """All values of a tag without quotes, placeholders left out."""
        return [text for value in self.values.get(tag, ()) if (text := _plain(value))]


def _plain(value: str) -> str:
    return " ".join(gemmi.cif.as_string(value).split())


def as_number(text: str) -> float:
    """A number with or without its standard uncertainty (``9.806(4)``) and quotes, or NaN."""
    value = gemmi.cif.as_number(text)
    if value != value and text[:1] in "'\"":
        value = gemmi.cif.as_number(gemmi.cif.as_string(text))
    return value


def to_float(text: str, what: str) -> float:
    """The same, finite, or a :class:`StructureError` that says ``what`` is no number."""
    value = as_number(text)
    if not np.isfinite(value):
        comma = text.count(",") == 1 and text.replace(",", "").lstrip("-").isdigit()
        more = "; write a decimal point" if comma else ""
        raise StructureError(f"{what} is {show(text)}, not a number{more}")
    return value
