"""What reruns after each kind of change: the jobs that ran, the artifacts computed, and why."""

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import small_study
from rocrate.rocrate import ROCrate

pytestmark = pytest.mark.e2e
IGNORED = shutil.ignore_patterns(".git", ".venv", ".snakemake", "results", "logs", "tests")
LEARNING = {"pretrain_models": 1, "finetune_models": 1, "collect_scores": 1}
# Rule of each stage.
RULES = {
    "geometry": "geometry_shard",
    "energy": "energy_shard",
    "uptake": "uptake_shard",
    "diffusion": "diffusion_shard",
}
ONE_SHARD = {
    "read_structures": 1,
    **dict.fromkeys((RULES[stage] for stage in small_study.STAGES["source"]), 1),
    "collect_tables": 3,
    "build_features": 1,
    "build_labels": 1,
    **LEARNING,
}


@pytest.fixture
def flow(small, start_workflow, tmp_path):
    """A copy of the finished study and its store, to change."""
    folder = tmp_path / "study"
    shutil.copytree(small, folder)
    return start_workflow(folder, folder / "small.yaml", small_study.STUDY)


def ran(flow):
    """Run the study: jobs by rule, artifacts computed by stage, reason of the first job.

    No artifact is ever computed twice.
    """
    before = {p: p.stat().st_mtime_ns for p in flow.entries("*")}
    assert len(before) >= 39  # three stages of six structures per set, three models
    jobs, text = flow.run(small_study.TARGET)
    jobs.pop("total", None)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    new = set(flow.entries("*")) - set(before)
    reasons = [line for line in text.splitlines() if line.startswith("Reason: ")]
    return jobs, dict(Counter(p.parent.parent.name for p in new)), (reasons or [""])[0]


def set_config(flow, block, key, old, new):
    text = flow.config.read_text()
    assert f"{key}: {old}\n" in text[text.index(f"{block}:") :]
    start = text.index(f"{block}:")
    flow.config.write_text(
        text[:start] + text[start:].replace(f"{key}: {old}\n", f"{key}: {new}\n", 1)
    )


def poreflux(flow, *arguments):
    """What ``poreflux`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "poreflux.run.cli", *arguments],
        cwd=flow.folder, env=flow.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def why(flow, structure, stage):
    return poreflux(flow, "store", "why", structure, stage, "--configfile", str(flow.config))


def tables(flow):
    return {p.relative_to(flow.results): p.read_bytes() for p in flow.results.glob("*/*.parquet")}


def test_nothing_changed(flow):
    assert ran(flow) == ({}, {}, "")
    assert why(flow, "KUVJIW_clean", "uptake").startswith("source: uptake: stored as")


def test_poreflux_run_is_snakemake_in_few_words(flow):
    found = poreflux(flow, "run", small_study.TARGET, "--configfile", str(flow.config))
    where, *following = found.splitlines()
    assert where.endswith(str(flow.results)) or where.endswith("report/index.html")
    assert following[0] == "Next:" and len(following) == 4
    assert f"--configfile {flow.config}" in following[1]


def test_an_uptake_parameter_and_back_again(flow):
    before = tables(flow)
    set_config(flow, "uptake", "equilibration_steps", 1000, 1100)
    text = why(flow, "KUVJIW_clean", "uptake")
    assert text.endswith(": params.equilibration_steps 1000 -> 1100\n"), text
    assert "geometry: stored" in why(flow, "KUVJIW_clean", "geometry")
    jobs, computed, reason = ran(flow)
    assert "Params have changed" in reason
    assert (
        "before: 'uptake.equilibration_steps = 1000' now: 'uptake.equilibration_steps = 1100'"
        in reason
    )
    assert jobs == {RULES["uptake"]: 2, "collect_tables": 1, "build_labels": 1, **LEARNING}
    # what was learnt directly stays
    assert computed == {"uptake": 6, "pretrain": 1, "finetune": 1}

    set_config(flow, "uptake", "equilibration_steps", 1100, 1000)
    again, computed, _ = ran(flow)
    assert again == jobs and computed == {}
    assert tables(flow) == before

    # the artifacts of the other parameter are no longer used
    total = len(flow.entries("*"))
    unused = poreflux(flow, "store", "prune", "--unused-by", str(flow.config))
    assert unused.startswith("removed 8 entries")
    used = poreflux(flow, "store", "prune", "--used-by", str(flow.config), "--dry-run")
    assert used.startswith(f"would remove {total - 8} entries")
    listed = {
        line.split()[0]: line.split()[1:3] for line in poreflux(flow, "store", "list").splitlines()
    }
    assert listed["uptake"] == ["6", "6"] and listed["energy"] == ["12", "12"]
    assert listed["all"][0] == str(total - 8) == str(len(flow.entries("*")))


def test_an_md_parameter(flow):
    set_config(flow, "diffusion", "spacing_A", 0.5, 0.45)
    assert why(flow, "KUVJIW_clean", "diffusion").endswith(": params.spacing_A 0.5 -> 0.45\n")
    jobs, computed, reason = ran(flow)
    assert "before: 'diffusion.spacing_A = 0.5' now: 'diffusion.spacing_A = 0.45'" in reason
    rest = {k: v for k, v in LEARNING.items() if k != "pretrain_models"}
    assert jobs == {RULES["diffusion"]: 2, "collect_tables": 1, "build_labels": 1, **rest}
    assert computed == {"diffusion": 6, "finetune": 2}


def test_a_further_guest_and_temperature(flow):
    """Their tables stand beside those of the study, which stay as they are."""
    before = tables(flow)
    text = flow.config.read_text()
    text = text.replace("[uptake]", "[uptake_65bar, henry_N2, henry_N2_400K]")
    # for the activation energy below
    flow.config.write_text(f"{text}temperatures_K: [298, 400]\n")
    jobs, computed, _ = ran(flow)
    further = {"percolation_N2_shard": 2, "percolation_N2_400K_shard": 2}
    assert jobs == {**further, "collect_tables": 2, "build_labels": 1, **LEARNING}
    assert computed == {"percolation": 12, "pretrain": 2, "finetune": 2}
    after = tables(flow)
    kept = {path for path in before if path.parent.name != "study"}
    assert {path for path in kept if after[path] != before[path]} == {
        path for path in kept if path.name == "labels.parquet" and path.parent.name == "source"
    }
    labels = flow.table("source/labels").pivot(index="name", columns="label", values="value")
    table = flow.table("source/percolation_N2").set_index("name")
    assert 10.0 ** labels["henry_N2"].to_numpy() == pytest.approx(table["henry_mol_kg_bar"])
    # van 't Hoff: gas that adsorbs with heat adsorbs less where it is warm
    fall = (labels["henry_N2"] - labels["henry_N2_400K"]) * np.log(10)
    heats = [
        flow.table(f"source/{name}")["heat_of_adsorption_kJ_mol"]
        for name in ("percolation_N2", "percolation_N2_400K")
    ]
    found = fall.to_numpy() * 8.314462618e-3 / (1 / 298 - 1 / 400)
    assert found == pytest.approx(np.mean(heats, axis=0), abs=0.3)
    assert why(flow, "KUVJIW_clean", "percolation_N2").startswith("source: percolation: stored as")
    sources = set(flow.table("study/scores")["source_label"].dropna()) - {""}
    assert sources == {"uptake_65bar", "henry_N2", "henry_N2_400K"}

    # and what no label needs, because it is asked for
    jobs, _ = flow.run(f"results/{small_study.STUDY}/target/activation.parquet")
    assert jobs["diffusion_CH4_400K_shard"] == 2 and "diffusion_shard" not in jobs
    found = flow.table("target/activation")
    assert (found["status"] == "ok").sum() >= 4
    energy, error = found["activation_energy_kJ_mol"], found["activation_energy_err_kJ_mol"]
    assert (energy.dropna() > 0).all() and (error.dropna() < 3).all()
    # all of this is the study's
    unused = poreflux(flow, "store", "prune", "--unused-by", str(flow.config))
    assert unused.startswith("removed 0 entries")


def test_a_training_parameter(flow):
    set_config(flow, "learning", "draws", 1, 2)
    jobs, computed, reason = ran(flow)
    assert "before: 'learning.draws = 1' now: 'learning.draws = 2'" in reason
    assert jobs == {"finetune_models": 1, "collect_scores": 1}
    assert computed == {"finetune": 2}


def test_a_line_of_the_library_and_a_comment(flow, tmp_path):
    shutil.copytree(flow.root, tmp_path / "edited", ignore=IGNORED)
    flow.root = tmp_path / "edited"
    module = flow.root / "workflow" / "poreflux" / "energy" / "stage.py"
    text = module.read_text()
    module.write_text(text + "\n# a comment\n")
    # a guest that nobody computes with
    guests = flow.root / "workflow" / "poreflux" / "fields" / "parameters" / "guests"
    shutil.copy(guests / "Xe.json", guests / "Rn.json")
    assert ran(flow) == ({}, {}, "")
    assert "energy: stored" in why(flow, "KUVJIW_clean", "energy")

    module.write_text(text + "\nNOTHING = None\n")
    text = why(flow, "KUVJIW_clean", "energy")
    assert text.endswith(": code of poreflux.energy.stage changed\n"), text
    jobs, computed, reason = ran(flow)
    # next to what is imported from where, by contents
    for code in reason.partition("before: ")[2].split("now: "):
        assert "'code of poreflux.energy.stage = " in code
    # what follows runs again, finds the same numbers and so the same models
    assert jobs == {
        RULES["energy"]: 4, "collect_tables": 2, "build_features": 2, **LEARNING,
    }  # fmt: skip
    assert computed == {"energy": 12}

    # what labels are made with is a part of what models are trained with
    reader = flow.root / "workflow" / "poreflux" / "data" / "labels.py"
    reader.write_text(reader.read_text() + "\nNOTHING = None\n")
    jobs, computed, reason = ran(flow)
    assert "'code of poreflux.data.labels = " in reason
    assert jobs == {"build_labels": 2, **LEARNING}
    assert computed == {"pretrain": 1, "finetune": 2}


def test_a_new_cif_and_one_that_changes(flow):
    folder = flow.folder / "cifs" / "source"
    text = (folder / "KUVJIW_clean.cif").read_text()
    (folder / "new.cif").write_text(small_study.scaled(text, 1.01))
    one_more = {"geometry": 1, "energy": 1, "uptake": 1, "pretrain": 1, "finetune": 1}
    jobs, computed, reason = ran(flow)
    assert "Updated input files: cifs/source/new.cif" in reason
    assert (jobs, computed) == (ONE_SHARD, one_more)

    (folder / "new.cif").write_text(small_study.scaled(text, 1.015))
    jobs, computed, reason = ran(flow)
    assert "Updated input files: cifs/source/new.cif" in reason
    assert (jobs, computed) == (ONE_SHARD, one_more)


def test_a_cif_that_is_reformatted_or_renamed(flow):
    folder = flow.folder / "cifs" / "source"
    path = folder / "KUVJIW_clean.cif"
    before = tables(flow)
    lines = path.read_text().splitlines()
    path.write_text("# from elsewhere\n" + "\r\n".join(" ".join(s.split()) for s in lines) + "\r\n")
    jobs, computed, _ = ran(flow)
    assert jobs == ONE_SHARD and computed == {}
    assert tables(flow) == before

    path.rename(folder / "renamed.cif")
    jobs, computed, _ = ran(flow)
    assert jobs["read_structures"] in (1, 2)  # the shards of the old and of the new name
    assert jobs[RULES["uptake"]] == jobs["read_structures"]
    assert RULES["diffusion"] not in jobs
    assert computed == {}
    names = flow.table("source/uptake")["name"]
    assert "renamed" in set(names) and "KUVJIW_clean" not in set(names)
    score = small_study.TARGET.removeprefix(f"results/{small_study.STUDY}/")
    # its record tells of the name
    scores = pd.read_parquet(io.BytesIO(before[type(path)(score)]))
    pd.testing.assert_frame_equal(flow.table(score.removesuffix(".parquet")), scores)


def test_another_checkout_with_other_shards_and_the_same_store(flow, start_workflow, tmp_path):
    """And with no results: all comes from the store."""
    shutil.copytree(flow.root, tmp_path / "checkout", ignore=IGNORED, copy_function=shutil.copyfile)
    shutil.copytree(flow.folder / "cifs", tmp_path / "cifs", copy_function=shutil.copyfile)
    config = tmp_path / "small.yaml"
    config.write_text(flow.config.read_text().replace("shards: 2", "shards: 3"))
    other = start_workflow(tmp_path, config, small_study.STUDY, store=flow.store)
    other.root = tmp_path / "checkout"
    jobs, computed, _ = ran(other)
    assert jobs["read_structures"] > 4 and computed == {}
    assert tables(other) == tables(flow)


def test_a_finished_study_is_described_as_an_ro_crate(flow):
    before = tables(flow)
    printed = poreflux(flow, "crate", "--configfile", str(flow.config), "--author", "A. Person")
    assert printed.strip() == f"results/{small_study.STUDY}/ro-crate-metadata.json"
    assert tables(flow) == before
    crate = ROCrate(flow.results)
    graph = json.loads((flow.results / "ro-crate-metadata.json").read_text())["@graph"]
    descriptor = next(e for e in graph if e["@id"] == "ro-crate-metadata.json")
    profiles = [profile["@id"] for profile in descriptor["conformsTo"]]
    assert any(profile.startswith("https://w3id.org/ro/crate/1.") for profile in profiles)
    root = crate.root_dataset
    for needed in ("name", "description", "datePublished", "license", "author"):
        assert root[needed], needed
    # every file of the study, as it is
    files = {f.id: f for f in crate.get_by_type("File")}
    assert {str(p) for p in before} | {"artifacts.csv", "config.json"} <= set(files)
    for name, file in files.items():
        data = (flow.results / name).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest(), name
    # what was made by a stage, from what, with which software
    actions = {a["name"]: a for a in crate.get_by_type("CreateAction")}
    assert {*small_study.STAGES["source"], "diffusion", "features", "learning"} <= set(actions)
    actions.pop(f"Run of the study {small_study.STUDY}")
    made = {f.id: name for name, action in actions.items() for f in action["result"]}
    assert {made[str(name)] for name in before if name.parts[-1] == "uptake.parquet"} == {"uptake"}
    learning = actions["learning"]["instrument"]["softwareRequirements"]
    assert {"python", "snakemake", "xgboost-cpu", "numpy"} <= {s["name"] for s in learning}
    # and each artifact
    with (flow.results / "artifacts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["key"] for r in rows} == {p.suffix[1:] for p in flow.entries("*")}
    assert all("numpy" in json.loads(r["versions"]) for r in rows)
