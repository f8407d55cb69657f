"""The whole workflow, run as a user runs it."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import small_study

SNAKEMAKE = str(Path(sys.executable).parent / "snakemake")


class Workflow:
    """The repository's workflow run in a folder of its own, with its own store.

    ``config`` is the configuration file, ``study`` the name that it gives, ``store`` the store if
    it is not that of the folder.
    """

    def __init__(self, root, folder, config, study, store=None):
        self.root, self.folder, self.config = root, folder, config
        self.results = folder / "results" / study
        self.store = store or folder / ".poreflux" / "store"

    def command(self, *arguments):
        """The command line: the arguments, then where the workflow and its configuration are."""
        where = ["--snakefile", str(self.root / "Snakefile"), "--configfile", str(self.config)]
        given = {"--profile", "--cores"} & set(arguments)
        cores = [] if given else ["--cores", "2"]
        return [SNAKEMAKE, *arguments, *cores, *where]

    def environment(self):
        """Environment of its processes: its own library and store."""
        library = str(self.root / "workflow")
        return os.environ | {"POREFLUX_STORE": str(self.store), "PYTHONPATH": library}

    def run(self, *arguments, ok=True):
        """Run Snakemake; returns ``{rule: jobs}`` of what it ran or, with ``-n``, would run."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )
        text = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, text[-5000:]
        return self._jobs(text), text

    @staticmethod
    def _jobs(text):
        jobs = {}
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("Job stats:"):
                next(lines)
                next(lines)
                for row in lines:
                    if not row.strip():
                        break
                    name, count = row.split()
                    jobs[name] = int(count)
                break
        return jobs

    def entries(self, stage):
        """Store entries of a stage (``*``: of all)."""
        return sorted(self.store.glob(f"objects/{stage}/*/*"))

    def table(self, name):
        """A result table."""
        return pd.read_parquet(self.results / f"{name}.parquet")


@pytest.fixture(scope="session")
def start_workflow(root):
    """Makes a :class:`Workflow` from a folder, a configuration file and the study's name."""
    return partial(Workflow, root)


@pytest.fixture(scope="session")
def small(start_workflow, cifs, made_once):
    """Folder of the small study, run once; for tests that read or copy it."""

    def make(folder):
        flow = start_workflow(folder, small_study.write(folder, cifs), small_study.STUDY)
        jobs, _ = flow.run(small_study.TARGET)
        assert jobs.pop("total") == sum(jobs.values()) == 30

    return made_once("small", make)


@pytest.fixture(scope="session")
def tiny(root, start_workflow, made_once):
    """The tiny study, run once. Only ``test_study.py`` may use it.

    Its tables as they were made stay in the folder ``tables`` beside the results.
    """
    config = root / "config" / "tiny.yaml"

    def make(folder):
        flow = start_workflow(folder, config, "tiny")
        flow.run()
        shutil.copytree(flow.results, folder / "tables")

    return start_workflow(made_once("tiny", make), config, "tiny")
