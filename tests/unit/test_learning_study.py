import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from poreflux.base.errors import DataError
from poreflux.data.features import GEOMETRY_COLUMNS, matrix
from poreflux.data.labels import ISOTHERM, uptake_at
from poreflux.learning import study
from poreflux.learning.advisor import ADVICE_COLUMNS
from poreflux.learning.container import pack, unpack
from poreflux.learning.learners import get_learner, mlp
from poreflux.learning.trained import REST, TEST, Pretrained, TrainedSize

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("POREFLUX_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
PUBLISHED = REFERENCE / "lim-kim-2022"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published tables are not at {PUBLISHED}"
)


def synthetic(n, seed=0, prefix="mof"):
    """Features of n structures (10 bins), and a label that rests on void fraction and PLD."""
    rng = np.random.default_rng(seed)
    names = [f"{prefix}{i:04d}" for i in range(n)]
    table = pd.DataFrame(
        {"name": names, "content_hash": [hashlib.sha256(s.encode()).hexdigest() for s in names]}
    )
    for column, high in zip(GEOMETRY_COLUMNS, (60, 60, 4000, 10000, 1), strict=True):
        table[column] = rng.uniform(0, high, n)
    shares = rng.dirichlet(np.ones(10), n)
    for i in range(10):
        table[f"h{i:02d}"] = shares[:, i]
    return table, 2 * table["void_fraction"] - table["pld_A"] / 60


def uptake_label(label, pressure):
    """Uptakes (cm3(STP)/cm3) that rest on the same features as the diffusivity."""
    return 100 + 30 * label * (1 if pressure > 10 else -0.2)


def series(features, values):
    return pd.Series(np.asarray(values), index=pd.Index(features["name"], name="name"))


LEARNERS = ("mlp", "xgboost", "gp+log55")
FAST = {"protocol": "fast", "seed": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def small_study():
    source, source_label = synthetic(120, seed=1, prefix="source")
    target, target_label = synthetic(60, seed=2)
    uptakes = {uptake_at(p): series(source, uptake_label(source_label, p)) for p in (1.0, 100.0)}
    diffusion = series(target, target_label)
    pretrained = [
        study.pretrain(source, values, label, learner=learner, **FAST)
        for label, values in uptakes.items()
        for learner in LEARNERS
    ]
    runs = [
        study.run_size(target, diffusion, pretrained, 50, 3, learner=learner, **FAST)
        for learner in LEARNERS
    ]
    scores = pd.concat([scores for scores, _ in runs], ignore_index=True)
    return source, uptakes, target, diffusion, pretrained, scores, [models for _, models in runs]


def test_pretraining_scores_are_those_of_the_stored_model_on_the_test_share(small_study):
    source, uptakes, *_, pretrained, _, _ = small_study
    for model in pretrained:
        assert model.n == 120 and len(model.test_hashes) == 24
        tested = source.set_index("content_hash").loc[list(model.test_hashes)].reset_index()
        y = uptakes[model.label].loc[tested["name"]].to_numpy()
        x, _ = matrix(tested, get_learner(model.learner).feature_set)
        predicted = Pretrained.from_bytes(model.to_bytes()).load().predict(x)[0]
        assert model.rmse == pytest.approx(np.sqrt(np.mean((predicted - y) ** 2)))
        assert model.r2 > 0.7


@pytest.mark.parametrize("learner", LEARNERS)
def test_an_isotherm_hands_on_all_of_its_uptakes(small_study, learner):
    source, uptakes, target, diffusion, pretrained, *_ = small_study
    mine = [model for model in pretrained if model.learner == learner]
    if learner == "mlp":
        model = study.pretrain(source, pd.DataFrame(uptakes), ISOTHERM, learner=learner, **FAST)
    else:
        model = study.join_sources(mine, ISOTHERM)
        assert model.rmse == pytest.approx(np.mean([m.rmse for m in mine]))
    x, _ = matrix(target, get_learner(learner).feature_set)
    for predicted, single in zip(model.load().predict(x), mine, strict=True):
        alone = single.load().predict(x)[0]
        assert learner == "mlp" or (predicted == alone).all()
        assert np.corrcoef(predicted, alone)[0, 1] > 0.8
    assert model.r2 > 0.7
    run = study.run_size(target, diffusion, [model], 50, 3, learner=learner, **FAST)
    trained = TrainedSize.from_bytes(run[1])
    assert [group.source for group in trained.groups] == ["", ISOTHERM]
    assert run[0].groupby("kind")["r2_rest"].median().min() > 0.3


def test_rows_in_another_order_give_the_same_bytes(small_study):
    _, _, target, diffusion, pretrained, _, models = small_study
    shuffled = target.sample(frac=1, random_state=1), diffusion.iloc[::-1], pretrained[::-1]
    again = [study.run_size(*shuffled, 50, 3, learner=learner, **FAST)[1] for learner in LEARNERS]
    assert again == models


def test_scores_have_a_row_for_every_model(small_study):
    scores = small_study[-2]
    assert tuple(scores.columns) == study.SCORE_COLUMNS
    # Three learners, direct and two sources, three draws.
    assert len(scores) == 3 * 3 * 3
    assert (scores["n_test"] == 10).all() and scores["r2"].notna().all()
    assert scores.loc[scores["kind"] == "dl", "source_pressure_bar"].isna().all()
    assert set(scores.loc[scores["kind"] == "tl", "source_pressure_bar"]) == {1.0, 100.0}


def test_tables_can_be_made_again_from_what_is_stored(small_study):
    *_, pretrained, scores, models = small_study
    again = pd.concat([study.score_table(m) for m in models], ignore_index=True)
    pd.testing.assert_frame_equal(again, scores)
    table = study.pretraining_table(pretrained)
    assert tuple(table.columns) == study.PRETRAINING_COLUMNS
    assert table["r2"].tolist() == [model.r2 for model in pretrained]
    assert (table["n_test"] == 24).all()


@pytest.mark.parametrize("which", range(len(LEARNERS)))
def test_stored_models_hold_everything_needed_to_score_them(small_study, which):
    target, scores, models = small_study[2], small_study[-2], small_study[-1][which]
    trained = TrainedSize.from_bytes(models)
    assert trained.to_bytes() == models
    rows = target.set_index("content_hash").loc[list(trained.content_hashes)].reset_index()
    x, names = matrix(rows, get_learner(LEARNERS[which]).feature_set)
    assert tuple(names) == trained.feature_names
    for group in trained.groups:
        predicted = group.model.predict(x)
        np.testing.assert_allclose(predicted, group.predictions, atol=1e-4)
        for draw in range(3):
            row = scores[
                (scores["kind"] == group.kind)
                & (scores["learner"] == group.learner)
                & (scores["draw"] == draw)
                & (scores["source_label"] == group.source)
            ]
            error = np.abs(predicted[draw] - trained.labels)
            test, rest = trained.parts[draw] == TEST, trained.parts[draw] == REST
            assert row["mae"].item() == pytest.approx(error[test].mean(), abs=1e-4)
            # ten of the sixty labelled structures are outside the draw
            assert row["n_rest"].item() == rest.sum() == 10
            rmse = np.sqrt(np.square(error[rest]).mean())
            assert row["rmse_rest"].item() == pytest.approx(rmse, abs=1e-4)
            r2_rest = 1.0 - (rmse / trained.labels[rest].std()) ** 2
            assert row["r2_rest"].item() == pytest.approx(r2_rest, abs=1e-3)


def near_copies(features, label):
    """Each structure three times over, with features and a label that hardly differ."""
    stream = np.random.default_rng(4)
    copies = []
    for k in range(3):
        copy = features.assign(
            name=features["name"] + f"-{k}", content_hash=features["content_hash"] + f"{k}"
        )
        copy["void_fraction"] += stream.normal(scale=1e-4, size=len(copy))
        copies.append(copy)
    table = pd.concat(copies, ignore_index=True)
    groups = dict(zip(table["content_hash"], [*range(len(features))] * 3, strict=True))
    return (
        table,
        series(table, np.tile(label, 3) + stream.normal(scale=1e-3, size=len(table))),
        groups,
    )


def test_near_duplicates_stay_on_one_side_where_asked_to():
    """Labels without any reason: a model knows them of copies alone, and of nothing else."""
    features, _ = synthetic(60)
    label = np.random.default_rng(5).normal(size=60)
    table, labels, groups = near_copies(features, label)
    found = {}
    for splits in ("random", "grouped"):
        found[splits], models = study.run_size(
            table, labels, [], 60, 8, learner="xgboost", splits=splits, groups=groups, **FAST
        )
        trained = TrainedSize.from_bytes(models)
        torn = [
            len(set(parts[trained.frameworks == group])) > 1
            for parts in trained.parts
            for group in set(groups.values())
        ]
        assert any(torn) == (splits == "random")
        for row, parts in zip(found[splits].itertuples(), trained.parts, strict=True):
            drawn = {
                h[:-1] for h, p in zip(trained.content_hashes, parts, strict=True) if p != REST
            }
            new = [h[:-1] not in drawn for h in trained.content_hashes]
            assert row.n_rest_new == sum(new)
            np.testing.assert_array_equal(new, trained.new_to(row.draw))
    leaking, honest = found["random"], found["grouped"]
    # a draw of 60 of 180 holds a copy of about two in three frameworks
    assert leaking["r2_rest"].median() > 0.1 > 0.0 > leaking["r2_rest_new"].median()
    assert honest["r2_rest"].median() < 0.0 and honest["r2"].median() < 0.0
    pd.testing.assert_series_equal(honest["r2_rest"], honest["r2_rest_new"], check_names=False)
    pd.testing.assert_series_equal(
        honest["n_rest"], honest["n_rest_new"], check_names=False, check_dtype=False
    )


def test_groups_count_in_scores_alone_where_splits_are_random():
    target, label = synthetic(60, seed=2)
    diffusion = series(target, label)
    groups = dict.fromkeys(target["content_hash"][:20], 7)
    without, with_groups = (
        study.run_size(target, diffusion, [], 50, 2, learner="xgboost", groups=known, **FAST)[0]
        for known in (None, groups)
    )
    assert without["r2_rest_new"].isna().all() and without["n_rest_new"].isna().all()
    assert (with_groups["n_rest_new"] <= with_groups["n_rest"]).all()
    shared = list(study.SCORE_COLUMNS[:-3])
    pd.testing.assert_frame_equal(without[shared], with_groups[shared])


def test_the_advisor_ranks_a_source_like_the_target_above_noise():
    source, label = synthetic(120, seed=1, prefix="source")
    target, target_label = synthetic(60, seed=2)
    stream = np.random.default_rng(4)
    labels = {
        "like": label + 0.1 * stream.normal(size=120),
        "noise": stream.normal(size=120),
    }
    pretrained = [
        study.pretrain(source, series(source, values), name, learner="gp", **FAST)
        for name, values in labels.items()
    ]
    scores, models = study.run_size(
        target, series(target, target_label), pretrained, 30, 4, learner="gp", **FAST
    )
    pd.testing.assert_frame_equal(study.score_table(models), scores)
    by = scores.set_index("source_label")[list(ADVICE_COLUMNS)]
    assert by.loc[""].isna().all().all()
    assert (by.loc["like"].min() > by.loc["noise"].max()).all()
    # of labels that the models may see alone: those of the test share do not count
    trained = TrainedSize.from_bytes(models)
    other = np.where(trained.parts[0] == TEST, 9.0, trained.labels)
    changed = study.scores_of(dataclasses.replace(trained, labels=other))
    pd.testing.assert_frame_equal(
        changed.query("draw == 0")[list(ADVICE_COLUMNS)],
        scores.query("draw == 0")[list(ADVICE_COLUMNS)],
    )


def test_grouped_splits_need_groups():
    target, label = synthetic(60, seed=2)
    diffusion = series(target, label)
    with pytest.raises(DataError, match="grouped splits need the groups"):
        study.run_size(target, diffusion, [], 50, 1, learner="xgboost", splits="grouped", **FAST)


def test_near_duplicates_stay_together_in_pretraining():
    features, label = synthetic(40, prefix="source")
    table, labels, groups = near_copies(features, uptake_label(label, 1.0))
    torn = {}
    for known in (None, groups):
        model = study.pretrain(
            table, labels, uptake_at(1.0), learner="xgboost", groups=known, **FAST
        )
        tested = {h[:-1] for h in model.test_hashes}
        torn[known is None] = 3 * len(tested) != len(model.test_hashes)
    assert torn == {True: True, False: False}


def test_slow_movers_are_scored_apart():
    labels = np.array([-2.0, -1.4, 0.0, -3.0])
    predicted = labels + np.array([0.5, 0.1, 0.1, 9.9])
    trained = TrainedSize(4, "diffusivity", (), (), labels, np.zeros((1, 4)), ())
    found = study._rest_scores(trained, predicted, np.array([1, 1, 1, 0], bool))
    assert found["rmse_rest_slow"] == pytest.approx(0.5)
    assert found["n_rest"] == 3
    nothing = study._rest_scores(trained, labels, np.zeros(4, bool))
    assert nothing["n_rest"] == 0 and np.isnan(nothing["r2_rest"])
    # of other labels that number says nothing
    other = dataclasses.replace(trained, label="henry")
    assert np.isnan(study._rest_scores(other, predicted, np.ones(4, bool))["rmse_rest_slow"])


def test_more_draws_train_only_the_new_ones(small_study):
    _, _, target, diffusion, pretrained, _, _ = small_study
    kept = {}

    def part(source, some, train):
        key = source.label if source else "", some
        if key not in kept:
            kept[key] = train()
        return kept[key]

    def run(n_draws):
        before = len(kept)
        _, models = study.run_size(
            target, diffusion, pretrained, 30, n_draws, learner="xgboost", part=part, **FAST
        )
        return TrainedSize.from_bytes(models), len(kept) - before

    ten, trained = run(study.DRAWS_IN_PART)
    assert trained == 3  # direct and two sources
    more, trained = run(study.DRAWS_IN_PART + 2)
    assert trained == 3
    for few, many in zip(ten.groups, more.groups, strict=True):
        assert many.source == few.source and len(many.model) == study.DRAWS_IN_PART + 2
        np.testing.assert_array_equal(many.predictions[: len(few.model)], few.predictions)
    assert run(study.DRAWS_IN_PART + 2)[1] == 0


@pytest.mark.parametrize("frozen", [False, True])
def test_joined_networks_predict_as_they_did_apart(frozen):
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    scaling = {
        "input_shift": np.zeros((2, 5)), "input_scale": np.ones((2, 5)),
        "label_shift": np.array([1.0, 2.0]), "label_scale": np.ones(2),
    }  # fmt: skip
    parts = [mlp.initialise(seeds, **scaling) for seeds in ([1, 2], [3, 4])]
    if frozen:
        parts = [parts[0].select([0, 0, 1]), parts[0].select([0])]
    joined = mlp.Networks.join(parts)
    apart = np.concatenate([part.predict(x) for part in parts])
    np.testing.assert_array_equal(joined.predict(x), apart)
    assert len(joined.first_weight) == (2 if frozen else 4)


def test_more_than_the_labelled_structures_cannot_be_drawn(small_study):
    _, _, target, diffusion, pretrained, _, _ = small_study
    with pytest.raises(DataError, match=r"size 61 .* only 60"):
        study.run_size(target, diffusion, pretrained, 61, 1, protocol="fast", seed=0)


def test_a_source_with_other_features_is_refused(small_study):
    _, _, target, diffusion, pretrained, _, _ = small_study
    with pytest.raises(DataError, match=r"uptake_1bar was trained on 15 features and got 14"):
        study.run_size(
            target.drop(columns="h09"), diffusion, pretrained, 50, 1, protocol="fast", seed=0
        )


def test_copies_of_a_structure_count_once():
    features, label = synthetic(30)
    copies = features.assign(name="copy_of_" + features["name"])
    both = pd.concat([features, copies], ignore_index=True)
    diffusion = series(both, pd.concat([label, label]))
    with pytest.raises(DataError, match="only 30"):
        study.run_size(both, diffusion, [], 31, 1, protocol="fast", seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learner": "mlpp", "protocol": "fast"}, "xgboost"),
        ({"learner": "mlp", "protocol": "quick"}, "paper"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(options, message):
    features, label = synthetic(30)
    with pytest.raises(DataError, match=message):
        study.pretrain(features, series(features, label), "uptake_1bar", seed=0, **options)


def test_packed_bytes_do_not_depend_on_the_hour(monkeypatch):
    arrays = {"a": np.arange(3.0), "b": np.zeros((2, 2), np.float32)}
    first = pack(arrays, {"x": 1})
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *a: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert pack(dict(reversed(arrays.items())), {"x": 1}) == first
    unpacked, meta = unpack(first)
    assert meta == {"x": 1}
    np.testing.assert_array_equal(unpacked["a"], arrays["a"])


def published_features(file):
    table = pd.read_csv(PUBLISHED / file)
    bins = [c for c in table.columns if c.startswith("hist_")]
    names = ["name", *GEOMETRY_COLUMNS, *(f"h{i:02d}" for i in range(len(bins)))]
    table.columns = names
    table.insert(
        1, "content_hash", table["name"].map(lambda s: hashlib.md5(s.encode()).hexdigest())
    )
    return table


@pytest.mark.slow("trains 5 s")
@needs_published
def test_published_uptakes_at_100_bar_are_learnt_from_a_sample():
    source = published_features("tobacco_descriptors_10bin.csv.gz").sample(1500, random_state=0)
    published = pd.read_csv(PUBLISHED / "tobacco_ch4_uptake_cm3stp_per_cm3.csv.gz")
    uptake = published.set_index("mof")["uptake_100bar"]
    for learner in ("mlp", "xgboost"):
        model = study.pretrain(
            source, uptake, uptake_at(100.0), learner=learner, protocol="fast", seed=0, device="cpu"
        )
        assert model.r2 > 0.9


@pytest.mark.slow("trains 3 s")
@needs_published
def test_published_diffusivities_are_learnt_at_least_as_well_as_published():
    """Published R2 at size 300: 0.41 with 50 bins over 50 draws; the quartiles of 6 are +- 0.1."""
    target = published_features("core2019_descriptors_10bin.csv.gz")
    published = pd.read_csv(PUBLISHED / "core2019_self_diffusivity.csv.gz")
    diffusion = np.log10(published.set_index("mof")["self_diffusivity_1e-8_m2_per_s"])
    scores, _ = study.run_size(target, diffusion, [], 300, 6, protocol="fast", seed=0, device="cpu")
    medians = scores.groupby("learner")["r2"].median()
    assert medians.between(0.35, 0.75).all()


def test_published_scalings_are_for_published_labels_alone(small_study, monkeypatch):
    source, uptakes, target, diffusion, *_ = small_study
    few = dataclasses.replace(mlp.PROTOCOLS["paper"].direct, max_steps=2, validate_every=1)
    released = mlp.Protocol(
        pretrain=dataclasses.replace(few, label_scaling=(0.0, 300.0)), direct=few, finetune=few
    )
    monkeypatch.setitem(mlp.PROTOCOLS, "paper", released)
    options = {"learner": "mlp", "protocol": "paper", "seed": 0, "device": "cpu"}

    def scale(values, label):
        source_model = study.pretrain(source, values, label, **options).load()
        return float(source_model.label_scale[0])

    uptake = next(iter(uptakes.values()))
    assert scale(uptake, "uptake_1bar") == 300.0
    # a label of the user's own, in whatever unit
    assert scale(1e6 * uptake, "modulus") == pytest.approx(1e6 * uptake.std(), rel=0.2)
    for label, expected in (("diffusivity", 7.0), ("modulus", diffusion.std())):
        _, models = study.run_size(target, diffusion, [], 50, 1, label=label, **options)
        trained = TrainedSize.from_bytes(models).groups[0].model
        assert float(trained.label_scale[0]) == pytest.approx(expected, rel=0.3), label


def test_a_label_that_nobody_has_is_named(small_study):
    source, _, target, _, *_ = small_study
    strange = pd.Series([1.0, 2.0], index=["x", "y"])
    with pytest.raises(DataError, match=r"none of the 120 structures .* label gap, which 2"):
        study.pretrain(source, strange, "gap", learner="mlp", **FAST)
    with pytest.raises(DataError, match="none of the 60 structures"):
        study.run_size(target, strange, [], 10, 1, label="gap", learner="mlp", **FAST)
