"""Which of many trained models a study answers with: chosen once, for predictions and reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def best_model(scores: pd.DataFrame, by: Sequence[str]) -> tuple:
    """The model with the highest median R2 over the draws of the largest size.

    Parameters
    ----------
    scores : DataFrame
        A row per draw: size, r2 and rmse on its test share, and the columns ``by``.
    by : sequence of str
        Columns that tell models apart: kind, learner and source.

    Returns
    -------
    tuple
        Its values of ``by``.

    Notes
    -----
    Where no draw has an R2, for the labels of a test share of one are all equal, and between
    equal medians, the lowest median error (rmse) decides, then the alphabet. Validation rows have
    no say: they would favour the network, which stops by them, over trees, which do not look.
    Chosen among a few dozen, a model looks slightly better on these test shares than it is.
    """
    largest = scores[scores["size"] == scores["size"].max()]
    largest = largest.assign(r2=largest["r2"].where(np.isfinite(largest["r2"])))
    medians = largest.groupby(list(by), dropna=False)[["r2", "rmse"]].median()
    ranked = medians.sort_values(["r2", "rmse"], ascending=[False, True], kind="stable")
    return ranked.index[0]


def best_learner(scores: pd.DataFrame) -> str:
    """The learner of :func:`best_model`, by the scores of all learners and sizes."""
    return best_model(scores, ("kind", "learner", "source_label"))[1]


def best_variant(scores: pd.DataFrame) -> pd.Series:
    """The variant of a synthesis case with the lowest error on held-out conditions.

    Parameters
    ----------
    scores : DataFrame
        A row per variant: its error, every condition left out once, on the scale that the target
        is learnt on (``rmse_scaled``), which weighs small particles like large ones.

    Returns
    -------
    Series
        Its row.
    """
    return scores.loc[scores["rmse_scaled"].idxmin()]
