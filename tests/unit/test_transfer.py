"""A label of one's own: made-up labels with known truth on the structures of the data set."""

# ruff: noqa: F811

import doctest
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from test_prediction import member, table, written  # noqa: F401  (fixtures)
from test_prediction import table as data  # noqa: F401

import poreflux
from poreflux.base.errors import ConfigError, DataError
from poreflux.data.features import matrix
from poreflux.learning import few_labels
from poreflux.learning.few_labels import DIRECT, Candidate, Material
from poreflux.prediction import description
from poreflux.prediction.transfer import reduced, transfer, variants
from poreflux.run.cli import main

matplotlib.use("Agg")


def expensive(table: pd.DataFrame, stream) -> pd.Series:
    """Two resistances in series, that of the pores and one of 1e-9 m2/s, with 12 % of noise."""
    d = table["CH4_d_m2_s"].clip(lower=1e-16)
    return 10.0 ** stream.normal(0.0, 0.05, len(table)) / (1.0 / d + 1.0 / 1e-9)


def drawn(labels: pd.Series, n: int, stream) -> pd.Series:
    return labels.iloc[stream.permutation(len(labels))[:n]]


@pytest.fixture(scope="module")
def found(data):
    stream = np.random.default_rng(3)
    labels = expensive(data, stream)
    return labels, transfer(drawn(labels, 30, stream), data, label="rate")


def test_the_source_behind_a_label_is_found_and_pays(found):
    labels, one = found
    assert one.helps and "_d_" in one.source and one.scale == "log" and one.n_labels == 30
    assert one.advice.startswith(f"Take {one.source}") and "falls from" in one.advice
    assert one.rmse < 0.6 * one.rmse_without
    table = one.predictions.set_index("name")
    rest = table[table["status"] == "predicted"]
    assert len(rest) == len(table) - 30
    away = np.log10(rest["predicted"] / labels[rest.index])
    assert away.std() < 0.4
    inside = labels[rest.index].between(rest["low"], rest["high"])
    assert 0.7 < inside.mean() <= 1.0


def test_labels_of_the_data_set_need_no_more_than_themselves(found, data):
    """As a dict or a series; the structures are those that ship."""
    labels = drawn(data["CH4_d_m2_s"], 15, np.random.default_rng(2))
    one = poreflux.transfer(labels.to_dict(), label="CH4_d_m2_s", seed=1)
    other = poreflux.transfer(labels, data, seed=1)
    assert one.columns() == other.columns() and other.label == "CH4_d_m2_s"
    pd.testing.assert_frame_equal(one.predictions, other.predictions)
    with pytest.raises(DataError, match=r"not DataFrame; of a table read .* take one column"):
        poreflux.transfer(labels.to_frame())
    with pytest.raises(DataError, match=r"not str; of a table read pandas.read_csv"):
        poreflux.transfer("labels.csv")
    with pytest.raises(ConfigError, match="has no parameter 'size'"):
        poreflux.transfer(labels, size=3)


def test_the_example_of_the_function_runs():
    (example,) = doctest.DocTestFinder().find(poreflux.transfer, globs={})
    ran = doctest.DocTestRunner().run(example)
    assert (ran.attempted, ran.failed) == (4, 0)


def test_what_was_learnt_draws_and_shows_itself(found):
    _, one = found
    axes = one.plot()
    (points, *_) = axes.containers[0]
    held_out = one.predictions[one.predictions["status"] == "measured"]
    np.testing.assert_array_equal(points.get_ydata(), held_out["predicted"])
    assert axes.get_xscale() == "log" and "rate" in axes.get_xlabel()
    assert "rate" in one._repr_html_() and list(one.to_frame()["n_labels"]) == [30]


def test_the_next_ones_are_new_and_like_the_labelled(found):
    _, one = found
    assert len(one.next) == 10 and one.next["name"].is_unique
    table = one.predictions.set_index("name").loc[one.next["name"]]
    assert (table["status"] == "predicted").all() and table["in_domain"].all()
    assert (np.diff(one.next["information_bits"]) <= 1e-9).all()


def test_thirty_labels_with_the_source_do_better_than_a_hundred_without(data):
    stream = np.random.default_rng(5)
    x = matrix(description.features_of(data, "CH4"), "mobility")[0]
    known = Material(x, {"d": description.sources_of(data)["CH4_d_m2_s"]})
    wins = 0
    for _ in range(4):
        y = np.log10(expensive(data, stream).to_numpy())
        order = stream.permutation(len(data))
        rest = order[100:]
        few = few_labels.train_all(known[order[:30]], y[order[:30]])
        many = few_labels.train_all(known[order[:100]], y[order[:100]], [Candidate(DIRECT)])
        errors = [
            np.square(model.predict(known[rest])[0] - y[rest]).mean()
            for model in (few[few_labels.choose(few)], many[Candidate(DIRECT)])
        ]
        wins += errors[0] < errors[1]
    assert wins >= 3


def test_random_labels_follow_nothing(data):
    stream = np.random.default_rng(7)
    labels = drawn(pd.Series(stream.normal(size=len(data)), data.index), 40, stream)
    one = transfer(labels, data)
    assert one.scale == "linear" and not one.helps and one.advice.startswith("None helps")
    assert abs(one.r2) < 0.25 and not one.source


def test_what_is_no_label_is_told(data):
    stream = np.random.default_rng(9)
    labels = drawn(expensive(data, stream), 20, stream)
    twice, none = labels.index[0], labels.index[1]
    given = pd.concat([labels, labels.iloc[:1] * 3.0, pd.Series({"MOF-X": 1.0, "shut": 2.0})])
    given[none] = np.nan
    given.index = [n.removesuffix("_clean").lower() + ".cif" for n in given.index]
    lost = {"shut": ("closed", "no channel")}
    one = transfer(given, data, lost=lost, scale="log", size_of_next=2)
    told = one.left_out.set_index("name")["reason"]
    assert "no structure of this name" in told["mof-x.cif"]
    assert "no number" in told[none.removesuffix("_clean").lower() + ".cif"]
    assert told["shut.cif"] == "closed: no channel: not used" and "mean" in told[twice]
    assert one.n_labels == 19 and len(one.next) == 2
    table = one.predictions.set_index("name")
    assert table.loc["shut", "status"] == "closed" and np.isnan(table.loc["shut", "predicted"])
    # the mean of two is taken where a line makes sense: of logarithms
    assert table.loc[twice, "measured"] == pytest.approx(labels.iloc[0] * np.sqrt(3.0))


def test_a_label_without_logarithm_is_refused_on_that_scale(data):
    labels = pd.Series(np.linspace(-1.0, 1.0, 20), data.index[:20])
    with pytest.raises(DataError, match="has no logarithm; take the scale linear"):
        transfer(labels, data, scale="log")


def test_variants_of_a_framework_are_one_group():
    table = pd.DataFrame(
        {
            "content_hash": ["a", "b", "c", "d"],
            "formula": ["C24 H12 Zn6", "C4 H2 Zn", "C4 H2 Zn", "C4 H4 Zn"],
            "n_atoms": [42, 7, 7, 9],
            "volume_A3": [600.0, 101.0, 160.0, 130.0],
        }
    )
    groups = variants(table)
    assert groups[0] == groups[1] and len(set(groups)) == 3
    assert reduced("C24 H12 Zn6") == reduced("C4 H2 Zn")


def test_every_source_is_finite_where_it_was_computed(data):
    sources = description.sources_of(data)
    assert {"CH4_d_m2_s", "CH4_mobility", "CH4_barrier_1_K", "pld_A", "void_fraction"} <= set(
        sources
    )
    for name, values in sources.items():
        # no activation energy where D is no diffusivity at both temperatures
        known = data["CH4_diffusive"] & data["CH4_400K_diffusive"] if "activation" in name else True
        assert (np.isfinite(values) | ~np.asarray(known)).all(), name
        assert "err" not in name and "converged" not in name
    np.testing.assert_allclose(sources["pld_A"], np.log10(data["pld_A"]))


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("POREFLUX_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = main(["transfer", *map(str, words)])
        return code, *capsys.readouterr()

    return command


def test_names_of_the_data_set_need_no_cifs(run, data, tmp_path):
    stream = np.random.default_rng(1)
    labels = drawn(data["CH4_uptake_35bar_mol_kg"], 20, stream)
    csv = tmp_path / "labels.csv"
    lines = [f"{name.removesuffix('_clean')},{value}" for name, value in labels.items()]
    csv.write_text("\n".join(["MOF,uptake", *lines, "NOWHERE,1.0"]) + "\n")
    code, out, _ = run(csv, "--output", "out", "--size-of-next", 3)
    assert code == 0
    assert "20 labels" in out and "NOWHERE: no structure of this name" in out
    folder = tmp_path / "out"
    predictions = pd.read_csv(folder / "predictions.csv")
    assert len(predictions) == len(data) and (predictions["status"] == "measured").sum() == 20
    assert len(pd.read_csv(folder / "next.csv")) == 3
    sources = pd.read_csv(folder / "sources.csv")
    # the label is one of them: nothing explains it better
    assert sources["source"][0] == "CH4_uptake_35bar_mol_kg"
    page = (folder / "report.html").read_text()
    assert "<svg" not in page and "data:image/png" in page and "NOWHERE" in page
    assert page.index('class="finding"') < page.index("<section")


def test_files_of_ones_own_and_a_broken_one(run, data, member, tmp_path):
    """Of one good file nothing can be learnt, and that is said with the reason of each other."""
    _, path = member
    folder = tmp_path / "my"
    folder.mkdir()
    (folder / "good.cif").write_bytes(path.read_bytes())
    (folder / "broken.cif").write_text("data_x\n_cell_length_a 10\n")
    csv = tmp_path / "labels.csv"
    csv.write_text("name,x\ngood,1.0\nbroken,2.0\n")
    code, _, err = run(csv, "--cifs", folder, "--cores", 1)
    assert code == 1 and "1 labels can be used" in err and "Traceback" not in err


def test_a_file_is_described_as_the_data_set_is(data, member, tmp_path):
    """By way of the store and without: the row of the data set, but for its noise."""
    from poreflux.run.commands.transfer import describe_files
    from poreflux.store import Store
    from poreflux.structures.cif import read_cif

    name, path = member
    copper = written(
        tmp_path, "copper", 3.61, "Cu", [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    )
    broken = tmp_path / "broken.cif"
    broken.write_text("data_x\n_cell_length_a 10\n")
    members = {"mine": str(path), "copper": str(copper), "broken": str(broken)}
    rows, lost = describe_files(members, Store(tmp_path / "store"), 1)
    assert list(rows.index) == ["mine"] and set(lost) == {"copper", "broken"}
    assert lost["broken"][0] == "failed" and lost["broken"][1]
    assert lost["copper"][0] in ("closed", "failed")
    known, mine = data.loc[name], rows.loc["mine"]
    assert set(rows.columns) == set(data.columns)
    assert mine["content_hash"] == known["content_hash"]
    own = description.describe(read_cif(path), "mine", description.parts_in(data))
    pd.testing.assert_frame_equal(own.drop(columns="warnings"), rows.drop(columns="warnings"))
    for column in ("CH4_d_m2_s", "CH4_uptake_35bar_mol_kg", "pld_A", "CH4_mobility"):
        assert mine[column] == pytest.approx(known[column], rel=0.3), column


def test_the_data_set_has_activation_energies_of_the_law_of_arrhenius(data):
    """D = D0 exp(-Ea / RT) with 8 kJ/mol; none where D is no diffusivity at either temperature."""
    of_dynamics = (*description.OF_DYNAMICS, *description.OF_DYNAMICS_EARLY)
    known = data[data["CH4_diffusive"]].head(3)
    cold = description.features_of(known, "CH4").set_index("name")
    cold = cold.join(known[known.columns.difference(cold.columns)])
    cold = cold.rename(columns={c: f"diffusion_{c}" for c in of_dynamics})
    cold["diffusion_dimensionality"] = 1
    step = (1 / 298.0 - 1 / 400.0) / 8.314462618e-3
    faster = np.exp(8.0 * step)
    hot = cold.assign(
        diffusion_d_m2_s=faster * cold["diffusion_d_m2_s"],
        diffusion_d_err_m2_s=faster * cold["diffusion_d_err_m2_s"],
        diffusion_diffusive=[True, True, False],
    )
    hot.iloc[1, hot.columns.get_loc("diffusion_d_m2_s")] = np.nan
    rows = description.joined({"CH4": cold, "CH4_400K": hot}).loc[known.index]
    energy = rows["CH4_activation_energy_kJ_mol"]
    error = rows["CH4_activation_energy_err_kJ_mol"]
    assert energy.iloc[0] == pytest.approx(8.0, rel=1e-4) and energy.iloc[1:].isna().all()
    relative = (cold["diffusion_d_err_m2_s"] / cold["diffusion_d_m2_s"]).iloc[0]
    assert error.iloc[0] == pytest.approx(np.sqrt(2.0) * relative / step, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,a,b\nx,1,2\n", r"which column is the label\? Name it with --label.*'a', 'b'"),
        ("name,a\nx,1.5x\n", r"row 1 of column 'a': '1.5x' is no number"),
        ("name,a\nx,1,5\n", r"line 2 has 3 cells, the head 2"),
        ("name;a\nx;1\n", r"separated by ';'"),
        ("name,a\n,1\n", r"row 1 has no name"),
        ("name,a\nx,inf\n", r"not finite"),
        ("", r"is empty"),
        ("name,name,a\nx,y,1\n", r"two columns are named 'name'|which column"),
        ("name\nx\n", r"which column is the label.*none"),
    ],
)
def test_hostile_tables_are_told_with_a_remedy(run, tmp_path, text, said):
    csv = tmp_path / "labels.csv"
    csv.write_text(text)
    code, _, err = run(csv)
    assert code == 1
    assert re.search(said, err), err
    assert "Traceback" not in err and not (tmp_path / "transfer").exists()
