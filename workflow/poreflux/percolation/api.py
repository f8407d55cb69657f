"""Percolation, Henry coefficient and mobility of a structure from anywhere, by keyword."""

from __future__ import annotations

from poreflux.base.parameters import settings_of, takes
from poreflux.percolation.settings import PercolationSettings
from poreflux.percolation.stage import Percolation, compute
from poreflux.structures.convert import StructureLike, as_structure


@takes(PercolationSettings)
def percolation_energies(
    structure: StructureLike,
    *,
    guest: str = "CH4",
    temperature_K: float = 298.0,
    barriers: bool = True,
    spacing_A: float = 0.35,
    cutoff_A: float = 12.0,
    cap_K: float = 20_000.0,
    threshold_kT: float = 20.0,
    max_points: int = 8_000_000,
) -> Percolation:
    """Energies at which a guest gets through a framework, and its Henry coefficient there.

    Parameters
    ----------
    structure : str, Path, Structure, ase.Atoms or pymatgen Structure
        The framework; a str or Path is that of a CIF.

    Returns
    -------
    Percolation
        With ``e_perc_1_K``, ``barrier_1_K``, ``dimensionality``, ``henry_mol_kg_bar``,
        ``heat_of_adsorption_kJ_mol``, ``mobility`` and others.

    Raises
    ------
    StructureError
        If it is no usable structure, an element has no Lennard-Jones parameters, or the guest is
        bound so deeply that the Henry coefficient is not a finite number.
    ConfigError
        If a parameter is wrong: its name, type or range.
    """
    settings = settings_of(PercolationSettings, locals())
    return compute(as_structure(structure), settings)


def from_cif(
    structure: StructureLike, settings: PercolationSettings | None = None, **params
) -> Percolation:
    """The same as :func:`percolation_energies` with settings, but for ``params``."""
    return compute(as_structure(structure), PercolationSettings.chosen(settings, params))


describe = percolation_energies
