"""Boosted trees with weights, folds by group, bootstrap by group, rows between neighbours."""

import numpy as np
import pytest

from poreflux.base.errors import DataError
from poreflux.learning.boosting import (
    TreeStructure,
    boost,
    choose_structure,
    contributions,
    gains,
    predict,
)
from poreflux.learning.interpolation import interpolate
from poreflux.learning.scoring import interval, resampled_rows
from poreflux.learning.splits import grouped_folds, leave_one_group_out


@pytest.fixture
def rows():
    """60 rows of three columns, the last of which means nothing."""
    stream = np.random.default_rng(1)
    x = np.round(stream.normal(size=(60, 3)), 2)
    x[:, 2] = 0.0
    return x, 2.0 * x[:, 0] + np.sin(3.0 * x[:, 1]) + 0.1 * stream.normal(size=60)


STRUCTURE = TreeStructure(max_depth=3, n_trees=40)


def test_a_row_of_weight_two_is_a_row_given_twice(rows):
    x, y = rows
    twice = boost(np.concatenate([x, x[:20]]), np.concatenate([y, y[:20]]), STRUCTURE)
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    weighted = boost(x, y, STRUCTURE, weights=weights)
    assert np.allclose(predict(twice, x), predict(weighted, x), atol=1e-5)


def test_training_is_the_same_every_time(rows):
    x, y = rows
    first, second = (bytes(boost(x, y, STRUCTURE).save_raw("ubj")) for _ in range(2))
    assert first == second


def test_a_continued_booster_keeps_its_trees_and_adds_more(rows):
    x, y = rows
    before = boost(x[:30], y[:30], STRUCTURE)
    after = boost(x[30:], y[30:], TreeStructure(3, 10), start=before)
    assert np.array_equal(predict(after, x, STRUCTURE.n_trees), predict(before, x))
    assert after.num_boosted_rounds() == 50
    gone = np.square(predict(before, x[30:]) - y[30:]).mean()
    assert np.square(predict(after, x[30:]) - y[30:]).mean() < gone


def test_missing_values_take_the_side_that_fits(rows):
    x, y = rows
    holed = x.copy()
    holed[:30, 0] = np.nan
    y = np.where(np.arange(60) < 30, 5.0, y)
    assert np.abs(predict(boost(holed, y, STRUCTURE), holed)[:30] - 5.0).max() < 0.5


def test_gain_and_shap_of_an_unused_column_are_zero_and_shap_values_add_up(rows):
    x, y = rows
    booster = boost(x, y, STRUCTURE)
    gain, shap = gains(booster, 3), contributions(booster, x)
    assert gain[2] == 0.0 and gain[0] > gain[1] > 0.0
    assert np.all(shap[:, 2] == 0.0)
    # what is left is the same for every row: the mean prediction
    rest = predict(booster, x) - shap.sum(axis=1)
    assert np.ptp(rest) < 1e-4


def test_the_structure_follows_the_data():
    """A sum of two steps needs trees of one split each; a product of signs needs deeper ones."""
    stream = np.random.default_rng(2)
    x = stream.uniform(-1.0, 1.0, size=(160, 2))
    folds = grouped_folds([str(i) for i in range(160)], 5, seed=3)
    options = {"depths": (1, 2), "max_trees": 100, "learning_rate": 0.3}
    noise = 0.3 * stream.normal(size=160)
    added = np.sign(x[:, 0]) + np.sign(x[:, 1]) + noise
    crossed = np.sign(x[:, 0] * x[:, 1]) + noise
    assert choose_structure(x, added, folds, **options)[0].max_depth == 1
    structure, rmse = choose_structure(x, crossed, folds, **options)
    assert structure.max_depth == 2
    # no better than the noise, much better than the mean
    assert 0.3 * 0.8 < rmse < 0.7 * crossed.std()


GROUPS = [f"article {i}" for i in (0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 6)]


def test_folds_never_split_a_group_and_do_not_follow_the_order_of_rows():
    folds = grouped_folds(GROUPS, 3, seed=7, n_repeats=4)
    assert folds.shape == (4, len(GROUPS))
    for line in folds:
        assert all(
            len({f for f, g in zip(line, GROUPS, strict=True) if g == name}) == 1 for name in GROUPS
        )
        per_fold = [len({g for f, g in zip(line, GROUPS, strict=True) if f == k}) for k in range(3)]
        assert sorted(per_fold) == [2, 2, 3]
    assert len({tuple(line) for line in folds}) > 1
    order = np.random.default_rng(0).permutation(len(GROUPS))
    turned = grouped_folds([GROUPS[i] for i in order], 3, seed=7, n_repeats=4)
    assert np.array_equal(turned, folds[:, order])
    assert np.array_equal(grouped_folds(GROUPS, 3, seed=7, n_repeats=2), folds[:2])


def test_leaving_one_group_out_makes_each_a_fold():
    line = leave_one_group_out(GROUPS)[0]
    assert len(set(line)) == 7 and line[0] == line[1] and line[3] == line[4] == line[5]
    few = grouped_folds(["a", "b"], 5, seed=1)[0]
    assert sorted(few) == [0, 1]


def test_one_group_cannot_be_held_out():
    with pytest.raises(DataError, match="at least 2 groups"):
        grouped_folds(["a", "a"], 2, seed=1)


def test_bootstrap_samples_draw_whole_groups():
    samples = resampled_rows(GROUPS, 200, seed=1)
    for sample in samples:
        counts = np.bincount(sample, minlength=len(GROUPS))
        assert counts[0] == counts[1] and counts[3] == counts[4] == counts[5]
    drawn = np.concatenate(samples)
    # every group is drawn once a sample on average: seven groups, standard error 0.066
    assert np.bincount(drawn, minlength=len(GROUPS))[[0, 2, 3]] / 200 == pytest.approx(1, abs=0.25)


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(3).normal(size=400)
    samples = resampled_rows(np.arange(400), 2000, seed=4)
    low, high = interval([values[s].mean() for s in samples])
    error = values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_an_interval_leaves_out_what_is_not_finite():
    assert interval([np.nan, 1.0, 1.0]) == (1.0, 1.0)
    assert np.isnan(interval([np.nan])[0])


OPTIONS = {"per_row": 5, "neighbours": 2, "mixing": (0.2, 0.8), "seed": 1}


@pytest.fixture
def conditions():
    """Ten conditions of two numbers and two strata."""
    stream = np.random.default_rng(5)
    return stream.normal(size=(10, 2)), np.array(["a"] * 6 + ["b"] * 4), stream.normal(size=10)


def test_synthetic_rows_lie_between_two_near_rows_of_one_stratum(conditions):
    numbers, strata, y = conditions
    made, parents, labels = interpolate(numbers, strata, y, **OPTIONS)
    assert len(made) == 50
    assert np.array_equal(strata[parents[:, 0]], strata[parents[:, 1]])
    first, second = numbers[parents[:, 0]], numbers[parents[:, 1]]
    share = ((made - first) / (second - first))[:, 0]
    assert np.allclose(made, first + share[:, None] * (second - first))
    assert share.min() >= 0.2 and share.max() <= 0.8
    assert np.allclose(labels, y[parents[:, 0]] + share * (y[parents[:, 1]] - y[parents[:, 0]]))
    # partners are among the two nearest of their stratum
    scaled = numbers / numbers.std(axis=0)
    for a, b in parents:
        distance = np.linalg.norm(scaled - scaled[a], axis=1)
        nearer = (distance < distance[b]) & (strata == strata[a])
        assert nearer.sum() <= 2


def test_on_logarithms_a_product_of_columns_stays_a_product(conditions):
    numbers, strata, y = conditions
    # the third column is the ratio of the first two: so it is for synthetic rows
    ratio = np.column_stack([numbers, numbers[:, 0] - numbers[:, 1]])
    made, _, _ = interpolate(ratio, strata, y, **OPTIONS)
    assert np.allclose(made[:, 2], made[:, 0] - made[:, 1])


def test_repeats_of_a_condition_and_unlike_gaps_are_no_neighbours():
    numbers = np.array([[1.0, 2.0], [1.0, 2.0], [1.5, np.nan], [3.0, 4.0]])
    strata = ["a", "a", "a", "b"]
    made, parents, labels = interpolate(numbers, strata, [1.0, 9.0, 5.0, 7.0], **OPTIONS)
    assert made.shape == (0, 2) and parents.shape == (0, 2) and len(labels) == 0


def test_missing_numbers_stay_missing_between_rows_that_lack_the_same():
    numbers = np.array([[1.0, np.nan], [2.0, np.nan], [1.5, 3.0]])
    made, parents, _ = interpolate(numbers, ["a"] * 3, np.zeros(3), **OPTIONS)
    assert np.isnan(made[:, 1]).all() and set(parents.ravel()) == {0, 1}
    assert ((made[:, 0] > 1.0) & (made[:, 0] < 2.0)).all()
