"""How the page names a label: in a sentence, as what R² is of, and with which units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from poreflux.data.labels import DIFFUSIVITY, HENRY, ISOTHERM, UNITS, UPTAKE, kind_of, pressure_of

# Units in print; others stand as they are written.
TYPESET = {
    "log10 of D in 1e-8 m2/s": "log₁₀ of D in 10⁻⁸ m² s⁻¹",
    "log10 of K in mol/(kg bar)": "log₁₀ of K in mol kg⁻¹ bar⁻¹",
    "cm3(STP)/cm3": "cm³(STP) cm⁻³",
}
# The labels that are logarithms: their names, and of what.
LOGARITHMS = {DIFFUSIVITY: ("the diffusivity", "D"), HENRY: ("the Henry coefficient", "K")}


@dataclass(frozen=True)
class Quantity:
    """A label in words.

    Attributes
    ----------
    words : str
        In a sentence: ``the diffusivity``.
    symbol : str
        What R² is of: ``log D``.
    unit : str
        Of what is learnt; empty if nobody said.
    error_unit : str
        Of RMSE and MAE: ``decades of D``.
    """

    words: str
    symbol: str
    unit: str
    error_unit: str


def quantity(label: str, own: Mapping[str, dict]) -> Quantity:
    """A label as the page names it.

    Parameters
    ----------
    label : str
        ``diffusivity``, ``henry``, ``uptake_<P>bar``, ``isotherm`` or a name of the user's.
    own : mapping of str to dict
        What the configuration says under ``labels:``.

    Examples
    --------
    >>> quantity("uptake_65bar", {}).words
    'the uptake at 65 bar'
    >>> quantity("modulus", {"modulus": {"unit": "GPa"}}).error_unit
    'GPa'
    """
    kind = kind_of(label)
    if kind in LOGARITHMS:
        words, of = LOGARITHMS[kind]
        return Quantity(words, f"log {of}", _typeset(UNITS[kind]), f"decades of {of}")
    if kind in (UPTAKE, ISOTHERM):
        name = f"uptake at {pressure_of(label):g} bar" if kind == UPTAKE else ISOTHERM
        unit = _typeset(UNITS[UPTAKE])
        return Quantity(f"the {name}", name, unit, unit)
    given = own.get(label) or {}
    unit = _typeset(str(given.get("unit") or ""))
    if given.get("transform") == "log10":
        return Quantity(f"the label {label}", f"log {label}", unit, f"decades of {label}")
    return Quantity(f"the label {label}", label, unit, unit)


def _typeset(unit: str) -> str:
    return TYPESET.get(unit, unit)
