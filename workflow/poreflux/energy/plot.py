"""Picture of an energy histogram."""


def draw(found, ax) -> None:
    """Share of the cell over the energy."""
    ax.stairs(found.histogram, found.edges_K, fill=True)
    ax.set_xlabel("energy / kB (K)")
    ax.set_ylabel("share of the cell")
