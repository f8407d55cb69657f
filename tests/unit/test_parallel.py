"""Isolated tasks: results, errors, crashes, hangs and memory."""

import faulthandler
import os
import signal
import subprocess
import time

import pytest

from poreflux.errors import StructureError
from poreflux.parallel import run_isolated


def work(kind):
    if kind == "ok":
        return 42
    if kind == "bad structure":
        raise StructureError("no atoms")
    if kind == "bug":
        return 1 / 0
    if kind == "segfault":
        faulthandler.disable()  # the crash is meant; its trace would only fill the output
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "hang":
        subprocess.Popen(["sleep", "300"])
        time.sleep(300)
    if kind == "memory":
        return len(bytearray(2**32))
    return None


EXPECTED = {
    "ok": ("", 42),
    "bad structure": ("StructureError", "no atoms"),
    "bug": ("ZeroDivisionError", "internal error"),
    "segfault": ("Crash", "SIGSEGV"),
    "hang": ("Timeout", "stopped after 1 s"),
    "memory": ("MemoryError", "needs more than 200 MB"),
}


@pytest.mark.parametrize("workers", [1, 3])
def test_each_task_has_its_own_outcome(workers):
    kinds = list(EXPECTED)
    outcomes = {
        kinds[o.index]: o
        for o in run_isolated(
            work, [(k,) for k in kinds], workers=workers, seconds=1.0, memory_mb=200
        )
    }
    assert set(outcomes) == set(kinds)
    for kind, (error, what) in EXPECTED.items():
        assert outcomes[kind].error == error, outcomes[kind]
        if error:
            assert what in outcomes[kind].reason
        else:
            assert outcomes[kind].value == what


def test_nothing_outlives_the_loop():
    started = time.monotonic()
    for _ in run_isolated(work, [("ok",), ("hang",), ("hang",)], workers=3, seconds=60):
        break
    assert time.monotonic() - started < 10


def test_large_results_pass():
    (outcome,) = run_isolated(bytes, [(10_000_000,)])
    assert len(outcome.value) == 10_000_000
