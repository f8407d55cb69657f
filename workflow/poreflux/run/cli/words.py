"""Options that several commands share, and how their examples are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FOLDER",
        help="Folder of the store. Default: POREFLUX_STORE, or .poreflux/store here.",
        show_default=False,
    ),
]
ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--configfile",
        metavar="FILE",
        help="Configuration of the study, as given to Snakemake; may be repeated.",
        show_default=False,
    ),
]


def examples(*lines: str) -> str:
    """The last part of a command's help: examples, one a line."""
    # an empty line keeps typer from joining two
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])
