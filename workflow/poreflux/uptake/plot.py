"""Picture of isotherms."""

from poreflux.base.drawing import MOST_LINES, guest_of, names_of


def draw(table, ax, of=None) -> None:
    """Uptakes with their standard errors over the pressure; of a point alone, that.

    Parameters
    ----------
    table : DataFrame
        Of the stage, of one structure or several, none of them failed.
    ax : Axes
    of : UptakeSettings, optional
        Names the guest.
    """
    for name in names_of(table)[:MOST_LINES]:
        rows = (table[table["name"] == name] if "name" in table else table).sort_values(
            "pressure_bar"
        )
        ax.errorbar(
            rows["pressure_bar"], rows["uptake_mol_kg"], rows["uptake_err_mol_kg"],
            marker="o", markersize=4, capsize=2, label=name or None,
        )  # fmt: skip
    ax.set(xlabel="pressure (bar)", ylabel=f"absolute {guest_of(of)}uptake (mol/kg)")
    ax.set_ylim(bottom=0)
