"""Stage ``energy``: histogram of the guest's energy on a 1 Å grid (GRIDAY's way).

Rules of Lim & Kim 2022 (doi 10.1039/d2me00082b), established to the digit by recomputing
their tables: floor(a) x floor(b) x floor(c) points from the origin, UFF and TraPPE CH4 with
Lorentz-Berthelot mixing, plain Lennard-Jones cut at 12.8 Å, energies clipped to
[-4000, 5000] K and counted in equal bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poreflux.base.errors import ConfigError
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


def compute(
    structure: Structure,
    *,
    bins: int = 50,
    guest: str = "CH4",
    spacing_A: float = 1.0,
    cutoff_A: float = 12.8,
    range_K: tuple[float, float] = (-4000.0, 5000.0),
) -> EnergyHistogram:
    """Energy histogram of one guest site in a framework.

    Parameters
    ----------
    structure : Structure
        The framework.
    bins : int
        Number of equal bins over ``range_K``.
    guest : str
        Name of a guest in ``fields/parameters/guests``.
    spacing_A : float
        Wanted spacing; floor(length / spacing) points are laid along each cell edge.
    cutoff_A : float
        Lennard-Jones cutoff.
    range_K : pair of floats
        Energies are clipped to this range, so the outer bins hold all that lies beyond.

    Returns
    -------
    EnergyHistogram

    Raises
    ------
    StructureError
        If an element has no Lennard-Jones parameters.
    ConfigError
        If a parameter is out of range.
    """
    low, high = range_K
    for name, value in (("bins", bins), ("spacing_A", spacing_A), ("cutoff_A", cutoff_A)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"energy.{name} must be above 0, got {value!r}")
    if not low < high:
        raise ConfigError(f"energy.range_K must rise, got {low:g} and {high:g}")
    shape = tuple(max(1, int(np.floor(x / spacing_A + 1e-9))) for x in structure.lengths_A)
    energy = lj_grid(structure, guest_parameters(guest), shape, cutoff_A)
    counts, _ = np.histogram(np.clip(energy, low, high), bins=bins, range=(low, high))
    return EnergyHistogram(n_grid=energy.size, histogram=counts / energy.size)


def warm_up() -> None:
    """Compile the kernel, or load it from numba's cache, before processes are forked."""
    compute(make_structure((9.0,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]]))


def histogram(path: str | Path, **params) -> EnergyHistogram:
    """Energy histogram of the CIF file ``path``; see :func:`compute` for the parameters."""
    return compute(read_cif(path), **params)
