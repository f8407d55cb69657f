"""Does the literature help? Transfer and augmentation, case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from poreflux.learning.choice import best_variant
from poreflux.report.figures.axes import draw_intervals, legend_above, rows_axis, zero_line
from poreflux.report.figures.style import BLUE, GREY, ORANGE, TRANSFER, grid, styled
from poreflux.report.numbers import NOT_A_NUMBER, significant
from poreflux.report.rendering import Picture, Section, Table, render
from poreflux.report.sections.synthesis.comparisons import (
    AUGMENTATIONS,
    TRANSFER_PAIR,
    UNKNOWN,
    comparison,
    difference,
)
from poreflux.report.statistics import finite
from poreflux.report.synthesis_study import SynthesisStudy, in_words, leave_one_out

PAIRS = (TRANSFER_PAIR, *AUGMENTATIONS)
# Variants whose errors are set side by side.
SHOWN = ("in_house", "baseline", "transfer", "transfer_augmentation")


def section(study: SynthesisStudy) -> Section:
    """Errors of the main variants, and what they decide."""
    errors = [line for case in study.cases if (line := _error_line(study, case))]
    heads = ["Case", "Unit", *(in_words(v) for v in SHOWN), "Best of all variants"]
    judged = [_judged_line(study, case) for case in study.cases]
    judged = [line for line in judged if any(line["answers"])]
    body = render(
        "synthesis/verdict",
        errors=Table(heads, errors) if errors else None,
        errors_why=study.why("scores"),
        without_errors=[case for case in study.cases if leave_one_out(study, case).empty],
        augmented=[in_words(against) for _, against in AUGMENTATIONS],
        judged=judged,
        judged_why=study.why("comparisons"),
        comparisons=sum(answer is not None for line in judged for answer in line["answers"]),
        picture=_picture(study) if judged else None,
    )
    return Section("verdict", "Does the literature help?", body)


def _error_line(study: SynthesisStudy, case: str) -> list | None:
    rows = finite(leave_one_out(study, case), "rmse_scaled")
    if rows.empty:
        return None
    values = dict(zip(rows["variant"], rows["rmse"], strict=True))
    best = best_variant(rows)["variant"]
    return [
        case,
        study.fact(case, "unit", NOT_A_NUMBER),
        *(significant(values.get(v)) for v in SHOWN),
        f"{significant(values[best])} ({in_words(best)})",
    ]


def _judged_line(study: SynthesisStudy, case: str) -> dict:
    """A case and its answers, None where a pair is not compared."""
    return {"case": case, "answers": [_answer(study, case, pair) for pair in PAIRS]}


def _answer(study: SynthesisStudy, case: str, pair: tuple[str, str]) -> dict | None:
    row = comparison(study, case, *pair)
    if row is None:
        return None
    differs = row["verdict_scaled"] not in (row["verdict"], UNKNOWN)
    # the unit of the target weighs large particles, its logarithm all alike
    scaled = row["verdict_scaled"].partition(":")[0] if differs and study.logarithmic(case) else ""
    return {"verdict": row["verdict"], "difference": difference(row), "scaled": scaled}


def _picture(study: SynthesisStudy) -> Picture | None:
    lines = []
    for case in study.cases:
        values = leave_one_out(study, case).set_index("variant")["rmse"]
        for variant, against in PAIRS:
            row, base = comparison(study, case, variant, against), values.get(against, math.nan)
            if row is None or not base > 0:
                continue
            parts = [row[f"rmse_{x}"] for x in ("difference", "low", "high")]
            change, low, high = (100 * x / base for x in parts)
            lines.append((case, variant, change, low, high))
    if not lines:
        return None
    questions = {variant: f"augmentation of: {in_words(against)}" for variant, against in PAIRS}
    questions[TRANSFER_PAIR[0]] = (
        f"{in_words(TRANSFER_PAIR[0])} against {in_words(TRANSFER_PAIR[1])}"
    )
    table = pd.DataFrame(lines, columns=["case", "question", "change", "low", "high"])
    return study.draw("verdicts", draw_verdicts(table, questions))


@styled
def draw_verdicts(table: pd.DataFrame, questions: Mapping[str, str]) -> Figure:
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
        draw_intervals(axis, rows, "change", y, colour, "o" if k == 0 else "s", clear=True)
        axis.plot([], [], "o" if k == 0 else "s", color=colour, label=label)
    zero_line(axis)
    for line in range(1, len(cases)):
        axis.axhline(line - 0.5, color=GREY, lw=0.5, zorder=0)
    rows_axis(axis, cases)
    axis.set_ylim(len(cases) - 0.5, -0.5)
    axis.set_xlabel("Change of the RMSE (%); left of zero it is lower")
    legend_above(figure, axis.get_legend_handles_labels()[0], 2)
    return figure
