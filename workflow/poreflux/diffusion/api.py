"""Self-diffusivity in a structure from anywhere, by keyword."""

from __future__ import annotations

import os
from typing import Literal

from poreflux.base.parameters import settings_of, takes
from poreflux.diffusion.settings import DiffusionSettings
from poreflux.diffusion.stage import Diffusivity, compute
from poreflux.structures.convert import StructureLike, as_structure


@takes(DiffusionSettings)
def self_diffusivity(
    structure: StructureLike,
    *,
    guest: str = "CH4",
    temperature_K: float = 298.0,
    target_error: float = 0.05,
    seed: int = 0,
    engine: Literal["grid", "lammps", "harmonic"] = "harmonic",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    block_threshold_kT: float = 20.0,
    flat_ps: float = 64.0,
    max_starts: int = 32_768,
    cutoff_A: float = 12.0,
    spacing_A: float = 0.25,
    cap_K: float = 20_000.0,
    timestep_fs: float = 2.0,
    n_molecules: int = 60,
    start: Literal["auto", "boltzmann", "packmol"] = "auto",
    equilibration_ps: float = 50.0,
    production_ps: float = 1000.0,
    extend: Literal["auto", "never"] = "auto",
    max_ps: float = 30_000.0,
    rare_events: Literal["tst", "bound"] = "tst",
    sample_ps: float = 1.0,
    thermostat_ps: float = 0.1,
    n_groups: int = 20,
    lammps_package: Literal["none", "omp", "gpu"] = "none",
    lammps_threads: int = 1,
    keep_dir: str | os.PathLike | None = None,
) -> Diffusivity:
    """Self-diffusivity of a guest in a rigid framework at infinite dilution.

    Parameters
    ----------
    structure : str, Path, Structure, ase.Atoms or pymatgen Structure
        The framework; a str or Path is that of a CIF.
    keep_dir : str or Path, optional
        Where engine 'lammps' leaves its files, ready for ``lmp -in in.lammps``.

    Returns
    -------
    Diffusivity
        With ``d_m2_s``, ``d_err_m2_s``, ``diffusive`` (whether this is a diffusivity and no
        bound), ``note`` and others.

    Raises
    ------
    StructureError
        If it is no usable structure, or an element has no Lennard-Jones parameters.
    ConfigError
        If a parameter is wrong (its name, type or range), or the device missing.
    ExternalToolError
        If Packmol or LAMMPS fails or is missing.
    """
    settings = settings_of(DiffusionSettings, locals())
    return compute(as_structure(structure), settings, keep_dir=keep_dir)


def from_cif(
    structure: StructureLike,
    settings: DiffusionSettings | None = None,
    *,
    keep_dir: str | os.PathLike | None = None,
    **params,
) -> Diffusivity:
    """The same as :func:`self_diffusivity` with settings, but for ``params``."""
    chosen = DiffusionSettings.chosen(settings, params)
    return compute(as_structure(structure), chosen, keep_dir=keep_dir)
