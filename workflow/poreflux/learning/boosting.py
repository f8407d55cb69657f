"""Gradient-boosted trees with sample weights: training, choice of their structure, attribution.

Without subsampling the training of XGBoost draws no random number: equal rows in equal order give
equal models, and no seed is needed. Tables of a few hundred rows gain nothing from subsampling.

References
----------
T. Chen, C. Guestrin, KDD 2016, doi:10.1145/2939672.2939785 (XGBoost).
Y. Du, Nano Trends 12 (2025) 100153 (structure from the literature, splits refitted with weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xgboost

# One thread: the sum of gradients, and with it the model, is then the same on every machine.
_FIXED = {
    "objective": "reg:squarederror",
    "tree_method": "hist",
    "nthread": 1,
    "verbosity": 0,
}
# Ways of counting what a column is worth to a booster, in XGBoost's words.
GAIN = "total_gain"


@dataclass(frozen=True)
class TreeStructure:
    """What pretraining fixes of a boosted model: the rest, its splits and leaves, is refitted.

    Attributes
    ----------
    max_depth : int
        Splits from root to leaf.
    n_trees : int
        Boosting rounds.
    learning_rate : float
        Share of each tree's leaf values that is added.
    """

    max_depth: int
    n_trees: int
    learning_rate: float = 0.1


def train(
    x: np.ndarray,
    y: np.ndarray,
    parameters: dict,
    n_trees: int,
    *,
    weights: np.ndarray | None = None,
    start: xgboost.Booster | None = None,
) -> xgboost.Booster:
    """XGBoost's own training on one thread, the only call of it in Poreflux.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        NaN where a value is missing: each split sends such rows the way that fits better.
    y : ndarray, shape (n,)
    parameters : dict
        XGBoost's, beside those that are fixed here.
    n_trees : int
        Trees to add.
    weights : ndarray, shape (n,), optional
        Of the rows; one each by default.
    start : Booster, optional
        A trained model whose trees stay and are continued.

    Returns
    -------
    Booster
    """
    rows = xgboost.DMatrix(x, label=y, weight=weights, nthread=1)
    return xgboost.train(_FIXED | parameters, rows, num_boost_round=n_trees, xgb_model=start)


def boost(
    x: np.ndarray,
    y: np.ndarray,
    structure: TreeStructure,
    *,
    weights: np.ndarray | None = None,
    start: xgboost.Booster | None = None,
) -> xgboost.Booster:
    """Train a model of the given structure on all rows, without any randomness.

    Parameters are those of :func:`train`. A leaf holds rows of weight one together at the least
    (``min_child_weight``) and is drawn to zero as if by one row more (``lambda``): where the rows
    of interest weigh one each and the others less, both mean so many rows of interest.

    Returns
    -------
    Booster
    """
    parameters = {"max_depth": structure.max_depth, "learning_rate": structure.learning_rate}
    return train(x, y, parameters, structure.n_trees, weights=weights, start=start)


def predict(booster: xgboost.Booster, x: np.ndarray, n_trees: int = 0) -> np.ndarray:
    """Labels (n,), float64, of rows ``x`` by a booster's first ``n_trees`` trees (0: all)."""
    return booster.inplace_predict(x, iteration_range=(0, n_trees)).astype(np.float64)


def choose_structure(
    x: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    *,
    depths: Sequence[int],
    max_trees: int,
    learning_rate: float,
) -> tuple[TreeStructure, float]:
    """The depth and number of trees of lowest squared error on held-out folds.

    Parameters
    ----------
    x, y : ndarrays, shapes (n, d) and (n,)
    folds : int ndarray, shape (repeats, n)
        Number of the fold of each row, one line per repeat, see
        :func:`poreflux.learning.splits.grouped_folds`.
    depths : sequence of int
        Depths to try; of equal ones the first wins.
    max_trees : int
        Most trees; every number of :func:`tree_numbers` up to it is tried.
    learning_rate : float

    Returns
    -------
    structure : TreeStructure
    rmse : float
        Of the held-out rows, in the label's unit.
    """
    numbers = tree_numbers(max_trees)
    best, lowest = None, np.inf
    for depth in depths:
        candidate = TreeStructure(depth, max_trees, learning_rate)
        squares = np.zeros(len(numbers))
        for line in folds:
            for fold in np.unique(line):
                held = line == fold
                booster = boost(x[~held], y[~held], candidate)
                for i, n in enumerate(numbers):
                    squares[i] += np.square(predict(booster, x[held], n) - y[held]).sum()
        i = int(squares.argmin())
        if squares[i] < lowest:
            lowest, best = squares[i], TreeStructure(depth, numbers[i], learning_rate)
    return best, float(np.sqrt(lowest / folds.size))


def tree_numbers(most: int) -> list[int]:
    """Numbers of trees worth telling apart: each about a quarter above the last, then ``most``.

    >>> tree_numbers(20)
    [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 20]
    """
    numbers = [1]
    while numbers[-1] < most:
        numbers.append(min(most, max(numbers[-1] + 1, round(numbers[-1] * 1.25))))
    return numbers


def gains(booster: xgboost.Booster, n_columns: int) -> np.ndarray:
    """Loss that the splits on each column removed, summed over all trees, (n_columns,)."""
    found = booster.get_score(importance_type=GAIN)
    return np.array([found.get(f"f{i}", 0.0) for i in range(n_columns)])


def contributions(booster: xgboost.Booster, x: np.ndarray) -> np.ndarray:
    """SHAP values of rows ``x`` (n, d): what each column adds to each prediction, (n, d).

    Exact for trees (XGBoost's ``pred_contribs``); with the model's mean prediction, left out
    here, a row's values sum to its prediction.
    """
    rows = xgboost.DMatrix(x, nthread=1)
    return booster.predict(rows, pred_contribs=True)[:, :-1].astype(np.float64)
