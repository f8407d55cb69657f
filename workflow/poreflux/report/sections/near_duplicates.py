"""Near duplicates in the target: which structures share a framework, and what scores owe to it."""

from __future__ import annotations

import pandas as pd

from poreflux.report.numbers import NOT_A_NUMBER, Number, decimal, listed, whole, whole_or_dash
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.scores import outside_draws, score_summary, valid_scores
from poreflux.report.sources import source_cell, source_head
from poreflux.report.statistics import finite, usable
from poreflux.report.study import Study

TITLE = "Near duplicates"
# Columns of the table of groups.
GROUPS = ("name", "group", "framework", "note")


def section(study: Study) -> Section:
    """Scores with and without near duplicates of what was learnt, and the groups by name."""
    table = finite(usable(study.tables.get("target/groups"), *GROUPS), "group")
    if table.empty:
        return missing_section("near-duplicates", TITLE, TITLE, _why(study))
    groups = shared_frameworks(table)
    notes = table.loc[table["note"].fillna("") != "", "note"]
    scores = valid_scores(study)
    body = render(
        "near_duplicates",
        structures=len(table),
        frameworks=int(table["group"].nunique()),
        shared=len(groups),
        members=int(groups["structures"].sum()),
        grouped=study.setting("learning", "splits") == "grouped",
        scores=_scores(scores),
        groups=_groups(groups),
        noted=len(notes),
        note=notes.iloc[0] if len(notes) else "",
    )
    return Section("near-duplicates", TITLE, body)


def _why(study: Study) -> str:
    if study.facts.get("sets", {}).get("target", {}).get("tables_alone"):
        return "the target is known by tables alone, without structures to compare"
    return study.why("target/groups")


def shared_frameworks(table: pd.DataFrame) -> pd.DataFrame:
    """The groups of two or more structures, the largest first.

    Parameters
    ----------
    table : DataFrame
        name, group, framework; equal numbers in ``group`` are one framework.

    Returns
    -------
    DataFrame
        framework (the formula of its reduced form), structures (number), names (sorted list).
    """
    rows = [
        (str(part["framework"].iloc[0] or ""), len(part), sorted(part["name"].astype(str)))
        for _, part in table.groupby("group")
        if len(part) > 1
    ]
    rows.sort(key=lambda row: (-row[1], row[2]))
    return pd.DataFrame(rows, columns=["framework", "structures", "names"])


def _groups(groups: pd.DataFrame) -> Table | None:
    rows = [
        [r.framework or NOT_A_NUMBER, whole(r.structures), listed(r.names)]
        for r in groups.itertuples()
    ]
    return Table(["Framework", "Structures", "Names"], rows) if rows else None


def _scores(scores: pd.DataFrame) -> Table | None:
    """Direct learning and the best source of each learner, at its largest size."""
    if scores.empty:
        return None
    rows = []
    for _, part in score_summary(scores).groupby("learner", sort=False):
        part = part[part["size"] == part["size"].max()]
        best = part.loc[part.groupby("kind", sort=False)["median"].idxmax()]
        rows += [row for row in (_score_row(scores, row) for _, row in best.iterrows()) if row]
    heads = ["Learner", "Size", "Kind", source_head(scores["source"].dropna())]
    heads += ["R² outside", "R² of these new", "New structures"]
    return Table(heads, rows) if rows else None


def _score_row(scores: pd.DataFrame, row: pd.Series) -> list | None:
    outside = outside_draws(scores, row)
    if outside is None:
        return None
    direct = row["kind"] == "dl"
    return [
        row["learner"],
        whole(row["size"]),
        "direct" if direct else "transfer",
        Number(NOT_A_NUMBER if direct else source_cell(row["source"])),
        _with_quartiles(outside.rest),
        _with_quartiles(outside.new),
        whole_or_dash(outside.structures),
    ]


def _with_quartiles(found: tuple[float, float, float]) -> Number:
    low, middle, high = (decimal(x) for x in found)
    return Number(f"{middle} ({low} to {high})")
