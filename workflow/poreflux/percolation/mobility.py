"""Mobility: how much a framework slows an overdamped guest, from its energy alone.

In the overdamped limit a lone guest obeys Smoluchowski's equation. Over many cells it then
diffuses with the diffusivity it has in free space times a tensor: the effective conductivity of a
periodic medium whose local conductivity is the Boltzmann factor, over the mean of that factor. In
one dimension this is the formula of Lifson and Jackson. The tensor depends on the barriers, on how
wide the windows are, and on how channels branch and join; it leaves out inertia.
"""

from __future__ import annotations

import numpy as np

from poreflux.fields.network import conductors, corrector, dissipated


def relative_mobility(
    energy_K: np.ndarray, cell: np.ndarray, temperature_K: float, mask: np.ndarray | None = None
) -> np.ndarray:
    """Diffusion tensor of an overdamped guest over its diffusivity in free space.

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
    ndarray (3, 3)
        Symmetric, with eigenvalues from 0 (closed) to 1 (free space).

    Raises
    ------
    ValueError
        If the shapes do not fit or the temperature is not above 0.

    Notes
    -----
    The grid is a network of conductors, see :mod:`poreflux.fields.network`. The power that the
    potential of a unit gradient and its corrector dissipate is the conductivity; the search for
    the corrector falls to it from above.

    References
    ----------
    S. Lifson, J. L. Jackson, J. Chem. Phys. 1962, 36, 2410.
    G. A. Pavliotis, A. M. Stuart, Multiscale Methods (2008), ch. 13 (homogenisation).
    """
    network = conductors(energy_K, cell, temperature_K, mask)
    if not len(network.points):
        return np.zeros((3, 3))
    return dissipated(network, corrector(network)) / network.weight.sum()
