"""A line with a Gaussian process on the rest: what it must learn, and what it stores."""

import numpy as np

from poreflux.learning import study
from poreflux.learning.learners import gp, gp_line
from poreflux.learning.splits import Split, split


def data(n=80, seed=0):
    """An estimate that is nearly right over ten decades, and what it misses."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.uniform(-8.0, 0.0, n), rng.normal(size=(n, 2))])
    return x, 1.0 + 0.9 * x[:, 0] + 0.3 * np.sin(x[:, 1])


def test_learns_the_line_and_what_it_leaves():
    x, y = data()
    parts = split(len(y), 1)
    model = gp_line.fit(x, y, [parts], seeds=[0])
    error = model.predict(x[parts.test])[0] - y[parts.test]
    assert np.abs(error).max() < 0.1
    np.testing.assert_allclose(model.members[0].line[1], 0.9, atol=0.03)


def test_the_line_holds_where_no_structure_was_learnt():
    """Learnt above 1e-3 and asked at 1e-8: a process alone falls back to its mean."""
    x, y = data(200)
    near, far = np.flatnonzero(x[:, 0] > -3.0), np.flatnonzero(x[:, 0] < -7.0)
    parts = Split(near, near[:0], far)
    with_line = gp_line.fit(x, y, [parts], seeds=[0]).predict(x[far])[0]
    alone = gp.fit(x, y, [parts], seeds=[0]).predict(x[far])[0]
    assert np.abs(with_line - y[far]).max() < 0.5
    assert np.abs(with_line - y[far]).mean() < 0.5 * np.abs(alone - y[far]).mean()


def test_an_estimate_that_says_nothing_leaves_it_all_to_the_process():
    x, y = data()
    x[:, 0] = 3.0
    parts = split(len(y), 1)
    model, alone = gp_line.fit(x, y, [parts], seeds=[0]), gp.fit(x, y, [parts], seeds=[0])
    assert model.members[0].line[1] == 0.0
    np.testing.assert_allclose(model.predict(x), alone.predict(x), atol=1e-6)


def test_bytes_selection_and_source():
    x, y = data()
    splits = [split(len(y), seed) for seed in range(3)]
    source = gp_line.fit(x, y + 1.0, splits[:1], seeds=[5])
    model = gp_line.fit(x, y, splits, seeds=[0, 1, 2], source=source)
    back = gp_line.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    np.testing.assert_array_equal(model.select([2]).predict(x)[0], model.predict(x)[2])
    # a row's prediction does not depend on its company
    np.testing.assert_array_equal(back.predict(x[:1])[:, 0], model.predict(x)[:, 0])


def early(n, seed=0):
    """Three estimates that fall one after another, and a label where they lead to."""
    rng = np.random.default_rng(seed)
    last = rng.uniform(-3.0, 1.0, n)
    steps = rng.gamma(2.0, 0.1, (n, 2))
    x = np.column_stack([last, last + steps[:, 0], last + steps.sum(axis=1), rng.normal(size=n)])
    return x, 0.5 + x[:, 0] - 1.5 * steps[:, 0] + 0.02 * rng.normal(size=n)


def test_several_estimates_tell_where_they_lead_to():
    x, y = early(400)
    few = Split(np.arange(24), np.arange(0), np.arange(24, 400))
    errors = {
        n: np.std(gp_line.fit(x, y, [few], seeds=[0], estimates=n).predict(x[24:])[0] - y[24:])
        for n in (1, 3)
    }
    assert errors[3] < 0.05 and errors[3] < 0.7 * errors[1]
    # far from all of them the line still holds
    model = gp_line.fit(x, y, [few], seeds=[0], estimates=3)
    far, expected = early(50, seed=1)
    far[:, :3] -= 5.0
    assert np.abs(model.predict(far)[0] - (expected - 5.0)).max() < 0.4


def test_estimates_that_are_equal_are_one():
    x, y = data()
    x = np.column_stack([x[:, 0], x[:, 0], x[:, 0], x[:, 1:]])
    parts = split(len(y), 1)
    model = gp_line.fit(x, y, [parts], seeds=[0], estimates=3)
    assert np.abs(model.predict(x[parts.test])[0] - y[parts.test]).max() < 0.15
    np.testing.assert_array_equal(model.members[0].line[2:], 0.0)
    back = gp_line.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(back.predict(x[:1])[:, 0], model.predict(x)[:, 0])


def test_the_learner_is_told_how_many_estimates_its_features_hold(monkeypatch):
    told = []
    monkeypatch.setattr(gp_line, "fit", lambda *args, estimates, **rest: told.append(estimates))
    for learner in ("gp-line+mobility", "gp-line+harmonic"):
        study.fit(
            learner, None, None, [None], phase="direct", label="diffusivity", protocol="fast",
            seeds=[0], device="cpu",
        )  # fmt: skip
    monkeypatch.setattr(gp, "fit", lambda *args, estimates, **rest: told.append(estimates))
    study.fit(
        "gp+harmonic", None, None, [None], phase="direct", label="diffusivity", protocol="fast",
        seeds=[0], device="cpu",
    )  # fmt: skip
    assert told == [1, 3, 3]
