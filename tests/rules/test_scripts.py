"""Each script through a stand-in for Snakemake's object, on real, tiny structures."""

import logging
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import DataError
from poreflux.run import stages
from poreflux.run.config import complete
from poreflux.store import Store

BAD_CIFS = {
    "empty": ("", "empty"),
    "broken": ("data_x\nloop_\n_atom_site_label\n", "CIF|atoms"),
    "disordered": (None, "occupancy"),
    "overlap": (None, "overlapping"),
    "unknown": (None, "unknown element"),
}


class Params(dict):
    """Snakemake's params: by name and with ``get``."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def run_script(root, tmp_path, monkeypatch):
    """Run a script as Snakemake would; returns its stand-in object."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(name, *, input, output, params, wildcards=None, threads=2):
        job = SimpleNamespace(
            input=input,
            output=output,
            params=Params(params),
            wildcards=wildcards or SimpleNamespace(set="target"),
            threads=threads,
            log=[str(tmp_path / "logs" / f"{name}.log")],
        )
        runpy.run_path(str(root / "scripts" / f"{name}.py"), init_globals={"snakemake": job})
        return job

    yield run
    logging.shutdown()
    logging.getLogger().handlers.clear()


@pytest.fixture
def config():
    return complete({"structure_checks": {"fail_on": ["overlapping_atoms"]}})


@pytest.fixture
def folder(tmp_path, cifs):
    """Two good CIFs, one of them twice under another name, and one of each bad kind."""
    good = (cifs / "JIVFUQ_clean.cif").read_text()
    for name, text in {
        "good": good,
        "good_again": good.replace("\n", "\r\n"),
        "other": (cifs / "KOSJEJ_clean.cif").read_text(),
        "disordered": good.replace("1.00\n", "0.50\n", 1),
        "overlap": good
        + "Zz8 C 0.0000 0.0000 0.0000 0.0 Uiso 1.00\nZz9 C 0.0200 0.0000 0.0000 0.0 Uiso 1.00\n",
        "unknown": good.replace(" Zn ", " Qq ").replace(" C ", " Qq "),
    }.items():
        (tmp_path / f"{name}.cif").write_text(text)
    for name in ("empty", "broken"):
        (tmp_path / f"{name}.cif").write_text(BAD_CIFS[name][0])
    return tmp_path


@pytest.fixture
def structures(run_script, folder, config):
    """The structures table of the folder."""
    path = folder / "structures.parquet"
    members = {p.stem: str(p) for p in sorted(folder.glob("*.cif"))}
    run_script(
        "read_structures",
        input=[],
        output=SimpleNamespace(table=path),
        params={
            "members": members,
            "spec": {"cifs": str(folder)},
            "checks": config.structure_checks.model_dump(mode="json"),
            "store": str(folder / "store"),
            "limits": config.limits.model_dump(),
        },
    )
    return path


def test_read_structures_gives_every_cif_a_row(structures):
    table = pd.read_parquet(structures).set_index("name")
    assert len(table) == 8
    for name, (_, reason) in BAD_CIFS.items():
        assert table.loc[name, "status"] == "failed"
        assert pd.Series(table.loc[name, "reason"]).str.contains(reason).all(), name
    assert (table.loc[["good", "good_again", "other"], "status"] == "ok").all()
    assert table.loc["good", "content_hash"] == table.loc["good_again", "content_hash"]
    assert table.loc["good", "content_hash"] != table.loc["other", "content_hash"]


def test_stage_script_stores_each_structure_once(run_script, structures, folder, config):
    def energy(out):
        return run_script(
            "run_stage",
            input=SimpleNamespace(structures=structures),
            output=SimpleNamespace(table=folder / out),
            params={
                "stage": "energy",
                "settings": config.settings_of("energy"),
                "store": str(folder / "store"),
                "limits": config.limits.model_dump(),
            },
        )

    job = energy("one.parquet")
    table = pd.read_parquet(folder / "one.parquet")
    assert len(table) == 8
    ok = table[table["status"] == "ok"]
    shares = ok[[f"h{i:02d}" for i in range(50)]]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert set(table.loc[table["status"] == "failed", "name"]) == set(BAD_CIFS)
    # three names, two structures, two artifacts
    assert len(list(Store(folder / "store").entries("energy"))) == 2
    assert "2/2 structures done" in open(job.log[0]).read()
    again = energy("two.parquet")
    assert "2 stored, 0 to do" in open(again.log[0]).read()
    assert (folder / "one.parquet").read_bytes() == (folder / "two.parquet").read_bytes()


def test_collect_tables_joins_and_sorts(run_script, structures, folder):
    table = pd.read_parquet(structures)
    table.iloc[:3].to_parquet(folder / "b.parquet")
    table.iloc[3:].to_parquet(folder / "a.parquet")
    run_script(
        "collect_tables",
        input=[str(folder / "a.parquet"), str(folder / "b.parquet")],
        output=[str(folder / "all.parquet")],
        params={"failures": 1.0},
    )
    joined = pd.read_parquet(folder / "all.parquet")
    assert list(joined["name"]) == sorted(table["name"])
    assert "frac" not in joined


def test_too_many_failures_stop_the_run_with_the_reason(run_script, structures, folder):
    with pytest.raises(DataError, match=r"5 of 8 structures failed.*failed_share"):
        run_script(
            "collect_tables",
            input=[str(structures)],
            output=[str(folder / "all.parquet")],
            params={"failures": 0.5},
        )
    assert not (folder / "all.parquet").exists()


@pytest.mark.parametrize(
    ("set_name", "reason", "ends"),
    [
        ("source", "unknown element Qq", True),
        ("predict", "unknown element Qq", False),
        ("predict", "internal error: KeyError: 'x'", True),
    ],
)
def test_a_stage_that_no_structure_passes_ends_with_the_first_reason(
    run_script, folder, set_name, reason, ends
):
    rows = {"name": ["A", "B"], "content_hash": "", "status": "failed", "reason": reason}
    pd.DataFrame(rows).to_parquet(folder / "0.parquet")

    def collect():
        run_script(
            "collect_tables",
            input=[str(folder / "0.parquet")],
            output=[str(folder / "all.parquet")],
            params={"failures": 1.0},
            wildcards=SimpleNamespace(set=set_name, stage="uptake"),
        )

    if not ends:
        collect()
        assert len(pd.read_parquet(folder / "all.parquet")) == 2
        return
    with pytest.raises(
        DataError, match=f"uptake of {set_name}: none of 2 .*first reason: A: {reason}"
    ):
        collect()


def test_stage_registry_names_real_functions():
    for name, stage in stages.STAGES.items():
        assert callable(stage.module().compute)
        assert stage.room == f"poreflux.{name}" and set(stage.code_parts()) >= {
            f"{stage.room}.stage"
        }
