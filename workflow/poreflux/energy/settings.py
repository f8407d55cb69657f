"""What the histogram of a guest's energy is computed with."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, Strict, model_validator

from poreflux.base.settings import Angstrom, Kelvin, Mistake, Settings
from poreflux.fields.settings import GuestName


class EnergySettings(Settings):
    """What the histogram of a guest's energy is computed with."""

    block: ClassVar[str] = "energy"

    bins: int = Field(50, ge=1, le=1000, description="equal bins over range_K")
    guest: GuestName = Field("CH4", description="a guest of the library's fields/parameters/guests")
    spacing_A: Angstrom = Field(
        1.0,
        gt=0,
        description="between grid points: floor(length / spacing) points along each cell edge",
    )
    cutoff_A: Angstrom = Field(12.8, ge=5, le=50, description="Lennard-Jones cutoff")
    range_K: Annotated[tuple[Kelvin, Kelvin], Strict(False)] = Field(
        (-4000.0, 5000.0),
        description="energies are clipped to this range, so that the outer bins hold all beyond",
    )

    @model_validator(mode="after")
    def _range_rises(self):
        low, high = self.range_K
        if not low < high:
            raise Mistake("range_K", "must rise", (low, high))
        return self
