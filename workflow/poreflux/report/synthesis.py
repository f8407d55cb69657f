"""The page of the stage ``synthesis``: does a literature table help a small in-house one?

``build`` writes it from the tables of :mod:`poreflux.synthesis.case`, several cases put together.
Every judgement in words is computed: an interval clear of zero decides, one that holds zero does
not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from poreflux.report import overview, page
from poreflux.report import synthesis_figures as figures
from poreflux.report.page import Html, Number, Section
from poreflux.report.study import Study, safe_name
from poreflux.report.summary import finite, usable
from poreflux.synthesis import LEAVE_ONE_OUT

PAPER_AUTHORS, PAPER_DOI = "Du", "10.1016/j.nwnano.2025.100153"
SUBTITLE = "From synthesis conditions to particle size, literature to laboratory"
VARIANT_WORDS = {
    "mean": "mean of the in-house rows",
    "literature": "literature only",
    "in_house": "in-house only",
    "in_house_augmentation": "in-house only, augmented",
    "baseline": "both, equal weights (baseline)",
    "augmentation": "both, equal weights, augmented",
    "transfer": "transfer (weighted)",
    "continued": "transfer (continued booster)",
    "transfer_augmentation": "transfer (weighted), augmented",
}
# They learn nothing from in-house conditions, and may lie far from all others.
UNLEARNT = ("mean", "literature")
TRANSFER = ("transfer", "in_house")
AUGMENTATIONS = (
    ("in_house_augmentation", "in_house"),
    ("augmentation", "baseline"),
    ("transfer_augmentation", "transfer"),
)
STAGE_WORDS = {"before": "before transfer (literature)", "after": "after transfer"}
METHOD_WORDS = {"gain": "gain of splits", "permutation": "permutation", "shap": "mean |SHAP|"}
TABLE_WORDS = {"literature": "literature", "in_house": "in-house"}
YES, NO = "yes", "no"
UNDECIDED, UNKNOWN = "undecided: interval holds zero", "not known: no interval"
# A table of more rows is folded, and more levels of a category are not all drawn.
LONG_TABLE, MANY_LEVELS = 12, 8
COMPARED = ("scheme", "variant", "against", "rmse_difference", "rmse_low", "rmse_high")


@dataclass
class SynthesisStudy(Study):
    """A study whose tables hold several cases, told apart by their column ``case``."""

    def __post_init__(self):
        found = [t["case"] for t in self.tables.values() if t is not None and "case" in t]
        self.cases = list(dict.fromkeys(str(c) for column in found for c in column))
        self._slugs: dict[str, str] = {}
        for case in self.cases:
            slug = safe_name(case)
            while slug in self._slugs.values():
                slug += "_"
            self._slugs[case] = slug

    def slug(self, case: str) -> str:
        """A case's name as part of a file name; different cases never share it."""
        return self._slugs[case]

    def of(self, key: str, case: str, *columns: str) -> pd.DataFrame:
        """A case's rows of a table, with at least ``columns``; maybe none."""
        table = usable(self.tables.get(key), "case", *columns)
        return table[table["case"].astype(str) == case].reset_index(drop=True)

    def why_case(self, key: str, case: str) -> str:
        """In words: why a case has nothing to show of a table."""
        table = self.tables.get(key)
        if table is None or table.empty:
            return self.why(key)
        holds_case = not self.of(key, case).empty
        reason = f"no finite numbers of the case {case}" if holds_case else f"no case {case}"
        return f"the table {key} holds {reason}"

    def fact(self, case: str, column: str, default=""):
        """One value of the summary of a case, or ``default``."""
        rows = self.of("summary", case, column)
        value = rows[column].iloc[0] if len(rows) else None
        return default if value is None or pd.isna(value) else value

    def quantity(self, case: str) -> str:
        """The target in words with its unit."""
        name, unit = str(self.fact(case, "target", "target")), str(self.fact(case, "unit"))
        return _with_unit(name, unit)

    def logarithmic(self, case: str) -> bool:
        """Whether the case's target is learnt on a logarithmic scale."""
        return self.fact(case, "scale") == "log"

    def feature(self, name: str) -> str:
        """A column in words, with its unit where the configuration gives one."""
        unit = self.setting("synthesis", "columns", "numeric", name, "unit", default="")
        return _with_unit(name, str(unit or ""))

    def variants(self, tables: Iterable[pd.DataFrame]) -> dict[str, str]:
        """Variants in the order of appearance, in words."""
        names = dict.fromkeys(v for table in tables for v in table["variant"])
        return {name: in_words(name) for name in names}


def build(tables: dict[str, pd.DataFrame], facts: dict, folder: str | Path) -> Path:
    """Write ``index.html`` and ``figures/*.png`` and ``*.svg``.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By the names in :data:`poreflux.synthesis.TABLES`, each with the column ``case`` and
        any number of cases; optional ``dropped`` (table, row, column, reason) and
        ``new_conditions`` (row, predicted, low, high, in_domain, variant; maybe case). Any may be
        missing or empty: the page says so.
    facts : dict
        ``study`` (name), ``config`` (the complete configuration), ``engines`` (versions of
        packages by stage).
    folder : str or Path
        Made if need be. Figures of an earlier report that this one does not have are removed.

    Returns
    -------
    Path
        The page.

    Notes
    -----
    Equal tables and facts give equal files.
    """
    study = SynthesisStudy(tables, facts, Path(folder) / "figures")
    study.folder.mkdir(parents=True, exist_ok=True)
    sections = [verdict(study), data(study), scores(study), choices(study), interpretation(study)]
    if tables.get("new_conditions") is not None:
        sections.append(new_conditions(study))
    sections.append(overview.provenance(study, PAPER_AUTHORS, PAPER_DOI, "tables", ()))
    return study.write(SUBTITLE, headline(study), sections)


def in_words(variant: str) -> str:
    """A variant's name in words."""
    return VARIANT_WORDS.get(variant, str(variant).replace("_", " "))


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


def tally(verdicts: Iterable[str]) -> dict[str, int]:
    """How often each of the four verdicts was given."""
    verdicts = list(verdicts)
    return {word: verdicts.count(word) for word in (YES, NO, UNDECIDED, UNKNOWN)}


def tally_in_words(counts: dict[str, int]) -> str:
    """Verdicts as part of a sentence.

    >>> tally_in_words(tally([YES, UNDECIDED]))
    'better in 1 of 2 cases, worse in 0, undecided in 1'
    """
    n = sum(counts.values())
    text = (
        f"better in {counts[YES]} of {page.counted(n, 'case')}, worse in {counts[NO]}, "
        f"undecided in {counts[UNDECIDED]}"
    )
    return text + (f", without an interval in {counts[UNKNOWN]}" if counts[UNKNOWN] else "")


def _found(study: SynthesisStudy, variant: str, against: str) -> list[dict]:
    rows = (comparison(study, case, variant, against) for case in study.cases)
    return [row for row in rows if row is not None]


def headline(study: SynthesisStudy) -> list[Html]:
    """What came out, in boxes and sentences."""
    moved = _found(study, *TRANSFER)
    if not moved:
        why = "no case compares transfer with in-house rows alone"
        return [page.missing("The verdict", f"{why} ({study.why('comparisons')})")]
    counts = tally(row["verdict"] for row in moved)
    grown = [row for pair in AUGMENTATIONS for row in _found(study, *pair)]
    grown_counts = tally(row["verdict"] for row in grown)
    n = len(moved)
    boxes = [
        (f"{counts[YES]} / {n}", "cases in which transfer clearly beats in-house rows alone"),
        (f"{counts[NO]} / {n}", "cases in which transfer is clearly worse"),
        (f"{counts[UNDECIDED] + counts[UNKNOWN]} / {n}", "cases that stay undecided"),
    ]
    if grown:
        boxes.append(
            (
                f"{grown_counts[YES]} / {len(grown)}",
                f"comparisons that augmentation clearly wins; it clearly loses {grown_counts[NO]}",
            )
        )
    remark = (
        "Clearly, better and worse mean that the 95 % interval of the difference of the RMSE, "
        "bootstrapped over conditions, every condition left out once, does not hold zero."
    )
    return [page.tiles(boxes), page.bullets(_sentences(study, moved)), page.remark(remark)]


def _sentences(study: SynthesisStudy, moved: list[dict]) -> list[str]:
    lower = sum(row["rmse_difference"] < 0 for row in moved)
    sentences = [
        f"Transfer against in-house rows alone: {tally_in_words(_tally(moved))}. Its RMSE is the "
        f"lower one, whatever the interval, in {lower} of {len(moved)}."
    ]
    scaled = [
        row
        for row in moved
        if study.logarithmic(str(row["case"])) and row["verdict_scaled"] != UNKNOWN
    ]
    if scaled:
        sentences.append(
            "On the logarithmic scale on which the models are fitted: "
            f"{tally_in_words(_tally(scaled, 'verdict_scaled'))}."
        )
    parts = [
        f"{in_words(against)}: {tally_in_words(_tally(rows))}"
        for variant, against in AUGMENTATIONS
        if (rows := _found(study, variant, against))
    ]
    if parts:
        sentences.append(f"Synthetic rows added (augmentation) to {'; to '.join(parts)}.")
    else:
        sentences.append("No case compares augmentation with the same variant without it.")
    mean = _found(study, "mean", "transfer")
    if mean:
        # The comparison is of the mean with transfer: where the mean is worse, transfer gains.
        ahead = sum(row["verdict"] == NO for row in mean)
        sentences.append(
            "Transfer predicts clearly better than the mean of the in-house rows in "
            f"{ahead} of {page.counted(len(mean), 'case')}."
        )
    return [*sentences, *_same_rows(study)]


def _tally(rows: list[dict], key: str = "verdict") -> dict[str, int]:
    return tally(row[key] for row in rows)


def verdict(study: SynthesisStudy) -> Section:
    """Transfer and augmentation, case by case."""
    title = "Does the literature help?"
    rows = [line for case in study.cases if (line := _verdict_line(study, case))]
    bare = [case for case in study.cases if _leave_one_out(study, case).empty]
    blocks = [
        page.paragraph(
            "Held-out error in every case, each condition left out once; all rows of a "
            "condition are held out together."
        )
    ]
    if rows:
        heads = ["Case", "Unit", *(in_words(v) for v in _SHOWN), "Lowest of all variants"]
        blocks += [
            page.table(heads, rows, "RMSE in the target's unit"),
            page.remark(
                "The lowest of all variants is chosen in hindsight, by these very errors, and so "
                "looks better than it will be.",
                *([f"Without such an error: {page.listed(bare)}."] if bare else []),
            ),
        ]
    else:
        blocks.append(page.missing("Errors by case", study.why("scores")))
    pairs = [TRANSFER, *AUGMENTATIONS]
    judgements = [
        [case, *(_answer(study, case, pair) for pair in pairs)]
        for case in study.cases
        if any(comparison(study, case, *pair) for pair in pairs)
    ]
    if not judgements:
        blocks.append(page.missing("Verdicts by case", study.why("comparisons")))
        return Section("verdict", title, blocks)
    blocks += [
        page.table(
            [
                "Case",
                "Transfer better than in-house only?",
                *(f"Augmentation better? {_capital(in_words(a))}" for _, a in AUGMENTATIONS),
            ],
            judgements,
            "Difference of the RMSE with its 95 % interval; below zero is better",
        ),
        page.remark(
            "yes: the whole interval lies below zero; no: it lies above zero, the error grew.",
            *_chance(study, pairs),
        ),
        *_verdict_figure(study, pairs),
    ]
    return Section("verdict", title, blocks)


_SHOWN = ("in_house", "baseline", "transfer", "transfer_augmentation")


def _verdict_line(study: SynthesisStudy, case: str) -> list | None:
    rows = _leave_one_out(study, case)
    if rows.empty:
        return None
    values = dict(zip(rows["variant"], rows["rmse"], strict=True))
    best = min(values, key=values.get)
    return [
        case,
        study.fact(case, "unit", page.NOT_A_NUMBER),
        *(page.significant(values.get(v)) for v in _SHOWN),
        f"{page.significant(values[best])} ({in_words(best)})",
    ]


def _leave_one_out(study: SynthesisStudy, case: str) -> pd.DataFrame:
    rows = finite(study.of("scores", case, "scheme", "variant", "rmse"), "rmse")
    return rows[rows["scheme"] == LEAVE_ONE_OUT].drop_duplicates("variant")


def _answer(study: SynthesisStudy, case: str, pair: tuple[str, str]) -> Html | str:
    row = comparison(study, case, *pair)
    if row is None:
        return page.NOT_A_NUMBER
    text = page.fill(
        "<b>{verdict}</b><br>{difference}", verdict=row["verdict"], difference=_difference(row)
    )
    differs = row["verdict_scaled"] not in (row["verdict"], UNKNOWN)
    if differs and study.logarithmic(case):
        # the unit of the target weighs large particles, its logarithm all alike
        word = row["verdict_scaled"].partition(":")[0]
        text = page.joined([text, page.fill("<br>on the log scale: {word}", word=word)])
    return text


def _difference(row: dict) -> Number:
    return page.with_interval(row["rmse_difference"], row["rmse_low"], row["rmse_high"])


def _chance(study: SynthesisStudy, pairs) -> list[str]:
    n = sum(comparison(study, case, *pair) is not None for case in study.cases for pair in pairs)
    return [
        f"Were there no difference at all, about {page.decimal(0.05 * n, 1)} of these "
        f"{page.counted(n, 'interval')} would miss zero by chance."
    ]


def _verdict_figure(study: SynthesisStudy, pairs) -> list[Html]:
    lines = []
    for case in study.cases:
        values = _leave_one_out(study, case).set_index("variant")["rmse"]
        for variant, against in pairs:
            row, base = comparison(study, case, variant, against), values.get(against, math.nan)
            if row is None or not base > 0:
                continue
            parts = [row[f"rmse_{x}"] for x in ("difference", "low", "high")]
            change, low, high = (100 * x / base for x in parts)
            lines.append((case, variant, change, low, high))
    if not lines:
        why = "no comparison has the error that it refers to"
        return [page.missing("The figure of the verdicts", why)]
    questions = {variant: f"augmentation of: {in_words(against)}" for variant, against in pairs}
    questions[TRANSFER[0]] = f"{in_words(TRANSFER[0])} against {in_words(TRANSFER[1])}"
    table = pd.DataFrame(lines, columns=["case", "question", "change", "low", "high"])
    return [
        study.figure(
            "verdicts",
            figures.verdicts(table, questions),
            "Change of the RMSE and its 95 % interval, in percent of the RMSE of what is compared "
            "with. Filled: the interval does not hold zero.",
            "Changes of the error by case; the numbers are in the table above.",
        )
    ]


def _same_rows(study: SynthesisStudy) -> list[str]:
    """Which cases ask of the same measurements."""
    known: dict[tuple, list[str]] = {}
    for case in study.cases:
        rows = finite(study.of("predictions", case, "scheme", "row", "target"), "target")
        rows = rows[rows["scheme"] == LEAVE_ONE_OUT].drop_duplicates("row")
        if len(rows):
            known.setdefault(tuple(np.sort(rows["target"].to_numpy())), []).append(case)
    return [
        f"The cases {page.listed(cases)} hold the same in-house measurements: their verdicts are "
        "not independent, and count as so many cases all the same."
        for cases in known.values()
        if len(cases) > 1
    ]


def data(study: SynthesisStudy) -> Section:
    """What there was to learn from."""
    title = "The data and the literature's own model"
    rows, own = [], []
    for case in study.cases:
        if study.of("summary", case).empty:
            continue
        rows.append(_data_line(study, case))
        own.append(_literature_line(study, case))
    if not rows:
        return Section("data", title, [page.missing("The data", study.why("summary"))])
    heads = ["Case", "Target", "Literature rows", "Articles (groups)", "In-house rows"]
    heads += ["Conditions", "In-house target", "Literature median"]
    blocks = [
        page.table(heads, rows, "In-house target: median (smallest to largest)"),
        *_missing_values(study),
        *_dropped(study),
        page.heading("What the literature knows of a new article"),
        page.paragraph(
            "Cross-validation grouped by article chose the depth and the number of trees. Its "
            "error is that of a model asked for an article it has not seen, on the scale that "
            "the models learn on; beside it the standard deviation of the literature's target, "
            "which is the error of always predicting the mean. As the structure was chosen by "
            "this very error, the error is a little too good."
        ),
        page.table(
            ["Case", "Depth", "Trees", "RMSE by article", "Standard deviation", "R²", "In words"],
            own,
        ),
        page.remark("R²: one minus the ratio of the squares of both."),
    ]
    return Section("data", title, blocks)


def _data_line(study: SynthesisStudy, case: str) -> list:
    ends = [study.fact(case, f"in_house_{x}", math.nan) for x in ("median", "min", "max")]
    return [
        case,
        study.quantity(case),
        *(_whole(study.fact(case, c, None)) for c in _COUNTS),
        page.with_interval(*ends),
        page.significant(study.fact(case, "literature_median", None)),
    ]


_COUNTS = ("n_literature", "n_groups", "n_in_house", "n_conditions")


def _literature_line(study: SynthesisStudy, case: str) -> list:
    rmse, sd = (study.fact(case, f"literature_{x}_scaled", math.nan) for x in ("rmse", "sd"))
    r2 = 1 - (rmse / sd) ** 2 if sd > 0 else math.nan
    words = page.NOT_A_NUMBER
    if math.isfinite(r2):
        words = f"{page.percent(abs(r2))} of the variance " + (
            "explained" if r2 >= 0 else "added to it: worse than the mean"
        )
        if study.logarithmic(case):
            words += (
                f"; typically off by a factor {page.decimal(10**rmse, 1)}, the mean by "
                f"{page.decimal(10**sd, 1)}"
            )
    depth, trees = (_whole(study.fact(case, c, None)) for c in ("max_depth", "n_trees"))
    return [
        case,
        depth,
        trees,
        page.decimal(rmse, 3),
        page.decimal(sd, 3),
        page.decimal(r2),
        words,
    ]


def _whole(value) -> Number:
    known = value is not None and math.isfinite(float(value))
    return page.whole(value) if known else Number(page.NOT_A_NUMBER)


def _missing_values(study: SynthesisStudy) -> list[Html]:
    given = usable(study.tables.get("missing"), "case", "table", "column", "n_missing", "n_rows")
    table = finite(given, "n_missing", "n_rows")
    if table.empty:
        return [page.missing("Missing values", study.why("missing"))]
    some = table[table["n_missing"] > 0]
    if some.empty:
        return [page.paragraph("No value of a feature is missing in any case.")]
    rows = [
        [
            r.case,
            TABLE_WORDS.get(r.table, r.table),
            study.feature(str(r.column)),
            page.Number(f"{page.whole(r.n_missing)} of {page.whole(r.n_rows)}"),
        ]
        for r in some.itertuples()
    ]
    heads = ["Case", "Table", "Column", "Missing"]
    return [_maybe_folded("Missing values", page.table(heads, rows, "Missing values"), len(rows))]


def _dropped(study: SynthesisStudy) -> list[Html]:
    columns = ["table", "column", "reason"]
    given = study.tables.get("dropped")
    if given is None:
        return [page.missing("Rows left out", study.why("dropped"))]
    if given.empty:
        return [page.paragraph("No row was left out of either table.")]
    counts = usable(given, *columns).groupby(columns, dropna=False, sort=False).size()
    rows = [
        [TABLE_WORDS.get(table, table), column, reason, page.whole(n)]
        for (table, column, reason), n in counts.sort_values(ascending=False, kind="stable").items()
    ]
    table = page.table(["Table", "Column", "Reason", "Rows"], rows, "Rows left out, by reason")
    title = f"Rows left out: {page.whole(len(given))}"
    return [_maybe_folded(title, table, len(rows))]


def _maybe_folded(title: str, content: Html, n_rows: int) -> Html:
    return page.folded(title, content) if n_rows > LONG_TABLE else content


def _by_case(study: SynthesisStudy, part) -> list[Html]:
    """``part(study, case)`` of every case, each under its name, the first one open."""
    return [
        page.folded(
            page.fill("<b>{case}</b>", case=case),
            page.joined(part(study, case), "\n"),
            opened=k == 0,
        )
        for k, case in enumerate(study.cases)
    ]


def scores(study: SynthesisStudy) -> Section:
    """Every variant on held-out conditions, case by case."""
    title = "Held-out predictions, case by case"
    if not study.cases:
        return Section("scores", title, [page.missing("Scores", study.why("scores"))])
    blocks = [
        page.paragraph(
            "Two schemes: every condition left out once, and repeated K-fold over conditions. "
            "Intervals are 95 %, bootstrapped over conditions. Variants are compared on the same "
            "rows, so that what makes a condition hard for all of them cancels: the difference "
            "of two variants can be clear of zero where their intervals overlap."
        ),
        *_by_case(study, _case_scores),
    ]
    return Section("scores", title, blocks)


def _case_scores(study: SynthesisStudy, case: str) -> list[Html]:
    table = finite(study.of("scores", case, "scheme", *_METRICS), "rmse")
    blocks = []
    if table.empty:
        blocks.append(page.missing("Errors by variant", study.why_case("scores", case)))
    else:
        words = study.variants([table])
        blocks += [_score_table(study, case, table), _error_figure(study, case, table, words)]
    return [*blocks, *_parity(study, case), *_differences(study, case)]


_METRICS = (
    "variant",
    *(f"{m}{end}" for m in ("rmse", "mae", "r2") for end in ("", "_low", "_high")),
)


def _score_table(study: SynthesisStudy, case: str, table: pd.DataFrame) -> Html:
    rows = [
        [
            in_words(r.variant),
            r.scheme,
            page.with_interval(r.rmse, r.rmse_low, r.rmse_high),
            page.with_interval(r.mae, r.mae_low, r.mae_high),
            _r2(r.r2, r.r2_low, r.r2_high),
        ]
        for r in table.itertuples()
    ]
    unit = study.fact(case, "unit")
    heads = [f"{name} ({unit})" if unit else name for name in ("RMSE", "MAE")]
    return page.table(
        ["Variant", "Scheme", *heads, "R²"], rows, "Held-out errors with 95 % intervals"
    )


def _r2(value, low, high) -> Number:
    if not all(math.isfinite(x) for x in (value, low, high)):
        return page.decimal(value)
    return Number(f"{page.decimal(value)} ({page.decimal(low)} to {page.decimal(high)})")


def _error_figure(study: SynthesisStudy, case: str, table: pd.DataFrame, words) -> Html:
    own = table[table["scheme"] == LEAVE_ONE_OUT]
    lowest = own.loc[own["rmse"].idxmin()] if len(own) else table.loc[table["rmse"].idxmin()]
    return study.figure(
        f"rmse_{study.slug(case)}",
        figures.errors(table, words, f"RMSE: {study.quantity(case)}"),
        "RMSE with 95 % intervals. Intervals of different variants share the same conditions: "
        "compare variants by the differences below, not by whether these overlap.",
        f"RMSE by variant; the lowest is that of {in_words(lowest['variant'])}.",
    )


def _parity(study: SynthesisStudy, case: str) -> list[Html]:
    what = "Predictions against measurements"
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
        return [page.missing(what, study.why_case("predictions", case))]
    drawing = figures.parity(panels, study.quantity(case), logarithmic=study.logarithmic(case))
    return [
        study.figure(
            f"parity_{study.slug(case)}",
            drawing,
            "Held-out predictions against measurements, every condition left out once; on the "
            "line they are equal.",
            f"Predicted against measured: {page.listed(list(panels))}.",
        )
    ]


def _differences(study: SynthesisStudy, case: str) -> list[Html]:
    given = study.of("comparisons", case, *COMPARED, "probability", "folds_won")
    table = finite(given, "rmse_difference")
    if table.empty:
        why = study.why_case("comparisons", case)
        return [page.missing("Differences between variants", why)]
    references = {r: in_words(r) for r in ("in_house", "baseline") if r in set(table["against"])}
    blocks = []
    if references:
        shown = table[table["against"].isin(references)]
        drawing = figures.differences(
            shown,
            study.variants([shown]),
            references,
            UNLEARNT,
            f"Difference of RMSE ({study.fact(case, 'unit')})".removesuffix(" ()"),
        )
        blocks.append(
            study.figure(
                f"differences_{study.slug(case)}",
                drawing,
                "Difference of the RMSE from that of the reference, with 95 % intervals; left of "
                "zero the variant is better. Filled: the interval does not hold zero. A number "
                "at the edge is a value beyond the axis.",
                "Differences of the error; the numbers are in the table below.",
            )
        )
    rows = [
        [
            in_words(r["variant"]),
            in_words(r["against"]),
            r["scheme"],
            _difference(r),
            judged(r["rmse_low"], r["rmse_high"]),
            page.percent(r["probability"]),
            page.percent(r["folds_won"]),
        ]
        for r in table.to_dict("records")
    ]
    heads = ["Variant", "Against", "Scheme", "Difference of RMSE", "Better?"]
    heads += ["Samples won", "Folds won"]
    numbers = page.table(heads, rows, "Samples: of the bootstrap over conditions")
    return [*blocks, page.folded("All differences in numbers", numbers)]


def choices(study: SynthesisStudy) -> Section:
    """What the inner loops chose."""
    title = "Weights and trees that the folds chose"
    parts = [_counted_choices(study, *spec) for spec in _CHOSEN]
    panels = {head: (label, table) for head, label, table in parts if len(table)}
    if not panels:
        why = study.why("choices")
        return Section("choices", title, [page.missing("The choices", why)])
    rows = [
        _choice_line(case, head, part)
        for head, (_, table) in panels.items()
        for case, part in table.groupby("case", sort=False)
    ]
    cases = [c for c in study.cases if any(c in set(t["case"]) for _, t in panels.values())]
    blocks = [
        page.paragraph(
            "The weight is that of an in-house row relative to a literature row; an inner loop "
            "over the training conditions of each fold chooses it. A choice that differs from "
            "fold to fold means that so few conditions do not fix it."
        ),
        study.figure(
            "choices",
            figures.choices(panels, cases),
            "How many folds, of both schemes, chose each value.",
            "Chosen weights and added trees by case; the numbers are in the table below.",
        ),
        page.table(["Case", "Choice", "Folds", "Most often", "Median", "Range"], rows),
        *_edge(study, panels),
    ]
    return Section("choices", title, blocks)


_CHOSEN = (
    ("transfer", "weight", "In-house weight"),
    ("transfer_augmentation", "weight", "In-house weight"),
    ("continued", "added_trees", "Trees added"),
)


def _counted_choices(study: SynthesisStudy, variant: str, column: str, label: str):
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
        page.whole(len(values)),
        Number(f"{top['value']:g} ({page.percent(top['folds'] / len(values))})"),
        Number(f"{np.median(values):g}"),
        Number(f"{values.min():g} to {values.max():g}"),
    ]


def _edge(study: SynthesisStudy, panels) -> list[Html]:
    """A warning where the candidates end where most folds want to be."""
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
    if not found:
        return []
    return [
        page.note(
            f"Most often chosen at the edge of the candidates: {'; '.join(found)}. The best "
            "weight may lie beyond."
        )
    ]


def interpretation(study: SynthesisStudy) -> Section:
    """What the models look at, before and after transfer."""
    title = "What the models look at, before and after transfer"
    if not study.cases:
        why = study.why("importance")
        return Section("interpretation", title, [page.missing("Feature importance", why)])
    blocks = [
        page.paragraph(
            "Before: the model of the literature alone. After: the transfer model. Three "
            "measures of what a column weighs, each as a share of its sum: the gain of splits on "
            "the training rows, the loss of R² on held-out in-house rows when the column is "
            "shuffled, and the mean absolute SHAP value on in-house rows. None of them tells "
            "cause from coincidence: conditions that were varied together share their weight."
        ),
        *_by_case(study, _case_interpretation),
    ]
    return Section("interpretation", title, blocks)


def _case_interpretation(study: SynthesisStudy, case: str) -> list[Html]:
    return [*_importance(study, case), *_stability(study, case), *_dependence(study, case)]


def _importance(study: SynthesisStudy, case: str) -> list[Html]:
    columns = ("stage", "method", "feature", "share", "sd")
    table = finite(study.of("importance", case, *columns), "share")
    if table.empty:
        return [page.missing("Feature importance", study.why_case("importance", case))]
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
                tops.append(f"{features[top['feature']]} {stage} ({page.percent(top['share'])})")
        if tops:
            leaders.append(f"by {words} {' and '.join(tops)}")
    return [
        page.paragraph(f"Weighs most: {'; '.join(leaders)}." if leaders else ""),
        study.figure(
            f"importance_{study.slug(case)}",
            figures.importance(table, features, methods, stages),
            "Shares before and after transfer. Bars of error: standard deviation over models "
            "(folds); none where there is a single one.",
            f"Shares of each column; weighs most: {'; '.join(leaders)}.",
        ),
    ]


def _stages(table: pd.DataFrame) -> dict[str, str]:
    return {s: STAGE_WORDS.get(s, str(s)) for s in dict.fromkeys(table["stage"])}


def _stability(study: SynthesisStudy, case: str) -> list[Html]:
    columns = ("stage", "method", "n_models", "rank_correlation", "top3_agreement")
    table = study.of("stability", case, *columns)
    if table.empty:
        return [page.missing("Stability of the rankings", study.why_case("stability", case))]
    rows = [
        [
            METHOD_WORDS.get(r.method, r.method),
            STAGE_WORDS.get(r.stage, r.stage),
            _whole(r.n_models),
            page.decimal(r.rank_correlation),
            page.percent(r.top3_agreement),
        ]
        for r in table.itertuples()
    ]
    heads = ["Method", "Stage", "Models", "Rank correlation", "Top 3 in common"]
    return [
        page.table(heads, rows, "How alike the rankings of the folds' models are (mean of pairs)"),
        page.remark("A dash: a single model has nothing to agree with."),
    ]


def _dependence(study: SynthesisStudy, case: str) -> list[Html]:
    columns = ("stage", "feature", "value", "level", "n_in_house", "in_house_low", "in_house_high")
    table = finite(
        study.of("dependence", case, *columns, "predicted", "low", "high"),
        "predicted",
        "low",
        "high",
    )
    if study.logarithmic(case):
        table = table[table["low"] > 0]
    if table.empty:
        return [page.missing("Partial dependence", study.why_case("dependence", case))]
    stages, quantity = _stages(table), study.quantity(case)
    options = {"logarithmic": study.logarithmic(case)}
    numbers, blocks = finite(table, "value"), []
    if len(numbers):
        features = {f: study.feature(f) for f in dict.fromkeys(numbers["feature"])}
        blocks.append(
            study.figure(
                f"dependence_{study.slug(case)}",
                figures.dependence(numbers, features, stages, quantity, **options),
                "Partial dependence on numbers: the mean prediction over the in-house rows with "
                "one column set to a value. Band: smallest and largest over the models of the "
                "folds. Grey: where in-house rows are (a bar: they all have one value); outside "
                "it no in-house row speaks.",
                f"Partial dependence on {page.listed(list(features.values()))}.",
            )
        )
    categories = table[table["value"].isna() & table["level"].fillna("").astype(str).ne("")]
    if len(categories):
        shown, hidden = chosen_levels(categories)
        features = {f: study.feature(f) for f in dict.fromkeys(shown["feature"])}
        left_out = [f"{n} of {study.feature(f)}" for f, n in hidden.items() if n]
        blocks.append(
            study.figure(
                f"levels_{study.slug(case)}",
                figures.levels(shown, features, stages, quantity, **options),
                "Partial dependence on categories; line: smallest and largest over models; "
                "filled: in-house rows have that level, and how many."
                + (
                    f" Left out, levels without an in-house row that change the prediction "
                    f"least: {page.listed(left_out)}."
                    if left_out
                    else ""
                ),
                f"Partial dependence on {page.listed(list(features.values()))}.",
            )
        )
    return blocks


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


def new_conditions(study: SynthesisStudy) -> Section:
    """Predictions for conditions that were never run."""
    title = "Conditions that were never run"
    given = usable(study.tables["new_conditions"], "row", "low", "high", "in_domain", "variant")
    table = finite(given, "predicted") if "predicted" in given else given.iloc[:0]
    if table.empty:
        why = study.why("new_conditions")
        return Section("conditions", title, [page.missing("New conditions", why)])
    with_case = "case" in table.columns
    if not with_case:
        table = table.assign(case=study.cases[0] if study.cases else "")
    rows = [
        [
            *([r.case] if with_case else []),
            r.row,
            page.with_interval(r.predicted, r.low, r.high),
            "yes" if r.in_domain is True or r.in_domain == 1 else "no: extrapolation",
            in_words(r.variant),
        ]
        for r in table.itertuples()
    ]
    quantity = study.quantity(str(table["case"].iloc[0]))
    heads = [*(["Case"] if with_case else []), "Row", f"Predicted: {quantity}"]
    outside = sum(row[-2] != "yes" for row in rows)
    return Section(
        "conditions",
        title,
        [
            page.table([*heads, "Within the in-house range?", "Variant"], rows),
            page.remark(
                "In brackets: two held-out errors either way. Within the range: every category "
                "was run in-house and every number lies between the in-house extremes.",
                f"For {outside} of {page.counted(len(rows), 'condition')} it is not, and the "
                "error may be larger than the brackets say."
                if outside
                else "",
            ),
        ],
    )


def _with_unit(name: str, unit: str) -> str:
    """A column's name in words: its unit stands in brackets, not twice.

    >>> _with_unit("zn_mol_per_L", "mol/L"), _with_unit("solvent", "")
    ('zn (mol/L)', 'solvent')
    """
    suffix = "_" + unit.replace("/", "_per_").replace("°", "")
    if unit and name.endswith(suffix):
        name = name.removesuffix(suffix)
    words = name.replace("_", " ")
    return f"{words} ({unit})" if unit else words


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
