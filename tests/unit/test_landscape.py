"""The picture of one structure: the way through it is one, and as high as the barrier is."""

import numpy as np
import pandas as pd
import pytest

from poreflux.percolation.landscape import landscape
from poreflux.percolation.settings import PercolationSettings
from poreflux.percolation.stage import compute
from poreflux.run.landscape import LANDSCAPE_COLUMNS, landscape_table
from poreflux.structures.crystal import Structure, make_structure


@pytest.mark.parametrize("name", ["CIFJAE_clean", "KUVJIW_clean", "TARVUD_clean"])
def test_the_path_joins_two_images_over_the_lowest_pass(cifs, name):
    structure = Structure.from_cif(cifs / f"{name}.cif")
    found = landscape(structure)
    between = (found.path_A[-1] - found.path_A[0]) @ np.linalg.inv(structure.cell)
    np.testing.assert_allclose(between, np.round(between), atol=1e-9)
    assert np.abs(between).max() > 0.5
    # no way through is lower than the percolation energy; on a coarse grid it is a little higher
    highest, pass_K = found.path_energy_K.max(), compute(structure).e_perc_1_K
    assert -10 < highest - pass_K < 100
    steps = np.linalg.norm(np.diff(found.path_A, axis=0), axis=1)
    assert steps.max() < 2 * 0.45 * np.sqrt(3)
    # the box holds the path and the atoms
    low, high = ([axis[k] for axis in found.axes_A] for k in (0, -1))
    for points in (found.path_A, found.atoms_A):
        assert (points >= low).all() and (points <= high).all()
    assert found.energy_K.shape == tuple(map(len, found.axes_A))
    # as many atoms as the density says, but for those at the faces of the box
    expected = structure.n_atoms * np.prod(np.subtract(high, low)) / structure.volume_A3
    assert len(found.atoms_A) == pytest.approx(expected, rel=0.25)


def test_the_path_runs_along_a_straight_channel():
    """Carbon walls with channels along z alone: the path is a straight line of one cell."""
    places = [[x, y, z] for x, y in ((0, 0), (0.25, 0), (0.5, 0), (0.75, 0)) for z in (0, 0.5)]
    places += [[0, y, z] for y in (0.25, 0.5, 0.75) for z in (0, 0.5)]
    structure = make_structure((10.0, 10.0, 4.0), (90.0,) * 3, ["C"] * len(places), places)
    found = landscape(structure)
    np.testing.assert_allclose(np.ptp(found.path_A, axis=0), [0, 0, 4], atol=1e-9)
    # within the walls, 2 to 8 Å
    assert ((found.path_A[:, :2] > 2) & (found.path_A[:, :2] < 8)).all()


def test_where_nothing_gets_through_there_is_no_path():
    dense = make_structure((3.0,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    found = landscape(dense)
    assert len(found.path_A) == len(found.path_energy_K) == 0
    assert found.energy_K.max() <= PercolationSettings().cap_K


def test_without_a_diffusive_structure_the_table_is_empty():
    structures = pd.DataFrame({"name": ["a"], "status": "ok"})
    diffusion = pd.DataFrame({"name": ["a"], "status": ["ok"], "d_m2_s": 1e-9, "diffusive": False})
    table = landscape_table(structures, diffusion, PercolationSettings())
    assert table.empty and tuple(table.columns) == LANDSCAPE_COLUMNS
