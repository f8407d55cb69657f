"""Gaussian processes: against scikit-learn, a function they must learn, and what they store."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from poreflux.learning.learners import gp as gaussian
from poreflux.learning.splits import Split, split


def data(n=120, d=4, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * [1.0, 100.0, 0.01, 1.0][:d] + 5.0
    y = np.sin(x[:, 0]) + (x[:, 1] - 5.0) / 100.0
    return x, y + noise * rng.normal(size=n)


def test_equals_scikit_learn():
    """The stored numbers predict as the library's own object does."""
    x, y = data()
    parts = Split(np.arange(60), np.arange(60, 80), np.arange(80, 120))
    model = gaussian.fit(x, y, [parts], seeds=[1])
    rows = (x[:80] - x[:80].mean(0)) / x[:80].std(0)
    member = model.members[0]
    _, _, variance, length = member.numbers
    noise = GaussianProcessRegressor(
        ConstantKernel(variance, "fixed") * Matern(length, "fixed", nu=1.5) + WhiteKernel(0.1)
    ).fit(rows, (y[:80] - y[:80].mean()) / y[:80].std())
    new = (x[80:] - x[:80].mean(0)) / x[:80].std(0)
    expected = noise.predict(new) * y[:80].std() + y[:80].mean()
    np.testing.assert_allclose(model.predict(x[80:])[0], expected, atol=1e-4)


def test_learns_a_smooth_function_and_leaves_the_test_rows_alone():
    x, y = data()
    parts = split(len(y), 3)
    model = gaussian.fit(x, y, [parts], seeds=[0])
    error = model.predict(x[parts.test])[0] - y[parts.test]
    assert np.sqrt((error**2).mean()) < 0.4 * y.std()
    changed = y.copy()
    changed[parts.test] += 100.0
    again = gaussian.fit(x, changed, [parts], seeds=[0])
    assert again.to_bytes() == model.to_bytes()


def test_bytes_and_selection():
    x, y = data()
    splits = [split(len(y), seed) for seed in range(3)]
    source = gaussian.fit(x, y + 1.0, splits[:1], seeds=[5])
    model = gaussian.fit(x, y, splits, seeds=[0, 1, 2], source=source)
    back = gaussian.from_bytes(model.to_bytes())
    assert len(back) == 3
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    np.testing.assert_array_equal(model.select([2]).predict(x)[0], model.predict(x)[2])


def test_a_source_that_knows_the_answer_helps():
    """Twelve labels of a function of many features, and a source model that has seen it all."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 6))
    y = np.sin(2.0 * x[:, 0]) * x[:, 1]
    whole = Split(np.arange(300), np.arange(0), np.arange(0))
    few = Split(np.arange(12), np.arange(0), np.arange(12, 300))
    source = gaussian.fit(x, y, [whole], seeds=[0])
    errors = [
        np.abs(gaussian.fit(x, y, [few], seeds=[0], source=s).predict(x)[0] - y)[12:].mean()
        for s in (source, None)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_many_rows_are_thinned_out_and_constant_features_harmless(monkeypatch):
    monkeypatch.setattr(gaussian, "MOST_ROWS", 50)
    x, y = data()
    x = np.column_stack([x, np.full(len(x), 7.0)])
    parts = Split(np.arange(100), np.arange(100, 110), np.arange(110, 120))
    one, two, other = (gaussian.fit(x, y, [parts], seeds=[s]) for s in (1, 1, 2))
    assert one.members[0].rows.shape == (50, 5)
    assert np.isfinite(one.predict(x)).all()
    np.testing.assert_array_equal(one.predict(x), two.predict(x))
    assert (one.predict(x) != other.predict(x)).any()
    shifted = x.copy()
    shifted[:, -1] = 8.0
    assert one.predict(shifted) == pytest.approx(one.predict(x))
