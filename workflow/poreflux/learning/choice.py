"""Which of many trained models a study answers with: chosen once, for predictions and reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import bdtrc

# Chance is no explanation of wins that it gives more rarely.
SIGNIFICANCE = 0.05
# A gain in median R2 that is worth a source: less disappears in rounding and between draws.
LEAST_GAIN = 0.02


def best_model(scores: pd.DataFrame, by: Sequence[str]) -> tuple:
    """The model with the highest median R2 over the draws of the largest size.

    A transfer counts only if its gain over direct learning is sure: the luckiest of many sources
    is not answered with where they add nothing.

    Parameters
    ----------
    scores : DataFrame
        A row per draw: size, r2 and rmse on its test share, and the columns ``by``.
    by : sequence of str
        Columns that tell models apart: kind, learner and source, in this order.

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
    largest = _without_unsure_transfers(largest, by)
    medians = largest.groupby(list(by), dropna=False)[["r2", "rmse"]].median()
    ranked = medians.sort_values(["r2", "rmse"], ascending=[False, True], kind="stable")
    return ranked.index[0]


def _without_unsure_transfers(scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Scores of one size without the transfers whose gain is not sure, where there is direct."""
    kind, learner, source = by
    keep = pd.Series(True, scores.index)
    for _, of in scores.groupby(learner):
        direct = of[(of[kind] == "dl") & of["r2"].notna()]
        transfers = of[of[kind] == "tl"]
        if direct.empty or transfers.empty:
            continue
        before = direct.set_index("draw")["r2"]
        for _, rows in transfers.groupby(source):
            gain = (rows.set_index("draw")["r2"] - before).dropna()
            wins, n_sources = int((gain > 0.0).sum()), transfers[source].nunique()
            by_chance = wins_by_chance(wins, len(gain)) * n_sources
            if not (by_chance < SIGNIFICANCE and gain.median() >= LEAST_GAIN):
                keep[rows.index] = False
    return scores[keep]


def wins_by_chance(wins: int, pairs: int) -> float:
    """The probability that a fair coin wins so many of so many draws, or more."""
    return float(bdtrc(wins - 1, pairs, 0.5)) if wins else 1.0


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
