"""Whether the results in a folder are those that a configuration makes.

Commands that read finished results, and name the settings beside them, run no job. They start
Snakemake only to ask its rules what each file should have been made with: :func:`foreign_files`
asks, and the workflow answers by a file that the environment names (:func:`answer`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from poreflux.base.errors import ConfigError, DataError, PorefluxError
from poreflux.base.records import Record, is_stamped, record_of
from poreflux.run.lineage import Expected, Lineage, difference, made_from
from poreflux.run.plan import StudyPlan

# Path of the file that the workflow answers in.
QUESTION = "POREFLUX_AGREEMENT"
# Other facts than these keep no old results from being read.
NO_SETTINGS = ("code of ", "file ", "engines")


def foreign_files(snakefile: Path, files: Sequence[str | Path]) -> set[Path]:
    """What lies among a study's results and is left by another configuration.

    Parameters
    ----------
    snakefile : Path
    files : sequence of str or Path
        The study's ``--configfile``, which ran in this folder.

    Raises
    ------
    DataError
        See :func:`check_agreement`.
    ConfigError
        If Snakemake is not installed, or cannot read the workflow.
    """
    if find_spec("snakemake") is None:
        raise ConfigError(
            "what the results were made with is not known without Snakemake: "
            "pip install 'poreflux[study]'"
        )
    configured = ["--configfile", *map(str, files)] if files else []
    command = [sys.executable, "-m", "snakemake", "--list-rules", "--snakefile", str(snakefile)]
    with tempfile.NamedTemporaryFile(prefix="poreflux-", suffix=".json") as answered:
        done = subprocess.run(
            [*command, *configured],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            env=os.environ | {QUESTION: answered.name},
        )  # fmt: skip
        text = Path(answered.name).read_text(encoding="utf-8")
    if not text:
        raise ConfigError(f"Snakemake cannot read the workflow: {done.stderr.strip()[-2000:]}")
    answer = json.loads(text)
    if answer["problem"]:
        raise DataError(answer["problem"])
    return {Path(path) for path in answer["foreign"]}


def answer(plan: StudyPlan, lineage: Callable[[], Lineage]) -> None:
    """Tell :func:`foreign_files`, if that started this Snakemake, what it found.

    Called at the end of the Snakefile, when all rules are there.
    """
    path = os.environ.get(QUESTION)
    if not path or not os.path.exists(path):
        return
    problem, foreign = "", set()
    try:
        foreign = check_agreement(lineage(), Path(plan.results))
    except PorefluxError as error:
        problem = str(error)
    told = {"problem": problem, "foreign": sorted(map(str, foreign))}
    Path(path).write_text(json.dumps(told), encoding="utf-8")


def check_agreement(lineage: Lineage, folder: Path) -> set[Path]:
    """Check that results were made with the settings that the rules have now.

    Parameters
    ----------
    lineage : Lineage
    folder : Path
        Results of a study, as the rules name it.

    Returns
    -------
    set of Path
        Files that this configuration does not make: left by another one.

    Raises
    ------
    DataError
        If a file was made with other settings, or from other tables than those that are there; the
        message names it, what differs and the remedy.
    """
    foreign = set()
    for path in sorted(folder.rglob("*")):
        if not is_stamped(path):
            continue
        expected = _expected(lineage, str(path))
        if expected is None:
            foreign.add(path)
            continue
        problem = _problem(path, expected)
        if problem:
            raise DataError(
                f"{path} {problem}; give the --configfile that the study was run with, or run it "
                "again with this one"
            )
    return foreign


def _expected(lineage: Lineage, path: str) -> Expected | None:
    """What a file is made with; None where no rule makes it, or none can with these settings."""
    try:
        words = lineage.words_of(path)
        return None if words is None else Expected(words, lineage.inputs_of(path))
    except Exception:  # whatever a function of a rule raises for a set, learner or size it lacks
        return None


def _problem(path: Path, expected: Expected) -> str:
    """In words: how a file was made otherwise; or nothing."""
    record = record_of(path)
    known = record and Record(_settings(record.words), record.made_from, record.sources)
    problem = difference(known, _settings(expected.words))
    if problem:
        return problem
    inputs = {of: record_of(of) for of in expected.made}
    # of inputs that are gone nothing can be said
    if all(inputs.values()) and record.made_from != made_from(expected, inputs):
        return "was made from other tables than those beside it"
    return ""


def _settings(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if not word.startswith(NO_SETTINGS))
