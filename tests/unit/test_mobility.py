import math

import numpy as np
import pytest
from scipy.special import i0, i1

from poreflux import percolation
from poreflux.fields import network
from poreflux.fields.network import conductors, corrector, dissipated, dissipation, stencil
from poreflux.percolation.mobility import overdamped, relative_mobility
from poreflux.structures import packages
from poreflux.structures.cif import parse_cif

T = 300.0
SKEWED = np.array([[10.0, 0.0, 0.0], [4.0, 9.0, 0.0], [-3.0, 5.0, 8.0]])


def positions(shape):
    """Fractional coordinates of a grid, (3, nx, ny, nz)."""
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"))


def random_landscape():
    """A smooth one of several kT, and no symmetry, on a grid of (16, 15, 20)."""
    coarse = np.random.default_rng(3).normal(size=(4, 3, 5))
    spectrum = np.zeros((16, 15, 20), complex)
    spectrum[:4, :3, :5] = coarse
    return T * 60 * np.fft.ifftn(spectrum).real * 30


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
    energy = random_landscape()
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


@pytest.mark.parametrize("height_kT", [1.0, 4.0, 8.0])
def test_along_a_channel_the_guest_sits_in_the_wells_and_current_dissipates_on_the_barriers(
    height_kT,
):
    """w = exp(-a cos), the power is exp(a cos); <exp(a cos)> = I0(a), <cos exp(a cos)> = I1(a)."""
    a, (x, _, _) = height_kT / 2, positions((60, 12, 12))
    energy = np.full(x.shape, 100.0 * T)
    # a ninth of the cross-section
    inside = np.s_[:, 4:8, 4:8]
    energy[inside] = a * T * np.cos(2 * np.pi * x[inside])
    found = overdamped(energy, np.diag([12.0, 9.0, 9.0]), T)
    share, mean = i0(a) ** 2 / i0(2 * a) / 9, a * T * i1(a) / i0(a)
    for spread, sign in ((found.guest, -1), (found.current, 1)):
        assert spread.participation == pytest.approx(share, rel=0.01)
        assert spread.energy_K == pytest.approx(sign * mean, abs=0.01 * T)


def test_where_current_dissipates_in_a_sum_of_cosines():
    """Along each axis it is that of the axis alone: w |grad y_i|^2 = w exp(2 u_i) / I0(a_i)^2."""
    heights = np.array([2.0, 1.0, 0.0])
    u = heights[:, None, None, None] * np.cos(2 * np.pi * positions((40, 36, 4)))
    energy = T * u.sum(axis=0)
    found = overdamped(energy, np.diag([12.0, 7.0, 3.0]), T).current
    power = np.exp(-u.sum(axis=0)) * (np.exp(2 * u) / i0(heights)[:, None, None, None] ** 2).sum(0)
    share = power.mean() ** 2 / (power**2).mean()
    assert found.participation == pytest.approx(share, rel=0.01)
    assert found.energy_K == pytest.approx((power * energy).sum() / power.sum(), abs=0.01 * T)


def test_the_power_of_all_points_is_that_of_the_network():
    network = conductors(random_landscape(), SKEWED, T)
    potentials = corrector(network)
    power = dissipation(network, potentials)
    assert (power >= 0.0).all()
    assert power.sum() == pytest.approx(np.trace(dissipated(network, potentials)))


def test_where_guest_and_current_are_is_the_same_in_any_cell_and_from_any_zero_of_energy():
    energy = random_landscape()
    found = overdamped(energy, SKEWED, T)
    others = {
        0.0: [
            overdamped(np.tile(energy, (1, 2, 1)), SKEWED * [[1], [2], [1]], T),
            overdamped(energy.transpose(2, 0, 1), SKEWED[[2, 0, 1]], T),
        ],
        5000.0: [overdamped(energy + 5000.0, SKEWED, T)],
    }
    for shift, all_of_them in others.items():
        for other in all_of_them:
            for one, two in zip(found[1:], other[1:], strict=True):
                assert two.participation == pytest.approx(one.participation, rel=2e-3)
                assert two.energy_K - shift == pytest.approx(one.energy_K, abs=2e-3 * T)
    assert found.guest.energy_K < found.current.energy_K


def test_nothing_dissipates_where_nothing_gets_through():
    energy = np.full((12, 12, 12), 100.0 * T)
    energy[2:6, 2:7, 3:8] = T * np.arange(5)
    found = overdamped(energy, 12 * np.eye(3), T)
    assert found.current.participation == 0.0 and math.isnan(found.current.energy_K)
    assert 0.0 < found.guest.participation < 100 / 12**3 and 0.0 < found.guest.energy_K < T
    closed = overdamped(energy, np.eye(3), T, mask=np.zeros(energy.shape, bool))
    assert closed.guest.participation == 0.0 and math.isnan(closed.guest.energy_K)


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


def test_current_climbs_the_highest_barrier_on_its_way_not_one_in_the_middle():
    """A real pore of cages in rows behind barriers of 13 kT, and lower ones in between.

    What slows the guest down is the way's highest saddle, which stage percolation finds by itself:
    power is lost there, and warmth helps over it.
    """
    cif = packages.core_mof_cif("2019-ASR", "YEGRAD_clean_h")
    structure = parse_cif(cif)
    cold, warm = (
        percolation.compute(structure, percolation.PercolationSettings(temperature_K=kelvin))
        for kelvin in (298.0, 400.0)
    )
    assert cold.e_mean_dissipation_K == pytest.approx(cold.e_perc_1_K, abs=2.0 * 298.0)
    # Arrhenius: of the saddle above where the guest sits in the channels
    climb_K = cold.e_perc_1_K - 0.5 * (cold.e_mean_channels_K + warm.e_mean_channels_K)
    rise = math.exp(climb_K * (1.0 / 298.0 - 1.0 / 400.0))
    assert warm.mobility / cold.mobility == pytest.approx(rise, rel=0.5)


def test_what_sparse_factors_cannot_solve_keeps_what_was_found(monkeypatch):
    """Along one direction behind 12 kT: the closed form of Lifson and Jackson either way."""
    height = 6.0
    energy = T * height * np.cos(2 * np.pi * np.arange(60) / 60)[:, None, None]

    def singular(*_, **__):
        raise RuntimeError("Factor is exactly singular")

    monkeypatch.setattr(network, "splu", singular)
    found = relative_mobility(energy, np.diag([12.0, 1.0, 1.0]), T)
    assert found[0, 0] == pytest.approx(1 / i0(height) ** 2, rel=0.02)
