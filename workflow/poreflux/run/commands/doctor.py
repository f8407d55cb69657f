"""``poreflux doctor``: what is installed, what works, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from poreflux import __version__
from poreflux.base.errors import PorefluxError
from poreflux.run.checkout import ROOT, checkout
from poreflux.run.commands.files import can_be_written
from poreflux.store import Store

OK, WARN, FAIL = "ok", "warn", "fail"
STYLES = {OK: "green", WARN: "yellow", FAIL: "bold red"}
# Python versions that it is tested with.
OLDEST, NEWEST = (3, 11), (3, 13)
# What the library cannot do without, and what single features call.
NEEDED = ("numpy", "scipy", "numba", "pandas", "pyarrow", "gemmi", "pydantic", "matplotlib")
OPTIONAL = {
    "torch": "the learner mlp",
    "scikit-learn": "the learners",
    "raspalib": "engine raspa3 and its cross-check",
    "lammps": "engine lammps and its cross-check",
    "pyzeo": "geometry.engine zeopp",
    "pormake": "hypothetical MOFs of the default study",
    "CoRE-MOF": "the CoRE MOF archives of the default study",
    "rocrate": "poreflux crate",
}
INSTALL = "make setup, or pip install -r envs/requirements.txt"
# Runs in a process of its own: what it loads may end the process.
KERNEL = """
import numba
@numba.jit(nopython=True)
def twice(x):
    return 2 * x
assert twice(2) == 4
print(numba.__version__)
"""
GPU = """
from numba import cuda
assert cuda.is_available()
print(cuda.get_current_device().name.decode())
"""


class Line(NamedTuple):
    """What was looked at, how it is, what was found and what to do."""

    what: str
    state: str
    found: str
    remedy: str = ""


def examine(store: Path | None) -> bool:
    """Check the installation and print a line for each thing.

    Parameters
    ----------
    store : Path, optional
        Folder of the store, as on the command line.

    Returns
    -------
    bool
        Whether all that is needed works.
    """
    console = Console()
    lines = []
    shown = Table(show_header=False, box=None, pad_edge=False)
    for column in ("what", "state", "found"):
        shown.add_column(column, overflow="fold", no_wrap=column == "state")
    checks: tuple[Callable[[], Iterator[Line]], ...] = (
        _versions, _packages, _packmol, _kernels, _compiler, _gpu,
        lambda: _store(Store(store)), _folder, _workflow,
    )  # fmt: skip
    for check in checks:
        for line in check():
            lines.append(line)
            found = line.found + (f"\n→ {line.remedy}" if line.remedy else "")
            shown.add_row(line.what, f"[{STYLES[line.state]}]{line.state}[/]", found)
    console.print(shown)
    failed = sum(line.state == FAIL for line in lines)
    warned = sum(line.state == WARN for line in lines)
    console.print(
        f"{failed} failed, {warned} warnings" + ("" if failed else ": all that is needed works")
    )
    return not failed


def _versions() -> Iterator[Line]:
    yield Line("Poreflux", OK, f"{__version__} in {Path(__file__).parents[2]}")
    version = sys.version_info[:2]
    python = f"{platform.python_version()} ({sys.executable})"
    span = ".".join(map(str, OLDEST)), ".".join(map(str, NEWEST))
    if version < OLDEST:
        yield Line("Python", FAIL, python, f"install Python {span[0]} to {span[1]}")
    elif version > NEWEST:
        yield Line("Python", WARN, python, f"tested with {span[0]} to {span[1]}")
    else:
        yield Line("Python", OK, python)
    system = f"{platform.system()}, {len(os.sched_getaffinity(0))} cores, {_memory()}"
    yield Line("machine", OK, system)


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GiB of memory"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Line]:
    for package in NEEDED:
        version = _version(package)
        yield Line(
            package, OK if version else FAIL, version or "missing", "" if version else INSTALL
        )
    for package, use in OPTIONAL.items():
        version = _version(package)
        if version:
            yield Line(package, OK, version)
        else:
            yield Line(package, WARN, f"missing: {use}", f"to use that: {INSTALL}")


def _packmol() -> Iterator[Line]:
    beside = shutil.which("packmol", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("packmol")
    if found:
        yield Line("packmol", OK, f"{_version('packmol') or ''} {found}".strip())
    else:
        use = "missing: diffusion.start packmol, engine lammps"
        yield Line("packmol", WARN, use, "to use that: pip install packmol")


def _run(code: str) -> tuple[bool, str]:
    """Whether a piece of Python runs in a process of its own, and the last line that it prints."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "took more than two minutes"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit status {done.returncode}"


def _kernels() -> Iterator[Line]:
    works, said = _run(KERNEL)
    if not works:
        remedy = "pip install --force-reinstall numba llvmlite"
        yield Line("kernels", FAIL, f"numba cannot compile: {said}", remedy)
        return
    cache = Path(os.environ["NUMBA_CACHE_DIR"])
    if not can_be_written(cache):
        remedy = "set NUMBA_CACHE_DIR to a folder of yours, or each run compiles them again"
        yield Line("kernels", WARN, f"numba compiles, but {cache} cannot be written", remedy)
    elif cache.is_dir():
        yield Line("kernels", OK, f"compiled, in {cache}")
    else:
        remedy = "the first run compiles them; at once: python -m poreflux.run.compile_kernels"
        yield Line("kernels", OK, "numba compiles; nothing compiled yet for this version", remedy)


def _compiler() -> Iterator[Line]:
    found = shutil.which("gcc") or shutil.which("cc")
    if found:
        yield Line("C compiler", OK, found)
    else:
        remedy = "needed only where pip must build a package: apt-get install gcc libc6-dev"
        yield Line("C compiler", WARN, "none", remedy)


def _gpu() -> Iterator[Line]:
    works, said = _run(GPU)
    if works:
        yield Line("GPU", OK, said)
    elif shutil.which("nvidia-smi"):
        remedy = "make gpu, and see that nvidia-smi shows the device"
        yield Line("GPU", WARN, "there is a driver, but CUDA kernels cannot run", remedy)
    else:
        yield Line("GPU", OK, "none: all runs on the CPU")


def _store(store: Store) -> Iterator[Line]:
    where = store.root.absolute()
    if not can_be_written(where):
        remedy = "set POREFLUX_STORE or --store to a folder that you may write to"
        yield Line("store", FAIL, f"{where} cannot be written", remedy)
        return
    sizes = [path.stat().st_size for path in store.entries()]
    free = shutil.disk_usage(_there(where)).free
    found = f"{where}: {len(sizes)} entries, {sum(sizes) / 1e6:.1f} MB; {free / 1e9:.0f} GB free"
    if free < 1e9:
        yield Line(
            "store", WARN, found, "poreflux store prune --older-than-days 90, or another disk"
        )
    else:
        yield Line("store", OK, found)


def _there(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _folder() -> Iterator[Line]:
    here = Path.cwd()
    if can_be_written(here):
        yield Line("this folder", OK, f"{here} can be written")
    else:
        yield Line("this folder", FAIL, f"{here} cannot be written", "run in a folder of yours")


def _workflow() -> Iterator[Line]:
    version = _version("snakemake")
    if version is None:
        yield Line("Snakemake", WARN, "missing: poreflux run", f"for studies: {INSTALL}")
    elif int(version.partition(".")[0]) < 9:
        yield Line("Snakemake", FAIL, version, f"9 or later: {INSTALL}")
    else:
        yield Line("Snakemake", OK, version)
    try:
        yield Line("workflow", OK, str(checkout().absolute()))
    except PorefluxError as error:
        yield Line("workflow", WARN, f"no Snakefile in {ROOT}", str(error))
