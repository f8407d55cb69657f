"""What ``poreflux run`` and the Snakemake that it starts tell each other, by the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

from poreflux.run.plan import StudyPlan

# Number of the open file that progress is shown on.
PROGRESS_FD = "POREFLUX_PROGRESS_FD"
# Path of the file that the study is announced in.
ANNOUNCEMENT = "POREFLUX_ANNOUNCEMENT"


def announce(plan: StudyPlan) -> None:
    """Tell ``poreflux run``, if that started this Snakemake, what the study will have made.

    Snakemake alone knows all that decides it: files, profiles, words on the command line.
    """
    path = os.environ.get(ANNOUNCEMENT)
    if path and os.path.exists(path):
        pages = [plan.page(name) for name in ("", "descriptors", "synthesis")]
        study = {"results": plan.results, "pages": pages, "learns": plan.learns}
        Path(path).write_text(json.dumps(study), encoding="utf-8")
