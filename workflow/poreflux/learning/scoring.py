"""Scores of predictions against labels."""

from __future__ import annotations

import numpy as np


def r2(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Coefficient of determination along the last axis; NaN where all labels are equal."""
    y = np.asarray(y, dtype=np.float64)
    spread = np.square(y - y.mean(axis=-1, keepdims=True)).sum(axis=-1)
    missed = np.square(y - predicted).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0.0, 1.0 - missed / spread, np.nan)


def scores(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """``r2``, ``rmse`` and ``mae`` of predictions (n,) of labels (n,), in the labels' unit."""
    error = np.asarray(predicted) - np.asarray(y)
    return {
        "r2": float(r2(y, predicted)),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mae": float(np.abs(error).mean()),
    }
