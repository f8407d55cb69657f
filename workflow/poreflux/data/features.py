"""Stage ``features``: what the learners see (descriptors) and what they learn (labels).

The features of Lim & Kim 2022 (doi 10.1039/d2me00082b) are five geometric descriptors and the
shares of an energy histogram, 55 in all with 50 bins. Percolation energies come from the same
potential and are what an activation energy of diffusion is made of. A feature set is a name for
columns and how they are scaled; no label enters any.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError

IDENTITY_COLUMNS = ("name", "content_hash")
GEOMETRY_COLUMNS = ("lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction")
# Divisors that bring the geometry to the order of one, from the released code of Lim & Kim 2022.
GEOMETRY_DIVISORS = (60.0, 60.0, 4000.0, 10000.0, 1.0)
# Energies over kB, K, and shares; see poreflux.percolation.
PERCOLATION_ENERGIES = (
    "e_perc_1_K", "e_perc_2_K", "e_perc_3_K", "barrier_1_K", "barrier_2_K", "barrier_3_K",
    "e_min_K", "henry_free_energy_K", "e_mean_K",
)  # fmt: skip
PERCOLATION_SHARES = ("participation", "accessible_fraction", "pocket_share")
MOBILITIES = ("mobility", "mobility_1", "mobility_2", "mobility_3")
# Energies are in units of this times kB, and cut at so many of them: beyond, all is closed.
ENERGY_UNIT_K, MOST_ENERGY, LEAST_ENERGY = 298.0, 40.0, -60.0
# Below this a diameter (Å), a share of a histogram or of the cell is as good as none.
LEAST_DIAMETER_A, LEAST_SHARE, LEAST_PARTICIPATION = 0.1, 1e-4, 1e-6
# Below this, some 1e-13 m2/s, a molecule stays within 0.1 Å for nanoseconds: no dynamics tells
# such mobilities apart.
LEAST_MOBILITY = 1e-5
# Unit of the diffusivity under the logarithm, m2/s.
DIFFUSIVITY_UNIT_M2_S = 1e-8

_HISTOGRAM_COLUMN = re.compile(r"h\d+")


def histogram_columns(table: pd.DataFrame) -> list[str]:
    """Names of the histogram columns (``h00``, ``h01`` ...) of a table in order of energy."""
    names = [c for c in table.columns if _HISTOGRAM_COLUMN.fullmatch(str(c))]
    return sorted(names, key=lambda name: int(name[1:]))


def feature_table(
    geometry: pd.DataFrame, energy: pd.DataFrame, percolation: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Join geometry, energy histogram and percolation of every structure that has them all.

    Parameters
    ----------
    geometry : DataFrame
        Columns name, content_hash, status and :data:`GEOMETRY_COLUMNS`.
    energy : DataFrame
        Columns name, content_hash, status and h00, h01 ... (shares that sum to one).
    percolation : DataFrame, optional
        Columns name, content_hash, status, :data:`PERCOLATION_ENERGIES`,
        :data:`PERCOLATION_SHARES` and, for the feature sets that use them, :data:`MOBILITIES`.

    Returns
    -------
    DataFrame
        One row per structure that is ``ok`` in all tables, in the order of ``geometry``: name,
        content_hash, geometry (Å, m2/cm3, m2/g, share of the volume), histogram shares,
        percolation (K, shares), relative mobilities. Without any row, name and content_hash alone
        where a stage failed for all: its columns are then unknown.

    Raises
    ------
    DataError
        If a table lacks a column or an ``ok`` row holds a number that is not finite.
    """
    given = [table for table in (geometry, energy, percolation) if table is not None]
    if any((table["status"] != "ok").all() for table in given):
        return geometry.loc[:, list(IDENTITY_COLUMNS)].head(0)
    bins = histogram_columns(energy)
    if not bins:
        raise DataError("the energy table has no histogram columns (h00, h01 ...)")
    tables = [("geometry", geometry, GEOMETRY_COLUMNS), ("energy", energy, bins)]
    if percolation is not None:
        # a table from a file may do without the mobilities
        mobilities = [name for name in MOBILITIES if name in percolation.columns]
        columns = (*PERCOLATION_ENERGIES, *PERCOLATION_SHARES, *mobilities)
        tables.append(("percolation", percolation, columns))
    joined = None
    for title, table, columns in tables:
        missing = [c for c in (*IDENTITY_COLUMNS, "status", *columns) if c not in table.columns]
        if missing:
            raise DataError(f"the {title} table lacks the columns {', '.join(missing)}")
        part = table.loc[table["status"] == "ok", [*IDENTITY_COLUMNS, *columns]]
        if joined is not None:
            part = joined.merge(part, on=list(IDENTITY_COLUMNS), how="inner")
        joined = part
    values = joined.drop(columns=list(IDENTITY_COLUMNS)).astype(np.float64)
    broken = joined.loc[~np.isfinite(values).all(axis=1), "name"]
    if len(broken):
        raise DataError(f"features of {', '.join(broken[:5])} are not finite numbers")
    return pd.concat([joined[list(IDENTITY_COLUMNS)], values], axis=1)


def why_none(tables: dict[str, pd.DataFrame]) -> str:
    """Why no structure has features: the first reason in the tables, by stage, for a message."""
    for stage, table in tables.items():
        failed = table[table["status"] != "ok"]
        if len(failed) == len(table) and len(failed):
            first = failed.iloc[0]
            return f"all {len(table)} failed in {stage}, {first['name']} for one: {first['reason']}"
    sizes = ", ".join(f"{stage} {(t['status'] == 'ok').sum()}" for stage, t in tables.items())
    return f"none came through every stage (of single stages: {sizes})"


def _columns(features: pd.DataFrame, names) -> np.ndarray:
    missing = [name for name in names if name not in features.columns]
    if missing:
        raise DataError(
            f"the features lack the columns {', '.join(missing[:5])}; a feature set with "
            "percolation or mobility needs the table of the stage percolation"
        )
    return features[list(names)].to_numpy(dtype=np.float64)


def _geometry(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Over the published divisors."""
    return _columns(features, GEOMETRY_COLUMNS) / GEOMETRY_DIVISORS, [*GEOMETRY_COLUMNS]


def _log_geometry(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """The same, but the logarithms of the diameters: diffusion depends on their ratios."""
    x, names = _geometry(features)
    diameters = _columns(features, GEOMETRY_COLUMNS[:2])
    return np.column_stack([np.log(np.maximum(diameters, LEAST_DIAMETER_A)), x[:, 2:]]), names


def _histogram(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """The shares as they are."""
    names = histogram_columns(features)
    return _columns(features, names), names


def _log_histogram(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Logarithms of the cumulative shares: what decides are the few lowest per cent."""
    x, names = _histogram(features)
    return np.log(np.cumsum(x, axis=1) + LEAST_SHARE), names


def _percolation(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Energies over 298 K, participation as a logarithm, shares as they are."""
    energies = _columns(features, PERCOLATION_ENERGIES) / ENERGY_UNIT_K
    shares = _columns(features, PERCOLATION_SHARES)
    participation = np.log(np.maximum(shares[:, :1], LEAST_PARTICIPATION))
    x = np.hstack([np.clip(energies, LEAST_ENERGY, MOST_ENERGY), participation, shares[:, 1:]])
    return x, [*PERCOLATION_ENERGIES, *PERCOLATION_SHARES]


def _mobility(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Decades below free space, as the label counts decades."""
    return np.log10(np.maximum(_columns(features, MOBILITIES), LEAST_MOBILITY)), [*MOBILITIES]


FEATURE_SETS = {
    "paper55": (_geometry, _histogram),
    "log55": (_log_geometry, _log_histogram),
    "percolation": (_log_geometry, _percolation),
    "mobility": (_log_geometry, _percolation, _mobility),
    "all": (_log_geometry, _log_histogram, _percolation, _mobility),
}


def stages_of(feature_set: str) -> tuple[str, ...]:
    """The stages whose tables a feature set (a key of :data:`FEATURE_SETS`) draws on."""
    percolating = {_percolation, _mobility} & set(FEATURE_SETS[feature_set])
    return ("geometry", "energy", *(("percolation",) if percolating else ()))


def matrix(features: pd.DataFrame, feature_set: str = "paper55") -> tuple[np.ndarray, list[str]]:
    """The learners' input.

    Parameters
    ----------
    features : DataFrame
        As :func:`feature_table` gives it.
    feature_set : str
        A key of :data:`FEATURE_SETS`: ``paper55`` (the published features), ``log55`` (the
        same numbers with logarithms), ``percolation`` (geometry and percolation), ``mobility``
        (both and the relative mobilities), ``all``.

    Returns
    -------
    x : ndarray of float64, shape (n, d)
        Scaled features, rows as in the table; d is 55 with 50 bins for the first two, 17 and 21
        for the next.
    names : list of str
        The columns of ``features`` behind the columns of ``x``.

    Raises
    ------
    DataError
        If there is no such feature set, or the table lacks its columns.
    """
    if feature_set not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        raise DataError(f"there is no feature set {feature_set!r}; there are: {known}")
    blocks = [block(features) for block in FEATURE_SETS[feature_set]]
    return np.hstack([x for x, _ in blocks]), [name for _, names in blocks for name in names]


def select_features(features: pd.DataFrame, feature_set: str) -> pd.DataFrame:
    """The columns that a feature set draws on, beside name and content hash."""
    return features[[*IDENTITY_COLUMNS, *matrix(features.head(0), feature_set)[1]]]


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


def labelled_rows(
    features: pd.DataFrame, labels: pd.Series | pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows that can be learnt from: one per structure, in an order that no input order changes.

    Parameters
    ----------
    features : DataFrame
        As :func:`feature_table` gives it.
    labels : Series or DataFrame
        Indexed by name; K columns are K labels per structure.

    Returns
    -------
    features : DataFrame
        The labelled rows sorted by content hash. Of several names for the same content the first
        in alphabetical order stays, since copies on both sides of a split would be a leak.
    y : ndarray of float64, shape (n,) or (n, K)
        Their labels.
    """
    rows = features[features["name"].isin(labels.index)]
    rows = rows.sort_values(["content_hash", "name"]).drop_duplicates("content_hash")
    rows = rows.reset_index(drop=True)
    return rows, labels.loc[rows["name"]].to_numpy(dtype=np.float64)
