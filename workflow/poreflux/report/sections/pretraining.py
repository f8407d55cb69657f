"""How well the labels of the source are learnt."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from poreflux.data.labels import uptake_at
from poreflux.report.figures.axes import source_axis
from poreflux.report.figures.style import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    PURPLE,
    R2_FLOOR,
    VERMILLION,
    grid,
    styled,
)
from poreflux.report.numbers import NOT_A_NUMBER, Number, decimal, significant
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.scores import with_source_of_study
from poreflux.report.sources import source_cell, source_head, sources_of
from poreflux.report.statistics import finite, usable
from poreflux.report.study import Study

# R2 that the published models exceed at every pressure.
GOOD_R2 = 0.9
TITLE = "Pretraining"


def section(study: Study) -> Section:
    """R2 of the pretrained models on structures that they have not seen."""
    table = usable(
        study.tables.get("study/pretraining"), "learner", "source_pressure_bar", "r2", "rmse", "mae"
    )
    table = with_source_of_study(study, finite(table, "r2")).dropna(subset="source")
    if table.empty:
        return missing_section("pretraining", TITLE, TITLE, study.why("study/pretraining"))
    table = table.sort_values(["learner", "source_pressure_bar"], kind="stable")
    units = {s: study.quantity(label).error_unit for s, label in labels_of(table).items()}
    alike = len(set(units.values())) == 1
    # n counts the training share as well
    counts = pd.to_numeric(usable(table, "n_test")["n_test"], errors="coerce").dropna().unique()
    body = render(
        "pretraining",
        models=len(table),
        lowest=table["r2"].min(),
        highest=table["r2"].max(),
        good=(table["r2"] >= GOOD_R2).sum(),
        good_r2=GOOD_R2,
        picture=study.draw("pretraining", draw_pretraining(table)),
        scores=_table(table, {} if alike else units),
        tests=counts[0] if len(counts) == 1 else None,
        alike=alike,
        unit=next(iter(units.values())),
    )
    return Section("pretraining", TITLE, body)


def _table(table: pd.DataFrame, units: dict) -> Table:
    """Scores by source and learner; ``units`` (by source) get a column where there are any."""
    learners = list(dict.fromkeys(table["learner"]))
    by_key = {(r.learner, r.source): r for r in table.itertuples()}
    rows = []
    for source in sources_of(table):
        cells = [Number(source_cell(source))]
        if units:
            cells.append(units[source] or NOT_A_NUMBER)
        for learner in learners:
            r = by_key.get((learner, source))
            cells += (
                [decimal(r.r2, 3), significant(r.rmse), significant(r.mae)]
                if r
                else [Number(NOT_A_NUMBER)] * 3
            )
        rows.append(cells)
    heads = [f"{learner}: {score}" for learner in learners for score in ("R²", "RMSE", "MAE")]
    return Table([source_head(table["source"]), *(["Errors in"] if units else []), *heads], rows)


def labels_of(table: pd.DataFrame) -> dict:
    """What was learnt in each source: an uptake, or what the source is named after."""
    rows = table.dropna(subset="source").drop_duplicates("source")
    return {
        r.source: r.source if pd.isna(r.source_pressure_bar) else uptake_at(r.source_pressure_bar)
        for r in rows.itertuples()
    }


@styled
def draw_pretraining(table: pd.DataFrame) -> Figure:
    """R2 of the pretrained models on their test structures against the source pressure."""
    figure, axes = grid(1, 1, height=3.0)
    axis = axes[0, 0]
    source_axis(axis, sources_of(table))
    colours = (BLUE, VERMILLION, PURPLE, ORANGE)
    low = 1.0
    for k, (learner, rows) in enumerate(table.groupby("learner")):
        stats = rows.groupby("source", sort=False)["r2"].median()
        low = min(low, stats.min())
        axis.plot(
            stats.index,
            stats.clip(lower=R2_FLOOR),
            f"{MARKERS[k % len(MARKERS)]}-",
            color=colours[k % len(colours)],
            label=learner,
        )
    axis.axhline(0.9, color=GREY, lw=1, ls=(0, (4, 3)))
    axis.annotate(
        "0.9",
        (1, 0.9),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=GREY,
    )
    bottom = max(R2_FLOOR - 0.05, min(0.8, low - 0.05))
    axis.set_ylim(bottom, 1.0 + 0.02 * (1 - bottom))
    axis.set(xlabel=source_head(table["source"]), ylabel="R² of the source's label")
    axis.legend(loc="lower right")
    return figure
