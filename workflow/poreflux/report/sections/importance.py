"""What the models look at, and which source looks at the same as the reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from poreflux.learning.choice import best_model
from poreflux.report.figures.axes import legend_above
from poreflux.report.figures.style import GREEN, GREY, INK, ORANGE, grid, styled
from poreflux.report.rendering import Section, missing_section, render
from poreflux.report.scores import valid_scores, with_source_of_study
from poreflux.report.sections.source_advice import source_advice
from poreflux.report.sources import source_short, sources_of
from poreflux.report.statistics import finite, usable
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
    if "learner" not in valid.columns:
        valid = valid.assign(learner=study.learners[0])
    looked_at = {str(learner): rows for learner, rows in valid.groupby("learner")}
    scores = valid_scores(study)
    best = best_model(scores, "source")[1] if len(scores) else None
    transferred = set(scores.loc[scores["kind"] == "tl", "learner"])
    learners = sorted({*looked_at, *transferred}, key=lambda x: (x != best, x not in looked_at, x))
    parts = []
    for learner in learners:
        suffix = f"_{safe_name(learner)}" if len(learners) > 1 else ""
        rows = looked_at.get(learner, valid.head(0))
        top, distances = importance_distances(rows)
        parts.append(
            {
                "learner": learner,
                "looked_at": learner in looked_at,
                **_importance(study, top, distances, suffix),
                "advice": source_advice(study, scores, distances, learner, suffix),
            }
        )
    return Section("importance", TITLE, render("importance", parts=parts, best=best))


def _importance(study: Study, top: pd.DataFrame, table: pd.DataFrame, suffix: str) -> dict:
    """One learner's importances; ``suffix`` ends the name of its figure."""
    if top.empty:
        return {"picture": None}
    columns = {"reference": "reference, direct learning"}
    if len(table):
        near = table.loc[table["distance"].idxmin(), "source"]
        far = table.loc[table["distance"].idxmax(), "source"]
        columns[near] = f"nearest source, {source_short(near)}"
        if far != near:
            columns[far] = f"farthest source, {source_short(far)}"
    labels = {f: study.feature_label(f) for f in top.index}
    first = top.index[0]
    return {
        "features": len(top),
        "first": labels[first],
        "first_share": top.loc[first, "reference"],
        "picture": study.draw(f"importance{suffix}", draw_importances(top, labels, columns)),
    }


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
        source, source_pressure_bar, distance (Euclidean, over those features), rank (1: nearest);
        in the order of :func:`sources_of`.
    """
    empty = pd.DataFrame(columns=["source", "source_pressure_bar", "distance", "rank"])
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
    pressures = rows.drop_duplicates("source").set_index("source")["source_pressure_bar"]
    distances = distances.reset_index()
    if distances.empty:
        return top, empty
    distances.insert(1, "source_pressure_bar", distances["source"].map(pressures))
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
