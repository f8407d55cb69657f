"""A stage's result as a picture in a file, drawn by the module ``plot`` of its room."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from poreflux.base.drawing import legend_where_needed
from poreflux.base.errors import ConfigError

FORMATS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """Say before anything is computed if a picture cannot be written.

    Raises
    ------
    ConfigError
        If the format is unknown, there is no such folder, or matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError("--plot needs matplotlib: pip install matplotlib, or poreflux[report]")
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--plot {path}: the name must end in one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--plot {path}: there is no folder {path.parent}")


def draw(stage: str, table: pd.DataFrame, settings, path: Path) -> None:
    """Draw the result of a stage.

    Parameters
    ----------
    stage : str
        geometry, energy, percolation, uptake or diffusion.
    table : DataFrame
        Its rows, none of them failed.
    settings
        Of the stage.
    path : Path
        Where the picture goes; its ending is the format.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    import_module(f"poreflux.{stage}.plot").draw(table, axis, settings)
    legend_where_needed(axis)
    figure.savefig(path, dpi=200)
    pyplot.close(figure)
