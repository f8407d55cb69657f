"""Mobility: how much a framework slows an overdamped guest, from its energy alone.

In the overdamped limit a lone guest obeys Smoluchowski's equation. Over many cells it then
diffuses with the diffusivity it has in free space times a tensor: the effective conductivity of a
periodic medium whose local conductivity is the Boltzmann factor, over the mean of that factor. In
one dimension this is the formula of Lifson and Jackson. The tensor depends on the barriers, on how
wide the windows are, and on how channels branch and join; it leaves out inertia.

The guest sits where the energy is low; a current dissipates its power where it is slowed, in the
windows. How much of the crystal either takes up, and at what energy, says what the tensor is made
of.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from poreflux.fields.network import CEILING_KT, conductors, corrector, dissipated, dissipation

# Of a closed direction the search for the corrector leaves 1e-14 to 1e-12. What the ceiling of the
# network lets pass is more than this.
CLOSED = math.exp(-CEILING_KT)


class Spread(NamedTuple):
    """Where a density is.

    Attributes
    ----------
    participation : float
        (sum p)^2 / (N sum p^2) of the density p at the N grid points, in [0, 1]: the share of the
        crystal over which it is spread. 0 if it is nowhere.
    energy_K : float
        Its mean energy, sum(p E) / sum(p), K. Not a number if it is nowhere.
    """

    participation: float
    energy_K: float


class Overdamped(NamedTuple):
    """An overdamped guest in a landscape.

    Attributes
    ----------
    mobility : ndarray (3, 3)
        Its diffusion tensor over its diffusivity in free space. Symmetric, with eigenvalues from
        0 (closed) to 1 (free space).
    guest : Spread
        Of the Boltzmann factor w: where the guest sits.
    current : Spread
        Of the power that currents along x, y and z dissipate: what slows the guest down. Nowhere
        if the trace of the mobility is below :data:`CLOSED`.
    """

    mobility: np.ndarray
    guest: Spread
    current: Spread


NOWHERE = Spread(0.0, math.nan)


def overdamped(
    energy_K: np.ndarray, cell: np.ndarray, temperature_K: float, mask: np.ndarray | None = None
) -> Overdamped:
    """Mobility of an overdamped guest, where it sits, and where currents dissipate.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy over kB on the grid of one cell, K.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    temperature_K : float
    mask : ndarray of bool (nx, ny, nz), optional
        Where the guest may be, such as the channels; everywhere if not given.

    Returns
    -------
    Overdamped

    Raises
    ------
    ValueError
        If the shapes do not fit or the temperature is not above 0.

    Notes
    -----
    The grid is a network of conductors, see :mod:`poreflux.fields.network`. The power that the
    potential of a unit gradient and its corrector dissipate is the conductivity; the search for
    the corrector falls to it from above. With y_i this potential, w |grad y_i|^2 summed over i is
    dissipated at a point. In one dimension the current is the same everywhere and this is
    proportional to 1/w: while w is spread over the minima, it is spread over the barriers.

    References
    ----------
    S. Lifson, J. L. Jackson, J. Chem. Phys. 1962, 36, 2410.
    G. A. Pavliotis, A. M. Stuart, Multiscale Methods (2008), ch. 13 (homogenisation).
    """
    network = conductors(energy_K, cell, temperature_K, mask)
    if not len(network.points):
        return Overdamped(np.zeros((3, 3)), NOWHERE, NOWHERE)
    potentials_A = corrector(network)
    mobility = dissipated(network, potentials_A) / network.weight.sum()
    energy = np.asarray(energy_K, float)
    there_K = energy.reshape(-1)[network.points]
    current = NOWHERE
    if np.trace(mobility) > CLOSED:
        current = _spread(dissipation(network, potentials_A), there_K, energy.size)
    return Overdamped(mobility, _spread(network.weight, there_K, energy.size), current)


def relative_mobility(
    energy_K: np.ndarray, cell: np.ndarray, temperature_K: float, mask: np.ndarray | None = None
) -> np.ndarray:
    """Diffusion tensor of an overdamped guest over its diffusivity in free space, (3, 3).

    See :func:`overdamped`, whose parameters and errors are the same.
    """
    return overdamped(energy_K, cell, temperature_K, mask).mobility


def _spread(density: np.ndarray, energy_K: np.ndarray, n_grid: int) -> Spread:
    total = density.sum()
    participation = total**2 / (n_grid * (density * density).sum())
    return Spread(float(participation), float((density * energy_K).sum() / total))
