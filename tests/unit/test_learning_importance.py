import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance
from test_learning_study import series, synthetic, uptake_label

from poreflux.base.errors import DataError
from poreflux.data.labels import uptake_at, values_of
from poreflux.learning import importance, study
from poreflux.learning.learners import mlp
from poreflux.learning.learners import xgboost as xgb
from poreflux.learning.splits import split

torch.set_num_threads(1)


class Formula(RegressorMixin, BaseEstimator):
    """A model that is a known function, in the form that scikit-learn accepts."""

    def __init__(self, function):
        self.function = function

    def fit(self, x, y):
        return self

    def predict(self, x):
        return self.function(x)


def names_of(d):
    return [f"f{i}" for i in range(d)]


def test_a_model_that_uses_one_feature_gives_it_all_the_weight():
    x = np.random.default_rng(0).uniform(size=(80, 5))
    table = importance.importance(
        Formula(lambda x: 3 * x[:, 2]), x, 3 * x[:, 2], names_of(5), n_repeats=4, seed=0
    )
    assert table["pfi_normalised"].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    # Shuffled labels against labels: R2 is -1 on average.
    assert table.loc[2, "pfi"] == pytest.approx(2.0, abs=0.3)


@pytest.mark.slow("trains 17 s")
@pytest.mark.parametrize("learner", ["formula", "mlp", "xgboost"])
def test_equal_to_scikit_learn_with_the_same_seed(learner):
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(90, 6))
    y = x[:, 0] ** 2 - x[:, 3] + 0.1 * rng.normal(size=90)
    if learner == "formula":
        model = Formula(lambda x: x[:, 0] - x[:, 3])
    elif learner == "mlp":
        model = mlp.train(x, y, [split(90, seed=0)], phase=mlp.PROTOCOLS["fast"].direct, seeds=[0])
    else:
        model = xgb.fit(x, y, [split(90, seed=0)], seeds=[0])
    ours = importance.importance(model, x, y, names_of(6), n_repeats=7, seed=11)
    flat = Formula(lambda x: np.ravel(model.predict(x)))
    theirs = permutation_importance(flat, x, y, scoring="r2", n_repeats=7, random_state=11)
    # float32 in the models.
    np.testing.assert_allclose(ours["pfi"], theirs.importances_mean, atol=1e-5)


def test_normalised_clips_and_sums_to_one():
    np.testing.assert_allclose(importance.normalised(np.array([3.0, -1.0, 1.0])), [0.75, 0, 0.25])
    np.testing.assert_allclose(importance.normalised(np.array([-1.0, 0.0])), [0.0, 0.0])


@pytest.mark.slow("trains 7 s")
def test_table_of_a_study_finds_what_the_labels_rest_on():
    source, source_label = synthetic(150, seed=1, prefix="source")
    target, target_label = synthetic(80, seed=2)
    # At 1 bar another feature makes the uptake: the wrong source.
    uptakes = {
        "uptake_1bar": source["asa_m2_cm3"] / 100,
        "uptake_100bar": uptake_label(source_label, 100.0),
    }
    labels = pd.concat(
        pd.DataFrame({"name": source["name"], "label": label, "value": values})
        for label, values in uptakes.items()
    )
    pretrained = [
        study.pretrain(
            source, values_of(labels, label), label,
            learner="mlp", protocol="fast", seed=0, device="cpu",
        )
        for label in uptakes
    ]  # fmt: skip
    _, models = study.run_size(
        target,
        series(target, target_label),
        pretrained,
        80,
        2,
        learner="mlp",
        protocol="fast",
        seed=0,
        device="cpu",
    )
    table = importance.run(
        models,
        pretrained,
        features_target=target,
        features_source=source.sample(frac=1, random_state=0),
        labels_source=labels,
        n_repeats=5,
        seed=0,
        kinds=("dl", "tl", "source"),
    )
    assert tuple(table.columns) == importance.IMPORTANCE_COLUMNS
    groups = table.groupby(["kind", "source_pressure_bar"], dropna=False)
    assert len(groups) == 5 and (groups.size() == 15).all()
    np.testing.assert_allclose(groups["pfi_normalised"].sum(), 1.0)
    leaders = groups["pfi"].idxmax()
    assert table.loc[leaders["source", 1.0], "feature"] == "asa_m2_cm3"
    assert table.loc[leaders["source", 100.0], "feature"] == "void_fraction"
    advice = importance.distances(table).set_index("source_pressure_bar")
    assert advice.loc[100.0, "rank"] == 1
    assert advice.loc[1.0, "distance"] > 2 * advice.loc[100.0, "distance"]


def test_distance_is_euclidean_over_the_reference_leaders():
    def rows(kind, pressure, values):
        return pd.DataFrame(
            {
                "kind": kind,
                "source_pressure_bar": pressure,
                "source_label": "" if np.isnan(pressure) else uptake_at(pressure),
                "feature": names_of(3),
                "pfi": values,
                "pfi_normalised": values,
            }
        )

    table = pd.concat(
        [
            rows("dl", np.nan, [0.6, 0.3, 0.1]),
            rows("source", 1.0, [0.2, 0.0, 0.8]),
            rows("source", 100.0, [0.6, 0.3, 0.1]),
        ]
    )
    distance = importance.distances(table, top=2)
    np.testing.assert_allclose(distance["distance"], [0.5, 0.0])
    assert distance["rank"].tolist() == [2, 1]
    with pytest.raises(DataError, match="reference"):
        importance.distances(table[table["kind"] != "dl"])
