"""Predictions for conditions that were never run."""

from __future__ import annotations

from poreflux.report.numbers import with_interval
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.statistics import finite, usable
from poreflux.report.synthesis_study import SynthesisStudy, in_words

TITLE = "Conditions that were never run"


def conditions(study: SynthesisStudy) -> Section:
    """What is predicted for each, and whether it lies within the in-house range."""
    given = usable(study.tables["new_conditions"], "row", "low", "high", "in_domain", "variant")
    table = finite(given, "predicted") if "predicted" in given else given.iloc[:0]
    if table.empty:
        return missing_section("conditions", TITLE, "New conditions", study.why("new_conditions"))
    with_case = "case" in table.columns
    if not with_case:
        table = table.assign(case=study.cases[0] if study.cases else "")
    within = [value is True or value == 1 for value in table["in_domain"]]
    rows = [
        [
            *([r.case] if with_case else []),
            r.row,
            with_interval(r.predicted, r.low, r.high),
            "yes" if inside else "no: extrapolation",
            in_words(r.variant),
        ]
        for r, inside in zip(table.itertuples(), within, strict=True)
    ]
    quantity = study.quantity(str(table["case"].iloc[0]))
    heads = [*(["Case"] if with_case else []), "Row", f"Predicted: {quantity}"]
    body = render(
        "synthesis/conditions",
        predictions=Table([*heads, "Within the in-house range?", "Variant"], rows),
        conditions=len(rows),
        outside=within.count(False),
    )
    return Section("conditions", TITLE, body)
