"""The RO-Crate of a study, without running one: its profiles, and which step made which table."""

import json
from datetime import datetime

import pandas as pd
import pytest
from rocrate.rocrate import ROCrate

from poreflux.run.config import complete
from poreflux.run.crate import _actions, export
from poreflux.run.plan import StudyPlan
from poreflux.store import Store


@pytest.fixture
def crate_of(root, tmp_path, monkeypatch):
    """Writes the crate of a study with a table from a file: path of its metadata."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("name,d\nA,1e-9\n")
    (tmp_path / "u.csv").write_text("name,u1\nA,1\n")
    diffusion = {"files": "d.csv", "columns": {"d_m2_s": "d"}}
    uptake = {"files": "u.csv", "columns": {"uptake_cm3stp_cm3": "u<pressure>"}}
    structures = {
        "source": {"cifs": str(root / "tests" / "data"), "stages": ["geometry", "uptake"]},
        "target": {"package": None, "tables": {"diffusion": diffusion, "uptake": uptake}},
    }
    tables = ("source/structures", "source/uptake", "target/structures", "target/uptake")
    for table in (*tables, "target/diffusion"):
        path = tmp_path / "results" / "s" / f"{table}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"name": ["A"]}).to_parquet(path)
    plan = StudyPlan(complete({"study": "s", "structures": structures}), root)

    def write(**options):
        return export(plan, Store(tmp_path / "store"), **options)

    return write


def test_a_table_from_a_file_is_not_said_to_be_simulated(crate_of):
    crate = ROCrate(crate_of().parent)
    made = {a["name"]: {f.id for f in a["result"]} for a in crate.get_by_type("CreateAction")}
    assert made["uptake"] == {"source/uptake.parquet"}
    assert made["read structures"] == {"source/structures.parquet"}
    from_files = {"structures", "uptake", "diffusion"}
    assert made["read tables from files"] == {f"target/{stage}.parquet" for stage in from_files}
    assert "diffusion" not in made


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def references(value):
    """What a property refers to."""
    return [v["@id"] for v in listed(value) if isinstance(v, dict)]


def test_the_crate_does_what_its_profiles_ask_for(crate_of):
    """Workflow Run Crate 0.5 and Process Run Crate 0.5 (https://w3id.org/ro/wfrun), Workflow
    RO-Crate 1.0 (https://w3id.org/workflowhub/workflow-ro-crate/1.0), RO-Crate 1.1."""
    path = crate_of(author="A. Person")
    text = json.loads(path.read_text())
    everything = {entity["@id"]: entity for entity in text["@graph"]}
    assert len(everything) == len(text["@graph"])
    # sha256 is no term of RO-Crate 1.1
    assert "https://w3id.org/ro/terms/workflow-run/context" in text["@context"]
    for entity in text["@graph"]:
        for name, value in entity.items():
            for of in references(value):
                is_page = of.startswith(("https://", "http://"))
                assert of in everything or is_page, f"{entity['@id']} {name} {of}"
    root, descriptor = everything["./"], everything["ro-crate-metadata.json"]
    assert all(root[name] for name in ("name", "description", "datePublished", "license"))
    assert references(descriptor["about"]) == ["./"]
    profiles = {
        "https://w3id.org/ro/wfrun/process/0.5": "0.5",
        "https://w3id.org/ro/wfrun/workflow/0.5": "0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "1.0",
    }
    assert set(references(root["conformsTo"])) == set(profiles)
    assert set(references(descriptor["conformsTo"])) == {
        "https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    }  # fmt: skip
    for page, version in profiles.items():
        assert everything[page]["@type"] == "CreativeWork"
        assert everything[page]["version"] == version and everything[page]["name"]

    # the main workflow, a file of the crate
    (main,) = references(root["mainEntity"])
    workflow = everything[main]
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= set(workflow["@type"])
    assert main in references(root["hasPart"]) and workflow["name"]
    (language,) = references(workflow["programmingLanguage"])
    assert everything[language]["@type"] == "ComputerLanguage"
    files = {k: e for k, e in everything.items() if "File" in listed(e["@type"])}
    assert set(files) <= set(references(root["hasPart"]))
    assert all((path.parent / name).is_file() for name in files)
    found = {p.relative_to(path.parent).as_posix() for p in path.parent.rglob("*") if p.is_file()}
    assert set(files) == found - {path.name}
    assert {"workflow/Snakefile", "workflow/rules/stages.smk"} <= found

    # what was done
    actions = [e for e in text["@graph"] if e["@type"] == "CreateAction"]
    assert {a["@id"] for a in actions} == set(references(root["mentions"]))
    tools = {"SoftwareApplication", "ComputationalWorkflow"}
    for action in actions:
        (instrument,) = references(action["instrument"])
        assert tools & set(listed(everything[instrument]["@type"]))
        assert action["name"] and action["description"]
        assert datetime.fromisoformat(action["endTime"]).tzinfo is not None
        (agent,) = references(action["agent"])
        assert everything[agent] == {"@id": agent, "@type": "Person", "name": "A. Person"}
        assert references(action["result"]) and set(references(action["object"])) <= set(files)
    (run,) = (a for a in actions if references(a["instrument"]) == [main])
    # this study has no page
    assert "actionStatus" not in run

    # the parameters of the workflow, and the files that are values of them
    parameters = {k for k, e in everything.items() if e["@type"] == "FormalParameter"}
    inputs, outputs = (set(references(workflow[name])) for name in ("input", "output"))
    assert inputs | outputs == parameters and inputs and outputs
    assert all(everything[p]["additionalType"] == "File" for p in parameters)
    for given, wanted in ((run["object"], inputs), (run["result"], outputs)):
        values = {of for f in references(given) for of in references(files[f]["exampleOfWork"])}
        assert values == wanted


def test_a_finished_run_is_completed_and_what_is_foreign_left_out(crate_of):
    folder = crate_of().parent
    (folder / "report").mkdir()
    for page in ("report/index.html", "report/old.html"):
        (folder / page).write_text("<p>")
    path = crate_of(without={folder / "report" / "old.html"})
    graph = {entity["@id"]: entity for entity in json.loads(path.read_text())["@graph"]}
    assert "report/old.html" not in graph
    assert graph["#run"]["actionStatus"] == {"@id": "http://schema.org/CompletedActionStatus"}
    assert {"@id": "report/index.html"} in graph["#run"]["result"]


def test_a_file_may_have_a_name_that_an_address_writes_otherwise(crate_of, tmp_path):
    models = tmp_path / "results" / "s" / "study" / "models"
    models.mkdir(parents=True)
    # the second learner of the default study
    (models / "gp-line+mobility-10.npz").write_bytes(b"")
    crate = ROCrate(crate_of().parent)
    made = {a["name"]: {f.id for f in a["result"]} for a in crate.get_by_type("CreateAction")}
    assert made["learning"] == {"study/models/gp-line%2Bmobility-10.npz"}


def test_tables_of_further_guests_are_of_their_stage_and_behind_the_labels(root, tmp_path):
    sets = {name: {"cifs": str(root / "tests" / "data")} for name in ("source", "target")}
    learning = {"source_labels": ["henry_N2", "activation_energy_N2"]}
    gases = {"guests": ["CH4", "N2"], "temperatures_K": [298, 400]}
    plan = StudyPlan(complete({"structures": sets, "learning": learning} | gases), root)
    steps = {title: (read, written) for title, _, read, written in _actions(plan, {})}
    assert "*/diffusion_N2_400K.parquet" in steps["diffusion"][1]
    assert set(steps["activation_N2"][0]) == {
        "*/diffusion_N2.parquet", "*/diffusion_N2_400K.parquet"
    }  # fmt: skip
    assert {"*/activation_N2.parquet", "*/percolation_N2.parquet"} <= set(steps["labels"][0])
