"""Compiled kernels follow the code of every file that they draw on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from poreflux.run.compile_kernels import compile_kernels
from poreflux.run.stages import STAGES

pytestmark = pytest.mark.slow("compiles in nine processes")
CODE = """
import numpy as np
from poreflux.caller import twice
print(twice(1.5), end="")
"""


@pytest.fixture
def package(root, tmp_path):
    """The package's own start over two toy modules: a kernel that calls one of another file."""
    folder = tmp_path / "poreflux"
    folder.mkdir()
    shutil.copy(root / "workflow" / "poreflux" / "__init__.py", folder)
    (folder / "called.py").write_text(
        "from numba import njit\nfrom poreflux.constants import FACTOR\n\n\n"
        "@njit(cache=True)\ndef scaled(x):\n    return FACTOR * x\n"
    )
    (folder / "caller.py").write_text(
        "from numba import njit\nfrom poreflux.called import scaled\n\n\n"
        "@njit(cache=True)\ndef twice(x):\n    return 2.0 * scaled(x)\n"
    )
    (folder / "constants.py").write_text("FACTOR = 1.0\n")
    return folder


def run(package, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=kept | {"PYTHONPATH": str(package.parent)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def kept(folder):
    return sorted(p.name for p in folder.glob("poreflux-kernels-*"))


def test_an_edit_in_a_file_that_a_kernel_draws_on_reaches_the_kernel(package):
    assert run(package) == run(package) == 3.0
    assert len(kept(package / "__pycache__")) == 1
    (package / "constants.py").write_text("FACTOR = 2.0\n")
    assert run(package) == 6.0
    called = package / "called.py"
    called.write_text(called.read_text().replace("FACTOR * x", "FACTOR + x"))
    assert run(package) == 7.0
    assert len(kept(package / "__pycache__")) == 3


def test_a_cache_folder_that_is_given_is_kept(package, tmp_path):
    given = tmp_path / "given"
    assert run(package, NUMBA_CACHE_DIR=str(given)) == 3.0
    (folder,) = given.iterdir()
    # as a child process inherits it, and one of another state of the code
    assert run(package, NUMBA_CACHE_DIR=str(folder)) == 3.0
    assert run(package, NUMBA_CACHE_DIR=str(given / "poreflux-kernels-0")) == 3.0
    assert list(given.iterdir()) == [folder]


def test_kernels_of_all_stages_are_compiled_beforehand():
    assert set(compile_kernels(processes=1)) == set(STAGES)
    compiled = {path.name for path in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi")}
    for kernel in ("kernels.run_chain", "grid_engine._run", "network._potential"):
        assert any(name.startswith(kernel) for name in compiled), sorted(compiled)
