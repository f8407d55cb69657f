"""Scores of direct learning and transfer: medians, quartiles and wins over the draws."""

from __future__ import annotations

import math

import pandas as pd

from poreflux.report.numbers import NOT_A_NUMBER, Number, decimal, percent
from poreflux.report.sources import named_sources, with_source
from poreflux.report.statistics import finite, quartiles, usable
from poreflux.report.study import Study

SCORE_COLUMNS = ("kind", "learner", "source_pressure_bar", "size", "draw", "r2", "rmse", "mae")
# Scores on all labelled structures outside a draw; the slow ones have D below 3e-10 m2/s.
REST_COLUMNS = ("r2_rest", "rmse_rest", "rmse_rest_slow")
# What score_summary() says of each model.
SUMMARY_COLUMNS = [
    "learner",
    "size",
    "kind",
    "source",
    "source_pressure_bar",
    "n",
    "q1",
    "median",
    "q3",
    "rmse",
    "mae",
    "r2_rest",
    "rmse_rest",
    "rmse_rest_slow",
    "wins",
    "pairs",
    "gain",
]


def valid_scores(study: Study) -> pd.DataFrame:
    """The scores whose R2 is a number, with a learner and a kind."""
    table = usable(study.tables.get("study/scores"), *SCORE_COLUMNS)
    return with_source_of_study(study, finite(table, "size", "draw", "r2"))


def with_source_of_study(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """With a column ``source``: names in every table of the study, or pressures in every one."""
    tables = ("study/scores", "study/pretraining", "study/importance")
    some = [usable(study.tables.get(key), "source_pressure_bar") for key in tables]
    return with_source(table, named=any(named_sources(t).notna().any() for t in some))


def paired_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Transfer and direct learning on the same draw side by side.

    Returns
    -------
    DataFrame
        learner, size, draw, source, r2_tl, r2_dl.
    """
    keys = ["learner", "size", "draw"]
    direct = scores[scores["kind"] == "dl"][[*keys, "r2"]]
    transfer = scores[scores["kind"] == "tl"][[*keys, "source", "r2"]]
    return transfer.merge(direct, on=keys, suffixes=("_tl", "_dl"))


def score_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Medians and quartiles over the draws, and how often transfer wins.

    Parameters
    ----------
    scores : DataFrame
        kind, learner, source, source_pressure_bar, size, draw, r2, rmse, mae; R2 finite;
        scores on the structures outside the draw (:data:`REST_COLUMNS`) where there are any.

    Returns
    -------
    DataFrame
        learner, size, kind, source and source_pressure_bar (NaN for ``dl``), n, q1, median,
        q3 (of R2), rmse, mae, r2_rest, rmse_rest, rmse_rest_slow (medians); for ``tl`` also
        wins and pairs (draws with a higher R2 than direct learning on the same draw, of how
        many) and gain (median of the difference).
    """
    pairs = paired_scores(scores)
    pairs = pairs.assign(gain=pairs["r2_tl"] - pairs["r2_dl"])
    rows = []
    for (learner, size), group in scores.groupby(["learner", "size"]):
        direct = group[group["kind"] == "dl"]
        if len(direct):
            rows.append(_score_row(learner, size, "dl", math.nan, direct, pairs.iloc[:0]))
        for source, part in group[group["kind"] == "tl"].groupby("source", sort=False):
            paired = pairs[
                (pairs["learner"] == learner)
                & (pairs["size"] == size)
                & (pairs["source"] == source)
            ]
            rows.append(_score_row(learner, size, "tl", source, part, paired))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _score_row(learner, size, kind, source, rows, paired) -> tuple:
    return (
        learner,
        int(size),
        kind,
        source,
        rows["source_pressure_bar"].iloc[0],
        len(rows),
        *quartiles(rows["r2"]),
        quartiles(rows["rmse"])[1],
        quartiles(rows["mae"])[1],
        *(quartiles(rows[c])[1] if c in rows else math.nan for c in REST_COLUMNS),
        int((paired["gain"] > 0).sum()),
        len(paired),
        quartiles(paired["gain"])[1],
    )


def best_and_worst(summary: pd.DataFrame) -> pd.DataFrame:
    """Direct learning, the best and the worst source (by median R2) of each learner and size.

    Returns
    -------
    DataFrame
        learner, size, direct, best, worst: rows (Series) of ``summary`` or None.
    """
    rows = []
    for (learner, size), group in summary.groupby(["learner", "size"]):
        direct, transfer = group[group["kind"] == "dl"], group[group["kind"] == "tl"]
        rows.append(
            {
                "learner": learner,
                "size": int(size),
                "direct": direct.iloc[0] if len(direct) else None,
                "best": transfer.loc[transfer["median"].idxmax()] if len(transfer) else None,
                "worst": transfer.loc[transfer["median"].idxmin()] if len(transfer) else None,
            }
        )
    columns = ["learner", "size", "direct", "best", "worst"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def median_with_quartiles(row) -> Number:
    """R2 of a summary row as ``0.53 (0.40 to 0.60)``."""
    if row is None:
        return Number(NOT_A_NUMBER)
    return Number(f"{decimal(row['median'])} ({decimal(row['q1'])} to {decimal(row['q3'])})")


def wins_in_words(row) -> Number:
    """Wins of transfer in a summary row as ``14 of 20 (70 %)``."""
    if row is None or not row["pairs"]:
        return Number(NOT_A_NUMBER)
    share = percent(row["wins"] / row["pairs"])
    return Number(f"{row['wins']} of {row['pairs']} ({share})")
