"""How many structures there were, and which failed where and why."""

from __future__ import annotations

import re

import pandas as pd

from poreflux.report.numbers import NOT_A_NUMBER, Number, decimal, rounded, spread, whole
from poreflux.report.rendering import MAX_ROWS, Section, Table, missing_section, render
from poreflux.report.study import TABLES, Study

_WARNING = re.compile(r"(?:^|; )([a-z_]+): ")
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")
# Names that a cell lists before it says how many more there are.
MAX_NAMES = 4
TITLE = "Structures"


def section(study: Study) -> Section:
    """Counts by set and stage, what was read, failures and warnings."""
    counts = outcome_counts(study.tables, study.sets)
    if counts.empty:
        return missing_section("structures", TITLE, TITLE, study.why_nowhere("structures"))
    names = list(dict.fromkeys(counts["set"]))
    failed = failures(study.tables, names).sort_values(
        ["structures", "set", "stage"], ascending=[False, True, True], kind="stable"
    )
    warned = warning_counts(study.tables, names).sort_values(
        ["set", "structures"], ascending=[True, False], kind="stable"
    )
    body = render(
        "structures",
        outcomes=_outcomes(counts),
        properties=_properties(study),
        failures=_failures(failed.head(MAX_ROWS)),
        more_failures=max(0, len(failed) - MAX_ROWS),
        warnings=_warnings(warned),
    )
    return Section("structures", TITLE, body)


def _outcomes(counts: pd.DataFrame) -> Table:
    stages = [s for s in TABLES if s in set(counts["stage"])]
    table = counts.set_index(["set", "stage"])
    rows = []
    for name in dict.fromkeys(counts["set"]):
        first = counts[counts["set"] == name].iloc[0]
        cells = [
            whole(table.loc[(name, s), "ok"]) if (name, s) in table.index else Number(NOT_A_NUMBER)
            for s in stages
        ]
        rows.append([name, whole(first["total"]), *cells])
    heads = {"structures": "Read and checked"}
    return Table(["Set", "Structures", *(heads.get(s, s.capitalize()) for s in stages)], rows)


def _properties(study: Study) -> Table | None:
    sets = study.by_set("structures", "n_atoms", "volume_A3", "density_g_cm3")
    rows = [
        [
            name,
            spread(table["n_atoms"], rounded),
            spread(table["volume_A3"], rounded),
            spread(table["density_g_cm3"], decimal),
        ]
        for name, table in sets.items()
    ]
    heads = ["Set", "Atoms per cell", "Cell volume (Å³)", "Density (g cm⁻³)"]
    return Table(heads, rows) if rows else None


def _failures(failed: pd.DataFrame) -> Table | None:
    rows = [
        [r.set, r.stage, whole(r.structures), _reason(r), _listed_names(r.names)]
        for r in failed.itertuples()
    ]
    return Table(["Set", "Stage", "Structures", "Reason", "Names"], rows) if rows else None


def _warnings(warned: pd.DataFrame) -> Table | None:
    rows = [
        [r.set, r.code.replace("_", " "), whole(r.structures), r.example, _listed_names(r.names)]
        for r in warned.itertuples()
    ]
    return Table(["Set", "Warning", "Structures", "For example", "Names"], rows) if rows else None


def _reason(row) -> str:
    return row.reason + (" (the first; others differ in numbers)" if row.varied else "")


def _listed_names(names: list[str]) -> str:
    rest = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def outcome_counts(tables: dict[str, pd.DataFrame], sets: list[str]) -> pd.DataFrame:
    """How many structures of each set came through each stage.

    Returns
    -------
    DataFrame
        set, stage, total, ok, failed (structures, not rows); in the order of the stages, only
        of tables that are there.
    """
    rows = []
    for name in sets:
        for stage in TABLES:
            table = tables.get(f"{name}/{stage}")
            if table is None or "status" not in table.columns:
                continue
            good = table.assign(good=table["status"] == "ok").groupby("name")["good"].all()
            total, ok = len(good), int(good.sum())
            rows.append((name, stage, total, ok, total - ok))
    return pd.DataFrame(rows, columns=["set", "stage", "total", "ok", "failed"])


def complete_structures(tables: dict[str, pd.DataFrame], set_name: str) -> tuple[int, int, int]:
    """Structures of a set that came through every stage with a table, that failed in one, and all.

    Tables from files need not hold the same structures: one may be neither.
    """
    names: set | None = None
    broken: set = set()
    every: set = set()
    for stage in TABLES:
        table = tables.get(f"{set_name}/{stage}")
        if table is None or "status" not in table.columns:
            continue
        failed = set(table.loc[table["status"] != "ok", "name"])
        broken |= failed
        every |= set(table["name"])
        good = set(table["name"]) - failed
        names = good if names is None else names & good
    return len(names or ()), len(broken), len(every)


def failures(tables: dict[str, pd.DataFrame], sets: list[str]) -> pd.DataFrame:
    """Failed structures by set, the first stage in which they failed, and reason.

    Returns
    -------
    DataFrame
        set, stage, reason (the first of its kind), structures (number), names (list), varied
        (whether the others' reasons differ from it). Reasons that differ in their numbers alone
        are one kind.
    """
    found: dict[tuple, dict] = {}
    for name in sets:
        before: set = set()
        for stage in TABLES:
            table = tables.get(f"{name}/{stage}")
            if table is None or "status" not in table.columns:
                continue
            failed = table[table["status"] != "ok"].drop_duplicates("name")
            failed = failed[~failed["name"].isin(before)]
            for row in failed.sort_values("name").itertuples():
                reason = str(row.reason) if row.reason else "no reason given"
                kind = (name, stage, _NUMBERS.sub("#", reason))
                entry = found.setdefault(
                    kind,
                    {"set": name, "stage": stage, "reason": reason, "names": [], "varied": False},
                )
                entry["names"].append(row.name)
                entry["varied"] |= reason != entry["reason"]
            before |= set(failed["name"])
    rows = [entry | {"structures": len(entry["names"])} for entry in found.values()]
    return pd.DataFrame(rows, columns=["set", "stage", "reason", "structures", "names", "varied"])


def warning_counts(tables: dict[str, pd.DataFrame], sets: list[str]) -> pd.DataFrame:
    """Structures with each warning of the structure checks.

    Returns
    -------
    DataFrame
        set, code, structures (number), names (list), example (the first one's text).
    """
    found: dict[tuple, dict] = {}
    for name in sets:
        table = tables.get(f"{name}/structures")
        if table is None or "warnings" not in table.columns:
            continue
        for row in table[table["warnings"].fillna("") != ""].sort_values("name").itertuples():
            # code: text; code: text
            parts = _WARNING.split(row.warnings)[1:]
            for code, text in zip(parts[::2], parts[1::2], strict=True):
                entry = found.setdefault(
                    (name, code), {"set": name, "code": code, "names": [], "example": text.strip()}
                )
                entry["names"].append(row.name)
    rows = [entry | {"structures": len(entry["names"])} for entry in found.values()]
    return pd.DataFrame(rows, columns=["set", "code", "structures", "names", "example"])
