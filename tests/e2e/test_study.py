"""The tiny study from CIFs to report, then what reruns when something changes."""

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.e2e
STAGES = ("geometry", "energy", "percolation", "uptake", "diffusion")


@pytest.fixture(scope="module")
def workflow(tiny):
    """The tiny study, run once; the tests change it, one after the other."""
    return tiny


def test_tables_have_their_columns_and_rows(workflow):
    key = {"name", "content_hash", "status", "reason"}
    for name, columns in {
        "structures": {"formula", "n_atoms", "volume_A3", "density_g_cm3", "warnings"},
        "geometry": {"lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction"},
        "energy": {"n_grid", *(f"h{i:02d}" for i in range(50))},
        "percolation": {"barrier_1_K", "henry_mol_kg_bar", "heat_of_adsorption_kJ_mol"},
        "uptake": {
            "pressure_bar",
            "fugacity_bar",
            "uptake_molecules_per_cell",
            "uptake_mol_kg",
            "uptake_cm3stp_cm3",
            "uptake_err_cm3stp_cm3",
            "n_equilibration",
            "n_production",
            "engine",
        },
    }.items():
        for group, n in (("source", 8), ("target", 14)):
            table = workflow.table(f"{group}/{name}")
            assert key | columns <= set(table.columns), name
            assert table["name"].nunique() == n
            assert (table["status"] == "ok").all(), table[["name", "reason"]]
    diffusion = workflow.table("target/diffusion")
    assert {
        "d_m2_s",
        "d_err_m2_s",
        "d_1_m2_s",
        "time_ps",
        "diffusive",
        "n_molecules",
        "engine",
    } <= set(diffusion.columns)


def test_numbers_are_physical(workflow):
    geometry = workflow.table("target/geometry")
    assert (geometry["lcd_A"] >= geometry["pld_A"]).all()
    assert geometry["void_fraction"].between(0, 1).all()
    uptake = workflow.table("target/uptake").set_index(["name", "pressure_bar"])
    wide = uptake["uptake_mol_kg"].unstack()
    assert (wide[1.0] < wide[10.0]).all() and (wide[10.0] < wide[65.0]).all()
    assert uptake["fugacity_bar"].xs(65.0, level=1).iloc[0] == pytest.approx(56.739, abs=5e-4)
    diffusion = workflow.table("target/diffusion")
    fast = diffusion[diffusion["diffusive"].astype(bool)]
    assert len(fast) >= 8
    # below what a gas would do, and above what a barrier of 20 kT lets through
    assert fast["d_m2_s"].between(1e-17, 1e-6).all()
    assert (fast["d_err_m2_s"] <= 0.3 * fast["d_m2_s"]).all()
    # what resists an overdamped guest resists one with inertia
    mobility = workflow.table("target/percolation").set_index("name")["mobility"]
    order = mobility[fast["name"]].to_numpy().argsort()
    assert np.corrcoef(order.argsort(), fast["d_m2_s"].rank())[0, 1] > 0.7


def test_the_gas_that_a_label_names_is_computed_for_it_alone(workflow):
    """The source passes no stage diffusion. N2 is heavier than CH4, and bound less."""
    made = {path.stem for path in workflow.results.glob("*/*.parquet") if "_N2" in path.stem}
    assert made == {"diffusion_N2"} and not (workflow.results / "target/diffusion_N2").exists()
    table = workflow.table("source/diffusion_N2").set_index("name")
    assert (table["status"] == "ok").all() and table["d_m2_s"].between(1e-11, 1e-6).all()
    labels = workflow.table("source/labels").query("label == 'diffusivity_N2'").set_index("name")
    fast = table[table["diffusive"].astype(bool)]
    told = 1e-8 * 10.0 ** labels["value"]
    assert told[fast.index].to_numpy() == pytest.approx(fast["d_m2_s"].to_numpy())


def test_uptake_at_low_pressure_is_that_of_the_henry_coefficient(workflow):
    """Two stages, two codes: a grid average, and Monte Carlo with attraction between guests.

    At 1 bar the pores fill (fewer than Henry's law) or draw more in (a little more).
    """
    parts = []
    for group in ("source", "target"):
        henry = workflow.table(f"{group}/percolation").set_index("name")["henry_mol_kg_bar"]
        uptake = workflow.table(f"{group}/uptake").set_index(["name", "pressure_bar"])
        one_bar = uptake.xs(1.0, level=1)
        law = henry * one_bar["fugacity_bar"]
        parts.append(pd.DataFrame({"mol_kg": one_bar["uptake_mol_kg"], "law": law}))
    both = pd.concat(parts)
    ratio = both["mol_kg"] / both["law"]
    assert ratio.between(0.3, 1.15).all(), ratio
    dilute = both["mol_kg"] < 0.5
    assert dilute.sum() >= 6
    assert ratio[dilute].between(0.6, 1.05).all(), ratio[dilute]


def test_our_engines_agree_with_the_reference_codes(workflow):
    for stage in ("uptake", "diffusion"):
        table = workflow.table(f"target/crosscheck_{stage}")
        assert len(table) and (table["status"] == "ok").all()
        assert (table["deviation_se"].abs() < 4).all(), table.to_string()


def test_scores_cover_every_model(workflow):
    scores = workflow.table("study/scores")
    assert len(scores) == 3 * 1 * 3 * (1 + 4)  # learners, sizes, draws, direct and four sources
    assert set(scores["kind"]) == {"dl", "tl"}
    direct = scores["kind"] == "dl"
    assert scores.loc[direct, "source_pressure_bar"].isna().all()
    assert set(scores.loc[~direct, "source_pressure_bar"].dropna()) == {1.0, 65.0}
    sources = {"uptake_1bar", "uptake_65bar", "diffusivity_N2", "mobility"}
    assert set(scores.loc[~direct, "source_label"]) == sources
    importance = workflow.table("study/importance")
    # of the first learner, and of the one that predicts best
    assert importance[importance["learner"] == "mlp"]["feature"].nunique() == 55
    assert importance["learner"].nunique() <= 2
    held_out = workflow.table("study/held_out")
    labels = workflow.table("target/labels").set_index("name")["value"]
    assert 2 <= len(held_out) <= len(labels)
    assert (held_out["value"] == labels.loc[held_out["name"]].to_numpy()).all()


def test_costs_are_those_of_the_artifacts(workflow):
    cost = workflow.table("study/cost").set_index(["set", "stage"])
    made = [("source", "uptake"), ("target", "uptake")]
    made += [("target", "diffusion"), ("source", "diffusion_N2")]
    for group, stage in made:
        ok = workflow.table(f"{group}/structures").query("status == 'ok'")
        row = cost.loc[group, stage]
        assert row["structures"] == ok["content_hash"].nunique()
        assert row["cpu_s"] > 0.0
    trained = cost.xs("finetune", level="stage")["structures"].item()
    # learners, direct and four sources, of three draws that are an artifact together
    assert trained == 3 * 5 * 3 == 3 * len(workflow.entries("finetune"))
    assert cost.xs("pretrain", level="stage")["structures"].item() == 3 * 4


def test_report_is_whole(workflow):
    page = workflow.results / "report" / "index.html"
    pictures, links = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag == "img":
                pictures.append(dict(attributes)["src"])
            if tag == "a":
                links.append(dict(attributes)["href"])

    text = page.read_text(encoding="utf-8")
    Reader().feed(text)
    assert pictures and all(p.startswith("data:image/png;base64,") for p in pictures)
    beside = [link for link in links if link.startswith("figures/")]
    # SVG and PNG
    assert len(beside) == 2 * len(pictures)
    for link in beside:
        assert (page.parent / link).stat().st_size > 1000
    # three draws of ten leave two test structures each
    assert "This study is too small to judge" in text and "Nothing can be concluded yet" in text
    assert "Written on 20" in text


def test_snakemakes_own_report_has_captions_and_categories(workflow):
    workflow.run("--report", "snakemake.html")
    text = (workflow.folder / "snakemake.html").read_text(encoding="utf-8")
    for words in ("Figures of the study", "Pages", "The study on one page: what was found"):
        assert words in text


def test_second_run_does_nothing(workflow):
    _, text = workflow.run()
    assert "Nothing to be done" in text


def test_shard_jobs_log_progress(workflow):
    for path in (workflow.folder / "logs" / "tiny" / "uptake").glob("*.log"):
        assert "structures done" in path.read_text()


def test_one_md_parameter_reruns_diffusion_and_what_follows(workflow):
    jobs, _ = workflow.run("-n", "--config", "diffusion={n_molecules: 41}")
    # of the set's own gas, and of the gas that a label names
    assert jobs["diffusion_shard"] == jobs["diffusion_N2_shard"] == 1
    assert {"uptake_shard", "geometry_shard"}.isdisjoint(jobs)


def test_deleted_results_come_back_from_the_store_the_same_with_other_shards(workflow):
    before = {s: workflow.entries(s) for s in (*STAGES, "build", "pretrain", "finetune")}
    kept = {
        path.relative_to(workflow.results): path.read_bytes()
        for path in workflow.results.glob("*/*.parquet")
    }
    assert {"target/uptake.parquet", "study/scores.parquet"} <= {str(path) for path in kept}
    times = {p: p.stat().st_mtime_ns for paths in before.values() for p in paths}
    shutil.rmtree(workflow.results)
    workflow.run("--config", "shards=2")
    for stage, paths in before.items():
        assert workflow.entries(stage) == paths, stage
    assert {p: p.stat().st_mtime_ns for p in times} == times
    for path, data in kept.items():
        assert (workflow.results / path).read_bytes() == data, path


def test_own_cifs_are_predicted_and_bad_ones_have_a_reason(workflow, cifs):
    own = workflow.folder / "my"
    own.mkdir()
    for name in ("KOSJEJ_clean", "TARVUD_clean"):
        shutil.copy(cifs / f"{name}.cif", own)
    (own / "broken.cif").write_text("data_x\n_cell_length_a 10\n")
    geometry = workflow.entries("geometry")
    workflow.run("predict", "--config", 'predict={cifs: "my/*.cif"}')
    # both are in the study under the same content hash: nothing is computed again
    assert workflow.entries("geometry") == geometry
    table = pd.read_csv(workflow.results / "predict" / "predictions.csv").set_index("name")
    assert set(table.columns) >= {"d_m2_s", "log10_d_std", "in_domain", "status", "reason"}
    good = table.loc[["KOSJEJ_clean", "TARVUD_clean"]]
    assert (good["status"] == "ok").all() and good["in_domain"].all()
    assert good["d_m2_s"].between(1e-12, 1e-6).all() and (good["log10_d_std"] > 0).all()
    assert table.loc["broken", "status"] == "failed" and "atoms" in table.loc["broken", "reason"]
    assert np.isnan(table.loc["broken", "d_m2_s"])
    # and with nothing to predict for but a broken one
    workflow.run("predict", "--config", 'predict={cifs: "my/broken.cif"}')
    table = pd.read_csv(workflow.results / "predict" / "predictions.csv").set_index("name")
    assert table["status"].to_dict() == {"broken": "failed"}


def test_manifest_says_what_made_an_artifact(workflow):
    path = workflow.entries("geometry")[0]
    manifest = json.loads(path.read_bytes().split(b"\n")[1])
    assert manifest["stage"] == "geometry" and "scipy" in manifest["engines"]
    assert "/" not in json.dumps(manifest["params"])
