"""Diffusion in harmonic coordinates, against dynamics and rates that share no code with it.

The fields are sums of plane waves, whose energies and forces are known everywhere; the references
fly molecules in them by their own integrator.
"""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from numba import njit

from poreflux.base.units import BOLTZMANN_AMU_A2_FS2_PER_K
from poreflux.diffusion import DiffusionSettings, compute, harmonic
from poreflux.diffusion.grid_engine import Dynamics
from poreflux.diffusion.harmonic import Paths, harmonic_diffusivity
from poreflux.diffusion.hopping import hopping_diffusivity
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures import packages
from poreflux.structures.cif import parse_cif, read_cif

T, MASS, SIDE = 298.0, 16.04, 10.0
KELVIN = BOLTZMANN_AMU_A2_FS2_PER_K / MASS
THERMAL = KELVIN * T
DYNAMICS = Dynamics(MASS, T, 2.0, 0.0)
CUBE = SIDE * np.eye(3)


# --- fields and dynamics of their own ------------------------------------------------------------


class Waves:
    """Energy (K): sum of ``heights_kT`` T cos(2 pi n . f), f fractional, over integers n (n, 3)."""

    def __init__(self, integers, heights_kT, cell=CUBE):
        self.cell = np.array(cell, float)
        self.waves = 2.0 * np.pi * np.array(integers, float) @ np.linalg.inv(self.cell).T
        self.heights = T * np.array(heights_kT, float)

    def energy(self, places):
        """Energies (K) at Cartesian places (..., 3)."""
        return np.cos(places @ self.waves.T) @ self.heights

    def grid(self, shape, cell=None):
        """Energies on a grid of its own or another cell, K."""
        axes = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
        return self.energy(np.stack(axes, axis=-1) @ (self.cell if cell is None else cell))

    @property
    def lowest_K(self):
        return self.grid((24, 24, 24)).min()

    def canonical(self, n, rng):
        """Places (n, 3) from the Boltzmann distribution, by rejection, and Maxwell velocities."""
        found = np.empty((0, 3))
        while len(found) < n:
            tried = rng.random((50_000, 3)) @ self.cell
            weight = np.exp((self.lowest_K - 0.2 * T - self.energy(tried)) / T)
            found = np.concatenate([found, tried[rng.random(len(tried)) < weight]])
        return found[:n], maxwell(n, rng)

    def flown(self, place, velocity, ps, n_frames, dt_fs=4.0):
        """Places after each of ``n_frames`` equal parts of ``ps``, (n_frames, n, 3)."""
        out = np.empty((n_frames, *place.shape))
        steps = round(1000.0 * ps / n_frames / dt_fs)
        _fly(place, velocity, self.waves, KELVIN * self.heights, dt_fs, steps, out)
        return out


@njit(cache=True)
def _force(place, waves, heights, out):
    out[:] = 0.0
    for n in range(len(heights)):
        phase = waves[n, 0] * place[0] + waves[n, 1] * place[1] + waves[n, 2] * place[2]
        size = heights[n] * math.sin(phase)
        for c in range(3):
            out[c] += size * waves[n, c]


@njit(cache=True)
def _fly(place, velocity, waves, heights, dt, steps, out):
    """Leapfrog: half kick, drift, half kick."""
    force = np.empty(3)
    for m in range(len(place)):
        x, v = place[m].copy(), velocity[m].copy()
        _force(x, waves, heights, force)
        for frame in range(out.shape[0]):
            for _ in range(steps):
                for c in range(3):
                    v[c] += 0.5 * dt * force[c]
                    x[c] += dt * v[c]
                _force(x, waves, heights, force)
                for c in range(3):
                    v[c] += 0.5 * dt * force[c]
            for c in range(3):
                out[frame, m, c] = x[c]


def maxwell(n, rng):
    return math.sqrt(THERMAL) * rng.normal(size=(n, 3))


DOUBLE = [(2, 0, 0), (0, 2, 0), (0, 0, 2)]
PAIRS = [(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]
TRIPLES = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)]


def sheet(a_kT=3.0, bumps_kT=0.0, shares=(1.0, 1.0, 1.0)):
    """a (p cos x + q cos y + r cos z)^2 - bumps cos x cos y cos z: about Schwarz's P surface.

    Nothing flies far along it, so that molecules of any energy diffuse.
    """
    p, q, r = shares
    pairs = [p * q, p * q, p * r, p * r, q * r, q * r]
    heights = [0.5 * a_kT * s * s for s in shares] + [a_kT * pair for pair in pairs]
    return Waves(DOUBLE + PAIRS + TRIPLES, heights + [-0.25 * bumps_kT] * 4)


def honeycomb(barrier_kT):
    """Bumps on a lattice of triangles, SIDE apart: wells between three each, and walls across z.

    A well is that of Henon and Heiles: three ways out, none straight ahead of another.
    """
    heights = [2.0 * barrier_kT] * 3 + [15.0 + barrier_kT]
    cell = np.diag([math.sqrt(3.0) * SIDE, SIDE, 0.5 * SIDE])
    return Waves([(2, 0, 0), (1, 1, 0), (1, -1, 0), (0, 0, 1)], heights, cell)


def prepared(field, shape=(24, 24, 24), cell=None, threshold_kT=20.0):
    """Threshold above the lowest energy."""
    cell = field.cell if cell is None else cell
    return harmonic.prepare(
        field.grid(shape, cell), cell, DYNAMICS,
        threshold_kT=field.lowest_K / T + threshold_kT, cap_K=1e9,
    )  # fmt: skip


def found(field, shape=(24, 24, 24), cell=None, threshold_kT=20.0, **options):
    cell = field.cell if cell is None else cell
    return harmonic_diffusivity(
        field.grid(shape, cell), cell, DYNAMICS,
        threshold_kT=field.lowest_K / T + threshold_kT, cap_K=1e9, **{"seed": 1} | options,
    )  # fmt: skip


# --- truth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "shape", "axes", "target_error"),
    [
        (sheet(), (32, 32, 32), (0, 1, 2), 0.05),
        (sheet(bumps_kT=6.0), (32, 32, 32), (0, 1, 2), 0.05),
        (honeycomb(2.0), (48, 28, 16), (0, 1), 0.1),
    ],
    ids=["sheet", "sheet with bumps", "honeycomb"],
)
def test_long_dynamics_diffuse_as_fast(field, shape, axes, target_error):
    """The slope of the mean squared displacement of molecules at constant energy."""
    place, velocity = field.canonical(1000, np.random.default_rng(5))
    frames = field.flown(place, velocity, 60.0, 30)[:, :, list(axes)]

    def squares(lag):
        return ((frames[lag:] - frames[:-lag]) ** 2).sum(axis=2).mean(axis=0)

    slopes = (squares(5) - squares(2)) / (2.0 * len(axes) * 6_000.0)
    expected, error = slopes.mean(), slopes.std() / math.sqrt(len(slopes))
    result = found(field, shape, target_error=target_error, most_starts=4096)
    assert result.diffusive
    ours = 3.0 * result.d_A2_fs / len(axes)
    our_error = 3.0 * result.d_err_A2_fs / len(axes)
    assert error < 0.12 * expected and our_error < 0.13 * expected
    assert abs(ours - expected) < 3.0 * math.hypot(error, our_error)


def hops_on_a_honeycomb(field, n, ps, rng):
    """D from crossings of the edges between wells: with transmission, its error, and without.

    Reactive flux: y is the site that a molecule is nearest to, and ydot is on the edges of the
    sites' triangles, from bump to bump. A cell has 6, this one is on the y axis.
    """
    bond = SIDE / math.sqrt(3.0)
    along = SIDE * (np.arange(2000) + 0.5) / 2000
    edge = np.stack([0.0 * along, along, 0.0 * along + 0.25 * SIDE], axis=1)
    weight = np.exp((field.lowest_K - field.energy(edge)) / T)
    plane = field.grid((120, 72, 2))[:, :, 1]
    held = np.exp((field.lowest_K - plane) / T).mean() * math.sqrt(3.0) * SIDE**2
    flux = 6.0 * SIDE * weight.mean() * math.sqrt(2.0 * THERMAL / math.pi) / held

    place = edge[rng.choice(len(edge), n, p=weight / weight.sum())]
    velocity = maxwell(n, rng)
    # as they pass a line
    velocity[:, 0] = np.sqrt(-2.0 * THERMAL * np.log(1.0 - rng.random(n)))
    sides = np.diag(field.cell)[:2]
    sites = np.array([[-0.5 * bond, 0.5 * SIDE], [0.5 * bond, 0.5 * SIDE]])
    sites = np.concatenate([sites, sites + 0.5 * sides])

    def site(x):
        images = sites + sides * np.rint((x[:, None] - sites) / sides)
        nearest = ((x[:, None] - images) ** 2).sum(axis=2).argmin(axis=1)
        return images[np.arange(len(x)), nearest]

    ends = [site(field.flown(place, v, ps, 1)[0][:, :2]) for v in (velocity, -velocity)]
    hops = 0.5 * bond * (ends[0] - ends[1])[:, 0]
    return (
        0.5 * flux * hops.mean(),
        0.5 * flux * hops.std() / math.sqrt(n),
        0.5 * flux * 0.5 * bond**2,
    )


@pytest.mark.parametrize("barrier_kT", [10.0, 20.0, 40.0])
def test_rare_hops_have_the_rate_of_theory_and_its_transmission(barrier_kT):
    field = honeycomb(barrier_kT)
    limits = {"target_error": 0.1, "longest_ps": 16.0, "most_starts": 4096}
    result = found(field, (64, 40, 16), threshold_kT=barrier_kT + 8.0, **limits)
    assert result.diffusive
    ours, our_error = 1.5 * result.d_A2_fs, 1.5 * result.d_err_A2_fs
    rng = np.random.default_rng(3)
    expected, error, theory = hops_on_a_honeycomb(field, 2000, result.time_ps, rng)
    assert abs(ours - expected) < 3.0 * math.hypot(error, our_error)
    # harmonic: curvature 3/4 of a wave's in the well, and 3/2 across the saddle
    wave = 2.0 * barrier_kT * THERMAL * (4.0 * np.pi / math.sqrt(3.0) / SIDE) ** 2
    rate = 0.75 * wave / math.sqrt(1.5 * wave) / (2.0 * np.pi) * math.exp(-barrier_kT)
    assert theory == pytest.approx(0.75 * rate * SIDE**2 / 3.0, rel=2.0 / barrier_kT)
    # a molecule that came through one window finds another, or back, before it settles
    assert 0.15 < ours / theory < 1.0


def test_a_gas_flies_on_and_is_no_diffusion():
    result = found(Waves([(1, 0, 0)], [0.0]), (8, 8, 8), longest_ps=4.0)
    assert result.reason == harmonic.BALLISTIC and not result.diffusive
    expected = THERMAL * 1000.0 * result.times_ps
    assert (abs(result.curve_A2_fs - expected) < 4.0 * result.curve_err_A2_fs).all()
    assert (result.curve_err_A2_fs < 0.05 * expected).all()


def test_a_smooth_channel_is_ballistic_too():
    straight = Waves([(1, 0, 0), (0, 1, 0)], [8.0, 8.0])
    assert found(straight, (40, 40, 4), longest_ps=8.0).reason == harmonic.BALLISTIC


def test_wells_without_windows_have_no_channel():
    result = found(honeycomb(30.0), threshold_kT=25.0)
    assert result.reason == harmonic.NO_CHANNEL
    assert result.d_A2_fs == 0.0 and result.n_starts == 0 and not result.principal_A2_fs.any()


# --- the estimator -------------------------------------------------------------------------------


def test_weights_of_paths_are_exact():
    """Where paths reach everywhere, the mean of 1 over them is 1: all of Boltzmann is there."""
    landscape = prepared(Waves([(1, 0, 0), (0, 1, 0)], [1.5, 3.0]), (40, 40, 8))
    for level in (0, 3):
        batch = Paths(landscape, seed=2).together(4000, level)
        ones = landscape.scale * batch.found.mean() * batch.weights
        share = batch.found.std() / batch.found.mean()
        error = math.hypot(ones.std(), share) / math.sqrt(4000)
        assert abs(ones.mean() - 1.0) < 4.0 * error < 0.1


def test_the_corrector_decides_how_soon_not_where():
    """Half of chi, and ripples on it: other starts and coordinates, the same limit."""
    landscape = prepared(sheet())
    options = {"seed": 4, "target_error": 0.04, "longest_ps": 16.0, "most_starts": 4096}
    best = harmonic.run(landscape, **options)
    shape = landscape.corrector_A.shape
    phase = 2.0 * np.pi * np.arange(shape[0])[:, None, None, None] / shape[0]
    worse = 0.5 * landscape.corrector_A + np.sin(phase) * np.ones(shape)
    changed = harmonic.run(dataclasses.replace(landscape, corrector_A=worse), **options)
    assert changed.curve_A2_fs[0] > best.curve_A2_fs[0] + 3.0 * changed.curve_err_A2_fs[0]
    error = math.hypot(best.d_err_A2_fs, changed.d_err_A2_fs)
    assert abs(changed.d_A2_fs - best.d_A2_fs) < 3.0 * error < 0.2 * best.d_A2_fs


def test_errors_are_calibrated():
    landscape = prepared(sheet())
    options = {"target_error": 1.0, "longest_ps": 2.0, "most_starts": 1024}
    runs = [harmonic.run(landscape, seed=s, **options) for s in range(20)]
    d, error = np.array([(r.d_A2_fs, r.d_err_A2_fs) for r in runs]).T
    # 0.6 to 1.5 are beyond the 99.8 % limits of chi squared with 19 degrees of freedom
    assert 0.6 < d.std(ddof=1) / error.mean() < 1.5


def test_paths_do_not_depend_on_what_ran_before():
    landscape = prepared(sheet(), (16, 16, 16))
    whole = Paths(landscape, 7).tensors(60, 2)
    parts = Paths(landscape, 7)
    for n, level in ((20, 1), (20, 2), (40, 2), (60, 2)):
        parts.tensors(n, level)
    np.testing.assert_array_equal(whole, parts.tensors(60, 2))
    assert not np.array_equal(whole, Paths(landscape, 8).tensors(60, 2))


# --- one crystal, many cells ---------------------------------------------------------------------


# no two axes are alike
UNEQUAL = sheet(shares=(1.3, 1.0, 0.7))


@cache
def unequal():
    return found(UNEQUAL)


def rotation():
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


@pytest.mark.parametrize(
    ("vectors", "shape"),
    [
        ([[0, 0, 1], [1, 0, 0], [0, 1, 0]], (24, 24, 24)),
        ([[1, 0, 0], [1, 1, 0], [-1, 1, 1]], (24, 34, 42)),
        ([[1, 0, 0], [0, 2, 0], [0, 0, 1]], (24, 48, 24)),
    ],
    ids=["permuted", "sheared", "supercell"],
)
def test_the_choice_of_the_cell_does_not_matter(vectors, shape):
    plain, other = unequal(), found(UNEQUAL, shape, np.array(vectors) @ CUBE)
    error = np.hypot(plain.tensor_err_A2_fs, other.tensor_err_A2_fs)
    assert plain.diffusive and other.diffusive
    assert (abs(plain.tensor_A2_fs - other.tensor_A2_fs) < 4.0 * error).all()
    assert plain.principal_A2_fs[0] > 1.3 * plain.principal_A2_fs[2]


def test_the_tensor_turns_with_the_crystal():
    turn = rotation()
    plain = unequal()
    turned = harmonic_diffusivity(
        UNEQUAL.grid((24, 24, 24)), CUBE @ turn.T, DYNAMICS,
        threshold_kT=UNEQUAL.lowest_K / T + 20.0, cap_K=1e9, seed=1,
    )  # fmt: skip
    back = turn.T @ turned.tensor_A2_fs @ turn
    error = plain.tensor_err_A2_fs.max() + turned.tensor_err_A2_fs.max()
    assert abs(back - plain.tensor_A2_fs).max() < 3.0 * error
    np.testing.assert_allclose(turned.principal_A2_fs, plain.principal_A2_fs, atol=3.0 * error)


# --- the stage -----------------------------------------------------------------------------------


def test_the_stage_gives_tensor_time_and_error(cifs):
    settings = DiffusionSettings(engine="harmonic", timestep_fs=2.0, target_error=0.2)
    result = compute(read_cif(cifs / "BUKMUQ01_clean.cif"), settings)
    assert (result.engine, result.diffusive, result.note) == ("harmonic", True, "")
    assert 0.0 < result.d_err_m2_s <= 0.2 * result.d_m2_s
    assert result.d_1_m2_s >= result.d_2_m2_s >= result.d_3_m2_s
    for three in ("x", "y", "z"), ("1", "2", "3"):
        total = sum(getattr(result, f"d_{name}_m2_s") for name in three)
        assert total == pytest.approx(3.0 * result.d_m2_s)
    assert result.time_ps >= 4.0 and result.n_molecules >= 512
    assert result.n_steps == round(3.0 * result.time_ps * 1000.0 / 2.0)
    assert math.isnan(result.msd_loglog_slope)


def test_dynamics_of_the_grid_engine_agrees(cifs):
    """The two share the integrator, not how D is read from it: MSD, or y."""
    structure = read_cif(cifs / "BUKMUQ01_clean.cif")
    quick = {"engine": "grid", "production_ps": 200.0, "n_molecules": 60, "target_error": 0.15}
    by_msd = compute(structure, DiffusionSettings(**quick))
    ours = compute(structure)
    assert by_msd.diffusive
    error = math.hypot(by_msd.d_err_m2_s, ours.d_err_m2_s)
    assert abs(by_msd.d_m2_s - ours.d_m2_s) < 3.5 * error


@pytest.mark.slow("a grid of 0.15 Å, and paths over high barriers")
def test_cages_in_rows_behind_a_high_barrier_have_the_rate_of_theory():
    """Lower barriers within a row must not pass for the highest one, which is 18 kT up the way."""
    structure = parse_cif(packages.core_mof_cif("2019-ASR", "YEGRAD_clean_h"))
    engine = compute(structure, DiffusionSettings(target_error=0.2))
    assert engine.diffusive
    methane = guest_parameters("CH4")
    energy_K = lj_grid(structure, methane, grid_shape(structure, 0.15), 12.0)
    open_K = np.where(energy_K < 30.0 * T, energy_K, np.inf)
    hops = hopping_diffusivity(open_K, structure.cell, T, THERMAL)
    theory_m2_s = 1e-5 * np.trace(hops.tensor_A2_fs) / 3.0
    # below 3e-10 m2/s theory is within 14 % as a rule (benchmarks/hopping.md)
    assert theory_m2_s / 2.0 < engine.d_m2_s < 2.0 * theory_m2_s
