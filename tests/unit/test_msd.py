"""Mean squared displacement and diffusivity against closed forms and a double loop."""

import numpy as np
import pytest
from scipy.signal import lfilter

from poreflux.diffusion.msd import fit_diffusion, lengthened, mean_squared_displacement


def walk(n_frames, n_molecules, d_A2_ps, seed, interval_ps=1.0):
    """Brownian motion with diffusivities ``d_A2_ps`` along x, y, z."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((n_frames, n_molecules, 3))
    return np.cumsum(steps * np.sqrt(2.0 * np.asarray(d_A2_ps) * interval_ps), axis=0)


def naive_msd(x):
    out = np.zeros_like(x)
    for lag in range(1, len(x)):
        out[lag] = ((x[lag:] - x[:-lag]) ** 2).mean(axis=0)
    return out


@pytest.mark.parametrize("n_frames", [1, 2, 7, 64, 101])
def test_fft_equals_the_double_loop(n_frames):
    # far from the origin, where cancellation would show
    x = walk(n_frames, 3, (1.0, 5.0, 0.2), seed=1) + np.array([1e4, -3e3, 0.0])
    np.testing.assert_allclose(mean_squared_displacement(x), naive_msd(x), atol=1e-8, rtol=1e-9)


def test_shape_is_checked():
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        mean_squared_displacement(np.zeros((4, 3)))


def test_random_walk_gives_its_diffusivity_and_components():
    d = np.array([1.0, 3.0, 8.0])
    fit = fit_diffusion(walk(2000, 100, d, seed=2), 1.0, n_groups=20, cavity_A=8.0)
    assert fit.diffusive and fit.note == ""
    assert abs(fit.d_A2_fs * 1000.0 - d.mean()) < 3.0 * fit.d_err_A2_fs * 1000.0
    found, error = fit.d_components_A2_fs * 1000.0, fit.d_components_err_A2_fs * 1000.0
    assert (abs(found - d) < 4.0 * error).all()
    assert (error < 0.1 * d).all()
    assert fit.upper_A2_fs > fit.d_A2_fs


def test_standard_error_is_calibrated():
    """Deviations over the claimed error have unit variance, and no bias, in 120 walks."""
    z = []
    for seed in range(120):
        fit = fit_diffusion(walk(300, 40, (2.0,) * 3, seed), 1.0, n_groups=20, cavity_A=5.0)
        z.append((fit.d_A2_fs * 1000.0 - 2.0) / (fit.d_err_A2_fs * 1000.0))
    z = np.array(z)
    # variance of 120 values of Student's t with 19 degrees of freedom: 1.12 +- 0.16
    assert 0.6 < z.var() < 1.7
    assert abs(z.mean()) < 4.0 / np.sqrt(120)


def test_precision_comes_from_early_windows():
    fit = fit_diffusion(walk(2000, 40, (5.0,) * 3, seed=3), 1.0, n_groups=20, cavity_A=8.0)
    assert fit.window_ps[1] <= 150.0
    assert fit.d_err_A2_fs < 0.05 * fit.d_A2_fs


def test_motion_inside_a_cage_does_not_bias_a_slow_walk():
    """A walk plus a rattle of 3 Å: the intercept of the line takes the rattle up."""
    rng = np.random.default_rng(4)
    x = walk(4000, 60, (0.1,) * 3, seed=5) + 3.0 * rng.standard_normal((4000, 60, 3))
    fit = fit_diffusion(x, 1.0, n_groups=20, cavity_A=6.0)
    assert fit.diffusive
    assert abs(fit.d_A2_fs * 1000.0 - 0.1) < 3.5 * fit.d_err_A2_fs * 1000.0


def tied(n_frames, n_molecules, spread_A, time_ps, rng):
    """Motion about a centre (Ornstein-Uhlenbeck) with a relaxation time, one frame per ps."""
    kick = spread_A * np.sqrt(1.0 - np.exp(-2.0 / time_ps))
    steps = kick * rng.standard_normal((n_frames, n_molecules, 3))
    steps[0] *= spread_A / kick
    return lfilter([1.0], [1.0, -np.exp(-1.0 / time_ps)], steps, axis=0)


def test_slow_crossover_does_not_bias():
    """D(t) falls by a third in 5 to 200 ps, too slowly for a bend in a single window to be seen."""
    off = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = walk(4001, 120, (1.0,) * 3, seed + 100)
        for spread_A, time_ps in ((1.7, 10.0), (2.8, 30.0), (4.5, 100.0)):
            x += tied(4001, 120, spread_A, time_ps, rng)
        fit, _, _ = lengthened(
            lambda frames, molecules, x=x: x[: frames + 1, :molecules],
            500,
            60,
            8000,
            1.0,
            more_molecules=True,
            target_error=0.06,
            n_groups=20,
            cavity_A=8.0,
        )
        off.append((1000.0 * fit.d_A2_fs - 1.0) / (1000.0 * fit.d_err_A2_fs))
    assert abs(np.mean(off)) < 2.5 / np.sqrt(6)


def test_caged_molecules_are_not_diffusive():
    x = 1.5 * np.random.default_rng(6).standard_normal((1000, 40, 3))
    fit = fit_diffusion(x, 1.0, n_groups=20, cavity_A=8.0)
    assert not fit.diffusive
    assert "slope" in fit.note and "cavity" in fit.note
    # the bound is MSD / 6t at 500 ps: 6 * 1.5^2 / (6 * 500) Å2/ps
    assert fit.upper_A2_fs * 1000.0 == pytest.approx(13.5 / 3000.0, rel=0.05)


def test_upper_bound_holds_for_a_walk_too_slow_to_measure():
    rng = np.random.default_rng(7)
    x = walk(1000, 40, (0.001,) * 3, seed=8) + 1.0 * rng.standard_normal((1000, 40, 3))
    fit = fit_diffusion(x, 1.0, n_groups=20, cavity_A=8.0)
    assert not fit.diffusive
    assert 0.001 < fit.upper_A2_fs * 1000.0 < 0.02


def test_ballistic_motion_is_not_diffusive_and_bounds_nothing():
    velocity = np.random.default_rng(9).standard_normal((40, 3))
    x = np.arange(500.0)[:, None, None] * velocity
    fit = fit_diffusion(x, 1.0, n_groups=20, cavity_A=8.0)
    assert fit.loglog_slope == pytest.approx(2.0, abs=1e-6)
    assert not fit.diffusive and fit.upper_A2_fs is None


def test_few_fast_molecules_make_a_large_error():
    """One molecule in forty moves: the scatter over groups says that this is no mean."""
    x = 0.1 * walk(1000, 40, (1.0,) * 3, seed=10)
    x[:, 0] *= 1000.0
    fit = fit_diffusion(x, 1.0, n_groups=20, cavity_A=8.0)
    assert not fit.diffusive and "relative error" in fit.note


def test_limits_are_errors():
    with pytest.raises(ValueError, match="20 frames"):
        fit_diffusion(np.zeros((10, 4, 3)), 1.0, n_groups=2, cavity_A=1.0)
    with pytest.raises(ValueError, match="n_groups"):
        fit_diffusion(np.zeros((50, 4, 3)), 1.0, n_groups=5, cavity_A=1.0)
