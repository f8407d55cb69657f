"""What there was to learn from, and how well the literature alone predicts."""

from __future__ import annotations

import math

from poreflux.report.numbers import (
    NOT_A_NUMBER,
    Number,
    decimal,
    percent,
    significant,
    whole,
    whole_or_dash,
    with_interval,
)
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.statistics import finite, usable
from poreflux.report.synthesis_study import TABLE_WORDS, SynthesisStudy

# A table of more rows is folded.
LONG_TABLE = 12
TITLE = "The data and the literature's own model"
_COUNTS = ("n_literature", "n_groups", "n_in_house", "n_conditions")


def section(study: SynthesisStudy) -> Section:
    """Rows of both tables, values that are missing, rows left out, the literature's own model."""
    cases = [case for case in study.cases if not study.of("summary", case).empty]
    if not cases:
        return missing_section("data", TITLE, "The data", study.why("summary"))
    heads = ["Case", "Target", "Literature rows", "Articles (groups)", "In-house rows"]
    heads += ["Conditions", "In-house target", "Literature median"]
    own = ["Case", "Depth", "Trees", "RMSE by article", "Standard deviation", "R²", "In words"]
    body = render(
        "synthesis/data",
        rows=Table(heads, [_data_line(study, case) for case in cases]),
        gaps=_missing_values(study),
        gaps_why=study.why("missing"),
        dropped=_dropped(study),
        dropped_why=study.why("dropped"),
        own=Table(own, [_literature_line(study, case) for case in cases]),
        long_table=LONG_TABLE,
    )
    return Section("data", TITLE, body)


def _data_line(study: SynthesisStudy, case: str) -> list:
    ends = [study.fact(case, f"in_house_{x}", math.nan) for x in ("median", "min", "max")]
    return [
        case,
        study.quantity(case),
        *(whole_or_dash(study.fact(case, c, None)) for c in _COUNTS),
        with_interval(*ends),
        significant(study.fact(case, "literature_median", None)),
    ]


def _literature_line(study: SynthesisStudy, case: str) -> list:
    rmse, sd = (study.fact(case, f"literature_{x}_scaled", math.nan) for x in ("rmse", "sd"))
    r2 = 1 - (rmse / sd) ** 2 if sd > 0 else math.nan
    words = NOT_A_NUMBER
    if math.isfinite(r2):
        words = f"{percent(abs(r2))} of the variance " + (
            "explained" if r2 >= 0 else "added to it: worse than the mean"
        )
        if study.logarithmic(case):
            words += (
                f"; typically off by a factor {decimal(10**rmse, 1)}, the mean by "
                f"{decimal(10**sd, 1)}"
            )
    depth, trees = (whole_or_dash(study.fact(case, c, None)) for c in ("max_depth", "n_trees"))
    return [
        case,
        depth,
        trees,
        decimal(rmse, 3),
        decimal(sd, 3),
        decimal(r2),
        words,
    ]


def _missing_values(study: SynthesisStudy) -> Table | None:
    """Columns that lack values; None if nobody said whether any does."""
    given = usable(study.tables.get("missing"), "case", "table", "column", "n_missing", "n_rows")
    table = finite(given, "n_missing", "n_rows")
    if table.empty:
        return None
    rows = [
        [
            r.case,
            TABLE_WORDS.get(r.table, r.table),
            study.feature(str(r.column)),
            Number(f"{whole(r.n_missing)} of {whole(r.n_rows)}"),
        ]
        for r in table[table["n_missing"] > 0].itertuples()
    ]
    return Table(["Case", "Table", "Column", "Missing"], rows)


def _dropped(study: SynthesisStudy) -> dict | None:
    """How many rows were left out, and why; None if nobody said."""
    given = study.tables.get("dropped")
    if given is None:
        return None
    columns = ["table", "column", "reason"]
    counts = usable(given, *columns).groupby(columns, dropna=False, sort=False).size()
    rows = [
        [TABLE_WORDS.get(table, table), column, reason, whole(n)]
        for (table, column, reason), n in counts.sort_values(ascending=False, kind="stable").items()
    ]
    return {"n": len(given), "table": Table(["Table", "Column", "Reason", "Rows"], rows)}
