"""Compare the results of two runs, file by file: did a change of the code change a number?

    python benchmarks/compare_results.py old/results/tiny new/results/tiny

Tables are equal if every value is, to the last bit; CPU times are left out. Models, figures and
CSV files are compared by their bytes, pages by the words that a reader sees. Exits with 1 if
anything differs or is missing on one side.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

# Measured anew in every run.
TIMES = {"cpu_s", "gpu_s", "wall_s"}
# What a page shows of such times, and the configuration that it repeats.
PROVENANCE = re.compile(r"<section id=\"provenance\">.*?</section>", re.DOTALL)
COSTS = re.compile(r"<li>Cost of a structure:.*?</li>", re.DOTALL)


def main() -> int:
    """Compare two folders; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    files = {
        path.relative_to(folder)
        for folder in (options.old, options.new)
        for path in folder.rglob("*")
        if path.is_file()
    }
    found: Counter[str] = Counter()
    for name in sorted(files):
        verdict = compare(options.old / name, options.new / name)
        found[verdict.partition(":")[0]] += 1
        if not verdict.startswith("same"):
            sys.stdout.write(f"{name}: {verdict}\n")
    sys.stdout.write(", ".join(f"{n} {verdict}" for verdict, n in sorted(found.items())) + "\n")
    return int(any(not verdict.startswith("same") for verdict in found))


def compare(old: Path, new: Path) -> str:
    """``same bytes``, ``same values``, ``same words``, or what differs."""
    if not (old.exists() and new.exists()):
        return f"missing: only in {'old' if old.exists() else 'new'}"
    if old.read_bytes() == new.read_bytes():
        return "same bytes"
    if old.suffix == ".parquet":
        return _compare_tables(pd.read_parquet(old), pd.read_parquet(new))
    if old.suffix == ".html":
        a, b = (words(path.read_text(encoding="utf-8")) for path in (old, new))
        if a == b:
            return "same words"
        place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
        return f"differs: '{' '.join(a[place : place + 8])}', '{' '.join(b[place : place + 8])}'"
    return "differs: bytes"


def _compare_tables(old: pd.DataFrame, new: pd.DataFrame) -> str:
    if list(old.columns) != list(new.columns):
        return f"differs: columns {sorted(set(old.columns) ^ set(new.columns)) or 'in order'}"
    if len(old) != len(new):
        return f"differs: {len(old)} and {len(new)} rows"
    columns = [name for name in old.columns if name not in TIMES]
    changed = [name for name in columns if not _equal(old[name], new[name])]
    return f"differs: {', '.join(changed)}" if changed else "same values"


def _equal(old: pd.Series, new: pd.Series) -> bool:
    try:
        pd.testing.assert_series_equal(old, new, check_exact=True)
    except AssertionError:
        return False
    return True


def words(page: str) -> list[str]:
    """The words of a page but for its provenance and measured times."""
    body = COSTS.sub("", PROVENANCE.sub("", page.partition("<body>")[2] or page))
    return html.unescape(re.sub(r"<[^>]*>", " ", body)).split()


if __name__ == "__main__":
    sys.exit(main())
