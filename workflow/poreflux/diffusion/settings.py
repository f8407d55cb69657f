"""The parameters of a self-diffusivity, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from poreflux.base.errors import ConfigError
from poreflux.diffusion.lammps_engine import PACKAGES
from poreflux.fields.forcefield import Guest, guest_parameters

# About the number of molecules that share a thermostat, as in the published protocol (at least
# 30 molecules in one simulation). Many molecules on one thermostat hardly disturb each other.
MOLECULES_PER_THERMOSTAT = 30


@dataclass(frozen=True)
class Settings:
    """The parameters of a self-diffusivity.

    Attributes
    ----------
    engine : {'grid', 'lammps'}
        See the package.
    device : {'auto', 'cpu', 'cuda'}
        Where the grid engine runs, see :mod:`poreflux.diffusion.cuda`. A GPU pays with many
        structures at once: 'auto' takes one for a table of structures, not for a single one.
    guest : str
        Name of a guest, see :func:`poreflux.fields.forcefield.guest_parameters`.
    temperature_K : float
        Temperature.
    timestep_fs : float
        Time step; at 2 fs the grid engine still conserves energy to 0.1 K a molecule.
    n_molecules : int
        Independent molecules; the LAMMPS engine puts them all into one supercell.
    start : {'auto', 'boltzmann', 'packmol'}
        Where molecules start: Boltzmann-distributed in the channels, or where Packmol finds
        room, pockets included; 'auto': the former for 'grid', the latter for 'lammps'.
    equilibration_ps, production_ps, sample_ps : float
        Time discarded, time recorded, and the interval between recorded positions (rounded to
        whole steps). From a Boltzmann start little need be discarded.
    extend : {'auto', 'never'}
        Whether the time recorded or (grid engine) the number of molecules is doubled, see
        :func:`poreflux.diffusion.lengthened`, until the result is diffusive with a relative
        standard error of at most ``target_error``, or the molecules together have moved for
        ``max_ps`` times ``n_molecules``.
    target_error, max_ps : float
        See ``extend``.
    rare_events : {'tst', 'bound'}
        What is given where the run shows no diffusion, or there is no channel: the estimate of
        transition-state theory, if there is one below the bound, or the bound.
    thermostat_ps : float
        Time constant of the Nose-Hoover chain.
    cutoff_A : float
        Lennard-Jones cutoff: truncated, not shifted, no tail correction.
    spacing_A, cap_K : float
        Largest spacing of the energy grid, and the energy towards which it is softened for
        the spline (undone when read, see :mod:`poreflux.diffusion.grid_engine`).
    block_threshold_kT : float
        Regions below this many kT are channels (if they run through the crystal) or pockets.
    n_groups : int
        Groups of molecules whose scatter gives the standard error.
    seed : int
        With the structure's content hash it fixes every random number.
    lammps_package, lammps_threads
        Accelerator package of LAMMPS ('none', 'omp', 'gpu') and threads with 'omp'.
    keep_dir : str or Path, optional
        Where the LAMMPS engine leaves its files, ready for ``lmp -in in.lammps``. A run of the
        same settings that it finds cut short there is gone on from.
    run_dir : str or Path, optional
        The same, but removed when the run is done.

    Raises
    ------
    ConfigError
        If a parameter is out of range or the guest unknown.
    """

    engine: str = "grid"
    device: str = "auto"
    guest: str = "CH4"
    temperature_K: float = 298.0
    timestep_fs: float = 1.0
    n_molecules: int = 60
    start: str = "auto"
    equilibration_ps: float = 50.0
    production_ps: float = 1000.0
    extend: str = "auto"
    target_error: float = 0.1
    max_ps: float = 30_000.0
    rare_events: str = "tst"
    sample_ps: float = 1.0
    thermostat_ps: float = 0.1
    cutoff_A: float = 12.0
    spacing_A: float = 0.25
    cap_K: float = 20_000.0
    block_threshold_kT: float = 20.0
    n_groups: int = 20
    seed: int = 0
    lammps_package: str = "none"
    lammps_threads: int = 1
    keep_dir: str | Path | None = None
    run_dir: str | Path | None = None

    def __post_init__(self):
        def fail(name, expected):
            value = getattr(self, name)
            raise ConfigError(f"{name} must be {expected}, got {value!r} (config: md.{name})")

        for name, allowed in (
            ("engine", ("grid", "lammps")),
            ("device", ("auto", "cpu", "cuda")),
            ("start", ("auto", "boltzmann", "packmol")),
            ("extend", ("auto", "never")),
            ("rare_events", ("tst", "bound")),
            ("lammps_package", tuple(PACKAGES)),
        ):
            if getattr(self, name) not in allowed:
                fail(name, "one of " + ", ".join(allowed))
        if self.lammps_threads < 1:
            fail("lammps_threads", "1 or more")
        for name in ("temperature_K", "timestep_fs", "production_ps", "target_error", "max_ps",
                     "sample_ps", "thermostat_ps", "cutoff_A", "spacing_A", "cap_K",
                     "block_threshold_kT"):  # fmt: skip
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                fail(name, "above 0")
        if self.timestep_fs > 5:
            fail("timestep_fs", "at most 5 fs, beyond which integration is not accurate")
        if not (self.equilibration_ps >= 0 and math.isfinite(self.equilibration_ps)):
            fail("equilibration_ps", "0 or more")
        if self.sample_ps * 20 > self.production_ps:
            fail("sample_ps", f"at most a 20th of production_ps ({self.production_ps:g} ps)")
        if self.extend == "auto" and self.max_ps < self.production_ps:
            fail("max_ps", f"at least production_ps ({self.production_ps:g} ps)")
        if self.n_molecules < 2:
            fail("n_molecules", "2 or more")
        if not 2 <= self.n_groups <= self.n_molecules:
            fail("n_groups", f"2 to n_molecules ({self.n_molecules})")
        _ = self.molecule  # a guest that is unknown is a parameter out of range as well

    @property
    def molecule(self) -> Guest:
        """The guest's parameters."""
        return guest_parameters(self.guest)

    @property
    def starts(self) -> str:
        """How molecules are placed: 'boltzmann' or 'packmol'."""
        if self.start == "auto":
            return "packmol" if self.engine == "lammps" else "boltzmann"
        return self.start

    @property
    def chain_size(self) -> int:
        """Molecules a thermostat."""
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
