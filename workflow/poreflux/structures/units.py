"""Cells and coordinates that a file gives in another unit than it should.

A unit is told by the distances between atoms. Where these are no bonds as the file stands, but are
in another unit, the file is in that unit.
"""

from __future__ import annotations

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from poreflux.base.errors import StructureError
from poreflux.structures.checks import DENSITY_RANGE_G_CM3
from poreflux.structures.crystal import cell_matrix
from poreflux.structures.images import images
from poreflux.structures.sites import Atoms, fill_cell

# Nearest neighbours by shares of the sum of their covalent radii
BOND = (0.6, 1.35)
# Share of atoms with such a neighbour: 95 % of CoRE MOF 2019-ASR have more; with the Cartesian
# coordinates or the percents of 500 of them for fractions, none has more than 0.86.
SOUND = 0.9
# Atoms are listed in cells around the first, but fewer than this away; crystals in Å go farther.
FAR = 4.0
# Å in a nanometre and a picometre; Bohr radii are too near to Å to be told with certainty.
CELL_UNITS = {"nm": 10.0, "pm": 0.01}
AMU_PER_A3 = 1.66053906660  # in g/cm^3


def wrong_unit(atoms: Atoms, operators, lengths_A, angles_deg) -> str:
    """Reason and remedy if the cell is not in Å or the coordinates are no fractions, else empty.

    Parameters
    ----------
    atoms : Atoms
        Those listed.
    operators : sequence of gemmi.Op
        Symmetry operators.
    lengths_A, angles_deg : sequences of 3 floats
        Cell edges (Å) and angles (degrees), as the file gives them.
    """
    cell = cell_matrix(lengths_A, angles_deg)
    edges = " x ".join(f"{x:g}" for x in lengths_A)
    largest = float(np.abs(atoms.frac).max())
    readings = [
        (
            f"the cell of {edges} is in {unit}, not in Å; multiply _cell_length_a, _b and _c by "
            f"{size_A:g}",
            atoms.frac,
            cell * size_A,
        )
        for unit, size_A in CELL_UNITS.items()
        if _can_hold(cell * size_A, atoms, len(operators))
    ]
    outside = (np.abs(atoms.frac) > 1).any(axis=1).mean()
    if largest > FAR and outside > 0.5:
        places = atoms.frac @ np.linalg.inv(cell)
        end = "or export the CIF with fractional coordinates"
        readings += [
            (f"coordinates up to {largest:.4g} are {what} {end}", frac, cell)
            for what, frac in (
                ("Å, not fractions of the cell; divide them by the cell", places),
                ("percents, not fractions of the cell; divide them by 100", atoms.frac / 100),
            )
        ]
    if not readings or _bonded_share(atoms, operators, cell) >= SOUND:
        return ""
    for reason, frac, cell in readings:
        moved = Atoms(atoms.species, frac, atoms.labels)
        if _bonded_share(moved, operators, cell) >= SOUND:
            return reason
    return ""


def _can_hold(cell: np.ndarray, atoms: Atoms, n_operators: int) -> bool:
    """Whether the density of a cell is one of a solid, whatever sites the symmetry merges."""
    mass_amu = sum(gemmi.Element(s).weight for s in atoms.species)
    least = mass_amu / abs(np.linalg.det(cell)) * AMU_PER_A3
    low, high = DENSITY_RANGE_G_CM3
    return least <= high and least * n_operators >= low


def _bonded_share(atoms: Atoms, operators, cell: np.ndarray) -> float:
    """Share of the atoms of the cell whose nearest neighbour is as far as a bond is long."""
    try:
        species, frac = fill_cell(atoms, operators, cell, {})
    except StructureError:
        return 0.0
    places = frac - np.floor(frac)
    # no atom is farther from its nearest than the cell is wide, for that is an image of itself
    width = (1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)).min()
    points, owner, _ = images(places, cell, min(width, 5.0))
    distance, nearest = cKDTree(points).query(places @ cell, k=2)
    radius = np.array([gemmi.Element(s).covalent_r for s in species])
    neighbour = owner[np.minimum(nearest[:, 1], len(owner) - 1)]
    ratio = distance[:, 1] / (radius + radius[neighbour])
    return float(((ratio > BOND[0]) & (ratio < BOND[1])).mean())
