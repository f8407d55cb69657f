"""Labels by name: what a model learns, from a stage's table or from a file of the user's own.

A label is one number per structure. ``uptake_65bar``, ``henry`` and ``diffusivity`` come from our
stages; others are columns of CSV files that the configuration names under ``labels:``. Learning
knows only names and numbers, so that any label can be the source and any other the target.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.foreign_tables import ForeignTable, misspelt
from poreflux.data.features import IDENTITY_COLUMNS, diffusion_labels, uptake_labels

logger = logging.getLogger(__name__)

LABEL_COLUMNS = (*IDENTITY_COLUMNS, "label", "value", "unit")
DIFFUSIVITY, HENRY, UPTAKE = "diffusivity", "henry", "uptake"
# The uptakes at all pressures, learnt together.
ISOTHERM = "isotherm"
UNITS = {
    DIFFUSIVITY: "log10 of D in 1e-8 m2/s",
    HENRY: "log10 of K in mol/(kg bar)",
    UPTAKE: "cm3(STP)/cm3",
}
# The table behind each.
STAGES = {DIFFUSIVITY: "diffusion", HENRY: "percolation", UPTAKE: "uptake"}
TRANSFORMS = {"none": lambda values: values, "log10": np.log10}

_AT_PRESSURE = re.compile(r"uptake_([0-9.e+-]+)bar")


def uptake_at(pressure_bar: float) -> str:
    """Name of the uptake at a pressure in bar: ``uptake_5.8bar``."""
    return f"{UPTAKE}_{pressure_bar:g}bar"


def pressure_of(label: str) -> float:
    """The pressure in bar of an uptake's name; NaN for other labels."""
    found = _AT_PRESSURE.fullmatch(label)
    return float(found[1]) if found else math.nan


def rank_of(label: str) -> tuple[bool, float, str]:
    """What labels are sorted by: uptakes by their pressure, then the others by name."""
    pressure = pressure_of(label)
    return (True, 0.0, label) if math.isnan(pressure) else (False, pressure, label)


def kind_of(label: str) -> str:
    """``uptake`` for an uptake at whatever pressure, else the name itself."""
    return UPTAKE if _AT_PRESSURE.fullmatch(label) else label


def requested_labels(
    names: Sequence[str], pressures_bar: Sequence[float], own: Sequence[str] = ()
) -> list[str]:
    """The labels that a configuration asks for, ``uptake`` at every pressure.

    Parameters
    ----------
    names : sequence of str
        ``uptake``, ``uptake_<P>bar``, ``isotherm``, ``henry``, ``diffusivity`` or one of ``own``.
    pressures_bar : sequence of float
        What ``uptake`` stands for, bar.
    own : sequence of str
        Names of the user's own labels.

    Raises
    ------
    ConfigError
        If a name is none of them.
    """
    known = (UPTAKE, ISOTHERM, HENRY, DIFFUSIVITY, *own)
    requested: list[str] = []
    for name in names:
        if kind_of(name) not in known:
            raise ConfigError(
                f"there is no label {name!r}; there are: {', '.join(known)} (or uptake_65bar for "
                "one pressure); labels of your own are described under labels:"
            )
        requested += map(uptake_at, pressures_bar) if name == UPTAKE else [name]
    return list(dict.fromkeys(requested))


def scalar_labels(names: Sequence[str], pressures_bar: Sequence[float]) -> list[str]:
    """The labels of one number per structure behind the ``names`` of :func:`requested_labels`.

    ``isotherm`` stands for the uptakes at all of ``pressures_bar``.
    """
    scalar: list[str] = []
    for name in names:
        scalar += map(uptake_at, pressures_bar) if name == ISOTHERM else [name]
    return list(dict.fromkeys(scalar))


def isotherms_of(table: pd.DataFrame) -> pd.DataFrame:
    """The uptakes at all pressures of a table of labels.

    Parameters
    ----------
    table : DataFrame
        Columns :data:`LABEL_COLUMNS`.

    Returns
    -------
    DataFrame
        Indexed by name, one column per pressure in rising order; structures that have not all of
        them are left out.

    Raises
    ------
    DataError
        If the table holds no uptake, or no structure has all.
    """
    uptakes = [label for label in table["label"].unique() if kind_of(label) == UPTAKE]
    labels = sorted(uptakes, key=rank_of)
    if not labels:
        raise DataError(f"the label {ISOTHERM} needs uptakes, and the table of labels has none")
    columns = {label: values_of(table, label) for label in labels}
    found = pd.DataFrame(columns).dropna().rename_axis("name")
    if found.empty:
        raise DataError(f"no structure has all of {', '.join(labels)}")
    return found


def from_stages(label: str, table: pd.DataFrame) -> pd.DataFrame:
    """A label from the table of the stage that gives it.

    Parameters
    ----------
    label : str
        ``uptake_<P>bar``, ``henry`` or ``diffusivity``.
    table : DataFrame
        Of the stage :data:`STAGES` names, failed rows included.

    Returns
    -------
    DataFrame
        Columns :data:`LABEL_COLUMNS`; structures without the label are left out. The
        diffusivity and the Henry coefficient are logarithms to the base 10, see :data:`UNITS`.

    Raises
    ------
    DataError
        If the table does not hold the label.
    """
    kind = kind_of(label)
    if kind == UPTAKE:
        values = uptake_labels(table, pressure_of(label))
    elif kind == DIFFUSIVITY:
        values = diffusion_labels(table)
    else:
        rows = table[(table["status"] == "ok") & (table["henry_mol_kg_bar"] > 0.0)]
        values = pd.Series(np.log10(rows["henry_mol_kg_bar"].to_numpy()), index=rows["name"])
    identity = table[list(IDENTITY_COLUMNS)].drop_duplicates("name")
    return _table(label, values, identity, UNITS[kind])


def from_file(
    label: str,
    rows: ForeignTable,
    structures: pd.DataFrame,
    *,
    column: str,
    key: str = "name",
    factor: float = 1.0,
    transform: str = "none",
    unit: str = "",
) -> pd.DataFrame:
    """A label from a user's own table.

    Parameters
    ----------
    label : str
        Its name.
    rows : ForeignTable
        The user's table: one row per structure.
    structures : DataFrame
        Columns name, content_hash, status of the set.
    column : str
        Holds the numbers; empty ones are structures without a label.
    key : str
        Column that says which structure: a name or, if it is called ``content_hash``, that.
    factor : float
        The numbers are multiplied by it.
    transform : str
        ``none`` or ``log10``, after the factor.
    unit : str
        Of the result; nothing is converted.

    Returns
    -------
    DataFrame
        Columns :data:`LABEL_COLUMNS`. Structures of the set that the file does not know are left
        out, rows of structures that the set does not have as well.

    Raises
    ------
    DataError
        If a column is missing, a key stands twice, a value is not a number or has no logarithm,
        or no structure of the set is in the file.
    """
    file = rows.path
    keys = pd.Series(rows.texts(key), dtype=object)
    given, problems = rows.numbers(column)
    if problems:
        row, reason = next(iter(problems.items()))
        raise DataError(f"{file}: row {row + 1}, {column} of {keys[row]}: {reason}")
    numbered = ~np.isnan(given)
    nameless = np.flatnonzero(numbered & keys.isna().to_numpy())
    if len(nameless):
        raise DataError(
            f"{file}: row {nameless[0] + 1} below the head has nothing in column {key!r}; name its "
            "structure or delete the row"
        )
    keys, given = keys[numbered].reset_index(drop=True), given[numbered]
    if keys.duplicated().any():
        raise DataError(f"{file}: {key} {keys[keys.duplicated()].iloc[0]!r} stands twice; keep one")
    with np.errstate(all="ignore"):
        values = TRANSFORMS[transform](given * factor)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        what = "too large" if transform == "none" else f"has no {transform}"
        raise DataError(
            f"{file}: {column} of {keys[bad[0]]} {what}: {given[bad[0]]:g}; leave the field empty "
            "where there is no label"
        )
    by = "content_hash" if key == "content_hash" else "name"
    identity = structures.loc[structures["status"] == "ok", list(IDENTITY_COLUMNS)]
    identity = identity.drop_duplicates("name")
    found = pd.Series(values, index=keys.to_numpy())
    named = identity[identity[by].isin(found.index)]
    for name, other in misspelt(found.index, identity[by]).items():
        raise DataError(f"{file}: {key} {other!r} seems to mean {name!r}; write it like that")
    if named.empty:
        raise DataError(
            f"{file}: none of its {len(found)} values of {key!r} is a {by} of the set, such as "
            f"{', '.join(identity[by].head(3))}; write these"
        )
    logger.info("%s: %d of its %d rows with a number are of the set", file,
                found.index.isin(named[by]).sum(), len(found))  # fmt: skip
    series = pd.Series(found.loc[named[by]].to_numpy(), index=named["name"].to_numpy())
    return _table(label, series, identity, unit)


def _table(label: str, values: pd.Series, identity: pd.DataFrame, unit: str) -> pd.DataFrame:
    hashes = identity.set_index("name")["content_hash"]
    return pd.DataFrame(
        {
            "name": values.index,
            "content_hash": hashes.loc[values.index].to_numpy(),
            "label": label,
            "value": values.to_numpy(dtype=np.float64),
            "unit": unit,
        },
        columns=list(LABEL_COLUMNS),
    )


def values_of(table: pd.DataFrame, label: str) -> pd.Series:
    """One label of a table by structure.

    Parameters
    ----------
    table : DataFrame
        Columns :data:`LABEL_COLUMNS`.
    label : str

    Returns
    -------
    Series
        Indexed by name.

    Raises
    ------
    DataError
        If no structure has the label.
    """
    rows = table[table["label"] == label]
    if rows.empty:
        known = ", ".join(table["label"].unique())
        raise DataError(f"no structure has the label {label}; there are: {known or 'none'}")
    return pd.Series(rows["value"].to_numpy(), index=pd.Index(rows["name"], name="name"))
