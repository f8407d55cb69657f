"""Text of CIF files: decoding it, the tags that count, and quoting it in messages."""

from __future__ import annotations

import re

from poreflux.base.errors import StructureError

# 50,000 atoms take 10 MB; the rest is room for reflections and refinement files in text fields.
MAX_BYTES = 50_000_000
# The remedy for a file that lost something on its way.
EXPORT = "export or download it again"

# Tags that are read beside those of the atoms, each group in order of preference.
OPERATORS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
HERMANN_MAUGUIN = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m")
GROUP_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
CELL_LENGTHS = tuple(f"_cell_length_{x}" for x in "abc")
CELL_ANGLES = tuple(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma"))
NEEDED = {*OPERATORS, *HALL, *HERMANN_MAUGUIN, *GROUP_NUMBER, *CELL_LENGTHS, *CELL_ANGLES}


class MalformedError(Exception):
    """A fault of syntax, which :func:`poreflux.structures.cif_repair.repair` may mend."""


def check_size(n_bytes: int) -> None:
    """Raise :class:`StructureError` for a file of more than :data:`MAX_BYTES`."""
    if n_bytes > MAX_BYTES:
        raise StructureError(
            f"the file has {n_bytes / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}: "
            "not a CIF of one structure"
        )


def decode(data: bytes) -> str:
    """Text of the bytes of a file, lines ended by a newline each.

    Raises
    ------
    StructureError
        If the file is empty, too large, compressed, binary or a web page.
    """
    check_size(len(data))
    if not data.strip():
        raise StructureError(f"the file is empty; {EXPORT}")
    if data.startswith(b"\x1f\x8b"):
        raise StructureError("not a CIF: the file is compressed; unpack it with gunzip")
    text = None
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding).removeprefix("\ufeff")
            break
        except UnicodeDecodeError:
            continue
    if text is None:
        # Old CIFs carry Latin-1 author names; every byte is a Latin-1 character.
        text = data.decode("latin-1")
    if "\0" in text:
        raise StructureError(f"not a CIF: the file holds binary data; {EXPORT}")
    if re.match(r"\s*<(!doctype|html|\?xml|head|body)", text[:200], re.IGNORECASE):
        raise StructureError("not a CIF: the file is a web page; download the CIF itself")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encodings(data: bytes) -> list[str]:
    """Encodings to try, by the first bytes."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ["utf-16"]
    # UTF-16 without its mark: every other byte of plain text is NUL.
    head = data[:400]
    if len(head) > 20 and head[1::2].count(0) > 0.9 * (len(head) // 2):
        return ["utf-16-le"]
    if len(head) > 20 and head[0::2].count(0) > 0.9 * (len(head) // 2):
        return ["utf-16-be"]
    return ["utf-8"]


def printable(text: str, length: int = 120) -> str:
    """A piece of the file on one line, cut to ``length`` characters."""
    text = "".join(c if c.isprintable() else " " for c in text[: length + 1]).strip()
    return text[:length] + "..." if len(text) > length else text


def show(text: str, length: int = 40) -> str:
    """The same in quotes, for a message."""
    return repr(printable(text, length))
