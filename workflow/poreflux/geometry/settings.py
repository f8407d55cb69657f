"""What pore descriptors are computed with."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from poreflux.base.settings import Angstrom, Settings


class GeometrySettings(Settings):
    """What pore descriptors are computed with; each key's meaning stands beside it.

    Notes
    -----
    Zeo++'s numbers depend a little on ``atom_order``: the fineness of its spheres (some 0.01 Å in
    the diameters) and the random points of the areas (about 1 %, of small areas 5 %).
    """

    block: ClassVar[str] = "geometry"

    engine: Literal["fast", "zeopp"] = Field(
        "fast",
        description="fast: our Voronoi network over Zeo++'s spheres; zeopp: its Python wrapper "
        "as it is, slow",
    )
    high_accuracy: bool = Field(
        True, description="Zeo++ -ha: large atoms as clusters of small spheres"
    )
    atom_order: Literal["listed", "canonical"] = Field(
        "listed",
        description="listed: Zeo++ reads the atoms in the file's order, as for published values; "
        "canonical: in an order of the content alone, heavy elements first",
    )
    asa_probe_A: Angstrom = Field(
        1.55,
        gt=0,
        le=10,
        description="probe of the surface areas (N2); channels are those that it can pass",
    )
    asa_samples_per_atom: int = Field(2000, ge=1, description="Monte Carlo samples per atom")
    void_probe_A: Angstrom = Field(1.4, gt=0, le=10, description="probe of the void fraction (He)")
    void_samples: int = Field(50_000, ge=1, description="Monte Carlo samples per cell")
