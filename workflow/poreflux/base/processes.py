"""Each task in a process of its own: a crash, a hang or a memory hog costs that task alone."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import logging
import math
import multiprocessing
import os
import pickle
import re
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from poreflux.base.errors import PorefluxError

log = logging.getLogger(__name__)
_fork = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1
# A process that dies without a word may have been somebody else's victim (a machine short of
# memory): its task gets so many chances.
CHANCES = 3
# How folders of temporary files begin; then come the machine, the process and anything.
_SCRATCH = "poreflux-"
# How the reason of an error that nobody raised on purpose begins.
INTERNAL = "internal error"


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Attributes
    ----------
    index : int
        Its place in the list of tasks.
    value
        What the function returned, ``None`` on failure.
    reason : str
        Empty on success, else why it failed.
    error : str
        Class name of the exception, ``'Timeout'``, ``'Crash'``, or empty.
    cpu_s, wall_s : float
        CPU (the task's child processes included) and wall time it took.
    peak_mb : float
        Largest resident memory of the task's process, what it shares with its parent included,
        or of a child of it, MB; 0 where the process did not live to tell.
    gpu_s : float
        Its share of the time that a GPU was held, where one was.
    """

    index: int
    value: object
    reason: str
    error: str
    cpu_s: float
    wall_s: float
    peak_mb: float = 0.0
    gpu_s: float = 0.0


def run_isolated(
    function: Callable,
    tasks: Sequence[tuple],
    *,
    workers: int = 1,
    seconds: float = 3600.0,
    memory_mb: float = 4096.0,
) -> Iterator[Outcome]:
    """Call ``function(*task)`` for each task in a forked process; yield outcomes as they end.

    Parameters
    ----------
    function : callable
        Returns something that pickles.
    tasks : sequence of tuples
        Arguments of each call.
    workers : int
        Processes at once.
    seconds : float
        Wall-clock limit per task; past it the process and its children are killed.
    memory_mb : float
        Address space that a task may take beyond what the parent has; infinite: any, for
        those that use a GPU, whose driver reserves more than it needs.

    Yields
    ------
    Outcome
        In the order in which the tasks end. Exceptions in a task are its outcome, never raised.
        A task whose process dies is tried again after all others, ``CHANCES`` times in all.
    """
    waiting = list(enumerate(tasks))[::-1]
    deaths: Counter[int] = Counter()
    running: dict = {}
    folders: dict = {}
    scratch = _scratch_folder()
    # What there is now is left alone by the children's garbage collectors, which would touch, and
    # so copy, all of it.
    gc.freeze()
    try:
        while waiting or running:
            while waiting and len(running) < max(1, workers):
                index, task = waiting.pop()
                receiver, sender = _fork.Pipe(duplex=False)
                folder = tempfile.mkdtemp(prefix=f"{index}-", dir=scratch)
                process = _fork.Process(
                    target=_child,
                    args=(sender, function, task, memory_mb, os.getpid(), folder),
                    daemon=False,
                )
                process.start()
                sender.close()
                running[receiver] = (index, process, time.monotonic())
                folders[receiver] = folder
            oldest = min(start for _, _, start in running.values())
            ready = wait(list(running), timeout=max(0.0, oldest + seconds - time.monotonic()))
            now = time.monotonic()
            for receiver in list(running):
                index, process, start = running[receiver]
                if receiver in ready:
                    outcome = _collect(receiver, index, process, now - start)
                    deaths[index] += outcome.error == "Crash"
                    if outcome.error == "Crash" and deaths[index] < CHANCES:
                        log.warning("task %d: %s; it is tried again", index, outcome.reason)
                        waiting.insert(0, (index, tasks[index]))
                    else:
                        yield outcome
                elif now - start > seconds:
                    _kill(process)
                    reason = f"stopped after {seconds:g} s (limits.seconds)"
                    yield Outcome(index, None, reason, "Timeout", seconds, now - start)
                else:
                    continue
                receiver.close()
                del running[receiver]
                shutil.rmtree(folders.pop(receiver), ignore_errors=True)
    finally:
        for _, process, _ in running.values():
            _kill(process)
        shutil.rmtree(scratch, ignore_errors=True)
        gc.unfreeze()


def _scratch_folder() -> str:
    """A folder for the temporary files of this process's tasks.

    Those of processes that were killed, and so could not remove theirs, are removed.
    """
    base, here = Path(tempfile.gettempdir()), f"{_SCRATCH}{_machine()}-"
    for path in base.glob(f"{here}*"):
        found = re.fullmatch(r"(\d+)-(\d+)-\w+", path.name.removeprefix(here))
        if found and identity_of(found[1]) != f"{found[1]} {found[2]}":
            shutil.rmtree(path, ignore_errors=True)
    who = identity_of(os.getpid()).replace(" ", "-")
    return tempfile.mkdtemp(prefix=f"{here}{who}-", dir=base)


def _machine() -> str:
    """Where the numbers of processes mean what they mean here: this start of a machine."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    text = f"{boot}{os.readlink('/proc/self/ns/pid')}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def die_with_parent() -> None:
    """Let the kernel end this process when the one that started it is gone (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def identity_of(pid: int | str) -> str:
    """Number of a process and when it started, empty where it has ended: no other has both."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # the name, which may hold anything, stands in brackets
            state, *rest = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else f"{pid} {rest[18]}"


def _child(sender, function, task, memory_mb, parent, folder) -> None:
    # A group of its own, so that programs it starts die with it; and it dies with the parent.
    os.setpgid(0, 0)
    die_with_parent()
    if os.getppid() != parent:  # that was too late
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # the parent removes it, however this process ends
    tempfile.tempdir = folder
    if math.isfinite(memory_mb):
        limit = _address_space() + int(memory_mb * 2**20)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = _cpu_seconds()
    try:
        result = ("", "", function(*task))
    except PorefluxError as error:
        result = (type(error).__name__, str(error), None)
    except MemoryError:
        result = ("MemoryError", f"needs more than {memory_mb:g} MB (limits.memory_mb)", None)
    except BaseException as error:
        reason = f"{INTERNAL}: {type(error).__name__}: {error}"
        log.error("%s\n%s", reason, traceback.format_exc())
        result = (type(error).__name__, reason, None)
    sender.send_bytes(pickle.dumps((*result, _cpu_seconds() - before, _peak_mb())))
    sender.close()
    # No interpreter shutdown: engines' exit handlers may hang or crash after the work is done.
    logging.shutdown()
    os._exit(0)


def _collect(receiver, index, process, wall_s) -> Outcome:
    try:
        error, reason, value, cpu_s, peak_mb = pickle.loads(receiver.recv_bytes())
        process.join()
    except (EOFError, OSError):
        process.join()
        code = process.exitcode
        what = signal.Signals(-code).name if code and code < 0 else f"exit status {code}"
        error, reason, value = "Crash", f"the process died ({what})", None
        cpu_s, peak_mb = wall_s, 0.0
    return Outcome(index, value, reason, error, cpu_s, wall_s, peak_mb)


def _kill(process) -> None:
    for send in (lambda: os.killpg(process.pid, signal.SIGKILL), process.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send()
    process.join()


def _usage() -> list:
    return [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def _cpu_seconds() -> float:
    return sum(u.ru_utime + u.ru_stime for u in _usage())


def _peak_mb() -> float:
    # Linux counts in kB
    return max(u.ru_maxrss for u in _usage()) / 1024


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
