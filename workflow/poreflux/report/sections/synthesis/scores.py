"""Every variant on held-out conditions, case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from poreflux.report.figures.axes import (
    LONGEST,
    draw_intervals,
    fine_log_ticks,
    legend_above,
    rows_axis,
    zero_line,
)
from poreflux.report.figures.style import (
    BLUE,
    DIRECT,
    GREY,
    ORANGE,
    PALETTE,
    TRANSFER,
    grid,
    plain,
    styled,
)
from poreflux.report.numbers import Number, decimal, percent, with_interval
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.sections.synthesis.comparisons import COMPARED, difference, judged
from poreflux.report.statistics import finite
from poreflux.report.synthesis_study import SynthesisStudy, in_words
from poreflux.synthesis import LEAVE_ONE_OUT

# They learn nothing from in-house conditions, and may lie far from all others.
UNLEARNT = ("mean", "literature")
_METRICS = (
    "variant",
    *(f"{m}{end}" for m in ("rmse", "mae", "r2") for end in ("", "_low", "_high")),
)
TITLE = "Held-out predictions, case by case"
SCHEME_STYLES = ((BLUE, "o"), (ORANGE, "s"))


def section(study: SynthesisStudy) -> Section:
    """Errors, predictions against measurements, and differences between variants."""
    if not study.cases:
        return missing_section("scores", TITLE, "Scores", study.why("scores"))
    body = render("synthesis/scores", cases=[_case(study, case) for case in study.cases])
    return Section("scores", TITLE, body)


def _case(study: SynthesisStudy, case: str) -> dict:
    table = finite(study.of("scores", case, "scheme", *_METRICS), "rmse")
    return {
        "name": case,
        "errors": _errors(study, case, table) if len(table) else None,
        "errors_why": study.why_case("scores", case),
        "parity": _parity(study, case),
        "parity_why": study.why_case("predictions", case),
        "differences": _differences(study, case),
        "differences_why": study.why_case("comparisons", case),
    }


def _errors(study: SynthesisStudy, case: str, table: pd.DataFrame) -> dict:
    own = table[table["scheme"] == LEAVE_ONE_OUT]
    lowest = own.loc[own["rmse"].idxmin()] if len(own) else table.loc[table["rmse"].idxmin()]
    drawing = draw_errors(table, study.variants([table]), f"RMSE: {study.quantity(case)}")
    return {
        "table": _score_table(study, case, table),
        "picture": study.draw(f"rmse_{study.slug(case)}", drawing),
        "lowest": in_words(lowest["variant"]),
    }


def _score_table(study: SynthesisStudy, case: str, table: pd.DataFrame) -> Table:
    rows = [
        [
            in_words(r.variant),
            r.scheme,
            with_interval(r.rmse, r.rmse_low, r.rmse_high),
            with_interval(r.mae, r.mae_low, r.mae_high),
            _r2(r.r2, r.r2_low, r.r2_high),
        ]
        for r in table.itertuples()
    ]
    unit = study.fact(case, "unit")
    heads = [f"{name} ({unit})" if unit else name for name in ("RMSE", "MAE")]
    return Table(["Variant", "Scheme", *heads, "R²"], rows)


def _r2(value, low, high) -> Number:
    if not all(math.isfinite(x) for x in (value, low, high)):
        return decimal(value)
    return Number(f"{decimal(value)} ({decimal(low)} to {decimal(high)})")


def _parity(study: SynthesisStudy, case: str) -> dict | None:
    columns = ("target", "predicted")
    table = finite(study.of("predictions", case, "scheme", "variant", *columns), *columns)
    table = table[table["scheme"] == LEAVE_ONE_OUT]
    if study.logarithmic(case):
        table = table[(table[list(columns)] > 0).all(axis=1)]
    panels = {
        in_words(v): table[table["variant"] == v]
        for v in ("in_house", "transfer")
        if (table["variant"] == v).any()
    }
    if not panels:
        return None
    drawing = draw_parity(panels, study.quantity(case), logarithmic=study.logarithmic(case))
    picture = study.draw(f"parity_{study.slug(case)}", drawing)
    return {"picture": picture, "variants": list(panels)}


def _differences(study: SynthesisStudy, case: str) -> dict | None:
    given = study.of("comparisons", case, *COMPARED, "probability", "folds_won")
    table = finite(given, "rmse_difference")
    if table.empty:
        return None
    references = {r: in_words(r) for r in ("in_house", "baseline") if r in set(table["against"])}
    picture = None
    if references:
        shown = table[table["against"].isin(references)]
        unit = f"Difference of RMSE ({study.fact(case, 'unit')})".removesuffix(" ()")
        drawing = draw_differences(shown, study.variants([shown]), references, UNLEARNT, unit)
        picture = study.draw(f"differences_{study.slug(case)}", drawing)
    rows = [
        [
            in_words(r["variant"]),
            in_words(r["against"]),
            r["scheme"],
            difference(r),
            judged(r["rmse_low"], r["rmse_high"]),
            percent(r["probability"]),
            percent(r["folds_won"]),
        ]
        for r in table.to_dict("records")
    ]
    heads = ["Variant", "Against", "Scheme", "Difference of RMSE", "Better?"]
    return {"picture": picture, "table": Table([*heads, "Samples won", "Folds won"], rows)}


@styled
def draw_errors(scores: pd.DataFrame, variants: Mapping[str, str], quantity: str) -> Figure:
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
    rows_axis(axis, variants.values())
    axis.set_xlim(left=0)
    axis.set_xlabel(quantity)
    legend_above(figure, axis.get_legend_handles_labels()[0])
    return figure


@styled
def draw_differences(
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
        zero_line(axis)
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
    rows_axis(axes[0, 0], variants.values())
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return figure


@styled
def draw_parity(panels: Mapping[str, pd.DataFrame], quantity: str, *, logarithmic: bool) -> Figure:
    """Held-out predictions against measurements, a panel per variant.

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
                fine_log_ticks(line, both)
        axis.set(xlim=limits, ylim=limits, aspect="equal")
    axes[0, 0].set_ylabel(f"Predicted: {quantity}")
    return figure


def _by_scheme(axis, table, value, variants, *, clear: bool = False) -> None:
    """Dots with intervals, a line per variant, the schemes beside each other."""
    for k, (scheme, rows) in enumerate(table.groupby("scheme", sort=False)):
        colour, marker = SCHEME_STYLES[k % len(SCHEME_STYLES)]
        rows = rows[rows["variant"].isin(list(variants))]
        y = [_place(variants, v, k) for v in rows["variant"]]
        draw_intervals(axis, rows, value, y, colour, marker, clear=clear)
        axis.plot([], [], marker, color=colour, label=plain(scheme))


def _place(variants: Mapping[str, str], variant: str, k: int, apart: float = 0.24) -> float:
    return list(variants).index(variant) + apart * (k - 0.5)
