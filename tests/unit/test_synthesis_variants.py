"""Variants, their validation without leaks, their interpretation, and the toy model."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import ConfigError, DataError
from poreflux.learning import boosting
from poreflux.learning.boosting import TreeStructure, boost, predict
from poreflux.learning.variants import (
    VARIANTS,
    Encoder,
    FittedVariant,
    Rows,
    TransferSettings,
    TransferTask,
    fit,
    pretrain,
)
from poreflux.run.config import complete
from poreflux.synthesis import K_FOLD, LEAVE_ONE_OUT, toy
from poreflux.synthesis.case import from_bytes, predict_conditions, rows_of, run_case, to_bytes
from poreflux.synthesis.interpretation import (
    AFTER,
    BEFORE,
    _agree,
    dependence,
    gain_share,
    interpret,
    permutation_share,
    shap_share,
)
from poreflux.synthesis.table import Column, Schema, make_case, read_table
from poreflux.synthesis.validation import folds_of, score, validate

SETTINGS = TransferSettings(max_depths=(2,), max_trees=80, tuning_repeats=1, inner_folds=3)
LINEAR = Schema(
    "y", Column("nm"), "lab", {"a": Column("mol/L"), "b": Column("h")}, ("solvent",), {}
)
# The laboratory's own level, a little below the labels' standard deviation.
OFFSET = 0.6


def truth(numbers, levels):
    """What the made-up labels depend on: a strongly, the solvent a little, b not at all."""
    return 3.0 * numbers[:, 0] + 0.5 * (levels[:, 0] == "water")


def made(n, seed, offset=0.0, prefix="c"):
    """``n`` rows, every second one a repeat of the last one's condition."""
    stream = np.random.default_rng(seed)
    half = (n + 1) // 2
    numbers = np.repeat(np.round(stream.uniform(0.0, 1.0, (half, 2)), 3), 2, axis=0)[:n]
    levels = np.repeat(stream.choice(["water", "methanol"], (half, 1)), 2, axis=0)[:n]
    y = truth(numbers, levels) + offset + 0.05 * stream.normal(size=n)
    groups = np.array([f"{prefix}{i // 2:02d}" for i in range(n)])
    return Rows(numbers, levels.astype("U10"), y, groups)


@pytest.fixture(scope="module")
def literature():
    return made(80, 1, prefix="article ")


@pytest.fixture(scope="module")
def in_house():
    return made(14, 2, offset=OFFSET)


@pytest.fixture(scope="module")
def pretrained(literature):
    return pretrain(literature, SETTINGS, 1)


@pytest.fixture(scope="module")
def task(literature, in_house, pretrained):
    return TransferTask(literature, in_house, pretrained, SETTINGS, 1)


def with_settings(task, **changes):
    return TransferTask(
        task.literature,
        task.in_house,
        task.pretrained,
        TransferSettings(**{**task.settings.__dict__, **changes}),
        task.seed,
    )


def test_the_simplest_variants_are_what_they_say(task, literature, in_house):
    assert np.allclose(fit("mean", task).predict(literature), in_house.y.mean())
    other = TransferTask(literature, made(14, 3), task.pretrained, SETTINGS, 1)
    alone = fit("literature", task).predict(in_house)
    assert np.array_equal(alone, fit("literature", other).predict(in_house))
    # the literature knows the dependence but not the level of this laboratory
    assert np.corrcoef(alone, in_house.y)[0, 1] > 0.9
    assert np.mean(in_house.y - alone) == pytest.approx(OFFSET, abs=0.15)


def test_weight_one_is_the_union_and_a_large_weight_the_in_house_rows_alone(task, in_house):
    structure, rows = task.pretrained.structure, task.literature + in_house
    encoder = Encoder.of(rows)
    union = boost(encoder(rows), rows.y, structure)
    equal = fit("transfer", with_settings(task, weights=(1.0,)))
    assert np.allclose(equal.predict(in_house), predict(union, encoder(in_house)), atol=1e-5)
    own = boost(encoder(in_house), in_house.y, structure)
    heavy = fit("transfer", with_settings(task, weights=(1e9,)))
    assert np.allclose(heavy.predict(in_house), predict(own, encoder(in_house)), atol=1e-3)


def test_the_weight_is_the_one_that_predicts_held_out_conditions(task, literature):
    """A laboratory like the literature needs no weight; one of another level needs much."""
    assert fit("transfer", task).chosen["weight"] > 1.0
    alike = TransferTask(literature, made(14, 2), task.pretrained, SETTINGS, 1)
    assert fit("transfer", alike).chosen["weight"] <= 10.0


@pytest.mark.slow("trains")
def test_where_only_the_level_differs_the_continued_booster_finds_it(literature, pretrained):
    """A few trees shift a known dependence; rows of two levels in one table blur it."""
    fresh = made(60, 9, offset=OFFSET)
    for seed in range(2, 6):
        task = TransferTask(literature, made(14, seed, offset=OFFSET), pretrained, SETTINGS, 1)
        error = {v: np.abs(fit(v, task).predict(fresh) - fresh.y).mean() for v in VARIANTS}
        others = [error[v] for v in VARIANTS if v != "continued"]
        assert error["continued"] < min(others)
        # weighting helps against equal weights, and against the literature as it stands
        assert error["transfer"] < min(error["baseline"], error["literature"], error["mean"])


def test_a_booster_is_continued_only_as_far_as_it_helps(task, literature):
    assert fit("continued", task).chosen["added_trees"] > 5
    same = TransferTask(literature, literature[:14], task.pretrained, SETTINGS, 1)
    few = fit("continued", same).chosen["added_trees"]
    assert few < fit("continued", task).chosen["added_trees"]


def test_synthetic_rows_come_with_the_augmented_variants_only(task, in_house):
    for variant in VARIANTS:
        n = fit(variant, task).chosen.get("n_synthetic", 0)
        assert (n == SETTINGS.per_row * len(in_house)) == variant.endswith("augmentation"), variant


def test_an_unknown_variant_is_an_error(task):
    with pytest.raises(DataError, match="no variant 'transfers'; there are: mean, literature"):
        fit("transfers", task)


def test_a_level_never_seen_is_no_level(task, in_house):
    odd = Rows(
        in_house.numbers, np.full_like(in_house.levels, "honey"), in_house.y, in_house.groups
    )
    assert np.isfinite(fit("transfer", task).predict(odd)).all()
    assert not Encoder.of(in_house)(odd)[:, 2:].any()


TELL_TALE = 1e6


@pytest.mark.slow("trains")
def test_no_training_or_synthetic_row_knows_the_held_out_one(
    literature, in_house, pretrained, monkeypatch
):
    """A row with values found nowhere else is held out: no model is shown any of them."""
    numbers, levels, y = in_house.numbers.copy(), in_house.levels.copy(), in_house.y.copy()
    held = in_house.groups == in_house.groups[4]
    numbers[held], levels[held], y[held] = TELL_TALE, "telltale", TELL_TALE
    marked = Rows(numbers, levels, y, in_house.groups)
    shown = []

    def spy(x, y, parameters, n_trees, **options):
        shown.append(max(np.abs(x).max(), np.abs(y).max()))
        return train(x, y, parameters, n_trees, **options)

    train = boosting.train
    monkeypatch.setattr(boosting, "train", spy)
    folds = [f for f in folds_of(marked, 3, 2, seed=1) if (f.held & held).any()]
    assert len(folds) == 3 and all(f.held[held].all() for f in folds)
    _, _, models = validate(literature, marked, pretrained, folds, VARIANTS, SETTINGS, 1)
    assert len(shown) > 100 and max(shown) < 100.0
    for variant in VARIANTS:
        for model in models[variant]:
            assert model.encoder is None or "telltale" not in model.encoder.levels[0]


@pytest.mark.slow("trains")
def test_predictions_of_a_held_out_row_do_not_depend_on_its_label(literature, in_house, pretrained):
    folds = folds_of(in_house, 3, 1, seed=1)[:2]
    held = folds[0].held
    changed = Rows(
        in_house.numbers, in_house.levels, np.where(held, 77.0, in_house.y), in_house.groups
    )
    tables = [
        validate(literature, rows, pretrained, folds[:1], VARIANTS, SETTINGS, 1)[0]
        for rows in (in_house, changed)
    ]
    assert np.array_equal(tables[0]["predicted"], tables[1]["predicted"])


def test_every_row_is_held_out_once_a_repeat_and_conditions_stay_together(in_house):
    folds = folds_of(in_house, 3, 4, seed=1)
    for scheme, repeats in ((LEAVE_ONE_OUT, 1), (K_FOLD, 4)):
        held = np.array([f.held for f in folds if f.scheme == scheme])
        assert np.array_equal(held.sum(axis=0), np.full(len(in_house), repeats))
        for name in set(in_house.groups):
            same = held[:, in_house.groups == name]
            assert (same == same[:, :1]).all()
    alone = [f for f in folds if f.scheme == LEAVE_ONE_OUT]
    assert len(alone) == 7 and all(f.held.sum() == 2 for f in alone)


def table_of(errors: dict[str, np.ndarray]) -> pd.DataFrame:
    """Held-out predictions of 8 conditions that are off by ``errors``, of y = 10 ... 80 nm."""
    y = 10.0 * np.arange(1, 9)
    parts = [
        pd.DataFrame(
            {
                "scheme": LEAVE_ONE_OUT,
                "repeat": 0,
                "fold": np.arange(8),
                "variant": variant,
                "row": np.arange(8),
                "condition": [f"c{i}" for i in range(8)],
                "y": y,
                "predicted": y + e,
            }
        )
        for variant, e in errors.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_scores_of_known_errors():
    errors = {
        "in_house": np.array([3, -3, 3, -3, 3, -3, 3, -3.0]),
        "transfer": np.array([1, -1, 1, -1, 1, -1, 1, -5.0]),
    }
    scores, comparisons = score(table_of(errors), Column("nm"), 500, seed=1)
    by = scores.set_index("variant")
    assert by.loc["in_house", "rmse"] == pytest.approx(3.0)
    assert by.loc["in_house", ["rmse_low", "rmse_high"]].tolist() == pytest.approx([3.0, 3.0])
    assert by.loc["transfer", "mae"] == pytest.approx(1.5)
    assert by.loc["transfer", "rmse"] == pytest.approx(2.0)
    # 1 - 72 / sum of squares of 10 ... 80 about 45
    assert by.loc["in_house", "r2"] == pytest.approx(1.0 - 72.0 / 4200.0)
    one = comparisons[(comparisons["variant"] == "transfer")].iloc[0]
    assert one["against"] == "in_house"
    assert one["rmse_difference"] == pytest.approx(-1.0)
    assert one["folds_won"] == 7 / 8
    # samples that hold the bad condition k times of 8: rmse^2 = 1 + 3 k, above 9 from k = 3 on;
    # k is binomial with mean 1: P(k < 3) = 0.925, and k = 3 never ties (10 against 9)
    assert one["probability"] == pytest.approx(0.925, abs=0.04)


def test_equal_variants_win_half():
    same = np.array([3, -3, 3, -3, 3, -3, 3, -3.0])
    _, comparisons = score(
        table_of({"in_house": same, "transfer": same}), Column("nm"), 200, seed=1
    )
    one = comparisons[(comparisons["variant"] == "transfer")].iloc[0]
    assert one["probability"] == one["folds_won"] == 0.5


def test_on_a_logarithmic_scale_both_errors_are_told():
    table = table_of({"in_house": np.zeros(8)})
    table["y"], table["predicted"] = 2.0, 2.1
    scores, _ = score(table, Column("nm", "log"), 100, seed=1)
    assert scores["rmse"].iloc[0] == pytest.approx(10**2.1 - 100.0)
    assert scores["rmse_scaled"].iloc[0] == pytest.approx(0.1)


def test_importance_falls_on_the_columns_that_matter(literature, in_house, pretrained):
    model = pretrained.model
    everything = [np.ones(len(in_house), dtype=bool)]
    in_house = Rows(in_house.numbers, in_house.levels, in_house.y - OFFSET, in_house.groups)
    for share in (
        gain_share(model, 2),
        shap_share(model, in_house),
        permutation_share([model], everything, in_house, LINEAR.features, 10, 1),
    ):
        assert share.sum() == pytest.approx(1.0)
        # the variance of 3 a is 0.75, that of the solvent's half 0.06
        assert share[0] > 0.6 and share[2] > share[1]


def test_every_row_is_shuffled_through_the_model_that_never_saw_it(literature, in_house):
    """Two models of which one is constant: only the other's rows can lose."""
    encoder = Encoder.of(literature)
    real = FittedVariant(encoder, boost(encoder(literature), literature.y, TreeStructure(2, 60)))
    flat = FittedVariant(None, None, 0.0)
    held = [in_house.groups < "c03", in_house.groups >= "c03"]
    centred = Rows(in_house.numbers, in_house.levels, in_house.y - OFFSET, in_house.groups)
    share = permutation_share([real, flat], held, centred, LINEAR.features, 10, 1)
    none = permutation_share([flat, flat], held, centred, LINEAR.features, 10, 1)
    assert share[0] > 0.5 and not none.any()


def test_models_that_agree_have_a_stable_ranking(literature, in_house, pretrained, task):
    folds = folds_of(in_house, 3, 2, seed=1)
    same = [fit("transfer", task)] * len(folds)
    importance, stability = interpret(
        literature, in_house, pretrained, folds, same, LINEAR, SETTINGS, n_repeats=5, seed=1
    )
    after = stability[(stability["stage"] == AFTER) & (stability["method"] == "gain")].iloc[0]
    assert after["rank_correlation"] == pytest.approx(1.0) and after["top3_agreement"] == 1.0
    sums = importance.groupby(["stage", "method"])["share"].sum()
    assert np.allclose(sums, 1.0) and len(sums) == 6


def test_a_ranking_of_few_columns_can_be_unlike_another():
    reversed_ = _agree(np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]))
    assert reversed_["rank_correlation"] == pytest.approx(-1.0)
    assert reversed_["top3_agreement"] == 0.5
    assert _agree(np.array([[0.7, 0.3], [0.6, 0.4]]))["top3_agreement"] == 1.0
    # one column each, and different ones: nothing in common
    assert _agree(np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]))["top3_agreement"] == 0.0


def test_shap_after_transfer_differs_by_model_not_by_row(literature, in_house, pretrained, task):
    folds = folds_of(in_house, 3, 1, seed=1)
    same = [fit("transfer", task)] * len(folds)
    importance, stability = interpret(
        literature, in_house, pretrained, folds, same, LINEAR, SETTINGS, n_repeats=2, seed=1
    )
    after = (importance["stage"] == AFTER) & (importance["method"] == "shap")
    assert (importance.loc[after, "sd"] < 1e-12).all()
    alike = stability[(stability["stage"] == AFTER) & (stability["method"] == "shap")].iloc[0]
    assert alike["rank_correlation"] == pytest.approx(1.0) and alike["top3_agreement"] == 1.0


def test_too_few_conditions_for_the_folds_say_what_to_set(small):
    schema, config, case = small
    few = dataclasses.replace(case, in_house=case.in_house.drop_duplicates("condition").head(3))
    with pytest.raises(DataError, match=r"3 in-house conditions in 2 folds .*folds to 3"):
        run_case(few, schema, config | {"validation": {"folds": 2, "repeats": 1}}, 1)
    upside = config | {"augmentation": config["augmentation"] | {"mixing": [0.8, 0.2]}}
    with pytest.raises(ConfigError, match=r"mixing: 0\.8 is above 0\.2"):
        run_case(case, schema, upside, 1)


def test_partial_dependence_follows_the_truth(literature, in_house, pretrained):
    table = dependence(literature, in_house, {BEFORE: [pretrained.model]}, LINEAR)
    of_a = table[table["feature"] == "a"]
    slope = np.polyfit(of_a["value"], of_a["predicted"], 1)[0]
    assert slope == pytest.approx(3.0, abs=0.4)
    of_b = table[table["feature"] == "b"]
    assert np.ptp(of_b["predicted"]) < 0.15
    levels = table[table["feature"] == "solvent"].set_index("level")
    difference = levels.loc["water", "predicted"] - levels.loc["methanol", "predicted"]
    assert difference == pytest.approx(0.5, abs=0.25)
    assert levels["n_in_house"].sum() == len(in_house)
    assert of_a["in_house_low"].iloc[0] == pytest.approx(in_house.numbers[:, 0].min())


# The toy model and the example tables made with it.


def test_early_on_the_mean_size_is_the_growth_rate_times_the_time():
    """Constant nucleation and growth: m_1 / m_0 = G t / 2, so the mean diameter is G t."""
    conditions = toy.Conditions(0.05, 0.4, 25.0, 1e-3)
    s = toy.supersaturation(0.05, 0.4, "methanol", 25.0)
    assert toy.size_nm(conditions) == pytest.approx(10.0 * (s - 1.0) * 1e-3, rel=1e-3)


def test_no_more_metal_crystallises_than_there_is():
    conditions = toy.Conditions(0.05, 0.4, 60.0, 200.0)
    used = 4.0 / 3.0 * np.pi * 6.7e-24 * toy.moments(conditions)[3]
    left, ligand = 0.05 - used, 0.4 - 2.0 * used
    assert 0.0 <= left < 0.05 and used > 0.04
    # in the end the solution is saturated or its metal gone
    assert toy.supersaturation(left, ligand, "methanol", 60.0) < 1.2 or left < 1e-4


def test_nothing_nucleates_below_saturation():
    assert np.isnan(toy.size_nm(toy.Conditions(0.005, 0.005, 25.0, 1.0)))


def test_the_example_tables_are_those_of_the_model(root, tmp_path):
    toy.write(tmp_path)
    for name in ("literature.csv", "in_house.csv"):
        committed = root / "config" / "synthesis" / name
        made_now, there = pd.read_csv(tmp_path / name), pd.read_csv(committed)
        assert made_now.columns.tolist() == there.columns.tolist()
        # the integrator's last digit may differ between machines
        size = "particle_size_nm"
        pd.testing.assert_frame_equal(made_now.drop(columns=size), there.drop(columns=size))
        assert np.allclose(made_now[size], there[size], rtol=2e-3, equal_nan=True)
        assert set(there["origin"]) == {"synthetic (toy model)"}


@pytest.fixture(scope="module")
def example(root):
    """Schema, settings and case of the example tables."""
    import yaml

    given = yaml.safe_load((root / "config" / "synthesis.yaml").read_text(encoding="utf-8"))
    config = complete(given).model_dump(mode="json")["synthesis"]
    schema = Schema.from_config(config["columns"])
    tables = [read_table(root / config[name], schema)[0] for name in ("literature", "in_house")]
    return schema, config, make_case("example", *tables, schema)


@pytest.mark.slow("trains")
def test_on_the_example_transfer_beats_the_in_house_rows_alone(example):
    """As the generating model says it must: clear of zero, in nm and on the logarithm."""
    schema, config, case = example
    settings = TransferSettings.from_config(config)
    literature = rows_of(case.literature, schema, groups="group")
    in_house = rows_of(case.in_house, schema)
    folds = [f for f in folds_of(in_house, 5, 1, seed=1) if f.scheme == LEAVE_ONE_OUT]
    predictions, _, _ = validate(
        literature,
        in_house,
        pretrain(literature, settings, 1),
        folds,
        ("in_house", "transfer"),
        settings,
        1,
    )
    _, comparisons = score(predictions, schema.target, 2000, seed=1)
    one = comparisons.set_index("variant").loc["transfer"]
    assert one["rmse_high"] < 0.0 and one["rmse_scaled_high"] < 0.0


@pytest.fixture(scope="module")
def small(example):
    """The example with few trees and folds: schema, configuration, case."""
    schema, config, case = example
    config = config | {
        "structure": config["structure"] | {"max_depths": [2], "max_trees": 20},
        "transfer": config["transfer"] | {"weights": [1.0, 10.0], "continued_trees": 10},
        "validation": {"folds": 3, "repeats": 1, "resamples": 200},
        "interpretation": {"repeats": 3},
    }
    return schema, config, case


@pytest.mark.slow("trains")
def test_a_case_gives_every_table_and_comes_back_from_the_store_as_it_was(small):
    schema, config, case = small
    tables = run_case(case, schema, config, 1)
    again = from_bytes(to_bytes(tables))
    for name, table in tables.items():
        assert len(table) and set(table["case"]) == {"example"}, name
        pd.testing.assert_frame_equal(table, again[name])
    assert to_bytes(tables) == to_bytes(run_case(case, schema, config, 1))
    held = tables["predictions"]
    one = held[(held["scheme"] == LEAVE_ONE_OUT) & (held["variant"] == "mean")]
    assert np.allclose(one["target"], case.in_house["target"].iloc[one["row"]])


@pytest.mark.slow("trains")
def test_new_conditions_are_predicted_with_their_error_and_domain(small, root, tmp_path):
    schema, config, case = small
    scores = run_case(case, schema, config, 1)["scores"]
    own = pd.read_csv(root / "config" / "synthesis" / "in_house.csv")
    new = own.head(3).assign(time_h=[1.0, 1.0, 500.0])
    new.loc[1, "solvent"] = "honey"
    new.drop(columns=["particle_size_nm", "laboratory"]).to_csv(tmp_path / "new.csv", index=False)
    rows, _ = read_table(tmp_path / "new.csv", schema, target=False)
    table = predict_conditions(case, rows, schema, config, 1, scores)
    assert table["row"].tolist() == [1, 2, 3]
    assert table["in_domain"].tolist()[1:] == [False, False]
    assert ((table["low"] < table["predicted"]) & (table["predicted"] < table["high"])).all()
    best = scores[scores["scheme"] == LEAVE_ONE_OUT].set_index("variant")["rmse_scaled"]
    assert set(table["variant"]) == {best.idxmin()}
    assert np.allclose(np.log10(table["high"] / table["low"]), 4.0 * best.min())


def test_the_published_tables_are_read_as_their_description_says(reference, root):
    import yaml

    given = yaml.safe_load((root / "config" / "zif8.yaml").read_text(encoding="utf-8"))
    config = complete(given).model_dump(mode="json")["synthesis"]
    schema = Schema.from_config(config["columns"])
    folder = reference / "zif8"
    literature, dropped = read_table(folder / "literature.csv", schema)
    in_house, _ = read_table(folder / "in_house.csv", schema)
    # 193 clean rows of 121 articles; 17 rows of 14 conditions
    assert len(literature) == 193 and literature["group"].nunique() == 121
    assert len(dropped) == 355 - 193
    assert len(in_house) == 17 and in_house["condition"].nunique() == 14
    assert in_house.groupby("condition").size().max() == 4
    sizes = {}
    for name, options in config["cases"].items():
        case = make_case(name, literature, in_house, schema, **options)
        sizes[name] = len(case.in_house)
        assert not set(case.literature["group"]) & set(case.in_house["group"])
    assert sizes["alcohols_and_time"] == 13 and sizes["salt_and_ratio"] == 10
