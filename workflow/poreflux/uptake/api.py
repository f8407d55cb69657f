"""Isotherm of a structure from anywhere, by keyword."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from poreflux.base.parameters import settings_of, takes
from poreflux.structures.convert import StructureLike, as_structure
from poreflux.uptake.settings import DEFAULT_PRESSURES_BAR, UptakeSettings
from poreflux.uptake.stage import Isotherm, compute


@takes(UptakeSettings)
def isotherm(
    structure: StructureLike,
    pressures_bar: Sequence[float] | float = DEFAULT_PRESSURES_BAR,
    *,
    guest: str = "CH4",
    temperature_K: float = 298.0,
    target_error: float = 0.01,
    seed: int = 0,
    engine: Literal["grid", "raspa3"] = "grid",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    block_pockets: bool = True,
    block_threshold_kT: float = 20.0,
    cutoff_A: float = 12.0,
    spacing_A: float = 0.25,
    cap_K: float = 20_000.0,
    protocol: Literal["adaptive", "paper"] = "adaptive",
    equilibration_steps: int = 20_000,
    production_steps: int = 100_000,
    max_steps: int = 10_000_000,
) -> Isotherm:
    """Uptake of a guest by a framework at each pressure, by grand-canonical Monte Carlo.

    Parameters
    ----------
    structure : str, Path, Structure, ase.Atoms or pymatgen Structure
        The framework; a str or Path is that of a CIF.

    Returns
    -------
    Isotherm
        A tuple of points, with ``pressures_bar``, ``uptake_mol_kg`` and others as arrays.

    Raises
    ------
    StructureError
        If it is no usable structure, or an element has no Lennard-Jones parameters.
    ConfigError
        If a parameter is wrong (its name, type or range), the guest liquid at a pressure, or the
        device missing.
    ExternalToolError
        If RASPA3 fails.
    """
    pressures_bar = np.atleast_1d(pressures_bar)
    settings = settings_of(UptakeSettings, locals())
    return compute(as_structure(structure), settings)


def from_cif(
    structure: StructureLike, settings: UptakeSettings | None = None, **params
) -> Isotherm:
    """The same as :func:`isotherm` with settings, but for ``params``."""
    return compute(as_structure(structure), UptakeSettings.chosen(settings, params))
