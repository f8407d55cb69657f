"""How our engines agree with the codes that the field trusts, in the same structures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from poreflux.base.stage_names import COMPARED
from poreflux.report.figures.axes import legend_above, log_ticks
from poreflux.report.figures.style import GREY, MARKERS, PALETTE, grid, plain, styled
from poreflux.report.numbers import (
    NOT_A_NUMBER,
    Number,
    decimal,
    general,
    with_error,
)
from poreflux.report.rendering import MAX_ROWS, Table, render
from poreflux.report.statistics import (
    LEAST_PROBABILITY,
    finite,
    joint_deviation,
    quartiles,
    usable,
)
from poreflux.report.study import ENGINE_NAMES, Study

# Two values that differ by more than this many combined standard errors disagree.
AGREEMENT_SE = 3.0
# Structures that a legend can name.
MAX_LEGEND = 8
# What is compared, as axes and heads name it.
QUANTITIES = {"uptake": "uptake (mol kg⁻¹)", "diffusion": "D (m² s⁻¹)"}


def reference_of(stage: str) -> str:
    """Readable name of the reference code of a stage."""
    return ENGINE_NAMES[COMPARED[stage].engine]


def verdict(study: Study, stage: str) -> dict | None:
    """What the macro ``agreement`` says of our engine and the reference code.

    Returns
    -------
    dict or None
        Numbers of :func:`agreement`; None where no value has a deviation in standard errors.
    """
    table = study.tables.get(f"target/crosscheck_{stage}")
    if table is None or table.empty:
        return None
    found = agreement(table, COMPARED[stage].value)
    if not found["n"]:
        return None
    worst = found["worst"]
    return {
        "reference": reference_of(stage),
        "n": found["n"],
        "agree": found["agree"],
        "within_se": AGREEMENT_SE,
        "largest_se": abs(worst["deviation_se"]),
        "largest_of": worst["name"],
        "largest_at_bar": worst.get("pressure_bar"),
        "chi_square": found["chi_square"],
        "probability": found["probability"],
        "together": found["probability"] >= LEAST_PROBABILITY,
    }


def crosscheck(study: Study, stage: str) -> Markup:
    """The part of a stage's section on the comparison with its reference code."""
    key = f"target/crosscheck_{stage}"
    table = study.tables.get(key)
    if table is not None and table.empty:
        why = "no structure was fit for it (diffusive, no closed pockets), or its table is empty"
    else:
        why = study.why(key)
    return render(
        "crosscheck",
        reference=reference_of(stage),
        compared=None if table is None or table.empty else _compared(study, stage, table),
        why=why,
    )


def _compared(study: Study, stage: str, table: pd.DataFrame) -> dict:
    _, _, value, error, _ = COMPARED[stage]
    columns = [value, f"{value}_reference", error, f"{error}_reference", "deviation_se"]
    table = table.reindex(columns=[*table.columns, *(c for c in columns if c not in table.columns)])
    pairs = finite(usable(table), value, f"{value}_reference")
    for c in (error, f"{error}_reference", "deviation_se"):
        pairs[c] = pd.to_numeric(pairs[c], errors="coerce").astype(float)
    found = agreement(table, value)
    failed = table[table["status"] != "ok"] if "status" in table.columns else table.iloc[:0]
    relative, ours = found["relative"], study.engine(stage)
    picture = None
    if len(pairs):
        engines = (ours, reference_of(stage))
        drawing = draw_parity(pairs, value, error, QUANTITIES[stage], engines)
        picture = study.draw(f"crosscheck_{stage}", drawing)
    return {
        "structures": pairs["name"].nunique() if len(pairs) else 0,
        "verdict": verdict(study, stage),
        "relative": f"{100 * relative:.2g}" if relative == relative else None,
        "unpaired": found["failed"],
        "first_reason": failed["reason"].iloc[0] if len(failed) else None,
        "ours": ours,
        "picture": picture,
        "table": _pairs_table(stage, pairs, ours),
        "more_rows": max(0, len(pairs) - MAX_ROWS),
    }


def _pairs_table(stage: str, pairs: pd.DataFrame, ours: str) -> Table:
    _, _, value, error, _ = COMPARED[stage]
    has_pressure = "pressure_bar" in pairs.columns
    rows = [
        [
            r["name"],
            *([general(r["pressure_bar"])] if has_pressure else []),
            with_error(r[value], r[error]),
            with_error(r[f"{value}_reference"], r[f"{error}_reference"]),
            _deviation(r[value], r[f"{value}_reference"]),
            decimal(r["deviation_se"], 1),
        ]
        for _, r in pairs.head(MAX_ROWS).iterrows()
    ]
    quantity = QUANTITIES[stage]
    heads = [f"{ours}: {quantity}", f"{reference_of(stage)}: {quantity}"]
    heads += ["Deviation (%)", "In standard errors"]
    return Table(["Structure", *(["Pressure (bar)"] if has_pressure else []), *heads], rows)


def _deviation(value: float, reference: float) -> Number:
    if not reference:
        return Number(NOT_A_NUMBER)
    return decimal(100 * (value - reference) / reference, 1)


def agreement(table: pd.DataFrame, value: str) -> dict:
    """How well our engine agrees with the reference code.

    Parameters
    ----------
    table : DataFrame
        As :func:`poreflux.run.crosscheck.compare` returns.
    value : str
        The compared column.

    Returns
    -------
    dict
        n (pairs with a deviation in standard errors), agree (within :data:`AGREEMENT_SE`),
        worst (row of the largest deviation, or None), relative (median of the absolute
        relative deviation), failed (rows without a pair), chi_square and probability (of all
        deviations together, :func:`poreflux.report.statistics.joint_deviation`).
    """
    pairs = finite(usable(table, value, f"{value}_reference"), value, f"{value}_reference")
    judged = finite(usable(pairs, "deviation_se"), "deviation_se")
    size = judged["deviation_se"].abs()
    chi_square, probability = joint_deviation(judged["deviation_se"].to_numpy())
    reference = pairs[f"{value}_reference"]
    relative = ((pairs[value] - reference) / reference.where(reference != 0)).abs()
    return {
        "n": len(judged),
        "agree": int((size <= AGREEMENT_SE).sum()),
        "worst": judged.loc[size.idxmax()] if len(judged) else None,
        "relative": quartiles(relative)[1],
        "failed": len(table) - len(pairs),
        "chi_square": chi_square,
        "probability": probability,
    }


@styled
def draw_parity(
    table: pd.DataFrame, value: str, error: str, quantity: str, engines: tuple
) -> Figure:
    """Our engine against the reference code, and the deviation in percent.

    Parameters
    ----------
    table : DataFrame
        name, ``value`` and ``error``, each also with ``_reference``; values finite.
    quantity : str
        Label with unit.
    engines : tuple of 2 str
        Names of ours and of the reference.
    """
    figure, axes = grid(1, 2, height=3.5)
    left, right = axes[0]
    both = table[[value, f"{value}_reference"]].to_numpy(float)
    low, high = both.min(), both.max()
    logarithmic = low > 0
    margin = 0.08 * (high - low or abs(high) or 1)
    limits = (low / 1.6, high * 1.6) if logarithmic else (low - margin, high + margin)
    left.plot(limits, limits, color=GREY, lw=1, zorder=1)
    right.axhline(0, color=GREY, lw=1, zorder=1)
    handles = []
    names = list(dict.fromkeys(table["name"]))
    for k, name in enumerate(names):
        rows = table[table["name"] == name]
        x, y = rows[f"{value}_reference"], rows[value]
        x_err, y_err = rows[f"{error}_reference"].fillna(0), rows[error].fillna(0)
        style = {
            "fmt": MARKERS[k % len(MARKERS)],
            "color": PALETTE[k % len(PALETTE)],
            "elinewidth": 1,
            "capsize": 2.5,
            "ls": "none",
            "label": plain(name),
        }
        handles.append(left.errorbar(x, y, xerr=x_err, yerr=y_err, **style))
        scale = 100 / x.where(x != 0).abs()
        right.errorbar(x, (y - x) * scale, yerr=np.hypot(x_err, y_err) * scale, **style)
    left.set(xlim=limits, ylim=limits)
    for axis in axes[0]:
        axis.set_xlabel(f"{engines[1]}: {quantity}")
        axis.set_xlim(limits)
    left.set_ylabel(f"{engines[0]}: {quantity}")
    right.set_ylabel("Deviation (%)")
    right.margins(y=0.15)
    if logarithmic:
        left.set(xscale="log", yscale="log")
        right.set_xscale("log")
        for axis in (left.xaxis, left.yaxis, right.xaxis):
            log_ticks(axis, both)
    if len(names) <= MAX_LEGEND:
        legend_above(figure, handles)
    return figure
