"""The small study through the SLURM profile: a job that fails, a run that is stopped, the end."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest
import small_study
from one_node_slurm import OneNodeSlurm, why_not

pytestmark = pytest.mark.e2e
# One node answers faster than a cluster.
QUICK = (
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3",
    "--latency-wait", "5", "--slurm-no-account",
)  # fmt: skip
# The number of shards, which other tests vary, is not asked here.
BRIEF = ("--config", "shards=1")


@pytest.fixture(scope="module")
def slurm():
    """A running cluster."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    # a short path, for the sockets
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        with OneNodeSlurm(Path(folder)) as cluster:
            yield cluster


def until(condition, seconds, run):
    """Wait for a condition while a run goes on."""
    end = time.monotonic() + seconds
    while not condition():
        assert run.poll() is None, "the run ended early"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.5)


def test_a_study_survives_a_failed_job_and_a_stop_and_equals_a_local_run(
    slurm, root, cifs, start_workflow, tmp_path, request
):
    flow = start_workflow(tmp_path, small_study.write(tmp_path, cifs), small_study.STUDY)
    profile = (small_study.TARGET, "--profile", str(root / "profiles" / "slurm"), *QUICK, *BRIEF)
    log = tmp_path / "first.log"
    with log.open("w") as sink:
        run = subprocess.Popen(
            flow.command(*profile), cwd=flow.folder, stdout=sink, stderr=subprocess.STDOUT,
            env=os.environ | {"POREFLUX_STORE": str(flow.folder / "store")},
            # a shell lets what it starts in the background ignore Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        try:
            # a job fails: the first one that runs is ended from outside
            until(lambda: slurm.jobs("RUNNING"), 300, run)
            slurm.cancel(slurm.jobs("RUNNING")[0])
            until(lambda: "Trying to restart job" in log.read_text(), 300, run)
            # the run is stopped once some simulations are done, and takes its jobs along
            stored = flow.folder / "store" / "objects" / "uptake"
            until(lambda: len(list(stored.glob("*/*"))) >= 3, 900, run)
            run.send_signal(signal.SIGINT)
            run.wait(300)
        finally:
            run.kill()
    end = time.monotonic() + 60.0
    while slurm.jobs("RUNNING", "PENDING") and time.monotonic() < end:
        time.sleep(0.5)
    assert not slurm.jobs("RUNNING", "PENDING")
    before = {path: path.stat().st_mtime_ns for path in stored.glob("*/*")}
    assert len(before) >= 3

    # it goes on from there, and computes nothing of it again
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POREFLUX_STORE", str(flow.folder / "store"))
        flow.run(*profile)
    assert {path: path.stat().st_mtime_ns for path in before} == before

    # and gives what a local run gives
    local = request.getfixturevalue("small") / "results" / small_study.STUDY
    for name in (
        "source/geometry", "source/energy", "source/uptake", "target/diffusion",
        "target/features", "study/pretraining/xgboost", "study/scores",
    ):  # fmt: skip
        pd.testing.assert_frame_equal(flow.table(name), pd.read_parquet(local / f"{name}.parquet"))
