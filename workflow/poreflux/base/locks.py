"""Folders that one process holds alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a folder alone, by its file ``lock``; yields the descriptor, which a child may inherit.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    OSError
        If there can be no such file: the folder is not this user's, or ``lock`` is a link, which
        might lead to a file of somebody else.
    """
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    finally:
        os.close(handle)
