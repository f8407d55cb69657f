"""The grid engine against closed forms, quadrature, invariants and RASPA3."""

import itertools
import sys
from unittest.mock import MagicMock

import numpy as np
import pytest
from scipy import ndimage

from poreflux import percolation, uptake
from poreflux.base.errors import ConfigError, ExternalToolError, StructureError
from poreflux.base.units import BOLTZMANN_BAR_A3_PER_K
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid, spline_coefficients
from poreflux.structures.cif import parse_cif, read_cif
from poreflux.structures.crystal import cell_matrix, make_structure
from poreflux.structures.packages import core_mof_cifs
from poreflux.uptake import UptakeSettings, grid, raspa3
from poreflux.uptake import kernels as k
from poreflux.uptake.statistics import blocking_error

KELVIN = 298.0
TRICLINIC = cell_matrix((27.0, 28.0, 29.0), (75.0, 85.0, 100.0))
SHORT = {"production_steps": 20_000, "equilibration_steps": 5_000, "max_steps": 200_000}


def chain_in(energy, cell, *, epsilon=148.0, repeats=(1, 1, 1), seed=1, **options):
    host = grid.prepare_host(energy, cell, temperature_K=KELVIN, **options)
    return grid.Chain(
        host,
        epsilon_K=epsilon,
        sigma_A=3.73,
        temperature_K=KELVIN,
        cutoff_A=12.0,
        repeats=repeats,
        seed=seed,
    )


def ideal_number(chain, fugacity_bar):
    return fugacity_bar * chain.volume_A3 / (BOLTZMANN_BAR_A3_PER_K * KELVIN)


def brute_pair_energy(frac, box, epsilon=148.0, sigma=3.73, cutoff=12.0):
    """Nearest images by search over 27 cells, plain truncation."""
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    total = 0.0
    for i in range(len(frac) - 1):
        d = (frac[i] - frac[i + 1 :])[:, None, :] + shifts
        r2 = ((d @ box) ** 2).sum(-1).min(1)
        s6 = (sigma**2 / r2[r2 < cutoff**2]) ** 3
        total += (4.0 * epsilon * (s6 * s6 - s6)).sum()
    return total


@pytest.fixture(scope="module")
def small(cifs):
    return read_cif(cifs / "JIVFUQ_clean.cif")


@pytest.fixture(scope="module")
def isotherm(small):
    return uptake.compute(small, UptakeSettings(seed=3))


@pytest.mark.parametrize("cell", [np.diag([25.0, 26.0, 24.0]), TRICLINIC])
def test_ideal_gas(cell):
    """No host, no interaction: N is Poisson with mean fV/kT."""
    chain = chain_in(np.zeros((10, 11, 12)), cell, epsilon=0.0)
    expected = ideal_number(chain, 30.0)
    chain.set_fugacity(30.0)
    chain.advance(20_000)
    trace_n, trace_w = chain.advance(1_000_000)
    error, converged = blocking_error(trace_n)
    assert converged
    assert abs(trace_n.mean() - expected) < 4 * error
    assert error < 0.01 * expected
    # each trial insertion gives the exact answer
    np.testing.assert_allclose(trace_w, expected, rtol=1e-6)
    positions = chain.positions()
    assert positions.shape == (chain.n_molecules, 3)
    assert ((positions >= 0.0) & (positions < 1.0)).all()


def test_ideal_gas_number_is_poisson():
    chain = chain_in(np.zeros((8, 8, 8)), np.diag([24.0] * 3), epsilon=0.0)
    chain.set_fugacity(6.0)
    mean = ideal_number(chain, 6.0)
    numbers = []
    for _ in range(4000):
        chain.advance(grid.SAMPLE_STEPS)
        numbers.append(chain.n_molecules)
    # 250 steps relax a mean of 2 molecules: the 4000 numbers are independent enough
    assert np.mean(numbers) == pytest.approx(mean, abs=5 * np.sqrt(mean / 4000))
    assert np.var(numbers) == pytest.approx(mean, rel=0.12)


@pytest.mark.parametrize("name", ["CH4", "He", "Xe"])
def test_henry_limit_is_the_widom_integral(small, name):
    """At vanishing fugacity N = f/kT times the integral of exp(-u/kT)."""
    guest = guest_parameters(name)
    energy = lj_grid(small, guest, grid_shape(small, 0.25), 12.0)
    # the same spline, read by scipy at points that no grid shares
    coefficients = spline_coefficients(energy, 20_000.0)
    rng = np.random.default_rng(0)
    points = rng.random((3, 2_000_000)) * np.array(energy.shape)[:, None]
    u = ndimage.map_coordinates(coefficients, points, order=3, mode="grid-wrap", prefilter=False)
    weight = np.exp(-u / KELVIN)
    henry, error = weight.mean(), weight.std() / np.sqrt(len(u))
    options = {"guest": name, "block_pockets": False, "target_error": 0.002}
    # at the lowest no molecule is ever in the cell
    for point in uptake.compute(small, UptakeSettings(pressures_bar=[1e-9, 1e-4], **options)):
        scale = point.fugacity_bar * small.volume_A3 / (BOLTZMANN_BAR_A3_PER_K * KELVIN)
        found = point.uptake_molecules_per_cell / scale
        found_error = found * point.uptake_err_mol_kg / point.uptake_mol_kg
        assert 0.0 < found_error < 0.005 * henry
        assert abs(found - henry) < 4 * np.hypot(error, found_error)


def test_slot_pore_with_two_molecules_by_quadrature():
    """A slot that holds two molecules at most: the grand sum has three terms."""
    n, edge = 96, 24.0
    axis = (np.arange(n) / n - 0.5) * edge
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    energy = 400.0 * (x**2 + y**2) + 12.0 * z**4 - 1200.0
    chain = chain_in(energy, np.diag([edge] * 3), block_pockets=False)
    # Trapezoid sums: in x and y, Gaussians of 0.6 Å, they converge beyond 1e-10 at 0.5 Å;
    # along z, where the molecules meet, the step is finer. The spline is within 0.01 K.
    points = np.stack(
        np.meshgrid(*2 * [np.arange(-3.0, 3.1, 0.5)], np.arange(-4.5, 4.6, 0.125), indexing="ij"),
        -1,
    ).reshape(-1, 3)
    u = 400.0 * (points[:, 0] ** 2 + points[:, 1] ** 2) + 12.0 * points[:, 2] ** 4 - 1200.0
    keep = u < u.min() + 13.0 * KELVIN
    points, b = points[keep], np.exp(-u[keep] / KELVIN)
    volume = 0.5 * 0.5 * 0.125
    q1 = b.sum() * volume
    q2 = 0.0
    for p, w in zip(points, b, strict=True):
        r2 = np.maximum(((points - p) ** 2).sum(1), 1.0)
        s6 = (3.73**2 / r2) ** 3
        q2 += w * (b * np.exp(-592.0 * (s6 * s6 - s6) / KELVIN)).sum()
    q2 *= volume**2
    for fugacity in (2.0, 300.0):
        activity = fugacity / (BOLTZMANN_BAR_A3_PER_K * KELVIN)
        one, two = activity * q1, activity**2 * q2 / 2.0
        expected = (one + 2.0 * two) / (1.0 + one + two)
        chain.set_fugacity(fugacity)
        chain.advance(20_000)
        trace_n, trace_w = chain.advance(1_000_000)
        for trace in (trace_n, trace_w):
            error, _ = blocking_error(trace)
            assert error < 0.02 * expected
            # 0.1 %: quadrature, and three molecules in the slot
            assert abs(trace.mean() - expected) < 4 * error + 0.001 * expected
    assert two > 0.05 * one


@pytest.mark.parametrize("shape", ["one bin", "cell list"])
def test_running_energy_is_the_energy_recomputed(shape):
    """Also against pair sums in numpy, with molecules crossing bins and slots growing."""
    cell = TRICLINIC if shape == "one bin" else cell_matrix((50, 51, 27), (90, 95, 80))
    axis = 2.0 * np.pi * np.arange(16) / 16
    energy = 500.0 * np.cos(axis)[:, None, None] * np.cos(axis)[None, :, None] + np.zeros(16)
    chain = chain_in(energy, cell)
    assert (len(chain.count) > 1) == (shape == "cell list")
    chain.set_fugacity(100.0)
    chain.advance(200_000)
    recomputed, drift = chain.energy_drift()
    assert chain.n_molecules > 64
    assert chain.count.sum() == chain.n_molecules
    # float64 round-off of some 1e5 additions of up to 1e5 K
    assert abs(drift) < 1e-6
    frac = chain.positions()
    coefficients = spline_coefficients(energy, 20_000.0)
    index = (frac * 16).T
    host = ndimage.map_coordinates(
        coefficients, index, order=3, mode="grid-wrap", prefilter=False
    ).sum()
    expected = host + brute_pair_energy(frac, cell)
    # the engine keeps the spline in float32: 1e-4 K a molecule
    assert recomputed == pytest.approx(expected, abs=1e-4 * len(frac))


def test_both_estimators_agree(small):
    """N and beta f V <exp(-beta u)> have one expectation: insertion balances deletion."""
    guest = guest_parameters("CH4")
    energy = lj_grid(small, guest, grid_shape(small, 0.25), 12.0)
    chain = chain_in(energy, small.cell, repeats=small.repeats(24.0))
    for fugacity in (1.0, 30.0):
        chain.set_fugacity(fugacity)
        chain.advance(50_000)
        trace_n, trace_w = chain.advance(800_000)
        errors = [blocking_error(t)[0] for t in (trace_n, trace_w)]
        assert abs(trace_n.mean() - trace_w.mean()) < 4 * np.hypot(*errors)
        assert max(errors) < 0.05 * trace_n.mean()


def test_alias_table_gives_the_weights():
    rng = np.random.default_rng(0)
    n = 1000
    weights = rng.random(n) ** 6
    weights /= weights.sum()
    voxels = rng.permutation(5 * n)[:n].astype(np.int32)
    alias = np.empty(n * k.ALIAS, np.int32)
    work = np.empty(n), np.empty(n, np.int32), np.empty(n, np.int32)
    k.alias_table(weights, voxels, alias, *work)
    odds, first, other = alias.reshape(n, k.ALIAS).T
    odds = odds / k.TWO_31
    assert ((odds >= 0) & (odds < 1)).all()
    total = np.zeros(5 * n)
    np.add.at(total, first, odds / n)
    np.add.at(total, other, (1 - odds) / n)
    # odds are whole multiples of 2^-31; a thousand of them may point at one voxel
    np.testing.assert_allclose(total[voxels], weights, atol=2.0**-31)


def test_insertions_fall_as_the_proposal_density_says():
    """Where each trial would go, counted; and the density is normalised over the cell."""
    n = 6
    energy = np.full((n, n, n), 2e4)
    energy[:, :, :3] = -300.0 * np.arange(n)[:, None, None]
    chain = chain_in(energy, np.diag([24.0] * 3), block_pockets=False)
    chain.set_fugacity(5.0)
    host = chain.host
    density = np.array([k.proposal_density(f, chain.proposal) for f in host.factors])
    assert density.mean() == pytest.approx(1.0, rel=1e-6)
    outside = np.ones(n**3, bool)
    outside[host.voxels] = False
    assert outside.any() and (density[outside] == 0.0).all()
    assert (density[host.voxels] > 0.0).all()
    odds, first, other = chain.proposal.alias.reshape(-1, k.ALIAS).T
    share = np.zeros(n**3)
    np.add.at(share, first, odds / k.TWO_31 / len(first))
    np.add.at(share, other, (1.0 - odds / k.TWO_31) / len(first))
    np.testing.assert_allclose(share * n**3, density, atol=1e-6)


def test_compiled_pair_energy_is_that_of_the_plain_loop():
    """The vectorised sums of the CPU and the plain loop that a GPU runs give the same bits."""
    x, y, z = np.random.default_rng(3).random((3, 82))
    box = np.array([25.0, 3.0, 26.0, -4.0, 2.0, 27.0])
    conditions = k.Conditions(1 / KELVIN, 1.0, 592.0, 3.73**2, 144.0, 1.0, 5000.0, 0.25)
    ones, order = np.ones(3, np.int64), np.arange(82, dtype=np.int32)
    cells = k.Cells(ones, box, box, ones, np.array([0, 1, 1, 0], np.int32))
    for counts, skip in (([0, 0], -1), ([3, 40], 1), ([41, 41], 58), ([38, 39], 77)):
        guests = k.Guests(
            x, y, z, x, x, order, order, np.array(counts, np.int32), 41, np.zeros(41)
        )  # fmt: skip
        arguments = conditions, cells, guests, 0, 0.3, 0.6, 0.9, skip
        assert k.pair_energy(*arguments) == k.pair_energy.py_func(*arguments)


def test_isotherm_rises_within_errors(isotherm):
    loading = np.array([p.uptake_mol_kg for p in isotherm])
    error = np.array([p.uptake_err_mol_kg for p in isotherm])
    assert (np.diff(loading) > -4 * np.hypot(error[1:], error[:-1])).all()
    assert loading[-1] > 2 * loading[0] > 0
    assert [p.pressure_bar for p in isotherm] == list(uptake.DEFAULT_PRESSURES_BAR)
    for p in isotherm:
        assert 0 < p.uptake_err_mol_kg <= 0.02 * p.uptake_mol_kg
        assert p.n_equilibration >= 20_000 and p.n_production >= 100_000
        assert p.converged and abs(p.energy_drift_K) < 1e-6


def test_units_are_consistent(small, isotherm):
    point = isotherm[6]
    moles = point.uptake_molecules_per_cell / 6.02214076e23
    assert point.uptake_mol_kg == pytest.approx(moles / (small.mass_amu * 1.66053906660e-27))
    # 22413.97 cm^3 of ideal gas a mole at 273.15 K and 1 atm
    volume = small.volume_A3 * 1e-24
    assert point.uptake_cm3stp_cm3 == pytest.approx(moles * 22413.97 / volume, rel=1e-6)
    relative = point.uptake_err_mol_kg / point.uptake_mol_kg
    assert point.uptake_err_cm3stp_cm3 / point.uptake_cm3stp_cm3 == pytest.approx(relative)


def test_same_seed_same_bits_whatever_the_order(small):
    one = uptake.compute(small, UptakeSettings(pressures_bar=[1.0, 20.0], seed=5, **SHORT))
    two = uptake.compute(small, UptakeSettings(pressures_bar=[20.0, 1.0], seed=5, **SHORT))
    assert one == two[::-1]
    other = uptake.compute(small, UptakeSettings(pressures_bar=[1.0, 20.0], seed=6, **SHORT))
    assert one[0].uptake_mol_kg != other[0].uptake_mol_kg


def test_supercell_has_the_same_uptake(small, isotherm):
    big = small.supercell((2, 1, 1))
    pressures = [p.pressure_bar for p in isotherm][::4]
    for a, b in zip(
        isotherm[::4], uptake.compute(big, UptakeSettings(pressures_bar=pressures)), strict=True
    ):
        error = np.hypot(a.uptake_err_mol_kg, b.uptake_err_mol_kg)
        assert abs(a.uptake_mol_kg - b.uptake_mol_kg) < 4 * error
        assert b.uptake_molecules_per_cell == pytest.approx(
            2 * a.uptake_molecules_per_cell, rel=0.1
        )


def test_cif_entry_point(cifs, small):
    params = dict(SHORT, seed=2)
    from_file = uptake.isotherm(cifs / "JIVFUQ_clean.cif", 5.0, **params)
    assert from_file == uptake.compute(small, UptakeSettings(pressures_bar=[5.0], **params))


def test_tighter_target_takes_more_steps(small):
    loose = uptake.compute(
        small, UptakeSettings(pressures_bar=[10.0], **(SHORT | {"target_error": 0.05}))
    )[0]
    tight = uptake.compute(
        small,
        UptakeSettings(
            pressures_bar=[10.0], **(SHORT | {"target_error": 0.004, "max_steps": 3_000_000})
        ),
    )[0]
    assert tight.n_production > loose.n_production
    assert tight.uptake_err_mol_kg <= 0.004 * tight.uptake_mol_kg
    error = np.hypot(tight.uptake_err_mol_kg, loose.uptake_err_mol_kg)
    assert abs(tight.uptake_mol_kg - loose.uptake_mol_kg) < 4 * error


def test_paper_protocol_takes_50_000_cycles():
    """Below 20 molecules a cycle is 20 steps: a million steps at each pressure."""
    chain = chain_in(np.zeros((8, 8, 8)), np.diag([24.0] * 3), epsilon=0.0)
    isotherm = grid.IsothermRun(chain, [0.5, 1.0], grid.Schedule("paper"))
    grid.run_all(isotherm)
    for run, fugacity in zip(isotherm.runs, (0.5, 1.0), strict=True):
        state = run.chain.state[0]
        assert state["n_cycles"] == grid.PAPER_CYCLES
        assert state["n_steps"] == 20 * grid.PAPER_CYCLES
        assert run.n_equilibration + run.n_production == 1_000_000
        expected = ideal_number(run.chain, fugacity)
        assert abs(run.estimate.mean - expected) < 4 * run.estimate.error + 1e-6


def test_cold_and_dense_is_right_or_not_converged(small):
    """At 100 K guests leave no gap to insert into: uptake rises, or is said not to be known."""
    settings = UptakeSettings(
        pressures_bar=[1e-3, 0.05, 0.3], temperature_K=100.0, device="cpu", max_steps=200_000
    )
    runs = [uptake.compute(small, settings.changed(seed=seed)) for seed in (0, 1)]
    for points in runs:
        loading = np.array([p.uptake_mol_kg for p in points])
        assert (np.diff(loading) > -0.05 * loading[:-1]).all(), loading
    for one, other in zip(*runs, strict=True):
        error = np.hypot(one.uptake_err_mol_kg, other.uptake_err_mol_kg)
        agree = abs(one.uptake_mol_kg - other.uptake_mol_kg) < 4 * error
        assert agree or not (one.converged and other.converged)


def test_a_well_deeper_than_single_precision_holds_one_molecule():
    """exp(120) is no float32; a well of 1 Å, where a second molecule does not fit, is full."""
    axis = np.arange(48) / 2.0 - 12.0
    r2 = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    energy = -120.0 * KELVIN * np.exp(-r2 / 2.0)
    chain = chain_in(energy, np.diag([24.0] * 3), block_pockets=False)
    assert np.isfinite(chain.host.factors).all()
    chain.set_fugacity(1e-40)
    assert np.isfinite([chain.proposal.scale, chain.proposal.even]).all()
    chain.advance(20_000)
    trace_n, trace_w = chain.advance(20_000)
    assert (trace_n == 1.0).all() and np.isfinite(trace_w).all()


def isotherm_of(small, seed=1, target_error=0.02):
    energy = lj_grid(small, guest_parameters("CH4"), grid_shape(small, 0.25), 12.0)
    chain = chain_in(energy, small.cell, repeats=small.repeats(24.0), seed=seed)
    schedule = grid.Schedule("adaptive", 5_000, 20_000, 400_000, target_error)
    return grid.IsothermRun(chain, [0.5, 2.0, 10.0, 40.0], schedule)


def test_order_of_the_chains_changes_nothing(small):
    """One after the other, all together, or the highest pressure first: the same bits."""
    one = isotherm_of(small)
    grid.run_all(one)
    together = isotherm_of(small)
    while runs := together.waiting():
        for run in runs:
            run.add(*run.chain.advance(run.wanted))
    downwards = isotherm_of(small)
    while runs := downwards.waiting():
        runs[-1].add(*runs[-1].chain.advance(runs[-1].wanted))
    for runs in zip(one.runs, together.runs, downwards.runs, strict=True):
        assert len({(run.estimate, run.n_equilibration, run.n_production) for run in runs}) == 1
        assert len({run.chain.positions().tobytes() for run in runs}) == 1
    # and steps taken in small parts
    parts = isotherm_of(small)
    while runs := parts.waiting():
        run = runs[0]
        traces = [run.chain.advance(250) for _ in range(run.wanted // 250)]
        run.add(*(np.concatenate(t) for t in zip(*traces, strict=True)))
    assert [r.estimate for r in parts.runs] == [r.estimate for r in one.runs]


def test_branched_chains_are_independent(small):
    """Same molecules at first, other random numbers after, and no shared state."""
    isotherm = isotherm_of(small)
    chain = isotherm.runs[0].chain
    chain.advance(50_000)
    one, two = chain.branched(1), chain.branched(2)
    before = chain.positions()
    np.testing.assert_array_equal(one.positions(), before)
    for other in (one, two):
        other.set_fugacity(2.0)
        other.advance(20_000)
        assert abs(other.energy_drift()[1]) < 1e-6
    np.testing.assert_array_equal(chain.positions(), before)
    assert one.positions().tobytes() != two.positions().tobytes()


def test_a_run_below_bounds_the_one_above(small):
    """No pressure averages fewer than half the steps of the one below."""
    isotherm = isotherm_of(small, target_error=0.005)
    grid.run_all(isotherm)
    steps = [run.n_production for run in isotherm.runs]
    assert all(b >= a // 2 - grid.SAMPLE_STEPS for a, b in itertools.pairwise(steps))
    assert max(steps) > 20_000


def cage():
    """A cubic crystal of closed cages: atoms on a sphere in a cell they all but fill."""
    n = 90
    i = np.arange(n) + 0.5
    z, phi = 1 - 2 * i / n, np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z * z)
    sphere = np.stack([r * np.cos(phi), r * np.sin(phi), z], 1) * 4.9 / 10.0 + 0.5
    return make_structure((10.0,) * 3, (90.0,) * 3, ["C"] * n, sphere)


def test_closed_cage_is_blocked_and_reported():
    blocked = uptake.compute(cage(), UptakeSettings(pressures_bar=[1.0, 10.0]))
    for p in blocked:
        assert (p.uptake_mol_kg, p.uptake_err_mol_kg, p.pocket_share) == (0.0, 0.0, 1.0)
        assert p.converged and p.n_production == 0
    free = uptake.compute(
        cage(), UptakeSettings(pressures_bar=[10.0], block_pockets=False, **SHORT)
    )[0]
    assert free.uptake_molecules_per_cell > 0.1
    assert free.pocket_share == 1.0


def test_window_at_the_threshold_is_said():
    """UNIPAJ: saddle points of 19.8 kT, and 20 to 20.5 kT on a grid. Nothing enters, by a hair."""
    cif = dict(core_mof_cifs("2019-ASR", ["UNIPAJ_clean"]))["UNIPAJ_clean"]
    mof = parse_cif(cif)
    assert percolation.compute(mof).e_perc_1_K == pytest.approx(19.8 * 298.0, rel=0.01)
    (found,) = uptake.compute(mof, UptakeSettings(pressures_bar=(65.0,)))
    assert found.uptake_mol_kg == 0.0 and "too near to block_threshold_kT" in found.note
    (wider,) = uptake.compute(mof, UptakeSettings(pressures_bar=(65.0,), block_threshold_kT=21.0))
    assert wider.uptake_mol_kg > 0.0 and not wider.note


def test_pocket_beside_a_channel_is_left_out():
    """Slab channel and a pocket of equal energy: the ideal gas fills the slab alone."""
    n = 24
    energy = np.full((n, n, n), 2e4)
    energy[:, :, 4:10] = 0.0
    energy[8:14, 8:14, 15:20] = 0.0
    cell = np.diag([24.0] * 3)
    blocked = chain_in(energy, cell, epsilon=0.0)
    free = chain_in(energy, cell, epsilon=0.0, block_pockets=False)
    share = 6 * 6 * 5 / (6 * n * n + 6 * 6 * 5)
    assert blocked.host.pocket_share == pytest.approx(share, rel=1e-6)
    blocked.set_fugacity(50.0)
    for _ in range(50):
        blocked.advance(5_000)
        z = blocked.positions()[:, 2] * n
        assert ((z > 2.5) & (z < 11.5)).all()
    free.set_fugacity(50.0)
    seen = False
    for _ in range(50):
        free.advance(5_000)
        seen |= bool((free.positions()[:, 2] * n > 12.5).any())
    assert seen


def test_supercell_too_small_is_an_error():
    with pytest.raises(ValueError, match="twice the cutoff"):
        chain_in(np.zeros((8, 8, 8)), np.diag([23.0, 24.0, 24.0]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"engine": "raspa"}, "engine"),
        ({"device": "gpu"}, "device"),
        ({"device": "cuda"}, "no CUDA device"),
        ({"protocol": "fast"}, "protocol"),
        ({"guest": "CH5"}, "unknown guest"),
        ({"pressures_bar": []}, "empty"),
        ({"pressures_bar": [1.0, 0.0]}, "pressures_bar"),
        ({"pressures_bar": [float("nan")]}, "pressures_bar"),
        ({"temperature_K": -1.0}, "temperature_K"),
        ({"temperature_K": 120.0, "pressures_bar": [50.0]}, "liquid"),
        ({"cutoff_A": 0.0}, "cutoff_A"),
        ({"spacing_A": 0.0}, "spacing_A"),
        ({"cap_K": 100.0}, "cap_K"),
        ({"target_error": 0.0}, "target_error"),
        ({"production_steps": 10}, "production_steps"),
        ({"equilibration_steps": -1}, "equilibration_steps"),
        ({"max_steps": 1000}, "max_steps"),
    ],
)
def test_bad_parameters_are_named(small, params, message):
    with pytest.raises(ConfigError, match=message):
        uptake.compute(small, UptakeSettings(**params))


def test_unknown_element_is_a_structure_error():
    odd = make_structure((12.0,) * 3, (90.0,) * 3, ["C", "Og"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(StructureError, match="Og"):
        uptake.compute(odd)


def test_raspa3_is_told_to_record_all_cycles(small, monkeypatch):
    """RASPA3 records from the first initial cycle on, until what it was given is full."""
    fake = MagicMock()
    cycles = np.concatenate([np.zeros(500), np.full(500, 50.0)])

    def hold(length, *_):
        fake.MonteCarlo().systems[0].property_number_of_molecules_evolution.result = cycles[:length]

    fake.PropertyNumberOfMoleculesEvolution = hold
    monkeypatch.setitem(sys.modules, "raspalib", fake)
    found, before, after = raspa3.run_pressure(
        small, guest_parameters("CH4"), pressure_bar=1.0, fugacity_bar=1.0, temperature_K=298.0,
        cutoff_A=12.0, initial_cycles=500, cycles=500, seed=0,
    )  # fmt: skip
    assert (found.mean, before, after) == (50.0, 500 * 20, 500 * 50)


def test_missing_raspalib_says_what_to_install(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "raspalib", None)
    with pytest.raises(ExternalToolError, match="pip install raspalib"):
        uptake.compute(small, UptakeSettings(engine="raspa3", pressures_bar=[1.0]))


@pytest.mark.slow("runs of RASPA3")
def test_agrees_with_raspa3(small):
    """Below 20 molecules in the box, where RASPA3's cycles have one length."""
    pytest.importorskip("raspalib", reason="RASPA3's Python module is not installed")
    params = {"pressures_bar": [0.2], "target_error": 0.01, "block_pockets": False}
    ours = uptake.compute(small, UptakeSettings(**params))[0]
    theirs = uptake.compute(
        small,
        UptakeSettings(
            engine="raspa3",
            **params | {"production_steps": 80_000, "equilibration_steps": 2_000, "seed": 11},
        ),
    )[0]
    n_cells = np.prod(small.repeats(24.0))
    assert ours.uptake_molecules_per_cell * n_cells < 20
    assert theirs.uptake_err_mol_kg < 0.05 * theirs.uptake_mol_kg
    error = np.hypot(ours.uptake_err_mol_kg, theirs.uptake_err_mol_kg)
    assert abs(ours.uptake_mol_kg - theirs.uptake_mol_kg) < 3 * error
    assert (ours.engine, theirs.engine) == ("grid", "raspa3")
