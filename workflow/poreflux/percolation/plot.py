"""Picture of percolation energies."""


def draw(found, ax) -> None:
    """Lowest energy, free energy of adsorption, and the energies of the ways through, as levels."""
    levels = {
        "lowest": found.e_min_K,
        "free energy": found.henry_free_energy_K,
        "through in 1": found.e_perc_1_K,
        "in 2": found.e_perc_2_K,
        "in 3 directions": found.e_perc_3_K,
    }
    # not searched for without barriers
    levels = {name: energy for name, energy in levels.items() if energy is not None}
    for i, energy in enumerate(levels.values()):
        ax.hlines(energy, i - 0.4, i + 0.4, color=f"C{min(i, 2)}", linewidth=3)
    ax.set_xticks(range(len(levels)), list(levels))
    ax.set_ylabel("energy / kB (K)")
