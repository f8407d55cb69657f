"""Which model a study answers with: one choice, for predictions and for the report."""

import numpy as np
import pandas as pd
import pytest

from poreflux.learning import predict as prediction
from poreflux.learning.choice import best_model, best_variant
from poreflux.learning.splits import draws
from poreflux.learning.study import scores_of
from poreflux.learning.trained import Group, TrainedSize, parts_of
from poreflux.report.scores import score_summary, valid_scores
from poreflux.report.sections import headline
from poreflux.report.study import Study


def scores(*rows):
    """Rows of learner, size, r2 and rmse, direct."""
    table = pd.DataFrame(rows, columns=["learner", "size", "r2", "rmse"])
    return table.assign(kind="dl", source_label="", draw=range(len(table)))


def test_the_highest_median_of_the_largest_size_is_best():
    table = scores(
        ("a", 20, 0.99, 0.1),
        *(("a", 40, r2, 0.1) for r2 in (0.1, 0.5, 0.9)),
        # a mean of 0.43 against 0.5: one draw gone wrong does not sway a median
        *(("b", 40, r2, 0.3) for r2 in (-0.3, 0.6, 1.0)),
    )
    assert best_model(table) == ("dl", "b", "")


def test_errors_decide_where_no_share_has_an_r2_or_two_are_alike():
    lacking = scores(("a", 5, np.nan, 0.2), ("b", 5, np.nan, 0.1))
    assert best_model(lacking) == ("dl", "b", "")
    alike = scores(("a", 5, 0.5, 0.2), ("b", 5, 0.5, 0.1), ("c", 5, np.nan, 0.01))
    assert best_model(alike) == ("dl", "b", "")
    assert best_model(alike.assign(rmse=0.1)) == ("dl", "a", "")


@pytest.mark.parametrize(("gain", "best"), [(0.01, "dl"), (0.05, "tl")])
def test_a_transfer_is_best_only_where_its_gain_is_sure(gain, best):
    """Of two sources one gains much in 11 of 20 draws and loses as much in 9, one in every draw."""
    direct = np.linspace(0.5, 0.6, 20)
    lucky = direct + np.repeat([0.3, -0.3], [11, 9])
    assert np.median(lucky) > np.median(direct) + gain
    assert best_model(transferred(direct, x=lucky, y=direct + gain))[0] == best


def transferred(direct, **r2_of_sources):
    """Scores of one learner, direct and from sources, a draw for each R2."""
    parts = [("dl", "", direct), *(("tl", *of) for of in r2_of_sources.items())]
    draw = np.arange(len(direct))
    tables = [
        pd.DataFrame({"kind": kind, "source_label": source, "draw": draw, "r2": r2})
        for kind, source, r2 in parts
    ]
    constant = {"learner": "gp", "size": 40, "rmse": 0.1, "mae": 0.1, "n_test": 16}
    return pd.concat(tables, ignore_index=True).assign(**constant, source_pressure_bar=np.nan)


def first_sentences(table, folder):
    return str(headline.headline(Study({"study/scores": table}, {}, folder)))


def test_transfer_is_judged_by_pairs_and_not_by_the_medians_of_all_draws(tmp_path):
    """It gains 0.03 in 16 of 20 draws and fails in the 4 that are easy: its median is lower."""
    direct = np.linspace(0.5, 0.7, 20)
    r2 = np.append(direct[:16] + 0.03, np.full(4, 0.2))
    assert np.median(r2) < np.median(direct)
    table = transferred(direct, x=r2)
    assert best_model(table) == ("tl", "gp", "x")
    page = first_sentences(table, tmp_path)
    assert (
        "transfer from the label x adds 0.03" in page
        and "gp, transfer from the label x, with" in page
    )


def test_the_page_speaks_of_the_source_that_predicts(tmp_path):
    """Both gain for sure: x has the higher median, y the larger gain in the median draw."""
    direct = np.linspace(0.50, 0.69, 20)
    table = transferred(direct, x=direct + np.repeat([0.3, 0.04], [9, 11]), y=direct + 0.05)
    assert best_model(table) == ("tl", "gp", "x")
    page = first_sentences(table, tmp_path)
    assert (
        "transfer from the label x adds 0.04" in page
        and "gp, transfer from the label x, with" in page
    )


def trained(learner, size, labels, rng):
    """Models that miss by as much as they please, direct and from two sources."""
    splits = draws(len(labels), size, 6, seed=1)
    groups = tuple(
        Group(kind, learner, source, None, (labels + noise).astype(np.float32))
        for kind, source in (("dl", ""), ("tl", "uptake_1bar"), ("tl", "uptake_65bar"))
        for noise in [rng.normal(0, rng.uniform(0.2, 1.0, (6, 1)), (6, len(labels)))]
    )
    hashes = tuple(map(str, range(len(labels))))
    parts = parts_of(splits, len(labels))
    return TrainedSize(size, "diffusivity", ("x",), hashes, labels, parts, groups)


@pytest.mark.parametrize("seed", range(8))
def test_the_report_names_the_model_that_predicts(seed, tmp_path):
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=100)
    sizes = {n: [trained(name, n, labels, rng) for name in ("xgboost", "gp")] for n in (30, 60)}
    tables = [scores_of(models) for some in sizes.values() for models in some]
    study = Study({"study/scores": pd.concat(tables, ignore_index=True)}, {}, tmp_path)
    valid = valid_scores(study)
    named = headline._best(valid, score_summary(valid))
    spoken = prediction.choose(sizes[60]).group
    pressure = spoken.source.removeprefix("uptake_").removesuffix("bar")
    what = f"transfer from the uptake at {pressure} bar" if spoken.source else "direct"
    assert (named["learner"], named["what"], named["size"]) == (spoken.learner, what, 60)


def test_the_best_variant_has_the_lowest_error_on_the_scale_that_is_learnt():
    table = pd.DataFrame(
        {"variant": ["a", "b"], "rmse": [10.0, 12.0], "rmse_scaled": [0.3, 0.2]}, index=[4, 7]
    )
    assert best_variant(table)["variant"] == "b"
