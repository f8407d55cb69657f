"""Elements from the type symbols and labels of atoms."""

from __future__ import annotations

import re
from functools import lru_cache

import gemmi

from poreflux.base.errors import StructureError
from poreflux.structures.cif_text import show

_CHARGE = r"\d*\.?\d*[+-]|[+-]\d*\.?\d*"
# An element with a charge (Zn2+, O-2, Fe(III)), a number (C12), or the suffix of a force field:
# UFF has C_R, O_3_z, H_, Zn3+2, Zr8f4, DREIDING H___A, others O_co2.
_SYMBOL = re.compile(
    rf"([A-Za-z]{{1,2}})(?:{_CHARGE}|\((?:[IVX]+|{_CHARGE})\)|\d+(?:[+f]\d+)?"
    r"|(\d*_[A-Za-z0-9_]*(?:[+-]\d*)?))?"
)
_CHARGED = re.compile(rf"[A-Za-z]{{1,2}}\(?({_CHARGE})\)?")


@lru_cache(maxsize=4096)
def is_charged(symbol: str) -> bool:
    """Whether a type symbol carries a charge that is not 0."""
    return bool(_CHARGED.fullmatch(symbol)) and bool(re.search(r"[1-9]|[A-Za-z][+-]$", symbol))


@lru_cache(maxsize=65536)
def element(symbol: str, label: str) -> str:
    """Element of an atom from its type symbol, else, where that is empty, from its label.

    Parameters
    ----------
    symbol : str
        An element with an optional charge, number or suffix of a force field, and nothing else:
        ``Zn2+``, ``ZN``, ``C1``, ``C_R``, ``Zn3+2``, ``D``.
    label : str
        Begins with the element: ``Zn1``, ``C1A``, ``OW``.

    Raises
    ------
    StructureError
        If the element is unknown or ambiguous, or the symbol or label names several.
    """
    mixed = _is_mixed(label)
    if symbol:
        match = _SYMBOL.fullmatch(symbol)
        found = _known(match[1]) if match and not _elements_in(match[2] or "") else None
        mixed |= not found and _is_mixed(symbol)
    else:
        found = _from_label(label)
    if mixed:
        text = symbol if symbol and _is_mixed(symbol) else label
        raise StructureError(
            f"disordered: atom {show(label, 12)} is of several elements, {show(text, 24)}; "
            "choose one for each site in the CIF first"
        )
    if not found:
        what = "unreadable type symbol" if re.search(r"[^A-Za-z]", symbol) else "unknown element"
        raise StructureError(
            f"{what} {show(symbol or label, 24)} (atom {show(label, 12)}); "
            "correct _atom_site_type_symbol: one element, with nothing but a charge or number"
        )
    return found


def _from_label(label: str) -> str | None:
    named = _readings(label)
    if len(named) > 1:
        raise StructureError(
            f"atom {show(label, 12)} may be {named[0]} or {named[1]}; add _atom_site_type_symbol"
        )
    return named[0] if named else None


def _readings(label: str) -> list[str]:
    """Elements that a label may name: ``Ca1`` is calcium, ``CA1`` that or an alpha carbon."""
    # "Wat1" names a molecule, not tungsten.
    match = re.match(r"[A-Za-z]{1,2}", label)
    if not match or re.match(r"[A-Z][a-z]{2}", label):
        return []
    letters = match.group()
    pair = _known(letters) if len(letters) == 2 else None
    single = _known(letters[0])
    if pair and letters[1].isupper() and single:
        return [single, pair]
    return [found for found in [pair or single] if found]


@lru_cache(maxsize=65536)
def may_name(label: str, symbol: str) -> bool:
    """Whether a label may be one of an atom of this element, that is if it names no other.

    ``Cl1`` is chlorine, ``CL1`` chlorine or a carbon; ``X1``, ``Wat1`` and ``T1`` name nothing.
    """
    named = _readings(label)
    return not named or symbol in named or (symbol == "H" and "D" in named)


def _is_mixed(text: str) -> bool:
    """Whether a text names several elements: ``0.5Si + 0.5Al``, ``Si/Al``, ``Si0.5Al0.5``."""
    # a label may end with an operator, Cu1_x,y,z, where y is no yttrium
    parts = re.split(r"[/,&|;+\s]+", text.title() if text.islower() else text)
    named = {e for part in parts for e in [_leading_element(part)] if e}
    fractions = re.findall(r"[A-Z][a-z]?(?=\d*\.\d)", text)
    run = re.match(r"([A-Z][a-z])([A-Z][a-z])(?![a-z])", text)
    return (
        len(named) > 1
        or (bool(fractions) and len(_elements_in(text)) > 1)
        or bool(run and _known(run[1]) and _known(run[2]))
    )


def _leading_element(part: str) -> str | None:
    """Element that a part of a mixed symbol begins with, after its share: ``0.5Si``."""
    match = re.match(r"[(\[{]?(?:\d*\.?\d+)?([A-Z][A-Za-z]?)(?![A-Za-z])", part)
    return _known(match[1]) if match else None


def _elements_in(text: str) -> set[str]:
    return {e for word in re.findall(r"[A-Z][a-z]?(?![a-z])", text) if (e := _known(word))}


@lru_cache(maxsize=4096)
def _known(letters: str) -> str | None:
    found = gemmi.Element(letters.capitalize())
    return letters.capitalize() if found.atomic_number > 0 else None
