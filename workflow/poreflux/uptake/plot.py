"""Picture of an isotherm."""

from poreflux.uptake.stage import Isotherm


def draw(found, ax) -> None:
    """Uptakes with their standard errors over the pressure; of a point alone, that."""
    points = found if isinstance(found, Isotherm) else Isotherm([found])
    points = Isotherm(sorted(points, key=lambda point: point.pressure_bar))
    ax.errorbar(
        points.pressures_bar, points.uptake_mol_kg, points.uptake_err_mol_kg,
        marker="o", capsize=3,
    )  # fmt: skip
    ax.set_xlabel("pressure (bar)")
    ax.set_ylabel("absolute uptake (mol/kg)")
