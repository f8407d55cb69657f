"""What the pictures of results share: names of structures, bars, and how many can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# More lines than these cannot be told apart, more places on an axis not read.
MOST_LINES, MOST_PLACES = 10, 40


def names_of(table: pd.DataFrame) -> list[str]:
    """Names of the structures of a table; one without a name is called nothing."""
    return list(table["name"].drop_duplicates()) if "name" in table else [""]


def guest_of(of) -> str:
    """The guest that a result or settings name, as ``CH4 ``, or nothing."""
    return f"{guest} " if (guest := getattr(of, "guest", "")) else ""


def bars(ax: Axes, table: pd.DataFrame, series: Mapping, errors: Mapping | None = None) -> None:
    """A group of bars for each structure, a colour for each series; of many structures the first.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        A row per structure.
    series : mapping of str to sequence of float
        Heights by what they are; NaN where there is none.
    errors : mapping of str to sequence of float, optional
        Standard errors of the heights of the series that have any.
    """
    n = min(len(table), MOST_PLACES)
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        places = np.arange(n) + (i - (len(series) - 1) / 2) * width
        heights = np.asarray(values, float)[:n]
        error = None if label not in (errors or {}) else np.asarray(errors[label], float)[:n]
        if np.isfinite(heights).any():
            ax.bar(places, heights, width * 0.95, yerr=error, label=label or None)
    name_places(ax, table)


def name_places(ax: Axes, table: pd.DataFrame) -> None:
    """Name the places 0, 1, ... of the horizontal axis by structures."""
    shown = names_of(table)[:MOST_PLACES]
    # a single bar is no wall
    ax.set_xlim(-1, len(shown))
    many = len(shown) > 3
    ax.set_xticks(
        np.arange(len(shown)), shown, rotation=45 if many else 0, ha="right" if many else "center"
    )


def legend_where_needed(ax: Axes) -> None:
    """A legend if there is anything to tell apart, and none yet."""
    if ax.get_legend_handles_labels()[0] and not ax.get_legend():
        ax.legend(fontsize="small")
