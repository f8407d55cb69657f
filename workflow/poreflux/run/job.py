"""What every script of a Snakemake rule needs: a log that catches everything, and its inputs."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

import pandas as pd

from poreflux.base import tables
from poreflux.base.errors import DataError
from poreflux.base.files import write_atomically
from poreflux.base.processes import INTERNAL, die_with_parent, identity_of
from poreflux.base.records import Record, stamp_model, stamp_page
from poreflux.run.artifacts import Limits
from poreflux.run.lineage import check_inputs, expected_record
from poreflux.store import Store

log = logging.getLogger("poreflux")

# Variable that tells a job which Snakemake it belongs to.
SNAKEMAKE = "POREFLUX_SNAKEMAKE"


def expose_library(folder: str) -> None:
    """Let the processes that Snakemake starts import the library from ``folder``.

    They run in environments of their own (``--sdm conda``), where it is not installed. They also
    learn which process this is.
    """
    os.environ[SNAKEMAKE] = identity_of(os.getpid())
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([folder, *filter(None, path)]))


class Results:
    """Writes what a job makes, each file with its record, while the job's Snakemake lives.

    Parameters
    ----------
    record : Record or None
        What the job's files are made of.
    """

    def __init__(self, record: Record | None):
        self.record = record

    def write_table(self, table: pd.DataFrame, path: str | Path) -> None:
        """Write a table (Parquet)."""
        self._check()
        tables.write_table(table, path, self.record)

    def write_model(self, data: bytes, path: str | Path) -> None:
        """Write a model, as :func:`poreflux.base.records.read_model` reads it."""
        self._check()
        write_atomically(path, stamp_model(data, self.record))

    def write_csv(self, table: pd.DataFrame, path: str | Path) -> None:
        """Write a table as CSV, without a record: next to one that has it."""
        self._check()
        tables.write_csv(table, path)

    def stamp_page(self, path: str | Path) -> None:
        """Add its record to a page that was just written."""
        stamp_page(path, self.record)

    @staticmethod
    def _check() -> None:
        if _snakemake_is_gone():
            # what it computed is in the store; the table is for whoever runs next to write
            log.critical("the Snakemake that started this job is gone: nothing is written")
            sys.exit(1)


def answer_sigterm_in_a_thread(scheduler: type) -> None:
    """Let Snakemake end when it is told to, whatever it is doing.

    Its handler takes a lock that the main thread, in which handlers run, may hold already: then it
    waits for ever (Snakemake 9). In a thread of its own the handler waits until the lock is free.

    Parameters
    ----------
    scheduler
        Snakemake's class ``JobScheduler``; changed in place, once.
    """
    exit_gracefully = scheduler.exit_gracefully
    if exit_gracefully.__module__ == __name__:  # a workflow that is read again
        return

    def in_a_thread(self, *signal):
        threading.Thread(target=exit_gracefully, args=(self, *signal), daemon=True).start()

    scheduler.exit_gracefully = in_a_thread


def start_job(job) -> Results:
    """Send log records, warnings and the traceback of a failure to the rule's log file.

    And end with Snakemake, however that ends: a job that lived on would compute the same
    structures as the next run, and overwrite its tables.

    Parameters
    ----------
    job
        The ``snakemake`` object of the script.

    Raises
    ------
    DataError
        If an input was not made with the settings and code of this run.
    """
    die_with_parent()
    if _snakemake_is_gone():  # that was too late
        sys.exit(1)
    path = Path(job.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handlers = [logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)]
    logging.basicConfig(level=logging.INFO, format=line, handlers=handlers, force=True)
    logging.captureWarnings(True)

    def hook(kind, error, trace):
        logging.getLogger("poreflux").critical("%s", error, exc_info=(kind, error, trace))

    sys.excepthook = hook
    expected = job.params.get("lineage")
    return Results(expected and expected_record(expected, check_inputs(expected)))


def _snakemake_is_gone() -> bool:
    """Whether the Snakemake that started this process has ended, its number perhaps taken."""
    told = os.environ.get(SNAKEMAKE)
    return bool(told) and told != identity_of(told.partition(" ")[0])


def store_of(job) -> Store:
    """The content store that the rule's ``params.store`` (or ``POREFLUX_STORE``) names."""
    return Store(job.params.get("store") or None)


def limit_threads(job) -> None:
    """Hold torch to the rule's threads; more of them only fight over the same cores.

    A learner that loads it later finds the number in the environment; the others need no torch.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(job.threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(job.threads)


def limits_of(job) -> Limits:
    """What each structure of a job may take, and how many run at once."""
    given = job.params.limits
    return Limits(job.threads, given["seconds"], given["memory_mb"])


def check_failures(table: pd.DataFrame, allowed_share: float, where) -> None:
    """Log the failures in a table by reason; too many of them are an error.

    Raises
    ------
    DataError
        If the failed share exceeds ``allowed_share``, if none is left of a set that the study
        goes on with, or if all fail by an error of ours.
    """
    structures = table.drop_duplicates("name")
    failed = structures[structures["status"] != "ok"]
    for row in failed.itertuples():
        log.warning("%s failed: %s", row.name, row.reason)
    if failed.empty:
        return
    first = f"first reason: {failed['name'].iloc[0]}: {failed['reason'].iloc[0]}"
    is_ours = failed["reason"].str.startswith(INTERNAL).all()
    # what is to be predicted may fail as a whole: the predictions say so, a row per structure
    if len(failed) == len(structures) and (is_ours or where.set != "predict"):
        raise DataError(
            f"{_place(where)}: none of {len(structures)} structures is ok, and there is nothing to "
            f"go on with; {first}"
        )
    if len(failed) > allowed_share * len(structures):
        raise DataError(
            f"{_place(where)}: {len(failed)} of {len(structures)} structures failed, more than the "
            f"share {allowed_share:g} allowed (limits.failed_share); {first}"
        )


def _place(where) -> str:
    return " of ".join(str(getattr(where, k)) for k in ("stage", "set") if hasattr(where, k))
