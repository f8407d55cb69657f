"""What the labels say of a source beforehand: the line left out, LogME, and the order they give."""

import numpy as np
import pytest

from poreflux.learning import advisor


@pytest.fixture
def stream():
    return np.random.default_rng(3)


@pytest.mark.parametrize("d", [1, 3])
def test_the_line_is_fitted_anew_without_each_label(stream, d):
    x = stream.normal(size=(20, d))
    y = 3.0 - 2.0 * x[:, 0] + stream.normal(size=20)
    missed, away = [], []
    for i in range(20):
        others = np.arange(20) != i
        basis = np.column_stack([np.ones(20), x])
        line = np.linalg.lstsq(basis[others], y[others], rcond=None)[0]
        missed.append(y[i] - basis[i] @ line)
        away.append(y[i] - y[others].mean())
    expected = 1.0 - np.square(missed).sum() / np.square(away).sum()
    assert advisor.line_left_out_r2(x, y) == pytest.approx(expected, rel=1e-9)


def test_logme_is_the_evidence_at_its_maximum(stream):
    """Against the marginal likelihood of the labels as one normal distribution."""
    x, y = stream.normal(size=(40, 2)), stream.normal(size=40)
    y = y + x[:, 0]
    z, t = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    f = np.column_stack([z, np.ones(40)])

    def evidence(log_alpha, log_beta):
        cov = f @ f.T / np.exp(log_alpha) + np.eye(40) / np.exp(log_beta)
        fit = t @ np.linalg.solve(cov, t)
        return -0.5 * (np.linalg.slogdet(2.0 * np.pi * cov)[1] + fit) / 40

    grid = [evidence(a, b) for a in np.linspace(-2, 6, 81) for b in np.linspace(-2, 3, 51)]
    assert advisor.logme(x, y) == pytest.approx(max(grid), abs=2e-3)


def test_a_source_that_is_the_label_comes_before_noise_and_noise_says_nothing(stream):
    y = stream.normal(size=40)
    near = advisor.advice(y + 0.3 * stream.normal(size=40), y)
    far = advisor.advice(y + 3.0 * stream.normal(size=40), y)
    noise = [advisor.advice(stream.normal(size=40), y) for _ in range(50)]
    for score in advisor.ADVICE_COLUMNS:
        assert near[score] > far[score] > np.median([n[score] for n in noise])
    assert near["line_left_out_r2"] > 0.8
    assert np.median([n["line_left_out_r2"] for n in noise]) < 0.0
    # the unit of the source does not count, nor its sign
    turned = advisor.advice(7.0 - 1e4 * y, y)
    assert turned["line_left_out_r2"] == pytest.approx(1.0)


def test_a_source_that_is_the_same_everywhere_says_nothing(stream):
    y = stream.normal(size=12)
    assert advisor.advice(np.full(12, 4.2), y)["line_left_out_r2"] == pytest.approx(0.0, abs=1e-12)
    twice = np.column_stack([y, y])
    assert advisor.advice(twice, y)["line_left_out_r2"] == pytest.approx(1.0)


def test_no_advice_from_equal_or_too_few_labels(stream):
    x = stream.normal(size=6)
    for y in (np.ones(6), stream.normal(size=3)):
        assert np.isnan(list(advisor.advice(x[: len(y)], y).values())).all()
