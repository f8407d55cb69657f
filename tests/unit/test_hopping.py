"""Transition-state theory on grids: closed forms, invariances, and molecular dynamics."""

import numpy as np
import pytest

from poreflux.base.units import BOLTZMANN_AMU_A2_FS2_PER_K
from poreflux.diffusion import DiffusionSettings, compute
from poreflux.diffusion.hopping import _walk_tensor, hopping_diffusivity
from poreflux.diffusion.stage import HOPPING_ERROR, HOPPING_SPACING_A
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures.cif import read_cif

T = 298.0
CH4 = guest_parameters("CH4")
THERMAL = BOLTZMANN_AMU_A2_FS2_PER_K * T / CH4.mass_amu
BARRIERS = np.array([8.0, 10.0, 12.0])


def places(shape):
    return np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")


def waves(barriers_kT, turns):
    """T times the sum of waves of these heights; ``turns``: how many periods, any array."""
    return (
        T
        * 0.5
        * sum(b * (1 - np.cos(2 * np.pi * t)) for b, t in zip(barriers_kT, turns, strict=True))
    )


def along_a_wave(barrier_kT, period_A):
    """One dimension: D = a^2 k, k = sqrt(kT / 2 pi m) exp(-barrier) / int exp(-E) dx."""
    turns = np.arange(4000) / 4000
    inside = period_A * np.exp(-waves([barrier_kT], [turns]) / T).mean()
    return period_A**2 * np.sqrt(THERMAL / (2 * np.pi)) * np.exp(-barrier_kT) / inside


@pytest.mark.parametrize("offset", [0.0, 0.01])
def test_waves_along_the_axes_have_their_diffusivities(offset):
    lengths = np.array([5.0, 6.0, 7.0])
    turns = [t - offset for t in places((40, 48, 56))]
    found = hopping_diffusivity(waves(BARRIERS, turns), np.diag(lengths), T, THERMAL)
    expected = [along_a_wave(b, a) for b, a in zip(BARRIERS, lengths, strict=True)]
    # the surface lies between points, half a spacing off the ridge
    np.testing.assert_allclose(np.diag(found.tensor_A2_fs), expected, rtol=0.05)
    off_diagonal = found.tensor_A2_fs - np.diag(np.diag(found.tensor_A2_fs))
    assert abs(off_diagonal).max() < 1e-4 * min(expected)
    assert found.n_basins == 1
    assert found.lowest_kT == pytest.approx(8.0, abs=0.1)


def test_surfaces_that_run_aslant_have_their_area():
    """The same waves at 45 degrees to the grid, whose faces are 1.4 times the surface."""
    x, y, z = places((48, 48, 40))
    energy = waves([8.0, 8.0, 12.0], [x + y, x - y, z])
    side = 6.0 * np.sqrt(2.0)
    found = hopping_diffusivity(energy, np.diag([side, side, 6.0]), T, THERMAL).tensor_A2_fs
    assert found[0, 0] == pytest.approx(along_a_wave(8.0, 6.0), rel=0.06)
    assert found[1, 1] == pytest.approx(found[0, 0], rel=0.01)
    assert abs(found[0, 1]) < 0.02 * found[0, 0]


def test_other_lattice_vectors_same_crystal():
    x, y, z = places((40, 40, 40))
    cell = np.array([[6.0, 0.0, 0.0], [6.0, 6.0, 0.0], [0.0, 0.0, 6.0]])
    found = hopping_diffusivity(waves(BARRIERS, [x + y, y, z]), cell, T, THERMAL).tensor_A2_fs
    expected = [along_a_wave(b, 6.0) for b in BARRIERS]
    # points of this sheared grid are up to 0.34 Å apart
    np.testing.assert_allclose(np.diag(found), expected, rtol=0.25)


def test_supercell_of_a_real_framework(cifs):
    structure = read_cif(cifs / "KOSJEJ_clean.cif")
    shape = np.array(grid_shape(structure, 0.3))
    found = []
    for repeats in ((1, 1, 1), (1, 2, 1)):
        s = structure.supercell(repeats)
        energy = lj_grid(s, CH4, tuple(shape * repeats), 12.0)
        energy[energy > 2e4] = np.inf
        found.append(hopping_diffusivity(energy, s.cell, 150.0, THERMAL / 2.0))
    one, two = found
    assert two.n_basins == 2 * one.n_basins
    np.testing.assert_allclose(two.tensor_A2_fs, one.tensor_A2_fs, rtol=0.02, atol=1e-12)


def test_unequal_barriers_in_turn_are_in_series():
    """Two basins a cell along x, over 9 and 6 kT: the walk's exact result, not a mean of rates."""
    x, y, z = places((64, 20, 20))
    # waves of two periods, every other ridge lower
    ridge = np.where(x < 0.5, 9.0, 6.0)
    along = 0.5 * ridge * (1 - np.cos(4 * np.pi * x)) * T
    energy = along + waves([12.0, 12.0], [y, z])
    found = hopping_diffusivity(energy, np.diag([12.0, 6.0, 6.0]), T, THERMAL).tensor_A2_fs
    inside = 12.0 * np.exp(-along[:, 0, 0] / T).mean()
    flux = np.sqrt(THERMAL / (2 * np.pi)) / inside
    expected = 12.0**2 / (1.0 / (flux * np.exp(-9.0)) + 1.0 / (flux * np.exp(-6.0)))
    assert found[0, 0] == pytest.approx(expected, rel=0.06)


def test_a_walk_with_detours_and_dead_ends():
    """Links in series, a parallel one, and a dead end: the conductances of an electric network."""
    # 0 -> 1 -> 0 of the next cell along x, twice over; 1 - 2 leads nowhere
    ends = np.array([[0, 1], [0, 1], [0, 1], [1, 2]])
    steps = np.array([[0.0, 0, 0], [-5.0, 0, 0], [-5.0, 0, 0], [0.0, 0, 0]])
    conductance = np.array([3.0, 1.0, 2.0, 7.0])
    found = _walk_tensor(ends, steps, conductance, 3)
    assert found[0, 0] == pytest.approx(25.0 / (1 / 3.0 + 1 / 3.0))
    assert abs(found[1:]).max() < 1e-12
    assert (_walk_tensor(ends[:1], steps[:1], conductance[:1], 2) == 0).all()


def test_wide_links_among_narrow_ones_do_not_lose_them():
    ends = np.array([[0, 1], [0, 1]])
    steps = np.array([[0.0, 0, 0], [-5.0, 0, 0]])
    found = _walk_tensor(ends, steps, np.array([1.0, 1e-12]), 2)
    assert found[0, 0] == pytest.approx(25e-12, rel=1e-3)


def test_open_channels_and_closed_cells_do_not_hop():
    x, y, z = places((24, 24, 24))
    cell = np.eye(3) * 6.0
    assert hopping_diffusivity(waves([0.5, 12.0, 12.0], [x, y, z]), cell, T, THERMAL) is None
    closed = waves([8.0, 8.0, 8.0], [x, y, z])
    closed[(abs(x - 0.5) < 0.1) | (abs(y - 0.5) < 0.1) | (abs(z - 0.5) < 0.1)] = np.inf
    assert hopping_diffusivity(closed, cell, T, THERMAL).d_A2_fs == 0.0
    with pytest.raises(ValueError, match="finite"):
        hopping_diffusivity(np.full((4, 4, 4), np.inf), cell, T, THERMAL)


def test_a_way_high_above_the_floor_is_no_open_channel():
    """Deep wells beside a level channel at 10 kT: the molecules hop."""
    x, y, z = places((40, 40, 40))
    wells = waves([14.0, 14.0, 14.0], [x, y, z])
    energy = np.minimum(wells, 10.0 * T + waves([20.0, 20.0], [y - 0.5, z]))
    found = hopping_diffusivity(energy, np.eye(3) * 6.0, T, THERMAL)
    assert found is not None and found.tensor_A2_fs[0, 0] > 0


MD = {
    "engine": "grid", "timestep_fs": 2.0, "temperature_K": 150.0, "equilibration_ps": 20.0,
    "extend": "never", "spacing_A": 0.3, "seed": 1,
}  # fmt: skip


def test_agrees_with_molecular_dynamics(cifs):
    """KOSJEJ at 150 K: barriers of several kT, yet hundreds of hops in 60 molecule-ns."""
    structure = read_cif(cifs / "KOSJEJ_clean.cif")
    dynamics = compute(structure, DiffusionSettings(**MD, production_ps=1000.0))
    assert dynamics.diffusive and dynamics.engine == "grid"
    energy = lj_grid(structure, CH4, grid_shape(structure, HOPPING_SPACING_A), 12.0)
    energy[energy > 2e4] = np.inf
    thermal = BOLTZMANN_AMU_A2_FS2_PER_K * 150.0 / CH4.mass_amu
    hops = hopping_diffusivity(energy, structure.cell, 150.0, thermal).d_A2_fs * 1e-5
    error = np.hypot(dynamics.d_err_m2_s, HOPPING_ERROR * hops)
    assert abs(hops - dynamics.d_m2_s) < 2.0 * error


def test_estimate_stands_in_where_dynamics_shows_nothing(cifs):
    structure = read_cif(cifs / "KOSJEJ_clean.cif")
    cold = MD | {"temperature_K": 60.0, "production_ps": 40.0}
    bound = compute(structure, DiffusionSettings(**cold, rare_events="bound"))
    found = compute(structure, DiffusionSettings(**cold))
    assert bound.engine == "grid" and not bound.diffusive and "upper bound" in bound.note
    assert found.engine == "tst" and not found.diffusive
    assert 0 < found.d_m2_s < bound.d_m2_s and found.d_err_m2_s > 0
    assert "transition-state" in found.note and "is an upper bound" not in found.note
    mean = (found.d_x_m2_s + found.d_y_m2_s + found.d_z_m2_s) / 3.0
    assert mean == pytest.approx(found.d_m2_s)
    assert found.n_steps == bound.n_steps and found.fit_end_ps == bound.fit_end_ps
