"""Channels and pockets on grids whose connectivity is known by construction."""

import numpy as np
import pytest
from scipy import ndimage

from poreflux.fields.channels import accessible, channels_of_guest, pocket_share

CLOSED, OPEN = 1e5, 0.0


def grid(*shape):
    return np.full(shape, CLOSED)


def test_all_closed_and_all_open():
    nothing = accessible(grid(4, 5, 6), 100.0)
    assert (nothing.dimensionality, nothing.n_channels, nothing.n_pockets) == (0, 0, 0)
    assert not nothing.mask.any()
    everything = accessible(np.zeros((4, 5, 6)), 100.0)
    assert (everything.dimensionality, everything.n_channels, everything.n_pockets) == (3, 1, 0)
    assert everything.mask.all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tube(axis):
    energy = np.moveaxis(grid(7, 8, 9), axis, 0)
    energy[:, 2:4, 3] = OPEN
    found = accessible(np.moveaxis(energy, 0, axis), 100.0)
    assert (found.dimensionality, found.n_channels, found.n_pockets) == (1, 1, 0)


def test_slab_and_crossing_tube():
    energy = grid(8, 8, 8)
    energy[:, :, 2] = OPEN
    assert accessible(energy, 100.0).dimensionality == 2
    energy[4, 4, :] = OPEN
    assert accessible(energy, 100.0).dimensionality == 3


def test_isolated_pocket_is_not_accessible():
    energy = grid(9, 9, 9)
    energy[1, 1, :] = OPEN
    energy[5:7, 5:7, 5:7] = OPEN
    found = accessible(energy, 100.0)
    assert (found.dimensionality, found.n_channels, found.n_pockets) == (1, 1, 1)
    assert found.mask.sum() == 9
    assert not found.mask[5, 5, 5]
    # equal energies: 8 of the 17 open voxels
    assert pocket_share(energy, found.mask, 298.0) == pytest.approx(8 / 17)


def test_pocket_across_the_boundary_is_one_pocket():
    energy = grid(6, 6, 6)
    for corner in np.ndindex(2, 2, 2):
        energy[tuple(-np.array(corner))] = OPEN
    found = accessible(energy, 100.0)
    assert (found.n_channels, found.n_pockets) == (0, 1)


def test_channel_that_connects_only_across_the_boundary():
    energy = grid(6, 6, 6)
    energy[0:2, 3, 3] = OPEN
    energy[4:6, 3, 3] = OPEN
    assert accessible(energy, 100.0).n_pockets == 1
    energy[2:4, 3, 3] = OPEN
    found = accessible(energy, 100.0)
    assert (found.dimensionality, found.n_pockets) == (1, 0)


def test_staircase_returns_with_a_diagonal_shift():
    """One path along a + b: it returns to itself by the shift (1, 1, 0) alone."""
    n = 8
    energy = grid(n, n, n)
    for i in range(n):
        energy[i, i, 2] = energy[(i + 1) % n, i, 2] = OPEN
    found = accessible(energy, 100.0)
    assert (found.dimensionality, found.n_channels, found.n_pockets) == (1, 1, 0)


def test_a_channel_that_winds_is_one_channel():
    """Two tubes along c that swap places once a cell: one channel, closed after two cells."""
    n = 12
    energy = grid(n, n, n)
    tube = np.zeros((n, n, n), bool)
    tube[2, 2, 0:4] = tube[8, 8, 0:4] = True
    # from (2, 2) at height 3 to (8, 8) at height 7 and the other way round, 2 voxels apart
    tube[2:9, 2, 3] = tube[8, 2:9, 5] = tube[8, 2, 3:6] = tube[8, 8, 5:12] = True
    tube[2, 2:9, 8] = tube[2, 2, 8:12] = True
    tube[2:9, 8, 3] = tube[2, 8, 3:9] = True
    tube[8, 8, 4] = False
    energy[tube] = OPEN
    found = accessible(energy, 100.0)
    assert (found.dimensionality, found.n_channels, found.n_pockets) == (1, 1, 0)
    energy[2, 5, 8] = CLOSED
    assert accessible(energy, 100.0).n_channels == 0


def test_two_separate_channels_are_counted_and_keep_their_own_rank():
    energy = grid(8, 8, 8)
    energy[:, 1, 1] = OPEN
    energy[5, :, 5] = OPEN
    found = accessible(energy, 100.0)
    assert (found.dimensionality, found.n_channels) == (1, 2)


def test_corners_do_not_connect():
    energy = grid(4, 4, 4)
    for i in range(4):
        energy[i, i, i] = OPEN
    assert accessible(energy, 100.0).n_pockets == 4


def test_a_grid_one_voxel_wide_is_periodic():
    energy = np.zeros((1, 1, 5))
    energy[0, 0, 2] = CLOSED
    assert accessible(energy, 100.0).dimensionality == 2


def test_against_labelling_of_a_repeated_cell():
    """A region runs through iff, in 3x3x3 cells, it joins its own image; rank by shifts."""
    rng = np.random.default_rng(3)
    for share in (0.25, 0.31, 0.34, 0.4):
        noise = ndimage.gaussian_filter(rng.normal(size=(12, 13, 14)), 1.2, mode="wrap")
        threshold = np.quantile(noise, share)
        found = accessible(noise, threshold)
        reps = 5
        labels, _ = ndimage.label(np.tile(noise < threshold, (reps,) * 3))
        blocks = labels.reshape(reps, 12, reps, 13, reps, 14)
        middle = blocks[2, :, 2, :, 2, :]
        through = np.zeros(middle.shape, bool)
        for shift in np.ndindex(reps, reps, reps):
            if shift != (2, 2, 2):
                image = blocks[shift[0], :, shift[1], :, shift[2], :]
                through |= (image == middle) & (middle > 0)
        np.testing.assert_array_equal(found.mask, through)


def test_not_a_grid_is_an_error():
    with pytest.raises(ValueError, match="nx, ny, nz"):
        accessible(np.zeros((3, 3)), 1.0)


def test_nan_is_closed():
    energy = np.zeros((3, 3, 3))
    energy[:] = np.nan
    assert not accessible(energy, 100.0).mask.any()


def aslant(window_K=0.0, n=8):
    """A straight channel along a + b, a third of a spacing wide, with a window across it."""
    x, y, z = np.meshgrid(*3 * [np.arange(n) / n], indexing="ij")
    across = 1.0 - np.cos(2.0 * np.pi * (x - y))
    along = 1.0 + np.cos(2.0 * np.pi * x)
    return 40_000.0 * across + 10_000.0 * (1.0 - np.cos(2.0 * np.pi * z)) + window_K * along


def test_channel_between_grid_points_is_found():
    """Grid points of the channel touch at corners only: closed as it stands, open when finer."""
    energy = aslant()
    assert accessible(energy, 20 * 298.0).n_channels == 0
    found, share = channels_of_guest(energy, 20.0, 298.0, 1e5)
    assert (found.dimensionality, found.n_channels, found.n_pockets) == (1, 1, 0)
    assert share < 1e-6
    np.testing.assert_array_equal(found.mask, energy < 20 * 298.0)


def test_window_above_the_threshold_stays_closed():
    """Twice the window's factor is the barrier: 8,000 K is above 20 kT, 4,000 K below."""
    for window_K, dimensionality in ((4_000.0, 0), (2_000.0, 1)):
        found, share = channels_of_guest(aslant(window_K), 20.0, 298.0, 1e5)
        assert found.dimensionality == dimensionality
        assert share == pytest.approx(1.0 - dimensionality, abs=1e-6)


@pytest.mark.parametrize(
    ("height_kT", "is_open", "doubtful"),
    [(18.0, True, False), (20.5, False, True), (22.0, False, False)],
)
def test_window_as_high_as_the_threshold_is_in_doubt(height_kT, is_open, doubtful):
    """A window that a grid cannot tell from the threshold is named; one far above is closed."""
    found, _ = channels_of_guest(aslant(height_kT * 298.0 / 2.0, n=24), 20.0, 298.0, 1e5)
    assert ((found.dimensionality > 0), found.doubtful) == (is_open, doubtful)
    assert bool(found.doubt(20.0)) == doubtful


def test_slight_pockets_are_left_as_they_are():
    """A wide channel and pockets that hold nothing: the grid's own regions come back."""
    energy = np.full((12, 12, 12), 2e4)
    energy[:, 2:6, 2:6] = -2000.0
    energy[8, 9, 9] = 3000.0
    found, share = channels_of_guest(energy, 20.0, 298.0, 2e4)
    assert found.n_pockets == 1 and 0.0 < share < 0.001
    np.testing.assert_array_equal(found.mask, accessible(energy, 20 * 298.0).mask)


def test_a_cap_below_the_threshold_opens_nothing():
    """A closed cage in a wall of 20,000 K, and a cap at which the wall is no wall."""
    energy = np.full((9, 9, 9), 2e4)
    energy[3:6, 3:6, 3:6] = -2000.0
    for cap_K in (2e4, 5000.0):
        found, share = channels_of_guest(energy, 20.0, 298.0, cap_K)
        assert (found.n_channels, found.n_pockets, share) == (0, 1, 1.0)
