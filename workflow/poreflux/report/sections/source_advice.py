"""Which source to transfer from: what is said before any fine-tuning, beside what each gained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from poreflux.learning.choice import LEAST_GAIN
from poreflux.learning.learners import get_learner
from poreflux.report.figures.axes import source_axis
from poreflux.report.figures.style import BLUE, INK, VERMILLION, grid, styled
from poreflux.report.numbers import Number, decimal
from poreflux.report.rendering import Table, render
from poreflux.report.scores import score_summary, transfer_verdict
from poreflux.report.sources import source_cell, source_head, source_name, source_short, sources_of
from poreflux.report.statistics import quartiles, rank_correlation
from poreflux.report.study import Study


@dataclass(frozen=True)
class Score:
    """What is known of a source beforehand: column, words, and whether more of it is better."""

    column: str
    words: str
    head: str
    rises: bool

    def best(self, table: pd.DataFrame) -> pd.Series:
        """The row of the source that it advises."""
        values = table[self.column]
        return table.loc[values.idxmax() if self.rises else values.idxmin()]


LOGME = Score("logme", "LogME", "LogME", True)
LINE = Score("line_left_out_r2", "the line, labels left out", "Line, labels left out: R²", True)
DISTANCE = Score("distance", "the distance of importances", "Distance of importances", False)
SCORES = (LOGME, LINE, DISTANCE)
# What benchmarks/sources.md found of the scores, on the features of Lim & Kim or their logarithms.
PUBLISHED_FEATURES = ("paper55", "log55")
BENCHMARKED = {
    "mlp": (
        "Over 18 sources of a benchmark, LogME told what the network gained from 30 labels (rank "
        "correlation 0.81); the distance of importances did not (0.04)."
    ),
    "xgboost": (
        "Over 18 sources of a benchmark, both told what boosted trees gained from 30 labels (rank "
        "correlation 0.68 of LogME, −0.80 of the distance of importances), but the nearest source "
        "gained nothing (0.00 in R²), that of LogME 0.04."
    ),
    "gp": (
        "Over 18 sources of a benchmark, both told what Gaussian processes gained from 30 labels "
        "(rank correlation 0.68 of LogME, −0.87 of the distance of importances), but the nearest "
        "source gained 0.01 in R², that of LogME 0.05."
    ),
    "gp-joint": (
        "Over 18 sources of a benchmark, both told what Gaussian processes gained from 30 labels "
        "beside rows of the source (rank correlation 0.91 of LogME, −0.66 of the distance of "
        "importances), but the nearest source gained 0.04 in R², that of LogME 0.19."
    ),
}
COLUMNS = ["source", *(score.column for score in SCORES), "gain"]


def source_advice(
    study: Study, scores: pd.DataFrame, distances: pd.DataFrame, learner: str, suffix: str
) -> Markup | None:
    """What the advisor says for one learner; None where nothing is known of any source.

    Parameters
    ----------
    study : Study
    scores : DataFrame
        As :func:`poreflux.report.scores.valid_scores` returns them; may be empty.
    distances : DataFrame
        source, source_pressure_bar and distance of this learner; may be empty.
    learner : str
    suffix : str
        Ends the name of the figure.
    """
    summary = score_summary(scores) if len(scores) else None
    table, size = advice_table(summary, distances, learner)
    known = [score for score in SCORES if table[score.column].notna().any()]
    if not known:
        return None
    judged = table[table["gain"].notna()]
    verdict = transfer_verdict(scores, summary, learner) if len(judged) else None
    return render(
        "source_advice",
        verdict=verdict,
        verdict_source=source_name(verdict.source) if verdict else None,
        said=_said(table),
        nearest=_nearest(table),
        size=size,
        gains=len(judged),
        told=_told(judged, known),
        benchmark=_benchmark(learner),
        picture=study.draw(f"advice{suffix}", draw_advice(table)),
        table=_printed(table, known, size),
    )


def advice_table(
    summary: pd.DataFrame | None, distances: pd.DataFrame, learner: str
) -> tuple[pd.DataFrame, int]:
    """All that is known of each source of a learner, and the size at which it gained.

    Parameters
    ----------
    summary : DataFrame or None
        As :func:`poreflux.report.scores.score_summary` returns it.
    distances : DataFrame
        source, source_pressure_bar, distance.
    learner : str

    Returns
    -------
    table : DataFrame
        :data:`COLUMNS`; a row per source, in the order of
        :func:`poreflux.report.sources.sources_of`.
    size : int
        The largest at which transfer can be judged, else the largest; 0 without transfer.
    """
    rows, size = pd.DataFrame(columns=["source", "source_pressure_bar", *COLUMNS[1:]]), 0
    if summary is not None:
        its = summary[(summary["learner"] == learner) & (summary["kind"] == "tl")]
        paired = its[its["pairs"] > 0]
        if len(its):
            size = int((paired if len(paired) else its)["size"].max())
            rows = its[its["size"] == size]
    near = distances.set_index("source")["distance"]
    order = sources_of(pd.concat([rows, distances])[["source", "source_pressure_bar"]])
    table = rows.drop(columns="distance", errors="ignore").set_index("source").reindex(order)
    table["distance"] = near.reindex(order)
    return table.rename_axis("source").reset_index()[COLUMNS].infer_objects(), size


def _said(table: pd.DataFrame) -> dict:
    """What is advised, and by which score: LogME, where it is known."""
    by = LOGME if table["logme"].notna().any() else DISTANCE
    row = by.best(table)
    return {
        "by": by.column,
        "source": source_name(row["source"]),
        "line": row["line_left_out_r2"],
        # no line explains labels left out: there is nothing to advise
        "none": by is LOGME and not row["line_left_out_r2"] > 0.0,
        "distance": row["distance"],
        "gain": row["gain"],
    }


def _benchmark(learner: str) -> str | None:
    """Why LogME is listened to, where it has been tried."""
    known = get_learner(learner) if learner.partition("+")[0] in BENCHMARKED else None
    if known is None or known.feature_set not in PUBLISHED_FEATURES:
        return None
    return BENCHMARKED[known.algorithm]


def _nearest(table: pd.DataFrame) -> dict | None:
    """The source whose importances lie nearest."""
    if table["distance"].isna().all():
        return None
    row = DISTANCE.best(table)
    return {"source": source_name(row["source"]), "distance": row["distance"]}


def _told(judged: pd.DataFrame, known: list[Score]) -> dict | None:
    """Rank correlation of each score with the gain, and the gains to compare with."""
    if judged.empty or np.ptp(judged["gain"]) < LEAST_GAIN:
        # an order of gains that nobody would notice says nothing
        return None
    found = [(s.words, rank_correlation(judged[s.column], judged["gain"])) for s in known]
    found = [(words, value) for words, value in found if value == value]
    if not found:
        return None
    best = judged.loc[judged["gain"].idxmax()]
    return {
        "correlations": found,
        "best": source_name(best["source"]),
        "best_gain": best["gain"],
        "median_gain": quartiles(judged["gain"])[1],
    }


def _printed(table: pd.DataFrame, known: list[Score], size: int) -> Table:
    gained = table["gain"].notna().any()
    rows = [
        [
            Number(source_cell(row["source"])),
            *(decimal(row[score.column], 3 if score is DISTANCE else 2) for score in known),
            *([decimal(row["gain"])] if gained else []),
        ]
        for _, row in table.iterrows()
    ]
    gain = [f"Median gain in R² at size {size}"] if gained else []
    return Table([source_head(table["source"]), *(score.head for score in known), *gain], rows)


@styled
def draw_advice(table: pd.DataFrame) -> Figure:
    """What transfer gained against LogME and the distance of importances of each source.

    Where nothing tells what was gained, the scores of the sources alone.

    Parameters
    ----------
    table : DataFrame
        As :func:`advice_table` returns it.
    """
    shown = [score for score in (LOGME, DISTANCE) if table[score.column].notna().any()]
    figure, axes = grid(1, len(shown), height=3.2)
    gained = table["gain"].notna().any()
    for axis, score in zip(axes.flat, shown, strict=True):
        x, y = (score.column, "gain") if gained else ("source", score.column)
        rows, best = table.dropna(subset=score.column), score.best(table)
        if not gained:
            source_axis(axis, rows["source"])
        axis.plot(rows[x], rows[y], "o" if gained else "o-", color=BLUE)
        label = f"advised: {source_short(best['source'])}"
        axis.plot(best[x], best[y], "o", ms=9, mfc="none", mec=VERMILLION, label=label)
        axis.legend()
        axis.margins(y=0.15)
        if gained:
            axis.axhline(0, color=INK, lw=0.8)
            # not so near that gains which nobody would notice look large
            axis.update_datalim([(best[x], -LEAST_GAIN), (best[x], LEAST_GAIN)])
            axis.autoscale_view()
            axis.set(xlabel=score.head, ylabel="Gain in R² over direct (median)")
        else:
            axis.set(xlabel=source_head(rows["source"]), ylabel=score.head)
    return figure
