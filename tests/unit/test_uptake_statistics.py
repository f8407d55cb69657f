"""Equilibration cut, blocking error and the joined estimator on series with known answers."""

import numpy as np
import pytest
from scipy.signal import lfilter

from poreflux.uptake.statistics import blocking_error, combined, equilibrated_at, estimate


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
    assert 0.95 < np.mean(found) / exact < 1.35


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
        joined = combined(n, w)
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
