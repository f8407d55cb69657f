"""Poreflux: from crystal structures of MOFs to a transfer-learning model of gas diffusion.

Units everywhere: Å, K (energies as E/kB), fs, bar, amu; names carry the unit where it
is not obvious. One folder per room; lower rooms never import upper ones, see
``docs/architecture.md``.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

__version__ = "0.1.0"


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
