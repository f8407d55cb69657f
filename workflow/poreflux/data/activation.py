"""Activation energies: what diffusivities at several temperatures say of their dependence on it.

D(T) = D0 exp(-Ea / RT) (S. Arrhenius, Z. Phys. Chem. 4, 226 (1889)): a straight line of ln D in
1/T, each point weighed by the error of its D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.tables import KEY_COLUMNS
from poreflux.base.units import GAS_CONSTANT_J_PER_MOL_K

# A diffusivity is not taken to be more certain than this.
LEAST_RELATIVE_ERROR = 1e-3


class Activation(NamedTuple):
    """An activation energy with one standard error, kJ/mol, and D0, m2/s."""

    activation_energy_kJ_mol: float
    activation_energy_err_kJ_mol: float
    d0_m2_s: float


def activation(
    temperatures_K: Sequence[float], d_m2_s: Sequence[float], d_err_m2_s: Sequence[float]
) -> Activation:
    """Activation energy of diffusivities at two or more temperatures.

    Parameters
    ----------
    temperatures_K, d_m2_s, d_err_m2_s : sequences of float, (n,)
        Temperatures, diffusivities above 0, and one standard error of each, 0 where it is not
        known: then all weigh alike.

    Raises
    ------
    DataError
        If there are fewer than two temperatures.

    Notes
    -----
    The error is that of the weighted fit. Where three or more points scatter about the line by more
    than their errors, it is larger by the root of the reduced chi-square; two points tell nothing
    of how straight the line is.
    """
    x = 1.0 / np.asarray(temperatures_K, float)
    d, error = np.asarray(d_m2_s, float), np.asarray(d_err_m2_s, float)
    if len(np.unique(x)) < 2:
        raise DataError("an activation energy needs diffusivities at two or more temperatures")
    weights = 1.0 / np.maximum(error / d, LEAST_RELATIVE_ERROR) ** 2
    centre = np.average(x, weights=weights)
    spread = (weights * (x - centre) ** 2).sum()
    level = np.average(np.log(d), weights=weights)
    slope = (weights * (x - centre) * (np.log(d) - level)).sum() / spread
    scatter = 1.0
    if len(x) > 2:
        off = np.log(d) - level - slope * (x - centre)
        scatter = max(1.0, (weights * off**2).sum() / (len(x) - 2))
    unit = 1e-3 * GAS_CONSTANT_J_PER_MOL_K
    return Activation(
        -unit * slope, unit * np.sqrt(scatter / spread), np.exp(level - slope * centre)
    )


def activation_table(tables: Mapping[float, pd.DataFrame]) -> pd.DataFrame:
    """Activation energies of the structures of a set.

    Parameters
    ----------
    tables : mapping of float to DataFrame
        The tables of the stage diffusion by temperature, K: columns name, content_hash, status,
        reason, d_m2_s, diffusive and, if it is known, d_err_m2_s.

    Returns
    -------
    DataFrame
        One row per structure, by name: name, content_hash, status, reason, the fields of
        :class:`Activation` and ``n_temperatures``. A structure with a diffusivity at fewer than
        two temperatures is failed, with the reason.
    """
    points = pd.concat(
        [table.assign(temperature_K=float(t)) for t, table in tables.items()], ignore_index=True
    )
    if "d_err_m2_s" not in points:
        points["d_err_m2_s"] = 0.0
    rows = [_row(of) for _, of in points.groupby("name", sort=True)]
    return pd.DataFrame(rows, columns=[*KEY_COLUMNS, *Activation._fields, "n_temperatures"])


def _row(points: pd.DataFrame) -> dict:
    first = points.iloc[0]
    row = {"name": first["name"], "content_hash": first["content_hash"]}
    good = (points["status"] == "ok") & points["diffusive"].eq(True) & (points["d_m2_s"] > 0.0)
    used = points[good]
    row["n_temperatures"] = len(used)
    if len(used) < 2:
        failed = points[points["status"] != "ok"]
        reason = (
            failed["reason"].iloc[0]
            if len(failed)
            else f"a diffusivity at {len(used)} of {len(points)} temperatures; it takes two"
        )
        return row | {"status": "failed", "reason": reason}
    errors = used["d_err_m2_s"].fillna(0.0)
    found = activation(used["temperature_K"], used["d_m2_s"], errors)
    return row | {"status": "ok", "reason": ""} | found._asdict()
