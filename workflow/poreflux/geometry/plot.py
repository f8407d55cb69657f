"""Picture of pore descriptors."""


def draw(found, ax) -> None:
    """Diameters of the largest cavity and of the narrowest window on the way through."""
    ax.barh(["largest cavity (LCD)", "limiting window (PLD)"], [found.lcd_A, found.pld_A])
    ax.invert_yaxis()
    ax.set_xlabel("diameter (Å)")
