"""Tables from files in place of a stage: published descriptors, uptakes and diffusivities.

A set of structures may take the table of any stage from CSV or Parquet files whose columns the
configuration matches with ours. The structures may be known as CIFs as well, or by name alone.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.foreign_tables import misspelt, read_table
from poreflux.base.tables import KEY_COLUMNS
from poreflux.data.features import (
    ADSORPTION_ENERGIES,
    GEOMETRY_COLUMNS,
    MOBILITIES,
    PERCOLATION_SHARES,
)

logger = logging.getLogger(__name__)

HISTOGRAM = "h"
# The columns that a stage's table cannot do without, whatever the features.
NEEDED = {
    "geometry": GEOMETRY_COLUMNS,
    "energy": (HISTOGRAM,),
    "percolation": (*ADSORPTION_ENERGIES, *PERCOLATION_SHARES),
    "uptake": ("uptake_cm3stp_cm3",),
    "diffusion": ("d_m2_s",),
}
AT_PRESSURE = "<pressure>"
# What no column can be below or beyond, in our units: a wrong column, a wrong unit, a missing sign.
# Cells are at most 1000 Å wide, liquid methane is 590 and solid hydrogen 1000 cm3(STP)/cm3, a gas
# of 1 bar diffuses with some 1e-5 m2/s. The Widom method may find a share a little above 1; an
# excess uptake may be negative.
RANGES = {
    **dict.fromkeys(("lcd_A", "pld_A"), (0.0, 1000.0)),
    **dict.fromkeys(("asa_m2_cm3", "asa_m2_g", *MOBILITIES), (0.0, np.inf)),
    **dict.fromkeys(("void_fraction", *PERCOLATION_SHARES, HISTOGRAM), (0.0, 1.05)),
    "henry_mol_kg_bar": (0.0, np.inf),
    "uptake_cm3stp_cm3": (-np.inf, 2000.0),
    "d_m2_s": (np.nextafter(0.0, 1.0), 1e-3),
}


def name_hash(name: str) -> str:
    """What stands for the content hash of a structure known by name alone, 64 hex digits."""
    return hashlib.sha256(f"known by name alone: {name}".encode()).hexdigest()


def structures(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The structures of a set that has no CIFs: every name in any of its tables.

    Parameters
    ----------
    tables : sequence of DataFrame
        As :func:`stage_table` gives them.

    Returns
    -------
    DataFrame
        The columns of a structures table; what only a CIF tells is missing.
    """
    names = sorted(set().union(*(t["name"] for t in tables)))
    table = pd.DataFrame({"name": names, "content_hash": [name_hash(n) for n in names]})
    unknown = {"n_atoms": np.nan, "volume_A3": np.nan, "density_g_cm3": np.nan}
    return table.assign(status="ok", reason="", formula="", **unknown, warnings="")


def stage_table(
    stage: str,
    files: Sequence[str],
    *,
    name: str,
    columns: dict,
    factors: dict[str, float],
    pressures_bar: Sequence[float] = (),
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The table of a stage from files.

    Parameters
    ----------
    stage : str
        A key of :data:`NEEDED`.
    files : sequence of str
        Paths; tables of the same columns, one below the other.
    name : str
        Their column of structure names.
    columns : dict
        Our column to theirs. ``h``: their columns of the energy histogram in order of energy;
        a column of the uptake has ``<pressure>`` in it, in bar, as in ``uptake_<pressure>bar``.
    factors : dict
        Our column to the number that brings theirs to our unit.
    pressures_bar : sequence of float
        Pressures to read uptakes at, bar.
    known : DataFrame, optional
        Columns name, content_hash, status, reason: the structures of the set. A structure that
        failed or is not in the files is a failed row; other rows of the files are left out.

    Returns
    -------
    DataFrame
        Columns name, content_hash, status, reason and the stage's, sorted by name.

    Raises
    ------
    ConfigError
        As :func:`check_columns`.
    DataError
        Naming the files, the reason and the remedy, if one cannot be read, a column is missing, a
        name stands twice, a factor is of none of the columns, or nothing is left.
    """
    try:
        check_columns(stage, columns)
    except ConfigError as error:
        raise ConfigError(f"columns {error}") from None
    where = ", ".join(files)
    wanted = _wanted(stage, columns, pressures_bar)
    _check_factors(stage, wanted, factors)
    parts = [_from_file(stage, path, name, wanted, factors) for path in files]
    table = pd.concat(parts, ignore_index=True)
    names = table["name"]
    if names.duplicated().any():
        raise DataError(f"{where}: {names[names.duplicated()].iloc[0]!r} stands twice; keep one")
    table = _with_content_hashes(table, known, where)
    failed = table[table["status"] != "ok"]
    if len(failed) == len(table):
        first = failed.iloc[0]
        raise DataError(
            f"{where}: no structure has all numbers of stage {stage}; {first['name']} for one: "
            f"{first['reason']}"
        )
    if stage == "uptake":
        table = _by_pressure(table, pressures_bar)
    if stage == "diffusion" and "diffusive" not in table:
        table["diffusive"] = table["status"] == "ok"
    rest = [c for c in table.columns if c not in KEY_COLUMNS]
    table = table[[*KEY_COLUMNS, *rest]]
    by = [c for c in ("name", "pressure_bar") if c in table.columns]
    return table.sort_values(by, kind="stable", ignore_index=True)


def check_columns(stage: str, columns: dict) -> None:
    """Check what a configuration says of the columns of a stage's table.

    Parameters
    ----------
    stage, columns
        As in :func:`stage_table`.

    Raises
    ------
    ConfigError
        With a message that goes on after the key: a column that the stage needs is not named, has
        not the form that it must have, or stands for two.
    """
    lacking = [c for c in NEEDED[stage] if c not in columns]
    if lacking:
        raise ConfigError(f"must say which column is {lacking[0]!r} of stage {stage}")
    for ours, theirs in columns.items():
        if (ours == HISTOGRAM) == isinstance(theirs, str):
            wanted = "the list of all columns of the histogram" if ours == HISTOGRAM else "a column"
            raise ConfigError(f"must give for {ours} {wanted}, not {theirs!r}")
        if stage == "uptake" and AT_PRESSURE not in theirs:
            raise ConfigError(
                f"must give for {ours} a column for each pressure, with {AT_PRESSURE} in its name, "
                f"not {theirs!r}"
            )
    twice = list(columns.get(HISTOGRAM, ()))
    twice += [columns[c] for c in GEOMETRY_COLUMNS if c in columns]
    again = [c for i, c in enumerate(twice) if c in twice[:i]]
    if again:
        raise ConfigError(f"must not give {again[0]!r} for two of our columns")


def _check_factors(stage: str, wanted: dict, factors: dict[str, float]) -> None:
    ours = dict.fromkeys(map(_base, wanted))
    unknown = [c for c in factors if c not in wanted and c not in ours]
    if unknown:
        raise DataError(
            f"there is a factor for {unknown[0]!r}, but the columns of stage {stage} are "
            f"{', '.join(ours)} (structures.<set>.tables.{stage}.factors)"
        )


def _from_file(stage: str, path: str, name: str, wanted: dict, factors: dict) -> pd.DataFrame:
    """Names, numbers in our units, status and reason of the rows of one file."""
    read = read_table(path)
    names = read.texts(name)
    reasons = [""] * len(read)
    values = {}
    for ours, theirs in wanted.items():
        numbers, problems = read.numbers(theirs)
        factor = factors.get(ours, factors.get(_base(ours), 1.0))
        values[ours] = numbers * factor
        for i, reason in (problems | _outside(ours, values[ours], stage)).items():
            if not reasons[i]:
                reasons[i] = f"{path}, row {i + 1}, column {theirs!r}: {reason}"
        for i in np.flatnonzero(np.isnan(numbers)).tolist():
            if not reasons[i]:
                reasons[i] = (
                    f"{path}, row {i + 1}: the number is missing, column {theirs!r} is empty"
                )
    for i, reason in _too_full(values).items():
        reasons[i] = reasons[i] or f"{path}, row {i + 1}: {reason}"
    _check_diameters(path, names, values)
    for i, given in enumerate(names):
        if given is None:
            raise DataError(
                f"{path}: row {i + 1} below the head has nothing in column {name!r}; name its "
                "structure or delete the row"
            )
    status = ["failed" if reason else "ok" for reason in reasons]
    return pd.DataFrame({"name": names, **values, "status": status, "reason": reasons})


def _outside(column: str, values: np.ndarray, stage: str) -> dict[int, str]:
    """What is wrong with numbers that cannot be, by index of the row."""
    low, high = RANGES.get(re.sub(r"^h\d+$", HISTOGRAM, _base(column)), (-np.inf, np.inf))
    least = "above 0" if low > 0 else "at least 0"
    remedy = f"correct it, the column or structures.<set>.tables.{stage}.factors"
    return {
        i: f"{_base(column)} = {values[i]:g} "
        + (f"must be {least}" if values[i] < low else f"is beyond {high:g}")
        + f"; {remedy}"
        for i in np.flatnonzero((values < low) | (values > high) | np.isinf(values)).tolist()
    }


def _too_full(values: dict[str, np.ndarray]) -> dict[int, str]:
    """Histograms that are none of shares, by index of the row."""
    shares = [v for column, v in values.items() if re.fullmatch(r"h\d+", column)]
    total = np.sum(shares, axis=0) if shares else np.zeros(0)
    return {
        i: f"the shares of the histogram add up to {total[i]:g}; give shares of 1"
        for i in np.flatnonzero(total > RANGES[HISTOGRAM][1]).tolist()
    }


def _check_diameters(path: str, names: Sequence[str], values: dict[str, np.ndarray]) -> None:
    """A warning where spheres pass that do not fit, an error if they do in every row."""
    if not {"lcd_A", "pld_A"} <= set(values):
        return
    lcd, pld = values["lcd_A"], values["pld_A"]
    # two ways of computing them differ by less than 0.1 Å
    wrong = np.flatnonzero(pld > lcd + 0.1)
    if not len(wrong):
        return
    said = f"pld_A is above lcd_A, {pld[wrong[0]]:g} above {lcd[wrong[0]]:g} of {names[wrong[0]]}"
    if not (pld < lcd).any():
        raise DataError(f"{path}: in every row {said}; interchange the two columns")
    logger.warning("%s: in %d of %d rows %s", path, len(wrong), len(pld), said)


def _wanted(stage: str, columns: dict, pressures_bar: Sequence[float]) -> dict[str, str]:
    """Our column to theirs, histograms and pressures written out."""
    wanted: dict[str, str] = {}
    for ours, theirs in columns.items():
        if ours == HISTOGRAM:
            wanted |= {f"h{i:02d}": column for i, column in enumerate(theirs)}
        elif stage == "uptake":
            for p in pressures_bar:
                wanted[f"{ours}@{p:g}"] = theirs.replace(AT_PRESSURE, f"{p:g}")
        else:
            wanted[ours] = theirs
    return wanted


def _base(column: str) -> str:
    return column.partition("@")[0]


def _with_content_hashes(
    table: pd.DataFrame, known: pd.DataFrame | None, where: str
) -> pd.DataFrame:
    """With content hashes: those of the structures known, or what stands for one."""
    if known is None:
        return table.assign(content_hash=[name_hash(n) for n in table["name"]])
    merged = known[list(KEY_COLUMNS)].merge(
        table, on="name", how="left", suffixes=("", "_there"), indicator=True
    )
    meant = {
        name: f", but {other!r} is; spell it as the structure is called"
        for name, other in misspelt(table["name"], known["name"]).items()
    }
    if not (merged["_merge"] == "both").any():
        raise DataError(
            f"{where}: none of the {len(table)} names is one of the set's structures: "
            f"{known['name'].iloc[0]} is not among them{next(iter(meant.values()), '')}"
        )
    absent = (merged["_merge"] == "left_only") & (merged["status"] == "ok")
    merged.loc[absent, "reason"] = [
        f"not in {where}{meant.get(name, '')}" for name in merged.loc[absent, "name"]
    ]
    merged.loc[absent, "status"] = "failed"
    logger.info("%s: %d of %d rows are of the set", where, (merged["_merge"] == "both").sum(),
                len(table))  # fmt: skip
    broken = (merged["status"] == "ok") & (merged["status_there"] != "ok")
    merged.loc[broken, "reason"] = merged["reason_there"]
    merged.loc[broken, "status"] = "failed"
    return merged.drop(columns=["status_there", "reason_there", "_merge"])


def _by_pressure(table: pd.DataFrame, pressures_bar: Sequence[float]) -> pd.DataFrame:
    """One row per structure and pressure, as the stage writes them; failed structures have one."""
    good, bad = table[table["status"] == "ok"], table[table["status"] != "ok"]
    parts = [bad[list(KEY_COLUMNS)]]
    for p in pressures_bar:
        at = {c: _base(c) for c in table.columns if c.endswith(f"@{p:g}")}
        parts.append(good[[*KEY_COLUMNS, *at]].rename(columns=at).assign(pressure_bar=p))
    return pd.concat([p for p in parts if len(p)], ignore_index=True)
