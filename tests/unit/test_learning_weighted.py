"""Boosted trees refitted on source and weighted target rows, as a learner of the study."""

import numpy as np
import pandas as pd
import pytest
from test_learning_study import series, synthetic, uptake_label

from poreflux.learning import study
from poreflux.learning.learners import xgboost_weighted as weighted
from poreflux.learning.splits import Split, split


def shape(x):
    """What source and target labels have in common."""
    return np.sin(3.0 * x[:, 0]) + x[:, 1] * x[:, 2]


@pytest.fixture(scope="module")
def source():
    """A model of 400 rows."""
    stream = np.random.default_rng(1)
    x = stream.uniform(-1.0, 1.0, size=(400, 4))
    return weighted.fit(x, 100.0 + 40.0 * shape(x), [split(400, 1)], seeds=[1])


@pytest.fixture(scope="module")
def target():
    """60 rows whose label falls where the source's rises, then 200 to test on."""
    stream = np.random.default_rng(2)
    x = stream.uniform(-1.0, 1.0, size=(260, 4))
    y = 5.0 - 2.0 * shape(x) + 0.05 * stream.normal(size=260)
    nothing = np.array([], dtype=np.int64)
    draws = [
        Split(np.arange(first, first + 20), nothing, np.arange(60, 260)) for first in (0, 20, 40)
    ]
    return x, y, draws


def errors(model, x, y, draws):
    predicted = model.predict(x)
    return [np.sqrt(np.square(p - y)[d.test].mean()) for p, d in zip(predicted, draws, strict=True)]


@pytest.mark.slow("trains 5 s")
def test_a_related_source_helps_even_where_its_label_has_another_scale_and_sign(source, target):
    x, y, draws = target
    direct = errors(weighted.fit(x, y, draws, seeds=[1, 2, 3]), x, y, draws)
    model = weighted.fit(x, y, draws, seeds=[1, 2, 3], source=source)
    for alone, transferred in zip(direct, errors(model, x, y, draws), strict=True):
        assert transferred < 0.7 * alone


def test_an_unrelated_source_is_outweighed(target):
    """Its label depends on a column that means nothing here. (Its structure must be of use: a
    source with nothing to learn hands over a tree or two.)"""
    x, y, draws = target
    foreign = np.random.default_rng(3).uniform(-1.0, 1.0, (200, 4))
    label = np.sin(6.0 * foreign[:, 3])
    other = weighted.fit(foreign, label, [split(200, 1)], seeds=[1])
    direct = errors(weighted.fit(x, y, draws, seeds=[1, 2, 3]), x, y, draws)
    model = weighted.fit(x, y, draws, seeds=[1, 2, 3], source=other)
    assert np.mean(errors(model, x, y, draws)) < 1.15 * np.mean(direct)


def test_a_source_that_predicts_a_constant_says_nothing(target):
    x, y, draws = target
    flat = weighted.fit(x[:50], np.full(50, 7.0), [split(50, 1)], seeds=[1])
    assert np.isfinite(weighted.fit(x, y, draws, seeds=[1, 2, 3], source=flat).predict(x)).all()


def test_bytes_hold_all_and_a_source_keeps_no_more_rows_than_are_used(source, target, monkeypatch):
    x, y, draws = target
    again = weighted.from_bytes(source.to_bytes())
    assert again.to_bytes() == source.to_bytes()
    assert np.array_equal(again.predict(x), source.predict(x))
    assert again.source.structure == source.source.structure
    # 72 % of 400 rows are the source's training rows
    assert again.source.x.shape == (288, 4)
    monkeypatch.setattr(weighted, "MOST_SOURCE_ROWS", 50)
    few = weighted.fit(x, y, [split(260, 1)], seeds=[1]).source
    assert few.x.shape == (50, 4)
    held = {tuple(row) for row in x[split(260, 1).train].astype(np.float32)}
    assert {tuple(row) for row in few.x} <= held
    stack = weighted.fit(x, y, draws, seeds=[1, 2, 3])
    assert stack.source is None and len(stack.select([2])) == 1
    assert np.array_equal(stack.select([2]).predict(x)[0], stack.predict(x)[2])


@pytest.mark.slow("trains 3 s")
def test_it_is_a_learner_of_the_study_whatever_the_order_of_rows():
    features, label = synthetic(120, seed=1, prefix="source")
    target, target_label = synthetic(40, seed=2)
    uptake, diffusion = series(features, uptake_label(label, 100.0)), series(target, target_label)
    options = {"protocol": "fast", "seed": 0}
    model = study.pretrain(features, uptake, "uptake_100bar", learner="xgboost-weighted", **options)
    assert model.r2 > 0.5
    results = [
        study.run_size(t, d, [model], 30, 2, learner="xgboost-weighted", **options)
        for t, d in (
            (target, diffusion),
            (target.sample(frac=1.0, random_state=1), diffusion.iloc[::-1]),
        )
    ]
    assert results[0][1] == results[1][1]
    scores = results[0][0]
    assert scores["kind"].tolist() == ["dl", "dl", "tl", "tl"]
    assert set(scores["learner"]) == {"xgboost-weighted"} and scores["r2"].notna().all()
    assert isinstance(scores, pd.DataFrame)
