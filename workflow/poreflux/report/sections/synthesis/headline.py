"""What came out of the cases, in boxes and sentences."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from poreflux.report.rendering import render
from poreflux.report.sections.synthesis.comparisons import (
    AUGMENTATIONS,
    NO,
    TRANSFER_PAIR,
    UNDECIDED,
    UNKNOWN,
    YES,
    comparisons_of,
    tally,
    tally_in_words,
)
from poreflux.report.statistics import finite
from poreflux.report.synthesis_study import SynthesisStudy, in_words
from poreflux.synthesis import LEAVE_ONE_OUT


def headline(study: SynthesisStudy) -> Markup:
    """Whether transfer and augmentation help, over all cases."""
    moved = comparisons_of(study, *TRANSFER_PAIR)
    counts = tally(moved)
    grown = {pair: comparisons_of(study, *pair) for pair in AUGMENTATIONS}
    of_grown = tally(row for rows in grown.values() for row in rows)
    scaled = [
        row
        for row in moved
        if study.logarithmic(str(row["case"])) and row["verdict_scaled"] != UNKNOWN
    ]
    mean = comparisons_of(study, "mean", "transfer")
    return render(
        "synthesis/headline",
        synthetic=bool(study.facts.get("synthetic")),
        cases=len(moved),
        why=study.why("comparisons"),
        better=counts[YES],
        worse=counts[NO],
        undecided=counts[UNDECIDED] + counts[UNKNOWN],
        in_words=tally_in_words(counts),
        lower=sum(row["rmse_difference"] < 0 for row in moved),
        scaled=tally_in_words(tally(scaled, "verdict_scaled")) if scaled else "",
        augmentations=sum(of_grown.values()),
        augmentations_better=of_grown[YES],
        augmentations_worse=of_grown[NO],
        augmented=[
            {"variant": in_words(against), "in_words": tally_in_words(tally(rows))}
            for (_, against), rows in grown.items()
            if rows
        ],
        mean_cases=len(mean),
        # the comparison is of the mean with transfer: where the mean is worse, transfer gains
        above_mean=sum(row["verdict"] == NO for row in mean),
        same_rows=_same_rows(study),
    )


def _same_rows(study: SynthesisStudy) -> list[list[str]]:
    """Cases that ask of the same measurements."""
    known: dict[tuple, list[str]] = {}
    for case in study.cases:
        rows = finite(study.of("predictions", case, "scheme", "row", "target"), "target")
        rows = rows[rows["scheme"] == LEAVE_ONE_OUT].drop_duplicates("row")
        if len(rows):
            known.setdefault(tuple(np.sort(rows["target"].to_numpy())), []).append(case)
    return [cases for cases in known.values() if len(cases) > 1]
