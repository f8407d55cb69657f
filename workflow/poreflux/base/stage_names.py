"""The stages that every structure passes through, by name, and what is cross-checked of them.

A stage goes by its name everywhere: in tables, rules, logs and the configuration.
"""

from __future__ import annotations

from typing import NamedTuple

# In the order in which a structure passes them.
STAGES = ("geometry", "energy", "percolation", "uptake", "diffusion")
# What follows the name of a stage that is computed again with the reference code.
CROSSCHECK = " (cross-check)"


class Comparison(NamedTuple):
    """What is compared: another code's engine and title, value, standard error, further keys."""

    engine: str
    title: str
    value: str
    error: str
    keys: tuple[str, ...] = ()


COMPARED = {
    "uptake": Comparison(
        "raspa3", "RASPA3", "uptake_mol_kg", "uptake_err_mol_kg", ("pressure_bar",)
    ),
    "diffusion": Comparison("lammps", "LAMMPS", "d_m2_s", "d_err_m2_s"),
}
