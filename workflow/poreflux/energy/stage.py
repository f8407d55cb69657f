"""Stage ``energy``: histogram of the guest's energy on a 1 Å grid (GRIDAY's way).

Rules of Lim & Kim 2022 (doi 10.1039/d2me00082b), established to the digit by recomputing
their tables: floor(a) x floor(b) x floor(c) points from the origin, UFF and TraPPE CH4 with
Lorentz-Berthelot mixing, plain Lennard-Jones cut at 12.8 Å, energies clipped to
[-4000, 5000] K and counted in equal bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poreflux.energy.settings import EnergySettings
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import lj_grid
from poreflux.structures.cif import read_cif
from poreflux.structures.crystal import Structure, make_structure


@dataclass(frozen=True)
class EnergyHistogram:
    """``n_grid``: number of grid points; ``histogram``: their shares, ndarray (bins,)."""

    n_grid: int
    histogram: np.ndarray

    def columns(self) -> dict:
        """The row of the table: ``n_grid`` and ``h00``, ``h01`` ..."""
        return {"n_grid": self.n_grid} | {
            f"h{i:02d}": float(share) for i, share in enumerate(self.histogram)
        }


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
    return EnergyHistogram(n_grid=energy.size, histogram=counts / energy.size)


def warm_up() -> None:
    """Compile the kernel, or load it from numba's cache, before processes are forked."""
    compute(make_structure((9.0,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]]))


def from_cif(path: str | Path, settings: EnergySettings | None = None, **params) -> EnergyHistogram:
    """Energy histogram of one guest site in the structure in a CIF file.

    Parameters
    ----------
    path : str or Path
        A CIF file.
    settings : EnergySettings, optional
        The defaults if not given.
    **params
        Settings that differ from these.

    Raises
    ------
    StructureError
        If the file is no usable structure, or an element has no Lennard-Jones parameters.
    ConfigError
        If a setting is out of range.
    """
    return compute(read_cif(path), EnergySettings.chosen(settings, params))


def histogram(path: str | Path, **params) -> EnergyHistogram:
    """Energy histogram of the structure in a CIF file, see :func:`from_cif`."""
    return from_cif(path, **params)
