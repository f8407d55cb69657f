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


def of_estimates(n, seed=0):
    """A label that three estimates give by where they lead to, among eight features of noise."""
    rng = np.random.default_rng(seed)
    last = rng.uniform(-3.0, 1.0, n)
    steps = rng.gamma(2.0, 0.1, (n, 2))
    x = np.column_stack([last, last + steps[:, 0], last + steps.sum(axis=1)])
    y = np.maximum(x[:, 0], -2.0) - 1.5 * steps[:, 0] + 0.02 * rng.normal(size=n)
    return np.hstack([x, rng.normal(size=(n, 8))]), y


def test_several_estimates_are_learnt_from_by_themselves():
    x, y = of_estimates(400)
    few = Split(np.arange(40), np.arange(0), np.arange(40, 400))
    errors = {
        n: np.std(gaussian.fit(x, y, [few], seeds=[0], estimates=n).predict(x[40:])[0] - y[40:])
        for n in (1, 3)
    }
    assert errors[3] < 0.7 * errors[1]


def test_several_estimates_as_scikit_learn_adds_two_processes():
    x, y = of_estimates(60)
    parts = Split(np.arange(50), np.arange(0), np.arange(50, 60))
    model = gaussian.fit(x, y, [parts], seeds=[0], estimates=3)
    mean, deviation, variance, length, _, alone, length_alone = model.members[0].numbers
    seen = x.copy()
    seen[:, 1:3] -= x[:, :1]
    rows = (seen - seen[:50].mean(axis=0)) / seen[:50].std(axis=0)
    whole = ConstantKernel(variance, "fixed") * Matern(length, "fixed", nu=1.5)
    part = ConstantKernel(alone, "fixed") * Matern(length_alone, "fixed", nu=1.5)
    labels = (y[:50] - mean) / deviation

    def kernel(a, b):
        return whole(a, b) + part(a[:, :3], b[:, :3])

    within = kernel(rows[:50], rows[:50])
    # the noise from the weights: what they leave of the labels
    noise = np.median((labels - within @ model.members[0].weights) / model.members[0].weights)
    weights = np.linalg.solve(within + noise * np.eye(50), labels)
    expected = mean + deviation * kernel(rows[50:], rows[:50]) @ weights
    np.testing.assert_allclose(model.predict(x[50:])[0], expected, atol=1e-6)
    back = gaussian.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(back.predict(x[:1])[:, 0], model.predict(x)[:, 0])
