"""Where the workflow lies: the folder of the Snakefile, which is no part of the library."""

from __future__ import annotations

from pathlib import Path

from poreflux.base.errors import ConfigError

# The checkout that this library lies in, if it lies in one.
ROOT = Path(__file__).parents[3]
DEFAULT_CONFIG = Path("config", "config.yaml")


def checkout() -> Path:
    """The workflow's folder: the one that the library lies in, else the working one or above it.

    Raises
    ------
    ConfigError
        If none of them holds the Snakefile.
    """
    here = Path.cwd()
    for folder in (ROOT, here, *here.parents):
        if (folder / "Snakefile").is_file() and (folder / DEFAULT_CONFIG).is_file():
            return folder
    raise ConfigError(
        "the Snakefile is not here: the library is installed without the workflow. Studies need "
        "the repository: clone it, then `make setup` there, or go into its folder"
    )
