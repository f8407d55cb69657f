"""Results whose record is not what this run would make: Snakemake's own notes are not needed."""

import os
import shutil
import subprocess
import sys

import pytest
import small_study

from poreflux.base.records import record_of

pytestmark = pytest.mark.e2e


@pytest.fixture
def copied(small, start_workflow, tmp_path):
    """The finished study without Snakemake's notes, its files as old as they were."""
    folder = tmp_path / "study"
    shutil.copytree(small, folder, ignore=shutil.ignore_patterns(".snakemake"))
    return start_workflow(folder, folder / "small.yaml", small_study.STUDY)


def planned(flow):
    jobs, text = flow.run(small_study.TARGET, "-n")
    jobs.pop("total", None)
    return jobs, text


def test_copied_results_are_made_again_where_they_were_made_otherwise(copied):
    jobs, text = planned(copied)
    assert jobs == {}, text
    everything = [*copied.results.rglob("*.parquet"), *copied.results.rglob("*.npz")]
    assert all(map(record_of, everything))

    config = copied.config.read_text()
    copied.config.write_text(config.replace("equilibration_steps: 1000", "equilibration_steps: 9"))
    jobs, text = planned(copied)
    assert jobs.pop("uptake_shard") == 2 and "diffusion_shard" not in jobs
    assert {"pretrain_models", "finetune_models", "collect_scores"} <= set(jobs)
    said = "was made with uptake.equilibration_steps = 1000; now: uptake.equilibration_steps = 9"
    assert f"source/shards/uptake/0-of-2.parquet {said}" in text
    copied.config.write_text(config)

    # a table of another set in its place
    table = copied.results / "target" / "energy.parquet"
    before = table.stat()
    shutil.copy(copied.results / "source" / "energy.parquet", table)
    # no older than what it would be made of, which Snakemake would see by itself
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    jobs, text = planned(copied)
    assert f"{copied.results.name}/target/energy.parquet was made from other files" in text
    assert jobs["collect_tables"] == 1 and "energy_shard" not in jobs

    # a CIF with another content, older than the table
    path = copied.folder / "cifs" / "source" / "KUVJIW_clean.cif"
    before = path.stat()
    path.write_text(small_study.scaled(path.read_text(), 1.01))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    jobs, _ = planned(copied)
    assert jobs["read_structures"] == 1


def poreflux(flow, *words):
    """A command on the study: its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "poreflux.run.cli", *words, "--configfile", str(flow.config)],
        cwd=flow.folder, env=flow.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_no_command_names_other_settings_than_those_of_the_results(copied):
    """Results without a page, which carries the whole configuration, and Snakemake's notes."""
    config, csv = copied.config.read_text(), copied.folder / "csv"

    def refused(command, old, new):
        assert old in config
        copied.config.write_text(config.replace(old, new))
        code, text = poreflux(copied, *command)
        copied.config.write_text(config)
        assert code == 1 and text.startswith("poreflux: results/small/"), text
        assert len(text.splitlines()) == 1 and "give the --configfile that" in text
        return text

    text = refused(["export", str(csv)], "uptake:\n", "uptake:\n  temperature_K: 310\n")
    assert "was made with uptake.temperature_K = 298.0; now: uptake.temperature_K = 310.0" in text
    text = refused(["crate"], "draws: 1", "draws: 2")
    assert "was made with learning.draws = 1; now: learning.draws = 2" in text
    # a table of the one beside shards of the other
    path = copied.results / "source" / "shards" / "uptake" / "0-of-2.parquet"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"pressures_bar = [1.0,65.0]", b"pressures_bar = [2.0,65.0]"))
    assert path.read_bytes() != data
    shutil.copy(path, path.with_name("1-of-2.parquet"))
    text = refused(["export", str(csv)], "pressures_bar: [1, 65]", "pressures_bar: [2, 65]")
    assert "source/uptake.parquet was made from other tables than those beside it" in text
    assert not csv.exists() and not (copied.results / "ro-crate-metadata.json").exists()


def test_a_table_that_a_lost_job_wrote_later_is_made_again(small, start_workflow, tmp_path):
    """With Snakemake's notes in place, which tell of the table that was there before."""
    folder = tmp_path / "study"
    shutil.copytree(small, folder)
    flow = start_workflow(folder, folder / "small.yaml", small_study.STUDY)
    table = flow.results / "source" / "shards" / "uptake" / "0-of-2.parquet"
    # as of a run with other settings
    data = table.read_bytes()
    table.write_bytes(data.replace(b"equilibration_steps = 1000", b"equilibration_steps = 7777"))
    assert table.read_bytes() != data
    jobs, text = planned(flow)
    assert jobs["uptake_shard"] == 1, text
    # and a model that a full disk cut short
    table.write_bytes(data)
    model = flow.results / "study" / "models" / "xgboost-source-uptake_65bar.npz"
    model.write_bytes(model.read_bytes()[:1000])
    jobs, text = planned(flow)
    assert jobs["pretrain_models"] == 1
    assert f"{model.name} carries no record of what made it: it is truncated" in text
