"""What a self-diffusivity is computed with."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from poreflux.base.settings import (
    KT,
    Angstrom,
    Femtoseconds,
    Kelvin,
    Mistake,
    Picoseconds,
    Settings,
)
from poreflux.fields.settings import GuestName

# About the number of molecules that share a thermostat, as in the published protocol (at least
# 30 molecules in one simulation). Many molecules on one thermostat hardly disturb each other.
MOLECULES_PER_THERMOSTAT = 30


class DiffusionParameters(Settings):
    """What a self-diffusivity is computed with, but for the seed, which is the study's.

    Raises
    ------
    ConfigError
        If a value is out of range or the guest unknown.
    """

    block: ClassVar[str] = "diffusion"

    engine: Literal["grid", "lammps", "harmonic"] = Field(
        "harmonic",
        description="harmonic: picoseconds of dynamics in harmonic coordinates, however slow the "
        "guest; grid: mean squared displacements of long trajectories; lammps: the same from "
        "LAMMPS with Packmol",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="where the engines grid and harmonic run; auto: on a GPU, where there is "
        "one, for a table of structures, not for a single one",
    )
    guest: GuestName = Field("CH4", description="a guest of the library's fields/parameters/guests")
    temperature_K: Kelvin = Field(298.0, gt=0, description="temperature")
    cutoff_A: Angstrom = Field(
        12.0, ge=5, le=50, description="Lennard-Jones cutoff, unshifted, no tail correction"
    )
    spacing_A: Angstrom = Field(
        0.25, gt=0, le=0.5, description="largest spacing of the energy grid under the spline"
    )
    cap_K: Kelvin = Field(
        20_000.0,
        ge=5000.0,
        description="energies on the grid are softened towards this before the spline, which is "
        "undone when it is read",
    )
    block_threshold_kT: KT = Field(
        20.0, gt=0, description="molecules start where a channel below this energy leads"
    )
    timestep_fs: Femtoseconds = Field(
        2.0,
        gt=0,
        le=5,
        description="time step; at 2 fs energy is conserved to 0.1 K per molecule of CH4, beyond "
        "5 fs integration is not accurate; the published protocol takes 1 fs",
    )
    n_molecules: int = Field(
        60,
        ge=2,
        description="independent molecules; the LAMMPS engine puts them all into one supercell",
    )
    start: Literal["auto", "boltzmann", "packmol"] = Field(
        "auto",
        description="where molecules start: Boltzmann-distributed in the channels, or where "
        "Packmol finds room (the published way, pockets included); auto: the former with engine "
        "grid, the latter with lammps",
    )
    equilibration_ps: Picoseconds = Field(
        50.0,
        ge=0,
        description="before any statistics; from a Boltzmann start little need be discarded",
    )
    production_ps: Picoseconds = Field(
        1000.0, gt=0, description="of the trajectory, at first if extend is auto"
    )
    extend: Literal["auto", "never"] = Field(
        "auto",
        description="auto: double the trajectory, or with engine grid the molecules, until "
        "target_error or max_ps is reached",
    )
    target_error: float = Field(
        0.05,
        gt=0,
        le=1,
        description="relative standard error of D at which there are enough paths (harmonic), or a "
        "trajectory is long enough",
    )
    max_ps: Picoseconds = Field(
        30_000.0,
        gt=0,
        description="longest trajectory; 30 ns shows diffusion down to about 1e-11 m2/s",
    )
    flat_ps: Picoseconds = Field(
        64.0,
        ge=4,
        description="engine harmonic: longest time t for D(t) to become flat; what still rises "
        "then is ballistic",
    )
    max_starts: int = Field(
        32_768,
        ge=1024,
        description="engine harmonic: most paths for target_error",
    )
    rare_events: Literal["tst", "bound"] = Field(
        "tst",
        description="engines grid and lammps, where the run shows no diffusion or no channel runs "
        "through: tst: an estimate by transition-state theory (engine tst, not diffusive), if "
        "below the bound; bound: an upper bound",
    )
    sample_ps: Picoseconds = Field(
        1.0, gt=0, description="between recorded positions, rounded to whole steps"
    )
    thermostat_ps: Picoseconds = Field(
        0.1, gt=0, description="time constant of the Nose-Hoover thermostat"
    )
    n_groups: int = Field(
        20, ge=2, description="groups of molecules whose scatter gives the standard error"
    )
    # the keys of poreflux.diffusion.lammps_engine.PACKAGES
    lammps_package: Literal["none", "omp", "gpu"] = Field(
        "none",
        description="accelerator package of LAMMPS: omp (threads), gpu (if LAMMPS was built with "
        "it)",
    )
    lammps_threads: int = Field(1, ge=1, description="threads of LAMMPS with the package omp")

    @model_validator(mode="after")
    def _times_fit(self):
        production = f"production_ps ({self.production_ps:g} ps)"
        if self.sample_ps * 20 > self.production_ps:
            raise Mistake("sample_ps", f"must be at most a 20th of {production}", self.sample_ps)
        if self.extend == "auto" and self.max_ps < self.production_ps:
            raise Mistake("max_ps", f"must be at least {production}", self.max_ps)
        if self.thermostat_ps * 1000 < 10 * self.timestep_fs:
            rule = f"must be at least 10 time steps (timestep_fs is {self.timestep_fs:g} fs)"
            raise Mistake("thermostat_ps", rule, self.thermostat_ps)
        if self.sample_ps * 1000 < self.timestep_fs:
            rule = f"must be at least a time step ({self.timestep_fs:g} fs)"
            raise Mistake("sample_ps", rule, self.sample_ps)
        return self

    @model_validator(mode="after")
    def _groups_have_molecules(self):
        if self.n_groups > self.n_molecules:
            rule = f"must be 2 to n_molecules ({self.n_molecules})"
            raise Mistake("n_groups", rule, self.n_groups)
        return self

    @property
    def starts(self) -> str:
        """How molecules are placed: 'boltzmann' or 'packmol'."""
        if self.start == "auto":
            return "packmol" if self.engine == "lammps" else "boltzmann"
        return self.start

    @property
    def chain_size(self) -> int:
        """Molecules per thermostat."""
        chains = max(1, round(self.n_molecules / MOLECULES_PER_THERMOSTAT))
        return math.ceil(self.n_molecules / chains)

    @property
    def steps_per_frame(self) -> int:
        """Steps between recorded positions."""
        return max(1, round(self.sample_ps * 1000.0 / self.timestep_fs))

    @property
    def interval_ps(self) -> float:
        """Time between recorded positions."""
        return self.steps_per_frame * self.timestep_fs / 1000.0

    @property
    def equilibration_steps(self) -> int:
        """Steps before the first recorded positions."""
        return round(self.equilibration_ps * 1000.0 / self.timestep_fs)


class DiffusionSettings(DiffusionParameters):
    """What a self-diffusivity is computed with."""

    seed: int = Field(
        0, ge=0, description="with the structure's content hash it fixes every random number"
    )
