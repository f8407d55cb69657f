"""Scores of direct learning and transfer: medians, quartiles and wins over the draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from poreflux.learning.advisor import ADVICE_COLUMNS
from poreflux.learning.choice import (
    LEAST_GAIN,
    SIGNIFICANCE,
    judged_transfers,
    wins_by_chance,
)
from poreflux.report.numbers import NOT_A_NUMBER, Number, counted, decimal, percent
from poreflux.report.sources import named_sources, with_source
from poreflux.report.statistics import finite, quartiles, usable
from poreflux.report.study import Study

SCORE_COLUMNS = ("kind", "learner", "source_pressure_bar", "size", "draw", "r2", "rmse", "mae")
# Scores on all labelled structures outside a draw; the new ones have no near duplicate in it, the
# slow ones D below 3e-10 m2/s.
REST_COLUMNS = ("r2_rest", "r2_rest_new", "rmse_rest", "rmse_rest_new", "rmse_rest_slow")
# Share of the test share in a draw, where the scores do not tell its number.
TEST_SHARE = 0.20
# A study judges nothing with fewer test structures per draw, fewer draws, or quartiles of R2 of its
# best model farther apart.
LEAST_TESTS, LEAST_DRAWS, WIDEST_QUARTILES = 8, 5, 0.3
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
    *REST_COLUMNS,
    *ADVICE_COLUMNS,
    "wins",
    "pairs",
    "gain",
    "sure",
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


def score_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Medians and quartiles over the draws, and how often transfer wins.

    Parameters
    ----------
    scores : DataFrame
        kind, learner, source, source_pressure_bar, size, draw, r2, rmse, mae; R2 finite;
        scores on the structures outside the draw (:data:`REST_COLUMNS`) and what the advisor said
        (:data:`ADVICE_COLUMNS`) where there are any.

    Returns
    -------
    DataFrame
        learner, size, kind, source and source_pressure_bar (NaN for ``dl``), n, q1, median,
        q3 (of R2), rmse, mae, :data:`REST_COLUMNS` and :data:`ADVICE_COLUMNS` (medians);
        for ``tl`` also wins, pairs, gain and sure, see
        :func:`poreflux.learning.choice.judged_transfers`.
    """
    judged = judged_transfers(scores, "source").set_index(["learner", "size", "source"])
    rows = []
    for (learner, size), group in scores.groupby(["learner", "size"]):
        direct = group[group["kind"] == "dl"]
        if len(direct):
            rows.append(_score_row(learner, size, "dl", math.nan, direct, judged))
        for source, part in group[group["kind"] == "tl"].groupby("source", sort=False):
            rows.append(_score_row(learner, size, "tl", source, part, judged))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _score_row(learner, size, kind, source, rows, judged) -> tuple:
    key = (learner, size, source)
    paired = judged.loc[key] if key in judged.index else pd.Series(dtype=float)
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
        *(_median(rows, column) for column in (*REST_COLUMNS, *ADVICE_COLUMNS)),
        int(paired.get("wins", 0)),
        int(paired.get("pairs", 0)),
        float(paired.get("gain", math.nan)),
        bool(paired.get("sure", False)),
    )


def _median(rows: pd.DataFrame, column: str) -> float:
    """NaN where there is no such column."""
    return quartiles(rows[column])[1] if column in rows else math.nan


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


@dataclass(frozen=True)
class Outside:
    """R2 on the structures outside a draw, with and without near duplicates of any in it.

    Attributes
    ----------
    rest, new : tuple of 3 floats
        First quartile, median and third quartile over the draws that have both numbers.
    structures : float
        Median number of those without near duplicates; NaN where the scores do not tell.
    """

    rest: tuple[float, float, float]
    new: tuple[float, float, float]
    structures: float

    @property
    def differ(self) -> bool:
        """Whether the medians are farther apart than their spread.

        Each lies outside the quartiles of the other, by at least
        :data:`poreflux.learning.choice.LEAST_GAIN`.
        """
        (low, rest, high), (new_low, new, new_high) = self.rest, self.new
        apart = not low <= new <= high and not new_low <= rest <= new_high
        return apart and abs(rest - new) >= LEAST_GAIN


def outside_draws(scores: pd.DataFrame, row: pd.Series) -> Outside | None:
    """How a model does outside its draws; None where near duplicates are not known.

    Parameters
    ----------
    scores : DataFrame
        As :func:`valid_scores` returns them.
    row : Series
        Of :func:`score_summary`: the model.
    """
    its = (scores["learner"] == row["learner"]) & (scores["size"] == row["size"])
    its &= scores["kind"] == row["kind"]
    if row["kind"] == "tl":
        its &= scores["source"] == row["source"]
    both = finite(usable(scores[its], "r2_rest", "r2_rest_new"), "r2_rest", "r2_rest_new")
    if both.empty:
        return None
    counts = pd.to_numeric(usable(both, "n_rest_new")["n_rest_new"], errors="coerce")
    return Outside(quartiles(both["r2_rest"]), quartiles(both["r2_rest_new"]), quartiles(counts)[1])


@dataclass(frozen=True)
class TransferVerdict:
    """What transfer did for one learner at the largest size that both kinds have.

    Attributes
    ----------
    learner : str
    size : int
    source : float or str
        The best one by its median: of those that surely gain, if any does, else of all.
    sources : int
        How many were tried.
    wins, pairs : int
        Draws with a higher R2 than direct learning, of how many.
    gain : float
        Median over draws of the difference in R2.
    judged : bool
        There are enough test structures, and draws that could tell a source that wins them all
        from chance.
    helps : bool
        It is judged, and the gain from some source is sure: the learner answers with a transfer
        (:func:`poreflux.learning.choice.best_model`).
    """

    learner: str
    size: int
    source: float | str
    sources: int
    wins: int
    pairs: int
    gain: float
    judged: bool
    helps: bool


def transfer_verdict(
    scores: pd.DataFrame, summary: pd.DataFrame, learner: str
) -> TransferVerdict | None:
    """Whether transfer helps a learner, by all of its sources; None where it was not tried.

    Parameters
    ----------
    scores : DataFrame
        As :func:`valid_scores` returns them.
    summary : DataFrame
        As :func:`score_summary` returns it.
    learner : str
    """
    rows = summary[(summary["learner"] == learner) & (summary["pairs"] > 0)]
    rows = rows[rows["kind"] == "tl"]
    if rows.empty:
        return None
    rows = rows[rows["size"] == rows["size"].max()]
    could_tell = wins_by_chance(rows["pairs"].max(), rows["pairs"].max()) * len(rows)
    tests = tests_in_a_draw(scores, int(rows["size"].max()))
    judged = bool(could_tell < SIGNIFICANCE and tests >= LEAST_TESTS)
    sure = rows[rows["sure"]]
    ranked = (sure if len(sure) else rows).sort_values(
        ["median", "rmse"], ascending=[False, True], kind="stable"
    )
    best = ranked.iloc[0]
    return TransferVerdict(
        learner,
        int(best["size"]),
        best["source"],
        len(rows),
        int(best["wins"]),
        int(best["pairs"]),
        float(best["gain"]),
        judged,
        judged and len(sure) > 0,
    )


def tests_in_a_draw(scores: pd.DataFrame, size: int) -> int:
    """Fewest test structures in a draw of a size."""
    counts = finite(usable(scores[scores["size"] == size], "n_test"), "n_test")["n_test"]
    return int(counts.min()) if len(counts) else max(1, round(TEST_SHARE * size))


def why_too_small(scores: pd.DataFrame, row: pd.Series) -> list[str]:
    """Why a study is too small to judge its best model, ``row`` of the summary; maybe nothing."""
    tests = tests_in_a_draw(scores, int(row["size"]))
    reasons = []
    if tests < LEAST_TESTS:
        reasons.append(f"{counted(tests, 'test structure')} per draw (at least {LEAST_TESTS})")
    if row["n"] < LEAST_DRAWS:
        reasons.append(f"{counted(int(row['n']), 'draw')} (at least {LEAST_DRAWS})")
    if row["q3"] - row["q1"] > WIDEST_QUARTILES:
        reasons.append(
            f"half of the draws have an R² outside {decimal(row['q1'])} to {decimal(row['q3'])}"
        )
    return reasons


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
