"""A study on tables alone, from a label of the user's own to another: no structure is simulated."""

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.e2e
GEOMETRY = ["lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction"]


def mofs(n, prefix, seed):
    """Descriptors at random, and what both labels rest on: two of them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.uniform(0, 1, (n, 5)), columns=GEOMETRY)
    table *= [30, 30, 2000, 5000, 1]
    shares = rng.dirichlet(np.ones(6), n)
    table = table.assign(**{f"bin{i}": shares[:, i] for i in range(6)})
    table.insert(0, "mof", [f"{prefix}{i:03d}" for i in range(n)])
    rests_on = table["void_fraction"] + np.sin(table["pld_A"] / 5)
    return table, rests_on


@pytest.fixture(scope="module")
def workflow(start_workflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    source, cheap = mofs(300, "s", 1)
    target, labels = mofs(120, "t", 2)
    # an isotherm that rests on the same
    isotherm = {f"at {p} bar": np.tanh(p * cheap) for p in (1, 10)}
    source.assign(**isotherm).to_csv(folder / "source.csv", index=False)
    target.to_csv(folder / "target.csv", index=False)
    pd.DataFrame({"mof": source["mof"], "gap_meV": 1000 * cheap}).to_csv(
        folder / "gaps.csv", index=False
    )
    moduli = pd.DataFrame({"name": target["mof"], "modulus_GPa": 10**labels})
    moduli.loc[:9, "modulus_GPa"] = np.nan
    moduli.to_csv(folder / "moduli.csv", index=False)

    def tables(file):
        told = {"files": f"$TABLES/{file}", "name": "mof"}
        return {
            "package": None,
            "tables": {
                "geometry": told | {"columns": {c: c for c in GEOMETRY}},
                "energy": told | {"columns": {"h": [f"bin{i}" for i in range(6)]}},
            },
        }

    config = {
        "study": "tables",
        "structures": {"source": tables("source.csv"), "target": tables("target.csv")},
        "uptake": {"pressures_bar": [1, 10]},
        "labels": {
            "gap": {"file": "gaps.csv", "key": "mof", "column": "gap_meV", "factor": 0.001},
            "modulus": {
                "file": "${TABLES:-nowhere}/moduli.csv", "column": "modulus_GPa",
                "transform": "log10", "unit": "log10 of GPa",
            },
        },
        "learning": {
            "source_labels": ["gap", "isotherm"], "target_label": "modulus",
            "source_pressures_bar": [1, 10],
            "learners": ["xgboost"], "sizes": [40], "draws": 4, "pfi_repeats": 2,
        },
    }  # fmt: skip
    config["structures"]["source"]["tables"]["uptake"] = {
        "files": "$TABLES/source.csv", "name": "mof",
        "columns": {"uptake_cm3stp_cm3": "at <pressure> bar"},
    }  # fmt: skip
    (folder / "my.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    flow = start_workflow(folder, folder / "my.yaml", "tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABLES", str(folder))
        jobs, _ = flow.run()
        assert jobs["import_table"] == 7 and jobs["pretrain_models"] == 1
        assert "read_structures" not in jobs and "diffusion_shard" not in jobs
        yield flow


def test_labels_are_those_of_the_files(workflow):
    moduli = pd.read_csv(workflow.folder / "moduli.csv").dropna().set_index("name")["modulus_GPa"]
    found = workflow.table("target/labels").set_index("name")
    assert set(found["label"]) == {"modulus"} and set(found["unit"]) == {"log10 of GPa"}
    assert len(found) == len(moduli) == 110
    pd.testing.assert_series_equal(
        found["value"], np.log10(moduli), check_names=False, check_index_type=False
    )
    cheap = workflow.table("source/labels")
    assert set(cheap["label"]) == {"gap", "uptake_1bar", "uptake_10bar"}
    gaps = cheap[cheap["label"] == "gap"].set_index("name")["value"]
    expected = pd.read_csv(workflow.folder / "gaps.csv").set_index("mof")["gap_meV"] / 1000
    assert gaps.to_dict() == pytest.approx(expected.to_dict())


def test_what_the_source_knows_helps_the_target(workflow):
    """Both labels are one function of the features: the source's 300 MOFs say it all."""
    scores = workflow.table("study/scores")
    assert set(scores["label"]) == {"modulus"}
    assert scores["source_pressure_bar"].isna().all()
    transfer = scores[scores["kind"] == "tl"]
    assert set(transfer["source_label"]) == {"gap", "isotherm"}
    median = scores.groupby("source_label")["r2_rest"].median()
    assert median["gap"] > median[""] + 0.1 and median["isotherm"] > median[""] + 0.1
    assert set(workflow.table("study/pretraining")["source_label"]) == {"gap", "isotherm"}
    importance = workflow.table("study/importance")
    importance = importance[importance["learner"] == importance["learner"].iloc[0]]
    first = importance[importance["kind"] == "source"].set_index("feature")["pfi"].nlargest(2)
    assert set(first.index) == {"void_fraction", "pld_A"}


def test_the_page_is_there_and_a_new_number_in_a_file_trains_anew(workflow):
    page = (workflow.results / "report" / "index.html").read_text(encoding="utf-8")
    assert "gap" in page and "nan bar" not in page
    path = workflow.folder / "moduli.csv"
    before = len(workflow.entries("finetune"))
    table = pd.read_csv(path)
    table.loc[20, "modulus_GPa"] *= 2.0
    table.to_csv(path, index=False)
    jobs, _ = workflow.run()
    assert jobs["build_labels"] == 1 and "pretrain_models" not in jobs
    # direct and two transfers; the source models are as they were, one for each label behind them
    assert len(workflow.entries("finetune")) == before + 3
    assert len(workflow.entries("pretrain")) == 3


def test_features_that_no_table_gives_are_missed_before_anything_runs(workflow):
    _, text = workflow.run("-n", "--config", "learning={learners: [gp+percolation]}", ok=False)
    assert "need the stage percolation" in text and "tables.percolation" in text


def test_diffusivities_from_a_file_go_with_structures_from_cifs(start_workflow, tmp_path, cifs):
    names = sorted(path.stem for path in cifs.glob("*.cif"))
    measured = {name: 10.0 ** (i % 3) for i, name in enumerate(names[:-1])}
    table = pd.DataFrame({"mof": list(measured), "d": list(measured.values())})
    table.to_csv(tmp_path / "d.csv", index=False)
    told = {
        "files": str(tmp_path / "d.csv"), "name": "mof",
        "columns": {"d_m2_s": "d"}, "factors": {"d_m2_s": 1e-9},
    }  # fmt: skip
    config = {
        "study": "both",
        "structures": {
            "source": None,
            "target": {
                "package": None, "cifs": str(cifs), "stages": ["energy"],
                "tables": {"diffusion": told},
            },
        },
    }  # fmt: skip
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    flow = start_workflow(tmp_path, tmp_path / "my.yaml", "both")
    jobs, _ = flow.run("results/both/target/labels.parquet")
    assert jobs["read_structures"] >= 1 and jobs["import_table"] == 1
    structures = flow.table("target/structures").set_index("name")
    labels = flow.table("target/labels").set_index("name")
    assert (10.0 ** labels["value"]).to_dict() == pytest.approx(
        {k: v / 10 for k, v in measured.items()}
    )
    assert (labels["content_hash"] == structures.loc[labels.index, "content_hash"]).all()
