"""The parameters of an isotherm, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from poreflux.base.errors import ConfigError
from poreflux.fields.eos import fugacity
from poreflux.fields.forcefield import Guest, guest_parameters
from poreflux.uptake import grid

DEFAULT_PRESSURES_BAR = (0.25, 0.5, 0.75, 1.0, 2.0, 5.8, 10.0, 30.0, 50.0, 65.0, 80.0, 100.0)


@dataclass(frozen=True)
class Settings:
    """The parameters of an isotherm.

    Attributes
    ----------
    guest : str
        Name of a guest, see :func:`poreflux.fields.forcefield.guest_parameters`.
    temperature_K : float
        Temperature.
    pressures_bar : sequence of float
        Pressures above 0.
    engine : {'grid', 'raspa3'}
        See the package.
    device : {'auto', 'cpu', 'cuda'}
        Where the grid engine runs, see :mod:`poreflux.uptake.cuda`. A GPU pays with many
        structures at once: 'auto' takes one for a table of structures, not for a single one.
    cutoff_A : float
        Cutoff of all pairs: truncated, not shifted, no tail correction. The supercell's
        perpendicular widths are at least twice this.
    spacing_A : float
        Largest spacing of the energy grid. 0.25 Å gives uptakes as 0.15 Å does.
    cap_K : float
        Energies are cut here before the spline.
    block_pockets : bool
        Leave out pockets, regions below the threshold that do not run through the crystal. A
        structure without a channel then takes up exactly 0, with error 0 and pocket share 1.
    block_threshold_kT : float
        The threshold, in kT, on the energy grid.
    protocol : {'adaptive', 'paper'}
        'adaptive' runs at least ``production_steps`` after equilibration, until the
        standard error is ``target_error`` times the mean, or to ``max_steps``. 'paper' takes
        exactly 50,000 iterations at each pressure, an iteration being a cycle of max(20, N)
        steps as in RASPA; the equilibration found in them is not averaged.
    equilibration_steps : int
        Fewest steps discarded at each pressure; more are by the marginal standard error rule.
    production_steps, max_steps : int
        Fewest and most steps averaged at each pressure.
    target_error : float
        Relative standard error to reach.
    seed : int
        With the structure's content hash it fixes every random number.

    Raises
    ------
    ConfigError
        If a parameter is out of range, the guest unknown, or liquid.
    """

    guest: str = "CH4"
    temperature_K: float = 298.0
    pressures_bar: Sequence[float] = DEFAULT_PRESSURES_BAR
    engine: str = "grid"
    device: str = "auto"
    cutoff_A: float = 12.0
    spacing_A: float = 0.25
    cap_K: float = 20_000.0
    block_pockets: bool = True
    block_threshold_kT: float = 20.0
    protocol: str = "adaptive"
    equilibration_steps: int = 20_000
    production_steps: int = 100_000
    max_steps: int = 10_000_000
    target_error: float = 0.01
    seed: int = 0

    def __post_init__(self):
        for name, allowed in (
            ("engine", ("grid", "raspa3")),
            ("device", ("auto", "cpu", "cuda")),
            ("protocol", ("adaptive", "paper")),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ConfigError(f"gcmc.{name} must be one of {', '.join(allowed)}, got {value!r}")
        if not len(self.pressures_bar):
            raise ConfigError("gcmc.pressures_bar is empty")
        limits = {
            "temperature_K": 0.0,
            "cutoff_A": 0.0,
            "spacing_A": 0.0,
            "cap_K": math.nextafter(grid.REJECT_K, 0.0),
            "block_threshold_kT": 0.0,
            "target_error": 0.0,
            "production_steps": 999,
        }
        for name, value, low in (
            *(("pressures_bar", p, 0.0) for p in self.pressures_bar),
            *((name, getattr(self, name), low) for name, low in limits.items()),
        ):
            if not (math.isfinite(value) and value > low):
                raise ConfigError(f"gcmc.{name} must be above {low:g}, got {value!r}")
        if self.equilibration_steps < 0:
            raise ConfigError(
                f"gcmc.equilibration_steps must be 0 or more, got {self.equilibration_steps}"
            )
        if self.max_steps < self.production_steps:
            raise ConfigError(
                f"gcmc.max_steps ({self.max_steps}) must not be below gcmc.production_steps "
                f"({self.production_steps})"
            )
        object.__setattr__(self, "pressures_bar", tuple(map(float, self.pressures_bar)))
        # a guest that is unknown, or liquid, is a parameter out of range as well
        _ = self.fugacities_bar

    @property
    def molecule(self) -> Guest:
        """The guest's parameters."""
        return guest_parameters(self.guest)

    @property
    def fugacities_bar(self) -> list[float]:
        """Fugacities in the order of the pressures, bar."""
        return [fugacity(p, self.temperature_K, self.guest) for p in self.pressures_bar]

    @property
    def schedule(self) -> grid.Schedule:
        """How long the grid engine runs at each pressure."""
        return grid.Schedule(
            self.protocol,
            int(self.equilibration_steps),
            int(self.production_steps),
            int(self.max_steps),
            self.target_error,
        )
