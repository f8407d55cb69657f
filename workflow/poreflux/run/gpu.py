"""Stages on a GPU: structures are prepared on the CPU, then many of them run together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

from poreflux.base.processes import Outcome, run_isolated
from poreflux.run.artifacts import Limits
from poreflux.structures.crystal import Structure

# Structures that share a GPU: many chains keep it busy, few are lost with a failure.
BATCH = 1000


def is_wanted(device: str) -> bool:
    """Whether to run on a GPU: ``cuda``, or ``auto`` where there is one that can be used."""
    if device != "auto":
        return device == "cuda"
    # in a process of its own: a process that has used CUDA cannot fork others that do
    return bool(next(run_isolated(_usable, [()], memory_mb=math.inf)).value)


def _usable() -> bool:
    from poreflux.base import device

    return device.usable()


def compute(
    module: ModuleType,
    structures: Sequence[Structure],
    settings,
    rows_of: Callable[[object], list[dict]],
    limits: Limits,
) -> Iterator[Outcome]:
    """Compute a stage for many structures on a GPU, a batch in one process.

    A batch that fails, or outlasts its time, is a failure of each of its structures.

    Parameters
    ----------
    module : module
        Of the stage: ``prepare(structure, settings)`` makes a task, ``run_on_gpu(tasks, threads)``
        runs many; then ``task.points()`` has results.
    structures : sequence of Structure
    settings
        The stage's settings.
    rows_of : callable
        The rows of a table in what ``task.points()`` returned.
    limits : Limits
        Each structure's own; a batch has the seconds of all its structures.

    Yields
    ------
    Outcome
        An outcome per structure; the value is its rows.
    """
    for first in range(0, len(structures), BATCH):
        ready = []
        batch = [(structure, settings) for structure in structures[first : first + BATCH]]
        for outcome in run_isolated(module.prepare, batch, **limits.as_dict()):
            outcome = dataclasses.replace(outcome, index=first + outcome.index)
            if outcome.error:
                yield outcome
            else:
                ready.append(outcome)
        if not ready:
            continue
        # which structures are done first must not decide who shares a warp with whom
        ready.sort(key=lambda outcome: outcome.index)
        work = (module.run_on_gpu, [o.value for o in ready], limits.workers, rows_of)
        seconds = limits.seconds * len(ready)
        ran = next(run_isolated(_rows, [work], seconds=seconds, memory_mb=math.inf))
        for i, outcome in enumerate(ready):
            yield dataclasses.replace(
                outcome,
                value=None if ran.error else ran.value[i],
                reason=ran.reason,
                error=ran.error,
                cpu_s=outcome.cpu_s + ran.cpu_s / len(ready),
                wall_s=ran.wall_s,
                peak_mb=ran.peak_mb,
                gpu_s=ran.wall_s / len(ready),
            )


def _rows(run_on_gpu: Callable, tasks: list, threads: int, rows_of: Callable) -> list[list[dict]]:
    run_on_gpu(tasks, threads)
    return [rows_of(task.points()) for task in tasks]
