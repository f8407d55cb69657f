"""What the models look at, before and after transfer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from poreflux.report.figures.axes import (
    LONGEST,
    fine_log_ticks,
    legend_above,
    log_ticks,
    rows_axis,
)
from poreflux.report.figures.style import (
    DIRECT,
    GREY,
    INK,
    TRANSFER,
    grid,
    panel_layout,
    plain,
    styled,
)
from poreflux.report.numbers import decimal, percent, whole_or_dash
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.statistics import finite
from poreflux.report.synthesis_study import METHOD_WORDS, STAGE_WORDS, SynthesisStudy

TITLE = "What the models look at, before and after transfer"
# More levels of a category are not all drawn.
MANY_LEVELS = 8
# An axis of positive values that spans more decades than this is logarithmic.
LOG_DECADES = 1.5
MAX_COLUMNS = 3
IN_HOUSE = "in-house range"


def section(study: SynthesisStudy) -> Section:
    """Importances, how stable they are, and partial dependence, case by case."""
    if not study.cases:
        why = study.why("importance")
        return missing_section("interpretation", TITLE, "Feature importance", why)
    body = render("synthesis/interpretation", cases=[_case(study, c) for c in study.cases])
    return Section("interpretation", TITLE, body)


def _case(study: SynthesisStudy, case: str) -> dict:
    return {
        "name": case,
        "importance": _importance(study, case),
        "importance_why": study.why_case("importance", case),
        "stability": _stability(study, case),
        "stability_why": study.why_case("stability", case),
        "dependence": _dependence(study, case),
        "dependence_why": study.why_case("dependence", case),
    }


def _importance(study: SynthesisStudy, case: str) -> dict | None:
    columns = ("stage", "method", "feature", "share", "sd")
    table = finite(study.of("importance", case, *columns), "share")
    if table.empty:
        return None
    features = {f: study.feature(f) for f in dict.fromkeys(table["feature"])}
    methods = {m: METHOD_WORDS.get(m, str(m)) for m in dict.fromkeys(table["method"])}
    stages = _stages(table)
    leaders = []
    for method, words in methods.items():
        tops = []
        for stage in stages:
            part = table[(table["method"] == method) & (table["stage"] == stage)]
            if len(part) and part["share"].max() > 0:
                top = part.loc[part["share"].idxmax()]
                tops.append(f"{features[top['feature']]} {stage} ({percent(top['share'])})")
        if tops:
            leaders.append(f"by {words} {' and '.join(tops)}")
    drawing = draw_importance(table, features, methods, stages)
    picture = study.draw(f"importance_{study.slug(case)}", drawing)
    return {"picture": picture, "leaders": "; ".join(leaders)}


def _stages(table: pd.DataFrame) -> dict[str, str]:
    return {s: STAGE_WORDS.get(s, str(s)) for s in dict.fromkeys(table["stage"])}


def _stability(study: SynthesisStudy, case: str) -> Table | None:
    columns = ("stage", "method", "n_models", "rank_correlation", "top3_agreement")
    table = study.of("stability", case, *columns)
    rows = [
        [
            METHOD_WORDS.get(r.method, r.method),
            STAGE_WORDS.get(r.stage, r.stage),
            whole_or_dash(r.n_models),
            decimal(r.rank_correlation),
            percent(r.top3_agreement),
        ]
        for r in table.itertuples()
    ]
    heads = ["Method", "Stage", "Models", "Rank correlation", "Top 3 in common"]
    return Table(heads, rows) if rows else None


def _dependence(study: SynthesisStudy, case: str) -> dict | None:
    """Figures of the dependence on numbers and on categories, None where there are none."""
    columns = ("stage", "feature", "value", "level", "n_in_house", "in_house_low", "in_house_high")
    ends = ("predicted", "low", "high")
    table = finite(study.of("dependence", case, *columns, *ends), *ends)
    if study.logarithmic(case):
        table = table[table["low"] > 0]
    if table.empty:
        return None
    stages, quantity = _stages(table), study.quantity(case)
    options = {"logarithmic": study.logarithmic(case)}
    found = {"numbers": None, "categories": None}
    numbers = finite(table, "value")
    if len(numbers):
        features = {f: study.feature(f) for f in dict.fromkeys(numbers["feature"])}
        drawing = draw_dependence(numbers, features, stages, quantity, **options)
        picture = study.draw(f"dependence_{study.slug(case)}", drawing)
        found["numbers"] = {"picture": picture, "features": list(features.values())}
    categories = table[table["value"].isna() & table["level"].fillna("").astype(str).ne("")]
    if len(categories):
        shown, hidden = chosen_levels(categories)
        features = {f: study.feature(f) for f in dict.fromkeys(shown["feature"])}
        drawing = draw_levels(shown, features, stages, quantity, **options)
        found["categories"] = {
            "picture": study.draw(f"levels_{study.slug(case)}", drawing),
            "features": list(features.values()),
            "left_out": [f"{n} of {study.feature(f)}" for f, n in hidden.items() if n],
        }
    return found


def chosen_levels(categories: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The levels worth drawing, and how many of each feature are left out.

    Parameters
    ----------
    categories : DataFrame
        Of one case: stage, feature, level, n_in_house, predicted.

    Returns
    -------
    shown : DataFrame
        All rows of features with at most :data:`MANY_LEVELS` levels; of others the levels with
        in-house rows and, up to that number, those whose prediction lies farthest, in ratio,
        from the median of the feature's levels.
    hidden : dict of str to int
    """
    keep, hidden = [], {}
    for feature, rows in categories.groupby("feature", sort=False):
        own = rows.groupby("level", sort=False)["n_in_house"].max() > 0
        middle = rows.groupby("stage")["predicted"].transform("median")
        effect = (rows["predicted"] - middle).abs() / middle.abs()
        effect = effect.fillna(0.0).groupby(rows["level"], sort=False).max()
        ranked = pd.DataFrame({"own": own, "effect": effect})
        ranked = ranked.sort_values(["own", "effect"], ascending=False, kind="stable")
        n = len(ranked) if len(ranked) <= MANY_LEVELS else max(MANY_LEVELS, int(own.sum()))
        keep.append(rows[rows["level"].isin(ranked.index[:n])])
        hidden[str(feature)] = len(ranked) - n
    return pd.concat(keep), hidden


def spans_decades(values) -> bool:
    """Whether values are all positive and spread enough for a logarithmic axis.

    >>> spans_decades([1, 10]), spans_decades([0.1, 10]), spans_decades([0, 10])
    (False, True, False)
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() / values.min() > 10**LOG_DECADES)


@styled
def draw_importance(
    table: pd.DataFrame,
    features: Mapping[str, str],
    methods: Mapping[str, str],
    stages: Mapping[str, str],
) -> Figure:
    """Share of every feature before and after transfer, a panel per method.

    Parameters
    ----------
    table : DataFrame
        Of one case: stage, method, feature, share, sd (NaN where there is no spread).
    features, methods, stages : mapping of str to str
        Names to words.
    """
    figure, axes = grid(1, len(methods), height=1.0 + 0.36 * len(features), sharey=True)
    places = {f: k for k, f in enumerate(features)}
    height = 0.8 / len(stages)
    for axis, (method, words) in zip(axes[0], methods.items(), strict=True):
        for k, (stage, label) in enumerate(stages.items()):
            rows = table[(table["method"] == method) & (table["stage"] == stage)]
            rows = rows[rows["feature"].isin(places)]
            y = rows["feature"].map(places) + (k - (len(stages) - 1) / 2) * height
            share, sd = 100 * rows["share"], 100 * rows["sd"].fillna(0.0)
            axis.barh(
                y,
                share,
                height * 0.92,
                color=(DIRECT, TRANSFER)[k % 2],
                xerr=[np.minimum(sd, share.clip(lower=0)), sd],
                error_kw={"elinewidth": 0.9, "ecolor": INK},
                label=label,
            )
        axis.axvline(0, color=INK, lw=0.8)
        axis.set_title(words, fontsize=9)
        axis.set_xlabel("Share (%)")
        axis.grid(axis="y", visible=False)
    rows_axis(axes[0, 0], features.values())
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return figure


@styled
def draw_dependence(
    table: pd.DataFrame,
    features: Mapping[str, str],
    stages: Mapping[str, str],
    quantity: str,
    *,
    logarithmic: bool,
) -> Figure:
    """Partial dependence on every number, before and after transfer, a panel per feature.

    Parameters
    ----------
    table : DataFrame
        Of one case: stage, feature, value, predicted, low, high, in_house_low, in_house_high.
    features, stages : mapping of str to str
        Names to words.
    quantity : str
        Label of the vertical axis.
    logarithmic : bool
        The vertical axis.
    """
    n_rows, n_columns = panel_layout(len(features), MAX_COLUMNS)
    figure, axes = grid(n_rows, n_columns, height=0.5 + 2.25 * n_rows, sharey=True)
    for axis in axes.flat[len(features) :]:
        axis.remove()
    for k, (axis, (feature, words)) in enumerate(zip(axes.flat, features.items(), strict=False)):
        rows = table[table["feature"] == feature].sort_values("value", kind="stable")
        _in_house_range(axis, rows)
        for i, stage in enumerate(stages):
            part = rows[rows["stage"] == stage]
            colour = (INK, TRANSFER)[i % 2]
            if ((part["high"] - part["low"]) > 0).any():
                axis.fill_between(
                    part["value"], part["low"], part["high"], color=colour, alpha=0.25, lw=0
                )
            axis.plot(part["value"], part["predicted"], color=colour, ls=("--", "-")[i % 2], lw=1.4)
        if spans_decades(rows["value"]):
            axis.set_xscale("log")
            log_ticks(axis.xaxis, rows["value"])
        else:
            axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.tick_params(labelsize=8)
        axis.set_xlabel(plain(words, LONGEST), fontsize=8)
        if k % n_columns == 0:
            axis.set_ylabel(quantity, fontsize=8)
    if logarithmic:
        axes[0, 0].set_yscale("log")
        fine_log_ticks(axes[0, 0].yaxis, table[["low", "high"]])
    legend_above(figure, [*_stage_lines(stages), Patch(color=GREY, alpha=0.18, label=IN_HOUSE)])
    return figure


@styled
def draw_levels(
    table: pd.DataFrame,
    features: Mapping[str, str],
    stages: Mapping[str, str],
    quantity: str,
    *,
    logarithmic: bool,
) -> Figure:
    """Partial dependence on every category, a line per level.

    Parameters
    ----------
    table : DataFrame
        Of one case: stage, feature, level, n_in_house, predicted, low, high.
    features, stages : mapping of str to str
        Names to words.
    quantity : str
        Label of the horizontal axis.
    logarithmic : bool
        That axis.
    """
    known = {f: list(dict.fromkeys(table.loc[table["feature"] == f, "level"])) for f in features}
    heights = [len(k) + 0.8 for k in known.values()]
    figure, axes = grid(
        len(features), 1, height=1.1 + 0.24 * sum(heights), sharex=True, height_ratios=heights
    )
    for axis, (feature, words) in zip(axes[:, 0], features.items(), strict=True):
        rows = table[table["feature"] == feature]
        places = known[feature]
        counts = rows.groupby("level")["n_in_house"].max()
        for i, stage in enumerate(stages):
            part = rows[rows["stage"] == stage]
            y = part["level"].map(places.index) + 0.2 * (i - (len(stages) - 1) / 2)
            colour, marker = (INK, TRANSFER)[i % 2], ("o", "s")[i % 2]
            axis.hlines(y, part["low"], part["high"], color=colour, lw=1.2, alpha=0.6)
            own = part["n_in_house"] > 0
            axis.plot(part["predicted"][own], y[own], marker, color=colour)
            axis.plot(part["predicted"][~own], y[~own], marker, mec=colour, mfc="white")
        labels = [plain(p, 26) + (f" (n = {counts[p]:.0f})" if counts[p] else "") for p in places]
        axis.set_yticks(range(len(places)), labels, fontsize=8)
        axis.set_ylim(len(places) - 0.4, -0.6)
        axis.set_title(plain(words, LONGEST), fontsize=9)
    last = axes[-1, 0]
    if logarithmic:
        last.set_xscale("log")
        fine_log_ticks(last.xaxis, table[["low", "high"]])
    last.set_xlabel(quantity)
    legend_above(
        figure,
        [
            *(
                Line2D([], [], color=(INK, TRANSFER)[i % 2], marker=("o", "s")[i % 2], label=label)
                for i, label in enumerate(stages.values())
            ),
            Line2D([], [], ls="none", marker="o", mec=GREY, mfc="white", label="no in-house row"),
        ],
    )
    return figure


def _stage_lines(stages: Mapping[str, str]) -> list[Line2D]:
    return [
        Line2D([], [], color=(INK, TRANSFER)[i % 2], ls=("--", "-")[i % 2], label=label)
        for i, label in enumerate(stages.values())
    ]


def _in_house_range(axis, rows: pd.DataFrame) -> None:
    low, high = rows["in_house_low"].min(), rows["in_house_high"].max()
    if high > low:
        axis.axvspan(low, high, color=GREY, alpha=0.18, lw=0, zorder=0)
    elif high == low:
        # a single value has no width to fill
        axis.axvline(low, color=GREY, alpha=0.45, lw=3, zorder=0)
