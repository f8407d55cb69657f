import math

import numpy as np
import pytest
from scipy.special import i0

from poreflux.fields.network import stencil
from poreflux.percolation.mobility import relative_mobility

T = 300.0
SKEWED = np.array([[10.0, 0.0, 0.0], [4.0, 9.0, 0.0], [-3.0, 5.0, 8.0]])


def positions(shape):
    """Fractional coordinates of a grid, (3, nx, ny, nz)."""
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"))


def test_free_space_slows_nothing():
    found = relative_mobility(np.zeros((7, 8, 5)), SKEWED, T)
    np.testing.assert_allclose(found, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("height_kT", [0.5, 3.0, 8.0])
def test_a_sum_of_cosines_is_lifson_and_jackson_along_each_axis(height_kT):
    """exp(-u) is a product, and 1 / (<exp(-a cos)> <exp(a cos)>) = 1 / I0(a)^2."""
    heights = np.array([height_kT, 0.5 * height_kT, 0.0]) / 2
    fraction = positions((40, 36, 4))
    energy = T * np.einsum("i,i...->...", heights, np.cos(2 * np.pi * fraction))
    found = relative_mobility(energy, np.diag([12.0, 7.0, 3.0]), T)
    np.testing.assert_allclose(np.diag(found), 1 / i0(heights) ** 2, rtol=0.01)
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0.0, atol=1e-6)


def test_the_choice_of_the_cell_does_not_matter():
    """The same landscape in a cubic cell, and in a sheared one of the same volume."""
    height = 2.0 * T

    def energy(fraction):
        x, y, z = 2 * np.pi * fraction
        return height * (np.cos(x) * np.cos(y) + np.sin(y + z) + 0.5 * np.cos(z))

    shape, cubic = (32, 32, 32), 8.0 * np.eye(3)
    expected = relative_mobility(energy(positions(shape)), cubic, T)
    shear = np.array([[1, 0, 0], [1, 1, 0], [-1, 2, 1]])
    fraction = np.einsum("ji,j...->i...", shear, positions(shape))
    found = relative_mobility(energy(fraction), shear @ cubic, T)
    assert abs(expected[0, 1]) + abs(expected[1, 2]) > 0.02
    np.testing.assert_allclose(found, expected, atol=0.01 * np.trace(expected))


def test_supercells_and_turned_cells():
    rng = np.random.default_rng(3)
    coarse = rng.normal(size=(4, 3, 5))
    spectrum = np.zeros((16, 15, 20), complex)
    spectrum[:4, :3, :5] = coarse
    energy = T * 60 * np.fft.ifftn(spectrum).real * 30
    found = relative_mobility(energy, SKEWED, T)
    twice = relative_mobility(np.tile(energy, (1, 2, 1)), SKEWED * [[1], [2], [1]], T)
    np.testing.assert_allclose(twice, found, atol=2e-3 * np.trace(found))
    turned = relative_mobility(energy.transpose(2, 0, 1), SKEWED[[2, 0, 1]], T)
    np.testing.assert_allclose(turned, found, atol=2e-3 * np.trace(found))


def test_a_straight_channel_conducts_along_itself_alone():
    energy = np.full((12, 12, 10), 100.0 * T)
    energy[4:8, 4:8] = 0.0
    found = relative_mobility(energy, np.diag([12.0, 12.0, 9.0]), T)
    np.testing.assert_allclose(np.diag(found), [0.0, 0.0, 1.0], atol=1e-9)


def test_a_mask_leaves_out_what_is_a_pocket():
    energy = np.full((12, 12, 6), 100.0 * T)
    energy[1:3, 1:3] = 0.0
    # a cage off the channel, deeper than it
    energy[6:9, 6:9, 2:4] = -5.0 * T
    with_cage = relative_mobility(energy, np.eye(3), T)
    assert with_cage[2, 2] < 0.1
    alone = relative_mobility(energy, np.eye(3), T, mask=energy == 0.0)
    assert alone[2, 2] == pytest.approx(1.0)
    assert not relative_mobility(energy, np.eye(3), T, mask=np.zeros(energy.shape, bool)).any()


def test_a_narrow_window_costs_its_barrier_and_its_width():
    """Cages joined by windows: the barrier's exponential, and twice the width twice the flow."""

    def mobility(barrier_kT, width):
        energy = np.full((16, 16, 16), 100.0 * T)
        energy[2:14, 2:14, :12] = 0.0
        energy[8 : 8 + width, 8 : 8 + width, 12:] = barrier_kT * T
        return relative_mobility(energy, 16 * np.eye(3), T)[2, 2]

    assert mobility(15.0, 2) / mobility(12.0, 2) == pytest.approx(math.exp(-3.0), rel=0.02)
    assert 3.5 < mobility(10.0, 2) / mobility(10.0, 1) < 4.5


def test_the_stencil_makes_the_tensor():
    rng = np.random.default_rng(0)
    for _ in range(50):
        root = rng.normal(size=(3, 3)) * [1.0, 3.0, 0.3]
        tensor = root @ root.T + 1e-3 * np.eye(3)
        offsets, weights = stencil(tensor)
        assert len(weights) <= 6 and (weights > 0).all()
        made = np.einsum("k,ki,kj->ij", weights, offsets, offsets)
        np.testing.assert_allclose(made, tensor, rtol=1e-9, atol=1e-9 * np.trace(tensor))


def test_wrong_input():
    with pytest.raises(ValueError, match=r"need \(nx, ny, nz\)"):
        relative_mobility(np.zeros((2, 2)), np.eye(3), T)
    with pytest.raises(ValueError, match="mask has the shape"):
        relative_mobility(np.zeros((2, 2, 2)), np.eye(3), T, np.ones((2, 2, 3), bool))
    with pytest.raises(ValueError, match="temperature"):
        relative_mobility(np.zeros((2, 2, 2)), np.eye(3), 0.0)
