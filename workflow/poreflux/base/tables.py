"""Reading and writing the tables that stages hand to each other (Parquet), and CSV for people."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.files import write_atomically
from poreflux.base.records import KEY, REMEDY, Record

# Of a structures table: the structures themselves.
STRUCTURE_COLUMNS = ["lengths_A", "angles_deg", "species", "frac", "listed"]

KEY_COLUMNS = ("name", "content_hash", "status", "reason")

# What a spreadsheet would take for a formula, after any marks of ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def load_pyarrow() -> ModuleType:
    """The package that reads and writes Parquet; engines and predictions do without it.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        remedy = "pip install pyarrow, or poreflux[data]"
        raise DataError(f"Parquet tables need the package pyarrow: {remedy}") from error
    return pyarrow


def write_table(table: pd.DataFrame, path: str | Path, record: Record | None = None) -> None:
    """Write a table whole or not at all; equal tables and records give equal bytes.

    Pages carry checksums, so that :func:`read_table` notices damage.
    """
    pyarrow = load_pyarrow()
    written = pyarrow.Table.from_pandas(table, preserve_index=False)
    if record is not None:
        metadata = (written.schema.metadata or {}) | {KEY: record.to_bytes()}
        written = written.replace_schema_metadata(metadata)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(written, buffer, write_page_checksum=True)
    write_atomically(path, buffer.getvalue())


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A table that :func:`write_table` wrote, or some of its columns.

    Raises
    ------
    DataError
        If the file cannot be read, is truncated, damaged, no Parquet file or lacks a column; the
        message names it and the remedy.
    """
    pyarrow = load_pyarrow()
    try:
        return pd.read_parquet(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise DataError(f"there is no table {path}") from error
    except PermissionError as error:
        raise DataError(f"cannot read the table {path}: {error.strerror}") from error
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        said = str(error).splitlines()[0]
        raise DataError(f"{path} is truncated, damaged or no table ({said}); {REMEDY}") from error


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as :func:`csv_text`, whole or not at all."""
    write_atomically(path, csv_text(table).encode())


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV that is safe to open in a spreadsheet.

    A text that a spreadsheet would run as a formula, for it begins with ``=``, ``+``, ``-``,
    ``@`` or a control character, gets an apostrophe before it; :func:`cell_text` takes it off.
    Numbers stay as they are.
    """
    safe = table.map(_harmless).rename(columns=_harmless)
    text = safe.to_csv(index=False)
    if "\r" in text:
        # the writer takes it for no end of a line, readers do
        text = safe.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text


def _harmless(cell):
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def cell_text(cell: str) -> str:
    """The text that :func:`write_csv` wrote as a cell; any other cell as it stands.

    >>> cell_text("'=A1"), cell_text("'tis"), cell_text("-A1")
    ('=A1', "'tis", '-A1')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


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
