"""Differences of errors between two variants, judged by their intervals, and in words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from poreflux.report.numbers import Number, counted, with_interval
from poreflux.report.statistics import finite
from poreflux.report.synthesis_study import SynthesisStudy
from poreflux.synthesis import LEAVE_ONE_OUT

TRANSFER = ("transfer", "in_house")
AUGMENTATIONS = (
    ("in_house_augmentation", "in_house"),
    ("augmentation", "baseline"),
    ("transfer_augmentation", "transfer"),
)
YES, NO = "yes", "no"
UNDECIDED, UNKNOWN = "undecided: interval holds zero", "not known: no interval"
COMPARED = ("scheme", "variant", "against", "rmse_difference", "rmse_low", "rmse_high")


def judged(low: float, high: float) -> str:
    """Whether a difference of errors with this interval is an improvement, in words.

    >>> judged(-3.0, -1.0), judged(1.0, 2.0), judged(-1.0, 0.0)
    ('yes', 'no', 'undecided: interval holds zero')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNKNOWN
    if high < 0:
        return YES
    return NO if low > 0 else UNDECIDED


def comparison(study: SynthesisStudy, case: str, variant: str, against: str) -> dict | None:
    """A comparison, every condition left out once, as a dict; None where there is none.

    ``rmse_difference`` is finite; ``verdict`` judges it in the target's unit and
    ``verdict_scaled`` on its scale.
    """
    scaled = ("rmse_scaled_low", "rmse_scaled_high")
    table = finite(study.of("comparisons", case, *COMPARED, *scaled), "rmse_difference")
    rows = table[
        (table["scheme"] == LEAVE_ONE_OUT)
        & (table["variant"] == variant)
        & (table["against"] == against)
    ]
    if rows.empty:
        return None
    row = rows.iloc[0].to_dict()
    row["verdict"] = judged(row["rmse_low"], row["rmse_high"])
    row["verdict_scaled"] = judged(*(row[c] for c in scaled))
    return row


def comparisons_of(study: SynthesisStudy, variant: str, against: str) -> list[dict]:
    """:func:`comparison` of every case that has it."""
    rows = (comparison(study, case, variant, against) for case in study.cases)
    return [row for row in rows if row is not None]


def tally(rows: Iterable[dict], key: str = "verdict") -> dict[str, int]:
    """How often each of the four verdicts was given in comparisons."""
    verdicts = [row[key] for row in rows]
    return {word: verdicts.count(word) for word in (YES, NO, UNDECIDED, UNKNOWN)}


def tally_in_words(counts: dict[str, int]) -> str:
    """Verdicts as part of a sentence.

    >>> tally_in_words(tally([{"verdict": YES}, {"verdict": UNDECIDED}]))
    'better in 1 of 2 cases, worse in 0, undecided in 1'
    """
    n = sum(counts.values())
    text = (
        f"better in {counts[YES]} of {counted(n, 'case')}, worse in {counts[NO]}, "
        f"undecided in {counts[UNDECIDED]}"
    )
    return text + (f", without an interval in {counts[UNKNOWN]}" if counts[UNKNOWN] else "")


def difference(row: dict) -> Number:
    """A comparison's difference of the RMSE with its interval."""
    return with_interval(row["rmse_difference"], row["rmse_low"], row["rmse_high"])
