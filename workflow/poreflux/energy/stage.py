"""Stage ``energy``: histogram of the guest's energy on a 1 Å grid (GRIDAY's way).

Rules of Lim & Kim 2022 (doi 10.1039/d2me00082b), established to the digit by recomputing
their tables: floor(a) x floor(b) x floor(c) points from the origin, UFF and TraPPE CH4 with
Lorentz-Berthelot mixing, plain Lennard-Jones cut at 12.8 Å, energies clipped to
[-4000, 5000] K and counted in equal bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.energy.settings import EnergySettings
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import lj_grid
from poreflux.structures.crystal import Structure, make_structure


@dataclass(frozen=True)
class EnergyHistogram(Result):
    """How the guest's energy is distributed over the cell.

    Attributes
    ----------
    n_grid : int
        Number of grid points.
    histogram : ndarray (bins,)
        Their shares.
    range_K : tuple of 2 floats
        Lower edge of the first bin and upper edge of the last, K.
    """

    n_grid: int
    histogram: np.ndarray
    range_K: tuple[float, float]

    @property
    def edges_K(self) -> np.ndarray:
        """Edges of the bins, ndarray (bins + 1,), K."""
        return np.linspace(*self.range_K, len(self.histogram) + 1)

    def columns(self) -> dict:
        """The row of the table: ``n_grid`` and ``h00``, ``h01`` ..."""
        return {"n_grid": self.n_grid} | {
            f"h{i:02d}": float(share) for i, share in enumerate(self.histogram)
        }

    def shown(self) -> list[dict]:
        """The bins that are not empty."""
        bins = zip(self.edges_K[:-1], self.edges_K[1:], self.histogram, strict=True)
        return [
            {"from_K": float(low), "to_K": float(high), "share": float(share)}
            for low, high, share in bins
            if share
        ]


@names_checked(EnergySettings)
def compute(structure: Structure, settings: EnergySettings | None = None) -> EnergyHistogram:
    """Energy histogram of one guest site in a framework.

    Parameters
    ----------
    structure : Structure
        The framework.
    settings : EnergySettings, optional
        The defaults if not given.

    Returns
    -------
    EnergyHistogram

    Raises
    ------
    StructureError
        If an element has no Lennard-Jones parameters.
    """
    settings = settings or EnergySettings()
    low, high = settings.range_K
    spacing = settings.spacing_A
    shape = tuple(max(1, int(np.floor(x / spacing + 1e-9))) for x in structure.lengths_A)
    energy = lj_grid(structure, guest_parameters(settings.guest), shape, settings.cutoff_A)
    counts, _ = np.histogram(np.clip(energy, low, high), bins=settings.bins, range=(low, high))
    return EnergyHistogram(energy.size, counts / energy.size, settings.range_K)


def warm_up() -> None:
    """Compile the kernel, or load it from numba's cache, before processes are forked."""
    compute(make_structure((9.0,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]]))
