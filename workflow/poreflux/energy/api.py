"""Energy histogram of a structure from anywhere, by keyword."""

from __future__ import annotations

from poreflux.base.parameters import settings_of, takes
from poreflux.energy.settings import EnergySettings
from poreflux.energy.stage import EnergyHistogram, compute
from poreflux.structures.convert import StructureLike, as_structure


@takes(EnergySettings)
def energy_histogram(
    structure: StructureLike,
    *,
    guest: str = "CH4",
    bins: int = 50,
    range_K: tuple[float, float] = (-4000.0, 5000.0),
    spacing_A: float = 1.0,
    cutoff_A: float = 12.8,
) -> EnergyHistogram:
    """Histogram of a guest's energy on a grid over the cell of a framework (GRIDAY).

    Parameters
    ----------
    structure : str, Path, Structure, ase.Atoms or pymatgen Structure
        The framework; a str or Path is that of a CIF.

    Returns
    -------
    EnergyHistogram
        With ``histogram``, the shares of the bins, and ``edges_K``.

    Raises
    ------
    StructureError
        If it is no usable structure, or an element has no Lennard-Jones parameters.
    ConfigError
        If a parameter is wrong: its name, type or range.
    """
    settings = settings_of(EnergySettings, locals())
    return compute(as_structure(structure), settings)


def from_cif(
    structure: StructureLike, settings: EnergySettings | None = None, **params
) -> EnergyHistogram:
    """The same as :func:`energy_histogram` with settings, but for ``params``."""
    return compute(as_structure(structure), EnergySettings.chosen(settings, params))


histogram = energy_histogram
