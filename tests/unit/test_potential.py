"""The Lennard-Jones grid against a naive sum over images, and its spline."""

import numpy as np
import pytest

from poreflux.base.errors import ConfigError, StructureError
from poreflux.fields.forcefield import guest_parameters, mixed_parameters
from poreflux.fields.grid import (
    finer_grid,
    grid_shape,
    lj_grid,
    spline_coefficients,
    spline_energy,
    spline_energy_gradient,
)
from poreflux.structures.crystal import make_structure

CH4 = guest_parameters("CH4")


def naive(structure, point_frac, cutoff_A):
    """Energy (K) at one point: every image of every atom, one by one."""
    epsilon, sigma = mixed_parameters(structure, CH4)
    reach = np.ceil(cutoff_A / structure.perpendicular_widths_A).astype(int) + 1
    total = 0.0
    for i in range(-reach[0], reach[0] + 1):
        for j in range(-reach[1], reach[1] + 1):
            for k in range(-reach[2], reach[2] + 1):
                d = (structure.frac + np.array([i, j, k]) - point_frac) @ structure.cell
                r2 = np.maximum((d**2).sum(axis=1), 1e-4)
                x = (sigma**2 / r2) ** 3
                total += (4 * epsilon * x * (x - 1))[r2 < cutoff_A**2].sum()
    return total


CELLS = {
    "cubic": ((14.0, 14.0, 14.0), (90.0, 90.0, 90.0)),
    "smaller than the cutoff": ((4.1, 5.2, 6.3), (90.0, 90.0, 90.0)),
    "triclinic": ((9.0, 11.0, 13.0), (70.0, 100.0, 115.0)),
    "flat and small": ((3.0, 25.0, 4.0), (90.0, 122.0, 90.0)),
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("n_atoms", [1, 3])
def test_grid_equals_naive_sum(cell, n_atoms):
    rng = np.random.default_rng(7)
    s = make_structure(*cell, ["Zn", "C", "O"][:n_atoms], rng.random((n_atoms, 3)))
    shape = (5, 4, 6)
    grid = lj_grid(s, CH4, shape, 12.8)
    for index in [(0, 0, 0), (4, 3, 5), (2, 1, 3), (1, 3, 0)]:
        expected = naive(s, np.array(index) / shape, 12.8)
        assert grid[index] == pytest.approx(expected, rel=1e-9)


def test_supercell_repeats_the_grid():
    s = make_structure((6.0, 7.0, 8.0), (85.0, 95.0, 105.0), ["C", "O"], [[0.1] * 3, [0.6] * 3])
    one = lj_grid(s, CH4, (6, 7, 8), 12.0)
    two = lj_grid(s.supercell((2, 1, 3)), CH4, (12, 7, 24), 12.0)
    # coordinates are rounded to 1e-8 of an edge, which a repulsive wall amplifies
    np.testing.assert_allclose(two, np.tile(one, (2, 1, 3)), rtol=1e-4, atol=1e-4)


def test_minimum_of_one_pair():
    # Lennard-Jones: depth epsilon at 2^(1/6) sigma, nothing beyond the cutoff.
    s = make_structure((40.0, 40.0, 40.0), (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    epsilon, sigma = (float(x[0]) for x in mixed_parameters(s, CH4))
    assert epsilon == pytest.approx(np.sqrt(148.0 * 52.84))
    assert sigma == pytest.approx((3.73 + 3.43) / 2)
    grid = lj_grid(s, CH4, (8000, 1, 1), 12.0)[:, 0, 0]
    assert grid.min() == pytest.approx(-epsilon, rel=1e-5)  # 0.005 Å steps
    assert np.argmin(grid[:4000]) * 0.005 == pytest.approx(2 ** (1 / 6) * sigma, abs=0.005)
    assert grid[2399] != 0.0 and grid[2401] == 0.0


def test_spline_meets_grid_and_its_gradient_is_the_slope():
    s = make_structure((8.0, 9.0, 10.0), (80.0, 95.0, 100.0), ["C"], [[0.0, 0.0, 0.0]])
    grid = lj_grid(s, CH4, grid_shape(s, 0.25), 12.0)
    coefficients = spline_coefficients(grid, 2e4)
    capped = np.minimum(grid, 2e4)
    for index in [(0, 0, 0), (16, 18, 20), (3, 30, 7)]:
        f = np.array(index) / grid.shape
        assert spline_energy(coefficients, *(f - 3)) == pytest.approx(capped[index], rel=1e-6)
    f, h = np.array([0.41, 0.53, 0.37]), 1e-6
    energy, *gradient = spline_energy_gradient(coefficients, *f)
    assert energy == pytest.approx(spline_energy(coefficients, *f), rel=1e-12)
    for axis in range(3):
        step = np.eye(3)[axis] * h
        up = spline_energy(coefficients, *(f + step))
        down = spline_energy(coefficients, *(f - step))
        assert gradient[axis] == pytest.approx((up - down) / (2 * h), rel=1e-5)


def test_spline_follows_the_true_energy_between_points():
    # At 0.25 Å, outside the repulsive wall: an error of 1 % of kT (298 K) at most, far less
    # as a rule.
    s = make_structure((10.0, 10.0, 10.0), (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    coefficients = spline_coefficients(lj_grid(s, CH4, grid_shape(s, 0.25), 12.0), 2e4)
    points = np.random.default_rng(3).random((40, 3))
    r = np.linalg.norm((points - np.round(points)) * 10.0, axis=1)
    errors = [spline_energy(coefficients, *f) - naive(s, f, 12.0) for f in points[r > 3.4]]
    assert np.abs(errors).max() < 3.0
    assert np.median(np.abs(errors)) < 0.1


def test_missing_parameters_are_named():
    s = make_structure((10.0,) * 3, (90.0,) * 3, ["Fr"], [[0, 0, 0]])
    with pytest.raises(StructureError, match="Fr"):
        mixed_parameters(s, CH4)
    with pytest.raises(ConfigError, match="CH4"):
        guest_parameters("CH5")


def test_finer_grid_is_the_spline():
    """At every point of the finer grid, and at the old points the energies themselves."""
    rng = np.random.default_rng(1)
    energy = rng.normal(size=(3, 5, 4)) * 100.0
    coefficients = spline_coefficients(energy, 1e6)
    for factor in (1, 2, 3):
        fine = finer_grid(coefficients, factor)
        assert fine.shape == tuple(n * factor for n in energy.shape)
        np.testing.assert_allclose(fine[::factor, ::factor, ::factor], energy, rtol=1e-6, atol=1e-4)
        for index in np.ndindex(fine.shape):
            expected = spline_energy(coefficients, *(np.array(index) / fine.shape))
            assert fine[index] == pytest.approx(expected, rel=1e-5, abs=1e-3)
