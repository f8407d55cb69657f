"""A logger for Snakemake: one line per rule in place of several per job.

``snakemake --logger poreflux``, as ``poreflux run`` has it. A rule's line is printed when its last
job is done; on a terminal another line shows what runs. Errors are shown with the log of the job.
Snakemake's own log file is as ever.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

__all__ = ["LogHandler"]

# See poreflux.run.progress, which is not imported: Snakemake loads this module at every start.
PROGRESS_FD = "POREFLUX_PROGRESS_FD"
# What only says that a job failed, which its own record says better.
OF_A_JOB = ("RuleException", "CalledProcessError", "ChildProcessError")
# Lines without an event that are worth a line.
WORTH_TELLING = ("Nothing to be done", "Terminating processes", "Will exit after")
SAID_BETTER = ("Exiting because a job execution failed",)
LINES_OF_A_LOG = 3


class LogHandler(LogHandlerBase):
    """Shows the progress of a run, see the module."""

    def __post_init__(self) -> None:
        number = os.environ.get(PROGRESS_FD)
        stream = os.fdopen(int(number), "w") if number else sys.stderr
        self.console = Console(file=stream, highlight=False)
        self.todo: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.rule_of: dict[int, str] = {}
        self.running: set[int] = set()
        self.started: dict[str, float] = {}
        self.start = time.monotonic()
        self.failed = False
        self.told: set[str] = set()
        self.status: Status | None = None
        # warnings of the library, in the process of the workflow
        logging.getLogger("poreflux").addHandler(self)

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own handler."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Not to a file."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses for itself."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It formats for itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It knows the rules by their jobs."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record says, if it is worth a line."""
        try:
            self._show(record)
        except Exception:
            self.handleError(record)

    def _show(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._plan(record.stats)
        elif event == LogEvent.JOB_INFO:
            # a target makes nothing itself
            if record.output:
                self._job_started(record.jobid, record.rule_name)
        elif event == LogEvent.JOB_FINISHED:
            self._job_finished(record.job_id)
        elif event == LogEvent.JOB_ERROR:
            self._job_failed(record)
        elif event == LogEvent.ERROR:
            self._error(record)
        elif event is None:
            self._message(record)

    def _message(self, record: logging.LogRecord) -> None:
        text, is_warning = record.getMessage(), record.levelno >= logging.WARNING
        worth = is_warning and not text.startswith(SAID_BETTER)
        # Snakemake says some each time that a job ends
        if (worth or text.startswith(WORTH_TELLING)) and text not in self.told:
            self.told.add(text)
            self._say(text, "yellow" if is_warning else "")

    def _plan(self, stats: dict) -> None:
        if self.todo:
            return
        self.todo.update({rule: n for rule, n in stats.items() if rule != "total"})
        self._say(f"{sum(self.todo.values())} jobs of {len(self.todo)} rules")
        if self.console.is_terminal:
            self.status = Status(self, console=self.console)
            self.status.start()

    def _job_started(self, job: int, rule: str) -> None:
        self.rule_of[job] = rule
        self.running.add(job)
        self.started.setdefault(rule, time.monotonic())

    def _job_finished(self, job: int) -> None:
        rule = self.rule_of.get(job)
        self.running.discard(job)
        if rule is None:
            return
        self.done[rule] += 1
        if self.done[rule] == self.todo[rule]:
            jobs = f"{self.todo[rule]} job{'s' if self.todo[rule] != 1 else ''}"
            seconds = time.monotonic() - self.started[rule]
            so_far = f"{sum(self.done.values())}/{sum(self.todo.values())}"
            self._say(f"{in_words(rule):28s} {jobs:>9s} {duration(seconds):>9s}   {so_far:>9s}")

    def __rich__(self) -> Text:
        """What runs: the line that a terminal shows below the others, made anew at each look."""
        rules = Counter(self.rule_of[job] for job in sorted(self.running))
        jobs = [f"{in_words(rule)}{f' ({n} jobs)' if n > 1 else ''}" for rule, n in rules.items()]
        took = duration(time.monotonic() - self.start)
        done = f"{sum(self.done.values())}/{sum(self.todo.values())}"
        return Text(f"{took}, {done} done: {', '.join(jobs)}", no_wrap=True, overflow="ellipsis")

    def _job_failed(self, record: logging.LogRecord) -> None:
        self.failed = True
        self.running.discard(record.jobid)
        self._say(f"{in_words(record.rule_name)} failed", "red")
        for path in record.log or ():
            for line in last_lines(path):
                self._say(f"  {line}")
            self._say(f"  log: {os.path.abspath(path)}")

    def _error(self, record: logging.LogRecord) -> None:
        # that a job failed was said
        if record.exception in OF_A_JOB or (self.failed and record.exception == "WorkflowError"):
            return
        self._say(plain(record.getMessage()), "red")

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style or None, markup=False, soft_wrap=True)

    def close(self) -> None:
        """End the line that shows what runs."""
        if self.status:
            self.status.stop()
        super().close()


def in_words(rule: str) -> str:
    """A rule's name as words: ``uptake_shard`` is uptake."""
    return rule.removesuffix("_shard").replace("_", " ")


def duration(seconds: float) -> str:
    """Seconds as ``12 s`` or ``3.4 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def last_lines(path: str) -> list[str]:
    """What a job's log says of its end: the error without its traceback, else its last lines."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    except OSError:
        return []
    critical = [i for i, line in enumerate(lines) if " CRITICAL " in line]
    if not critical:
        return lines[-LINES_OF_A_LOG:]
    message = [lines[critical[-1]].partition(" CRITICAL ")[2].partition(": ")[2]]
    for line in lines[critical[-1] + 1 :]:
        if line.startswith("Traceback "):
            break
        message.append(line)
    return message


def plain(message: str) -> str:
    """An error of Snakemake without the places in rule files that it came by."""
    lines = message.splitlines()
    head = re.fullmatch(r"(\w+Error) in file .*, line \d+:", lines[0]) if lines else None
    kept = [line for line in lines[1 if head else 0 :] if not re.match(r'  File ".*", line', line)]
    return "\n".join(kept).strip() or message
