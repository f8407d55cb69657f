"""Units of columns, which stand at the end of their names."""

from __future__ import annotations

# Units by the end of a name, the longer before those that end alike.
UNITS = {
    "_mol_kg_bar": "mol/(kg bar)",
    "_mol_kg": "mol/kg",
    "_kJ_mol": "kJ/mol",
    "_cm3stp_cm3": "cm³(STP)/cm³",
    "_m2_cm3": "m²/cm³",
    "_m2_g": "m²/g",
    "_m2_s": "m²/s",
    "_molecules_per_cell": "molecules/cell",
    "_bar": "bar",
    "_ps": "ps",
    "_A2": "Å²",
    "_A": "Å",
    "_K": "K",
}


def unit(name: str) -> str:
    """Unit of a column by the end of its name, empty where it has none."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
