"""Picture of pore descriptors."""

from poreflux.base.drawing import bars

DIAMETERS = {"largest cavity diameter": "lcd_A", "pore limiting diameter": "pld_A"}


def draw(table, ax, of=None) -> None:
    """Diameters of the largest cavity and of the narrowest window on the way through.

    Parameters
    ----------
    table : DataFrame
        Of the stage, of one structure or several, none of them failed.
    ax : Axes
    of
        Not used.
    """
    bars(ax, table, {label: table[column] for label, column in DIAMETERS.items()})
    ax.set_ylabel("diameter (Å)")
