"""Weights and trees that the inner loops chose, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from poreflux.report.figures.axes import LONGEST, rows_axis
from poreflux.report.figures.style import TRANSFER, grid, plain, styled
from poreflux.report.numbers import Number, percent, whole
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.statistics import finite, usable
from poreflux.report.synthesis_study import SynthesisStudy, in_words

TITLE = "Weights and trees that the folds chose"
# Variants, the column of their choice, and what it is.
_CHOSEN = (
    ("transfer", "weight", "In-house weight"),
    ("transfer_augmentation", "weight", "In-house weight"),
    ("continued", "added_trees", "Trees added"),
)


def section(study: SynthesisStudy) -> Section:
    """How many folds chose which value."""
    parts = [_counted(study, *spec) for spec in _CHOSEN]
    panels = {head: (label, table) for head, label, table in parts if len(table)}
    if not panels:
        return missing_section("choices", TITLE, "The choices", study.why("choices"))
    rows = [
        _choice_line(case, head, part)
        for head, (_, table) in panels.items()
        for case, part in table.groupby("case", sort=False)
    ]
    cases = [c for c in study.cases if any(c in set(t["case"]) for _, t in panels.values())]
    heads = ["Case", "Choice", "Folds", "Most often", "Median", "Range"]
    body = render(
        "synthesis/choices",
        picture=study.draw("choices", draw_choices(panels, cases)),
        chosen=Table(heads, rows),
        at_edge=_at_edge(study, panels),
    )
    return Section("choices", TITLE, body)


def _counted(study: SynthesisStudy, variant: str, column: str, label: str):
    table = usable(study.tables.get("choices"), "case", "variant", column)
    table = finite(table[table["variant"] == variant], column)
    counts = table.groupby(["case", column], sort=False).size().reset_index(name="folds")
    counts = counts.rename(columns={column: "value"})
    order = {case: k for k, case in enumerate(study.cases)}
    counts["case"] = counts["case"].astype(str)
    counts = counts.assign(place=counts["case"].map(order)).sort_values(["place", "value"])
    return in_words(variant), label, counts.drop(columns="place").reset_index(drop=True)


def _choice_line(case: str, head: str, part: pd.DataFrame) -> list:
    values = np.repeat(part["value"].to_numpy(), part["folds"].to_numpy())
    top = part.loc[part["folds"].idxmax()]
    return [
        case,
        head,
        whole(len(values)),
        Number(f"{top['value']:g} ({percent(top['folds'] / len(values))})"),
        Number(f"{np.median(values):g}"),
        Number(f"{values.min():g} to {values.max():g}"),
    ]


def _at_edge(study: SynthesisStudy, panels: Mapping) -> list[str]:
    """Where the candidates end at what most folds want, in words."""
    candidates = study.setting("synthesis", "transfer", "weights")
    if not isinstance(candidates, list | tuple) or len(candidates) < 2:
        return []
    ends = {float(max(candidates)): "largest", float(min(candidates)): "smallest"}
    found = []
    for head, (label, table) in panels.items():
        if label != _CHOSEN[0][2]:
            continue
        for case, part in table.groupby("case", sort=False):
            top = part.loc[part["folds"].idxmax(), "value"]
            if top in ends:
                found.append(f"{case}, {head}: {ends[top]} ({top:g})")
    return found


@styled
def draw_choices(panels: Mapping[str, tuple[str, pd.DataFrame]], cases: Sequence[str]) -> Figure:
    """What the folds chose: a circle per value, its area and number the folds that chose it.

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
    rows_axis(axes[0, 0], cases)
    axes[0, 0].set_ylim(len(cases) - 0.4, -0.6)
    return figure
