"""What percolation energies, Henry coefficient and mobility are computed with."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from poreflux.base.settings import KT, Angstrom, Kelvin, Settings
from poreflux.fields.settings import GuestName


class PercolationSettings(Settings):
    """What percolation energies, Henry coefficient and mobility are computed with."""

    block: ClassVar[str] = "percolation"

    guest: GuestName = Field("CH4", description="a guest of the library's fields/parameters/guests")
    temperature_K: Kelvin = Field(
        298.0, gt=0, description="of the Boltzmann weights and of threshold_kT"
    )
    spacing_A: Angstrom = Field(
        0.35,
        gt=0,
        le=2,
        description="widest spacing of the grid, but for cells of more than max_points",
    )
    cutoff_A: Angstrom = Field(
        12.0, ge=5, le=50, description="Lennard-Jones cutoff, unshifted, no tail correction"
    )
    cap_K: Kelvin = Field(
        20_000.0, gt=0, description="what percolates above counts as closed, and is given as this"
    )
    threshold_kT: KT = Field(
        20.0,
        gt=0,
        description="a region below is a channel or pocket, as for the uptake",
    )
    barriers: bool = Field(
        True,
        description="whether to search the percolation energies and barriers; without them the "
        "table lacks their columns, which the feature sets percolation, mobility and all need",
    )
    max_points: int = Field(
        8_000_000,
        ge=1,
        description="most grid points, 0.4 GB; larger cells (343,000 Å3 at 0.35 Å) get a wider "
        "spacing",
    )
