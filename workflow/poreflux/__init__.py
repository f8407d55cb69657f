"""Poreflux: pores, uptakes and diffusivities of gases in metal-organic frameworks.

Every function takes the path of a CIF, a :class:`Structure`, ``ase.Atoms`` or a pymatgen
``Structure``, and parameters by keyword, with their units in the names. What it returns has its
numbers as attributes, ``to_frame()``, ``plot()``, and a table in notebooks.

>>> import poreflux
>>> mof = poreflux.Structure.from_cif("mof.cif")
>>> pores = poreflux.pore_geometry(mof)
>>> pores.pld_A < pores.lcd_A
True
>>> d = poreflux.self_diffusivity(mof, guest="Xe", temperature_K=350, target_error=0.2)
>>> d.diffusive, d.d_err_m2_s < d.d_m2_s
(True, True)
>>> points = poreflux.isotherm(mof, [1.0, 10.0], target_error=0.05)
>>> list(points.to_frame()["pressure_bar"])
[1.0, 10.0]

Energies are over kB, in K; other units are Å, bar, fs and amu. For whole studies there is the
command line (``poreflux --help``) and Snakemake.
"""

# One folder per room; lower rooms never import upper ones, see docs/architecture.md.

import difflib
import hashlib
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poreflux.base.errors import ConfigError, PorefluxError, StructureError
    from poreflux.diffusion.api import self_diffusivity
    from poreflux.energy.api import energy_histogram
    from poreflux.geometry.api import pore_geometry
    from poreflux.percolation.api import percolation_energies
    from poreflux.prediction import dataset, predict
    from poreflux.prediction.transfer import transfer
    from poreflux.structures.convert import as_structure
    from poreflux.structures.crystal import Structure
    from poreflux.uptake.api import isotherm

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "PorefluxError",
    "Structure",
    "StructureError",
    "as_structure",
    "dataset",
    "energy_histogram",
    "isotherm",
    "percolation_energies",
    "pore_geometry",
    "predict",
    "self_diffusivity",
    "transfer",
]

# Where the names are: loaded when they are asked for, so that this import costs nothing.
_PLACES = {
    "ConfigError": "base.errors",
    "PorefluxError": "base.errors",
    "Structure": "structures.crystal",
    "StructureError": "base.errors",
    "as_structure": "structures.convert",
    "dataset": "prediction",
    "energy_histogram": "energy.api",
    "isotherm": "uptake.api",
    "percolation_energies": "percolation.api",
    "pore_geometry": "geometry.api",
    "predict": "prediction",
    "self_diffusivity": "diffusion.api",
    "transfer": "prediction.transfer",
}
_ROOMS = (
    *("structures", "geometry", "energy", "percolation", "uptake", "diffusion", "prediction"),
    *("base", "fields", "data", "learning", "synthesis"),
)


def __getattr__(name: str):
    if name in _ROOMS:
        return import_module(f"poreflux.{name}")
    if name in _PLACES:
        found = globals()[name] = getattr(import_module(f"poreflux.{_PLACES[name]}"), name)
        return found
    near = difflib.get_close_matches(name, [*_PLACES, *_ROOMS], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"module 'poreflux' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES, *_ROOMS})


def _keep_compiled_kernels_apart() -> None:
    """Give numba a cache folder for just this state of the library's compiled code.

    Numba compiles a kernel again when its own file changes, not when a kernel or a constant of
    another file that it draws on does: results of the old code would get the key of the new.
    """
    package = Path(__file__).parent
    texts = {path: path.read_bytes() for path in sorted(package.rglob("*.py"))}
    # but for this file, which only speaks of them
    folders = {p.parent for p, text in texts.items() if b"njit" in text and p != Path(__file__)}
    state = hashlib.sha256()
    for path, text in texts.items():
        if path.parent in folders:
            state.update(f"{path.relative_to(package)} {len(text)} ".encode() + text)
    prefix = "poreflux-kernels-"
    if "NUMBA_CACHE_DIR" in os.environ:
        base = Path(os.environ["NUMBA_CACHE_DIR"])
        # set by the process that started this one
        base = base.parent if base.name.startswith(prefix) else base
    else:
        base = _writable_folder(package)
    folder = str(base / (prefix + state.hexdigest()[:16]))
    os.environ["NUMBA_CACHE_DIR"] = folder
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


def _writable_folder(package: Path) -> Path:
    """Beside the library, else in the user's cache, else where temporary files go."""
    if os.access(package, os.W_OK):
        return package / "__pycache__"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    spare = Path(tempfile.gettempdir(), f"poreflux-cache-{os.getuid()}")
    for folder in (Path(cache, "poreflux"), spare):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # kernels are code: they are not taken from a folder that somebody else made
            if folder.lstat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                return folder
        except OSError:
            continue
    return package / "__pycache__"  # and numba says that it cannot


_keep_compiled_kernels_apart()
