"""What a model was transferred from: pressures in bar, or names where not all are uptakes."""

from __future__ import annotations

import math

import pandas as pd


def with_source(table: pd.DataFrame, *, named: bool = False) -> pd.DataFrame:
    """With a column ``source``: what a model was transferred from, NaN for direct learning.

    By rising pressure, other sources last. The pressure in bar where all sources are uptakes, as
    in the published study; else, or where another table has names (``named``), their names.
    """
    table = table.sort_values("source_pressure_bar", kind="stable")
    pressure = pd.to_numeric(table["source_pressure_bar"], errors="coerce")
    others = named_sources(table)
    if others.isna().all() and not named:
        return table.assign(source=pressure)
    names = pressure.map(lambda p: source_name(p) if p == p else math.nan)
    return table.assign(source=names.astype(object).where(others.isna(), others))


def named_sources(table: pd.DataFrame) -> pd.Series:
    """The label of each row's source where that is no uptake at one pressure, else NaN."""
    pressure = pd.to_numeric(table["source_pressure_bar"], errors="coerce")
    label = table.get("source_label", pd.Series("", index=table.index)).fillna("")
    return label.where(pressure.isna() & (label != ""))


def sources_of(table: pd.DataFrame) -> list:
    """The sources in a table with columns source and source_pressure_bar, each once.

    By rising pressure, others last by name: ``2 bar`` stands before ``10 bar``.
    """
    rows = table.dropna(subset="source").drop_duplicates("source")
    return rows.sort_values(["source_pressure_bar", "source"])["source"].tolist()


def source_name(source) -> str:
    """A source in a sentence: ``65 bar`` or its name."""
    return source if isinstance(source, str) else f"{source:g} bar"


def source_cell(source) -> str:
    """A source in a column headed by :func:`source_head`."""
    return source if isinstance(source, str) else f"{source:g}"


def source_head(sources) -> str:
    """The head of a column of sources."""
    return "Source" if any(isinstance(s, str) for s in sources) else "Source (bar)"
