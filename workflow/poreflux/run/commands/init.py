"""``poreflux init``: the folder of a study of one's own."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path

from poreflux.base.errors import ConfigError
from poreflux.base.files import write_atomically
from poreflux.run.commands.plans import say

CIFS = "cifs"
# Files of a new folder, from the templates of these names.
FILES = ("config.yaml", "README.md")


def init(folder: Path) -> None:
    """Make the folder of a study: configuration with comments, place for CIFs, README.

    Parameters
    ----------
    folder : Path
        New or empty. The study gets its name.

    Raises
    ------
    ConfigError
        If there is something in it, or it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name a new folder")
    name = study_name(folder)
    (folder / CIFS).mkdir(parents=True, exist_ok=True)
    templates = resources.files("poreflux").joinpath("run", "templates")
    for file in FILES:
        text = templates.joinpath(file).read_text(encoding="utf-8")
        write_atomically(folder / file, text.replace("NAME", name).encode())
    say(f"{folder}: a new study, {name}")
    say(f"  1. put CIF files into {folder / CIFS}{os.sep}")
    say(f"  2. look through {folder / 'config.yaml'}")
    say(f"  3. poreflux run {folder}")


def study_name(folder: Path) -> str:
    """The name of a study in a folder: the folder's, in letters that paths and rules take."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name)[:100].strip("-.")
    return name or "study"
