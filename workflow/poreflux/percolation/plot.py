"""Picture of percolation energies."""

import math

import numpy as np

from poreflux.base.drawing import MOST_PLACES, bars, guest_of, name_places

LEVELS = {
    "lowest": "e_min_K",
    "free energy of adsorption": "henry_free_energy_K",
    "through in 1 direction": "e_perc_1_K",
    "in 2 directions": "e_perc_2_K",
    "in 3 directions": "e_perc_3_K",
}


def draw(table, ax, of=None) -> None:
    """Lowest energy, free energy of adsorption, and the energies of the ways through, as levels.

    Parameters
    ----------
    table : DataFrame
        Of the stage, of one structure or several, none of them failed. Without the energies of
        ways through, which are not searched for without barriers, mobilities are drawn.
    ax : Axes
    of : PercolationSettings, optional
        Its ``cap_K`` stands for a closed way, which is not drawn.
    """
    if not table.get("e_perc_1_K", table["mobility"] * np.nan).notna().any():
        bars(ax, table, {"mobility": table["mobility"]})
        ax.set_ylabel("mobility (relative)")
        return
    cap = getattr(of, "cap_K", math.inf)
    n = min(len(table), MOST_PLACES)
    for k, (label, column) in enumerate(LEVELS.items()):
        energies = table[column].to_numpy(float)[:n]
        open_ones = np.where(energies < cap, energies, np.nan)
        places = np.arange(n) + 0.16 * (k - 2)
        ax.hlines(open_ones, places - 0.07, places + 0.07, color=f"C{k}", lw=3, label=label)
    name_places(ax, table)
    # levels are everywhere
    ax.legend(fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    ax.set_ylabel(f"{guest_of(of)}energy / kB (K)")
