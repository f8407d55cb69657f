"""What an isotherm is computed with."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from poreflux.base.errors import ConfigError
from poreflux.base.settings import KT, Angstrom, Bar, Distinct, Kelvin, Mistake, Settings
from poreflux.fields.settings import GuestName

DEFAULT_PRESSURES_BAR = (0.25, 0.5, 0.75, 1.0, 2.0, 5.8, 10.0, 30.0, 50.0, 65.0, 80.0, 100.0)


class UptakeParameters(Settings):
    """What an isotherm is computed with, but for the seed, which is the study's.

    Raises
    ------
    ConfigError
        If a value is out of range, the guest unknown, or liquid at a pressure.
    """

    block: ClassVar[str] = "uptake"

    engine: Literal["grid", "raspa3"] = Field(
        "grid", description="grid: ours; raspa3: RASPA3 through raspalib"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="where the grid engine runs; auto: on a GPU, where there is one, for a table "
        "of structures, not for a single one",
    )
    guest: GuestName = Field("CH4", description="a guest of the library's fields/parameters/guests")
    temperature_K: Kelvin = Field(298.0, gt=0, description="temperature")
    cutoff_A: Angstrom = Field(
        12.0,
        ge=5,
        le=50,
        description="Lennard-Jones cutoff, unshifted, no tail correction; the supercell is at "
        "least twice as wide",
    )
    spacing_A: Angstrom = Field(
        0.25,
        gt=0,
        le=0.5,
        description="largest spacing of the energy grid under the spline; 0.25 gives uptakes as "
        "0.15 does",
    )
    # not below poreflux.uptake.grid.REJECT_K, above which guests are turned away
    cap_K: Kelvin = Field(
        20_000.0,
        ge=5000.0,
        description="energies on the grid are capped here before the spline",
    )
    pressures_bar: Distinct[Annotated[Bar, Field(gt=0)]] = Field(
        DEFAULT_PRESSURES_BAR,
        min_length=1,
        description="fugacities follow from the Peng-Robinson equation of state",
    )
    block_pockets: bool = Field(
        True,
        description="leave out pockets that no channel reaches; a structure without a channel "
        "then takes up nothing",
    )
    block_threshold_kT: KT = Field(
        20.0, gt=0, description="energy up to which space counts as reachable"
    )
    protocol: Literal["adaptive", "paper"] = Field(
        "adaptive",
        description="adaptive: until target_error or max_steps; paper: exactly 50,000 cycles of "
        "max(20, N) steps at each pressure",
    )
    equilibration_steps: int = Field(
        20_000,
        ge=0,
        description="fewest Monte Carlo steps discarded at each pressure; more are by the "
        "marginal standard error rule",
    )
    production_steps: int = Field(
        100_000, ge=1000, description="fewest Monte Carlo steps averaged at each pressure"
    )
    max_steps: int = Field(
        10_000_000, ge=1000, description="most Monte Carlo steps averaged at each pressure"
    )
    target_error: float = Field(
        0.01, gt=0, le=1, description="relative standard error at which a pressure is done"
    )

    @model_validator(mode="after")
    def _steps_can_grow(self):
        if self.max_steps < self.production_steps:
            rule = f"must not be below production_steps ({self.production_steps})"
            raise Mistake("max_steps", rule, self.max_steps)
        return self

    @model_validator(mode="after")
    def _guest_is_a_gas(self):
        try:
            _ = self.fugacities_bar
        except ConfigError as error:
            raise Mistake("pressures_bar", f"cannot be: {error}", self.pressures_bar) from None
        return self

    @property
    def fugacities_bar(self) -> list[float]:
        """Fugacities in the order of the pressures, bar."""
        from poreflux.fields.eos import fugacity

        return [fugacity(p, self.temperature_K, self.guest) for p in self.pressures_bar]


class UptakeSettings(UptakeParameters):
    """What an isotherm is computed with."""

    seed: int = Field(
        0, ge=0, description="with the structure's content hash it fixes every random number"
    )
