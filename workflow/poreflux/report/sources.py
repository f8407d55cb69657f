"""What a model was transferred from: pressures in bar, or labels where not all are uptakes."""

from __future__ import annotations

import math

import pandas as pd

from poreflux.data.labels import uptake_at
from poreflux.report.quantities import quantity


def with_source(table: pd.DataFrame, *, named: bool = False) -> pd.DataFrame:
    """With a column ``source``: what a model was transferred from, NaN for direct learning.

    By rising pressure, other sources last. The pressure in bar where all sources are uptakes, as
    in the published study; else, or where another table has labels (``named``), their labels.
    """
    table = table.sort_values("source_pressure_bar", kind="stable")
    pressure = pd.to_numeric(table["source_pressure_bar"], errors="coerce")
    others = named_sources(table)
    if others.isna().all() and not named:
        return table.assign(source=pressure)
    labels = pressure.map(lambda p: uptake_at(p) if p == p else math.nan)
    return table.assign(source=labels.astype(object).where(others.isna(), others))


def named_sources(table: pd.DataFrame) -> pd.Series:
    """The label of each row's source where that is no uptake at one pressure, else NaN."""
    pressure = pd.to_numeric(table["source_pressure_bar"], errors="coerce")
    label = table.get("source_label", pd.Series("", index=table.index)).fillna("")
    return label.where(pressure.isna() & (label != ""))


def sources_of(table: pd.DataFrame) -> list:
    """The sources in a table with columns source and source_pressure_bar, each once.

    By rising pressure, others last by name: the uptake at 2 bar stands before that at 10 bar.
    """
    rows = table.dropna(subset="source").drop_duplicates("source")
    return rows.sort_values(["source_pressure_bar", "source"])["source"].tolist()


def source_name(source) -> str:
    """A source in a sentence.

    >>> source_name(65.0), source_name("diffusivity_N2")
    ('the uptake at 65 bar', 'the diffusivity of N2')
    """
    label = source if isinstance(source, str) else uptake_at(source)
    return quantity(label, {}).words


def source_short(source) -> str:
    """A source in a legend or a row of a figure.

    >>> source_short(65.0), source_short("diffusivity_N2")
    ('65 bar', 'diffusivity of N2')
    """
    if not isinstance(source, str):
        return f"{source:g} bar"
    return source_name(source).removeprefix("the ")


def source_cell(source) -> str:
    """A source in a column headed by :func:`source_head`."""
    return source_short(source) if isinstance(source, str) else f"{source:g}"


def source_head(sources) -> str:
    """The head of a column of sources."""
    return "Source" if any(isinstance(s, str) for s in sources) else "Source (bar)"
