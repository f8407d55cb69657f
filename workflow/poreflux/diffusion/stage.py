"""Self-diffusivity of a guest at infinite dilution, by molecular dynamics in a rigid framework.

Engine ``harmonic`` (:mod:`poreflux.diffusion.harmonic`) needs picoseconds of it, however slow the
guest. Two others make trajectories of independent molecules at constant temperature; one analysis
(:mod:`poreflux.diffusion.msd`) turns them into a diffusivity with its standard error, or into
an upper bound where the molecules were not seen to diffuse.

Engine ``grid`` (:mod:`poreflux.diffusion.grid_engine`) reads the forces from a periodic cubic
spline of the framework's potential. Engine ``lammps`` (:mod:`poreflux.diffusion.lammps_engine`)
computes every pair with LAMMPS, in a supercell. Molecules start Boltzmann-distributed in the
channels, never in closed pockets, or (the published protocol) where Packmol puts them, which knows
no pockets. A run is lengthened until the result is as precise as wanted.

Where molecules hop too rarely for these two, transition-state theory
(:mod:`poreflux.diffusion.hopping`) gives an estimate below the bound, marked ``tst``.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from poreflux.base.random_stream import seed_from
from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.base.units import A2_PER_FS_TO_M2_PER_S, BOLTZMANN_AMU_A2_FS2_PER_K
from poreflux.diffusion import grid_engine, harmonic, lammps_engine
from poreflux.diffusion.harmonic import (
    BALLISTIC,
    UNCERTAIN,
    UNSETTLED,
    WINDOW,
    Harmonic,
    harmonic_diffusivity,
)
from poreflux.diffusion.hopping import hopping_diffusivity
from poreflux.diffusion.msd import DiffusionFit, lengthened
from poreflux.diffusion.settings import DiffusionSettings
from poreflux.fields.channels import Accessibility, accessible, channels_of_guest
from poreflux.fields.forcefield import framework_parameters, guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures.crystal import Structure
from poreflux.structures.images import CELLS_AROUND

__all__ = [
    "DiffusionSettings",
    "DiffusionTask",
    "Diffusivity",
    "compute",
    "lengthened",
    "prepare",
    "run_on_gpu",
    "warm_up",
]

# Spacing of the points at which the largest cavity is looked for.
CAVITY_SPACING_A = 0.8
# Grid for transition-state theory: spacing, and the most points (larger cells get a wider spacing);
# typical relative error of what it gives (benchmarks/hopping.md).
HOPPING_SPACING_A, HOPPING_POINTS = 0.15, 6e6
HOPPING_ERROR = 0.3
# Engine harmonic looks for a channel up to here, where there is none below the threshold, so that a
# structure has a value in place of a bound: beyond, D is below 1e-25 m2/s.
HIGHEST_KT = 40.0
# The highest share of the Henry coefficient in pockets that is kept silent about when molecules
# may start there.
SILENT_POCKET_SHARE = 0.001


@dataclass(frozen=True)
class Diffusivity(Result):
    """Self-diffusivity of one structure.

    Attributes
    ----------
    d_m2_s : float
        Self-diffusion coefficient, a third of the trace of the tensor, m^2/s. Where
        ``diffusive`` is false, ``note`` says what it is: an upper bound, a lower one, an estimate
        (engine 'tst'), or D of channels that are closed at the threshold (engine 'harmonic').
    d_err_m2_s : float
        One standard error, from groups of independent molecules or from independent paths; 0 for
        the bound of a structure without a channel; a typical error for 'tst'.
    msd_loglog_slope : float
        d log MSD / d log t in the fit window; 0 for a structure without a channel. This and the
        fit window are not a number with engine 'harmonic', which has no MSD.
    diffusive : bool
        Whether ``d_m2_s`` is a diffusivity, and so a label for learning. Of a run see
        :func:`poreflux.diffusion.msd.fit_diffusion`; with engine 'harmonic' no if there is no
        channel, D(t) is not flat at the longest time, or its error is above 30 %.
    d_x_m2_s, d_y_m2_s, d_z_m2_s : float
        Components along Cartesian axes (a along x, b in the xy plane), m^2/s; estimates
        even where ``d_m2_s`` is a bound.
    fit_start_ps, fit_end_ps, msd_end_A2 : float
        Lags between which the MSD was fitted, and the MSD at the last.
    cavity_A : float
        Diameter of the largest sphere between atoms (of radius sigma/2) about a point that
        the guest reaches.
    dimensionality : int
        Independent directions (0 to 3) in which channels run through the crystal.
    pocket_share : float
        Share of the Henry coefficient in pockets that no channel reaches.
    n_molecules, n_steps : int
        Molecules, and production steps of each; 0 where nothing was simulated. Engine 'harmonic':
        paths, and steps of each.
    engine : str
        'grid', 'lammps' or 'harmonic', or 'tst' where ``d_m2_s`` is from transition-state theory.
    note : str
        Empty, or why the result is a bound, and other warnings.
    d_1_m2_s, d_2_m2_s, d_3_m2_s : float
        Principal values of the diffusion tensor, falling, m^2/s. These and the following are
        those of engine 'harmonic'; not a number with another.
    d_xy_m2_s, d_xz_m2_s, d_yz_m2_s : float
        Components of the tensor off its diagonal, m^2/s.
    time_ps : float
        The time t of D(t) at which ``d_m2_s`` was taken; 0 where nothing was simulated.
    d_half_time_m2_s : float
        D at half this time, m^2/s.
    d_half_ps_m2_s, d_1_ps_m2_s, d_2_ps_m2_s : float
        D(t) at 0.5, 1 and 2 ps, m^2/s.
    """

    d_m2_s: float
    d_err_m2_s: float
    msd_loglog_slope: float
    diffusive: bool
    d_x_m2_s: float
    d_y_m2_s: float
    d_z_m2_s: float
    fit_start_ps: float
    fit_end_ps: float
    msd_end_A2: float
    cavity_A: float
    dimensionality: int
    pocket_share: float
    n_molecules: int
    n_steps: int
    engine: str
    note: str
    d_1_m2_s: float = math.nan
    d_2_m2_s: float = math.nan
    d_3_m2_s: float = math.nan
    d_xy_m2_s: float = math.nan
    d_xz_m2_s: float = math.nan
    d_yz_m2_s: float = math.nan
    time_ps: float = math.nan
    d_half_time_m2_s: float = math.nan
    d_half_ps_m2_s: float = math.nan
    d_1_ps_m2_s: float = math.nan
    d_2_ps_m2_s: float = math.nan


@names_checked(DiffusionSettings)
def compute(
    structure: Structure,
    settings: DiffusionSettings | None = None,
    *,
    keep_dir: str | Path | None = None,
    run_dir: str | Path | None = None,
) -> Diffusivity:
    """Self-diffusivity of a guest in a rigid framework at infinite dilution.

    Parameters
    ----------
    structure : Structure
        The framework.
    settings : DiffusionSettings, optional
        The defaults if not given.
    keep_dir : str or Path, optional
        Where the LAMMPS engine leaves its files, ready for ``lmp -in in.lammps``. A run with the
        same settings that was cut short there is continued.
    run_dir : str or Path, optional
        The same, but removed when the run is done.

    Returns
    -------
    Diffusivity

    Raises
    ------
    ConfigError
        If there is no CUDA device to use.
    StructureError
        If an element has no parameters.
    ExternalToolError
        If Packmol or LAMMPS fails or is missing.

    Notes
    -----
    A structure without a channel below the threshold is not simulated. Its bound is
    L v exp(-threshold / kT) / 3: a free molecule of mean speed v = sqrt(8kT / pi m) with the
    longest lattice vector L as mean free path, held back by the lowest barrier there can be;
    about 1e-15 m^2/s for CH4 at 20 kT. Engine ``harmonic`` first looks for channels up to
    :data:`HIGHEST_KT`, whose D it gives.
    """
    task = DiffusionTask(structure, settings or DiffusionSettings())
    if task.settings.device == "cuda" and task.settings.engine != "lammps":
        run_on_gpu([task])
    else:
        task.run(keep_dir, run_dir)
    return task.result


class DiffusionTask:
    """A self-diffusivity ready to be simulated: the framework's potential and its channels.

    Parameters
    ----------
    structure : Structure
        The rigid framework.
    settings : DiffusionSettings
        What it is computed with.

    Attributes
    ----------
    guest : Guest
        The guest's parameters.
    result : Diffusivity or None
        Known from the start where there is no channel, else once a run is done.
    field : grid_engine.Field
        The potential, where there is a channel; engines ``grid`` and ``lammps``.
    landscape : harmonic.Landscape
        The same with harmonic coordinates, engine ``harmonic``.

    Raises
    ------
    StructureError
        If an element has no parameters.
    """

    def __init__(self, structure: Structure, settings: DiffusionSettings):
        self.structure, self.settings = structure, settings
        self.guest = guest_parameters(settings.guest)
        shape = grid_shape(structure, settings.spacing_A)
        self._energy = lj_grid(structure, self.guest, shape, settings.cutoff_A)
        self._pores, self._in_pockets = channels_of_guest(
            self._energy, settings.block_threshold_kT, settings.temperature_K, settings.cap_K
        )
        self.result: Diffusivity | None = None
        self._channels, self._threshold_kT = self._pores, settings.block_threshold_kT
        if self._pores.dimensionality == 0 and settings.engine == "harmonic":
            self._threshold_kT = max(HIGHEST_KT, settings.block_threshold_kT)
            self._channels, _ = channels_of_guest(
                self._energy, self._threshold_kT, settings.temperature_K, settings.cap_K
            )
        if self._channels.dimensionality == 0:
            bound = _no_channel(structure, settings, self._threshold_kT)
            self.result = self._or_hopping(bound)
            return
        if settings.engine == "harmonic":
            self.landscape = harmonic.prepare(
                self._energy,
                structure.cell,
                self._dynamics,
                threshold_kT=self._threshold_kT,
                cap_K=settings.cap_K,
                channels=self._channels,
            )
        else:
            self.field = grid_engine.make_field(self._energy, structure.cell, settings.cap_K)
        self._cavity_A = largest_cavity_A(structure, self._channels.mask)

    def run(self, keep_dir: str | Path | None = None, run_dir: str | Path | None = None) -> None:
        """Simulate on the CPU; for the folders see :func:`compute`."""
        if self.result is not None:
            return
        settings = self.settings
        if settings.engine == "harmonic":
            self.settle(harmonic.driven(*self.search()))
            return
        with ExitStack() as stack:
            folder = None
            if settings.engine == "lammps" or settings.starts == "packmol":
                folder = stack.enter_context(lammps_engine.run_folder(keep_dir, run_dir))
            trajectory = self.trajectory(folder)
            self.conclude(*lengthened(trajectory.positions, **self.growth()))

    def trajectory(
        self, folder: Path | None = None
    ) -> grid_engine.Trajectory | lammps_engine.Trajectory:
        """The run at its start; ``folder`` is for the files of LAMMPS and Packmol."""
        settings, dynamics = self.settings, self._dynamics
        schedule = {
            "chain_size": settings.chain_size,
            "equilibration_steps": settings.equilibration_steps,
            "steps_per_frame": settings.steps_per_frame,
        }
        n_molecules, chain_size = settings.n_molecules, settings.chain_size
        seed_parts = (settings.seed, self.structure.content_hash, "diffusion")
        key = seed_from(*seed_parts)

        def boltzmann(first: int) -> grid_engine.State:
            return grid_engine.start(
                self.field, self._pores.mask, self._energy, n_molecules, chain_size, dynamics,
                key, first,
            )  # fmt: skip

        def packed(first: int) -> grid_engine.State:
            with nullcontext(folder) if folder else lammps_engine.run_folder(None, None) as there:
                guests = lammps_engine.packed_guests(
                    self.structure, n_molecules, (*seed_parts, first), there
                )
            return grid_engine.start_at(self.field, guests, chain_size, dynamics, key, first)

        start = {"boltzmann": boltzmann, "packmol": packed}[settings.starts]
        if settings.engine == "grid":
            return grid_engine.Trajectory(self.field, start, dynamics, **schedule)
        guests = None
        if settings.starts == "boltzmann":
            guests = grid_engine.cartesian(self.field, boltzmann(0))
        return lammps_engine.Trajectory(
            self.structure,
            self.guest,
            dynamics,
            folder,
            n_molecules=n_molecules,
            guests_A=guests,
            cutoff_A=settings.cutoff_A,
            n_frames=self.growth()["n_frames"],
            seed_parts=seed_parts,
            package=settings.lammps_package,
            threads=settings.lammps_threads,
            **schedule,
        )

    @property
    def _dynamics(self) -> grid_engine.Dynamics:
        return grid_engine.Dynamics(
            mass_amu=self.guest.mass_amu,
            temperature_K=self.settings.temperature_K,
            timestep_fs=self.settings.timestep_fs,
            tau_fs=1000.0 * self.settings.thermostat_ps,
        )

    def search(self) -> tuple[harmonic.Paths, Generator[harmonic.Flight, None, Harmonic]]:
        """The run of engine ``harmonic`` at its start, see :func:`harmonic.searching`."""
        settings = self.settings
        seed = seed_from(settings.seed, self.structure.content_hash, "harmonic")
        paths = harmonic.Paths(self.landscape, seed)
        return paths, harmonic.searching(
            paths,
            target_error=settings.target_error,
            longest_ps=settings.flat_ps,
            most_starts=settings.max_starts,
        )

    def settle(self, found: Harmonic) -> None:
        """Make the result of what engine ``harmonic`` found."""
        self.result = _harmonic(found, self._cavity_A, self._pores, self._in_pockets, self.settings)

    def growth(self) -> dict:
        """How the run grows: the arguments of :func:`lengthened` but the positions."""
        settings = self.settings
        n_frames, most_frames = (
            round(t / settings.interval_ps) for t in (settings.production_ps, settings.max_ps)
        )
        return {
            "n_frames": n_frames,
            "n_molecules": settings.n_molecules,
            "most_frames": most_frames if settings.extend == "auto" else n_frames,
            "interval_ps": settings.interval_ps,
            "more_molecules": settings.engine == "grid",
            "target_error": settings.target_error,
            "n_groups": settings.n_groups,
            "cavity_A": self._cavity_A,
        }

    def conclude(self, fit: DiffusionFit, n_frames: int, n_molecules: int) -> None:
        """Make the result of a run, as returned by :func:`lengthened`."""
        unblocked = self._in_pockets if self.settings.starts == "packmol" else 0.0
        result = _result(
            fit,
            self._cavity_A,
            self._pores,
            self._in_pockets,
            unblocked,
            self.settings,
            n_molecules,
            n_frames * self.settings.steps_per_frame,
        )
        bounded = not fit.diffusive and fit.upper_A2_fs is not None
        self.result = self._or_hopping(result) if bounded else result

    def points(self) -> list[Diffusivity]:
        """What came out, once the task has been run."""
        return [self.result]

    def _or_hopping(self, bound: Diffusivity) -> Diffusivity:
        """The bound, or what transition-state theory makes of it where it is wanted."""
        if self.settings.rare_events == "bound" or self.settings.engine == "harmonic":
            return bound
        return _hopping(bound, self.structure, self.settings)


def prepare(structure: Structure, settings: DiffusionSettings | None = None) -> DiffusionTask:
    """The part of :func:`compute` before the dynamics, for :func:`run_on_gpu`."""
    return DiffusionTask(structure, settings or DiffusionSettings())


def run_on_gpu(tasks: Sequence[DiffusionTask], threads: int = 1) -> None:
    """Run the dynamics of many structures together on a CUDA device.

    Parameters
    ----------
    tasks : sequence of DiffusionTask
        From :func:`prepare`, engines ``grid`` and ``harmonic``; :meth:`DiffusionTask.points` has
        the results after.
    threads : int
        Threads of the host.

    Raises
    ------
    ConfigError
        If there is no device that can be used.
    """
    from poreflux.diffusion import cuda, harmonic_cuda

    for engine, run_all in (("grid", cuda.run_all), ("harmonic", harmonic_cuda.run_all)):
        run_all([t for t in tasks if t.result is None and t.settings.engine == engine], threads)


def largest_cavity_A(structure: Structure, mask: np.ndarray) -> float:
    """Diameter of the largest sphere about an open point that touches no atom, Å.

    Parameters
    ----------
    structure : Structure
        The framework; an atom's radius is half its Lennard-Jones sigma.
    mask : ndarray bool (nx, ny, nz)
        Open points of a grid on the unit cell, the origin included. About every 0.8 Å one of
        them is tried, so that the result is up to 0.7 Å too small.

    Returns
    -------
    float
        0 if no point is open.

    Raises
    ------
    StructureError
        If an element has no Lennard-Jones parameters.
    """
    shape = np.array(mask.shape)
    spacing = np.array(structure.lengths_A) / shape
    stride = np.maximum(1, (CAVITY_SPACING_A / spacing).astype(int))
    coarse = np.zeros_like(mask)
    coarse[tuple(slice(None, None, s) for s in stride)] = True
    points = np.argwhere(mask & coarse)
    if not len(points):
        points = np.argwhere(mask)
    if not len(points):
        return 0.0
    points = points / shape @ structure.cell
    sigma = framework_parameters()
    species = np.array(structure.species)
    free = np.full(len(points), np.inf)
    for element in sorted(set(structure.species)):
        frac = structure.frac[species == element]
        images = (frac[:, None] + CELLS_AROUND).reshape(-1, 3) @ structure.cell
        nearest, _ = cKDTree(images).query(points)
        free = np.minimum(free, nearest - sigma[element][1] / 2.0)
    return float(max(0.0, 2.0 * free.max()))


def warm_up() -> None:
    """Compile the kernels, or load them from numba's cache, before processes are forked."""
    energy = np.zeros((4, 4, 4))
    field = grid_engine.make_field(energy, np.eye(3) * 4.0, 20_000.0)
    accessible(energy, 1.0)
    dynamics = grid_engine.Dynamics(16.0, 298.0, 1.0, 100.0)
    state = grid_engine.start(field, energy < 1.0, energy, 2, 2, dynamics, 0)
    grid_engine.advance_state(field, state, dynamics, 2, 1, 1)
    harmonic_diffusivity(
        energy, np.eye(3) * 4.0, dynamics, threshold_kT=20.0, cap_K=20_000.0, seed=0,
        target_error=1.0, longest_ps=2.0,
    )  # fmt: skip
    hopping_diffusivity(energy, np.eye(3), 298.0, 1e-4)


def _result(
    fit: DiffusionFit,
    cavity: float,
    pores: Accessibility,
    in_pockets: float,
    unblocked: float,
    settings: DiffusionSettings,
    n_molecules: int,
    n_steps: int,
) -> Diffusivity:
    d, notes = fit.d_A2_fs, [fit.note] if fit.note else []
    if not fit.diffusive:
        if fit.upper_A2_fs is not None:
            d = fit.upper_A2_fs
            notes.append("d_m2_s is an upper bound")
        else:
            notes.append("the MSD still grows faster than linearly: d_m2_s is a lower bound")
    if unblocked > SILENT_POCKET_SHARE:
        notes.append(f"{unblocked:.1%} of the Henry coefficient is in pockets, not blocked here")
    elif doubt := pores.doubt(settings.block_threshold_kT):
        notes.insert(0, doubt)
    x, y, z = fit.d_components_A2_fs * A2_PER_FS_TO_M2_PER_S
    return Diffusivity(
        d_m2_s=d * A2_PER_FS_TO_M2_PER_S,
        d_err_m2_s=fit.d_err_A2_fs * A2_PER_FS_TO_M2_PER_S,
        msd_loglog_slope=fit.loglog_slope,
        diffusive=fit.diffusive,
        d_x_m2_s=float(x),
        d_y_m2_s=float(y),
        d_z_m2_s=float(z),
        fit_start_ps=fit.window_ps[0],
        fit_end_ps=fit.window_ps[1],
        msd_end_A2=fit.msd_end_A2,
        cavity_A=cavity,
        dimensionality=pores.dimensionality,
        pocket_share=in_pockets,
        n_molecules=n_molecules,
        n_steps=n_steps,
        engine=settings.engine,
        note="; ".join(notes),
    )


def _harmonic(
    found: Harmonic,
    cavity: float,
    pores: Accessibility,
    in_pockets: float,
    settings: DiffusionSettings,
) -> Diffusivity:
    notes = {
        "": "",
        BALLISTIC: f"ballistic: D(t) still rises at {found.time_ps:g} ps: d_m2_s is a lower bound",
        UNSETTLED: f"D(t) still falls at {found.time_ps:g} ps: d_m2_s is an upper bound",
        UNCERTAIN: "the error is above 30 %",
    }
    note = [notes[found.reason]] if found.reason else []
    closed = pores.dimensionality == 0
    if closed:
        note.insert(0, f"no channel below {settings.block_threshold_kT:g} kT: D over higher walls")
    if doubt := pores.doubt(settings.block_threshold_kT):
        note.append(doubt)
    tensor = found.tensor_A2_fs * A2_PER_FS_TO_M2_PER_S
    principal = found.principal_A2_fs * A2_PER_FS_TO_M2_PER_S
    # the first three times are 0.5, 1 and 2 ps
    early = found.curve_A2_fs[:3] * A2_PER_FS_TO_M2_PER_S
    steps = WINDOW * found.time_ps * 1000.0 / settings.timestep_fs
    return Diffusivity(
        d_m2_s=found.d_A2_fs * A2_PER_FS_TO_M2_PER_S,
        d_err_m2_s=found.d_err_A2_fs * A2_PER_FS_TO_M2_PER_S,
        msd_loglog_slope=math.nan,
        diffusive=found.diffusive and not closed,
        d_x_m2_s=float(tensor[0, 0]),
        d_y_m2_s=float(tensor[1, 1]),
        d_z_m2_s=float(tensor[2, 2]),
        fit_start_ps=math.nan,
        fit_end_ps=math.nan,
        msd_end_A2=math.nan,
        cavity_A=cavity,
        dimensionality=pores.dimensionality,
        pocket_share=in_pockets,
        n_molecules=found.n_starts,
        n_steps=round(steps),
        engine="harmonic",
        note="; ".join(note),
        d_1_m2_s=float(principal[0]),
        d_2_m2_s=float(principal[1]),
        d_3_m2_s=float(principal[2]),
        d_xy_m2_s=float(tensor[0, 1]),
        d_xz_m2_s=float(tensor[0, 2]),
        d_yz_m2_s=float(tensor[1, 2]),
        time_ps=found.time_ps,
        d_half_time_m2_s=found.d_half_A2_fs * A2_PER_FS_TO_M2_PER_S,
        d_half_ps_m2_s=float(early[0]),
        d_1_ps_m2_s=float(early[1]),
        d_2_ps_m2_s=float(early[2]),
    )


def _hopping(bound: Diffusivity, structure: Structure, settings: DiffusionSettings) -> Diffusivity:
    """``bound`` with the estimate of transition-state theory in place of the bound, if lower."""
    guest, temperature_K = guest_parameters(settings.guest), settings.temperature_K
    spacing_A = max(HOPPING_SPACING_A, (structure.volume_A3 / HOPPING_POINTS) ** (1 / 3))
    energy = lj_grid(structure, guest, grid_shape(structure, spacing_A), settings.cutoff_A)
    # hops lead over points of this grid: a window between two of them would not be found
    pores = accessible(energy, settings.block_threshold_kT * temperature_K)
    # molecules start in channels, where there are any
    closed = energy > settings.cap_K if pores.dimensionality == 0 else ~pores.mask
    energy[closed] = np.inf
    if closed.all():
        return bound
    thermal = BOLTZMANN_AMU_A2_FS2_PER_K * temperature_K / guest.mass_amu
    hops = hopping_diffusivity(energy, structure.cell, temperature_K, thermal)
    if hops is None or not 0.0 < hops.d_A2_fs * A2_PER_FS_TO_M2_PER_S < bound.d_m2_s:
        return bound
    x, y, z = np.diag(hops.tensor_A2_fs) * A2_PER_FS_TO_M2_PER_S
    d = hops.d_A2_fs * A2_PER_FS_TO_M2_PER_S
    why = bound.note.removesuffix("d_m2_s is an upper bound").rstrip("; ")
    return replace(
        bound,
        d_m2_s=d,
        d_err_m2_s=HOPPING_ERROR * d,
        d_x_m2_s=float(x),
        d_y_m2_s=float(y),
        d_z_m2_s=float(z),
        engine="tst",
        note=f"{why}; at most {bound.d_m2_s:.2g} m2/s; d_m2_s is from transition-state theory",
    )


def _no_channel(
    structure: Structure, settings: DiffusionSettings, threshold_kT: float
) -> Diffusivity:
    mass_amu = guest_parameters(settings.guest).mass_amu
    thermal = BOLTZMANN_AMU_A2_FS2_PER_K * settings.temperature_K / mass_amu
    speed = math.sqrt(8.0 / math.pi * thermal)
    bound = max(structure.lengths_A) * speed * math.exp(-threshold_kT) / 3.0
    return Diffusivity(
        d_m2_s=bound * A2_PER_FS_TO_M2_PER_S,
        d_err_m2_s=0.0,
        msd_loglog_slope=0.0,
        diffusive=False,
        d_x_m2_s=0.0,
        d_y_m2_s=0.0,
        d_z_m2_s=0.0,
        fit_start_ps=0.0,
        fit_end_ps=0.0,
        msd_end_A2=0.0,
        cavity_A=0.0,
        dimensionality=0,
        pocket_share=1.0,
        n_molecules=0,
        n_steps=0,
        engine=settings.engine,
        note=f"no channel below {threshold_kT:g} kT: not simulated; d_m2_s is an upper bound",
    )
