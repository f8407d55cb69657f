"""What the models look at, and which source looks at the same as the reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from poreflux.learning.choice import best_model
from poreflux.report.figures.axes import legend_above, source_axis
from poreflux.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MARKERS,
    ORANGE,
    PURPLE,
    VERMILLION,
    grid,
    styled,
)
from poreflux.report.numbers import Number, decimal, whole
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.scores import (
    score_summary,
    transfer_verdict,
    valid_scores,
    with_source_of_study,
)
from poreflux.report.sources import source_cell, source_head, source_name, sources_of
from poreflux.report.statistics import finite, quartiles, rank_correlation, usable
from poreflux.report.study import Study, safe_name

# Features of the reference model that the distance between importances looks at (Lim & Kim 2022).
TOP_FEATURES = 10
TITLE = "Feature importance and the source advisor"


def section(study: Study) -> Section:
    """Importances and advice, learner by learner."""
    columns = ("kind", "source_pressure_bar", "feature", "pfi_normalised")
    table = usable(study.tables.get("study/importance"), *columns)
    valid = with_source_of_study(study, finite(table, "pfi_normalised"))
    if valid.empty:
        given = study.tables.get("study/importance")
        some = given is not None and len(given)
        why = "no importance is a number" if some else study.why("study/importance")
        return missing_section("importance", TITLE, "Feature importance", why)
    named = "learner" in valid.columns
    if named and valid["learner"].nunique() > 1:
        by_learner = {str(learner): rows for learner, rows in valid.groupby("learner")}
        best = _best_learner(study)
        parts = [
            _part(study, by_learner[learner], learner, f"_{safe_name(learner)}")
            for learner in sorted(by_learner, key=lambda learner: (learner != best, learner))
        ]
    else:
        learner = str(valid["learner"].iloc[0]) if named else study.learners[0]
        parts = [_part(study, valid, learner, "")]
    return Section(
        "importance",
        TITLE,
        render("importance", parts=parts, best=_best_learner(study), top_features=TOP_FEATURES),
    )


def _best_learner(study: Study) -> str | None:
    scores = valid_scores(study)
    return best_model(scores, "source")[1] if len(scores) else None


def _part(study: Study, rows: pd.DataFrame, learner: str, suffix: str) -> dict:
    """One learner's importances; ``suffix`` ends the names of its figures."""
    top, table = importance_distances(rows)
    if top.empty:
        return {"learner": learner, "picture": None}
    columns = {"reference": "reference, direct learning"}
    if len(table):
        near = table.loc[table["distance"].idxmin(), "source"]
        far = table.loc[table["distance"].idxmax(), "source"]
        columns[near] = f"nearest source, {source_name(near)}"
        if far != near:
            columns[far] = f"farthest source, {source_name(far)}"
    labels = {f: study.feature_label(f) for f in top.index}
    first = top.index[0]
    return {
        "learner": learner,
        "features": len(top),
        "first": labels[first],
        "first_share": top.loc[first, "reference"],
        "picture": study.draw(f"importance{suffix}", draw_importances(top, labels, columns)),
        "advice": _advice(study, table, learner, suffix) if len(table) else None,
    }


def _advice(study: Study, table: pd.DataFrame, learner: str, suffix: str) -> dict:
    """The nearest source, and whether transfer gained where sources are near."""
    gains, size, verdict = _gains(study, table, learner)
    near = table.loc[table["distance"].idxmin()]
    return {
        "nearest": source_name(near["source"]),
        "distance": near["distance"],
        "size": size,
        "gains": len(gains),
        "verdict": verdict,
        **_how_good(gains, near["source"]),
        "picture": study.draw(f"distances{suffix}", draw_distances(table, gains)),
        "table": _distance_table(table, gains, size),
    }


def _how_good(gains: pd.DataFrame, advised) -> dict:
    """Correlation of distance and gain (None: cannot be judged), and what the advice gained."""
    correlation = rank_correlation(gains["distance"], gains["gain"])
    if gains.empty or correlation != correlation:
        return {"correlation": None}
    best = gains.loc[gains["gain"].idxmax()]
    own = gains[gains["source"] == advised]["gain"]
    return {
        "correlation": correlation,
        "gain": own.iloc[0] if len(own) else None,
        "best": source_name(best["source"]),
        "best_gain": best["gain"],
        "median_gain": quartiles(gains["gain"])[1],
    }


def _distance_table(table: pd.DataFrame, gains: pd.DataFrame, size: int) -> Table:
    by_source = gains.set_index("source")["gain"] if len(gains) else {}
    rows = [
        [
            Number(source_cell(r.source)),
            decimal(r.distance, 3),
            whole(r.rank),
            *([decimal(by_source.get(r.source))] if len(gains) else []),
        ]
        for r in table.itertuples()
    ]
    gain = [f"Median gain in R² at size {size}"] if len(gains) else []
    return Table([source_head(table["source"]), "Distance", "Rank", *gain], rows)


def _gains(study: Study, table: pd.DataFrame, learner: str):
    """Median gain of transfer at the largest size beside the distance of its source.

    With the size, and what all sources together say of transfer (None: it was not tried).
    """
    scores = valid_scores(study)
    empty = pd.DataFrame(columns=["learner", "source", "distance", "gain"])
    if scores.empty:
        return empty, 0, None
    summary = score_summary(scores)
    rows = summary[(summary["learner"] == learner) & (summary["pairs"] > 0)]
    if rows.empty:
        return empty, 0, None
    size = int(rows["size"].max())
    rows = rows[rows["size"] == size].merge(table, on="source")
    return rows[empty.columns], size, transfer_verdict(scores, summary, learner)


def importance_distances(importance: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How far each source's feature importance lies from that of the reference.

    Parameters
    ----------
    importance : DataFrame
        kind (``dl``: the reference; ``source``: source models; ``tl``: fine-tuned ones, looked at
        where there is no ``source``), source, source_pressure_bar, feature, pfi_normalised;
        several rows of one model and feature are averaged. A model whose importances are all
        zero rests on nothing and is left out.

    Returns
    -------
    top : DataFrame
        Index: the reference's :data:`TOP_FEATURES` most important features in falling order
        (equal ones as in the table); columns: ``reference`` and the sources.
    distances : DataFrame
        source, distance (Euclidean, over those features), rank (1: nearest); in the order of
        :func:`sources_of`.
    """
    empty = pd.DataFrame(columns=["source", "distance", "rank"])
    rows = finite(importance, "pfi_normalised")
    reference = rows[rows["kind"] == "dl"].groupby("feature", sort=False)["pfi_normalised"].mean()
    if not (reference > 0).any():
        return pd.DataFrame(), empty
    reference = reference.sort_values(ascending=False, kind="stable").head(TOP_FEATURES)
    kind = "source" if (rows["kind"] == "source").any() else "tl"
    rows = rows[rows["kind"] == kind]
    sources = rows.pivot_table(
        index="feature", columns="source", values="pfi_normalised", aggfunc="mean"
    )
    # a pivot table sorts names as text: 100 bar before 2 bar
    sources = sources[sources_of(rows)]
    sources = sources.loc[:, (sources > 0).any()]
    sources = sources.reindex(reference.index)
    top = pd.concat([reference.rename("reference"), sources], axis=1)
    distance = np.sqrt(((sources.sub(reference, axis=0)) ** 2).sum(axis=0, skipna=False))
    distances = distance.dropna().rename("distance").rename_axis("source")
    distances = distances.reset_index()
    if distances.empty:
        return top, empty
    rank = distances["distance"].rank(method="first").astype(int)
    return top, distances.assign(rank=rank)


@styled
def draw_importances(top: pd.DataFrame, labels: dict[str, str], columns: dict) -> Figure:
    """Importance of the reference's leading features in the reference and in chosen sources.

    Parameters
    ----------
    top : DataFrame
        Index: features in falling order; columns as in ``columns``.
    labels : dict of str to str
        Readable names of the features.
    columns : dict
        Column of ``top`` to legend, at most three, the reference first.
    """
    figure, axes = grid(1, 1, height=0.9 + 0.42 * len(top))
    axis = axes[0, 0]
    y = np.arange(len(top))
    height = 0.8 / len(columns)
    colours = (GREY, GREEN, ORANGE)
    for k, (column, label) in enumerate(columns.items()):
        axis.barh(
            y + (k - (len(columns) - 1) / 2) * height,
            100 * top[column],
            height * 0.92,
            color=colours[k],
            label=label,
        )
    axis.set_yticks(y, [labels[f] for f in top.index])
    axis.invert_yaxis()
    axis.axvline(0, color=INK, lw=0.8)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("Share of the sum of importances (%)")
    legend_above(figure, axis.get_legend_handles_labels()[0])
    return figure


@styled
def draw_distances(table: pd.DataFrame, gains: pd.DataFrame) -> Figure:
    """Distance of each source's importance from the reference's; gain of transfer against it.

    Parameters
    ----------
    table : DataFrame
        source, distance, rank.
    gains : DataFrame
        learner, distance, gain, source; may be empty, then one panel is drawn.
    """
    figure, axes = grid(1, 2 if len(gains) else 1, height=3.2)
    left = axes[0, 0]
    source_axis(left, table["source"])
    left.plot(table["source"], table["distance"], "o-", color=BLUE)
    best = table.loc[table["distance"].idxmin()]
    left.plot(
        best["source"],
        best["distance"],
        "o",
        ms=9,
        mfc="none",
        mec=VERMILLION,
        label=f"nearest: {source_name(best['source'])}",
    )
    left.legend()
    left.margins(y=0.15)
    left.set(xlabel=source_head(table["source"]), ylabel="Distance of importances")
    if len(gains):
        right = axes[0, 1]
        for k, (learner, rows) in enumerate(gains.groupby("learner")):
            right.plot(
                rows["distance"],
                rows["gain"],
                MARKERS[k % len(MARKERS)],
                color=(GREEN, PURPLE, ORANGE)[k % 3],
                label=learner,
            )
        right.axhline(0, color=INK, lw=0.8)
        right.set(xlabel="Distance of importances", ylabel="Gain in R² over direct (median)")
        right.legend()
    return figure
