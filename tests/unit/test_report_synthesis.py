"""The page of the synthesis stage: its words follow the intervals of the tables."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from test_report import EVIL, Page, render_only, undrawn

from poreflux.report import numbers, synthesis
from poreflux.report.sections.synthesis import verdict
from poreflux.report.sections.synthesis.comparisons import (
    AUGMENTATIONS,
    NO,
    UNDECIDED,
    UNKNOWN,
    YES,
    judged,
)
from poreflux.report.sections.synthesis.interpretation import chosen_levels
from poreflux.report.synthesis_study import (
    METHOD_WORDS,
    STAGE_WORDS,
    VARIANT_WORDS,
    SynthesisStudy,
    in_words,
)
from poreflux.synthesis import K_FOLD, LEAVE_ONE_OUT

VARIANTS = tuple(VARIANT_WORDS)
FEATURES = ("time_h", "zn_mol_per_L")
FIGURES = ("rmse", "parity", "differences", "importance", "dependence", "levels")
OPTIONAL = ("dropped", "new_conditions")
# Difference of the RMSE of a variant from its reference, with its interval: better and worse
# clear of zero, and undecided on either side.
BETTER, WORSE = (-5.0, -8.0, -1.0), (4.0, 0.5, 7.0)
LEANING, OPEN = (-2.0, -6.0, 1.0), (1.0, 0.0, 3.0)


def one_case(name, *, transfer=LEANING, augmentation=OPEN, n_levels=3, seed=1):
    """Tables of one case, in which in-house rows alone have an RMSE of 20 nm."""
    rng = np.random.default_rng(seed)
    rmse = {v: 20.0 + 3 * k for k, v in enumerate(VARIANTS)}
    rmse |= {"in_house": 20.0, "transfer": 20.0 + transfer[0]}
    given = {("transfer", "in_house"): transfer}
    given |= {pair: augmentation for pair in AUGMENTATIONS}
    scores, comparisons, predictions, choices = [], [], [], []
    size = 30.0 + 10 * np.arange(7) + rng.random(7)
    for scheme in (LEAVE_ONE_OUT, K_FOLD):
        for variant in VARIANTS:
            line = {"scheme": scheme, "variant": variant, "n_conditions": 7, "n_predictions": 7}
            for metric, value in (("rmse", rmse[variant]), ("mae", 9.0), ("r2", 0.5)):
                line |= {metric: value, f"{metric}_low": 0.8 * value, f"{metric}_high": 1.3 * value}
            scores.append(line | {"rmse_scaled": line["rmse"] / 100})
            for against in ("in_house", "baseline", "transfer"):
                if against == variant:
                    continue
                value, low, high = given.get((variant, against), (0.5, -1.0, 2.0))
                if scheme == K_FOLD:  # must not be asked
                    value, low, high = 50.0, 40.0, 60.0
                comparisons.append(
                    {
                        "scheme": scheme,
                        "variant": variant,
                        "against": against,
                        "rmse_difference": value,
                        "rmse_low": low,
                        "rmse_high": high,
                        "rmse_scaled_difference": value / 100,
                        "rmse_scaled_low": -0.1,
                        "rmse_scaled_high": 0.1,
                        "probability": 0.5,
                        "folds_won": 0.5,
                    }
                )
            for row in range(7):
                where = {"scheme": scheme, "repeat": 0, "fold": row, "variant": variant}
                predicted = size[row] * rng.uniform(0.8, 1.2)
                predictions.append(
                    where
                    | {"row": row, "condition": str(row)}
                    | {"predicted": predicted, "target": size[row]}
                )
                weight = (30.0 if row < 5 else 100.0) if "transfer" in variant else math.nan
                added = float(row) if variant == "continued" else math.nan
                choices.append(where | {"weight": weight, "added_trees": added})
    stages = ("before", "after")
    importance = [
        {"stage": s, "method": m, "feature": f, "share": share, "sd": sd, "rank": 1, "n_models": 5}
        for s in stages
        for m, sd in (("gain", 0.1), ("permutation", math.nan), ("shap", 0.1))
        for f, share in zip((*FEATURES, "solvent"), (0.6, 0.3, 0.1), strict=True)
    ]
    stability = [
        {"stage": s, "method": m, "n_models": 5, "rank_correlation": 0.7, "top3_agreement": 0.9}
        for s in stages
        for m in ("gain", "permutation", "shap")
    ]
    spans = {"time_h": (0.1, 24.0, 0.5, 2.0), "zn_mol_per_L": (0.01, 0.1, 0.05, 0.05)}
    dependence = []
    for stage in stages:
        for feature, (low, high, own_low, own_high) in spans.items():
            for value in np.geomspace(low, high, 6):
                known = {"feature": feature, "value": value, "level": "", "n_in_house": 0}
                known |= {"in_house_low": own_low, "in_house_high": own_high}
                size_nm = 50 + value
                known |= {"predicted": size_nm, "low": 0.9 * size_nm, "high": 1.1 * size_nm}
                dependence.append({"stage": stage} | known)
        for k in range(n_levels):
            known = {"feature": "solvent", "value": math.nan, "level": f"level {k}"}
            known |= {"in_house_low": math.nan, "in_house_high": math.nan}
            known |= {"n_in_house": 7 if k == 0 else 0}
            dependence.append(
                {"stage": stage} | known | {"predicted": 50.0 + k, "low": 49.0, "high": 70.0}
            )
    summary = {
        "n_literature": 100,
        "n_groups": 60,
        "n_in_house": 7,
        "n_conditions": 7,
        "target": "particle_size_nm",
        "unit": "nm",
        "scale": "log",
        "in_house_min": size.min(),
        "in_house_median": np.median(size),
        "in_house_max": size.max(),
        "literature_median": 128.0,
        "max_depth": 3,
        "n_trees": 40,
        "literature_rmse_scaled": 0.3,
        "literature_sd_scaled": 0.5,
        "weight": 30.0,
    }
    missing = [
        {"column": f, "n_missing": 3 * (f == "time_h"), "n_rows": 100, "table": "literature"}
        for f in FEATURES
    ]
    tables = {
        "summary": [summary],
        "missing": missing,
        "scores": scores,
        "comparisons": comparisons,
        "predictions": predictions,
        "choices": choices,
        "importance": importance,
        "stability": stability,
        "dependence": dependence,
    }
    return {key: pd.DataFrame(rows).assign(case=name) for key, rows in tables.items()}


def together(*cases):
    """Tables of several cases, and those that are there once."""
    tables = {key: pd.concat([c[key] for c in cases], ignore_index=True) for key in cases[0]}
    dropped = [("literature", 3, "mof", "'ZIF-67', not among ZIF-8")] * 2
    tables["dropped"] = pd.DataFrame(dropped, columns=["table", "row", "column", "reason"])
    tables["new_conditions"] = pd.DataFrame(
        {
            "row": [1, 2],
            "predicted": [51.2, 88.0],
            "low": [33.0, 56.0],
            "high": [80.0, 138.0],
            "in_domain": [True, False],
            "variant": "transfer",
        }
    )
    return tables


def facts(**block):
    config = {"study": "demo", "seed": 7, "synthesis": block}
    return {"study": "demo", "config": config, "engines": {"synthesis": {"xgboost": "3.0"}}}


def built(tables, given, folder):
    path = synthesis.build(tables, given, folder)
    assert path == folder / "index.html"
    read = Page(path.read_text(encoding="utf-8"))
    read.text = re.sub(r"\s+", " ", read.text)
    assert len(set(read.ids)) == len(read.ids)
    files = {f"figures/{p.name}" for p in (folder / "figures").iterdir()}
    assert files == {link for link in read.links if link.startswith("figures/")}
    for link in read.links:
        assert link[1:] in read.ids if link.startswith("#") else True
    return read


@pytest.fixture
def quick(monkeypatch):
    render_only(monkeypatch)


@pytest.fixture(scope="module")
def tables():
    cases = [
        one_case("alpha", transfer=BETTER, augmentation=WORSE, seed=1),
        one_case("beta", transfer=WORSE, augmentation=BETTER, seed=2),
        one_case("gamma", seed=3),
    ]
    return together(*cases)


@pytest.fixture(scope="module")
def whole(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthesis")
    return folder, built(tables, facts(), folder)


@pytest.mark.slow("draws a whole page")
def test_every_figure_is_there_and_nothing_missing(whole):
    folder, read = whole
    names = {p.stem for p in (folder / "figures").iterdir()}
    cases = ("alpha", "beta", "gamma")
    assert names == {"verdicts", "choices", *(f"{f}_{c}" for f in FIGURES for c in cases)}
    assert "not shown" not in read.text.replace("Cost not shown: no CPU times were given", "")
    assert not re.search(r"\bnan\b", read.text, re.IGNORECASE)
    assert "conditions" in read.ids and "provenance" in read.ids
    assert "Du, doi:10.1016/j.nwnano.2025.100153" in read.text


def test_the_best_variant_is_the_one_that_predicts_new_conditions(tmp_path):
    """By the error on the scale that is learnt on, where the lowest in nanometres is another's."""
    tables = one_case("alpha", transfer=BETTER)
    scores = tables["scores"]
    scores.loc[scores["variant"] == "baseline", "rmse_scaled"] = 0.01
    line = verdict._error_line(SynthesisStudy(tables, facts(), tmp_path), "alpha")
    lowest = scores.loc[scores["rmse"].idxmin(), "variant"]
    assert lowest == "transfer" and line[-1].endswith("(both, equal weights (baseline))")


@pytest.mark.slow("draws a whole page")
def test_first_case_is_open(whole):
    text = (whole[0] / "index.html").read_text()
    assert re.findall(r"<details open><summary><b>(\w+)</b>", text) == ["alpha", "alpha"]
    assert re.findall(r"<details><summary><b>(\w+)</b>", text) == ["beta", "gamma"] * 2


@pytest.mark.slow("draws a whole page")
def test_words_follow_the_intervals(whole):
    text = whole[1].text
    # alpha is better, beta worse and gamma holds zero; a negative difference in alpha and gamma
    assert (
        "Transfer against in-house rows alone: better in 1 of 3 cases, worse in 1, undecided in 1. "
        "Its RMSE is the lower one, whatever the interval, in 2 of 3." in text
    )
    # beta's augmentation is better, alpha's worse, gamma's interval ends at zero
    assert text.count("better in 1 of 3 cases, worse in 1, undecided in 1") == 1 + 3
    # every interval on the logarithmic scale holds zero
    assert "fitted: better in 0 of 3 cases, worse in 0, undecided in 3" in text
    assert "yes−5.00 (−8.00 to −1.00)on the log scale: undecided" in text
    assert "no4.00 (0.50 to 7.00)" in text
    assert "undecided: interval holds zero−2.00 (−6.00 to 1.00)" in text
    assert "clearly better than the mean of the in-house rows in 0 of 3 cases" in text
    assert "about 0.6 of these 12 intervals" in text


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-2.0, -1.0, YES),
        (1.0, 2.0, NO),
        (-1.0, 1.0, UNDECIDED),
        (-1.0, 0.0, UNDECIDED),
        (0.0, 0.0, UNDECIDED),
        (math.nan, 1.0, UNKNOWN),
    ],
)
def test_judgements(low, high, word):
    assert judged(low, high) == word


@pytest.mark.slow("draws a whole page")
def test_numbers_of_the_tables(whole):
    text = whole[1].text
    assert "15.0 (transfer (weighted))" in text  # alpha: 20 - 5 is the lowest
    assert "64 % of the variance explained" in text  # 1 - (0.3 / 0.5)^2
    assert "off by a factor 2.0, the mean by 3.2" in text  # 10^0.3 and 10^0.5
    assert "3 of 100" in text
    assert "'ZIF-67', not among ZIF-82" in text  # the reason and how many rows
    assert "30 (71 %)" in text  # 10 of 14 folds
    assert "51.2 (33.0 to 80.0)" in text and "no: extrapolation" in text
    assert "For 1 of 2 conditions it is not" in text


@pytest.mark.slow("draws pages")
def test_equal_tables_give_equal_files(tables, whole, tmp_path, monkeypatch):
    chosen = ("verdicts", "levels_alpha")
    render_only(monkeypatch, *chosen)
    synthesis.build(tables, facts(), tmp_path)
    for name in (f"figures/{n}.{kind}" for n in chosen for kind in ("png", "svg")):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes(), name
    assert undrawn(tmp_path) == undrawn(whole[0])


@pytest.mark.slow("draws pages")
def test_names_are_escaped(tmp_path):
    tables = together(one_case("<b>"))
    tables["dependence"]["level"] = tables["dependence"]["level"].replace(
        "level 1", "$\\frac" + EVIL
    )
    tables["dropped"]["reason"] = "<script>alert(1)</script>"
    tables["importance"]["feature"] = tables["importance"]["feature"].replace("solvent", EVIL)
    read = built(tables, facts() | {"study": "<i>"}, tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert "<b>&lt;b&gt;</b>" in text and "<b><b>" not in text
    assert "<script>alert(1)</script>" in read.text
    assert "script" not in read.tags and "i" not in read.tags


def test_cases_whose_names_are_alike_as_files(tmp_path, quick):
    tables = together(one_case("a/b"), one_case("a_b", seed=2))
    built(tables, facts(), tmp_path)
    assert {"rmse_a_b.png", "rmse_a_b_.png"} <= {p.name for p in (tmp_path / "figures").iterdir()}


def test_same_measurements_are_named(tmp_path, quick):
    text = built(together(one_case("a"), one_case("b"), one_case("c", seed=2)), facts(), tmp_path)
    assert "The cases a and b hold the same in-house measurements" in text.text


@pytest.mark.slow("draws pages")
@pytest.mark.parametrize("state", ["absent", "empty", "no numbers", "no columns"])
@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("summary", "The data"),
        ("missing", "Missing values"),
        ("scores", "Errors by variant"),
        ("comparisons", "Verdicts by case"),
        ("predictions", "Predictions against measurements"),
        ("choices", "The choices"),
        ("importance", "Feature importance"),
        ("stability", "Stability of the rankings"),
        ("dependence", "Partial dependence"),
        ("new_conditions", "New conditions"),
    ],
)
def test_missing_tables_are_explained(tmp_path, quick, key, what, state):
    tables = together(one_case("a"))
    if state == "absent":
        del tables[key]
    elif state == "empty":
        tables[key] = tables[key].iloc[:0]
    elif state == "no numbers":
        numbers = tables[key].select_dtypes(float).columns
        tables[key] = tables[key].assign(**dict.fromkeys(numbers, math.nan))
    else:
        tables[key] = tables[key][[c for c in ("case",) if c in tables[key]]]
    text = built(tables, facts(), tmp_path).text
    numeric = key not in ("summary", "missing", "stability") or state in ("absent", "empty")
    optional = key in OPTIONAL and state == "absent"
    if numeric and not optional:
        assert f"{what} not shown: " in text
    if state == "absent" and key not in OPTIONAL:
        assert f"there is no table {key}" in text


@pytest.mark.parametrize("given", [{}, {"scores": None}, {"summary": pd.DataFrame()}])
def test_nothing_at_all(tmp_path, given):
    read = built(given, {}, tmp_path)
    assert read.text.count("not shown") >= 6
    assert list((tmp_path / "figures").iterdir()) == []


@pytest.mark.slow("draws pages")
def test_case_without_rows_of_a_table(tmp_path, quick):
    tables = together(one_case("a"), one_case("b", seed=2))
    rows = tables["importance"]
    tables["importance"] = rows[rows["case"] == "a"]
    text = built(tables, facts(), tmp_path).text
    assert "Feature importance not shown: the table importance holds no case b." in text


def test_levels_that_are_drawn():
    rows = one_case("a", n_levels=12)["dependence"]
    rows = rows[rows["level"] != ""].reset_index(drop=True)
    shown, hidden = chosen_levels(rows)
    # level 0 has in-house rows; predictions are 50 + k with the median at 55.5
    assert set(shown["level"]) == {f"level {k}" for k in (0, 1, 2, 3, 8, 9, 10, 11)}
    assert hidden == {"solvent": 4}
    few, none = chosen_levels(rows[rows["level"].isin(["level 1", "level 2"])])
    assert set(few["level"]) == {"level 1", "level 2"} and none == {"solvent": 0}


@pytest.mark.slow("draws pages")
def test_weight_at_the_edge_is_noted(tmp_path, quick):
    tables = together(one_case("a"))
    text = built(tables, facts(transfer={"weights": [1.0, 30.0]}), tmp_path).text
    assert "a, transfer (weighted): largest (30)" in text
    text = built(tables, facts(transfer={"weights": [1.0, 30.0, 300.0]}), tmp_path).text
    assert "edge of the candidates" not in text


def test_columns_in_words(tmp_path):
    numeric = {"zn_mol_per_L": {"unit": "mol/L"}, "temperature_C": {"unit": "°C"}, "ratio": {}}
    tables = {"summary": one_case("a")["summary"]}
    study = SynthesisStudy(tables, facts(columns={"numeric": numeric}), tmp_path)
    assert study.feature("zn_mol_per_L") == "zn (mol/L)"
    assert study.feature("temperature_C") == "temperature (°C)"
    assert study.feature("ratio") == "ratio"
    assert study.feature("zinc_source") == "zinc source"
    assert study.quantity("a") == "particle size (nm)"
    assert in_words("something_new") == "something new"


def test_every_name_has_its_words():
    """The modules that name them need XGBoost, which the report lacks."""
    from poreflux.learning.variants import VARIANTS as names
    from poreflux.synthesis.interpretation import AFTER, BEFORE, GAIN, PERMUTATION, SHAP

    assert set(VARIANT_WORDS) == set(names)
    assert set(STAGE_WORDS) == {BEFORE, AFTER}
    assert set(METHOD_WORDS) == {GAIN, PERMUTATION, SHAP}


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (numbers.with_interval(13.92, 9.767, 18.07), "13.9 (9.8 to 18.1)"),
        (numbers.with_interval(-30.2, -71.0, 12.2, 2), "−30 (−71 to 12)"),
        (numbers.with_interval(2e-9, 1e-9, 3e-9), "2.00 × 10⁻⁹ (1.00 × 10⁻⁹ to 3.00 × 10⁻⁹)"),
        (numbers.with_interval(12.0, math.nan, 1.0), "12.0"),
        (numbers.with_interval(0.0, 0.0, 0.0), "0"),
        (numbers.with_interval(math.nan, 1.0, 2.0), "–"),
    ],
)
def test_intervals_as_text(made, text):
    assert made == text


@pytest.mark.slow("draws pages")
def test_synthetic_tables_are_called_so(tables, tmp_path, monkeypatch):
    render_only(monkeypatch)
    for synthetic in (True, False):
        path = synthesis.build(tables, facts() | {"synthetic": synthetic}, tmp_path)
        assert ("These data are synthetic" in path.read_text()) == synthetic
