"""Stage ``features``: what the learners see (descriptors) and what they learn (labels).

The features of Lim & Kim 2022 (doi 10.1039/d2me00082b) are five geometric descriptors and the
shares of an energy histogram, 55 in all with 50 bins. Percolation energies come from the same
potential and are what an activation energy of diffusion is made of; the mobility is what an
overdamped guest makes of it, and picoseconds of dynamics say the rest. A feature set is a name for
columns and how they are scaled. No label enters any: ``harmonic`` holds diffusivities and is for
labels from elsewhere (:meth:`poreflux.run.plan.StudyPlan.feature_tables`).
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
BARRIERS = (
    "e_perc_1_K", "e_perc_2_K", "e_perc_3_K", "barrier_1_K", "barrier_2_K", "barrier_3_K",
)  # fmt: skip
ADSORPTION_ENERGIES = ("e_min_K", "henry_free_energy_K", "e_mean_K")
PERCOLATION_ENERGIES = (*BARRIERS, *ADSORPTION_ENERGIES)
PERCOLATION_SHARES = ("participation", "accessible_fraction", "pocket_share")
MOBILITIES = ("mobility", "mobility_1", "mobility_2", "mobility_3")
# Where the guest sits, and where a current dissipates.
PARTICIPATIONS = ("participation_channels", "participation_dissipation")
MEAN_ENERGIES = ("e_mean_channels_K", "e_mean_dissipation_K")
# After so many picoseconds, from engine harmonic; see poreflux.diffusion.
EARLY_DIFFUSIVITIES = ("d_2_ps_m2_s", "d_1_ps_m2_s", "d_half_ps_m2_s")
# Energies are in units of this times kB, and cut at so many of them: beyond, all is closed.
ENERGY_UNIT_K, MOST_ENERGY, LEAST_ENERGY = 298.0, 40.0, -60.0
# Below this a diameter (Å), a share of a histogram or of the cell is as good as none.
LEAST_DIAMETER_A, LEAST_SHARE, LEAST_PARTICIPATION = 0.1, 1e-4, 1e-6
# Below this, some 1e-16 m2/s, a molecule takes half an hour through a micrometre: closed in effect.
LEAST_MOBILITY = 1e-8
# Of an early diffusivity, m2/s: engine harmonic gives such numbers, and 0 where all is closed.
LEAST_DIFFUSIVITY_M2_S = 1e-18
# Unit of the diffusivity under the logarithm, m2/s.
DIFFUSIVITY_UNIT_M2_S = 1e-8

_HISTOGRAM_COLUMN = re.compile(r"h\d+")


def histogram_columns(table: pd.DataFrame) -> list[str]:
    """Names of the histogram columns (``h00``, ``h01`` ...) of a table in order of energy."""
    names = [c for c in table.columns if _HISTOGRAM_COLUMN.fullmatch(str(c))]
    return sorted(names, key=lambda name: int(name[1:]))


def feature_table(
    geometry: pd.DataFrame,
    energy: pd.DataFrame,
    percolation: pd.DataFrame | None = None,
    diffusion: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Join the tables of the stages, of every structure that has them all.

    Parameters
    ----------
    geometry : DataFrame
        Columns name, content_hash, status and :data:`GEOMETRY_COLUMNS`.
    energy : DataFrame
        Columns name, content_hash, status and h00, h01 ... (shares that sum to one).
    percolation : DataFrame, optional
        Columns name, content_hash, status, :data:`ADSORPTION_ENERGIES`,
        :data:`PERCOLATION_SHARES` and, for the feature sets that use them, :data:`BARRIERS`,
        :data:`MOBILITIES`, :data:`PARTICIPATIONS` and :data:`MEAN_ENERGIES`.
    diffusion : DataFrame, optional
        Columns name, content_hash, status and :data:`EARLY_DIFFUSIVITIES`.

    Returns
    -------
    DataFrame
        One row per structure that is ``ok`` in all tables, in the order of ``geometry``: name,
        content_hash, geometry (Å, m2/cm3, m2/g, share of the volume), histogram shares,
        percolation (K, shares), relative mobilities, diffusivities (m2/s; 0 without a channel).
        Mean energies are not a number where the participation is 0. Without any row, name and
        content_hash alone where a stage failed for all: its columns are then unknown.

    Raises
    ------
    DataError
        If a table lacks a column or an ``ok`` row holds a number that is not finite.
    """
    given = [t for t in (geometry, energy, percolation, diffusion) if t is not None]
    if any((table["status"] != "ok").all() for table in given):
        return geometry.loc[:, list(IDENTITY_COLUMNS)].head(0)
    bins = histogram_columns(energy)
    if not bins:
        raise DataError("the energy table has no histogram columns (h00, h01 ...)")
    tables = [("geometry", geometry, GEOMETRY_COLUMNS), ("energy", energy, bins)]
    if percolation is not None:
        # a table from a file, or of a stage that was told so, may do without
        optional = (*MOBILITIES, *PARTICIPATIONS, *MEAN_ENERGIES)
        columns = (
            *_there(BARRIERS, percolation),
            *ADSORPTION_ENERGIES,
            *PERCOLATION_SHARES,
            *_there(optional, percolation),
        )
        tables.append(("percolation", percolation, columns))
    if diffusion is not None:
        tables.append(("diffusion", _still_if_closed(diffusion), EARLY_DIFFUSIVITIES))
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
    sound = np.isfinite(values)
    for share, energy_K in zip(PARTICIPATIONS, MEAN_ENERGIES, strict=True):
        if share in values and energy_K in values:
            # there is no mean over nothing
            sound[energy_K] |= values[share] == 0.0
    broken = joined.loc[~sound.all(axis=1), "name"]
    if len(broken):
        raise DataError(f"features of {', '.join(broken[:5])} are not finite numbers")
    return pd.concat([joined[list(IDENTITY_COLUMNS)], values], axis=1)


def _there(names, table: pd.DataFrame) -> list[str]:
    return [name for name in names if name in table.columns]


def _still_if_closed(diffusion: pd.DataFrame) -> pd.DataFrame:
    """Early diffusivities of 0 where no channel runs through and nothing was simulated."""
    early = _there(EARLY_DIFFUSIVITIES, diffusion)
    if "dimensionality" not in diffusion.columns:
        return diffusion
    closed = diffusion["dimensionality"] == 0
    return diffusion.assign(**{name: diffusion[name].mask(closed, 0.0) for name in early})


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
        stages = {name: stage for stage, columns in _BLOCK_COLUMNS.values() for name in columns}
        stage = stages.get(missing[0], "geometry" if missing[0] in GEOMETRY_COLUMNS else "energy")
        raise DataError(
            f"the features lack the columns {', '.join(missing[:5])}; the feature set needs the "
            f"table of the stage {stage} with them"
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


def _barriers(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Percolation energies and barriers over 298 K."""
    return _in_kT(_columns(features, BARRIERS)), [*BARRIERS]


def _adsorption(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Energies over 298 K, participation as a logarithm, shares as they are."""
    energies = _in_kT(_columns(features, ADSORPTION_ENERGIES))
    shares = _columns(features, PERCOLATION_SHARES)
    x = np.hstack([energies, _log_shares(shares[:, :1]), shares[:, 1:]])
    return x, [*ADSORPTION_ENERGIES, *PERCOLATION_SHARES]


def _mobility(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Decades below free space, as the label counts decades."""
    return np.log10(np.maximum(_columns(features, MOBILITIES), LEAST_MOBILITY)), [*MOBILITIES]


def _dissipation(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Participations as logarithms, mean energies above the Henry free energy over 298 K."""
    participations = _log_shares(_columns(features, PARTICIPATIONS))
    energies = _columns(features, MEAN_ENERGIES)
    energies = energies - _columns(features, ["henry_free_energy_K"])
    return np.hstack([participations, _in_kT(energies)]), [*PARTICIPATIONS, *MEAN_ENERGIES]


def _early_diffusivity(features: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Decades, in the unit of the label. Noise can make the mean of slow molecules negative."""
    d_m2_s = np.maximum(_columns(features, EARLY_DIFFUSIVITIES), LEAST_DIFFUSIVITY_M2_S)
    return np.log10(d_m2_s / DIFFUSIVITY_UNIT_M2_S), [*EARLY_DIFFUSIVITIES]


def _in_kT(energies_K: np.ndarray) -> np.ndarray:
    """Over 298 K, cut at both ends; the mean energy of nothing, not a number, is closed."""
    return np.fmax(np.fmin(energies_K / ENERGY_UNIT_K, MOST_ENERGY), LEAST_ENERGY)


def _log_shares(shares: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(shares, LEAST_PARTICIPATION))


# The first column is the best estimate of a diffusivity, see the learner gp-line and estimates().
_MOVING = (_mobility, _log_geometry, _adsorption, _dissipation)
FEATURE_SETS = {
    "paper55": (_geometry, _histogram),
    "log55": (_log_geometry, _log_histogram),
    "percolation": (_log_geometry, _barriers, _adsorption),
    "mobility": (*_MOVING, _barriers),
    "mobility-no-barriers": _MOVING,
    "harmonic": (_early_diffusivity, *_MOVING),
    "all": (*_MOVING, _barriers, _log_histogram),
}
# Columns of the stages beyond geometry and energy, which every set has.
_BLOCK_COLUMNS = {
    _barriers: ("percolation", BARRIERS),
    _adsorption: ("percolation", (*ADSORPTION_ENERGIES, *PERCOLATION_SHARES)),
    _mobility: ("percolation", MOBILITIES),
    _dissipation: ("percolation", (*PARTICIPATIONS, *MEAN_ENERGIES)),
    _early_diffusivity: ("diffusion", EARLY_DIFFUSIVITIES),
}


def estimates(feature_set: str) -> int:
    """How many of its first columns estimate a diffusivity on one scale, the best first.

    >>> estimates("mobility"), estimates("harmonic")
    (1, 3)
    """
    return len(EARLY_DIFFUSIVITIES) if FEATURE_SETS[feature_set][0] is _early_diffusivity else 1


def columns_of(feature_set: str) -> dict[str, tuple[str, ...]]:
    """Columns that a feature set draws on, by stage; none for the bins of ``energy``.

    Parameters
    ----------
    feature_set : str
        A key of :data:`FEATURE_SETS`.
    """
    found: dict[str, tuple[str, ...]] = {"geometry": GEOMETRY_COLUMNS, "energy": ()}
    for block in FEATURE_SETS[feature_set]:
        if block in _BLOCK_COLUMNS:
            stage, columns = _BLOCK_COLUMNS[block]
            found[stage] = (*found.get(stage, ()), *columns)
    return found


def matrix(features: pd.DataFrame, feature_set: str = "paper55") -> tuple[np.ndarray, list[str]]:
    """The learners' input.

    Parameters
    ----------
    features : DataFrame
        As :func:`feature_table` gives it.
    feature_set : str
        A key of :data:`FEATURE_SETS`: ``paper55`` (the published features), ``log55`` (the
        same numbers with logarithms), ``percolation`` (geometry and percolation), ``mobility``
        (both, the relative mobilities and where currents dissipate), ``mobility-no-barriers``
        (without :data:`BARRIERS`), ``harmonic`` (these and the early diffusivities), ``all``.

    Returns
    -------
    x : ndarray of float64, shape (n, d)
        Scaled features, rows as in the table; d is 55 with 50 bins for the first two, then 17,
        25, 19, 22 and 75.
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
