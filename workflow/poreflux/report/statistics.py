"""Rows that hold results, quartiles, intervals of shares: what every topic counts with."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import chdtrc

# Values of two codes disagree when chance alone would set them so far apart more rarely than this.
LEAST_PROBABILITY = 0.01
# 97.5 % point of the normal distribution, for 95 % intervals.
NORMAL_QUANTILE = 1.959964


def usable(table: pd.DataFrame | None, *columns: str) -> pd.DataFrame:
    """The rows of a table that hold results, with at least the columns asked for.

    Parameters
    ----------
    table : DataFrame or None
        A row may have a ``status``; a table in which everything failed lacks the results'
        columns.
    *columns : str
        Names; a missing one is added, filled with NaN.

    Returns
    -------
    DataFrame
        Rows whose status is ``ok`` (all where there is no status), index from 0.
    """
    table = pd.DataFrame() if table is None else table
    if "status" in table.columns:
        table = table[table["status"] == "ok"]
    wanted = [*table.columns, *(c for c in columns if c not in table.columns)]
    return table.reindex(columns=wanted).reset_index(drop=True)


def joint_deviation(deviations_se: np.ndarray) -> tuple[float, float]:
    """All deviations between two codes judged together.

    Parameters
    ----------
    deviations_se : ndarray (n,)
        Differences over their standard errors.

    Returns
    -------
    chi_square : float
        Sum of the squares.
    probability : float
        That chance makes it so large or larger if the codes agree: the tail of the chi-square
        distribution with n degrees of freedom. Several deviations of 2 to 3 standard errors, each
        of which may be chance, have a small one; NaN without deviations.

    Notes
    -----
    The points of an isotherm are simulated independently, in both codes, so that their statistical
    errors are independent. What both share (a force field read differently) moves them together,
    and that is a disagreement, too.
    """
    z = np.asarray(deviations_se, float)
    if not len(z):
        return 0.0, math.nan
    chi_square = float(z @ z)
    return chi_square, float(chdtrc(len(z), chi_square))


def finite(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows in which all of these columns are finite numbers, converted to float64."""
    numbers = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    keep = np.isfinite(numbers.to_numpy()).all(axis=1)
    return table.assign(**{c: numbers[c] for c in columns})[keep].reset_index(drop=True)


def quartiles(values) -> tuple[float, float, float]:
    """First quartile, median and third quartile (linear interpolation), NaN without values."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan, math.nan
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def wilson(wins: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson's score interval).

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> [round(x, 2) for x in wilson(37, 50)]
    [0.6, 0.84]
    """
    if n == 0:
        return math.nan, math.nan
    z2 = NORMAL_QUANTILE**2
    centre = (wins + z2 / 2) / (n + z2)
    half = NORMAL_QUANTILE * math.sqrt(wins * (n - wins) / n + z2 / 4) / (n + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def rank_correlation(a, b) -> float:
    """Spearman's rank correlation, NaN for fewer than three pairs or constant values."""
    pairs = pd.DataFrame({"a": np.asarray(a, float), "b": np.asarray(b, float)}).dropna()
    ranks = pairs.rank()
    if len(pairs) < 3 or (ranks.nunique() < 2).any():
        return math.nan
    return float(np.corrcoef(ranks["a"], ranks["b"])[0, 1])
