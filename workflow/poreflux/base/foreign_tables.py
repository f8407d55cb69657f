"""Tables that others made: CSV and Parquet files, read cell by cell so that nothing is guessed.

What a file is, its content tells and not its name. A cell that is no number is not turned into one,
a line with a cell too many or too few is not read shifted, a column that stands twice is not chosen
from.
"""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import io
import lzma
import numbers
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.tables import cell_text, load_pyarrow

# Texts that stand for a missing value in the tables of others: those that pandas takes for it.
MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
_UNPACKED = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}
_UTF8 = "save it as CSV in UTF-8"
_AGAIN = "get it again from where it came"
_LONGEST_CELL = 131_072
_SHOWN = 20


class ForeignTable:
    """A table of which no cell has been interpreted yet.

    Parameters
    ----------
    path : str or Path
        Where it came from, for messages.
    columns : sequence of str
        Names of the columns; one may stand twice as long as nobody asks for it.
    cells : sequence of sequences
        The cells of each column: texts, of Parquet files values of any type.
    """

    def __init__(self, path: str | Path, columns: Sequence[str], cells: Sequence[Sequence]):
        self.path, self.columns, self.cells = str(path), list(columns), list(cells)

    @classmethod
    def of(cls, path: str | Path, frame: pd.DataFrame) -> ForeignTable:
        """From a DataFrame; a named index counts as a column."""
        if any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        names = [str(name).strip() for name in frame.columns]
        return cls(path, names, [frame.iloc[:, i] for i in range(len(names))])

    def __len__(self) -> int:
        return len(self.cells[0]) if self.cells else 0

    def texts(self, column: str, missing: Collection[str] = ("",)) -> list[str | None]:
        """The cells of a column as text without blanks around it; None where missing.

        Parameters
        ----------
        column : str
        missing : collection of str
            Texts that stand for a missing value.

        Raises
        ------
        DataError
            If there is no such column, or two, or it holds what is neither text nor a number, or a
            line break.
        """
        found = []
        for row, value in enumerate(self._column(column), 1):
            text = _as_text(value)
            if text is None and not _is_none(value):
                raise DataError(
                    f"{self.path}: row {row} of column {column!r} is no text but {_show(value)}; "
                    "save the column as text"
                )
            if text and any(unicodedata.category(c) == "Cc" for c in text):
                raise DataError(
                    f"{self.path}: row {row} of column {column!r} holds a line break or another "
                    f"control character, {_show(text)}; look for a quotation mark too many, or "
                    "correct the text"
                )
            found.append(None if text in missing else text)
        return found

    def numbers(
        self, column: str, missing: Collection[str] = MISSING
    ) -> tuple[np.ndarray, dict[int, str]]:
        """A column as numbers.

        Parameters
        ----------
        column : str
        missing : collection of str
            Texts that stand for a missing value.

        Returns
        -------
        values : ndarray (n_rows,) of float64
            NaN where missing or no number.
        problems : dict of int to str
            By index of the row: what stands there instead of a number, and the remedy.

        Raises
        ------
        DataError
            If there is no such column, or two.
        """
        cells = self._column(column)
        values, problems = np.full(len(self), np.nan), {}
        for i, value in enumerate(cells):
            try:
                values[i] = _as_number(value, missing)
            except ValueError as error:
                problems[i] = str(error)
        return values, problems

    def _column(self, name: str) -> Sequence:
        places = [i for i, column in enumerate(self.columns) if column == name]
        if len(places) > 1:
            raise DataError(f"{self.path}: two columns are named {name!r}; rename or delete one")
        if not places:
            shown = ", ".join(map(_show, self.columns[:_SHOWN]))
            more = f" and {len(self.columns) - _SHOWN} more" if len(self.columns) > _SHOWN else ""
            raise DataError(
                f"{self.path}: no column {name!r}{_nearest(name, self.columns)}; it has: "
                f"{shown}{more}; name one of these in the configuration, or correct the first line "
                "of the file"
            )
        return self.cells[places[0]]


def read_table(path: str | Path) -> ForeignTable:
    """Read a CSV file (comma, UTF-8, a line of names first), compressed or not, or a Parquet file.

    Rows and columns of which all cells are empty do not count.

    Raises
    ------
    DataError
        Naming the file, the reason and the remedy: it cannot be read, is something else, damaged,
        in another encoding or with another separator, has no rows, or a line has a cell too many
        or too few.
    """
    data = _unpacked(path, _bytes_of(path))
    table = _parquet(path, data) if data[:4] == b"PAR1" else _csv(path, data)
    if not len(table):
        raise DataError(f"{path}: there are no rows below the head; {_AGAIN}")
    return table


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    DataError
        Naming the file, the reason and the remedy: it cannot be read, is something else or in
        another encoding.
    """
    return _decode(path, _bytes_of(path))


def misspelt(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Names that seem to mean others, for messages: of known ones that are not among the names.

    Parameters
    ----------
    names, known : iterables of str

    Returns
    -------
    dict of str to str
        Known name to the one that differs from it by no more than case, a folder, ``.cif``,
        hyphens or odd blanks.

    >>> misspelt(["my/ZIF-8.cif", "mof-5", "x"], ["ZIF-8", "mof-5", "MOF-5"])
    {'ZIF-8': 'my/ZIF-8.cif'}
    """
    names, known = set(names), set(known)
    alike = {_likeness(name): name for name in sorted(names - known)}
    return {k: alike[_likeness(k)] for k in sorted(known - names) if _likeness(k) in alike}


def _likeness(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).casefold().removesuffix(".cif")
    name = re.sub(r"[\u2010-\u2015\u2212]", "-", re.split(r"[/\\]", name)[-1])
    name = "".join(c for c in name if not c.isspace() and unicodedata.category(c) != "Cf")
    return name.strip("'\"`")


def _nearest(name: str, known: Sequence[str]) -> str:
    """Clause naming a column that may be meant: with a unit, in another case, with a typo."""
    like = [k for k in known if re.match(rf"\W*{re.escape(name)}(?![A-Za-z0-9])", k, re.IGNORECASE)]
    like += difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {like[0]!r}?)" if like else ""


# --- bytes -------------------------------------------------------------------------------------


def _bytes_of(path: str | Path) -> bytes:
    try:
        # a pipe would be waited for
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise DataError(f"{path} cannot be read as a table: it is not a file; name a file")
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read as a table: {error.strerror}; name a file that can be read"
        ) from error


def _unpacked(path: str | Path, data: bytes) -> bytes:
    """The bytes of a table that was compressed, perhaps more than once."""
    try:
        while unpack := next((f for mark, f in _UNPACKED.items() if data.startswith(mark)), None):
            data = unpack(data)
        return _from_archive(path, data) if data.startswith(b"PK") else data
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is cut short or damaged ({error}); {_AGAIN}") from error


def _from_archive(path: str | Path, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if {"[Content_Types].xml", "mimetype"} & set(names):
            raise DataError(f"{path} is a spreadsheet; save its sheet as CSV in UTF-8")
        if len(names) != 1:
            raise DataError(f"{path} is an archive of {len(names)} files; unpack it and name one")
        return archive.read(names[0])


def _decode(path: str | Path, data: bytes) -> str:
    if data.startswith(b"version https://git-lfs.github.com/"):
        raise DataError(f"{path} is a pointer of Git LFS, not the file itself; run git lfs pull")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError(f"{path} is a spreadsheet; save its sheet as CSV in UTF-8")
    if data.startswith((b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")):
        raise DataError(f"{path} is compressed in a way that is not read; unpack it")
    # every other byte of plain text in UTF-16 is NUL
    halves = (data[:200:2], data[1:200:2])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or any(
        half.count(0) > 0.9 * len(half) for half in halves if half
    ):
        raise DataError(f"{path} is in UTF-16 or UTF-32; {_UTF8}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not in UTF-8 (byte 0x{data[error.start]:02x} in line {line}); {_UTF8}"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path} holds NUL bytes (line {line}): damaged or no text; {_AGAIN}")
    if re.match(r"\s*<(!doctype|html|\?xml|head|body)", text[:200], re.IGNORECASE):
        raise DataError(f"{path} is a web page, not the file itself; {_AGAIN}")
    return text.removesuffix("\x1a")


# --- tables ------------------------------------------------------------------------------------


def _parquet(path: str | Path, data: bytes) -> ForeignTable:
    pyarrow = load_pyarrow()
    try:
        return ForeignTable.of(path, pd.read_parquet(io.BytesIO(data)))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        said = str(error).splitlines()[0]
        raise DataError(f"{path} is cut short or damaged ({said}); {_AGAIN}") from error


def _csv(path: str | Path, data: bytes) -> ForeignTable:
    lines = _lines(path, _decode(path, data))
    if not lines:
        raise DataError(f"{path} is empty; {_AGAIN}")
    (_, head), *rest = lines
    while head and not head[-1]:
        head.pop()
    _check_separator(path, head, rest)
    for number, cells in rest:
        while len(cells) > len(head) and not cells[-1]:
            cells.pop()
        if len(cells) != len(head):
            raise DataError(
                f"{path}: line {number} has {len(cells)} cells, the head {len(head)} "
                f"({_show(','.join(cells))}); give each line as many, in quotation marks what "
                "holds a comma, and delete comments"
            )
    columns = list(zip(*(cells for _, cells in rest), strict=True))
    return ForeignTable(path, head, columns or [()] * len(head))


def _lines(path: str | Path, text: str) -> list[tuple[int, list[str]]]:
    """Number of the line and stripped cells of all rows that are not empty."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found = []
    try:
        for row in rows:
            cells = [cell_text(cell.strip()) for cell in row]
            if any(cells):
                found.append((rows.line_num, cells))
    except csv.Error as error:
        longest = "field larger" in str(error)
        said = f"a cell is longer than {_LONGEST_CELL} characters" if longest else str(error)
        raise DataError(
            f"{path}: cannot read line {rows.line_num} ({said}); look for a quotation mark without "
            "its second there or above, and double those inside a cell"
        ) from error
    return found


def _check_separator(path: str | Path, head: list[str], rest: list) -> None:
    if len(head) > 1:
        return
    other = next((said for mark, said in _SEPARATORS.items() if mark in head[0]), None)
    if other is None and len(head[0].split()) > 1 and head[0][0] not in "#[{":
        widths = {len(cells[0].split()) for _, cells in rest if len(cells) == 1}
        other = "blanks" if widths == {len(head[0].split())} else None
    if other:
        raise DataError(f"{path}: its columns are separated by {other}; save it with commas")


# --- cells -------------------------------------------------------------------------------------


def _is_none(value) -> bool:
    return value is None or value is pd.NA or (not np.ndim(value) and value != value)


def _as_text(value) -> str | None:
    """Text of a cell: a whole number without a point; None of what is missing or no text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, numbers.Real) and value == value:
        return str(int(value)) if value == value // 1 else str(value)
    return None


def _as_number(value, missing: Collection[str]) -> float:
    """Number in a cell, NaN where missing; ValueError with reason and remedy where it is none."""
    if isinstance(value, str):
        return _number_in(value.strip(), missing)
    if isinstance(value, (numbers.Real, Decimal)) and not isinstance(value, (bool, np.bool_)):
        number = float(value)
        if np.isinf(number):
            raise ValueError(f"{number} is not finite; leave the cell empty")
        return number
    if _is_none(value):
        return np.nan
    raise ValueError(f"{_show(value)} is no number; save the column as numbers")


def _number_in(text: str, missing: Collection[str]) -> float:
    if text in missing:
        return np.nan
    if _NUMBER.fullmatch(text) and np.isfinite(number := float(text)):
        return number
    if _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text[:60]} is not finite; leave the cell empty")
    remedy = "correct it or leave the cell empty"
    if "," in text:
        remedy = "write a decimal point and no comma"
    raise ValueError(f"{_show(text)} is no number; {remedy}")


def _show(value) -> str:
    """A value for a message, on one line and cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
