"""The energy histogram: its rules, and the published counts."""

import numpy as np
import pandas as pd
import pytest

from poreflux import energy
from poreflux.base.errors import ConfigError
from poreflux.structures import packages
from poreflux.structures.cif import parse_cif
from poreflux.structures.crystal import make_structure


def test_shares_sum_to_one_and_outer_bins_hold_the_rest():
    s = make_structure((9.9, 10.0, 11.2), (90.0,) * 3, ["C"] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]])
    h = energy.compute(s)
    assert h.n_grid == 9 * 10 * 11
    assert h.histogram.shape == (50,)
    assert h.histogram.sum() == pytest.approx(1.0)
    # the point on the atom and its neighbours lie far above 5000 K: the last bin
    assert h.histogram[-1] > 0
    assert list(h.columns())[:3] == ["n_grid", "h00", "h01"]


def test_fifty_bins_add_up_to_ten():
    s = make_structure((12.3, 10.0, 11.2), (90.0,) * 3, ["Zn", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    fine, coarse = energy.compute(s, bins=50), energy.compute(s, bins=10)
    np.testing.assert_allclose(fine.histogram.reshape(10, 5).sum(axis=1), coarse.histogram)


def test_supercell_has_the_same_histogram():
    """Edges of whole ångströms: the supercell's grid is the cell's, repeated; smaller than the
    cutoff and oblique, so that images and shape matter."""
    s = make_structure((5, 6, 7), (80, 95, 110), ["Zn", "O"], [[0.1, 0.2, 0.3], [0.6, 0.5, 0.8]])
    one, eight = energy.compute(s), energy.compute(s.supercell((2, 2, 2)))
    assert eight.n_grid == 8 * one.n_grid
    np.testing.assert_allclose(eight.histogram, one.histogram, atol=1e-12)


@pytest.mark.parametrize("name", ["BIWSEG_ion_b", "LETQAE01_ion_b", "VEWLAM_clean"])
def test_published_rows_of_listed_atoms_alone(reference, name):
    """Of the few files with symmetry operators the published values took the listed atoms alone."""
    table = pd.read_csv(reference / "lim-kim-2022" / "core2019_descriptors_10bin.csv.gz")
    published = table.set_index("mof").loc[name]
    columns = [c for c in table if c.startswith("hist_")]
    data = packages.core_mof_cif("2019-ASR", name)
    listed = energy.compute(parse_cif(data, symmetry="as-listed"), bins=10)
    np.testing.assert_allclose(listed.histogram, published[columns].to_numpy(float), atol=1e-6)
    expanded = energy.compute(parse_cif(data), bins=10)
    assert np.abs(expanded.histogram - listed.histogram).max() > 1e-3


def test_published_counts(reference):
    """Exact agreement with Lim & Kim's tables, here on a sample of 60 MOFs."""
    table = pd.read_csv(reference / "lim-kim-2022" / "core2019_descriptors_10bin.csv.gz")
    columns = [c for c in table if c.startswith("hist_")]
    sample = table.sample(60, random_state=5).set_index("mof")
    exact = 0
    for name, data in packages.core_mof_cifs("2019-ASR", list(sample.index)):
        h = energy.compute(parse_cif(data), bins=10)
        published = sample.loc[name, columns].to_numpy(float)
        exact += np.abs(h.histogram - published).max() < 1e-6
    # 99.2 % of 600 agree; the rest differ by single points on a bin's edge
    assert exact >= 58


def test_wrong_parameters_are_named(cifs):
    path = cifs / "TARVUD_clean.cif"
    for wrong in ({"bins": 0}, {"spacing_A": 0.0}, {"cutoff_A": -1.0}, {"range_K": (1.0, 0.0)}):
        with pytest.raises(ConfigError, match=rf"energy\.{next(iter(wrong))}"):
            energy.histogram(path, **wrong)
