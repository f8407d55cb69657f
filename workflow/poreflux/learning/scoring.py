"""Scores of predictions against labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poreflux.base.random_stream import seed_from


def r2(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Coefficient of determination along the last axis; NaN where all labels are equal."""
    y = np.asarray(y, dtype=np.float64)
    spread = np.square(y - y.mean(axis=-1, keepdims=True)).sum(axis=-1)
    missed = np.square(y - predicted).sum(axis=-1)
    # the mean of equal labels may miss them in the last digit, so a spread of zero is no test
    differ = y.max(axis=-1) > y.min(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(differ, 1.0 - missed / spread, np.nan)


def scores(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """``r2``, ``rmse`` and ``mae`` of predictions (n,) of labels (n,), in the labels' unit."""
    error = np.asarray(predicted) - np.asarray(y)
    return {
        "r2": float(r2(y, predicted)),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mae": float(np.abs(error).mean()),
    }


def resampled_rows(groups: Sequence, n_resamples: int, seed: int) -> list[np.ndarray]:
    """Row numbers of bootstrap samples that draw whole groups, with replacement.

    Parameters
    ----------
    groups : sequence of length n
        The group of each row; rows of one group are not independent and come or stay together.
    n_resamples : int
        Samples.
    seed : int
        Equal seeds give equal samples.

    Returns
    -------
    list of int arrays
        Each holds the rows of as many groups as there are.

    References
    ----------
    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), ch. 8 (cluster
    resampling), ch. 13 (percentile interval).
    """
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(which == i) for i in range(len(names))]
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "bootstrap")))
    drawn = stream.integers(len(names), size=(n_resamples, len(names)))
    return [np.concatenate([members[i] for i in sample]) for sample in drawn]


def interval(values: np.ndarray, coverage: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrapped values, those that are not finite left out."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0])
    return float(low), float(high)
