"""What several commands need: the study that they are about, and where they print."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from poreflux.run import agreement
from poreflux.run.checkout import DEFAULT_CONFIG, checkout
from poreflux.run.config import load
from poreflux.run.plan import StudyPlan


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def tell(text: str) -> None:
    """Print a line that is no result: to standard error."""
    sys.stderr.write(text + "\n")


def plan_of(files: Sequence[str | Path]) -> StudyPlan:
    """The study that Snakemake would run in this folder with these ``--configfile``."""
    folder = checkout()
    return StudyPlan(load(folder / DEFAULT_CONFIG, *files), folder)


def foreign_files(files: Sequence[str | Path]) -> set[Path]:
    """What lies among the results of a study in this folder and is none of them; says so.

    Raises
    ------
    DataError
        If results were made with other settings than those of the study.
    """
    found = agreement.foreign_files(checkout() / "Snakefile", files)
    for path in sorted(found):
        tell(f"left out: {path}, which this configuration does not make")
    return found
