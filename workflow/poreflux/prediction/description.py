"""The data set's schema: how a structure is measured under its protocol, and what columns mean.

A part is a guest at a temperature. Columns are ``<part>_<column of the stage>``, geometry without
a part. :func:`describe` measures one structure; whoever has the stages' tables already, from a
store or from a file, gets the same row by :func:`facts_of` and :func:`joined`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module

import numpy as np
import pandas as pd

from poreflux.base.settings import Settings
from poreflux.data.activation import activation_table
from poreflux.data.features import (
    ENERGY_UNIT_K,
    GEOMETRY_COLUMNS,
    IDENTITY_COLUMNS,
    LEAST_DIAMETER_A,
    LEAST_ENERGY,
    LEAST_MOBILITY,
    LEAST_PARTICIPATION,
    MOST_ENERGY,
    histogram_columns,
)
from poreflux.diffusion import DiffusionSettings
from poreflux.energy import EnergySettings
from poreflux.geometry import GeometrySettings
from poreflux.percolation import Percolation, PercolationSettings
from poreflux.structures.crystal import Structure
from poreflux.uptake import UptakeSettings

# What is slower is closed in effect: half an hour through a micrometre. Models tell it no further.
SLOWEST_M2_S = 1e-16
SEED = 1
TEMPERATURE_K, SECOND_TEMPERATURE_K = 298.0, 400.0
PRESSURES_BAR = (1.0, 5.8, 35.0, 65.0)
# Guest and temperature of each part; the first one says which structures are open.
PARTS = {
    "CH4": ("CH4", TEMPERATURE_K),
    "CH4_400K": ("CH4", SECOND_TEMPERATURE_K),
    "N2": ("N2", TEMPERATURE_K),
    "Kr": ("Kr", TEMPERATURE_K),
    "Xe": ("Xe", TEMPERATURE_K),
}
FIRST = "CH4"
# Columns of the structure, which all guests share.
OF_THE_STRUCTURE = (
    *("content_hash", "formula", "n_atoms", "volume_A3", "density_g_cm3", "warnings"),
    *("lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction"),
)
# Of dynamics, what is kept; the landscape's columns all are, but these.
OF_DYNAMICS = ("d_m2_s", "d_err_m2_s", "diffusive", "d_1_m2_s", "d_2_m2_s", "d_3_m2_s", "time_ps")
OF_DYNAMICS_EARLY = ("d_half_ps_m2_s", "d_1_ps_m2_s", "d_2_ps_m2_s")
OF_ARRHENIUS = ("activation_energy_kJ_mol", "activation_energy_err_kJ_mol")
NOT_KEPT = ("n_grid", "n_unrefined", "n_channels")
DIGITS = 6


def settings_of(part: str) -> dict[str, Settings]:
    """Settings of each stage of a part: the protocol. Percolation comes first."""
    guest, temperature_K = PARTS[part]
    where = {"guest": guest, "temperature_K": temperature_K}
    found: dict[str, Settings] = {
        "percolation": PercolationSettings(**where),
        "diffusion": DiffusionSettings(**where, seed=SEED),
    }
    if part == FIRST:
        found |= {
            "geometry": GeometrySettings(),
            "energy": EnergySettings(),
            "uptake": UptakeSettings(pressures_bar=PRESSURES_BAR, seed=SEED),
        }
    return found


def measure(
    structure: Structure, part: str, compute: Callable[..., Sequence[dict]] | None = None
) -> dict:
    """One structure in one part.

    Parameters
    ----------
    structure : Structure
    part : str
        A key of :data:`PARTS`.
    compute : callable, optional
        ``compute(stage, settings)`` gives the rows of the stage's table; by default the stage runs.

    Returns
    -------
    dict
        See :func:`facts_of`; of a structure that the first part finds closed, the landscape alone.

    Raises
    ------
    StructureError
        If a stage cannot be computed.
    """

    def simulated(stage: str, settings: Settings) -> Sequence[dict]:
        found = import_module(f"poreflux.{stage}").compute(structure, settings)
        return [r for each in (found if isinstance(found, list) else [found]) for r in each.rows()]

    compute = compute or simulated
    rows = {}
    for stage, settings in settings_of(part).items():
        rows[stage] = compute(stage, settings)
        if part == FIRST and stage == "percolation" and not is_open(rows[stage][0]):
            break
    return facts_of(rows)


def is_open(landscape: Mapping) -> bool:
    """Whether a channel runs through, by the row of stage percolation."""
    return landscape["dimensionality"] > 0


def facts_of(rows: Mapping[str, Sequence[Mapping]]) -> dict:
    """The rows of a structure in the stages as one: columns under the names of a part's table.

    Parameters
    ----------
    rows : mapping of str to sequence of mappings
        By stage, those that there are.
    """
    facts = dict(rows["percolation"][0])
    for row in rows.get("diffusion", ()):
        facts |= {f"diffusion_{key}": value for key, value in row.items()}
    for row in rows.get("geometry", ()):
        facts |= row
    for row in rows.get("energy", ()):
        facts |= {key: value for key, value in row.items() if key.startswith("h")}
    for point in rows.get("uptake", ()):
        bar = f"{point['pressure_bar']:g}bar"
        facts[f"uptake_{bar}_mol_kg"] = point["uptake_mol_kg"]
        facts[f"uptake_{bar}_err_mol_kg"] = point["uptake_err_mol_kg"]
        facts[f"uptake_{bar}_converged"] = point["converged"]
    return facts


def joined(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Parts as one table: a row per open structure, sorted by name.

    Parameters
    ----------
    parts : mapping of str to DataFrame
        By part, the first one first: rows of :func:`facts_of` indexed by name; the first one with
        what of :data:`OF_THE_STRUCTURE` the stages do not give.
    """
    table = None
    for part, found in parts.items():
        # where the window lies at the threshold, the grids of two stages may differ: left out
        found = found[found["diffusion_dimensionality"] > 0]
        if table is None:
            table = found[[*OF_THE_STRUCTURE, *histogram_columns(found)]].copy()
            table["warnings"] = table["warnings"].fillna("")
            order = found.index
        columns = {f"diffusion_{c}": f"{part}_{c}" for c in (*OF_DYNAMICS, *OF_DYNAMICS_EARLY)}
        landscape = [f.name for f in fields(Percolation) if f.name not in NOT_KEPT]
        columns |= {c: f"{part}_{c}" for c in landscape}
        columns |= {c: f"{part}_{c}" for c in found.columns if c.startswith("uptake_")}
        table = table.join(found[list(columns)].rename(columns=columns), how="left")
    table = table.loc[order]
    if "CH4_400K_d_m2_s" in table:
        table = _with_activation_energy(table)
    # a structure that failed has none, and made it a float
    table["n_atoms"] = table["n_atoms"].astype(int)
    numbers = table.select_dtypes("float")
    table[numbers.columns] = numbers.map(lambda x: float(f"{x:.{DIGITS - 1}e}"))
    # a copy, for columns set one by one lie scattered
    return table.sort_index().copy()


def describe(structure: Structure, name: str, parts: Sequence[str] = tuple(PARTS)) -> pd.DataFrame:
    """One structure as a row of the data set; no row if it is closed.

    Parameters
    ----------
    structure : Structure
    name : str
        Of the row.
    parts : sequence of str
        Keys of :data:`PARTS`, the first one among them.

    Raises
    ------
    StructureError
        If a stage cannot be computed.
    """
    first = of_the_structure(structure) | measure(structure, FIRST)
    if not is_open(first):
        return pd.DataFrame()
    found = {FIRST: first} | {p: measure(structure, p) for p in parts if p != FIRST}
    return joined({part: pd.DataFrame([facts], index=[name]) for part, facts in found.items()})


def of_the_structure(structure: Structure) -> dict:
    """What a row has of the structure itself, warnings left out."""
    names = ("content_hash", "formula", "n_atoms", "volume_A3", "density_g_cm3")
    return {name: getattr(structure, name) for name in names} | {"warnings": ""}


def parts_in(table: pd.DataFrame) -> list[str]:
    """The parts that a table of the data set has."""
    return [part for part in PARTS if f"{part}_d_m2_s" in table]


def features_of(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """Rows of the data set as :func:`poreflux.data.features.feature_table` gives them."""
    table = table.rename_axis("name").reset_index()
    others = [p for p in PARTS if p != part and p.startswith(part)]
    own = {
        c: c.removeprefix(f"{part}_")
        for c in table.columns
        if c.startswith(f"{part}_") and not any(c.startswith(f"{p}_") for p in others)
    }
    columns = [*IDENTITY_COLUMNS, *GEOMETRY_COLUMNS, *histogram_columns(table)]
    return pd.concat([table[columns], table[list(own)].rename(columns=own)], axis=1)


def _with_activation_energy(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the activation energy of the first guest between its temperatures, with its error."""
    guest, _ = PARTS[FIRST]
    columns = ("d_m2_s", "d_err_m2_s", "diffusive")
    constant = {"name": table.index, "content_hash": table["content_hash"], "status": "ok"}
    points = {
        temperature_K: pd.DataFrame({c: table[f"{part}_{c}"] for c in columns}).assign(
            **constant, reason=""
        )
        for part, (of, temperature_K) in PARTS.items()
        if of == guest
    }
    found = activation_table(points).set_index("name")[list(OF_ARRHENIUS)]
    return table.join(found.add_prefix(f"{guest}_"))


# What the page says of each column, by the end of its name; the first that fits.
MEANINGS = (
    ("content_hash", "", "digest of cell and atoms; equal for equal structures under two names"),
    ("formula", "", "of the cell"),
    ("n_atoms", "", "atoms in the cell"),
    ("volume_A3", "Å3", "of the cell"),
    ("density_g_cm3", "g/cm3", "of the framework"),
    ("warnings", "", "what looks wrong in the structure (docs/structures.md)"),
    ("lcd_A", "Å", "largest cavity diameter (Zeo++'s definition, radii and high accuracy)"),
    ("pld_A", "Å", "pore limiting diameter"),
    ("asa_m2_cm3", "m2/cm3", "accessible surface, probe of 1.55 Å"),
    ("asa_m2_g", "m2/g", "the same per mass"),
    ("void_fraction", "", "accessible share of the volume, probe of 1.4 Å"),
    ("d_m2_s", "m2/s", "self-diffusivity at infinite dilution, mean of three directions"),
    ("d_err_m2_s", "m2/s", "its standard error"),
    ("diffusive", "", "whether it is a diffusivity (false: ballistic, or error above 30 %)"),
    ("d_1_m2_s", "m2/s", "largest principal value of the tensor"),
    ("d_2_m2_s", "m2/s", "the second"),
    ("d_3_m2_s", "m2/s", "the third"),
    ("time_ps", "ps", "after which D(t) is flat"),
    ("d_half_ps_m2_s", "m2/s", "estimate after 0.5 ps"),
    ("d_1_ps_m2_s", "m2/s", "after 1 ps"),
    ("d_2_ps_m2_s", "m2/s", "after 2 ps"),
    ("activation_energy_kJ_mol", "kJ/mol", "between 298 and 400 K"),
    ("activation_energy_err_kJ_mol", "kJ/mol", "its standard error"),
    ("e_perc_1_K", "K", "energy at which channels run in one direction"),
    ("e_perc_2_K", "K", "in two"),
    ("e_perc_3_K", "K", "in three"),
    ("barrier_1_K", "K", "the same above the Henry free energy"),
    ("barrier_2_K", "K", ""),
    ("barrier_3_K", "K", ""),
    ("e_min_K", "K", "lowest energy"),
    ("henry_free_energy_K", "K", "-kT ln of the mean Boltzmann factor over the cell"),
    ("e_mean_K", "K", "mean energy of an adsorbed molecule"),
    ("participation_channels", "", "share of the cell in which a molecule in the channels is"),
    ("participation_dissipation", "", "share of the cell in which a current dissipates"),
    ("participation", "", "share of the cell in which an adsorbed molecule is"),
    ("accessible_fraction", "", "share of the cell in channels"),
    ("dimensionality", "", "directions in which channels below 20 kT run through"),
    ("pocket_share", "", "share of the Henry coefficient in closed pockets"),
    ("henry_mol_kg_bar", "mol/kg/bar", "Henry coefficient"),
    ("heat_of_adsorption_kJ_mol", "kJ/mol", "at infinite dilution"),
    ("mobility", "", "of an overdamped molecule, relative to free space; mean of three directions"),
    ("mobility_1", "", "largest principal value"),
    ("mobility_2", "", "the second"),
    ("mobility_3", "", "the third"),
    ("e_mean_channels_K", "K", "mean energy in the channels"),
    ("e_mean_dissipation_K", "K", "mean energy where a current dissipates"),
    ("bar_mol_kg", "mol/kg", "uptake at that pressure (GCMC, fugacity by Peng-Robinson)"),
    ("bar_err_mol_kg", "mol/kg", "its standard error"),
    ("bar_converged", "", "whether the run reached its error"),
)


def meaning(column: str) -> tuple[str, str]:
    """Unit and meaning of a column: those of the longest ending that fits."""
    fitting = [entry for entry in MEANINGS if column.endswith(entry[0])]
    return max(fitting, key=lambda entry: len(entry[0]))[1:]


# --- columns as sources of what is to be learnt --------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """On which a straight line in a column makes sense.

    Attributes
    ----------
    is_log : bool
        Decades; otherwise the number itself.
    least, most : float
        Beyond these a number tells no more.
    closed : float
        What stands for a structure through which the guest does not get, where there is no number.
    """

    is_log: bool
    least: float = -np.inf
    most: float = np.inf
    closed: float = np.nan

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values on this scale."""
        values = np.clip(values, self.least, self.most)
        return np.log10(values) if self.is_log else values


def _decades(least: float) -> Scale:
    return Scale(True, least, closed=least)


_ENERGY = Scale(
    False, LEAST_ENERGY * ENERGY_UNIT_K, MOST_ENERGY * ENERGY_UNIT_K, MOST_ENERGY * ENERGY_UNIT_K
)
_D, _MOBILITY, _SHARE = (
    _decades(SLOWEST_M2_S),
    _decades(LEAST_MOBILITY),
    _decades(LEAST_PARTICIPATION),
)
# By the end of a column's name; what has no entry is no physical property of its own.
SCALES = {
    **dict.fromkeys((c for c in (*OF_DYNAMICS, *OF_DYNAMICS_EARLY) if c.endswith("_m2_s")), _D),
    **dict.fromkeys(("mobility", "mobility_1", "mobility_2", "mobility_3"), _MOBILITY),
    **dict.fromkeys(("e_perc_1_K", "e_perc_2_K", "e_perc_3_K"), _ENERGY),
    **dict.fromkeys(("barrier_1_K", "barrier_2_K", "barrier_3_K"), _ENERGY),
    **dict.fromkeys(("e_min_K", "henry_free_energy_K", "e_mean_K"), _ENERGY),
    **dict.fromkeys(("e_mean_channels_K", "e_mean_dissipation_K"), _ENERGY),
    "participation": _SHARE,
    "participation_channels": _SHARE,
    "participation_dissipation": _SHARE,
    "accessible_fraction": Scale(False),
    "henry_mol_kg_bar": _decades(1e-6),
    "heat_of_adsorption_kJ_mol": Scale(False),
    "activation_energy_kJ_mol": Scale(False),
    "bar_mol_kg": _decades(1e-4),
    "lcd_A": _decades(LEAST_DIAMETER_A),
    "pld_A": _decades(LEAST_DIAMETER_A),
    "asa_m2_cm3": Scale(False),
    "asa_m2_g": Scale(False),
    "void_fraction": Scale(False),
    "density_g_cm3": Scale(False),
}


# What a further gas or temperature adds. The rest is nearly what the first part has, and the more
# sources are nearly the same, the more often chance chooses among them.
OF_FURTHER_PARTS = ("d_m2_s", "mobility", "barrier_1_K", "henry_mol_kg_bar")


def sources_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Every column that is a physical property, on its own scale.

    Of further parts than the first, those of :data:`OF_FURTHER_PARTS`.

    Parameters
    ----------
    table : DataFrame
        Rows of the data set.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Not a number where the part was not computed, or there is none.
    """
    found = {}
    for column in table.columns:
        scale = _scale_of(column)
        if scale is None:
            continue
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
        part = next((p for p in sorted(PARTS, key=len)[::-1] if column.startswith(f"{p}_")), None)
        if part not in (None, FIRST) and column.removeprefix(f"{part}_") not in OF_FURTHER_PARTS:
            continue
        if part is not None:
            # computed, and nothing there: the guest does not get through
            computed = table[f"{part}_e_min_K"].notna().to_numpy()
            values = np.where(computed & np.isnan(values), scale.closed, values)
        found[column] = scale(values)
    return found


def _scale_of(column: str) -> Scale | None:
    """By the longest ending that fits, of a column that is no error."""
    if "_err_" in column:
        return None
    fitting = [end for end in SCALES if column == end or column.endswith(f"_{end}")]
    fitting += [end for end in ("bar_mol_kg",) if column.endswith(end)]
    return SCALES[max(fitting, key=len)] if fitting else None
