"""What a file of results was made of, written into the file itself.

A record says with which settings and code a file was made and from what. It lies in the metadata
of a Parquet file, in the comment of a zip archive (a model) and in a comment at the end of a page,
so that it goes wherever the file goes and every other program reads the file as before.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from poreflux.base.canonical import canonical_json, digest
from poreflux.base.errors import DataError

# Name of the record in a Parquet file's metadata.
KEY = b"poreflux"
_PAGE = re.compile(rb"<!-- poreflux (\{.*\}) -->\s*$")
# What ends a zip archive without a comment: signature, 16 bytes, length of the comment.
_END_SIGNATURE, _END_BYTES = b"PK\x05\x06", 22
# How to get rid of a file that cannot be used.
REMEDY = "delete it and run the same command again: what is stored is not computed again"


@dataclass(frozen=True)
class Record:
    """What a file was made of.

    Attributes
    ----------
    words : tuple of str
        Settings and digests of code of the rule that made it, such as ``uptake.cutoff_A = 12.0``.
    made_from : str
        Digest of the words of all rules that made what it was made from.
    sources : str
        Digest of the contents of all files at the beginning of the chain (CIFs, the user's
        tables), whatever the number of shards between.
    """

    words: tuple[str, ...]
    made_from: str
    sources: str

    @property
    def chain(self) -> str:
        """Digest of its own words and of those of all that it was made from."""
        return digest([self.words, self.made_from])

    def to_bytes(self) -> bytes:
        """As JSON; equal records give equal bytes."""
        return canonical_json(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Record | None:
        """From JSON; ``None`` where it is no record."""
        try:
            given = json.loads(data)
            return cls(tuple(given["words"]), given["made_from"], given["sources"])
        except (ValueError, KeyError, TypeError):
            return None


def is_stamped(path: str | Path) -> bool:
    """Whether files of this kind carry a record."""
    return Path(path).suffix in _READERS


def record_of(path: str | Path) -> Record | None:
    """The record in a file; ``None`` where it has none, is truncated or something else."""
    try:
        found = _READERS[Path(path).suffix](Path(path))
    except Exception:  # whatever the readers of foreign files raise
        return None
    return Record.from_bytes(found) if found else None


def stamp_model(data: bytes, record: Record | None) -> bytes:
    """A model (zip archive without comment) with its record as comment."""
    if record is None:
        return data
    comment = record.to_bytes()
    return data[:-2] + len(comment).to_bytes(2, "little") + comment


def read_model(path: str | Path) -> bytes:
    """The bytes of a model as they were before its record was added.

    Raises
    ------
    DataError
        If the file is truncated, damaged or no model; the message names it and the remedy.
    """
    try:
        data = Path(path).read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            comment, damaged = archive.comment, archive.testzip()
    except OSError as error:
        raise DataError(f"cannot read the model {path}: {error.strerror}") from error
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is truncated or no model ({error}); {REMEDY}") from error
    if damaged:
        raise DataError(f"{path} is damaged (its entry {damaged}); {REMEDY}")
    return data[: len(data) - len(comment) - 2] + b"\0\0"


def stamp_page(path: str | Path, record: Record | None) -> None:
    """Add its record to the end of a page that was just written."""
    if record is not None:
        # two hyphens would end the comment
        text = record.to_bytes().replace(b"-", b"\\u002d")
        with Path(path).open("ab") as file:
            file.write(b"<!-- poreflux " + text + b" -->\n")


def _of_table(path: Path) -> bytes | None:
    from pyarrow import parquet

    return (parquet.read_metadata(path).metadata or {}).get(KEY)


def _of_model(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.comment


def _of_page(path: Path) -> bytes | None:
    found = _PAGE.search(path.read_bytes())
    return found[1] if found else None


_READERS = {".parquet": _of_table, ".npz": _of_model, ".html": _of_page}
