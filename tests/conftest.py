"""Fixtures that several test modules share, and the order in which tests are given out."""

import fcntl
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What takes longest goes first, so that no worker is left with it at the end.
LONGEST = (
    "test_slurm.py",
    "test_study.py",
    "test_faults.py",
    "test_reruns.py",
    "test_diffusion_lammps.py",
    "test_synthesis.py",
    "test_tables.py",
    "test_diffusion.py",
    "test_workflow.py",
    "test_report.py",
    "test_uptake.py",
)
# Their tests have nothing costly in common but what all workers share: any worker takes any.
ONE_BY_ONE = {
    "test_diffusion_cuda.py",
    "test_docs.py",
    "test_environments.py",
    "test_faults.py",
    "test_reruns.py",
    "test_uptake_cuda.py",
    "test_workflow.py",
}


def pytest_collection_modifyitems(items):
    """Longest modules first."""
    rank = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``-n``: a module's tests go to one worker, which makes its fixtures once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.split("::")[0]
            return nodeid if Path(module).name in ONE_BY_ONE else module

    # the order is ours
    config.option.loadscopereorder = False
    return ByModule(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def cifs() -> Path:
    """Folder of the CIFs that the tests ship."""
    return ROOT / "tests" / "data"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of published reference data; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("POREFLUX_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no reference data in {folder} (set POREFLUX_REFERENCE_DATA)")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Folders that one worker makes for all: ``made_once(name, make)`` calls ``make(folder)``.

    Returns the folder. No test may change what is in it.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name, make):
        folder, done = base / name, base / f"{name}.made"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                assert not folder.exists(), f"{name} could not be made, see an earlier test"
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of
