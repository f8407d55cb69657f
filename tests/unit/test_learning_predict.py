import dataclasses
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from test_learning_study import series, synthetic

from poreflux.base.errors import DataError
from poreflux.learning import predict as prediction
from poreflux.learning import study
from poreflux.learning.splits import draws
from poreflux.learning.trained import Group, TrainedSize, parts_of

torch.set_num_threads(1)

NOISE = 0.2


@pytest.fixture(scope="module")
def noisy():
    """Models trained on labels with a known noise, and new structures of the same kind."""
    features, label = synthetic(400, seed=3)
    rng = np.random.default_rng(0)
    observed = label + rng.normal(0, NOISE, len(label))
    train, new = features[:200], features[200:].reset_index(drop=True)
    _, models = study.run_size(
        train,
        series(train, observed[:200]),
        [],
        120,
        6,
        learner="mlp",
        protocol="fast",
        seed=0,
        device="cpu",
    )
    return models, train, new, observed[200:].to_numpy()


def test_deviation_covers_what_it_says(noisy):
    models, train, new, observed = noisy
    table = prediction.predict([models], new, train_features=train).set_index("name")
    table = table.loc[new["name"]]
    score = (np.log10(table["d_m2_s"] / 1e-8) - observed) / table["log10_d_std"]
    # 200 new structures: 68.3 % +- 3.3 % within one deviation if the errors are normal.
    assert 0.55 < (score.abs() < 1).mean() < 0.85
    assert 0.9 < (score.abs() < 2).mean()
    assert (table["log10_d_std"] > 0.7 * NOISE).all()
    assert (table["status"] == "ok").all() and table["model"].nunique() == 1


def test_the_interval_is_nine_tenths(noisy):
    models, train, new, observed = noisy
    table = prediction.predict([models], new, train_features=train).set_index("name")
    low, high = (table.loc[new["name"], f"d_{end}_m2_s"].to_numpy() for end in ("low", "high"))
    d = 1e-8 * 10.0**observed
    # 200 new structures: 90 % +- 2.1 %
    assert 0.83 < ((low < d) & (d < high)).mean() < 0.97


def test_another_label_has_columns_of_its_own(noisy):
    models, train, new, _ = noisy
    trained = dataclasses.replace(TrainedSize.from_bytes(models), label="modulus")
    table = prediction.predict([trained.to_bytes()], new.head(4), train_features=train)
    assert {"modulus", "modulus_std", "modulus_low", "modulus_high"} < set(table.columns)
    as_d = prediction.predict([models], new.head(4), train_features=train)
    np.testing.assert_allclose(table["modulus"], np.log10(as_d["d_m2_s"] / 1e-8))
    assert "d_m2_s" not in table.columns
    width = table["modulus_high"] - table["modulus_low"]
    np.testing.assert_allclose(width, 2 * 1.6449 * table["modulus_std"])


def test_training_structures_are_in_the_domain_and_freaks_are_not(noisy):
    models, train, new, _ = noisy
    inside = prediction.predict([models], train, train_features=train)["in_domain"]
    assert inside.all()
    assert prediction.predict([models], new, train_features=train)["in_domain"].mean() > 0.9
    freak = new.head(1).assign(lcd_A=400.0, pld_A=400.0)
    assert not prediction.predict([models], freak, train_features=train)["in_domain"].any()


def test_the_limit_of_the_domain_is_that_of_all_distances():
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(size=(300, 7)), np.zeros((2, 7))])
    between = cdist(x, x) + np.diag(np.full(len(x), np.inf))
    limit = np.quantile(between.min(axis=1), 0.99)
    assert prediction.domain_limit(x) == pytest.approx(limit, rel=1e-12)
    new = rng.normal(size=(50, 7)) * 2.0
    nearest, inside = prediction.neighbours(new, x)
    np.testing.assert_array_equal(nearest, cdist(new, x).argmin(axis=1))
    np.testing.assert_array_equal(inside, cdist(new, x).min(axis=1) <= limit)


def test_many_training_structures_fit_into_memory():
    """Of 4,000 rows all distances would be 128 MB; a row is 8 numbers."""
    x = np.random.default_rng(0).normal(size=(4000, 8))
    tracemalloc.start()
    prediction.neighbours(x[:3], x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def test_a_predictor_says_the_same_each_time(noisy):
    models, train, new, _ = noisy
    predictor = prediction.Predictor([models], train)
    for rows in (new, new.head(2), new.head(1)):
        expected = prediction.predict([models], rows, train_features=train)
        pd.testing.assert_frame_equal(predictor(rows), expected, check_exact=True)


def test_failed_structures_keep_their_reason(noisy):
    models, train, new, _ = noisy
    failed = pd.DataFrame({"name": ["aaa"], "status": ["failed"], "reason": ["no atoms"]})
    table = prediction.predict([models], new.head(3), train_features=train, failed=failed)
    assert tuple(table.columns) == prediction.PREDICTION_COLUMNS
    assert table["name"].tolist() == ["aaa", *new["name"].head(3)]
    row = table.iloc[0]
    assert (row["status"], row["reason"], bool(row["in_domain"])) == ("failed", "no atoms", False)
    assert np.isnan(row["d_m2_s"]) and np.isnan(row["log10_d_std"])
    only = prediction.predict([models], new.head(0), train_features=train, failed=failed)
    assert only["status"].tolist() == ["failed"]
    # where a stage failed for all, its columns are unknown
    bare = new.head(0)[["name", "content_hash"]]
    again = prediction.predict([models], bare, train_features=train, failed=failed)
    pd.testing.assert_frame_equal(again, only)


def test_other_features_are_refused(noisy):
    models, train, new, _ = noisy
    with pytest.raises(DataError, match="h09"):
        prediction.predict([models], new.drop(columns="h09"), train_features=train)


def test_no_models_are_refused(noisy):
    _, train, new, _ = noisy
    with pytest.raises(DataError, match="no models"):
        prediction.predict([], new, train_features=train)


def trained_with(predictions, labels, splits, learner="mlp"):
    groups = tuple(
        Group(kind, learner, "", SimpleNamespace(), values.astype(np.float32))
        for kind, values in predictions
    )
    parts = parts_of(splits, len(labels))
    names = tuple(map(str, range(len(labels))))
    return TrainedSize(60, "diffusivity", ("x",), names, labels, parts, groups)


def test_the_choice_is_the_highest_median_r2_on_test_shares():
    labels = np.random.default_rng(0).normal(size=100)
    splits = draws(100, 60, 5, seed=0)
    bad, good = np.tile(labels, (5, 1)), np.tile(labels, (5, 1))
    for draw, part in enumerate(splits):
        good[draw, part.validation] += 9.0
        good[draw, part.test] += 0.1
        bad[draw, part.test] += 0.2
    # One draw gone wrong does not sway a median.
    good[0, splits[0].test] = 50.0
    first = trained_with([("dl", bad + 1), ("tl", bad)], labels, splits, "gp")
    second = trained_with([("dl", good), ("tl", bad)], labels, splits)
    assert prediction.choose([first, second]).group is second.groups[0]


def test_noise_is_the_held_out_error_beyond_the_spread():
    rng = np.random.default_rng(0)
    labels = rng.normal(0, 0.5, 2000)
    splits = draws(2000, 200, 40, seed=0)
    spread = rng.normal(0, 0.3, (40, 2000))
    trained = trained_with([("dl", spread)], labels, splits)
    # The mean of about 40 models misses by 0.5^2 + 0.3^2 / 37, of which 0.3^2 is their spread.
    expected = 0.25 + 0.09 / 37 - 0.09
    group = trained.groups[0]
    found = prediction.Ensemble(group, prediction.held_out_excess(trained, group)).noise_variance
    assert found == pytest.approx(expected, abs=0.02)


def test_held_out_structures_are_predicted_by_models_that_never_saw_them(noisy):
    models, train, _, _ = noisy
    trained = TrainedSize.from_bytes(models)
    # what a model says of structures that it saw is spoiled: it must not count
    spoiled = [
        dataclasses.replace(
            group, predictions=np.where(trained.held_out(), group.predictions, 1e6).astype("f4")
        )
        for group in trained.groups
    ]
    spoiled = dataclasses.replace(trained, groups=tuple(spoiled)).to_bytes()
    copy = train.head(1).assign(name="another name of the first")
    table = prediction.held_out_predictions([spoiled], pd.concat([train, copy]))
    assert tuple(table.columns) == prediction.HELD_OUT_COLUMNS
    assert (table["n_models"] == table["content_hash"].map(held_out_counts(trained))).all()
    # six draws of 120 of 200 hold nearly every structure out at least once
    assert len(train) * 0.95 < table["content_hash"].nunique() <= len(train)
    error = (table["predicted"] - table["value"]) / table["predicted_std"]
    assert 0.8 < (error.abs() < 1.6449).mean() < 0.98
    assert table["name"].is_monotonic_increasing and table["name"].is_unique
    assert "another name of the first" in set(table["name"])


def held_out_counts(trained):
    counts = trained.held_out().sum(axis=0)
    return dict(zip(trained.content_hashes, counts, strict=True))


def test_noise_is_that_of_the_structures_alike():
    """Errors ten times as large on one side of the features as on the other."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, size=(2000, 2))
    sigma = np.where(x[:, 0] > 0.0, 1.0, 0.1)
    excess = (sigma * rng.normal(size=len(x))) ** 2
    excess[::7] = np.nan
    found = prediction.local_noise(np.array([[0.7, 0.0], [-0.7, 0.0]]), x, excess)
    # of 25 squares of normal numbers the mean has a relative error of 0.28
    np.testing.assert_allclose(found, [1.0, 0.01], rtol=4 * 0.28)
    assert found[0] > 10.0 * found[1]
    few = prediction.local_noise(x[:3], x[:40], excess[:40])
    np.testing.assert_allclose(few, np.nanmean(excess[:40]))
