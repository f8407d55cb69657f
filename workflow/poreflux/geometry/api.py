"""Pore descriptors of a structure from anywhere, by keyword."""

from __future__ import annotations

from typing import Literal

from poreflux.base.parameters import settings_of, takes
from poreflux.geometry.settings import GeometrySettings
from poreflux.geometry.stage import Geometry, compute
from poreflux.structures.convert import StructureLike, as_structure


@takes(GeometrySettings)
def pore_geometry(
    structure: StructureLike,
    *,
    engine: Literal["fast", "zeopp"] = "fast",
    high_accuracy: bool = True,
    atom_order: Literal["listed", "canonical"] = "listed",
    asa_probe_A: float = 1.55,
    asa_samples_per_atom: int = 2000,
    void_probe_A: float = 1.4,
    void_samples: int = 50_000,
) -> Geometry:
    """Pore diameters, accessible surface areas and void fraction of a framework (Zeo++).

    Parameters
    ----------
    structure : str, Path, Structure, ase.Atoms or pymatgen Structure
        The framework; a str or Path is that of a CIF.

    Returns
    -------
    Geometry
        With ``lcd_A``, ``pld_A``, ``asa_m2_g``, ``void_fraction`` and others.

    Raises
    ------
    StructureError
        If it is no usable structure, or Zeo++ has no radius for an element.
    ConfigError
        If a parameter is wrong: its name, type or range.
    ExternalToolError
        If Zeo++ fails (``engine='zeopp'``).
    """
    settings = settings_of(GeometrySettings, locals())
    return compute(as_structure(structure), settings)


def from_cif(
    structure: StructureLike, settings: GeometrySettings | None = None, **params
) -> Geometry:
    """The same as :func:`pore_geometry` with settings, but for ``params``."""
    return compute(as_structure(structure), GeometrySettings.chosen(settings, params))


describe = pore_geometry
