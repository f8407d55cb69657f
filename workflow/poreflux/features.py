"""Stage ``features``: what the learners see (descriptors) and what they learn (labels).

The features of Lim & Kim 2022 (doi 10.1039/d2me00082b) are five geometric descriptors and the
shares of an energy histogram, 55 in all with 50 bins.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from poreflux.errors import DataError

IDENTITY_COLUMNS = ("name", "content_hash")
GEOMETRY_COLUMNS = ("lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction")
# Divisors that bring the geometry to the order of one, from the released code of Lim & Kim 2022.
GEOMETRY_DIVISORS = (60.0, 60.0, 4000.0, 10000.0, 1.0)
# Unit of the diffusivity under the logarithm, m2/s.
DIFFUSIVITY_UNIT_M2_S = 1e-8

_HISTOGRAM_COLUMN = re.compile(r"h\d+")


def histogram_columns(table: pd.DataFrame) -> list[str]:
    """Names of the histogram columns (``h00``, ``h01`` ...) of a table in order of energy."""
    names = [c for c in table.columns if _HISTOGRAM_COLUMN.fullmatch(str(c))]
    return sorted(names, key=lambda name: int(name[1:]))


def feature_table(geometry: pd.DataFrame, energy: pd.DataFrame) -> pd.DataFrame:
    """Join geometry and energy histogram of every structure that has both.

    Parameters
    ----------
    geometry : DataFrame
        Columns name, content_hash, status and :data:`GEOMETRY_COLUMNS`.
    energy : DataFrame
        Columns name, content_hash, status and h00, h01 ... (shares that sum to one).

    Returns
    -------
    DataFrame
        One row a structure that is ``ok`` in both tables, in the order of ``geometry``: name,
        content_hash, geometry (Å, m2/cm3, m2/g, share of the volume), histogram shares.

    Raises
    ------
    DataError
        If a table lacks a column or an ``ok`` row holds a number that is not finite.
    """
    bins = histogram_columns(energy)
    if not bins:
        raise DataError("the energy table has no histogram columns (h00, h01 ...)")
    parts = []
    for title, table, columns in (
        ("geometry", geometry, GEOMETRY_COLUMNS),
        ("energy", energy, bins),
    ):
        missing = [c for c in (*IDENTITY_COLUMNS, "status", *columns) if c not in table.columns]
        if missing:
            raise DataError(f"the {title} table lacks the columns {', '.join(missing)}")
        parts.append(table.loc[table["status"] == "ok", [*IDENTITY_COLUMNS, *columns]])
    joined = parts[0].merge(parts[1], on=list(IDENTITY_COLUMNS), how="inner")
    values = joined[[*GEOMETRY_COLUMNS, *bins]].astype(np.float64)
    broken = joined.loc[~np.isfinite(values).all(axis=1), "name"]
    if len(broken):
        raise DataError(f"features of {', '.join(broken[:5])} are not finite numbers")
    return pd.concat([joined[list(IDENTITY_COLUMNS)], values], axis=1)


def _paper55(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Geometry over the published divisors, then the histogram shares as they are."""
    names = [*GEOMETRY_COLUMNS, *histogram_columns(features)]
    divisors = np.ones(len(names))
    divisors[: len(GEOMETRY_DIVISORS)] = GEOMETRY_DIVISORS
    return features[names].to_numpy(dtype=np.float64) / divisors, names


FEATURE_SETS = {"paper55": _paper55}


def matrix(features: pd.DataFrame, feature_set: str = "paper55") -> tuple[np.ndarray, list[str]]:
    """The learners' input.

    Parameters
    ----------
    features : DataFrame
        As :func:`feature_table` gives it.
    feature_set : str
        A key of :data:`FEATURE_SETS`.

    Returns
    -------
    x : ndarray of float64, shape (n, d)
        Scaled features, rows as in the table; d is 55 with 50 bins.
    names : list of str
        Names of the columns of ``x``.

    Raises
    ------
    DataError
        If there is no such feature set.
    """
    if feature_set not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        raise DataError(f"there is no feature set {feature_set!r}; there are: {known}")
    return FEATURE_SETS[feature_set](features)


def uptake_labels(uptake: pd.DataFrame, pressure_bar: float) -> pd.Series:
    """Uptake at one pressure by structure.

    Parameters
    ----------
    uptake : DataFrame
        Columns name, status, pressure_bar, uptake_cm3stp_cm3.
    pressure_bar : float
        In bar.

    Returns
    -------
    Series
        cm3(STP)/cm3 indexed by name; rows that are not ``ok`` are left out.

    Raises
    ------
    DataError
        If the table has no row at that pressure.
    """
    at_pressure = np.isclose(uptake["pressure_bar"].to_numpy(dtype=np.float64), pressure_bar)
    if not at_pressure.any():
        known = ", ".join(f"{p:g}" for p in np.sort(uptake["pressure_bar"].dropna().unique()))
        raise DataError(f"there is no uptake at {pressure_bar:g} bar; the table has: {known} bar")
    rows = uptake[at_pressure & (uptake["status"] == "ok").to_numpy()]
    return _by_name(rows, rows["uptake_cm3stp_cm3"])


def diffusion_labels(diffusion: pd.DataFrame) -> pd.Series:
    """log10 of the self-diffusivity by structure.

    Parameters
    ----------
    diffusion : DataFrame
        Columns name, status, diffusive (bool), d_m2_s.

    Returns
    -------
    Series
        log10 of D in 1e-8 m2/s indexed by name. A row whose mean squared displacement does not
        grow with time (``diffusive`` false) has no diffusivity and is left out like a failed one.
    """
    good = (diffusion["status"] == "ok") & diffusion["diffusive"].eq(True)
    rows = diffusion[good & (diffusion["d_m2_s"] > 0.0)]
    return _by_name(rows, np.log10(rows["d_m2_s"].astype(np.float64) / DIFFUSIVITY_UNIT_M2_S))


def _by_name(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    repeated = rows.loc[rows["name"].duplicated(), "name"]
    if len(repeated):
        raise DataError(f"more than one label for {', '.join(repeated[:5])}")
    return pd.Series(values.to_numpy(dtype=np.float64), index=pd.Index(rows["name"], name="name"))


def labelled(features: pd.DataFrame, labels: pd.Series) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows that can be learnt from: one a structure, in an order that no input order changes.

    Parameters
    ----------
    features : DataFrame
        As :func:`feature_table` gives it.
    labels : Series
        Indexed by name.

    Returns
    -------
    features : DataFrame
        The labelled rows sorted by content hash. Of several names for the same content the first
        in alphabetical order stays, since copies on both sides of a split would be a leak.
    y : ndarray of float64, shape (n,)
        Their labels.
    """
    rows = features[features["name"].isin(labels.index)]
    rows = rows.sort_values(["content_hash", "name"]).drop_duplicates("content_hash")
    rows = rows.reset_index(drop=True)
    return rows, labels.loc[rows["name"]].to_numpy(dtype=np.float64)
