"""Equilibration cut, blocking error and the joined estimator on series with known answers."""

import numpy as np
import pytest
from scipy.signal import lfilter

from poreflux.uptake.raspa3 import averaged
from poreflux.uptake.statistics import (
    blocking_error,
    combined,
    effective_samples,
    equilibrated_at,
    estimate,
    tail_factor,
)


def correlated(rng, n, tau):
    """AR(1) series of unit variance and correlation time ``tau``; its error is known."""
    a = np.exp(-1.0 / tau)
    noise = rng.normal(size=n + 50 * int(tau + 1)) * np.sqrt(1 - a * a)
    return lfilter([1.0], [1.0, -a], noise)[-n:], np.sqrt((1 + a) / (1 - a) / n)


@pytest.mark.parametrize("tau", [0.1, 3.0, 30.0])
def test_blocking_error_of_a_correlated_series(tau):
    rng = np.random.default_rng(1)
    found, exact = [], 0.0
    for _ in range(20):
        x, exact = correlated(rng, 16384, tau)
        error, converged = blocking_error(x)
        assert converged
        found.append(error)
    # high by design, see the docstring; 20 runs of at least 8 blocks: their mean to 6 %
    assert 0.95 < np.mean(found) / exact < 1.45


@pytest.mark.parametrize(("n", "tau"), [(512, 2.0), (1024, 8.0)])
def test_means_beyond_three_errors_are_rare(n, tau):
    """A normal distribution has 0.27 % there."""
    rng = np.random.default_rng(7)
    series = [correlated(rng, n, tau)[0] for _ in range(2000)]
    z = np.array([x.mean() / blocking_error(x)[0] for x in series])
    assert np.mean(np.abs(z) > 3.0) < 0.005
    assert 0.6 < np.sqrt(np.mean(z**2)) < 1.1


def test_noise_does_not_hide_how_slow_a_trace_is():
    """N fluctuates over 30 samples, W is white noise: joined, with errors right in their tails."""
    rng = np.random.default_rng(8)
    z = []
    for _ in range(1000):
        slow = 100.0 + correlated(rng, 1200, 30.0)[0]
        found = estimate(slow, 100.0 + 5.0 * rng.normal(size=1200))
        z.append((found.mean - 100.0) / found.error)
    assert np.mean(np.abs(z) > 3.0) < 0.005


def test_tail_factor_is_that_of_student():
    """Tables: the 99.865 % point of Student's t is 3.59 for 15 degrees of freedom."""
    assert 3.0 * tail_factor(16) == pytest.approx(3.59, abs=0.01)
    assert tail_factor(10_000) == pytest.approx(1.0, abs=1e-3)


def test_too_short_a_series_is_reported():
    rng = np.random.default_rng(2)
    x, exact = correlated(rng, 4096, 300.0)
    error, converged = blocking_error(x)
    assert not converged
    assert error > 0.4 * exact


def test_constant_and_tiny_series():
    assert blocking_error(np.full(100, 3.0)) == (0.0, True)
    assert blocking_error(np.array([1.0])) == (np.inf, False)


def test_equilibration_is_found():
    rng = np.random.default_rng(3)
    n = 2000
    for tau in (20, 60):
        x = 100.0 - 30.0 * np.exp(-np.arange(n) / tau) + rng.normal(size=n)
        cut = equilibrated_at(x)
        # what is left of the transient at the cut is small against the noise of one sample
        assert 30.0 * np.exp(-cut / tau) < 1.5
        assert cut < 12 * tau


def test_stationary_series_is_hardly_cut():
    rng = np.random.default_rng(4)
    cuts = [equilibrated_at(rng.normal(size=1000)) for _ in range(50)]
    assert np.median(cuts) < 150


def test_drifting_series_is_not_equilibrated():
    x = np.linspace(0.0, 10.0, 1000)
    assert not estimate(x, x).equilibrated


def test_combined_weighs_the_better_estimator():
    rng = np.random.default_rng(5)
    good = 5.0 + 0.01 * rng.normal(size=4000)
    bad = 5.0 + rng.normal(size=4000)
    for n, w in ((good, bad), (bad, good)):
        joined, confirmed = combined(n, w)
        assert confirmed
        # 64 blocks give the weights, so the better one's variance grows by a few per cent
        assert joined.std() < 0.0115
        assert joined.mean() == pytest.approx(5.0, abs=4 * 0.0115 / np.sqrt(4000))


@pytest.mark.parametrize("mean", [1e-6, 1e-3])
def test_a_molecule_that_is_hardly_ever_there_is_not_taken_for_none(mean):
    rng = np.random.default_rng(2)
    seen = (rng.random(4000) < mean).astype(float)
    tried = mean * (1.0 + 0.1 * rng.normal(size=4000))
    found = estimate(seen, tried)
    assert found.mean == pytest.approx(mean, rel=0.01) and 0.0 < found.error < 0.01 * mean


@pytest.mark.parametrize("found", ["no gap", "one gap", "other states"])
def test_insertions_that_say_nothing_are_left_out(found):
    """A dense, cold state: N hardly moves, and W is not sampled, or belongs to other states."""
    rng = np.random.default_rng(6)
    n = 137.0 + 0.07 * correlated(rng, 4000, 20.0)[0]
    w = 7.5e-4 * np.exp(3.0 * rng.normal(size=4000))
    if found == "one gap":
        w[1234] = 4000 * 137.0
    if found == "other states":
        w = 100.0 + 10.0 * rng.normal(size=4000)
    result = estimate(n, w)
    assert result.mean == pytest.approx(137.0, abs=0.05)
    assert not result.confirmed


def test_a_chain_that_is_stuck_is_not_confirmed():
    result = estimate(np.full(4000, 137.0), np.full(4000, 1e-9))
    assert result.mean == 137.0 and not result.confirmed


def test_effective_samples():
    assert effective_samples(np.full(50, 1e-300)) == pytest.approx(50.0)
    assert effective_samples(np.array([1.0, 0.0, 0.0, 1.0])) == pytest.approx(2.0)
    for nothing in (np.zeros(5), np.array([1.0, np.inf]), np.array([1.0, np.nan])):
        assert effective_samples(nothing) == 0.0


def test_raspa3_averages_production_alone():
    """A box that fills from 0 to 60 molecules in 300 cycles, then holds 50 to 70."""
    production = np.tile([50.0, 70.0], 400)
    trace = np.concatenate([np.linspace(0.0, 60.0, 300), production])
    found, before, after = averaged(trace, 300)
    kept = production[found.discarded :]
    # a cycle has max(20, N) moves, and each sample their weight
    assert found.mean == pytest.approx((kept**2).sum() / kept.sum())
    assert found.mean == pytest.approx(60.0 + 100.0 / 60.0, rel=1e-3)
    assert before == int(np.maximum(20.0, trace[: 300 + found.discarded]).sum())
    assert after == kept.sum()
