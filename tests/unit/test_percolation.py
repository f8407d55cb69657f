"""Percolation energies, Henry coefficient and heat against closed forms and slow methods."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from poreflux import percolation
from poreflux.base.errors import ConfigError, StructureError
from poreflux.base.units import BOLTZMANN_BAR_A3_PER_K, GAS_CONSTANT_J_PER_MOL_K
from poreflux.data.features import BARRIERS
from poreflux.fields.channels import accessible
from poreflux.fields.forcefield import guest_parameters, mixed_parameters
from poreflux.fields.grid import lj_grid
from poreflux.percolation import PercolationSettings, compute, thresholds
from poreflux.structures.crystal import make_structure

CEILING = 1e9
CLOSED = 1e6
ENERGIES = ("e_perc_1_K", "e_perc_2_K", "e_perc_3_K")


def lattice(*shape):
    """Fractional coordinates of a grid, three arrays (nx, ny, nz)."""
    return np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")


def percolation_energies(found):
    return np.array([getattr(found, name) for name in ENERGIES])


def rank_at(energy, level):
    """Directions in which {E <= level} runs through; a slow reference with 26 neighbours.

    Relaxation of lattice shifts over the points of each region in plain Python.
    """
    is_open = energy <= level
    near = [s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)]
    place, best = {}, 0
    for start in zip(*np.nonzero(is_open), strict=True):
        if start in place:
            continue
        place[start] = np.zeros(3, int)
        stack, loops = [start], [np.zeros(3, int)]
        while stack:
            here = stack.pop()
            for side in near:
                there = np.add(here, side)
                cell = place[here] + there // energy.shape
                there = tuple(there % energy.shape)
                if not is_open[there]:
                    continue
                if there not in place:
                    place[there] = cell
                    stack.append(there)
                elif (cell != place[there]).any():
                    loops.append(cell - place[there])
        best = max(best, int(np.linalg.matrix_rank(np.unique(loops, axis=0))))
    return best


def slow_thresholds(energy, rank=rank_at):
    """By bisection over the energies of the points."""
    levels = np.unique(energy)
    out = []
    for wanted in (1, 2, 3):
        low, high = 0, len(levels)
        while low < high:
            middle = (low + high) // 2
            if rank(energy, levels[middle]) >= wanted:
                high = middle
            else:
                low = middle + 1
        out.append(levels[low] if low < len(levels) else CEILING)
    return np.array(out)


# The grid's thresholds


@pytest.mark.parametrize("order", list(itertools.permutations((100.0, 250.0, 700.0))))
def test_three_cosines(order):
    """Minimum -(A+B+C); along an axis with amplitude X the pass is 2X above it."""
    x, y, z = lattice(16, 20, 12)
    energy = sum(a * np.cos(2 * np.pi * u) for a, u in zip(order, (x, y, z), strict=True))
    expected = -sum(order) + 2 * np.array(sorted(order))
    np.testing.assert_allclose(thresholds(energy, CEILING), expected, rtol=1e-12)


def test_a_pass_between_two_unlike_cages():
    """-cos 2u - b cos u has its higher barriers where cos u = -b/4: 1 + b^2/8."""
    b, n = 0.5, 4000
    u = 2 * np.pi * np.arange(n) / n
    line = np.full((3, 3, n), CLOSED)
    line[1, 1] = -np.cos(2 * u) - b * np.cos(u)
    found = thresholds(line, 1e5)
    assert found[0] == pytest.approx(1 + b**2 / 8, abs=1e-5)
    assert (found[1:] == 1e5).all()


def test_body_diagonal_channel_is_one_direction():
    n = 12
    energy = np.full((n, n, n), CLOSED)
    for i in range(n):
        energy[i, i, i] = 10.0 + i
    np.testing.assert_array_equal(thresholds(energy, 1e5), [10.0 + n - 1, 1e5, 1e5])


def test_closed_cage_does_not_percolate():
    x, y, z = lattice(12, 12, 12)
    cage = np.where((x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.5) ** 2 < 0.09, 0.0, CLOSED)
    assert (thresholds(cage, 1e5) == 1e5).all()
    # the same cage with one window that costs 500
    cage[:, 6, 6] = np.minimum(cage[:, 6, 6], 500.0)
    np.testing.assert_array_equal(thresholds(cage, 1e5), [500.0, 1e5, 1e5])


def test_crossed_channels_are_two_dimensional_only_where_they_meet():
    energy = np.full((12, 12, 12), CLOSED)
    energy[:, 2, 2] = 10.0
    energy[7, :, 8] = 20.0
    np.testing.assert_array_equal(thresholds(energy, 1e5), [10.0, 1e5, 1e5])
    energy[7, 2, 2:9] = np.maximum(np.minimum(energy[7, 2, 2:9], 300.0), [10] + [300] * 5 + [20])
    np.testing.assert_array_equal(thresholds(energy, 1e5), [10.0, 300.0, 1e5])
    # a third along the last axis, through the first
    energy[3, 2, :] = np.minimum(energy[3, 2, :], 400.0)
    np.testing.assert_array_equal(thresholds(energy, 1e5), [10.0, 300.0, 400.0])


def test_channels_that_meet_only_through_the_boundary():
    energy = np.full((10, 10, 10), CLOSED)
    energy[0, 5, 5] = energy[9, 5, 5] = 50.0
    assert (thresholds(energy, 1e5) == 1e5).all()
    energy[1:9, 5, 5] = 60.0
    assert thresholds(energy, 1e5)[0] == 60.0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_against_slow_reference(seed, smooth):
    rng = np.random.default_rng(seed)
    energy = rng.normal(size=rng.integers(2, 8, 3))
    if smooth:
        energy = ndimage.gaussian_filter(energy, smooth, mode="wrap")
    if seed % 3 == 0:  # many equal energies
        energy = np.round(energy, 1)
    np.testing.assert_array_equal(thresholds(energy, CEILING), slow_thresholds(energy))


@pytest.mark.parametrize("seed", range(4))
def test_against_bisection_with_the_flood_fill(seed):
    """Flooding through faces alone differs by the discretisation of a fine grid."""
    rng = np.random.default_rng(seed)
    x, y, z = lattice(40, 40, 40)
    energy = np.zeros(x.shape)
    for k in itertools.product((-1, 0, 1, 2), repeat=3):
        phase = 2 * np.pi * (k[0] * x + k[1] * y + k[2] * z + rng.random())
        energy += rng.normal() * np.cos(phase)
    values = thresholds(energy, CEILING)

    def flood(grid, level):
        return accessible(grid, np.nextafter(level, np.inf)).dimensionality

    by_faces = slow_thresholds(energy, flood)
    # a step across a corner is three across faces, each at most the steepest there is
    assert (by_faces >= values).all()
    step = max(np.abs(np.diff(energy, axis=a)).max() for a in range(3))
    assert (by_faces - values).max() < 2 * step


def test_supercell_and_permuted_axes():
    rng = np.random.default_rng(2)
    energy = ndimage.gaussian_filter(rng.normal(size=(8, 9, 10)), 1.0, mode="wrap")
    once = thresholds(energy, CEILING)
    np.testing.assert_array_equal(thresholds(np.tile(energy, (2, 1, 3)), CEILING), once)
    np.testing.assert_array_equal(thresholds(energy.transpose(2, 0, 1), CEILING), once)
    np.testing.assert_array_equal(thresholds(np.roll(energy, (3, 4, 5), (0, 1, 2)), CEILING), once)
    np.testing.assert_array_equal(thresholds(energy[::-1], CEILING), once)


def test_a_grid_one_point_wide_is_periodic():
    energy = np.array([[[1.0, 2.0, 5.0, 3.0]]])
    np.testing.assert_array_equal(thresholds(energy, CEILING), [1.0, 1.0, 5.0])


def test_nan_is_closed_and_no_grid_is_an_error():
    assert (thresholds(np.full((4, 4, 4), np.nan), 1e5) == 1e5).all()
    with pytest.raises(ValueError, match="nx, ny, nz"):
        thresholds(np.zeros((3, 3)), 1.0)


# Structures: the refined energies


def bare(**changes):
    """One carbon atom in a cubic cell; passes and minima are known by symmetry."""
    a = changes.pop("a", 9.0)
    s = make_structure((a,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    return s, compute(s, PercolationSettings(**changes))


def naive(structure, point_frac, cutoff_A=12.0):
    epsilon, sigma = mixed_parameters(structure, guest_parameters("CH4"))
    reach = np.ceil(cutoff_A / structure.perpendicular_widths_A).astype(int) + 1
    total = 0.0
    for shift in itertools.product(*(range(-r, r + 1) for r in reach)):
        d = (structure.frac + shift - np.asarray(point_frac)) @ structure.cell
        r2 = (d**2).sum(axis=1)
        x = (sigma**2 / r2) ** 3
        total += (4 * epsilon * x * (x - 1))[r2 < cutoff_A**2].sum()
    return total


# The window's centre is the pass only while it is nearer to the atoms around it than the bottom
# of the Lennard-Jones well, 4.02 Å; in a wider one it is a place to stay.


@pytest.mark.parametrize("a", [4.6, 5.0, 5.4])
@pytest.mark.parametrize("spacing_A", [0.31, 0.47])
def test_simple_cubic_lattice(a, spacing_A):
    """The six windows of the cage are at (½, ½, 0): one energy for all directions."""
    s, found = bare(a=a, spacing_A=spacing_A)
    window = naive(s, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(percolation_energies(found), window, rtol=1e-6, atol=1e-3)
    # the lowest point is the cage's centre or near it
    assert found.e_min_K <= naive(s, [0.5, 0.5, 0.5]) + 1e-6


def test_tetragonal_lattice_has_two_kinds_of_window():
    """Cell a, a, c: across c the window is a square of a, across the others a by c."""
    s = make_structure((5.0, 5.0, 5.6), (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    found = percolation_energies(compute(s, PercolationSettings(spacing_A=0.4)))
    wide, tight = naive(s, [0.5, 0.0, 0.5]), naive(s, [0.5, 0.5, 0.0])
    assert tight > wide
    np.testing.assert_allclose(found, [wide, wide, tight], rtol=1e-6, atol=1e-3)


def test_wide_windows():
    """At 6 Å the window's centre is a minimum; the passes are elsewhere, as a fine grid shows."""
    s, found = bare(a=6.0)
    grid = lj_grid(s, guest_parameters("CH4"), (120,) * 3, 12.0)
    assert found.e_min_K == pytest.approx(naive(s, [0.5, 0.5, 0.0]), abs=1e-3)
    # 0.05 Å: a grid's error is half a curvature times its spacing squared
    np.testing.assert_allclose(percolation_energies(found), thresholds(grid, CEILING), atol=0.5)


def walls(cell=((8.0, 9.1, 10.3), (80.0, 95.0, 104.0)), n=9, seed=4):
    rng = np.random.default_rng(seed)
    frac = np.round(rng.random((n, 3)) * 100) / 100
    return make_structure(*cell, ["C", "O", "Zn"][: n // 3] * 3, frac)


def test_refined_energies_are_the_limit_of_ever_finer_grids():
    s = walls()
    found = percolation_energies(compute(s, PercolationSettings(spacing_A=0.35, cap_K=CEILING)))
    errors = []
    for h in (0.3, 0.1):
        shape = tuple(int(np.ceil(x / h)) for x in s.lengths_A)
        grid = lj_grid(s, guest_parameters("CH4"), shape, 12.0)
        errors.append(np.abs(thresholds(grid, CEILING) - found) / (1000.0 + np.abs(found)))
    # the error of a grid falls with the square of its spacing: ninefold, less luck
    assert errors[1].max() < errors[0].max() / 3
    assert errors[1].max() < 0.05


def test_refined_energies_do_not_depend_on_the_grid():
    results = [
        percolation_energies(compute(walls(), PercolationSettings(spacing_A=h)))
        for h in (0.2, 0.3, 0.35)
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-6, atol=1e-3)


def test_supercell():
    """Cell edges are multiples of the spacing: the same points, the same energies."""
    s = make_structure(
        (8.0, 6.0, 7.2), (90.0, 100.0, 90.0), ["C", "O"], [[0.1, 0.2, 0.3], [0.6, 0.5, 0.75]]
    )
    one, two = (
        compute(s, PercolationSettings(spacing_A=0.4)),
        compute(s.supercell((2, 1, 1)), PercolationSettings(spacing_A=0.4)),
    )
    assert two.n_grid == 2 * one.n_grid
    intensive = [f.name for f in dataclasses.fields(one) if f.name not in ("n_grid", "n_channels")]
    for name in intensive:
        expected = getattr(one, name)
        # that of the mobility is chosen by what is open, and need not divide the edges
        of_network = name.startswith("mobility") or name.endswith(("channels", "dissipation"))
        rel = 0.05 if of_network or name.endswith(("channels_K", "dissipation_K")) else 1e-9
        assert getattr(two, name) == pytest.approx(expected, rel=rel, abs=1e-9), name


def test_permuted_axes():
    (a, b, c), (al, be, ga) = (8.0, 9.1, 10.3), (80.0, 95.0, 104.0)
    s = walls()
    t = make_structure((c, a, b), (ga, al, be), s.species, s.frac[:, [2, 0, 1]])
    one, two = compute(s), compute(t)
    for f in dataclasses.fields(one):
        expected = getattr(one, f.name)
        # where the search for the currents ends depends on the order of the points
        rel = 1e-4 if "dissipation" in f.name else 1e-7
        assert getattr(two, f.name) == pytest.approx(expected, rel=rel, abs=1e-7, nan_ok=True)


def test_moved_origin():
    s = walls()
    t = make_structure(
        s.lengths_A, s.angles_deg, s.species, s.frac + np.array([0.123, 0.457, 0.739])
    )
    one, two = compute(s), compute(t)
    np.testing.assert_allclose(
        percolation_energies(two), percolation_energies(one), rtol=1e-4, atol=0.1
    )
    assert two.e_min_K == pytest.approx(one.e_min_K, abs=0.1)
    # what is left is the quadrature: 1 % of kT
    assert two.henry_free_energy_K == pytest.approx(one.henry_free_energy_K, abs=3.0)


def test_nothing_gets_through_a_dense_framework():
    s, found = bare(a=3.0, cap_K=20_000.0)
    assert (percolation_energies(found) == 20_000.0).all()
    assert found.e_min_K == found.henry_free_energy_K == 20_000.0
    assert (found.accessible_fraction, found.dimensionality, found.n_channels) == (0.0, 0, 0)
    assert (found.pocket_share, found.henry_mol_kg_bar) == (1.0, 0.0)
    assert math.isnan(found.heat_of_adsorption_kJ_mol)
    assert found.participation_channels == found.participation_dissipation == 0.0
    assert math.isnan(found.e_mean_channels_K) and math.isnan(found.e_mean_dissipation_K)
    assert found.barrier_1_K == 0.0
    assert s.volume_A3 == pytest.approx(27.0)


@pytest.mark.parametrize("guest", ["CH4", "Xe"])
def test_crystals_without_pores_have_finite_features(guest):
    """In MgO energies between the grid points are lower by many thousands of kelvins."""
    fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    frac = np.vstack([fcc, fcc + np.array([0.5, 0, 0])])
    s = make_structure((4.21,) * 3, (90.0,) * 3, ["Mg"] * 4 + ["O"] * 4, frac)
    found = compute(s, PercolationSettings(guest=guest))
    of_channels = ("heat_of_adsorption_kJ_mol", "e_mean_channels_K", "e_mean_dissipation_K")
    finite = dataclasses.asdict(found) | dict.fromkeys(of_channels, 0.0)
    assert all(np.isfinite(value) for value in finite.values()), finite
    assert found.e_min_K == found.henry_free_energy_K == found.e_perc_1_K
    assert 0.0 < found.participation <= 1.0 and found.henry_mol_kg_bar == 0.0


# Averages


def thin_gas(temperature_K, **changes):
    """One atom in a cell of 14 Å: every integral below has the radial one as its limit."""
    return bare(a=14.0, temperature_K=temperature_K, cutoff_A=7.0, **changes)


def radial(structure, temperature_K, cutoff_A=7.0):
    """<w> and <w E> over the cell by quadrature in the distance from its atom."""
    epsilon, sigma = (float(x[0]) for x in mixed_parameters(structure, guest_parameters("CH4")))
    r, dr = np.linspace(1e-3, cutoff_A, 2_000_001, retstep=True)
    energy = 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
    weight = np.exp(-energy / temperature_K)
    shell = 4 * np.pi * r**2 * dr
    outside = structure.volume_A3 - 4 / 3 * np.pi * cutoff_A**3
    mean = ((weight * shell).sum() + outside) / structure.volume_A3
    return mean, np.nansum(weight * energy * shell) / structure.volume_A3


@pytest.mark.parametrize("temperature_K", [200.0, 298.0])
def test_averages_against_radial_quadrature(temperature_K):
    s, found = thin_gas(temperature_K, spacing_A=0.25)
    mean, mean_energy = radial(s, temperature_K)
    # the sphere's rim, where the potential is cut, is what the grid integrates worst
    free_energy = -temperature_K * math.log(mean)
    assert found.henry_free_energy_K == pytest.approx(free_energy, abs=0.05)
    assert found.e_mean_K == pytest.approx(mean_energy / mean, abs=0.2)
    cell_mol_kg = 1000.0 / s.mass_amu
    expected = mean * s.volume_A3 / (BOLTZMANN_BAR_A3_PER_K * temperature_K) * cell_mol_kg
    assert found.henry_mol_kg_bar == pytest.approx(expected, rel=1e-3)


def test_ideal_gas():
    """No attraction worth a kelvin at 100,000 K: K = 1 / (R T rho) of what is not excluded."""
    temperature_K = 1e5
    s, found = bare(a=60.0, temperature_K=temperature_K, spacing_A=1.0)
    # mol/(kg bar) from SI: density in kg/m^3, pressure of 1e5 Pa
    expected = 1e5 / (GAS_CONSTANT_J_PER_MOL_K * temperature_K * s.density_g_cm3 * 1000.0)
    # the core of the atom excludes 0.03 % of the cell
    assert found.henry_mol_kg_bar == pytest.approx(expected, rel=1e-3)
    assert found.heat_of_adsorption_kJ_mol == pytest.approx(
        GAS_CONSTANT_J_PER_MOL_K * temperature_K / 1000.0, rel=1e-3
    )
    assert (found.dimensionality, found.n_channels) == (3, 1)
    assert found.pocket_share == pytest.approx(0.0, abs=1e-3)
    assert found.participation == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("structure", [bare(a=6.0)[0], walls(n=3)], ids=["cubic", "triclinic"])
def test_heat_of_adsorption_is_the_slope_of_the_henry_coefficient(structure):
    """van 't Hoff: q = R d ln K / d(1/T), K being per unit of pressure."""
    t, d = 298.0, 0.5
    # one and the same threshold in K, hence the same channels
    low, mid, high = (
        compute(structure, PercolationSettings(temperature_K=x, threshold_kT=20.0 * t / x))
        for x in (t - d, t, t + d)
    )
    slope = math.log(high.henry_mol_kg_bar / low.henry_mol_kg_bar) / (1 / (t + d) - 1 / (t - d))
    q = GAS_CONSTANT_J_PER_MOL_K * slope / 1000.0
    assert mid.heat_of_adsorption_kJ_mol == pytest.approx(q, rel=1e-4)


def test_tight_pockets_are_integrated_as_well_as_on_a_fine_grid():
    """At 60 K the guest sits in less than an Å^3, which 0.35 Å does not resolve by itself."""
    s = walls()
    fine = lj_grid(s, guest_parameters("CH4"), (80, 90, 100), 12.0)
    lowest = fine.min()
    weight = np.exp((lowest - fine) / 60.0)
    found = compute(s, PercolationSettings(temperature_K=60.0))
    expected = lowest - 60.0 * math.log(weight.mean())
    assert found.henry_free_energy_K == pytest.approx(expected, abs=1.0)
    participation = weight.sum() ** 2 / weight.size / (weight**2).sum()
    assert found.participation == pytest.approx(participation, rel=0.03)


def test_real_structures_hang_together(cifs):
    for path in sorted(cifs.glob("*.cif")):
        found = percolation.describe(path)
        assert 0.0 <= found.accessible_fraction <= 1.0
        assert 0.0 < found.participation <= 1.0
        # the mean of weights exceeds none of them
        assert found.e_min_K <= found.henry_free_energy_K
        assert found.e_min_K <= found.e_perc_1_K <= found.e_perc_2_K <= found.e_perc_3_K
        reached = found.n_channels > 0
        assert (found.henry_mol_kg_bar > 0) == reached == (found.dimensionality > 0)
        assert math.isnan(found.heat_of_adsorption_kJ_mol) != reached
        assert reached or found.pocket_share == 1.0
        assert (found.participation_channels > 0) == (found.participation_dissipation > 0)
        if found.mobility > 0:
            assert found.e_min_K < found.e_mean_channels_K < found.e_mean_dissipation_K
            # the channels' share of the crystal holds both
            assert found.participation_channels < found.accessible_fraction + 0.02
            assert found.participation_dissipation < found.accessible_fraction + 0.02


def test_without_barriers_the_rest_is_the_same(cifs):
    """The search for saddles is left out, and with it its columns."""
    path = cifs / "KOSJEJ_clean.cif"
    whole = percolation.describe(path).columns()
    less = percolation.describe(path, barriers=False).columns()
    gone = {*BARRIERS, "n_unrefined"}
    assert set(whole) - set(less) == gone
    assert less == {name: value for name, value in whole.items() if name not in gone}


def test_the_guest_sits_where_it_is_on_a_fine_grid():
    """Without pockets the channels hold all of the guest."""
    _, found = bare(a=6.0, spacing_A=0.2)
    assert found.pocket_share == pytest.approx(0.0, abs=1e-9)
    assert found.e_mean_channels_K == pytest.approx(found.e_mean_K, abs=10.0)
    assert found.participation_channels == pytest.approx(found.participation, rel=0.05)


# Edges


def test_large_cells_get_a_wider_spacing():
    s, found = bare(a=12.0, max_points=5000)
    assert found.n_grid <= 5000
    assert compute(s, PercolationSettings(max_points=10**6)).n_grid == 35**3


@pytest.mark.parametrize(
    "name", ["temperature_K", "spacing_A", "cutoff_A", "cap_K", "threshold_kT", "max_points"]
)
def test_parameters_must_be_positive(name):
    for value in (0, -1.0, math.nan):
        with pytest.raises(ConfigError, match=name):
            bare(**{name: value})


def test_unknown_guest_and_element():
    with pytest.raises(ConfigError, match="CH4"):
        bare(guest="CH5")
    with pytest.raises(StructureError, match="Fr"):
        compute(make_structure((9.0,) * 3, (90.0,) * 3, ["Fr"], [[0.0] * 3]))


def test_warm_up():
    percolation.warm_up()


def test_a_well_without_a_boltzmann_factor_is_a_reason():
    """CH4 between sheets of carbon, at 0.2 K: exp(-E/T) is beyond double precision."""
    wall = [[x, y, 0.0] for x in (0.0, 0.25, 0.75) for y in (0.0, 0.25, 0.75)]
    sheet = make_structure((10.0, 10.0, 10.0), (90.0,) * 3, ["C"] * len(wall), wall)
    with pytest.raises(StructureError, match=r"kT deep.*raise percolation\.temperature_K"):
        compute(sheet, PercolationSettings(temperature_K=0.2, spacing_A=0.5))
