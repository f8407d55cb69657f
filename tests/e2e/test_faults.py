"""kill -9 of the scheduler, of jobs and of workers at random times; limits of time and memory."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
import small_study

pytestmark = pytest.mark.e2e
# In each run; drawn in a random order.
KILLS = {"scheduler": 2, "job": 3, "worker": 2}
# Work enough to be hit at.
LONGER = {
    "target_error: 0.2": "target_error: 0.03",
    "production_steps: 2000": "production_steps: 20000",
    "max_steps: 2000": "max_steps: 20000",
}


def start(start_workflow, folder, cifs):
    config = small_study.write(folder, cifs)
    text = config.read_text()
    for old, new in LONGER.items():
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    return start_workflow(folder, config, small_study.STUDY)


def results(flow):
    """Bytes of every table and model, by path; those of the shards depend on their number."""
    paths = [*flow.results.glob("*/*.parquet"), *flow.results.glob("study/**/*.npz")]
    return {str(p.relative_to(flow.results)): p.read_bytes() for p in paths}


@pytest.fixture(scope="module")
def undisturbed(start_workflow, cifs, made_once):
    """Results of two cores and two shards."""
    folder = made_once(
        "undisturbed", lambda f: start(start_workflow, f, cifs).run(small_study.TARGET)
    )
    return results(start_workflow(folder, folder / "small.yaml", small_study.STUDY))


def processes():
    """Parent and command line by process id; zombies left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
                found[int(folder.name)] = int(parent), words
    return found


def descendants(pid):
    """Jobs (the scripts of a scheduler's rules) and workers (their children)."""
    table = processes()
    jobs = [p for p, (parent, words) in table.items() if parent == pid and "/scripts/" in words]
    return jobs, [p for p, (parent, _) in table.items() if parent in jobs]


def kill(kind, scheduler, seconds=3.0):
    """Kill one of a kind, if there is any for some seconds; returns what was killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and scheduler.poll() is None:
        jobs, workers = descendants(scheduler.pid)
        victims = {"scheduler": [scheduler.pid], "job": jobs, "worker": workers}[kind]
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victims[0], signal.SIGKILL)
                if kind == "scheduler":
                    scheduler.wait()
                    until_gone([*jobs, *workers])
                return kind
        time.sleep(0.02)
    return None


def until_gone(pids, seconds=20.0):
    end = time.monotonic() + seconds
    while left := set(pids) & set(processes()):
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize(("cores", "shards"), [("2", 1), ("1", 3), ("2", 4)])
def test_kills_at_random_times_change_nothing(
    undisturbed, start_workflow, cifs, tmp_path, cores, shards
):
    flow = start(start_workflow, tmp_path, cifs)
    arguments = (small_study.TARGET, "--cores", cores, "--config", f"shards={shards}")
    rng = random.Random(shards)
    n_kills = sum(KILLS.values())
    kinds = rng.sample(list(KILLS), k=n_kills, counts=KILLS.values())
    killed, stored, run = Counter(), {}, None
    n_kept = 0
    log = (tmp_path / "log").open("w")
    end = time.monotonic() + 1800
    try:
        while killed.total() < n_kills or run.poll() != 0:
            assert time.monotonic() < end, (tmp_path / "log").read_text()[-5000:]
            if run is None or run.poll() is not None:
                if run is not None and run.returncode == 0:
                    # done before the last kill: once more from the start
                    assert stored == {p: stored_at(p) for p in stored}
                    n_kept += len(stored)
                    shutil.rmtree(flow.results)
                    shutil.rmtree(flow.store)
                    stored = {}
                run = subprocess.Popen(
                    flow.command(*arguments), cwd=flow.folder, env=flow.environment(),
                    stdout=log, stderr=log,
                )  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(rng.uniform(1.0, 6.0))
            if killed.total() < n_kills and run.poll() is None:
                kind = kill(kinds[killed.total()], run)
                killed += Counter([kind] if kind else [])
                stored |= {p: stored_at(p) for p in flow.entries("*")}
                if kind == "scheduler" and killed[kind] == 1:
                    flow.run("--unlock", "--quiet")
                elif kind == "scheduler":  # the same, without another start of Snakemake
                    shutil.rmtree(flow.folder / ".snakemake" / "locks", ignore_errors=True)
    finally:
        run.kill()
        log.close()
    assert killed == Counter(KILLS)
    # what was finished at a kill was never computed again
    assert stored == {p: stored_at(p) for p in stored}
    assert n_kept + len(stored)
    assert results(flow) == undisturbed


def stored_at(path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


WIDE_CELL = """\
data_{name}
_cell_length_a {length}
_cell_length_b {length}
_cell_length_c {length}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Zn1 Zn 0 0 0
O1 O 0.5 0.5 0.5
"""


def test_a_structure_that_takes_too_long_or_too_much_memory_is_recorded(
    start_workflow, cifs, tmp_path
):
    folder = tmp_path / "cifs"
    folder.mkdir()
    shutil.copy(cifs / "KUVJIW_clean.cif", folder)
    # grids of 10**8 points (seconds) and 10**9 (8 GB)
    for name, length in (("slow", 500), ("hungry", 1000)):
        (folder / f"{name}.cif").write_text(WIDE_CELL.format(name=name, length=length))
    config = tmp_path / "limits.yaml"
    config.write_text(
        "study: limits\nshards: 1\nlimits: {seconds: 1.5, memory_mb: 4096}\n"
        "structures: {source: null, target: {cifs: cifs, stages: [energy]}}\n"
    )
    flow = start_workflow(tmp_path, config, "limits")
    flow.run("energy")
    table = flow.table("target/energy").set_index("name")
    assert table.loc["KUVJIW_clean", "status"] == "ok"
    for name, reason in (
        ("slow", "stopped after 1.5 s (limits.seconds)"),
        ("hungry", "needs more than 4096 MB (limits.memory_mb)"),
    ):
        assert table.loc[name, "status"] == "failed"
        assert table.loc[name, "reason"] == reason
    # not kept: with another limit they are tried again
    assert len(flow.entries("energy")) == 1
    _, text = flow.run("energy", "-n", "--config", "limits={seconds: 60}")
    assert "before: 'limits.seconds = 1.5' now: 'limits.seconds = 60.0'" in text
