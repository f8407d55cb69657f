"""What the CUDA engines share: whether there is a device, and how much of a study it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numba import config, cuda

from poreflux.base.errors import ConfigError

# numba-cuda (0.30 at least) compiles nothing where this name lacks, which numpy 2.5 dropped
if not hasattr(np, "row_stack"):
    np.row_stack = np.vstack  # noqa: NPY201

# Share of the device's free memory to fill.
FILL = 0.8
WARP = 32

Item = TypeVar("Item")


def usable() -> bool:
    """Whether there is a CUDA device, with the driver and the libraries to use it."""
    return cuda.is_available()


def kernel(most_registers: int | None = None) -> Callable:
    """Decorator of a kernel, kept in numba's cache.

    Parameters
    ----------
    most_registers : int, optional
        Of a thread; the compiler takes as many as it likes if not given. A multiprocessor has
        65,536: the fewer a thread takes, the more of them it holds.
    """
    # the simulator has no registers, and numba's takes no such argument
    limited = most_registers is not None and not config.ENABLE_CUDASIM
    return cuda.jit(cache=True, **({"max_registers": most_registers} if limited else {}))


def multiprocessors() -> int:
    """Of the device; 1 in the simulator."""
    return 1 if config.ENABLE_CUDASIM else cuda.get_current_device().MULTIPROCESSOR_COUNT


def lanes_per_warp(n_threads: int, n_warps: int) -> int:
    """In how many threads of a warp to put work, where each thread has its own.

    Threads of a warp that take different branches wait for each other: as long as the device has
    room for more warps, fewer threads in each wait less.

    Parameters
    ----------
    n_threads : int
        With work.
    n_warps : int
        That the device holds at a time.
    """
    return min(WARP, max(1, -(-n_threads // n_warps)))


def batches_of(
    items: Sequence[Item], bytes_of: Callable[[Item], int], setting: str
) -> Iterator[list[Item]]:
    """Consecutive items that fit into the free memory of the device together.

    Parameters
    ----------
    items : sequence
        Structures to compute.
    bytes_of : callable
        What one takes on the device.
    setting : str
        The key of the configuration that asked for a device, for the error.

    Raises
    ------
    ConfigError
        If there is no device that can be used.
    """
    if not usable():
        raise ConfigError(
            f"{setting} is 'cuda', but no CUDA device can be used here; check nvidia-smi and that "
            f"CUDA_HOME names a CUDA toolkit, or set {setting}: cpu"
        )
    return batches(items, bytes_of, FILL * free_bytes())


def batches(
    items: Sequence[Item], bytes_of: Callable[[Item], int], most_bytes: float
) -> Iterator[list[Item]]:
    """Consecutive items that fit into so many bytes together; one at least."""
    batch, size = [], 0
    for item in items:
        needs = bytes_of(item)
        if batch and size + needs > most_bytes:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += needs
    if batch:
        yield batch


def free_bytes() -> float:
    """Free memory of the device."""
    try:
        return cuda.current_context().get_memory_info().free
    except (AttributeError, NotImplementedError):  # the simulator
        return 1e9
