"""The RO-Crate of a study, without running one: which step made which table."""

import pandas as pd
from rocrate.rocrate import ROCrate

from poreflux.run.config import complete
from poreflux.run.crate import export
from poreflux.run.plan import StudyPlan
from poreflux.store import Store


def test_a_table_from_a_file_is_not_said_to_be_simulated(root, tmp_path, monkeypatch):
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
    crate = ROCrate(export(plan, Store(tmp_path / "store")).parent)
    made = {a["name"]: {f.id for f in a["result"]} for a in crate.get_by_type("CreateAction")}
    assert made["uptake"] == {"source/uptake.parquet"}
    assert made["read structures"] == {"source/structures.parquet"}
    from_files = {"structures", "uptake", "diffusion"}
    assert made["read tables from files"] == {f"target/{stage}.parquet" for stage in from_files}
    assert "diffusion" not in made
