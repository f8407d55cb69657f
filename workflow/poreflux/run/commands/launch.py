"""``poreflux run``: Snakemake with the right Snakefile, and a line of progress per stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from poreflux.base.errors import ConfigError
from poreflux.run.checkout import checkout
from poreflux.run.commands.plans import say, tell
from poreflux.run.progress import ANNOUNCEMENT, PROGRESS_FD

LOGGER = "poreflux"
CONFIG = "config.yaml"
# Where Snakemake keeps its logs, and where what its jobs print goes.
LOGS = Path(".snakemake", "log")
PRINTED = LOGS / "poreflux-run.printed.log"
CONFIG_FILES = ("--configfile", "--configfiles")
# Options with which Snakemake is told how many jobs may run, or told by a profile.
WITH_CORES = (
    *("--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e"),
)
# Options with which Snakemake runs no job but prints something, or prints in a way of its own.
WITH_OWN_OUTPUT = (
    *("-n", "--dry-run", "--dryrun", "--lint", "-l", "--list", "--list-rules"),
    *("--lt", "--list-target-rules", "-S", "--summary", "-D", "--detailed-summary"),
    *("--dag", "--rulegraph", "--filegraph", "--d3dag", "--report", "--unlock", "--archive"),
    *("--list-changes", "--lc", "--list-input-changes", "--li", "--list-params-changes", "--lp"),
    *("--list-untracked", "--lu", "--list-resources", "--lr", "--delete-all-output"),
    *("--delete-temp-output", "--cleanup-metadata", "--cm", "--conda-create-envs-only"),
    *("--conda-list-envs", "--conda-cleanup-envs", "--containerize", "--print-compilation"),
    *("--export-cwl", "--draft-notebook", "--edit-notebook", "--touch", "-t"),
    *("--logger", "--verbose", "--quiet", "-q", "--debug", "--debug-dag", "--version", "-v"),
)


def run(words: Sequence[str]) -> int:
    """Run Snakemake.

    Parameters
    ----------
    words : sequence of str
        As on the command line: a folder that holds a study's ``config.yaml`` (the working folder
        if none is given), targets, and options of Snakemake.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    ConfigError
        If there is no Snakemake, no Snakefile, or no study in the folder.
    """
    if find_spec("snakemake") is None:
        raise ConfigError(
            "Snakemake is not installed: `make setup` in the repository, or pip install "
            "'poreflux[study]'"
        )
    folder, words = split(words)
    snakefile = (checkout() / "Snakefile").absolute()
    os.chdir(folder)
    command = [sys.executable, "-m", "snakemake"]
    options = ["--snakefile", str(snakefile), *with_defaults(words, snakefile.parent)]
    if has_any(words, WITH_OWN_OUTPUT):
        return _code(subprocess.run([*command, *options], check=False).returncode)
    return _watched([*command, "--logger", LOGGER, *options], words)


def split(words: Sequence[str]) -> tuple[Path, list[str]]:
    """The folder of the study, and the words for Snakemake.

    Raises
    ------
    ConfigError
        If the first word is a folder without a configuration.
    """
    first = words[0] if words else ""
    if not first or first.startswith("-") or not os.path.isdir(first):
        return Path(), list(words)
    if not os.path.isfile(os.path.join(first, CONFIG)):
        raise ConfigError(
            f"{first} holds no {CONFIG}: make a study with `poreflux init FOLDER`, or name its "
            "configuration with --configfile"
        )
    return Path(first), list(words[1:])


def with_defaults(words: Sequence[str], workflow: Path) -> list[str]:
    """The words for Snakemake, with all cores and the folder's own configuration.

    The folder's comes before a further ``--configfile``, which is laid over it.
    """
    words = list(words)
    cores = [] if has_any(words, WITH_CORES) else ["--cores", "all"]
    if not os.path.isfile(CONFIG) or os.path.samefile(Path(), workflow):
        return [*cores, *words]
    place = next((i for i, word in enumerate(words) if word in CONFIG_FILES), None)
    if place is None:
        # targets first: Snakemake takes what follows for further files
        return [*cores, *words, CONFIG_FILES[0], CONFIG]
    return [*cores, *words[: place + 1], CONFIG, *words[place + 1 :]]


def has_any(words: Sequence[str], options: Sequence[str]) -> bool:
    """Whether one of the options is among the words: ``--cores 8``, ``--cores=8``, ``-c8``."""
    for word in words:
        short = word[:2] if word[:1] == "-" and word[:2] != "--" else None
        if word.partition("=")[0] in options or short in options:
            return True
    return False


def _watched(command: list[str], words: Sequence[str]) -> int:
    """Run Snakemake with our logger; what else it and its jobs print goes to a file."""
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.time()
    with (
        PRINTED.open("w") as printed,
        tempfile.NamedTemporaryFile(prefix="poreflux-", suffix=".json") as announced,
    ):
        out = os.dup(sys.stderr.fileno())
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=[out],
            env=os.environ | {PROGRESS_FD: str(out), ANNOUNCEMENT: announced.name},
        )
        os.close(out)
        # Ctrl-C reaches Snakemake as well, which ends its jobs
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = process.wait()
        text = Path(announced.name).read_text(encoding="utf-8")
    if code == 0:
        _say_what_next(json.loads(text) if text else {}, words)
    else:
        _say_where_to_look(started)
    return _code(code)


def _code(code: int) -> int:
    """Exit code of a process that may have ended by a signal."""
    return code if code >= 0 else 128 - code


def _say_what_next(study: dict, words: Sequence[str]) -> None:
    pages = [page for page in study.get("pages", ()) if os.path.isfile(page)]
    for page in pages:
        say(f"Report: {os.path.abspath(page)}")
    if not pages and study:
        say(f"Results: {os.path.abspath(study['results'])}")
    config = _config_of(words)
    use = (
        f"poreflux run predict{config} --config 'predict={{cifs: \"my/*.cif\"}}'"
        if study.get("learns")
        else f"poreflux crate{config}"
    )
    say("Next:")
    for command in (f"poreflux export csv/{config}", use, "poreflux init my-study"):
        say(f"  {command}")


def _config_of(words: Sequence[str]) -> str:
    """The configuration files as options of our own commands."""
    place = next((i for i, word in enumerate(words) if word in CONFIG_FILES), None)
    files = [CONFIG] if os.path.isfile(CONFIG) else []
    for word in words[place + 1 :] if place is not None else ():
        if word.startswith("-"):
            break
        files.append(word)
    return "".join(f" --configfile {file}" for file in files)


def _say_where_to_look(started: float) -> None:
    logs = [p for p in LOGS.glob("*.snakemake.log") if p.stat().st_mtime >= started - 1]
    if logs:
        newest = max(logs, key=lambda path: path.stat().st_mtime)
        tell(f"Log of Snakemake: {newest.absolute()}")
        tell(f"What it and its jobs printed: {PRINTED.absolute()}")
    else:
        # it ended before it kept a log: wrong options, of which it shows all that there are
        printed = PRINTED.read_text(encoding="utf-8", errors="replace").strip()
        tell(printed[max(printed.rfind("\n", 0, printed.rfind("error:")), -2000) :].strip())
