"""Synthetic rows between neighbours: more training data where a few experiments lie close.

A synthetic row lies on the line between two real ones that are near each other in parameter
space and agree in every category, so that it is a condition that could be run; its label is
interpolated alike. Nothing is extrapolated.

References
----------
Y. Du, Nano Trends 12 (2025) 100153, doi:10.1016/j.nwnano.2025.100153 (local interpolation in
synthesis parameter space).
N. V. Chawla et al., J. Artif. Intell. Res. 16 (2002) 321-357 (the same idea for classes, SMOTE).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poreflux.base.random_stream import seed_from


def interpolate(
    numbers: np.ndarray,
    strata: Sequence[str],
    y: np.ndarray,
    *,
    per_row: int,
    neighbours: int,
    mixing: tuple[float, float],
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw synthetic rows on the lines from each row to its nearest neighbours.

    Parameters
    ----------
    numbers : ndarray of float64, shape (n, p)
        Numeric columns, on the scale on which they are to be interpolated (logarithms for
        concentrations). NaN where missing.
    strata : sequence of str, length n
        Rows are paired within a stratum only: all categories of a row in one text.
    y : ndarray of float64, shape (n,)
        Labels, on the scale on which they are interpolated.
    per_row : int
        Synthetic rows made from each row that has a neighbour.
    neighbours : int
        Nearest neighbours among which the partner is drawn; distances are Euclidean over the
        columns divided by their standard deviation in ``numbers``.
    mixing : (float, float)
        Range from which the partner's share is drawn, in [0, 1].
    seed : int
        Equal seeds give equal rows.

    Returns
    -------
    numbers : ndarray, shape (m, p)
    parents : int ndarray, shape (m, 2)
        Numbers of the two rows each lies between; the first one gives the categories.
    y : ndarray, shape (m,)

    Notes
    -----
    Two rows of the same condition are no neighbours: between them lies nothing new. Neither are
    rows that lack different columns. A row without a neighbour gives no synthetic row.
    """
    numbers = np.asarray(numbers, dtype=np.float64)
    n, p = numbers.shape
    missing = np.isnan(numbers)
    with np.errstate(invalid="ignore"):
        spread = np.array([np.nanstd(c) if (~np.isnan(c)).any() else 0.0 for c in numbers.T])
    varied = spread > 0.0
    filled = np.where(missing, 0.0, numbers)
    scaled = filled[:, varied] / spread[varied]
    strata = np.asarray(strata, dtype=str)
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "interpolation")))
    parents, shares = [], []
    for row in range(n):
        distance = np.sqrt(np.square(scaled - scaled[row]).sum(axis=1))
        able = (strata == strata[row]) & (missing == missing[row]).all(axis=1) & (distance > 0.0)
        # every row takes the same number of random numbers, whatever its neighbours
        pick, share = stream.random(per_row), stream.uniform(*mixing, size=per_row)
        candidates = np.flatnonzero(able)
        if not len(candidates):
            continue
        order = np.argsort(distance[candidates], kind="stable")[:neighbours]
        near = candidates[order]
        parents += [(row, near[int(u * len(near))]) for u in pick]
        shares += list(share)
    if not parents:
        return np.empty((0, p)), np.empty((0, 2), dtype=np.int64), np.empty(0)
    pairs, shares = np.array(parents), np.array(shares)
    first, second = pairs[:, 0], pairs[:, 1]
    between = numbers[first] + shares[:, None] * (numbers[second] - numbers[first])
    y = np.asarray(y, dtype=np.float64)
    return between, pairs, y[first] + shares * (y[second] - y[first])
