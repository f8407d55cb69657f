"""Picture of an energy histogram."""

import numpy as np

from poreflux.base.drawing import MOST_LINES, guest_of, names_of


def draw(table, ax, of) -> None:
    """Share of the cell over the energy.

    Parameters
    ----------
    table : DataFrame
        Of the stage, of one structure or several, none of them failed.
    ax : Axes
    of : EnergyHistogram or EnergySettings
        Has ``range_K``.
    """
    columns = sorted(c for c in table if c[0] == "h" and c[1:].isdigit())
    edges = np.linspace(*of.range_K, len(columns) + 1)
    names = names_of(table)[:MOST_LINES]
    for name, shares in zip(names, table[columns].to_numpy(float), strict=False):
        ax.stairs(shares, edges, fill=len(names) == 1, label=name or None)
    ax.set(xlabel=f"{guest_of(of)}energy / kB (K)", ylabel="share of the cell")
