"""Mending CIF files that break the rules of CIF 1.1.

Only the cell, the symmetry and the atoms are kept, each mended only where that leaves no choice;
numbers are never guessed.
"""

from __future__ import annotations

import re

from poreflux.base.errors import StructureError
from poreflux.structures.cif_text import (
    LIKE_OCCUPANCY,
    MAGNETIC_OPERATORS,
    OPERATORS,
    SUMMARY,
    MalformedError,
    is_needed,
    normal_tag,
    printable,
    show,
)

# Characters pasted from print that stand for ASCII ones.
_ASCII = str.maketrans("−–‐‑\u00a0\u2009", "----  ")
_TOKEN = re.compile(r"""'(?:[^']|'(?=\S))*'(?=\s|$)|"(?:[^"]|"(?=\S))*"(?=\s|$)|#.*|\S+""")
_KEYWORD = re.compile(r"(data_|loop_|save_|stop_|global_)", re.IGNORECASE)
# Columns that say what the atoms of another loop are
_DECIDING = {"_atom_site_occupancy", "_atom_site_type_symbol", "_atom_site_disorder_group"}
# Lines that programs put after the last atom
_END = re.compile(r"\W*(end|eof|stop)?\b[\s\W]*(of)?\s*(file|data|cif)?\W*", re.IGNORECASE)


def repair(text: str) -> str:
    """A valid CIF with the cell, symmetry and atoms of a broken one, the rest left out.

    Raises
    ------
    StructureError, MalformedError
        Where a needed part cannot be mended without a guess.
    """
    out: list[str] = []
    pairs: dict[str, str] = {}
    atoms_seen = False
    items = _items(text)
    for number, tags, values in items:
        if tags == ["data_"]:
            pairs, atoms_seen = {}, False
            out.append(f"data_{len(out)}")
            continue
        names = [normal_tag(tag) for tag in tags]
        atoms = [n for n in names if n.startswith("_atom_site_") and "aniso" not in n]
        needed = any(map(is_needed, names))
        is_pair = len(names) == 1 and not isinstance(values, list)
        if not atoms and not needed and not (is_pair and names[0] in SUMMARY):
            continue
        if not out:
            out.append("data_unnamed")
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise StructureError(f"line {number}: {show(twice)} is a column twice; delete one")
        if is_pair:
            if not values:
                continue
            known = pairs.get(names[0], values)
            if known != values and needed:
                raise StructureError(
                    f"line {number}: {printable(tags[0], 40)} is given twice, as "
                    f"{show(known, 20)} and as {show(values, 20)}; delete one"
                )
            if names[0] not in pairs:
                pairs[names[0]] = values
                out.append(f"{names[0]} {_quoted(values)}")
            continue
        if atoms:
            if "_atom_site_fract_x" not in names and not any(
                n in _DECIDING or LIKE_OCCUPANCY.match(n) for n in names
            ):
                continue
            if atoms_seen:
                raise StructureError(f"line {number}: a second loop of atoms; delete one of them")
            atoms_seen = True
            rows = _atom_rows(values, len(names))
        else:
            rows = _operator_rows(values, names)
        if rows:
            out += ["loop_", *names, *(" ".join(map(_quoted, row)) for row in rows)]
    if not out:
        raise MalformedError
    return "\n".join(out) + "\n"


def _items(text: str):
    """Yield line number, tags and values of each item: of a loop a list of (line, tokens)."""
    text = text.translate(_ASCII)
    text = "".join(c if " " <= c <= "~" or c in "\t\n" else " " if c < " " else "?" for c in text)
    lines = text.split("\n")
    tags: list[str] = []
    values: list[tuple[int, list[str]]] = []
    start, in_loop = 0, False

    def item():
        if in_loop:
            return [(start, tags, values)] if tags else []
        return [(start, tags, " ".join(t for _, row in values for t in row))] if tags else []

    i = 0
    while i < len(lines):
        line, number = lines[i], i + 1
        i += 1
        if line.startswith(";"):
            end = next((k for k in range(i, len(lines)) if lines[k].startswith(";")), len(lines))
            inside = "\n".join(lines[i:end]).lower()
            if re.search(r"^\s*(_atom_site|_cell|data_)", inside, re.MULTILINE):
                raise StructureError(
                    f"the text field that opens in line {number} is not closed; "
                    "end it with a line that holds ';' alone"
                )
            content = " ".join(" ".join([line[1:], *lines[i:end]]).split())
            values.append((number, [content]))
            i = end + 1
            continue
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("_"):
            if in_loop and not values:
                tags += [t for t in stripped.split() if t.startswith("_")]
                continue
            tag, rest = (*stripped.split(None, 1), "")[:2]
            yield from item()
            tags, values, start, in_loop = [tag], [], number, False
            value = _pair_value(rest)
            if value:
                values = [(number, [value])]
            continue
        if keyword := _KEYWORD.match(stripped):
            yield from item()
            tags, values, start, in_loop = [], [], number, False
            word = keyword.group().lower()
            if word == "data_":
                yield number, ["data_"], ""
            elif word == "loop_":
                in_loop = True
                tags = [t for t in stripped.split()[1:] if t.startswith("_")]
            continue
        tokens = [t for t in _TOKEN.findall(stripped) if not t.startswith("#")]
        if in_loop:
            values.append((number, [_unquoted(t) for t in tokens]))
        elif tags and not values:
            values.append((number, [_pair_value(stripped)]))
    yield from item()


def _pair_value(text: str) -> str:
    """The value on a tag's line without quotes (an opening one may lack its end) and comment."""
    text = text.strip()
    if not text or text.startswith("#"):
        return ""
    if text[0] in "'\"":
        match = _TOKEN.match(text)
        if match and len(match.group()) > 1 and match.group()[-1] == text[0]:
            return match.group()[1:-1]
        return text[1:]
    return re.split(r"\s#", text)[0].strip()


def _unquoted(token: str) -> str:
    if len(token) > 1 and token[0] in "'\"" and token[-1] == token[0]:
        return token[1:-1]
    return token


def _quoted(value: str) -> str:
    value = " ".join(value.split())
    if re.fullmatch(r"[A-Za-z0-9.+\-?(][A-Za-z0-9.+\-?()/,:*]*", value) and not _KEYWORD.match(
        value
    ):
        return value
    quote = '"' if "'" in value else "'"
    return quote + value.replace(quote, "") + quote


def _atom_rows(values, n_columns: int) -> list[list[str]]:
    """Rows of the loop of atoms; a line is an atom, a closing word after the last is dropped."""
    rows = []
    for number, tokens in values:
        if len(tokens) == n_columns:
            rows.append(tokens)
        elif not _END.fullmatch(" ".join(tokens)):
            raise StructureError(
                f"line {number} has {len(tokens)} values, the loop of atoms {n_columns} columns: "
                f"{show(' '.join(tokens))}; mend the line"
            )
    return rows


def _operator_rows(values, names: list[str]) -> list[list[str]]:
    """Rows of the loop of symmetry operators, put together where blanks without quotes cut them."""
    rows = []
    column = next((i for i, n in enumerate(names) if n in (*OPERATORS, MAGNETIC_OPERATORS)), None)
    for number, tokens in values:
        extra = len(tokens) - len(names)
        if column is not None and extra > 0 and tokens[column].count(",") < 2:
            joined = "".join(tokens[column : column + extra + 1])
            tokens = [*tokens[:column], joined, *tokens[column + extra + 1 :]]
        if len(tokens) % len(names):
            raise StructureError(
                f"line {number} has {len(tokens)} values, its loop {len(names)} columns: "
                f"{show(' '.join(tokens))}; mend the line"
            )
        rows.append(tokens)
    return rows
