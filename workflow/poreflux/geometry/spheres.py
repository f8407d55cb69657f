"""High accuracy as Zeo++ does it: large atoms replaced by clusters of spheres of one size."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

# An atom this much larger than the smallest gets the finer cluster (LARGE_RATIO).
LARGE_RATIO = 1.3
COARSE, FINE = 30, 50


@dataclass(frozen=True, eq=False)
class Spheres:
    """The spheres whose Voronoi network is analysed.

    Attributes
    ----------
    centres : ndarray (n, 3)
        Å, any lattice image.
    radii : ndarray (n,)
        Å; all equal under high accuracy.
    parent : ndarray (n,) int
        The atom that each belongs to.
    gap_A : float
        The clearance from the spheres exceeds that from the atoms by at most this, Å.
    covering_rad : float
        No direction is farther than this angle from the nearest sphere of a cluster.
    """

    centres: np.ndarray
    radii: np.ndarray
    parent: np.ndarray
    gap_A: float
    covering_rad: float = 0.0

    def keep_off(self, atom_radii: np.ndarray, clearance_A: float) -> np.ndarray:
        """Distance from each atom's centre at which clearance from its spheres is possible.

        Parameters
        ----------
        atom_radii : ndarray (n_atoms,)
            Å.
        clearance_A : float
            A point this far from the surfaces of all spheres, more than ``gap_A``.

        Returns
        -------
        ndarray (n_atoms,)
            Such a point is at least this far from the atom's centre, Å.
        """
        inflated = self.radii.min() + clearance_A
        shift = np.maximum(atom_radii - self.radii.min(), 0.0)
        across = shift * np.sin(self.covering_rad)
        return shift * np.cos(self.covering_rad) + np.sqrt(inflated**2 - across**2)


def spheres_of(
    centres: np.ndarray, radii: np.ndarray, order: np.ndarray, high_accuracy: bool
) -> Spheres:
    """Atoms as they are, or each atom larger than the smallest as a cluster of smallest ones.

    Parameters
    ----------
    centres, radii : ndarray (n, 3), ndarray (n,)
        The atoms, Å.
    order : ndarray (n,) int
        The order in which Zeo++ reads them.
    high_accuracy : bool
        Replace the atoms (``-ha``, setting ``DEF``) or not.

    Returns
    -------
    Spheres

    Notes
    -----
    The spheres of a cluster touch the surface of the atom from within, at ``n`` points of a
    spiral, and one sits in the middle. Zeo++ means to take 50 points for an atom at least 1.3
    times as large as the smallest and 30 for the others, but keeps whatever the first atom
    that it replaces needed for all that follow; so the order of the atoms matters (by some
    0.01 Å in the diameters), and it is kept here, because published values carry it.

    References
    ----------
    Zeo++ 0.3, ``sphere_approx.cc`` (``setupHighAccuracyAtomNetwork``, ``sphere_spiral``).
    """
    smallest = radii.min()
    atoms = np.arange(len(radii))
    large = np.flatnonzero(radii != smallest)
    if not high_accuracy or not len(large):
        return Spheres(centres, radii, atoms, 0.0)
    first = order[radii[order] != smallest][0]
    n = COARSE if radii[first] / smallest < LARGE_RATIO else FINE
    pattern = np.vstack([spiral(n), np.zeros((1, 3))])
    shift = radii[large] - smallest
    clusters = centres[large, None] + shift[:, None, None] * pattern
    small = np.flatnonzero(radii == smallest)
    everything = np.concatenate([centres[small], clusters.reshape(-1, 3)])
    parent = np.concatenate([small, np.repeat(large, len(pattern))])
    # Worst on the atom's surface, farthest in angle from the spheres of the cluster.
    r, s = radii.max(), shift.max()
    angle = _covering_angle(n)
    gap = float(np.sqrt(r**2 + s**2 - 2 * r * s * np.cos(angle)) - smallest)
    return Spheres(everything, np.full(len(everything), smallest), parent, gap, angle)


def spiral(n: int) -> np.ndarray:
    """Unit vectors of Zeo++'s golden spiral of ``n`` points, ndarray (n, 3)."""
    i = np.arange(n)
    theta = np.pi * (3.0 - np.sqrt(5.0)) * i
    z = (1 - 1 / n) * (1 - 2 * i / (n - 1))
    rho = np.sqrt(1 - z * z)
    return np.stack([rho * np.cos(theta), rho * np.sin(theta), z], axis=1)


@functools.cache
def _covering_angle(n: int) -> float:
    """Largest angle between a direction and the nearest of the spiral, rounded up."""
    probes = spiral(20_000)
    chord = cKDTree(spiral(n)).query(probes)[0].max()
    # 20,000 directions leave no one farther than 0.02 rad from all of them
    return float(2 * np.arcsin(chord / 2) + 0.02)
