"""A structure's prediction is its own: to the bit the same in any company and under any name."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from test_learning_study import series, synthetic

from poreflux.base.products import row_products
from poreflux.data.features import (
    EARLY_DIFFUSIVITIES,
    FEATURE_SETS,
    MEAN_ENERGIES,
    MOBILITIES,
    PARTICIPATIONS,
    PERCOLATION_ENERGIES,
    PERCOLATION_SHARES,
    matrix,
)
from poreflux.diffusion.settings import DiffusionSettings
from poreflux.geometry.settings import GeometrySettings
from poreflux.learning import predict as prediction
from poreflux.learning import study
from poreflux.learning.learners import algorithms, mlp
from poreflux.learning.trained import TrainedSize
from poreflux.run.intake import read_structures
from poreflux.run.stages import ingredients
from poreflux.store import Store

torch.set_num_threads(1)
SETTINGS = {"protocol": "fast", "seed": 0, "device": "cpu"}


@pytest.fixture(scope="module", params=algorithms())
def trained(request):
    """One learner's models of two draws, direct and from a source, and new structures."""
    features, label = synthetic(260, seed=3)
    known, new = features[:60], features[60:].reset_index(drop=True)
    labels = series(known, label[:60])
    learner = request.param
    with pytest.MonkeyPatch.context() as patch:
        # a network that has learnt little will do
        short = {k: replace(v, max_steps=50) for k, v in vars(mlp.PROTOCOLS["fast"]).items()}
        patch.setitem(mlp.PROTOCOLS, "fast", mlp.Protocol(**short))
        source = study.pretrain(known, labels, "uptake_1bar", learner=learner, **SETTINGS)
        _, models = study.run_size(known, labels, [source], 40, 1, learner=learner, **SETTINGS)
    return TrainedSize.from_bytes(models), known, new


def test_a_row_does_not_know_of_the_others(trained):
    models, _, new = trained
    x = matrix(new)[0]
    some = np.random.default_rng(1).permutation(len(x))[:77]
    assert len(models.groups) == 2
    for group in models.groups:
        everywhere = group.model.predict(x)
        np.testing.assert_array_equal(group.model.predict(x[some]), everywhere[:, some])
        alone = [group.model.predict(x[[i]])[:, 0] for i in some[:20]]
        np.testing.assert_array_equal(np.array(alone).T, everywhere[:, some[:20]])


def test_a_renamed_structure_in_another_batch_gets_the_same_numbers(trained):
    models, known, new = trained
    data = [models.to_bytes()]

    def predicted(rows):
        table = prediction.predict(data, rows, train_features=known)
        return table.set_index("name")

    table = predicted(new)
    some = new.sample(33, random_state=2)
    renamed = some.assign(name=[f"{i:03d}-{n[::-1]}" for i, n in enumerate(some["name"])])
    expected = table.loc[some["name"]].set_axis(renamed["name"])
    found = predicted(renamed).loc[renamed["name"]]
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    for row in range(5):
        alone = predicted(renamed.iloc[[row]])
        pd.testing.assert_frame_equal(alone, expected.iloc[[row]], check_exact=True)


def test_the_mean_over_many_models_is_that_of_each_structure_alone():
    predictions = np.random.default_rng(0).normal(size=(50, 30))
    x = np.arange(30)[:, None]
    # laid out as a stack of models gives them
    model = SimpleNamespace(predict=lambda x: np.ascontiguousarray(predictions[:, x[:, 0]]))
    ensemble = prediction.Ensemble(SimpleNamespace(model=model), np.array([0.1]))
    mean, deviation = ensemble.predict(x)
    np.testing.assert_allclose(mean, predictions.mean(axis=0))
    np.testing.assert_allclose(deviation**2 - 0.1, predictions.var(axis=0, ddof=1))
    for i in range(30):
        assert [v[0] for v in ensemble.predict(x[[i]])] == [mean[i], deviation[i]]


def test_a_renamed_cif_is_the_same_structure_and_draws_the_same_numbers(cifs, tmp_path):
    first, second, *_ = sorted(cifs.glob("*.cif"))

    def read(**members):
        table = read_structures(
            {name: str(path) for name, path in members.items()},
            {"cifs": "*.cif"},
            store=Store(tmp_path / "-".join(members)),
            checks={},
        )
        return {row.pop("name"): row for row in table.to_dict("records")}

    shutil.copy(first, tmp_path / "other name.cif")
    (one,) = read(mine=first).values()
    other = read(a=second, z=tmp_path / "other name.cif")["z"]
    assert one["status"] == "ok"
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[column], other[column]) for column in one)
    for stage, settings in (("geometry", GeometrySettings()), ("diffusion", DiffusionSettings())):
        assert ingredients(stage, one, settings) == ingredients(stage, other, settings)


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_features_are_scaled_row_by_row(feature_set):
    rng = np.random.default_rng(0)
    table = synthetic(50)[0]
    of_percolation = (*PERCOLATION_ENERGIES, *PERCOLATION_SHARES, *MOBILITIES)
    for column in (*of_percolation, *PARTICIPATIONS, *MEAN_ENERGIES, *EARLY_DIFFUSIVITIES):
        table[column] = rng.uniform(0, 1, 50)
    whole = matrix(table, feature_set)[0]
    some = rng.permutation(50)[:17]
    np.testing.assert_array_equal(matrix(table.iloc[some], feature_set)[0], whole[some])
    for i in some:
        np.testing.assert_array_equal(matrix(table.iloc[[i]], feature_set)[0], whole[[i]])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_products_are_those_of_numpy(kind):
    rng = np.random.default_rng(0)
    x, weight, start = (rng.normal(size=s).astype(kind) for s in ((9, 30), (30, 7), 7))
    x[rng.random(x.shape) < 0.5] = 0.0
    found = row_products(x, weight, start)
    assert found.dtype == kind
    exact = x.astype(np.float64) @ weight.astype(np.float64) + start
    np.testing.assert_allclose(found, exact, atol=60 * np.finfo(kind).eps)
