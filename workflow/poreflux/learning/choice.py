"""Which of many trained models a study answers with: chosen once, for predictions and reports."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import bdtrc

# Chance is no explanation of wins that it gives more rarely.
SIGNIFICANCE = 0.05
# A gain in median R2 that is worth a source: less disappears in rounding and between draws.
LEAST_GAIN = 0.02


def best_model(scores: pd.DataFrame, source: str = "source_label") -> tuple:
    """The model with the highest median R2 over the draws of the largest size.

    A learner is tried with the transfers that surely gain (:func:`judged_transfers`) and directly
    where none does: the luckiest of many sources is not answered with where they add nothing.

    Parameters
    ----------
    scores : DataFrame
        A row per draw and model: kind, learner, size, draw, r2 and rmse on its test share.
    source : str
        The column that tells sources apart.

    Returns
    -------
    tuple
        Its kind, learner and source.

    Notes
    -----
    Where no draw has an R2, for the labels of a test share of one are all equal, and between
    equal medians, the lowest median error (rmse) decides, then the alphabet. Validation rows have
    no say: they would favour the network, which stops by them, over trees, which do not look.
    Chosen among a few dozen, a model looks slightly better on these test shares than it is.
    """
    largest = scores[scores["size"] == scores["size"].max()]
    largest = largest.assign(r2=largest["r2"].where(np.isfinite(largest["r2"])))
    largest = _with_sure_transfers(largest, source)
    medians = largest.groupby(["kind", "learner", source], dropna=False)[["r2", "rmse"]].median()
    ranked = medians.sort_values(["r2", "rmse"], ascending=[False, True], kind="stable")
    return ranked.index[0]


def _with_sure_transfers(scores: pd.DataFrame, source: str) -> pd.DataFrame:
    """Scores of one size: of each learner its sure transfers, or where there is none the direct.

    A transfer that no direct model was trained beside cannot be judged, and stays.
    """
    judged = judged_transfers(scores, source)
    unsure = set(judged.loc[~judged["sure"], ["learner", source]].itertuples(index=False))
    improved = set(judged.loc[judged["sure"], "learner"])
    keep = [
        row.learner not in improved if row.kind == "dl" else (row.learner, row.source) not in unsure
        for row in scores.rename(columns={source: "source"}).itertuples()
    ]
    return scores[keep]


def judged_transfers(scores: pd.DataFrame, source: str = "source_label") -> pd.DataFrame:
    """Transfer from each source against direct learning of the same learner on the same draws.

    Parameters
    ----------
    scores, source
        As for :func:`best_model`; of any number of sizes.

    Returns
    -------
    DataFrame
        A row per learner, size and source with pairs of draws: learner, size, ``source``, pairs,
        wins (draws with the higher R2), gain (median of the difference in R2) and sure: it gains
        at least :data:`LEAST_GAIN`, and chance would win so many draws with a probability below
        :data:`SIGNIFICANCE` over all sources of the learner together.

    Notes
    -----
    A sign test over the draws, one-sided, times the number of sources (Bonferroni), for the best
    of many sources wins by luck. Draws share structures, so that even this flatters transfer.
    """
    pairs = paired_scores(scores, source)
    pairs = pairs.assign(gain=pairs["r2_tl"] - pairs["r2_dl"])
    groups = pairs.groupby(["learner", "size", source])["gain"]
    judged = groups.agg(pairs="size", wins=lambda gain: int((gain > 0.0).sum()), gain="median")
    judged = judged.reset_index()
    n_sources = judged.groupby(["learner", "size"])[source].transform("size")
    by_chance = wins_by_chance(judged["wins"], judged["pairs"]) * n_sources
    return judged.assign(sure=(by_chance < SIGNIFICANCE) & (judged["gain"] >= LEAST_GAIN))


def paired_scores(scores: pd.DataFrame, source: str = "source_label") -> pd.DataFrame:
    """Transfer and direct learning on the same draw side by side, where both have an R2.

    Parameters
    ----------
    scores, source
        As for :func:`best_model`; of any number of sizes.

    Returns
    -------
    DataFrame
        learner, size, draw, ``source``, r2_tl, r2_dl.
    """
    keys = ["learner", "size", "draw"]
    scores = scores[np.isfinite(scores["r2"])]
    direct = scores[scores["kind"] == "dl"][[*keys, "r2"]]
    transfer = scores[scores["kind"] == "tl"][[*keys, source, "r2"]]
    return transfer.merge(direct, on=keys, suffixes=("_tl", "_dl"))


def wins_by_chance(wins: ArrayLike, pairs: ArrayLike) -> np.ndarray:
    """The probability that a fair coin wins so many of so many draws, or more."""
    wins = np.asarray(wins)
    return np.where(wins > 0, bdtrc(np.maximum(wins, 1) - 1, np.asarray(pairs), 0.5), 1.0)


def best_learner(scores: pd.DataFrame) -> str:
    """The learner of :func:`best_model`, by the scores of all learners and sizes."""
    return best_model(scores)[1]


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
