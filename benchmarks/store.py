"""What a store of a million entries costs: writing, reading, listing, pruning.

python benchmarks/store.py --folder /tmp/bench --output benchmarks/store.md

Makes the entries (4 GB on most file systems) in a new folder there, and removes them.
"""

import argparse
import contextlib
import io
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from poreflux.base.canonical import digest
from poreflux.store import Ingredients, Store

STAGES = ("geometry", "energy", "percolation", "uptake", "diffusion")
PAYLOAD = b"x" * 300
# Measured in a process of its own, for its memory.
TASKS = {
    "list": lambda store, _: cli(store, "list"),
    "prune --older-than-days 30 --dry-run": lambda store, _: cli(
        store, "prune", "--older-than-days", "30", "--dry-run"
    ),
    "look up 10,000 entries, checksums verified": lambda store, n: look_up(store, n, 10_000),
    "look up 10,000 keys that are not there": lambda store, n: look_up(store, n, 10_000, "other"),
    "why, 100 times": lambda store, n: why(store, n, 100),
    "verify": lambda store, _: cli(store, "verify"),
    "prune --max-gb 0 (removes all)": lambda store, _: cli(store, "prune", "--max-gb", "0"),
}


def made_of(number: int, code: str = "code") -> Ingredients:
    """Ingredients of one entry."""
    subject = digest(number // len(STAGES))
    return Ingredients(STAGES[number % len(STAGES)], subject, {}, {"number": number}, code, {})


def fill(store: Store, n: int) -> None:
    """Write entries as :meth:`poreflux.store.Store.put` does, without waiting for the disk."""
    wait, os.fsync = os.fsync, lambda _: None
    for number in range(n):
        store.put(made_of(number), PAYLOAD)
    os.fsync = wait


def cli(store: Store, *arguments: str) -> None:
    """Run ``poreflux store``."""
    from poreflux.run.cli import main

    with contextlib.redirect_stdout(io.StringIO()):
        status = main(["store", "--store", str(store.root), *arguments])
    if status:
        sys.exit(status)


def look_up(store: Store, n: int, times: int, code: str = "code") -> None:
    """Read random entries."""
    rng = random.Random(1)
    for _ in range(times):
        assert (store.get(made_of(rng.randrange(n), code)) is None) == (code == "other")


def why(store: Store, n: int, times: int) -> None:
    """Ask about entries of another code."""
    rng = random.Random(1)
    for _ in range(times):
        assert "code changed" in store.why(made_of(rng.randrange(n), "other"))


def main() -> None:
    """Fill a store, time the tasks, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--folder", default=None, help="where to make the store")
    parser.add_argument("--output", type=Path, default=Path("store.md"))
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    n = options.entries
    if options.task:
        TASKS[options.task[0]](Store(options.task[1]), n)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    folder = tempfile.mkdtemp(prefix="store-", dir=options.folder)
    try:
        store = Store(folder)
        lines = [
            f"# A store of {n:,} entries", "", "One process, local disk.",
            "", "| task | seconds | peak MB |", "| --- | --- | --- |",
        ]  # fmt: skip
        start = time.perf_counter()
        for number in range(1000):
            store.put(replace(made_of(number), code="flushed"), PAYLOAD)
        lines.append(f"| write 1,000 entries, each flushed | {time.perf_counter() - start:.1f} | |")
        start = time.perf_counter()
        fill(store, n)
        lines.append(f"| write {n:,} entries, not flushed | {time.perf_counter() - start:.0f} | |")
        for task in TASKS:
            command = [sys.executable, __file__, "--entries", str(n), "--task", task, folder]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - start
            if done.returncode:
                sys.exit(done.stderr)
            lines.append(f"| {task} | {seconds:.1f} | {done.stdout.strip()} |")
            print(lines[-1])
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
