"""Reading tables of synthesis conditions: checked against a schema, nothing guessed.

A table is CSV or Parquet, one experiment per row. The schema names the target, the group (the
article or laboratory a row comes from), the numeric and the categorical columns. A value that
is no number, or lies outside its stated range, is an error that names file, row and column; an
empty cell is missing and stays so, but for the target and the group, without which a row is
dropped and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from poreflux.base import foreign_tables
from poreflux.base.errors import ConfigError, DataError

# A missing category is a level of its own.
MISSING = "(missing)"
# Errors shown at once.
_SHOWN = 10
DROPPED_COLUMNS = ("row", "column", "reason")
# What the tables read hold besides the features.
ROW_COLUMNS = ("row", "condition", "group", "target")
LOG = "log"


@dataclass(frozen=True)
class Column:
    """A numeric column.

    Attributes
    ----------
    unit : str
        For axes and tables; no value is converted.
    scale : str
        ``"log"`` if steps of equal ratio are alike (concentrations, times, sizes), else
        ``"linear"``: the scale of distances, interpolation and, for the target, of learning.
    min, max : float or None
        Allowed range.
    """

    unit: str = ""
    scale: str = "linear"
    min: float | None = None
    max: float | None = None

    def forward(self, values):
        """Values on the column's scale: log10 or as they are."""
        return np.log10(values) if self.scale == LOG else np.asarray(values, dtype=np.float64)

    def backward(self, values):
        """Values in the column's unit from those on its scale."""
        return np.power(10.0, values) if self.scale == LOG else np.asarray(values)


@dataclass(frozen=True)
class Schema:
    """What the columns of both tables mean.

    Attributes
    ----------
    target_name : str
    target : Column
    group : str
        Column of the article or laboratory.
    numeric : dict of str to Column
    categorical : tuple of str
    keep : dict of str to tuple of str
        Values that other columns must have, as text; other rows are dropped.
    missing : tuple of str
        Texts that stand for a missing value, besides an empty cell.
    """

    target_name: str
    target: Column
    group: str
    numeric: Mapping[str, Column]
    categorical: tuple[str, ...] = ()
    keep: Mapping[str, tuple[str, ...]] | None = None
    missing: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, config: dict) -> Schema:
        """From the block ``synthesis.columns`` of the configuration.

        Raises
        ------
        ConfigError
            If there is nothing to learn from, a feature is the target, stands twice or has the
            name of a column of our own.
        """
        target = dict(config["target"])
        features = [*config["numeric"], *config["categorical"]]
        twice = [name for name in features if features.count(name) > 1]
        problem = ""
        if not features:
            problem = "neither numeric nor categorical columns to learn from"
        elif target["name"] in features:
            problem = f"the target {target['name']!r} stands among the columns to learn from"
        elif twice:
            problem = f"{twice[0]!r} stands twice among the columns to learn from"
        elif own := sorted(set(features) & set(ROW_COLUMNS)):
            problem = f"{own[0]!r} is a name of our own; rename the column in the tables"
        if problem:
            raise ConfigError(f"synthesis.columns: {problem}")
        return cls(
            target_name=target.pop("name"),
            target=Column(**target),
            group=config["group"],
            numeric={name: Column(**spec) for name, spec in config["numeric"].items()},
            categorical=tuple(config["categorical"]),
            keep={k: tuple(_as_text(v) for v in values) for k, values in config["keep"].items()},
            missing=tuple(config["missing"]),
        )

    @property
    def features(self) -> list[str]:
        """Names of the columns to learn from: numeric, then categorical."""
        return [*self.numeric, *self.categorical]


def read_table(
    path: str | Path, schema: Schema, *, target: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read and check one table.

    Parameters
    ----------
    path : str or Path
        CSV (comma, UTF-8, a header line) or Parquet, see :mod:`poreflux.base.foreign_tables`.
    schema : Schema
    target : bool
        Whether the table has the target and the group; a table of new conditions has not.

    Returns
    -------
    rows : DataFrame
        Columns row (number of the data row in the file, from 1), condition (text, equal for
        equal features), group (text), target (in its unit), the numeric columns (float64, NaN
        where missing) and the categorical ones (text, :data:`MISSING` where missing). Sorted by
        condition and target, so that the order of rows in the file changes nothing.
    dropped : DataFrame
        Columns row, column, reason: rows left out.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or holds values that are no numbers or outside
        their range; the message names file, row and column of the first ten.
    """
    table, missing = foreign_tables.read_table(path), {"", *schema.missing}
    keep = schema.keep or {} if target else {}
    texts = [*schema.categorical, *keep, *([schema.group] if target else [])]
    cells = pd.DataFrame({c: pd.Series(table.texts(c, missing), dtype=object) for c in texts})
    columns = schema.numeric | ({schema.target_name: schema.target} if target else {})
    given = {name: table.numbers(name, missing) for name in columns}
    numbers = np.arange(1, len(table) + 1)
    if target:
        values, wrong = given[schema.target_name]
        nothing = np.isnan(values) & ~np.isin(numbers - 1, list(wrong))
        dropped = _dropped(cells, nothing, numbers, schema)
    else:
        dropped = pd.DataFrame(columns=DROPPED_COLUMNS)
    kept = ~np.isin(numbers, dropped["row"].to_numpy(dtype=np.int64))
    problems = {
        name: wrong | _outside(values, column)
        for (name, (values, wrong)), column in zip(given.items(), columns.values(), strict=True)
    }
    _refuse(path, problems, kept)
    rows = pd.DataFrame({"row": numbers[kept]})
    if target:
        rows["group"] = cells[schema.group][kept].to_numpy()
        rows["target"] = given[schema.target_name][0][kept]
    for name in schema.numeric:
        rows[name] = given[name][0][kept]
    for name in schema.categorical:
        rows[name] = cells[name][kept].fillna(MISSING).to_numpy()
    if rows.empty:
        raise DataError(f"{path}: no rows are left of {len(kept)}{_why(dropped)}")
    rows.insert(1, "condition", _conditions(rows, schema))
    order = ["condition", "target", "row"] if target else ["row"]
    return rows.sort_values(order, kind="stable", ignore_index=True), dropped


def are_synthetic(paths: Iterable[str | Path]) -> bool:
    """Whether any of these tables says in a column ``origin`` that its rows are synthetic.

    Examples are, and whoever makes up rows should say so: their numbers are no measurements.
    """
    for path in paths:
        table = foreign_tables.read_table(path)
        if "origin" in table.columns:
            told = table.texts("origin", {""})
            if any(str(text).startswith("synthetic") for text in told):
                return True
    return False


def _outside(values: np.ndarray, column: Column) -> dict[int, str]:
    """What is wrong with numbers outside their range, by index of the row."""
    low = -np.inf if column.min is None else column.min
    high = np.inf if column.max is None else column.max
    wrong = {i: f"is below the lowest allowed, {low:g}" for i in np.flatnonzero(values < low)}
    wrong |= {i: f"is above the highest allowed, {high:g}" for i in np.flatnonzero(values > high)}
    if column.scale == LOG:
        said = "must be above 0 on a logarithmic scale"
        wrong |= {i: said for i in np.flatnonzero(values <= 0.0)}
    return {int(i): f"{values[i]:g} {said}" for i, said in wrong.items()}


def _refuse(path: str | Path, problems: dict[str, dict[int, str]], kept: np.ndarray) -> None:
    """An error that tells the first problems of the rows that are kept."""
    found = [
        f"{path}, row {i + 1}, column {name}: {said} (a text that stands for a missing value: "
        "synthesis.columns.missing)"
        for name, wrong in problems.items()
        for i, said in sorted(wrong.items())
        if kept[i]
    ]
    if found:
        more = f"\n... and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise DataError("\n".join(found[:_SHOWN]) + more)


def _dropped(
    cells: pd.DataFrame, no_target: np.ndarray, numbers: np.ndarray, schema: Schema
) -> pd.DataFrame:
    """Rows that are left out, one line each with the first reason."""
    reasons: dict[int, tuple[str, str]] = {}
    for name, values in (schema.keep or {}).items():
        for row, value in zip(numbers, cells[name], strict=True):
            if value is None or not any(_equal(value, wanted) for wanted in values):
                shown = "missing" if value is None else repr(value)
                reasons.setdefault(int(row), (name, f"{shown}, not among {', '.join(values)}"))
    no_group = cells[schema.group].isna().to_numpy()
    for name, nothing in ((schema.target_name, no_target), (schema.group, no_group)):
        for row in numbers[nothing]:
            reasons.setdefault(int(row), (name, "missing"))
    lines = [(row, *reasons[row]) for row in sorted(reasons)]
    return pd.DataFrame(lines, columns=DROPPED_COLUMNS)


def _as_text(value) -> str:
    """A value of the configuration, whose whole numbers are floats, as a cell holds it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _equal(cell: str, wanted: str) -> bool:
    """Whether a cell holds a value: the same text or, if both are numbers, the same number."""
    try:
        return float(cell) == float(wanted)
    except ValueError:
        return cell == wanted


def _why(dropped: pd.DataFrame) -> str:
    if dropped.empty:
        return ""
    first = dropped.iloc[0]
    return f": row {first['row']}, column {first['column']}: {first['reason']}"


def _conditions(rows: pd.DataFrame, schema: Schema) -> list[str]:
    """One text per row, equal for equal features."""
    parts = [rows[name].map(lambda v: f"{v:.12g}") for name in schema.numeric]
    parts += [rows[name] for name in schema.categorical]
    return [" | ".join(values) for values in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Case:
    """A question: which in-house rows, against which literature.

    Attributes
    ----------
    name : str
    literature, in_house : DataFrame
        As :func:`read_table` gives them. No group is in both.
    """

    name: str
    literature: pd.DataFrame
    in_house: pd.DataFrame


def make_case(
    name: str,
    literature: pd.DataFrame,
    in_house: pd.DataFrame,
    schema: Schema,
    *,
    group: str | None = None,
    rescale: Mapping[str, float] | None = None,
) -> Case:
    """Put the in-house table, or one group of the literature, into the in-house role.

    Parameters
    ----------
    name : str
    literature, in_house : DataFrame
        As :func:`read_table` gives them.
    schema : Schema
    group : str, optional
        The group of the literature that takes the in-house role, and so leaves the literature.
    rescale : mapping of str to float, optional
        Factors on numeric columns of the in-house rows: another reading of a doubtful unit.

    Returns
    -------
    Case

    Raises
    ------
    DataError
        If there is no such group or column, a rescaled value leaves its range, or the in-house
        rows hold fewer than three conditions.
    """
    if group is not None:
        in_house = literature[literature["group"] == group]
        if in_house.empty:
            raise DataError(
                f"case {name}: no row of the literature has the group {group!r} "
                "(synthesis.cases; dropped rows do not count)"
            )
    in_house = in_house.reset_index(drop=True).copy()
    for column, factor in (rescale or {}).items():
        if column not in schema.numeric:
            known = ", ".join(schema.numeric)
            raise DataError(f"case {name}: cannot rescale {column!r}; numeric columns: {known}")
        in_house[column] *= factor
        spec = schema.numeric[column]
        low = -np.inf if spec.min is None else spec.min
        high = np.inf if spec.max is None else spec.max
        wrong = in_house[(in_house[column] < low) | (in_house[column] > high)]
        if len(wrong):
            raise DataError(
                f"case {name}, row {wrong['row'].iloc[0]}, column {column}: "
                f"{wrong[column].iloc[0]:g} after rescaling is outside {low:g} to {high:g}"
            )
    if rescale:
        in_house["condition"] = _conditions(in_house, schema)
        in_house = in_house.sort_values(["condition", "target", "row"], ignore_index=True)
    n_conditions = in_house["condition"].nunique()
    if n_conditions < 3:
        raise DataError(
            f"case {name}: the in-house rows hold {n_conditions} different conditions; at least "
            "3 are needed to leave one out and choose a weight on the others"
        )
    others = literature[~literature["group"].isin(in_house["group"])].reset_index(drop=True)
    if others["group"].nunique() < 2:
        raise DataError(
            f"case {name}: the literature holds fewer than 2 groups besides the in-house rows, "
            f"too few for cross-validation by {schema.group}"
        )
    return Case(name, others, in_house)


def missing_values(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """How many values of each feature are missing: columns column, n_missing, n_rows."""
    counts = [
        int((rows[c].isna() if c in schema.numeric else rows[c] == MISSING).sum())
        for c in schema.features
    ]
    return pd.DataFrame({"column": schema.features, "n_missing": counts, "n_rows": len(rows)})
