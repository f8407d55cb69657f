"""Reading and writing the tables that stages hand to each other (Parquet)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow
from pyarrow import parquet

from poreflux.base.errors import DataError
from poreflux.base.files import write_atomically
from poreflux.base.records import KEY, REMEDY, Record

# Of a structures table: the structures themselves.
STRUCTURE_COLUMNS = ["lengths_A", "angles_deg", "species", "frac", "listed"]

KEY_COLUMNS = ("name", "content_hash", "status", "reason")


def write_table(table: pd.DataFrame, path: str | Path, record: Record | None = None) -> None:
    """Write a table whole or not at all; equal tables and records give equal bytes.

    Pages carry checksums, so that :func:`read_table` notices damage.
    """
    written = pyarrow.Table.from_pandas(table, preserve_index=False)
    if record is not None:
        metadata = (written.schema.metadata or {}) | {KEY: record.to_bytes()}
        written = written.replace_schema_metadata(metadata)
    buffer = io.BytesIO()
    parquet.write_table(written, buffer, write_page_checksum=True)
    write_atomically(path, buffer.getvalue())


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A table that :func:`write_table` wrote, or some of its columns.

    Raises
    ------
    DataError
        If the file cannot be read, is truncated, damaged, no Parquet file or lacks a column; the
        message names it and the remedy.
    """
    try:
        return pd.read_parquet(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise DataError(f"there is no table {path}") from error
    except PermissionError as error:
        raise DataError(f"cannot read the table {path}: {error.strerror}") from error
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        said = str(error).splitlines()[0]
        raise DataError(f"{path} is truncated, damaged or no table ({said}); {REMEDY}") from error


def concatenate(paths: Iterable[str | Path], *, sort_by=("name",)) -> pd.DataFrame:
    """The tables of all shards as one, sorted, so that no number of shards shows.

    Parameters
    ----------
    paths : iterable of paths
        Parquet files with the same columns (an empty one may lack some).
    sort_by : tuple of str
        Columns that order the rows.
    """
    tables = [read_table(p) for p in paths]
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
