"""Symmetry operators of a cell, from what a CIF states of its space group.

Operators count first, then a Hall symbol, a Hermann-Mauguin name and the type of the group (its
number). What is stated beside them is held against the operators: nothing is left unread without
a remark. The groups are those that gemmi tabulates.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.cif_items import Items
from poreflux.structures.cif_text import (
    GROUP_TYPE,
    HALL,
    HERMANN_MAUGUIN,
    MAGNETIC_CENTRINGS,
    MAGNETIC_NAMES,
    MAGNETIC_OPERATORS,
    OPERATORS,
    SETTING_CODE,
    SYMMETRY,
    SYMMETRY_DETAILS,
    UNREAD_GROUPS,
    MalformedError,
    printable,
    show,
)

IDENTITY = "x,y,z"
# Fd-3m has 192; a cell that is doubled along each axis has eight times as many.
MAX_OPERATORS = 192 * 8
# An operator that belongs to the cell keeps lengths; published cells are rounded to 1 in 1000.
METRIC_TOLERANCE = 0.02
# Words for "not known" that are no name of a group
_NO_NAME = {"unknown", "none", "n/a", "na", "not determined", "undefined", "no"}
# Tags of no dictionary that speak of symmetry
_STRAY = re.compile(
    r"space.?group|spgr|sp_?group|hermann|symm|hall|symop|equiv|[._]sg[._]|h[-_]m$", re.IGNORECASE
)
_REMEDY = "correct the loop of symmetry operators"

Group = frozenset[str]


@dataclass(frozen=True)
class Statement:
    """What one item of a file says of the space group.

    Attributes
    ----------
    said : str
        Tag and value, for messages.
    kind : str
        ``hall``, ``name``, ``type`` or ``other``.
    settings : tuple of tuple of str
        Operators (triplets) of each setting that the item allows, the likeliest first; empty if
        it is not understood.
    number : int
        Of the type of the group, 0 if not known.
    remark : str
        What is taken for granted if the operators come from this item alone.
    """

    said: str
    kind: str
    settings: tuple[tuple[str, ...], ...] = ()
    number: int = 0
    remark: str = ""

    @property
    def groups(self) -> list[Group]:
        """The settings as sets of operators."""
        return [frozenset(setting) for setting in self.settings]


@dataclass(frozen=True)
class Symmetry:
    """The operators to apply, and what the file states that they leave out.

    Attributes
    ----------
    operators : list of gemmi.Op
        A group; the identity is one of them.
    larger : list of Statement
        Items that state a group of which the operators are only a part, or that are not understood
        while the identity is the only operator.
    remarks : list of str
        What a user should know of the reading.
    """

    operators: list[gemmi.Op]
    larger: list[Statement]
    remarks: list[str]


def read_symmetry(items: Items, angles_deg) -> Symmetry:
    """Symmetry that a data block states.

    Parameters
    ----------
    items : Items
        The data block.
    angles_deg : sequence of 3 floats
        Angles of the cell; they tell rhombohedral from hexagonal axes.

    Raises
    ------
    StructureError, MalformedError
        If an operator is none, the operators form no group, or the only group that is stated is
        unknown.
    """
    remarks: list[str] = []
    stated = _statements(items, list(angles_deg), remarks)
    operators = _listed_operators(items, stated, remarks)
    if operators is None:
        operators = _operators_of(stated, remarks)
    if operators is None:
        found = stated or _stray_statements(items)
        stated = found
        operators = [gemmi.Op(IDENTITY)]
        if not found:
            remarks.append("no symmetry stated, P 1 taken")
    larger = _compare(operators, stated, remarks)
    return Symmetry(operators, larger, remarks)


def misfit(operators: list[gemmi.Op], cell: np.ndarray) -> list[str]:
    """Remark on an operator that changes lengths: it belongs to another cell."""
    rotations = np.array([op.rot for op in operators], float) / gemmi.Op.DEN
    metric = cell @ cell.T
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    changed = np.abs(np.einsum("oki,kl,olj->oij", rotations, metric, rotations) - metric) / scale
    worst = changed.max(axis=(1, 2))
    if worst.max() <= METRIC_TOLERANCE:
        return []
    return [f"operator {operators[int(worst.argmax())].triplet()} does not fit the cell"]


# --- operators ---------------------------------------------------------------------------------


def _listed_operators(items: Items, stated, remarks) -> list[gemmi.Op] | None:
    """The operators that the file lists, None if it lists none."""
    lists = [_magnetic_operators(items), *map(items.texts, OPERATORS)]
    lists = [_distinct([_operator(text) for text in texts]) for texts in lists if texts]
    if not lists:
        return None
    operators = lists[0]
    if any(_group(others) != _group(operators) for others in lists[1:]):
        raise StructureError("two different lists of symmetry operators; delete one of them")
    if IDENTITY not in _group(operators):
        operators.insert(0, gemmi.Op(IDENTITY))
        remarks.append("the identity is missing among the operators and was added")
    if _is_closed(operators):
        return operators
    completed = _completed(operators)
    for statement in stated:
        if completed and _group(completed) in statement.groups:
            remarks.append(
                f"{len(operators)} operators completed to the {len(completed)} of {statement.said}"
            )
            return completed
    raise StructureError(
        f"the {len(operators)} symmetry operators form no group, one or more are missing or wrong; "
        + _REMEDY
    )


def _magnetic_operators(items: Items) -> list[str]:
    """Operators of a magnetic group without time reversal, times its centring translations."""
    texts = [_without_time(t) for t in items.texts(MAGNETIC_OPERATORS)]
    shifts = [_without_time(t) for t in items.texts(MAGNETIC_CENTRINGS)]
    if not shifts:
        return texts
    operators = [_operator(t) for t in texts or [IDENTITY]]
    return [(_operator(s) * o).triplet() for s in shifts for o in operators]


def _without_time(text: str) -> str:
    return re.sub(r",\s*[+-]?1\s*$", "", text)


def _operator(text: str) -> gemmi.Op:
    """One operator; gemmi overflows silently on long integers, so these are refused here."""
    if len(text) > 100 or re.search(r"(?<![.\d])\d{3,}|(?<!\d)\.(?!\d)", text):
        raise StructureError(f"symmetry operator {show(text)} not understood; {_REMEDY}")
    try:
        operator = gemmi.Op(text)
    except (ValueError, RuntimeError) as error:
        raise MalformedError(
            f"symmetry operator {show(text)} not understood: {printable(str(error))}"
        ) from error
    rotation = np.array(operator.rot, float) / gemmi.Op.DEN
    if abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
        raise StructureError(f"{show(text)} is no symmetry operator: it changes volumes; {_REMEDY}")
    if (rotation % 1).any() or re.search(r"[a-w]", text, re.IGNORECASE):
        raise StructureError(f"{show(text)} is no symmetry operator of a lattice; {_REMEDY}")
    return operator


def _distinct(operators) -> list[gemmi.Op]:
    """Operators that differ by more than lattice translations, the first of each."""
    found = {operator.wrap().triplet(): operator for operator in reversed(list(operators))}
    distinct = list(reversed(found.values()))
    if len(distinct) > MAX_OPERATORS:
        raise StructureError(f"{len(distinct)} symmetry operators are no space group; {_REMEDY}")
    return distinct


def _triplets(operators) -> tuple[str, ...]:
    return tuple(operator.wrap().triplet() for operator in operators)


def _group(operators) -> Group:
    return frozenset(_triplets(operators))


def _products(operators) -> set[bytes]:
    """Distinct products of all pairs of operators: rotation and translation, 12 int16 each."""
    rotations = np.array([op.rot for op in operators]) // gemmi.Op.DEN
    shifts = np.array([op.tran for op in operators])
    found: set[bytes] = set()
    for rotation, shift in zip(rotations, shifts, strict=True):
        turned = (rotation @ rotations).reshape(-1, 9)
        moved = (shifts @ rotation.T + shift) % gemmi.Op.DEN
        found.update(map(bytes, np.hstack([turned, moved]).astype(np.int16)))
        if len(found) > MAX_OPERATORS:
            break
    return found


def _is_closed(operators) -> bool:
    known = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(list(operators)))
    if known and _group(known.operations()) == _group(operators):
        return True
    return len(_products(operators)) == len(operators)


def _completed(operators) -> list[gemmi.Op] | None:
    """The group that operators generate, those given first; None if it is not finite."""
    operators = list(operators)
    while not _is_closed(operators):
        known = _group(operators)
        for product in sorted(_products(operators)):
            row = np.frombuffer(product, np.int16).astype(int)
            new = gemmi.Op(IDENTITY)
            new.rot = (row[:9].reshape(3, 3) * gemmi.Op.DEN).tolist()
            new.tran = row[9:].tolist()
            if new.triplet() not in known:
                operators.append(new)
        if len(operators) > MAX_OPERATORS:
            return None
    return operators


# --- statements --------------------------------------------------------------------------------


def _statements(items: Items, angles: list[float], remarks: list[str]) -> list[Statement]:
    """What the file says of its group beside listing operators, in order of precedence."""
    found = []
    for tag, read in (
        *((tag, _by_hall) for tag in HALL),
        *((tag, _by_name) for tag in HERMANN_MAUGUIN),
        *((tag, _by_type) for tag in GROUP_TYPE),
        *((tag, _by_magnetic_name) for tag in MAGNETIC_NAMES),
        *((tag, _unread) for tag in UNREAD_GROUPS),
    ):
        if tag in _SINGLE:
            items.first(tag)
        for text in dict.fromkeys(items.texts(tag)):
            said = f"{printable(items.tags[tag], 60)} {show(text)}"
            if text.lower() in _NO_NAME or (read is _by_type and text == "0"):
                remarks.append(f"{said} not read")
            else:
                found.append(read(said, text, angles, items.text(SETTING_CODE) or ""))
    for tag in items.values:
        if tag.startswith(SYMMETRY) and tag not in _READ and not SYMMETRY_DETAILS.fullmatch(tag):
            found += _unknown_tag(items.tags[tag], items.texts(tag), remarks)
    return found


_READ = {
    *OPERATORS, MAGNETIC_OPERATORS, MAGNETIC_CENTRINGS, *HALL, *HERMANN_MAUGUIN, *GROUP_TYPE,
    *MAGNETIC_NAMES, *UNREAD_GROUPS,
}  # fmt: skip


# A group may have several names, but one Hall symbol and one number.
_SINGLE = {*HALL, *GROUP_TYPE[:2], *MAGNETIC_NAMES}


def _by_hall(said: str, text: str, angles, code: str) -> Statement:
    try:
        group = gemmi.symops_from_hall(text)
    except (ValueError, RuntimeError):
        return Statement(said, "hall")
    known = gemmi.find_spacegroup_by_ops(group)
    return Statement(said, "hall", (_triplets(group),), known.number if known else 0)


def _by_name(said: str, text: str, angles, code: str) -> Statement:
    if text.isdigit():
        return _by_type(said, text, angles, code)
    group = _group_by_name(text, angles)
    if group is None:
        return Statement(said, "name")
    if group.ext not in "12HR" or _names_setting(text):
        return Statement(said, "name", (_operators_in(group.xhm()),), group.number)
    others = [g for g in _table()[group.number] if g.hm == group.hm and g.ext != group.ext]
    coded = [g for g in (group, *others) if code.lower() == g.ext.lower()]
    settings = tuple(_operators_in(g.xhm()) for g in (coded or [group, *others]))
    open_origin = group.ext in "12" and not coded
    remark = f"origin of {group.hm} not given, {group.xhm()} taken" if open_origin else ""
    return Statement(said, "name", settings, group.number, remark)


def _by_type(said: str, text: str, angles, code: str) -> Statement:
    if re.fullmatch(r"\d{1,3}(\.0*)?", text):
        number = int(float(text))
    else:
        named = _group_by_name(text, angles)
        number = named.number if named else 0
    if number not in _table():
        return Statement(said, "type")
    standard = _group_by_name(gemmi.find_spacegroup_by_number(number).hm, angles)
    standard = standard or gemmi.find_spacegroup_by_number(number)
    groups = sorted(_table()[number], key=lambda g: g.xhm() != standard.xhm())
    coded = [g for g in groups if code and code.lower() in (g.ext.lower(), g.qualifier.lower())]
    first = (coded or groups)[0]
    remark = "" if coded or number == 1 else f"setting taken as {first.xhm()} from {said} alone"
    settings = tuple(_operators_in(g.xhm()) for g in (coded or groups))
    # of the settings of P 1 only the primitive one is meant
    return Statement(said, "type", settings[:1] if number == 1 else settings, number, remark)


def _by_magnetic_name(said: str, text: str, angles, code: str) -> Statement:
    """The group of a magnetic structure: P 1 is understood, others need their operators."""
    plain = text.replace(" ", "").upper()
    if plain in ("P1", "P1.1", "1.1", "1.1.1", "P11'", "P1.1'"):
        return Statement(said, "other", ((IDENTITY,),), 1)
    return Statement(said, "other")


def _unread(said: str, text: str, angles, code: str) -> Statement:
    if text.upper().replace("_", "") in ("C1", "C1^1"):
        return Statement(said, "other", ((IDENTITY,),), 1)
    return Statement(said, "other")


def _unknown_tag(tag: str, texts: list[str], remarks: list[str]) -> list[Statement]:
    """What an item of no dictionary says: a remark, a statement if it looks like a group."""
    texts = [text for text in texts if text.lower() not in _NO_NAME]
    if not texts:
        return []
    said = f"{printable(tag, 60)} {show(texts[0])}"
    group = _group_by_name(texts[0], [90.0, 90.0, 90.0])
    if group is not None:
        return [] if group.xhm() == "P 1" else [Statement(said, "other")]
    if re.search(r"number|tables|it_n", tag, re.IGNORECASE) and texts[0].isdigit():
        return [] if texts[0] == "1" else [Statement(said, "other")]
    if any(_looks_like_operator(text) for text in texts):
        return [Statement(said, "other")]
    remarks.append(f"{said} not read")
    return []


def _looks_like_operator(text: str) -> bool:
    try:
        return text.count(",") == 2 and gemmi.Op(text).triplet() != IDENTITY
    except (ValueError, RuntimeError):
        return False


def _stray_statements(items: Items) -> list[Statement]:
    """Space groups under tags that no dictionary has, where nothing else speaks of symmetry."""
    found = []
    for tag, value in items.other:
        if re.search(_STRAY, tag):
            found += _unknown_tag(tag, [gemmi.cif.as_string(value).strip()], [])
    return found


# --- space groups ------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _table() -> dict[int, list[gemmi.SpaceGroup]]:
    """Tabulated settings by number of the group."""
    table: dict[int, list[gemmi.SpaceGroup]] = {}
    for group in gemmi.spacegroup_table():
        table.setdefault(group.number, []).append(group)
    return table


@lru_cache(maxsize=1024)
def _operators_in(xhm: str) -> tuple[str, ...]:
    return _triplets(gemmi.find_spacegroup_by_name(xhm).operations())


def _names_setting(name: str) -> bool:
    """Whether a name ends with the setting that it is in: ``:2``, ``Z``, ``origin choice 2``."""
    return bool(re.search(r":\s*[12HR]\s*$|[SZHR]\s*$|origin\D*[12]\W*$", name, re.IGNORECASE))


def _group_by_name(name: str, angles: list[float]) -> gemmi.SpaceGroup | None:
    """Space group by Hermann-Mauguin name; the angles tell rhombohedral from hexagonal axes."""
    # gemmi's own limit between the axes, so that the cache holds names, not cells
    return _find_group(name, angles[2] >= 1.125 * angles[0])


@lru_cache(maxsize=1024)
def _find_group(name: str, hexagonal: bool) -> gemmi.SpaceGroup | None:
    plain = re.sub(
        r"[\s(,]*(no\.?\s*|#\s*)\d{1,3}\s*\)?\s*$|\(\s*\d{2,3}\s*\)\s*$", "", name,
        flags=re.IGNORECASE,
    )  # fmt: skip
    # marks of print: 2~1~, 2_1, 2(1), $2_{1}$, a bar over the digit, other dashes
    plain = re.sub(r"(\d)[\u0304\u0305]", r"-\1", plain)
    plain = re.sub(r"[\u2212\u2010-\u2013]", "-", plain)
    plain = re.sub(r"<[^<>]*>|[~${}\\]", "", plain)
    plain = re.sub(r"[\s(,]*origin\D*([12])\W*$", r":\1", plain, flags=re.IGNORECASE)
    plain = plain.replace("(", "").replace(")", "").strip()
    # P_21/c has a blank there, P2_1/c a subscript
    plain = plain.replace("_", " " if plain[1:2] == "_" else "").strip()
    if not plain[:1].isalpha():
        # gemmi takes digits for the number of a group
        return None
    tried = [name, plain]
    # ICSD: S and Z for the first and second origin
    for letter, origin in (("S", "1"), ("Z", "2")):
        if plain[-1:].upper() == letter:
            tried.append(f"{plain[:-1].strip(' :')}:{origin}")
    for candidate in tried:
        group = gemmi.find_spacegroup_by_name(candidate, 90, 120 if hexagonal else 90)
        if group is not None:
            return group
    return None


def _operators_of(stated: list[Statement], remarks: list[str]) -> list[gemmi.Op] | None:
    """Operators of the first item that is understood, None where nothing is stated."""
    if not stated:
        return None
    # Where P 1 is stated beside another group, all atoms may be listed: that is looked at later.
    used = next((s for s in stated if s.settings and len(s.settings[0]) == 1), None)
    used = used or next((s for s in stated if s.settings), None)
    # A name that is not understood may be of a setting which its number leaves open.
    unknown = next((s for s in stated if s.kind == "name" and not s.settings), None)
    if used is None or (unknown and used.kind == "type"):
        raise StructureError(
            f"unknown space group ({(unknown or stated[0]).said}) and no symmetry operators; "
            "add the loop _space_group_symop_operation_xyz"
        )
    if used.remark:
        remarks.append(used.remark)
    return [gemmi.Op(triplet) for triplet in used.settings[0]]


# --- statements against operators --------------------------------------------------------------


def _compare(operators, stated: list[Statement], remarks: list[str]) -> list[Statement]:
    """Remark on items that are not understood or contradict; those that state more operators."""
    group = _group(operators)
    known = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(list(operators)))
    larger = []
    for statement in stated:
        if not statement.settings:
            if len(group) == 1:
                larger.append(statement)
            else:
                remarks.append(f"{statement.said} not read")
        elif group not in statement.groups:
            # another origin or other axes of the same group, tabulated or not
            if any(group < other for other in statement.groups):
                larger.append(statement)
            elif known is None:
                if _classes(group) != _classes(statement.settings[0]):
                    remarks.append(f"{statement.said} contradicts the operators")
            elif known.number != statement.number:
                remarks.append(f"{statement.said} contradicts the operators, of {known.xhm()}")
            elif len(statement.settings) == 1:
                remarks.append(f"{statement.said} is another setting than the operators'")
    return larger


def _classes(group: Group) -> Counter:
    """Kinds of the rotations of a group, which no choice of axes changes."""
    rotations = {str(gemmi.Op(t).rot): gemmi.Op(t).rot for t in group}
    kinds = [np.array(r) // gemmi.Op.DEN for r in rotations.values()]
    return Counter((round(float(np.linalg.det(r))), int(np.trace(r))) for r in kinds)
