"""Isolated tasks: results, errors, crashes, hangs and memory."""

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from poreflux.base import processes
from poreflux.base.errors import StructureError
from poreflux.base.processes import identity_of, run_isolated
from poreflux.run import job


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


def count(folder, deaths):
    """Die the first ``deaths`` times, then tell how often it was called."""
    calls = len(list(folder.iterdir()))
    (folder / str(calls)).touch()
    if calls < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls + 1


@pytest.mark.parametrize(("deaths", "calls", "error"), [(2, 3, ""), (9, 3, "Crash")])
def test_a_process_that_was_killed_is_tried_again(tmp_path, deaths, calls, error):
    (outcome,) = run_isolated(count, [(tmp_path, deaths)])
    assert outcome.error == error
    assert len(list(tmp_path.iterdir())) == calls
    if not error:
        assert outcome.value == calls


ORPHANS = """
import sys, time
from poreflux.base.processes import die_with_parent, run_isolated
die_with_parent()
list(run_isolated(time.sleep, [(300,), (300,)], workers=2))
"""


def test_a_job_and_its_workers_end_with_what_started_it():
    # a shell in the place of Snakemake, which does not exec its last command
    shell = subprocess.Popen(
        ["sh", "-c", '"$0" -c "$1" & echo $!; wait', sys.executable, ORPHANS],
        stdout=subprocess.PIPE,
        text=True,
    )
    job = int(shell.stdout.readline())
    workers = until(lambda: len(found := children(job)) == 2 and found)
    shell.kill()
    shell.wait()
    assert until(lambda: not any(map(alive, [job, *workers])))


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def children(pid):
    try:
        return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except FileNotFoundError:
        return []


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_large_results_pass():
    (outcome,) = run_isolated(bytes, [(10_000_000,)])
    assert len(outcome.value) == 10_000_000


def test_a_job_whose_snakemake_was_gone_before_it_could_follow_ends(tmp_path, monkeypatch):
    gone = subprocess.Popen(["sleep", "9"])
    was = identity_of(gone.pid)
    gone.kill()
    gone.wait()
    monkeypatch.setattr(job, "die_with_parent", lambda: None)
    monkeypatch.setenv(job.SNAKEMAKE, was)
    with pytest.raises(SystemExit):
        job.start_job(SimpleNamespace(log=[str(tmp_path / "log")]))
    assert not (tmp_path / "log").exists()


def leaves_files(kill):
    folder = tempfile.mkdtemp(prefix="raspa3-")
    Path(folder, "output").write_text("text")
    if kill == "hang":
        time.sleep(60)
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    return folder


@pytest.mark.parametrize("kill", [False, True, "hang"])
def test_temporary_folders_of_tasks_go_with_them(tmp_path, monkeypatch, kill):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (outcome,) = run_isolated(leaves_files, [(kill,)], seconds=1.0 if kill == "hang" else 60.0)
    assert bool(outcome.error) == bool(kill)
    assert not [*tmp_path.iterdir()]


def test_temporary_folders_of_killed_jobs_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    machine = processes._machine()
    mine = identity_of(os.getpid()).replace(" ", "-")
    kept = [f"poreflux-{machine}-{mine}-abc", "poreflux-lammps-x", "poreflux-0123456789ab-1-1-abc"]
    for name in (*kept, f"poreflux-{machine}-999999999-1-abc"):
        (tmp_path / name / "0-x").mkdir(parents=True)
    (outcome,) = run_isolated(os.getpid, [()])
    assert not outcome.error
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
