"""The workflow as Snakemake sees it: dry runs, wrong configurations, lint of each preset."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import poreflux

SNAKEMAKE = [str(Path(sys.executable).parent / "snakemake"), "--cores", "2", "--nolock"]


def snakemake(root, cwd, *arguments, **environment):
    """Run Snakemake in an empty folder; returns the finished process."""
    command = [*SNAKEMAKE, "--snakefile", str(root / "Snakefile"), *arguments]
    given = {k: v for k, v in os.environ.items() if k != "XDG_CACHE_HOME"} | environment
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=given)


@pytest.mark.parametrize("target", [["descriptors"], []])
def test_descriptors_of_whole_archives_are_planned_without_simulation(root, tmp_path, target):
    config = str(root / "config" / "core_mof.yaml")
    done = snakemake(root, tmp_path, "-n", *target, "--configfile", config)
    assert done.returncode == 0, done.stderr
    jobs = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    # three archives in sixteen shards
    for rule in ("read_structures", "geometry_shard", "percolation_shard"):
        assert jobs[rule] == "48"
    assert "uptake_shard" not in jobs and "pretrain_models" not in jobs


def test_columns_may_hold_braces(root, tmp_path):
    """Which Snakemake takes for wildcards, in a file name or a setting."""
    columns = ["size {nm}", "article {group}", "salt {0}", "time <h> {case}"]
    table = pd.DataFrame(columns=columns)
    table.to_csv(tmp_path / "t.csv", index=False)
    size, group, salt, time = columns
    synthesis = {
        "literature": "${HERE}/t.csv",
        "in_house": "t.csv",
        "columns": {
            "target": {"name": size, "unit": "{nm}"},
            "group": group,
            "numeric": {time: {"unit": "{h}"}},
            "categorical": [salt],
        },
    }
    config = {"structures": {"source": None, "target": None}, "synthesis": synthesis}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HERE", str(tmp_path))
        done = snakemake(root, tmp_path, "-n", "synthesis", "--configfile", "my.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("config", ["config.yaml"])
def test_dry_run_plans_every_stage(root, tmp_path, config):
    done = snakemake(root, tmp_path, "-n", "--configfile", str(root / "config" / config))
    assert done.returncode == 0, done.stderr
    for rule in (
        "read_structures",
        "geometry_shard",
        "energy_shard",
        "percolation_shard",
        "uptake_shard",
        "diffusion_shard",
        "build_features",
        "pretrain_models",
        "finetune_models",
        "compute_importance",
        "predict_held_out",
        "build_report",
    ):
        assert rule in done.stdout, rule


def test_costs_wait_for_everything_they_count(root, tmp_path):
    config = str(root / "config" / "tiny.yaml")
    table = "results/tiny/study/cost.parquet"
    done = snakemake(root, tmp_path, "-n", table, "--configfile", config)
    assert done.returncode == 0, done.stderr
    for rule in ("uptake_crosscheck", "diffusion_crosscheck", "finetune_models"):
        assert rule in done.stdout, rule


def test_wrong_key_stops_before_any_job(root, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("gcmc: {temperatur_K: 300}\nshards: 0\n")
    done = snakemake(root, tmp_path, "--configfile", str(path))
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert f"{path}: the block 'gcmc' is called 'uptake' now" in text
    assert "temperatur_K" in text and "temperature_K" in text
    # not the default file, which has shards as well
    assert f"{path}: shards must be at least 1, got 0" in text
    assert not (tmp_path / "results").exists()


def test_a_set_without_structures_says_so(root, tmp_path):
    done = snakemake(root, tmp_path, "-n", "--config", "structures={target: {cifs: 'none/*.cif'}}")
    assert done.returncode != 0
    assert "no CIF files match cifs: none/*.cif" in done.stdout + done.stderr


def test_synthesis_without_tables_says_what_to_add(root, tmp_path):
    done = snakemake(root, tmp_path, "-n", "synthesis")
    assert done.returncode != 0
    assert "add --configfile config/synthesis.yaml" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "given", "left", "message"),
    [
        ("study", "structures={target: null}", "study/scores", "study needs the sets source and"),
        ("synthesis", "shards=2", "synthesis/literature", "no tables of synthesis conditions"),
        ("predict", "shards=2", "predict/features", "name CIFs of your own"),
        ("study", "learning={source_pressures_bar: [35]}", "study/scores", "35bar is at none of"),
        ("study", "learning={sizes: [20, 40], draws: [5]}", "study/scores", "1 numbers for the 2"),
        ("all", "structures={source: null, target: null}", "target/uptake", "nothing to do"),
    ],
)
def test_results_of_an_earlier_run_hide_no_error(root, tmp_path, target, given, left, message):
    """Snakemake takes files whose makers cannot be named for finished."""
    results = tmp_path / "results" / "default"
    for name in (
        f"{left}.parquet", "study/importance.parquet", "report/index.html",
        "report/synthesis/index.html", "predict/predictions.csv",
    ):  # fmt: skip
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).touch()
    done = snakemake(root, tmp_path, "-n", target, "--config", given)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and message in text, text
    assert "ConfigError" in text and "InputFunctionException" not in text


@pytest.mark.parametrize("target", [["synthesis"], []])
def test_synthesis_is_planned_from_its_tables_alone(root, tmp_path, target):
    config = str(root / "config" / "synthesis.yaml")
    done = snakemake(root, tmp_path, "-n", *target, "--configfile", config)
    assert done.returncode == 0, done.stderr
    assert "evaluate_case" in done.stdout and "read_structures" not in done.stdout


def test_hostile_names_and_files_are_planned(root, tmp_path, cifs):
    """Snakemake would end at a broken link, and takes braces for wildcards."""
    folder = tmp_path / "my"
    folder.mkdir()
    for name in (
        b"ok.cif",
        b"MOF {bdc}.cif",
        b"{set}.cif",
        b"<x>.cif",
        b"caf\xe9.cif",
        b"a[b].cif",
    ):
        data = (cifs / "KOSJEJ_clean.cif").read_bytes()
        (folder / os.fsdecode(name)).write_bytes(data)
    (folder / "gone.cif").symlink_to("nowhere.cif")
    sets = "structures={source: null, target: null, a.b: {cifs: my, stages: [geometry]}}"
    # and no home is needed
    done = snakemake(root, tmp_path, "-n", "geometry", "--config", sets, HOME="/proc/nohome")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert jobs["collect_tables"] == "1" and int(jobs["read_structures"]) > 1


def test_no_profile_uses_the_scheduler_that_may_hang(root):
    for path in sorted((root / "profiles").glob("*/config.yaml")):
        assert yaml.safe_load(path.read_text())["scheduler"] == "greedy", path


def test_kernels_are_kept_where_there_is_no_home(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "poreflux"
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != package and access(path, mode))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", "/proc/nohome")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = poreflux._writable_folder(package)
    assert found.parent == tmp_path and found.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert poreflux._writable_folder(package) == tmp_path / "cache" / "poreflux"


def test_adding_a_cif_touches_one_shard(root, tmp_path, cifs):
    folder = tmp_path / "cifs"
    folder.mkdir()
    names = sorted(cifs.glob("*.cif"))
    for path in names[:-1]:
        (folder / path.name).write_bytes(path.read_bytes())
    own = f"{{target: {{cifs: {folder}}}, source: {{cifs: {folder}}}}}"
    arguments = ("--config", f"structures={own}", "shards=3")
    target = "results/default/target/energy.parquet"
    done = snakemake(root, tmp_path, target, *arguments)
    assert done.returncode == 0, done.stderr
    (folder / names[-1].name).write_bytes(names[-1].read_bytes())
    done = snakemake(root, tmp_path, "-n", target, *arguments)
    counts = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            counts[words[0]] = int(words[1])
    assert counts == {
        "read_structures": 1,
        "energy_shard": 1,
        "collect_tables": 1,
        "total": 3,
    }


def test_targets_say_what_they_make(root, tmp_path):
    targets = re.findall(r"^rule (\w+):", (root / "Snakefile").read_text(), flags=re.MULTILINE)
    done = snakemake(root, tmp_path, "--list-rules")
    assert done.returncode == 0, done.stderr
    told = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    assert len(targets) >= 11
    assert [name for name in targets if not told[name].startswith("(")] == []


def test_another_workflow_uses_this_one_as_a_module(root, tmp_path, cifs):
    """As the docs show it; tables of its own, which carry no record, are made once."""
    page = (root / "docs" / "howto" / "module.md").read_text(encoding="utf-8")
    for name in ("Snakefile", "config.yaml"):
        text = re.search(rf'```\w+ title="{name}"\n(.*?)```', page, flags=re.DOTALL)[1]
        (tmp_path / name).write_text(text.replace("/path/to/poreflux", str(root)))
    (tmp_path / "cifs").mkdir()
    (tmp_path / "cifs" / "a.cif").symlink_to(cifs / "JIVFUQ_clean.cif")
    command = [*SNAKEMAKE, "--snakefile", "Snakefile"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(tmp_path / "summary.parquet")["name"].tolist() == ["a"]
    again = subprocess.run([*command, "-n"], cwd=tmp_path, capture_output=True, text=True)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_module_without_its_library_says_what_to_do(root, tmp_path):
    for part in ("rules", "config"):
        (tmp_path / part).symlink_to(root / part)
    (tmp_path / "Snakefile").write_text((root / "Snakefile").read_text())
    command = [*SNAKEMAKE, "--snakefile", str(tmp_path / "Snakefile"), "-n"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "Clone the repository" in done.stdout + done.stderr
