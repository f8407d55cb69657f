"""Example tables from a toy model of nucleation and growth: synthetic, and labelled so.

The tables let the stage run on a fresh machine and be tested against a truth that is known. They
are no data on any material: every number comes from the equations below.

Particles nucleate and grow from a supersaturated solution until the metal is used up or the
time is over. With the concentrations c of metal and l of ligand, two ligands a metal, the
supersaturation is S = (c l^2)^(1/3) / c_s. Moments m_k of the size distribution (nm^k per litre,
radius r) follow the population balance without agglomeration:

    dm_0/dt = J,    dm_k/dt = k G m_(k-1)  (k = 1, 2, 3)
    J = A exp(-B / (ln S)^2),    G = g (S - 1)
    c = c_0 - v m_3,    l = l_0 - 2 v m_3

J and G are zero where S < 1. The nucleation constant A depends on the metal salt and on
stirring, the growth constant g on temperature (Arrhenius), the solubility c_s on solvent and
temperature. The size is the number-averaged diameter, 2 m_1 / m_0.

Every article and the in-house laboratory multiplies its sizes by a factor of its own (unrecorded
habits, the way of measuring), and every row by a little noise, both log-normal. So the literature
knows how size depends on the conditions but not where the laboratory's level lies, and a few
in-house rows know the level but hardly the dependence: transfer must beat either alone.

References
----------
A. D. Randolph, M. A. Larson, Theory of Particulate Processes (2nd ed., 1988), ch. 3-4 (moments
of the population balance).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

from poreflux.base.random_stream import seed_from
from poreflux.base.tables import write_csv

# Factor on the nucleation constant by salt, on the solubility by solvent.
SALTS = {"nitrate": 1.0, "acetate": 6.0, "chloride": 0.2}
SOLVENTS = {"methanol": 1.0, "ethanol": 1.5, "water": 0.5}
# log10 standard deviations: between laboratories, within one.
LABORATORY_SD, ROW_SD, IN_HOUSE_ROW_SD = 0.15, 0.05, 0.02
IN_HOUSE_FACTOR = 1.6
COLUMNS = (
    "row_id",
    "origin",
    "laboratory",
    "metal_salt",
    "solvent",
    "stirring",
    "metal_concentration_mol_per_L",
    "ligand_concentration_mol_per_L",
    "ligand_to_metal_ratio",
    "temperature_C",
    "time_h",
    "particle_size_nm",
)

_NUCLEATION = 3e16  # A, particles per litre and hour
_BARRIER = 40.0  # B
_GROWTH_nm_per_h = 10.0  # g at 25 degrees Celsius
_GROWTH_ENERGY_K = 4000.0  # activation energy over R
_SOLUBILITY_mol_per_L = 0.012  # c_s in methanol at 25 degrees Celsius
_SOLUTION_HEAT_K = 1500.0
_STIRRED = 2.5  # factor on A
# v: mol of metal in a sphere of r = 1 nm, at 6.7 mmol of metal per cm3 of crystal
_METAL_PER_nm3 = 4.0 / 3.0 * np.pi * 6.7e-3 * 1e-21
_ROOM_K = 298.15


@dataclass(frozen=True)
class Conditions:
    """One synthesis: concentrations in mol/L, temperature in Celsius, time in hours."""

    metal_mol_per_L: float
    ligand_mol_per_L: float
    temperature_C: float
    time_h: float
    salt: str = "nitrate"
    solvent: str = "methanol"
    stirring: bool = True


def supersaturation(metal: float, ligand: float, solvent: str, temperature_C: float) -> float:
    """S of the toy model from concentrations in mol/L."""
    inverse = 1.0 / (temperature_C + 273.15) - 1.0 / _ROOM_K
    solubility = _SOLUBILITY_mol_per_L * SOLVENTS[solvent] * np.exp(-_SOLUTION_HEAT_K * inverse)
    return float(np.cbrt(max(metal, 0.0) * max(ligand, 0.0) ** 2) / solubility)


def moments(conditions: Conditions) -> np.ndarray:
    """Moments m_0 to m_3 of the radius (nm^k per litre) when the time is over, (4,)."""
    c = conditions
    inverse = 1.0 / (c.temperature_C + 273.15) - 1.0 / _ROOM_K
    growth = _GROWTH_nm_per_h * np.exp(-_GROWTH_ENERGY_K * inverse)
    nucleation = _NUCLEATION * SALTS[c.salt] * (_STIRRED if c.stirring else 1.0)

    # Moments in units of 1e15 particles a litre, so that the integrator sees numbers near one.
    scale = 1e15

    def rates(_, m):
        used = _METAL_PER_nm3 * m[3] * scale
        metal, ligand = c.metal_mol_per_L - used, c.ligand_mol_per_L - 2.0 * used
        s = supersaturation(metal, ligand, c.solvent, c.temperature_C)
        if s <= 1.0:
            return np.zeros(4)
        born = nucleation / scale * np.exp(-_BARRIER / np.log(s) ** 2)
        speed = growth * (s - 1.0)
        return np.array([born, speed * m[0], 2.0 * speed * m[1], 3.0 * speed * m[2]])

    found = solve_ivp(rates, (0.0, c.time_h), np.zeros(4), method="LSODA", rtol=1e-6, atol=1e-9)
    return found.y[:, -1] * scale


def size_nm(conditions: Conditions) -> float:
    """Number-averaged diameter in nm; NaN where nothing nucleates."""
    m = moments(conditions)
    return float(2.0 * m[1] / m[0]) if m[0] > 0.0 else np.nan


def tables(seed: int = 1, n_laboratories: int = 45, n_in_house: int = 24):
    """The example tables.

    Parameters
    ----------
    seed : int
        Equal seeds give equal tables.
    n_laboratories : int
        Of the literature, each with three to seven rows in which one or two numbers vary.
    n_in_house : int
        In-house rows, in which all four numbers vary.

    Returns
    -------
    literature, in_house : DataFrame
        Columns :data:`COLUMNS`, numbers as text of four digits; a few cells of the literature
        are empty, as they are in literature.
    """
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "toy")))
    literature, in_house = [], []
    while len(literature) < n_laboratories:
        rows = _laboratory(stream, f"lab {len(literature) + 1:02d}")
        if rows:
            literature.append(rows)
    while len(in_house) < n_in_house:
        conditions = _drawn(stream)
        size = size_nm(conditions)
        if np.isfinite(size):
            noisy = size * IN_HOUSE_FACTOR * 10.0 ** stream.normal(0.0, IN_HOUSE_ROW_SD)
            in_house.append(_row(conditions, noisy, "in-house"))
    found = _table([row for rows in literature for row in rows], "L")
    for column in ("temperature_C", "time_h", "particle_size_nm"):
        found.loc[stream.random(len(found)) < 0.02, column] = ""
    return found, _table(in_house, "H")


def _drawn(stream, salt="nitrate", solvent="methanol", stirring=True) -> Conditions:
    """Conditions drawn at random, logarithmically but for the temperature."""
    metal = 10.0 ** stream.uniform(np.log10(0.01), np.log10(0.2))
    ratio = 10.0 ** stream.uniform(np.log10(2.0), np.log10(40.0))
    temperature = stream.choice([25.0, 25.0, 25.0, 40.0, 60.0])
    time = 10.0 ** stream.uniform(np.log10(0.1), np.log10(24.0))
    # what a lab would weigh in and write down
    metal, ratio, time = (float(f"{v:.2g}") for v in (metal, ratio, time))
    return Conditions(metal, metal * ratio, float(temperature), time, salt, solvent, stirring)


def _laboratory(stream, name: str) -> list[dict]:
    """The rows of one article: a first synthesis, then others that differ in one or two numbers."""
    salt = stream.choice(["nitrate", "nitrate", "nitrate", "acetate", "chloride"])
    solvent = stream.choice(["methanol", "methanol", "methanol", "ethanol", "water"])
    stirring = bool(stream.random() < 0.7)
    factor = 10.0 ** stream.normal(0.0, LABORATORY_SD)
    varied = set(stream.permutation(4)[: stream.integers(1, 3)].tolist())
    first = _drawn(stream, salt, solvent, stirring)
    rows = []
    for _ in range(stream.integers(3, 8)):
        other = _drawn(stream, salt, solvent, stirring)
        metal = (other if 0 in varied else first).metal_mol_per_L
        ratio = (other if 1 in varied else first).ligand_mol_per_L / (
            other if 1 in varied else first
        ).metal_mol_per_L
        conditions = Conditions(
            metal,
            metal * ratio,
            (other if 2 in varied else first).temperature_C,
            (other if 3 in varied else first).time_h,
            salt,
            solvent,
            stirring,
        )
        size = size_nm(conditions)
        noise = 10.0 ** stream.normal(0.0, ROW_SD)
        if np.isfinite(size):
            rows.append(_row(conditions, size * factor * noise, name))
    return rows


def _row(c: Conditions, size: float, laboratory: str) -> dict:
    return {
        "origin": "synthetic (toy model)",
        "laboratory": laboratory,
        "metal_salt": c.salt,
        "solvent": c.solvent,
        "stirring": "yes" if c.stirring else "no",
        "metal_concentration_mol_per_L": f"{c.metal_mol_per_L:.4g}",
        "ligand_concentration_mol_per_L": f"{c.ligand_mol_per_L:.4g}",
        "ligand_to_metal_ratio": f"{c.ligand_mol_per_L / c.metal_mol_per_L:.4g}",
        "temperature_C": f"{c.temperature_C:g}",
        "time_h": f"{c.time_h:.4g}",
        "particle_size_nm": f"{size:.4g}",
    }


def _table(rows: list[dict], letter: str) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table.insert(0, "row_id", [f"{letter}{i:03d}" for i in range(1, len(rows) + 1)])
    return table[list(COLUMNS)]


def write(folder: str | Path, seed: int = 1) -> None:
    """Write ``literature.csv`` and ``in_house.csv``."""
    for name, table in zip(("literature", "in_house"), tables(seed), strict=True):
        write_csv(table, Path(folder) / f"{name}.csv")
