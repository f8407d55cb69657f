"""The figures of the page on transfer between tables of synthesis conditions.

Style and helpers are those of :mod:`poreflux.report.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator

from poreflux.report.figures import (
    BLUE,
    DIRECT,
    GREY,
    INK,
    ORANGE,
    PALETTE,
    TRANSFER,
    grid,
    legend_above,
    log_ticks,
    plain,
    styled,
)

SCHEME_STYLES = ((BLUE, "o"), (ORANGE, "s"))
# An axis of positive values that spans more decades than this is logarithmic.
LOG_DECADES = 1.5
# Longest text beside an axis, in characters.
LONGEST = 34
MAX_COLUMNS = 3


def spans_decades(values) -> bool:
    """Whether values are all positive and spread enough for a logarithmic axis.

    >>> spans_decades([1, 10]), spans_decades([0.1, 10]), spans_decades([0, 10])
    (False, True, False)
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() / values.min() > 10**LOG_DECADES)


@styled
def verdicts(table: pd.DataFrame, questions: Mapping[str, str]) -> Figure:
    """Change of the error by what is asked, in percent of the error without it, case by case.

    Parameters
    ----------
    table : DataFrame
        case, question, change, low, high (percent).
    questions : mapping of str to str
        Questions to legend.
    """
    cases = list(dict.fromkeys(table["case"]))
    figure, axes = grid(1, 1, height=1.0 + len(cases) * (0.22 + 0.16 * len(questions)))
    axis = axes[0, 0]
    step = 0.8 / len(questions)
    for k, (question, label) in enumerate(questions.items()):
        rows = table[table["question"] == question]
        y = [cases.index(c) + (k - (len(questions) - 1) / 2) * step for c in rows["case"]]
        colour = (TRANSFER, GREY, ORANGE, BLUE)[k % 4]
        _intervals(axis, rows, "change", y, colour, "o" if k == 0 else "s", clear=True)
        axis.plot([], [], "o" if k == 0 else "s", color=colour, label=label)
    _zero_line(axis)
    for line in range(1, len(cases)):
        axis.axhline(line - 0.5, color=GREY, lw=0.5, zorder=0)
    _rows_axis(axis, cases)
    axis.set_ylim(len(cases) - 0.5, -0.5)
    axis.set_xlabel("Change of the RMSE (%); left of zero it is lower")
    legend_above(figure, axis.get_legend_handles_labels()[0], 2)
    return figure


@styled
def errors(scores: pd.DataFrame, variants: Mapping[str, str], quantity: str) -> Figure:
    """RMSE with intervals of every variant in both schemes.

    Parameters
    ----------
    scores : DataFrame
        Of one case: scheme, variant, rmse, rmse_low, rmse_high.
    variants : mapping of str to str
        Names to words, in the order of drawing.
    quantity : str
        Label of the axis.
    """
    figure, axes = grid(1, 1, height=0.9 + 0.33 * len(variants))
    axis = axes[0, 0]
    table = scores.rename(columns={"rmse_low": "low", "rmse_high": "high"})
    _by_scheme(axis, table, "rmse", variants)
    _rows_axis(axis, variants.values())
    axis.set_xlim(left=0)
    axis.set_xlabel(quantity)
    legend_above(figure, axis.get_legend_handles_labels()[0])
    return figure


@styled
def differences(
    comparisons: pd.DataFrame,
    variants: Mapping[str, str],
    references: Mapping[str, str],
    off_axis: Sequence[str],
    quantity: str,
) -> Figure:
    """Difference of the RMSE from that of each reference, with intervals and a line at zero.

    Parameters
    ----------
    comparisons : DataFrame
        Of one case: scheme, variant, against, rmse_difference, rmse_low, rmse_high.
    variants, references : mapping of str to str
        Names to words.
    off_axis : sequence of str
        Variants that do not set the range of the axis: where they lie beyond, their value is
        written at its edge.
    quantity : str
        Label of the axis.
    """
    figure, axes = grid(1, len(references), height=1.1 + 0.33 * len(variants), sharey=True)
    table = comparisons.rename(columns={"rmse_low": "low", "rmse_high": "high"})
    for axis, (reference, words) in zip(axes[0], references.items(), strict=True):
        rows = table[table["against"] == reference]
        setting = rows[~rows["variant"].isin(off_axis)]
        setting = setting if len(setting) else rows
        _by_scheme(axis, rows, "rmse_difference", variants, clear=True)
        _zero_line(axis)
        ends = [0.0, *setting["low"], *setting["high"], *setting["rmse_difference"]]
        low, high = np.nanmin(ends), np.nanmax(ends)
        margin = 0.08 * ((high - low) or 1.0)
        axis.set_xlim(low - margin, high + margin)
        for k, (_, part) in enumerate(rows.groupby("scheme", sort=False)):
            for row in part.itertuples():
                value = row.rmse_difference
                if row.variant in variants and not low - margin < value < high + margin:
                    right = value > high
                    axis.annotate(
                        f"{value:+.3g}".replace("-", "−") + (" ▸" if right else ""),
                        (1.0 if right else 0.0, _place(variants, row.variant, k, 0.4)),
                        xycoords=("axes fraction", "data"),
                        ha="right" if right else "left",
                        va="center",
                        fontsize=7,
                        color=SCHEME_STYLES[k % 2][0],
                    )
        axis.set_title(f"against {plain(words, LONGEST)}", fontsize=8.5, fontweight="normal")
        axis.set_xlabel(quantity)
        axis.grid(axis="y", visible=False)
        axis.xaxis.set_major_locator(MaxNLocator(5))
    _rows_axis(axes[0, 0], variants.values())
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return figure


@styled
def parity(panels: Mapping[str, pd.DataFrame], quantity: str, *, logarithmic: bool) -> Figure:
    """Held-out predictions against measurements, a panel a variant.

    Parameters
    ----------
    panels : mapping of str to DataFrame
        By title: target and predicted, finite (and positive on logarithmic axes).
    quantity : str
        Label with unit.
    logarithmic : bool
    """
    figure, axes = grid(1, len(panels), height=4.4, sharex=True, sharey=True)
    both = np.concatenate([t[["target", "predicted"]].to_numpy().ravel() for t in panels.values()])
    low, high = both.min(), both.max()
    margin = 0.07 * ((high - low) or abs(high) or 1.0)
    limits = (low / 1.25, high * 1.25) if logarithmic else (low - margin, high + margin)
    for k, (axis, (title, table)) in enumerate(zip(axes[0], panels.items(), strict=True)):
        axis.plot(limits, limits, color=GREY, lw=1, zorder=1)
        colour = (DIRECT, TRANSFER)[k] if len(panels) == 2 else PALETTE[k % len(PALETTE)]
        axis.plot(
            table["target"], table["predicted"], "o", color=colour, mec="white", mew=0.4, alpha=0.9
        )
        axis.set_title(f"{plain(title, LONGEST)} (n = {len(table)})")
        axis.set_xlabel(f"Measured: {quantity}")
        if logarithmic:
            axis.set(xscale="log", yscale="log")
            for line in (axis.xaxis, axis.yaxis):
                _ticks(line, both)
        axis.set(xlim=limits, ylim=limits, aspect="equal")
    axes[0, 0].set_ylabel(f"Predicted: {quantity}")
    return figure


@styled
def choices(panels: Mapping[str, tuple[str, pd.DataFrame]], cases: Sequence[str]) -> Figure:
    """What the folds chose: a circle a value, its area and number the folds that chose it.

    Parameters
    ----------
    panels : mapping of str to (str, DataFrame)
        By title: label of the axis, and case, value, folds.
    cases : sequence of str
    """
    figure, axes = grid(1, len(panels), height=1.3 + 0.42 * len(cases), sharey=True)
    known: dict[str, set] = {}
    for label, table in panels.values():
        known.setdefault(label, set()).update(table["value"])
    for axis, (title, (label, table)) in zip(axes[0], panels.items(), strict=True):
        values = sorted(known[label])
        x = table["value"].map(values.index)
        y = table["case"].map(list(cases).index)
        share = table["folds"] / table.groupby("case")["folds"].transform("sum")
        axis.scatter(x, y, s=20 + 280 * share, color=TRANSFER, alpha=0.35, lw=0)
        for a, b, n in zip(x, y, table["folds"], strict=True):
            axis.annotate(f"{n}", (a, b), ha="center", va="center", fontsize=7)
        axis.set_xticks(range(len(values)), [f"{v:g}" for v in values])
        axis.tick_params(axis="x", labelsize=7.5, rotation=90 if len(values) > 8 else 0)
        axis.set_xlim(-0.6, len(values) - 0.4)
        axis.set_title(fill(plain(title, LONGEST), 22), fontsize=8.5)
        axis.set_xlabel(label)
    _rows_axis(axes[0, 0], cases)
    axes[0, 0].set_ylim(len(cases) - 0.4, -0.6)
    return figure


@styled
def importance(
    table: pd.DataFrame,
    features: Mapping[str, str],
    methods: Mapping[str, str],
    stages: Mapping[str, str],
) -> Figure:
    """Share of every feature before and after transfer, a panel a method.

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
    _rows_axis(axes[0, 0], features.values())
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return figure


@styled
def dependence(
    table: pd.DataFrame,
    features: Mapping[str, str],
    stages: Mapping[str, str],
    quantity: str,
    *,
    logarithmic: bool,
) -> Figure:
    """Partial dependence on every number, before and after transfer, a panel a feature.

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
    n_columns = min(MAX_COLUMNS, len(features))
    n_rows = -(-len(features) // n_columns)
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
        _ticks(axes[0, 0].yaxis, table[["low", "high"]])
    legend_above(figure, [*_stage_lines(stages), Patch(color=GREY, alpha=0.18, label=IN_HOUSE)])
    return figure


IN_HOUSE = "in-house range"


@styled
def levels(
    table: pd.DataFrame,
    features: Mapping[str, str],
    stages: Mapping[str, str],
    quantity: str,
    *,
    logarithmic: bool,
) -> Figure:
    """Partial dependence on every category, a line a level.

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
        _ticks(last.xaxis, table[["low", "high"]])
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


def _ticks(axis, values) -> None:
    """:func:`log_ticks`, and more of them within a decade."""
    log_ticks(axis, values)
    ratio = np.max(values) / np.min(values)
    if ratio < 4:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)))
    elif ratio < 10:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))


def _place(variants: Mapping[str, str], variant: str, k: int, apart: float = 0.24) -> float:
    return list(variants).index(variant) + apart * (k - 0.5)


def _by_scheme(axis, table, value, variants, *, clear: bool = False) -> None:
    """Dots with intervals, a line a variant, the schemes beside each other."""
    for k, (scheme, rows) in enumerate(table.groupby("scheme", sort=False)):
        colour, marker = SCHEME_STYLES[k % len(SCHEME_STYLES)]
        rows = rows[rows["variant"].isin(list(variants))]
        y = [_place(variants, v, k) for v in rows["variant"]]
        _intervals(axis, rows, value, y, colour, marker, clear=clear)
        axis.plot([], [], marker, color=colour, label=plain(scheme))


def _intervals(axis, rows, value, y, colour, marker, *, clear: bool) -> None:
    """Dots with bars from low to high; with ``clear``, open where a bar holds zero."""
    y = np.asarray(y, float)
    axis.hlines(y, rows["low"], rows["high"], color=colour, lw=1.2)
    filled = ((rows["low"] > 0) | (rows["high"] < 0)).to_numpy() | (not clear)
    x = rows[value].to_numpy(float)
    axis.plot(x[filled], y[filled], marker, color=colour)
    axis.plot(x[~filled], y[~filled], marker, mec=colour, mfc="white", mew=1.2)


def _zero_line(axis) -> None:
    axis.axvline(0, color=INK, lw=0.9, zorder=1)


def _rows_axis(axis, labels) -> None:
    labels = [plain(x, LONGEST) for x in labels]
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
