"""Fixtures that several test modules share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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
