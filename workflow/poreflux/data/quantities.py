"""What the stages' tables say of a structure in numbers: names, columns and units of labels.

A quantity goes by the name of its column, with or without the unit at its end (``pld`` is
``pld_A``), and a few by a shorter one: ``diffusivity``, ``heat``, ``uptake``. What spans decades is
learnt as its logarithm.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from poreflux.base.endings import UNITS, unit
from poreflux.data.features import (
    BARRIERS,
    DIFFUSIVITY_UNIT_M2_S,
    ENERGY_UNIT_K,
    LEAST_MOBILITY,
    MOBILITIES,
    MOST_ENERGY,
    PARTICIPATIONS,
)

# The table of activation energies, which are fitted to the diffusivities at several temperatures.
ACTIVATION = "activation"
# All numbers in the tables, by stage; the shares of the energy histogram are of it too. A column
# that two stages have is that of the first.
COLUMNS = {
    "geometry": ("lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction", "n_channels"),
    "energy": ("n_grid",),
    "percolation": (
        *("e_perc_1_K", "e_perc_2_K", "e_perc_3_K", "barrier_1_K", "barrier_2_K", "barrier_3_K"),
        *("e_min_K", "henry_free_energy_K", "e_mean_K", "participation", "accessible_fraction"),
        *("dimensionality", "n_channels", "pocket_share", "henry_mol_kg_bar"),
        *("heat_of_adsorption_kJ_mol", "mobility", "mobility_1", "mobility_2", "mobility_3"),
        *("participation_channels", "e_mean_channels_K", "participation_dissipation"),
        *("e_mean_dissipation_K", "n_grid", "n_unrefined"),
    ),
    "uptake": (
        *("fugacity_bar", "uptake_molecules_per_cell", "uptake_mol_kg", "uptake_cm3stp_cm3"),
        *("uptake_err_cm3stp_cm3", "uptake_err_mol_kg", "n_equilibration", "n_production"),
        *("pocket_share", "energy_drift_K"),
    ),
    "diffusion": (
        *("d_m2_s", "d_err_m2_s", "msd_loglog_slope", "d_x_m2_s", "d_y_m2_s", "d_z_m2_s"),
        *("fit_start_ps", "fit_end_ps", "msd_end_A2", "cavity_A", "dimensionality"),
        *("pocket_share", "n_molecules", "n_steps", "d_1_m2_s", "d_2_m2_s", "d_3_m2_s"),
        *("d_xy_m2_s", "d_xz_m2_s", "d_yz_m2_s", "time_ps", "d_half_time_m2_s"),
        *("d_half_ps_m2_s", "d_1_ps_m2_s", "d_2_ps_m2_s"),
    ),
    ACTIVATION: ("activation_energy_kJ_mol", "activation_energy_err_kJ_mol", "d0_m2_s"),
}
# Names that say more than those of the columns.
SHORT = {
    "diffusivity": "d_m2_s",
    "heat": "heat_of_adsorption_kJ_mol",
    "uptake": "uptake_cm3stp_cm3",
}
# Of a tensor off its diagonal, where the sign counts, and errors: no logarithms.
_SIGNED = ("d_xy_m2_s", "d_xz_m2_s", "d_yz_m2_s", "d_err_m2_s")
_LOGARITHMS = {"henry_mol_kg_bar", "participation", *MOBILITIES, *PARTICIPATIONS}
# What learning calls them.
_LOGARITHM_OF = {"henry_mol_kg_bar": "K"}
# The heat of adsorption is RT less the mean energy in the channels.
_SAME = {"heat_of_adsorption_kJ_mol": "e_mean_channels_K"}
_SAME |= {other: column for column, other in _SAME.items()}


@dataclass(frozen=True)
class Quantity:
    """A number of a structure that a stage's table gives.

    Attributes
    ----------
    name : str
        Such as ``diffusivity`` or ``pld``.
    stage : str
        Whose table has it; :data:`ACTIVATION` for an activation energy.
    column : str
        Of that table.
    unit : str
        Of what is learnt: of the number, or of its logarithm.
    is_log : bool
        Whether its logarithm to the base 10 is learnt.
    """

    name: str
    stage: str
    column: str
    unit: str
    is_log: bool = False

    @property
    def least(self) -> float:
        """The lowest value that says something; what lies below is closed in effect."""
        if self.column in MOBILITIES:
            return LEAST_MOBILITY
        return 5e-324 if self.is_log else -float("inf")

    @property
    def most(self) -> float:
        """The highest; percolation energies above it stand for a structure that is closed."""
        return MOST_ENERGY * ENERGY_UNIT_K if self.column in BARRIERS else float("inf")

    @property
    def scale(self) -> float:
        """The unit of the number under a logarithm."""
        return DIFFUSIVITY_UNIT_M2_S if self.is_log and self.column.endswith("_m2_s") else 1.0

    @property
    def told_by(self) -> set[str]:
        """Columns any one of which gives the number away."""
        return {self.column, _SAME.get(self.column, self.column)}

    @property
    def needs_diffusion(self) -> bool:
        """Whether only rows that are ``diffusive`` have it: of others it is a bound."""
        return self.stage == "diffusion" and self.column.endswith("_m2_s")


def _quantity(stage: str, column: str, name: str) -> Quantity:
    plain = unit(column).translate(str.maketrans("²³", "23"))
    if column.endswith("_m2_s") and column not in _SIGNED:
        return Quantity(name, stage, column, "log10 of D in 1e-8 m2/s", True)
    if column in _LOGARITHMS:
        of = f"log10 of {_LOGARITHM_OF.get(column, name)}" + (f" in {plain}" if plain else "")
        return Quantity(name, stage, column, of, True)
    return Quantity(name, stage, column, plain)


def _bare(column: str) -> str:
    """A column's name without its unit."""
    return next((column.removesuffix(end) for end in UNITS if column.endswith(end)), column)


def _named() -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    short = {column: name for name, column in SHORT.items()}
    for stage, columns in COLUMNS.items():
        times = Counter(map(_bare, columns))
        for column in columns:
            bare = _bare(column) if times[_bare(column)] == 1 else column
            name = short.get(column, bare)
            for known_as in dict.fromkeys((name, bare, column)):
                found.setdefault(known_as, _quantity(stage, column, name))
    return found


# By every name that they go by.
QUANTITIES = _named()


def is_bin(column: str) -> bool:
    """Whether a column is a share of the energy histogram: ``h07``."""
    return re.fullmatch(r"h\d+", column) is not None


def quantity(name: str) -> Quantity | None:
    """The quantity of a name, such as ``pld``, ``pld_A`` or ``h07``; None if there is none."""
    if is_bin(name):
        return Quantity(name, "energy", name, "share of the cell")
    return QUANTITIES.get(name)
