import numpy as np
import pytest

from poreflux.learning.learners import ensemble
from poreflux.learning.learners import gp as gaussian
from poreflux.learning.learners import xgboost as xgb
from poreflux.learning.splits import Split, draws


def test_the_share_is_the_least_squares_weight():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=2000)
    noisy, noisier = (labels + s * rng.normal(size=2000) for s in (0.1, 0.2))
    # independent errors: weights as the inverse variances, 4 to 1
    assert ensemble.best_share(noisy, noisier, labels) == pytest.approx(0.8, abs=0.02)
    assert ensemble.best_share(noisy, labels, labels) == 0.0
    assert ensemble.best_share(labels + 5, labels + 9, labels) == 1.0
    assert ensemble.best_share(labels, labels, labels) == 0.5


def step_and_slope(n=160, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 4))
    return x, x[:, 0], np.where(x[:, 1] > 0.0, 2.0, -2.0) * np.where(x[:, 2] > 0.3, 1.0, -1.0)


def test_each_learner_gets_what_it_is_good_at():
    x, slope, step = step_and_slope()
    splits = draws(160, 160, 2, seed=1)
    smooth = ensemble.fit(x, slope, splits, seeds=[1, 2])
    stepped = ensemble.fit(x, step, splits, seeds=[1, 2])
    assert (smooth.shares > 0.8).all()
    assert (stepped.shares < smooth.shares).all()


@pytest.mark.slow("trains 5 s")
def test_the_mean_is_that_of_its_parts_and_stored_ones_predict_the_same():
    x, slope, step = step_and_slope()
    y = slope + step
    splits = draws(160, 100, 3, seed=1)
    source = ensemble.fit(x, 3 * y, splits[:1], seeds=[7])
    stack = ensemble.fit(x, y, splits, seeds=[1, 2, 3], source=source)
    shares = stack.shares[:, None]
    mean = shares * stack.processes.predict(x) + (1 - shares) * stack.boosters.predict(x)
    np.testing.assert_array_equal(stack.predict(x), mean)
    again = ensemble.from_bytes(stack.to_bytes())
    assert again.to_bytes() == stack.to_bytes()
    np.testing.assert_array_equal(again.predict(x), mean)
    np.testing.assert_array_equal(stack.select([2]).predict(x)[0], mean[2])
    parts = [ensemble.fit(x, y, splits[k : k + 1], seeds=[k + 1], source=source) for k in range(3)]
    np.testing.assert_array_equal(ensemble.Pairs.join(parts).predict(x), mean)
    # the members are those of the learners by themselves
    rows = np.sort(np.concatenate([splits[0].train, splits[0].validation]))
    whole = [Split(rows, rows[:0], rows[:0])]
    alone = gaussian.fit(x, y, whole, seeds=[1], source=source.processes)
    np.testing.assert_array_equal(stack.select([0]).processes.predict(x), alone.predict(x))
    trees = ensemble.TREES[stack.trees[0]]
    alone = xgb.fit(x, y, whole, seeds=[1], source=source.boosters, trees=trees)
    np.testing.assert_array_equal(stack.select([0]).boosters.predict(x), alone.predict(x))


def test_what_is_held_out_has_no_say():
    x, slope, step = step_and_slope()
    splits = draws(160, 100, 1, seed=1)
    y = slope + step
    outside = np.setdiff1d(np.arange(160), np.r_[splits[0].train, splits[0].validation])
    other = y.copy()
    other[outside] = 99.0
    one, two = (ensemble.fit(x, values, splits, seeds=[1]) for values in (y, other))
    assert one.to_bytes() == two.to_bytes()
