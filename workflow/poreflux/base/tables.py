"""Reading and writing the tables that stages hand to each other (Parquet)."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pandas as pd

from poreflux.base.files import write_atomically

# Of a structures table: the structures themselves.
STRUCTURE_COLUMNS = ["lengths_A", "angles_deg", "species", "frac", "listed"]

KEY_COLUMNS = ("name", "content_hash", "status", "reason")


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table whole or not at all; equal tables give equal bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomically(path, buffer.getvalue())


def concatenate(paths, *, sort_by=("name",)) -> pd.DataFrame:
    """The tables of all shards as one, sorted, so that no number of shards shows.

    Parameters
    ----------
    paths : iterable of paths
        Parquet files with the same columns (an empty one may lack some).
    sort_by : tuple of str
        Columns that order the rows.
    """
    tables = [pd.read_parquet(p) for p in paths]
    filled = [t for t in tables if len(t)] or tables[:1]
    table = pd.concat(filled, ignore_index=True)
    columns = [c for c in sort_by if c in table.columns]
    return table.sort_values(columns, kind="stable", ignore_index=True)


def table_digest(*tables: pd.DataFrame) -> str:
    """sha256 (hex) of the contents of tables, whatever file they came from."""
    digest = hashlib.sha256()
    for table in tables:
        # floats are written so that they read back as they were
        digest.update(table.to_csv(index=False).encode())
    return digest.hexdigest()
