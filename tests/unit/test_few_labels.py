"""Kriging in closed form against its definition, and the choice of a source for a few labels."""

import numpy as np
import pytest

from poreflux.base.errors import DataError
from poreflux.learning import few_labels, kriging
from poreflux.learning.few_labels import DIRECT, LINE, MEAN, PROCESS, Candidate, Material
from poreflux.learning.kriging import Rows


@pytest.fixture
def stream():
    return np.random.default_rng(4)


@pytest.fixture
def rows(stream):
    return Rows(stream.normal(size=(25, 3)), stream.normal(size=25))


def solved(trained, rows, y):
    """Mean and variance by the equations of kriging with a drift, written out."""
    kernel = trained.kernel(trained.rows, trained.rows) + trained.noise * np.eye(len(y))
    basis = trained.rows.basis
    p = basis.shape[1]
    system = np.block([[kernel, basis], [basis.T, np.zeros((p, p))]])
    right = np.vstack([trained.kernel(trained.rows, rows), rows.basis.T])
    weights = np.linalg.solve(system, right)
    mean = weights[: len(y)].T @ y
    variance = 1.0 + trained.noise - (weights * right).sum(axis=0)
    return mean, np.sqrt(trained.variance * variance)


def test_predictions_solve_the_equations_of_kriging(rows, stream):
    y = 2.0 * rows.source + np.sin(rows.features[:, 0]) + 0.1 * stream.normal(size=25)
    trained = kriging.fit(rows, y)
    new = Rows(stream.normal(size=(7, 3)), stream.normal(size=7))
    mean, deviation = trained.predict(new)
    expected = solved(trained, new, y)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-8)
    np.testing.assert_allclose(deviation, expected[1], rtol=1e-8)
    unknown = np.diag(trained.covariance(new, new)) + trained.noise * trained.variance
    np.testing.assert_allclose(np.sqrt(unknown), deviation, rtol=1e-8)


@pytest.mark.parametrize("process", [True, False])
def test_left_out_residuals_are_those_of_leaving_out(rows, stream, process):
    """Of the same hyperparameters: each row is predicted by the equations without it."""
    y = rows.source + 0.3 * stream.normal(size=25)
    trained = kriging.fit(rows, y, process=process)
    for i in (0, 11):
        rest = np.arange(25) != i
        part = kriging._fitted(rows[rest], y[rest], rows[rest].basis, trained.kernel, trained.noise)
        mean, deviation = part.predict(rows[[i]])
        assert y[i] - mean[0] == pytest.approx(trained.left_out[i], rel=1e-8)
        # the variance is that of all labels
        scale = np.sqrt(trained.variance / part.variance)
        assert deviation[0] * scale == pytest.approx(trained.left_out_std[i], rel=1e-8)


def test_the_line_is_that_of_least_squares(rows, stream):
    y = 3.0 - 2.0 * rows.source + stream.normal(size=25)
    trained = kriging.fit(rows, y, process=False)
    slope, intercept = np.polyfit(rows.source, y, 1)
    np.testing.assert_allclose(trained.line, [intercept, slope], rtol=1e-9)


def material_of(stream, n):
    features = stream.normal(size=(n, 4))
    return Material(features, {"right": stream.normal(size=n), "wrong": stream.normal(size=n)})


def test_the_right_source_is_chosen_and_its_gain_is_sure(stream):
    known = material_of(stream, 30)
    y = np.tanh(known.sources["right"]) + 0.1 * stream.normal(size=30)
    judged = few_labels.judge(known, y, [str(i) for i in range(30)])
    assert {c.source for c in judged.choices} == {"right"}
    gain = judged.gain(judged.chosen, judged.baseline)
    assert gain.is_sure and gain.after < 0.3 < gain.before
    wrong = judged.gain(judged.by_candidate[Candidate(PROCESS, "wrong")], judged.baseline)
    assert not wrong.is_sure
    assert judged.score(judged.chosen)["r2"] > 0.8


def test_random_labels_are_not_learnt(stream):
    sure = []
    for draw in range(5):
        known = material_of(stream, 24)
        y = stream.normal(size=24)
        judged = few_labels.judge(known, y, [str(i) for i in range(24)], seed=draw)
        sure.append(judged.gain(judged.chosen, judged.baseline).is_sure)
        assert -0.5 < judged.score(judged.chosen)["r2"] < 0.2
    assert sum(sure) == 0


def test_rows_of_a_group_are_held_out_together(stream):
    """Copies with the label of their original: learnt by heart unless kept together."""
    known = material_of(stream, 16)
    twice = known[np.tile(np.arange(16), 2)]
    y = np.tile(stream.normal(size=16), 2)
    kept = few_labels.judge(twice, y, [str(i % 16) for i in range(32)])
    leaking = few_labels.judge(twice, y, [str(i) for i in range(32)])
    direct = Candidate(DIRECT)
    assert kept.score(kept.by_candidate[direct])["r2"] < 0.2
    assert leaking.score(leaking.by_candidate[direct])["r2"] > 0.5


def test_a_source_that_is_the_same_everywhere_is_left_out(stream):
    known = Material(stream.normal(size=(20, 2)), {"flat": np.full(20, 3.0)})
    trained = few_labels.train_all(known, stream.normal(size=20))
    assert set(trained) == {Candidate(MEAN), Candidate(DIRECT)}


def test_the_most_informative_rows_are_where_nothing_is_known(stream):
    """A copy of a known row tells little, two copies of an unknown one little more than one."""
    features = stream.normal(size=(20, 2))
    known = Material(features, {"s": features[:, 0]})
    y = np.sin(2.0 * features[:, 0]) + features[:, 1]
    model = few_labels.train_all(known, y, [Candidate(PROCESS, "s"), Candidate(LINE, "s")])
    far = np.array([[6.0, 6.0], [6.0, 6.0], features[0], [-6.0, 6.0]])
    pool = Material(far, {"s": far[:, 0]})
    rows, gains = few_labels.most_informative(model[Candidate(PROCESS, "s")], pool, 4)
    assert sorted(rows) == [0, 1, 2, 3] and set(rows[:2]) & {0, 1} and 3 in rows[:2]
    assert gains == sorted(gains, reverse=True) and gains[2] < 0.5 * gains[1]


@pytest.mark.parametrize(
    ("y", "said"),
    [(np.arange(5.0), "5 labels"), (np.ones(20), "all labels are equal")],
)
def test_what_cannot_be_learnt_is_told(y, said, stream):
    known = material_of(stream, len(y))
    with pytest.raises(DataError, match=said):
        few_labels.judge(known, y, [str(i) for i in range(len(y))])
