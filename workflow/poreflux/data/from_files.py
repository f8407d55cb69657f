"""Tables from files in place of a stage: published descriptors, uptakes and diffusivities.

A set of structures may take the table of any stage from CSV or Parquet files whose columns the
configuration matches with ours. The structures may be known as CIFs as well, or by name alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.tables import KEY_COLUMNS, cell_text
from poreflux.data.features import ADSORPTION_ENERGIES, GEOMETRY_COLUMNS, PERCOLATION_SHARES

# The columns that a stage's table cannot do without, whatever the features; energy has a histogram
# besides.
NEEDED = {
    "geometry": GEOMETRY_COLUMNS,
    "energy": (),
    "percolation": (*ADSORPTION_ENERGIES, *PERCOLATION_SHARES),
    "uptake": ("uptake_cm3stp_cm3",),
    "diffusion": ("d_m2_s",),
}
HISTOGRAM, AT_PRESSURE = "h", "<pressure>"


def name_hash(name: str) -> str:
    """What stands for the content hash of a structure known by name alone, 64 hex digits."""
    return hashlib.sha256(f"known by name alone: {name}".encode()).hexdigest()


def read(path: str, key: str = "name") -> pd.DataFrame:
    """A CSV (compressed or not) or Parquet file.

    ``key`` is the column that says which structure a row is of: text as it stands there, be it
    ``001`` or ``NA``, without the mark of :func:`poreflux.base.tables.write_csv`.

    Raises
    ------
    DataError
        Naming the file, if it cannot be read or a row has no key.
    """
    try:
        if path.endswith(".parquet"):
            table = pd.read_parquet(path)
        else:
            # a mark before it, for pandas takes NA and the like for nothing, converted or not
            table = pd.read_csv(path, converters={key: lambda text: f"={cell_text(text.strip())}"})
            if key in table.columns:
                table[key] = table[key].str[1:]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    if key in table.columns:
        nameless = table[key].isna() | (table[key].astype(str) == "")
        # spreadsheets leave such rows at the end
        empty = nameless & table.drop(columns=key).isna().all(axis=1)
        table, nameless = table[~empty], nameless[~empty]
        if nameless.any():
            raise DataError(
                f"{path}: row {int(np.argmax(nameless)) + 1} below the head has nothing in column "
                f"{key!r}; name its structure or delete the row"
            )
    return table


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
    DataError
        Naming the files, if a column is missing, a name stands twice, a factor is of none of the
        columns, or nothing is left.
    """
    where = ", ".join(files)
    theirs = pd.concat([read(path, name) for path in files], ignore_index=True)
    wanted = _wanted(stage, columns, pressures_bar, where)
    missing = [c for c in [name, *wanted.values()] if c not in theirs.columns]
    if missing:
        raise DataError(
            f"{where}: no column {missing[0]!r} for the table of stage {stage}; the columns: "
            f"{', '.join(map(str, theirs.columns[:20]))}"
        )
    names = theirs[name].astype(str)
    if names.duplicated().any():
        raise DataError(f"{where}: {names[names.duplicated()].iloc[0]!r} stands twice; keep one")
    values = theirs[list(wanted.values())].apply(pd.to_numeric, errors="coerce")
    values.columns = list(wanted)
    for column, factor in factors.items():
        mine = [ours for ours in values.columns if column in (ours, _base(ours))]
        if not mine:
            raise DataError(
                f"{where}: there is a factor for {column!r}, but the columns of stage {stage} are "
                f"{', '.join(dict.fromkeys(map(_base, wanted)))} (structures.<set>.tables.{stage})"
            )
        values[mine] *= factor
    table = pd.concat([names.rename("name"), values], axis=1)
    # a structure without a number in a column has nothing from this stage
    whole = np.isfinite(values).all(axis=1)
    table["status"] = np.where(whole, "ok", "failed")
    table["reason"] = np.where(whole, "", f"a number is missing in {where}")
    table = _with_content_hashes(table, known, where)
    if stage == "uptake":
        table = _by_pressure(table, pressures_bar)
    if stage == "diffusion" and "diffusive" not in table:
        table["diffusive"] = table["status"] == "ok"
    rest = [c for c in table.columns if c not in KEY_COLUMNS]
    table = table[[*KEY_COLUMNS, *rest]]
    by = [c for c in ("name", "pressure_bar") if c in table.columns]
    return table.sort_values(by, kind="stable", ignore_index=True)


def _wanted(stage: str, columns: dict, pressures_bar: Sequence[float], where: str) -> dict:
    """Our column to theirs, histograms and pressures written out."""
    wanted: dict[str, str] = {}
    for ours, theirs in columns.items():
        if ours == HISTOGRAM:
            wanted |= {f"h{i:02d}": column for i, column in enumerate(theirs)}
        elif stage == "uptake" and AT_PRESSURE in theirs:
            for p in pressures_bar:
                wanted[f"{ours}@{p:g}"] = theirs.replace(AT_PRESSURE, f"{p:g}")
        else:
            wanted[ours] = theirs
    have = {_base(c) for c in wanted}
    lacking = [c for c in NEEDED[stage] if c not in have]
    if stage == "energy" and "h00" not in have:
        lacking = [HISTOGRAM]
    if lacking:
        raise DataError(
            f"{where}: the configuration does not say which column is {lacking[0]!r} of stage "
            f"{stage} (structures.<set>.tables.{stage}.columns)"
        )
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
    if not (merged["_merge"] == "both").any():
        raise DataError(
            f"{where}: none of the {len(table)} names is one of the set's structures, such as "
            f"{', '.join(known['name'].head(3))}"
        )
    absent = (merged["_merge"] == "left_only") & (merged["status"] == "ok")
    merged.loc[absent, ["status", "reason"]] = ["failed", f"not in {where}"]
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
