"""The CUDA path of diffusion: in numba's simulator against the CPU, and compiled for a device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from poreflux.diffusion import cuda
from poreflux.store import Store

pytestmark = pytest.mark.slow("numba's simulator of a GPU is plain Python")
HERE = Path(__file__).parent
SIMULATOR = {"NUMBA_ENABLE_CUDASIM": "1"}


def run_script(name, *arguments, **environment):
    environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # a random stream is meant to overflow
    command = [sys.executable, "-W", "ignore::RuntimeWarning", HERE / name, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_same_bits_on_the_device_and_on_the_cpu():
    """Thermostats and none, a last chain that is smaller, launches that cut equilibrations and
    runs, runs that grow in time and in molecules: all as on the CPU. The simulator runs the source
    itself, no kernel compiled for the CPU.
    """
    cpu = run_script("cuda_molecules.py", "cpu")
    device = run_script("cuda_molecules.py", "cuda", NUMBA_DISABLE_JIT="1", **SIMULATOR)
    assert device == cpu
    # and not for want of something to happen
    assert all(run["crossings"] > 5 for run in cpu)
    assert [run["size"] for run in cpu] == [[12, 21], [5, 14]]


def test_paths_of_two_fields_share_launches(tmp_path):
    """Fields of two sizes and time steps, paths of several lengths, blocks that are not full, paths
    that become longer and more: all as on the CPU."""
    fields = str(tmp_path / "fields")
    cpu = run_script("cuda_paths.py", "cpu", fields)
    device = run_script("cuda_paths.py", "cuda", fields, NUMBA_DISABLE_JIT="1", **SIMULATOR)
    assert device == cpu
    # place, path and density of 5, 5 and 4 paths, of 7 and 13: and some of them leave the cell
    assert [shape[:2] for shape in cpu[0]["shapes"][1::3]] == [[5, 7], [5, 13], [4, 13]]
    assert [shape[:2] for shape in cpu[1]["shapes"][1::3]] == [[7, 4], [13, 7]]
    assert all(field["farthest_A"] > 8.0 for field in cpu)


@pytest.mark.parametrize("engine", ["grid", "harmonic"])
def test_a_table_of_structures_on_the_device(tmp_path, cifs, engine):
    """Stage diffusion with device cuda and cpu: same rows, same keys in the store."""
    name = "cuda_stage_diffusion.py"
    found = run_script(name, str(cifs), str(tmp_path / "a"), "cuda", engine, **SIMULATOR)
    expected = run_script(name, str(cifs), str(tmp_path / "b"), "cpu", engine)
    assert found == expected
    assert len(found["entries"]) == 4
    rows = {row["name"]: row for row in found["rows"]}
    assert "Og" in rows["odd"]["reason"] and rows["tight"]["n_steps"] == 0
    assert all(rows[name]["n_steps"] >= 48 for name in ("small", "wide"))


@pytest.mark.parametrize("engine", ["grid", "harmonic"])
def test_no_device_is_a_clear_reason(tmp_path, cifs, engine):
    """device: cuda without one ends the stage with what to do, and stores no structure's result."""
    arguments = str(cifs), str(tmp_path), "cuda", engine
    with pytest.raises(AssertionError, match=r"ConfigError: stage .*diffusion\.device: cpu"):
        run_script("cuda_stage_diffusion.py", *arguments, CUDA_VISIBLE_DEVICES="-1")
    # that of the structure without parameters, which failed before
    assert len(list(Store(tmp_path).entries())) == 1


def test_every_thermostat_fits_a_block():
    from poreflux.diffusion import DiffusionSettings

    sizes = [DiffusionSettings(n_molecules=n, n_groups=2).chain_size for n in range(2, 2000)]
    assert max(sizes) <= cuda.MOST_IN_BLOCK
    assert np.median(sizes) == 30
