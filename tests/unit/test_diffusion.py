"""The grid engine against mechanics and statistics with closed forms, and its own consistency."""

import dataclasses

import numpy as np
import pytest

from poreflux.base.errors import ConfigError, StructureError
from poreflux.base.units import BOLTZMANN_AMU_A2_FS2_PER_K
from poreflux.diffusion import (
    DiffusionSettings,
    compute,
    grid_engine,
    lengthened,
    self_diffusivity,
    warm_up,
)
from poreflux.diffusion.grid_engine import (
    Dynamics,
    advance_state,
    cartesian,
    energies,
    energies_at,
    start,
)
from poreflux.diffusion.stage import largest_cavity_A
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures.cif import read_cif
from poreflux.structures.crystal import cell_matrix, make_structure

CH4 = guest_parameters("CH4")
T = 298.0
THERMAL = BOLTZMANN_AMU_A2_FS2_PER_K * T / CH4.mass_amu  # kT/m, Å2/fs2
NVE = Dynamics(CH4.mass_amu, T, 1.0, 0.0)
NVT = Dynamics(CH4.mass_amu, T, 1.0, 100.0)
TRICLINIC = cell_matrix((9.0, 11.0, 13.0), (70.0, 100.0, 115.0))


@pytest.fixture(scope="module")
def bukmuq(cifs):
    return read_cif(cifs / "BUKMUQ01_clean.cif")


@pytest.fixture(scope="module")
def jivfuq(cifs):
    return read_cif(cifs / "JIVFUQ_clean.cif")


def field_of(structure, spacing_A=0.25):
    energy = lj_grid(structure, CH4, grid_shape(structure, spacing_A), 12.0)
    return grid_engine.make_field(energy, structure.cell, 20_000.0), energy


def flat(cell, shape=(6, 7, 8)):
    energy = np.zeros(shape)
    return grid_engine.make_field(energy, cell, 20_000.0), energy


def ready(field, energy, n_molecules, dynamics, *, chain_size=30, seed=1, limit_K=20 * T):
    return start(field, energy < limit_K, energy, n_molecules, chain_size, dynamics, seed)


def test_accelerations_are_the_gradient_of_the_spline():
    energy = np.random.default_rng(1).normal(300.0, 500.0, (5, 6, 7))
    field = grid_engine.make_field(energy, TRICLINIC, 20_000.0)
    state = ready(field, energy, 40, NVE, limit_K=np.inf)
    assert 5 < (energies(field, state, NVE)[0] > 0).sum() < 35
    inverse = np.linalg.inv(TRICLINIC)
    place, h = cartesian(field, state), 1e-4
    for axis in range(3):
        shift = h * np.eye(3)[axis]
        plus, minus = (energies_at(field, (place + s) @ inverse) for s in (shift, -shift))
        force_K_A = -(plus - minus) / (2.0 * h)
        expected = force_K_A * BOLTZMANN_AMU_A2_FS2_PER_K / CH4.mass_amu
        np.testing.assert_allclose(
            state.acceleration[:, axis], expected, atol=1e-7 * abs(expected).max()
        )


@pytest.mark.parametrize("shape", [(5, 6, 7), (2, 3, 4)])
def test_padded_and_periodic_spline_have_the_same_energy(shape):
    """Up to the far faces of the cell, and on grids narrower than the spline."""
    rng = np.random.default_rng(2)
    field = grid_engine.make_field(rng.normal(300.0, 500.0, shape), TRICLINIC, 20_000.0)
    frac = np.concatenate([rng.random((50, 3)), [[1.0, 1.0, 1.0], [0.0, 1.0, 0.5]]])
    padded = [grid_engine.energy_in(field.potential, *place) for place in frac * shape]
    np.testing.assert_allclose(padded, energies_at(field, frac), rtol=1e-9, atol=1e-7)


def test_energies_are_exact_on_the_grid_and_accurate_between(jivfuq):
    """Against a grid twice as fine: the soft cap keeps the spline from ringing in windows."""
    field, energy = field_of(jivfuq)
    fine = lj_grid(jivfuq, CH4, tuple(2 * n for n in energy.shape), 12.0)
    frac = np.argwhere((fine < 1000.0) & (fine > 0.0)) / np.array(fine.shape)
    exact = fine[(fine < 1000.0) & (fine > 0.0)]
    error = energies_at(field, frac) - exact
    on_grid = (np.rint(frac * fine.shape).astype(int) % 2 == 0).all(axis=1)
    assert abs(error[on_grid]).max() < 1e-6
    assert np.sqrt((error**2).mean()) < 10.0
    frac = np.argwhere(fine < 0.0) / np.array(fine.shape)
    error = energies_at(field, frac) - fine[fine < 0.0]
    assert np.sqrt((error**2).mean()) < 4.0


def test_forces_are_continuous_across_the_cell_boundary():
    energy = np.random.default_rng(2).normal(0.0, 500.0, (5, 6, 7))
    field = grid_engine.make_field(energy, TRICLINIC, 20_000.0)
    state = ready(field, energy, 2, NVE, limit_K=np.inf)
    # x = n, which rounding may produce, is the origin
    state.position[:] = [[0.0, 0.0, 0.0], [5.0, 6.0, 7.0]]
    grid_engine.refresh_acceleration(field, state, NVE)
    np.testing.assert_allclose(state.acceleration[0], state.acceleration[1], rtol=1e-12)


@pytest.mark.slow("simulates 6 s")
def test_energy_is_conserved_without_a_thermostat(bukmuq):
    """Drift below 0.1 K a molecule in 200 ps at 1 fs, at the default grid."""
    field, energy = field_of(bukmuq)
    state = ready(field, energy, 30, NVE)
    totals = []
    for _ in range(20):
        totals.append(sum(energies(field, state, NVE)))
        advance_state(field, state, NVE, 30, 1, 10_000)
    totals = np.array(totals)
    drift = totals[-5:].mean(axis=0) - totals[:5].mean(axis=0)
    assert np.sqrt((drift**2).mean()) < 0.1
    assert np.sqrt(totals.var(axis=0).mean()) < 0.1


def test_free_flight_is_a_straight_line_through_the_images():
    field, energy = flat(TRICLINIC)
    state = ready(field, energy, 200, NVE)
    place, velocity = cartesian(field, state), state.velocity.copy()
    frames = advance_state(field, state, NVE, 30, 20, 500)
    times = 500.0 * np.arange(1, 21)
    expected = place + times[:, None, None] * velocity
    np.testing.assert_allclose(frames, expected, atol=1e-7)
    assert abs(state.image).max() > 2
    np.testing.assert_allclose(frames[-1], cartesian(field, state), atol=1e-9)
    # MSD = 3kT/m t^2 over the Maxwell-Boltzmann ensemble, error of 600 squares: 6 %
    msd = ((frames[-1] - place) ** 2).sum(axis=1).mean()
    assert msd == pytest.approx(3.0 * THERMAL * times[-1] ** 2, rel=4 * np.sqrt(2.0 / 600))


def test_speeds_are_maxwell_boltzmann_and_keep_their_momentum():
    field, energy = flat(np.eye(3) * 10.0)
    velocity = ready(field, energy, 20_000, NVE).velocity / np.sqrt(THERMAL)
    n = velocity.size
    assert abs(velocity.mean()) < 4.0 / np.sqrt(n)
    assert abs((velocity**2).mean() - 1.0) < 4.0 * np.sqrt(2.0 / n)
    assert abs((velocity**4).mean() - 3.0) < 4.0 * np.sqrt(96.0 / n)
    speed = np.linalg.norm(velocity, axis=1)
    assert speed.mean() == pytest.approx(np.sqrt(8.0 / np.pi), rel=0.01)
    # axes are independent
    assert abs(np.corrcoef(velocity.T) - np.eye(3)).max() < 4.0 / np.sqrt(20_000)


def harmonic(k_K_A2=200.0, length_A=12.0, n=48):
    """k r^2 / 2 about the middle of a cube, capped by periodicity alone."""
    axis = (np.arange(n) / n - 0.5) * length_A
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    energy = 0.5 * k_K_A2 * (x**2 + y**2 + z**2)
    field = grid_engine.make_field(energy, np.eye(3) * length_A, 1e9)
    return field, energy


def test_harmonic_well_has_its_period():
    field, energy = harmonic()
    state = ready(field, energy, 1, NVE)
    state.position[:] = (7.0 / 12.0 * 48, 24.0, 24.0)
    state.velocity[:] = 0.0
    grid_engine.refresh_acceleration(field, state, NVE)
    period = 2.0 * np.pi * np.sqrt(CH4.mass_amu / (200.0 * BOLTZMANN_AMU_A2_FS2_PER_K))
    x = advance_state(field, state, NVE, 1, 10 * int(period), 1)[:, 0, 0] - 6.0
    down = np.flatnonzero((x[:-1] > 0) & (x[1:] <= 0))
    crossing = down + x[down] / (x[down] - x[down + 1])
    assert np.diff(crossing).mean() == pytest.approx(period, rel=1e-4)
    assert x.max() == pytest.approx(1.0, abs=1e-3)


def test_start_is_boltzmann_distributed():
    """Equipartition in a harmonic well: <U> = 3/2 kT, of which 4 standard errors are allowed."""
    field, energy = harmonic()
    state = ready(field, energy, 4000, NVE)
    potential, kinetic = energies(field, state, NVE)
    for u in (potential, kinetic):
        assert abs(u.mean() - 1.5 * T) < 4.0 * T * np.sqrt(1.5 / 4000)
        assert u.var() == pytest.approx(1.5 * T**2, rel=0.2)


def test_start_fills_the_open_points_alone():
    field, energy = flat(np.eye(3) * 10.0, (10, 10, 10))
    open_points = np.zeros(energy.shape, bool)
    open_points[2, :, 9] = True
    state = start(field, open_points, energy, 500, 30, NVE, 3)
    assert (abs(state.position[:, 0] - 2.0) <= 0.5).all()
    off = abs(state.position[:, 2] - 9.0)
    assert (np.minimum(off, 10.0 - off) <= 0.5).all()
    assert np.ptp(state.position[:, 1]) > 9.0
    with pytest.raises(ValueError, match="no open grid point"):
        start(field, np.zeros_like(open_points), energy, 5, 30, NVE, 3)


def test_start_at_given_places_keeps_them_and_draws_the_same_speeds(bukmuq):
    field, energy = field_of(bukmuq, 0.4)
    drawn = ready(field, energy, 30, NVT)
    cells = np.random.default_rng(4).integers(-3, 4, (30, 3))
    given = grid_engine.start_at(field, cartesian(field, drawn) + cells @ field.cell, 30, NVT, 1)
    np.testing.assert_allclose(given.position, drawn.position, atol=1e-9)
    np.testing.assert_allclose(given.acceleration, drawn.acceleration, atol=1e-12)
    assert (given.velocity == drawn.velocity).all()
    corner = grid_engine.start_at(field, np.array([[-1e-18, 0.0, 0.0]]), 30, NVT, 1)
    assert (corner.position < field.shape).all()


def test_thermostat_gives_the_canonical_temperature_and_its_fluctuation(jivfuq):
    field, energy = field_of(jivfuq)
    state = ready(field, energy, 30, NVT)
    trace = []
    for _ in range(2000):
        advance_state(field, state, NVT, 30, 1, 50)
        trace.append(energies(field, state, NVT)[1].mean() / 1.5)
    trace = np.array(trace)
    # 100 ps, correlated over about 0.3 ps: the error of the mean is 31 K / sqrt(150)
    assert trace.mean() == pytest.approx(T, abs=8.0)
    # canonical: var(T) / T^2 = 2 / (3 N)
    assert trace.std() == pytest.approx(T * np.sqrt(2.0 / 90.0), rel=0.2)


def test_chains_do_not_feel_each_other_and_runs_may_be_cut_anywhere(bukmuq):
    field, energy = field_of(bukmuq, 0.4)
    both, one = (ready(field, energy, n, NVT, chain_size=6) for n in (12, 6))
    whole = advance_state(field, both, NVT, 6, 10, 20)
    parts = [advance_state(field, one, NVT, 6, n, 20) for n in (3, 7)]
    assert (np.concatenate(parts) == whole[:, :6]).all()
    assert (one.velocity == both.velocity[:6]).all()


QUICK = {
    "engine": "grid",
    "extend": "never",
    "timestep_fs": 2.0,
    "n_molecules": 40,
    "equilibration_ps": 5.0,
    "production_ps": 150.0,
    "sample_ps": 0.5,
    "spacing_A": 0.3,
    "n_groups": 20,
}


def test_same_seed_same_bits_other_seed_same_value(bukmuq, cifs):
    first = compute(bukmuq, DiffusionSettings(**QUICK))
    assert self_diffusivity(cifs / "BUKMUQ01_clean.cif", **QUICK) == first
    other = compute(bukmuq, DiffusionSettings(seed=1, **QUICK))
    assert other.d_m2_s != first.d_m2_s
    error = np.hypot(first.d_err_m2_s, other.d_err_m2_s)
    assert abs(first.d_m2_s - other.d_m2_s) < 3.0 * error


def test_result_is_plain_and_in_range(bukmuq):
    result = compute(bukmuq, DiffusionSettings(**QUICK))
    assert result.diffusive and result.note == "" and result.engine == "grid"
    assert result.dimensionality == 3
    assert (result.n_molecules, result.n_steps) == (40, 75_000)
    # 2.77(6)e-8 in 2 runs of 60 and 120 molecule-ns at 0.25 Å
    assert abs(result.d_m2_s - 2.77e-8) < 4.0 * result.d_err_m2_s
    assert result.d_err_m2_s < 0.15 * result.d_m2_s
    mean = (result.d_x_m2_s + result.d_y_m2_s + result.d_z_m2_s) / 3.0
    assert mean == pytest.approx(result.d_m2_s)
    assert all(type(v) in (int, float, bool, str) for v in dataclasses.asdict(result).values())


@pytest.mark.slow("simulates 3 s")
def test_a_grown_run_is_the_large_run(bukmuq):
    """In molecules: the bits of one that had all of them from the start."""
    small = QUICK | {"n_molecules": 30, "production_ps": 40.0, "sample_ps": 1.0}
    grown = compute(bukmuq, DiffusionSettings(**small | {"extend": "auto", "target_error": 0.06}))
    assert grown.diffusive and grown.d_err_m2_s <= 0.06 * grown.d_m2_s
    assert grown.n_molecules >= 60 and grown.n_steps >= 20_000
    large = {"n_molecules": grown.n_molecules, "production_ps": grown.n_steps * 2e-3}
    assert compute(bukmuq, DiffusionSettings(**small | large)) == grown
    half = compute(
        bukmuq, DiffusionSettings(**small | large | {"n_molecules": grown.n_molecules // 2})
    )
    assert half.d_err_m2_s > 0.06 * half.d_m2_s


def test_what_there_is_of_a_trajectory_never_changes(bukmuq):
    field, energy = field_of(bukmuq, 0.4)

    def start_of(first):
        return start(field, energy < 20 * T, energy, 6, 3, NVT, 1, first)

    def trajectory():
        return grid_engine.Trajectory(
            field, start_of, NVT, chain_size=3, equilibration_steps=50, steps_per_frame=20
        )

    whole = trajectory().positions(30, 18)
    assert whole.shape == (31, 18, 3)
    grown = trajectory()
    for n_frames, n_molecules in ((5, 6), (12, 6), (12, 12), (4, 18), (30, 18)):
        found = grown.positions(n_frames, n_molecules)
        assert (found == whole[: n_frames + 1, :n_molecules]).all()
    assert len(np.unique(whole[0], axis=0)) == 18


def brownian(n_frames, n_molecules, d_A2_ps, seed, cage_A=0.0):
    """Positions of random walkers, jittering by ``cage_A`` about where they are."""
    x = np.empty((n_frames + 1, n_molecules, 3))
    for m in range(n_molecules):
        rng = np.random.default_rng((seed, m))
        walk = rng.standard_normal((n_frames + 1, 3)) * np.sqrt(2.0 * d_A2_ps)
        x[:, m] = np.cumsum(walk, axis=0) + cage_A * rng.standard_normal(walk.shape)
    return x


def walk_fit(x, first, *, target_error=0.1, cavity_A=5.0, n_molecules=40, more_molecules=False):
    return lengthened(
        lambda n, m: x[: n + 1, :m], first, n_molecules, len(x) - 1, 1.0,
        more_molecules=more_molecules, target_error=target_error, n_groups=20, cavity_A=cavity_A,
    )  # fmt: skip


@pytest.mark.parametrize("more_molecules", [False, True])
def test_stopping_at_the_error_keeps_it_honest(more_molecules):
    """120 walks, each stopped when its own error is 5 %: no bias, deviations as the errors say."""
    z, sizes = [], []
    for seed in range(120):
        x = brownian(*((800, 160) if more_molecules else (1600, 40)), 1.0, seed)
        fit, *size = walk_fit(x, 100, target_error=0.05, more_molecules=more_molecules)
        z.append((fit.d_A2_fs * 1000.0 - 1.0) / (fit.d_err_A2_fs * 1000.0))
        sizes.append(size[more_molecules])
        at_cap = 2 * np.prod(size) > (len(x) - 1) * 40
        assert at_cap or fit.d_err_A2_fs <= 0.05 * fit.d_A2_fs
    z = np.array(z)
    assert len(set(sizes)) > 2
    # Student's t with 19 degrees of freedom: variance 1.12 +- 0.16
    assert 0.6 < z.var() < 1.8
    assert abs(z.mean()) < 4.0 / np.sqrt(len(z))


def test_channels_apart_take_more_molecules_not_more_time():
    """Half of the channels are closed: only more molecules tell how many sit in which."""
    x = brownian(800, 640, 1.0, 3)
    x[:, np.random.default_rng(3).random(640) < 0.5] *= 1e-3
    fit, n_frames, n_molecules = walk_fit(
        np.concatenate([x, np.full((3000, *x.shape[1:]), np.nan)]), 800, more_molecules=True
    )
    assert fit.diffusive and n_frames == 800 and n_molecules >= 160
    assert abs(fit.d_A2_fs * 1000.0 - 0.5) < 3.0 * fit.d_err_A2_fs * 1000.0


def test_slow_walks_get_the_time_they_need():
    """1e-11 m2/s in a cage of 6 Å: not diffusive in 1 ns, within the error in 30."""
    # a frame every 10 ps, D in Å2 a frame
    x = brownian(3000, 40, 0.001 * 10.0, 5, cage_A=0.8)
    fit, n, _ = walk_fit(x, 100, cavity_A=6.0, target_error=0.2)
    assert fit.diffusive and n > 1000
    assert abs(fit.d_A2_fs * 1000.0 - 0.01) < 3.0 * fit.d_err_A2_fs * 1000.0
    assert fit.d_err_A2_fs < 0.3 * fit.d_A2_fs
    short = walk_fit(x[:101], 100, cavity_A=6.0)[0]
    assert not short.diffusive and short.upper_A2_fs * 1000.0 > 0.01


def test_hopeless_runs_are_given_up_before_the_cap():
    x = brownian(10_000, 40, 0.0, 6, cage_A=1.0)
    fit, n, _ = walk_fit(x, 100, cavity_A=6.0, more_molecules=True)
    assert not fit.diffusive and fit.upper_A2_fs > 0
    # MSD 6 Å2 at half of n; at that rate 36 Å2 are out of reach of 10,000 frames once n > 1667
    assert n == 3200


def test_channel_along_a_moves_along_a_alone(jivfuq):
    result = compute(jivfuq, DiffusionSettings(**QUICK))
    assert result.dimensionality == 1 and result.diffusive
    assert max(result.d_y_m2_s, result.d_z_m2_s) < 0.02 * result.d_x_m2_s
    assert result.d_x_m2_s == pytest.approx(3.0 * result.d_m2_s, rel=0.05)


def test_other_lattice_vectors_same_crystal(bukmuq):
    """b' = a + b is the same crystal in an oblique cell: same energies, same diffusivity."""
    a, b, c = bukmuq.cell
    b2 = a + b
    gamma = np.degrees(np.arccos(a @ b2 / np.linalg.norm(a) / np.linalg.norm(b2)))
    lengths = (bukmuq.lengths_A[0], np.linalg.norm(b2), bukmuq.lengths_A[2])
    frac = bukmuq.cart @ np.linalg.inv(np.array([a, b2, c]))
    oblique = make_structure(lengths, (90.0, 90.0, gamma), bukmuq.species, frac)
    straight = compute(bukmuq, DiffusionSettings(**QUICK))
    sheared = compute(oblique, DiffusionSettings(**QUICK))
    error = np.hypot(straight.d_err_m2_s, sheared.d_err_m2_s)
    assert abs(straight.d_m2_s - sheared.d_m2_s) < 3.0 * error
    # a stays along x and c along z, so that components mean the same
    for axis in "xyz":
        d1, d2 = (getattr(r, f"d_{axis}_m2_s") for r in (straight, sheared))
        assert d1 == pytest.approx(d2, rel=0.5)


def test_molecules_in_closed_cages_are_not_diffusive():
    """Wells of 12 kT between flat tops of 25 kT: nothing leaves in 100 ps."""
    n, length = 40, 10.0
    axis = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)
    height = 1.0 - np.prod(np.meshgrid(axis, axis, axis, indexing="ij"), axis=0)
    energy = 25.0 * T * height
    field = grid_engine.make_field(energy, np.eye(3) * length, 20_000.0)
    state = ready(field, energy, 30, NVT, limit_K=12.0 * T)
    trajectory = grid_engine.Trajectory(
        field, lambda _: state, NVT, chain_size=30, equilibration_steps=1000, steps_per_frame=500
    )
    frames = trajectory.positions(200, 30)
    fit = grid_engine_fit(frames)
    assert not fit.diffusive and fit.loglog_slope < 0.1
    assert np.ptp(frames, axis=0).max() < length


def grid_engine_fit(frames):
    from poreflux.diffusion.msd import fit_diffusion

    return fit_diffusion(frames, 0.5, n_groups=10, cavity_A=6.0)


def test_structure_without_a_channel_is_a_bound():
    iron = make_structure((2.87,) * 3, (90.0,) * 3, ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    result = compute(iron)
    assert not result.diffusive and "no channel" in result.note
    assert (result.dimensionality, result.n_steps, result.d_err_m2_s) == (0, 0, 0.0)
    # L v exp(-20) / 3 with v = sqrt(8kT / pi m)
    speed_m_s = np.sqrt(8.0 / np.pi * THERMAL) * 1e5
    assert result.d_m2_s == pytest.approx(2.87e-10 * speed_m_s * np.exp(-20.0) / 3.0)


def test_largest_cavity_of_a_cubic_lattice():
    atom = make_structure((10.0,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    mask = np.ones((20, 20, 20), bool)
    # from the middle to the corner, less sigma/2 of carbon (3.43 Å)
    assert largest_cavity_A(atom, mask) == pytest.approx(10.0 * np.sqrt(3.0) - 3.43, abs=0.05)
    assert largest_cavity_A(atom, ~mask) == 0.0


def test_unknown_element_is_a_structure_error():
    element = make_structure((9.0,) * 3, (90.0,) * 3, ["Og"], [[0.0, 0.0, 0.0]])
    with pytest.raises(StructureError, match="Og"):
        compute(element)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"engine": "gromacs"}, "diffusion.engine"),
        ({"start": "grid"}, "diffusion.start"),
        ({"extend": "yes"}, "diffusion.extend"),
        ({"target_error": 0.0}, "diffusion.target_error"),
        ({"max_ps": 500.0}, "diffusion.max_ps"),
        ({"rare_events": "kmc"}, "diffusion.rare_events"),
        ({"lammps_package": "kokkos"}, "diffusion.lammps_package"),
        ({"lammps_threads": 0}, "diffusion.lammps_threads"),
        ({"device": "tpu"}, "diffusion.device"),
        ({"guest": "benzene"}, "unknown guest"),
        ({"temperature_K": 0.0}, "diffusion.temperature_K"),
        ({"timestep_fs": 8.0}, "at most 5 fs"),
        ({"sample_ps": 100.0, "production_ps": 1000.0}, "diffusion.sample_ps"),
        ({"equilibration_ps": -1.0}, "diffusion.equilibration_ps"),
        ({"n_molecules": 1}, "diffusion.n_molecules"),
        ({"n_groups": 61}, "diffusion.n_groups"),
        ({"production_ps": float("nan")}, "diffusion.production_ps"),
    ],
)
def test_wrong_parameters_say_what_and_where(bukmuq, params, message):
    with pytest.raises(ConfigError, match=message):
        compute(bukmuq, DiffusionSettings(**params))


@pytest.mark.slow("compiles and simulates 4 s")
def test_warm_up_compiles_everything_a_run_needs(bukmuq):
    warm_up()
    before = grid_engine._run.signatures
    compute(bukmuq, DiffusionSettings(**QUICK | {"production_ps": 20.0}))
    assert grid_engine._run.signatures == before
