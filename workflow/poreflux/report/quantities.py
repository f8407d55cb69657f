"""How the page names a label: in a sentence, as what R² is of, and with which units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from poreflux.data.labels import DIFFUSIVITY, HENRY, ISOTHERM, Label, parse

# Units in print; others stand as they are written.
TYPESET = {
    "log10 of D in 1e-8 m2/s": "log₁₀ of D in 10⁻⁸ m² s⁻¹",
    "log10 of K in mol/(kg bar)": "log₁₀ of K in mol kg⁻¹ bar⁻¹",
    "cm3(STP)/cm3": "cm³(STP) cm⁻³",
}
# Quantities of the stages in words, and symbols of those that are logarithms; others go by name.
WORDS = {
    HENRY: "Henry coefficient",
    ISOTHERM: "isotherms",
    "heat": "heat of adsorption",
    "pld": "pore limiting diameter",
    "lcd": "largest cavity diameter",
    "activation_energy": "activation energy",
}
SYMBOLS = {DIFFUSIVITY: "D", HENRY: "K"}


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
        A name of :mod:`poreflux.data.labels`, or of the user's.
    own : mapping of str to dict
        What the configuration says under ``labels:``.

    Examples
    --------
    >>> quantity("uptake_65bar", {}).words
    'the uptake at 65 bar'
    >>> quantity("diffusivity_CH4_400K", {}).words
    'the diffusivity of CH4 at 400 K'
    >>> quantity("modulus", {"modulus": {"unit": "GPa"}}).error_unit
    'GPa'
    """
    of = parse(label) if label not in own else None
    if of:
        return _of_a_stage(of)
    given = own.get(label) or {}
    unit = _typeset(str(given.get("unit") or ""))
    if given.get("transform") == "log10":
        return Quantity(f"the label {label}", f"log {label}", unit, f"decades of {label}")
    return Quantity(f"the label {label}", label, unit, unit)


def _of_a_stage(label: Label) -> Quantity:
    of = label.quantity
    at = "" if label.pressure_bar is None else f" at {label.pressure_bar:g} bar"
    at += f" of {label.guest}" if label.guest else ""
    at += "" if label.temperature_K is None else f" at {label.temperature_K:g} K"
    words = WORDS.get(of.name, of.name) + at
    unit = _typeset(of.unit)
    if of.is_log:
        symbol = SYMBOLS.get(of.name, of.name) + at
        return Quantity(f"the {words}", f"log {symbol}", unit, f"decades of {symbol}")
    return Quantity(f"the {words}", words, unit, unit)


def _typeset(unit: str) -> str:
    return TYPESET.get(unit, unit)
