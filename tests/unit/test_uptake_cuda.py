"""The CUDA path of uptakes: in numba's simulator against the CPU, and compiled for a device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from poreflux.store import Store

pytestmark = pytest.mark.slow("numba's simulator of a GPU is plain Python")
HERE = Path(__file__).parent
# No kernel compiled for the CPU: the simulator runs the source itself.
SIMULATOR = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}


def run_script(name, *arguments, **environment):
    environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # a random stream is meant to overflow
    command = [sys.executable, "-W", "ignore::RuntimeWarning", HERE / name, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_same_bits_on_the_device_and_on_the_cpu():
    """Launches cut short, chains that grow, several hosts in one launch: all as on the CPU."""
    cpu = run_script("cuda_lanes.py", "cpu")
    device = run_script("cuda_lanes.py", "cuda", **SIMULATOR)
    assert device == cpu
    # and not for want of something to happen
    assert {run["bins"] for run in cpu} == {1, 4}
    assert len({tuple(run["steps"]) for run in cpu}) > 2
    assert max(run["molecules"] for run in cpu) > 2
    assert all(abs(run["drift_K"]) < 1e-6 for run in cpu)


def test_a_table_of_structures_on_the_device(tmp_path, cifs):
    """Stage uptake with device cuda and cpu: same rows, same keys in the store, failures kept."""
    found = run_script("cuda_stage.py", str(cifs), str(tmp_path / "a"), "cuda", **SIMULATOR)
    expected = run_script("cuda_stage.py", str(cifs), str(tmp_path / "b"), "cpu")
    assert found["rows"] == expected["rows"]
    assert found["entries"] == expected["entries"]
    assert len(found["entries"]) == 3
    failed = [row for row in found["rows"] if row["status"] == "failed"]
    assert len(failed) == 1 and "Og" in failed[0]["reason"]
    assert sum(row["status"] == "ok" for row in found["rows"]) == 4


def test_no_device_is_a_clear_reason(tmp_path, cifs):
    """device: cuda without one ends the stage with what to do, and stores no structure's result."""
    arguments = str(cifs), str(tmp_path), "cuda"
    with pytest.raises(AssertionError, match=r"ConfigError: stage .*uptake\.device: cpu"):
        run_script("cuda_stage.py", *arguments, CUDA_VISIBLE_DEVICES="-1")
    # that of the structure without parameters, which failed before
    assert len(list(Store(tmp_path).entries())) == 1
