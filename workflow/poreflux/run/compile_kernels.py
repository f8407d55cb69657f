"""Compile the kernels of all stages, so that no job has to.

``python -m poreflux.run.compile_kernels``. Numba keeps what it compiled beside the library, see
:mod:`poreflux`. Where nothing changed since, this takes some seconds.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from poreflux.run.stages import STAGES

log = logging.getLogger("poreflux")


def compile_kernels(processes: int | None = None) -> dict[str, float]:
    """Compile the kernels of every stage that has any.

    Parameters
    ----------
    processes : int, optional
        How many stages at once; as many as there are processors if not given.

    Returns
    -------
    dict of str to float
        Seconds by stage.
    """
    context = get_context("spawn")  # numba does not like to be forked
    seconds = {}
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context) as pool:
        running = {pool.submit(_compile, name): name for name in STAGES}
        for done in as_completed(running):
            seconds[running[done]] = done.result()
            log.info("kernels of %s: %.0f s", running[done], done.result())
    return seconds


def _compile(name: str) -> float:
    start = time.monotonic()
    STAGES[name].module()
    return time.monotonic() - start


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("Compiling the kernels: about a minute, once per version of the code")
    compile_kernels()
