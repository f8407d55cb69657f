"""A process of two labels: the joint normal distribution itself, and what a source is worth."""

import numpy as np
import pytest

from poreflux.learning.learners import gp, gp_joint
from poreflux.learning.splits import Split

CORRELATION, VARIANCE, LENGTH, NOISE = 0.6, 1.3, 2.0, 0.05


def smooth(x):
    return np.sin(x[:, 0]) + 0.5 * x[:, 1]


def split_of(n, few):
    return Split(np.arange(few), np.arange(0), np.arange(few, n))


@pytest.fixture(scope="module")
def source():
    x = np.random.default_rng(1).normal(size=(120, 3))
    y = smooth(x) + 0.05 * np.random.default_rng(2).normal(size=120)
    return gp_joint.fit(x, y, [split_of(120, 120)], seeds=[0], phase="pretrain")


def test_equal_to_the_normal_distribution_of_both_labels(source):
    """All labels at once, by the covariance of the textbook, (120 + 15) rows."""
    model, stream = source.members[0], np.random.default_rng(3)
    x, new = stream.normal(size=(15, 3)), stream.normal(size=(9, 3))
    known = gp_joint.Known.of(model)
    scaled = [(rows - known.process.centre) / known.process.spread for rows in (x, new)]
    labels = stream.normal(size=15)
    target = gp_joint.Target(known, scaled[0], labels)
    numbers = np.array([CORRELATION, *np.log([VARIANCE, LENGTH, NOISE])])
    own, shared, _ = target.processes(numbers, 0.0, 1.0)
    rows = known.process.rows
    variance, length = known.process.numbers[2:]
    to_source = variance * gp.matern(rows, rows, length) + model.noise[0] * np.eye(120)
    source_labels = to_source @ known.process.weights

    def together(a, b):
        both = CORRELATION**2 * gp.matern(a, b, length)
        return VARIANCE * (both + (1.0 - CORRELATION**2) * gp.matern(a, b, LENGTH))

    def across(a):
        return np.sqrt(variance * VARIANCE) * CORRELATION * gp.matern(a, rows, length)

    within = together(scaled[0], scaled[0]) + NOISE * np.eye(15)
    whole = np.block([[to_source, across(scaled[0]).T], [across(scaled[0]), within]])
    towards = np.hstack([across(scaled[1]), together(scaled[1], scaled[0])])
    expected = towards @ np.linalg.solve(whole, np.concatenate([source_labels, labels]))
    found = own.predict(new) + shared.predict(new)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_without_a_source_it_is_the_process_alone():
    x = np.random.default_rng(4).normal(size=(60, 3))
    parts = split_of(60, 40)
    mine = gp_joint.fit(x, smooth(x), [parts], seeds=[0])
    alone = gp.fit(x, smooth(x), [parts], seeds=[0])
    np.testing.assert_array_equal(mine.predict(x), alone.predict(x))


def errors_of(source, y_of, few=12, n=300):
    """Standard deviations of errors outside ``few`` labels, direct and with the source."""
    x = np.random.default_rng(5).normal(size=(n, 3))
    y, parts = y_of(x), split_of(n, few)
    fitted = [gp_joint.fit(x, y, [parts], seeds=[0], source=given) for given in (None, source)]
    return [np.std(model.predict(x[few:])[0] - y[few:]) for model in fitted]


def test_labels_of_other_structures_help_where_they_are_related(source):
    direct, joint = errors_of(source, lambda x: 3.0 - 2.0 * smooth(x) + 0.2 * x[:, 2])
    assert joint < 0.5 * direct


def test_labels_that_are_not_related_do_little_harm(source):
    direct, joint = errors_of(source, lambda x: np.cos(x[:, 2]) - x[:, 1] ** 2, few=40)
    assert joint < 1.1 * direct


def test_bytes_and_selection(source):
    x = np.random.default_rng(6).normal(size=(40, 3))
    parts = [split_of(40, 20), split_of(40, 30)]
    model = gp_joint.fit(x, smooth(x), parts, seeds=[0, 1], source=source)
    back = gp_joint.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    np.testing.assert_array_equal(back.select([1]).predict(x[:1])[0], model.predict(x)[1, :1])
    assert gp_joint.from_bytes(source.to_bytes()).to_bytes() == source.to_bytes()
