"""Self-diffusivity of a guest at infinite dilution, by molecular dynamics in a rigid framework.

Two engines make trajectories of independent molecules at constant temperature; one analysis
(:mod:`poreflux.diffusion.msd`) turns them into a diffusivity with its standard error, or into
an upper bound where the molecules were not seen to diffuse.

Engine ``grid`` (:mod:`poreflux.diffusion.grid_engine`) reads the forces from a periodic cubic
spline of the framework's potential. Engine ``lammps`` (:mod:`poreflux.diffusion.lammps_engine`)
computes every pair with LAMMPS, in a supercell. Molecules start Boltzmann-distributed in the
channels, never in closed pockets, or (the published protocol) where Packmol puts them, which knows
no pockets. A run is lengthened until the result is as precise as wanted.

Where molecules hop too rarely for that, transition-state theory
(:mod:`poreflux.diffusion.hopping`) gives an estimate below the bound, marked ``tst``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from poreflux.cif import read_cif
from poreflux.diffusion import grid_engine, lammps_engine
from poreflux.diffusion.hopping import hopping_diffusivity
from poreflux.diffusion.msd import LAST_SHARE, DiffusionFit, fit_diffusion
from poreflux.errors import ConfigError
from poreflux.forcefield import Guest, framework_parameters, guest_parameters
from poreflux.pores import Accessibility, accessible, pocket_share
from poreflux.potential import grid_shape, lj_grid
from poreflux.random_stream import seed_from
from poreflux.structure import Structure
from poreflux.units import A2_PER_FS_TO_M2_PER_S, BOLTZMANN_AMU_A2_FS2_PER_K

__all__ = ["Diffusivity", "lengthened", "self_diffusivity", "simulate", "warm_up"]

# About the number of molecules that share a thermostat, as in the published protocol (at least
# 30 molecules in one simulation). Many molecules on one thermostat hardly disturb each other.
MOLECULES_PER_THERMOSTAT = 30
# Spacing of the points at which the largest cavity is looked for.
CAVITY_SPACING_A = 0.8
# Grid for transition-state theory: spacing, and the most points (larger cells get a wider spacing);
# typical relative error of what it gives (benchmarks/hopping.md).
HOPPING_SPACING_A, HOPPING_POINTS = 0.15, 6e6
HOPPING_ERROR = 0.3
# Most frames of a run that are analysed, evenly spaced.
FRAMES_ANALYSED = 5000
# The highest share of the Henry coefficient in pockets that is kept silent about when molecules
# may start there.
SILENT_POCKET_SHARE = 0.001


@dataclass(frozen=True)
class Diffusivity:
    """Self-diffusivity of one structure.

    Attributes
    ----------
    d_m2_s : float
        Self-diffusion coefficient, a third of the trace of the tensor, m^2/s. Where
        ``diffusive`` is false: with engine 'tst' an estimate, else an upper bound (or, with a
        note that says so, a lower one).
    d_err_m2_s : float
        One standard error, from groups of independent molecules; 0 for the bound of a
        structure without a channel; a typical error for 'tst'.
    msd_loglog_slope : float
        d log MSD / d log t in the fit window; 0 for a structure without a channel.
    diffusive : bool
        Whether the run shows diffusion, see :func:`poreflux.diffusion.msd.fit_diffusion`.
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
        Molecules, and production steps of each; 0 where nothing was simulated.
    engine : str
        'grid' or 'lammps', or 'tst' where ``d_m2_s`` is from transition-state theory.
    note : str
        Empty, or why the result is a bound, and other warnings.
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


def self_diffusivity(path: str | Path, **params) -> Diffusivity:
    """Self-diffusivity of a guest in the structure in a CIF file.

    Parameters
    ----------
    path : str or Path
        A CIF file.
    **params
        See :func:`simulate`.

    Returns
    -------
    Diffusivity

    Raises
    ------
    StructureError
        If the file is no usable structure.
    ConfigError
        If a parameter is out of range.
    ExternalToolError
        If Packmol or LAMMPS fails or is missing.
    """
    return simulate(read_cif(path), **params)


def simulate(
    structure: Structure,
    *,
    engine: str = "grid",
    device: str = "auto",
    guest: str = "CH4",
    temperature_K: float = 298.0,
    timestep_fs: float = 1.0,
    n_molecules: int = 60,
    start: str = "auto",
    equilibration_ps: float = 50.0,
    production_ps: float = 1000.0,
    extend: str = "auto",
    target_error: float = 0.1,
    max_ps: float = 30_000.0,
    rare_events: str = "tst",
    sample_ps: float = 1.0,
    thermostat_ps: float = 0.1,
    cutoff_A: float = 12.0,
    spacing_A: float = 0.25,
    cap_K: float = 20_000.0,
    block_threshold_kT: float = 20.0,
    n_groups: int = 20,
    seed: int = 0,
    lammps_package: str = "none",
    lammps_threads: int = 1,
    keep_dir: str | Path | None = None,
    run_dir: str | Path | None = None,
) -> Diffusivity:
    """Self-diffusivity of a guest in a rigid framework at infinite dilution.

    Parameters
    ----------
    structure : Structure
        The framework.
    engine : {'grid', 'lammps'}
        See the package.
    device : {'auto', 'cpu', 'cuda'}
        Where the grid engine runs; this version has CPU kernels alone.
    guest : str
        Name of a guest, see :func:`poreflux.forcefield.guest_parameters`.
    temperature_K : float
        Temperature.
    timestep_fs : float
        Time step; at 2 fs the grid engine still conserves energy to 0.1 K a molecule.
    n_molecules : int
        Independent molecules; the LAMMPS engine puts them all into one supercell.
    start : {'auto', 'boltzmann', 'packmol'}
        Where molecules start: Boltzmann-distributed in the channels, or where Packmol finds
        room, pockets included; 'auto': the former for 'grid', the latter for 'lammps'.
    equilibration_ps, production_ps, sample_ps : float
        Time discarded, time recorded, and the interval between recorded positions (rounded to
        whole steps). From a Boltzmann start little need be discarded.
    extend : {'auto', 'never'}
        Whether the time recorded or (grid engine) the number of molecules is doubled, see
        :func:`lengthened`, until the result is diffusive with a relative standard error of at
        most ``target_error``, or the molecules together have moved for ``max_ps`` times
        ``n_molecules``.
    target_error, max_ps : float
        See ``extend``.
    rare_events : {'tst', 'bound'}
        What is given where the run shows no diffusion, or there is no channel: the estimate of
        transition-state theory, if there is one below the bound, or the bound.
    thermostat_ps : float
        Time constant of the Nose-Hoover chain.
    cutoff_A : float
        Lennard-Jones cutoff: truncated, not shifted, no tail correction.
    spacing_A, cap_K : float
        Largest spacing of the energy grid, and the energy towards which it is softened for
        the spline (undone when read, see :mod:`poreflux.diffusion.grid_engine`).
    block_threshold_kT : float
        Regions below this many kT are channels (if they run through the crystal) or pockets.
    n_groups : int
        Groups of molecules whose scatter gives the standard error.
    seed : int
        With the structure's content hash it fixes every random number.
    lammps_package, lammps_threads
        Accelerator package of LAMMPS ('none', 'omp', 'gpu') and threads with 'omp'.
    keep_dir : str or Path, optional
        Where the LAMMPS engine leaves its files, ready for ``lmp -in in.lammps``. A run of the
        same settings that it finds cut short there is gone on from.
    run_dir : str or Path, optional
        The same, but removed when the run is done.

    Returns
    -------
    Diffusivity

    Raises
    ------
    ConfigError
        If a parameter is out of range or the guest unknown.
    StructureError
        If an element has no parameters.
    ExternalToolError
        If Packmol or LAMMPS fails or is missing.

    Notes
    -----
    A structure without a channel below the threshold is not simulated. Its bound is
    L v exp(-threshold / kT) / 3: a free molecule of mean speed v = sqrt(8kT / pi m) with the
    longest lattice vector L as mean free path, held back by the lowest barrier there can be;
    about 1e-15 m^2/s for CH4 at 20 kT.
    """
    _check(locals())
    molecule = guest_parameters(guest)
    energy = lj_grid(structure, molecule, grid_shape(structure, spacing_A), cutoff_A)
    pores = accessible(energy, block_threshold_kT * temperature_K)
    in_pockets = pocket_share(energy, pores.mask, temperature_K)

    def rarely(bound: Diffusivity) -> Diffusivity:
        if rare_events == "bound":
            return bound
        threshold_K = block_threshold_kT * temperature_K
        return _hopping(bound, structure, molecule, temperature_K, cutoff_A, cap_K, threshold_K)

    if pores.dimensionality == 0:
        return rarely(_no_channel(structure, molecule, temperature_K, block_threshold_kT, engine))

    dynamics = grid_engine.Dynamics(
        mass_amu=molecule.mass_amu,
        temperature_K=temperature_K,
        timestep_fs=timestep_fs,
        tau_fs=1000.0 * thermostat_ps,
    )
    steps_per_frame = max(1, round(sample_ps * 1000.0 / timestep_fs))
    interval_ps = steps_per_frame * timestep_fs / 1000.0
    n_frames, most_frames = (round(t / interval_ps) for t in (production_ps, max_ps))
    schedule = {
        "equilibration_steps": round(equilibration_ps * 1000.0 / timestep_fs),
        "steps_per_frame": steps_per_frame,
    }
    seed_parts = (seed, structure.content_hash, "diffusion")
    key = seed_from(*seed_parts)
    if start == "auto":
        start = "packmol" if engine == "lammps" else "boltzmann"
    field = grid_engine.make_field(energy, structure.cell, cap_K)
    chains = max(1, round(n_molecules / MOLECULES_PER_THERMOSTAT))
    chain_size = math.ceil(n_molecules / chains)
    cavity = largest_cavity_A(structure, pores.mask)

    with ExitStack() as stack:
        folder = None
        if engine == "lammps" or start == "packmol":
            folder = stack.enter_context(lammps_engine.run_folder(keep_dir, run_dir))

        def boltzmann(first: int) -> grid_engine.State:
            return grid_engine.start(
                field, pores.mask, energy, n_molecules, chain_size, dynamics, key, first
            )

        def packed(first: int) -> grid_engine.State:
            guests = lammps_engine.packed_guests(
                structure, n_molecules, (*seed_parts, first), folder
            )
            return grid_engine.start_at(field, guests, chain_size, dynamics, key, first)

        if engine == "lammps":
            guests = None
            if start == "boltzmann":
                guests = grid_engine.cartesian(field, boltzmann(0))
            trajectory = lammps_engine.Trajectory(
                structure,
                molecule,
                dynamics,
                folder,
                n_molecules=n_molecules,
                chain_size=chain_size,
                guests_A=guests,
                cutoff_A=cutoff_A,
                n_frames=n_frames,
                seed_parts=seed_parts,
                package=lammps_package,
                threads=lammps_threads,
                **schedule,
            )
        else:
            trajectory = grid_engine.Trajectory(
                field,
                boltzmann if start == "boltzmann" else packed,
                dynamics,
                chain_size=chain_size,
                **schedule,
            )
        fit, n_frames, total = lengthened(
            trajectory.positions,
            n_frames,
            n_molecules,
            most_frames if extend == "auto" else n_frames,
            interval_ps,
            more_molecules=engine == "grid",
            target_error=target_error,
            n_groups=n_groups,
            cavity_A=cavity,
        )
    unblocked = in_pockets if start == "packmol" else 0.0
    result = _result(
        fit, cavity, pores, in_pockets, unblocked, engine, total, n_frames * steps_per_frame
    )
    return result if fit.diffusive or fit.upper_A2_fs is None else rarely(result)


def lengthened(
    positions: Callable[[int, int], np.ndarray],
    n_frames: int,
    n_molecules: int,
    most_frames: int,
    interval_ps: float,
    *,
    more_molecules: bool,
    target_error: float,
    n_groups: int,
    cavity_A: float,
) -> tuple[DiffusionFit, int, int]:
    """The fit of a run that grows until it is good enough.

    Parameters
    ----------
    positions : callable
        Given numbers of frames and molecules, positions (Å) from frame 0 to the last, ndarray
        (frames + 1, molecules, 3). What a smaller run has a larger one repeats.
    n_frames, n_molecules : int
        Size at first.
    most_frames : int
        Longest run of the first ``n_molecules``; one of more molecules is shorter in proportion.
    interval_ps : float
        Time between frames.
    more_molecules : bool
        Whether there can be more than ``n_molecules``.
    target_error : float
        Relative standard error wanted.
    n_groups, cavity_A
        As for :func:`poreflux.diffusion.msd.fit_diffusion`.

    Returns
    -------
    fit : DiffusionFit
        Of the last run.
    n_frames, n_molecules : int
        Its size.

    Notes
    -----
    A run that does not show a straight MSD is doubled in time, one that does, but not as
    precisely as wanted, in molecules: they also average over channels between which none passes.
    Doubling leaves few chances to stop on an error that is small by accident.

    A run is given up where even ``most_frames`` would not show diffusion: the longest lag that is
    fitted, half the run, times the upper bound of 6 D found so far stays below ``cavity_A``
    squared.
    """
    requests = lengthening(
        n_frames,
        n_molecules,
        most_frames,
        interval_ps,
        more_molecules=more_molecules,
        target_error=target_error,
        n_groups=n_groups,
        cavity_A=cavity_A,
    )
    wanted = next(requests)
    try:
        while True:
            wanted = requests.send(positions(*wanted))
    except StopIteration as done:
        return done.value


def lengthening(
    n_frames: int,
    n_molecules: int,
    most_frames: int,
    interval_ps: float,
    *,
    more_molecules: bool,
    target_error: float,
    n_groups: int,
    cavity_A: float,
) -> Generator[tuple[int, int], np.ndarray, tuple[DiffusionFit, int, int]]:
    """:func:`lengthened`, for a caller who makes many runs grow at once.

    Yields
    ------
    n_frames, n_molecules : int
        Size of the run that is wanted next; its positions are to be sent.

    Returns
    -------
    fit, n_frames, n_molecules
        As of :func:`lengthened`.
    """
    most = most_frames * n_molecules
    while True:
        positions = yield n_frames, n_molecules
        # short lags are of no use in runs this long
        stride = -(-n_frames // FRAMES_ANALYSED)
        fit = fit_diffusion(
            positions[::stride],
            interval_ps * stride,
            n_groups=n_groups,
            cavity_A=cavity_A,
        )
        good = fit.diffusive and fit.d_err_A2_fs <= target_error * fit.d_A2_fs
        longest_fs = LAST_SHARE * most / n_molecules * interval_ps * 1000.0
        upper = math.inf if fit.upper_A2_fs is None else fit.upper_A2_fs
        if good or 6.0 * upper * longest_fs < cavity_A**2:
            return fit, n_frames, n_molecules
        if more_molecules and fit.linear:
            if 2 * n_molecules * n_frames > most:
                return fit, n_frames, n_molecules
            n_molecules *= 2
        else:
            longer = min(2 * n_frames, most // n_molecules)
            if longer <= n_frames:
                return fit, n_frames, n_molecules
            n_frames = longer


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
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    species = np.array(structure.species)
    free = np.full(len(points), np.inf)
    for element in sorted(set(structure.species)):
        frac = structure.frac[species == element]
        images = (frac[:, None] + shifts).reshape(-1, 3) @ structure.cell
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
    hopping_diffusivity(energy, np.eye(3), 298.0, 1e-4)


def _check(params: dict) -> None:
    """Raise :class:`ConfigError` for the first parameter out of range."""

    def fail(name, expected):
        raise ConfigError(f"{name} must be {expected}, got {params[name]!r} (config: md.{name})")

    if params["engine"] not in ("grid", "lammps"):
        fail("engine", "'grid' or 'lammps'")
    if params["start"] not in ("auto", "boltzmann", "packmol"):
        fail("start", "'auto', 'boltzmann' or 'packmol'")
    if params["extend"] not in ("auto", "never"):
        fail("extend", "'auto' or 'never'")
    if params["rare_events"] not in ("tst", "bound"):
        fail("rare_events", "'tst' or 'bound'")
    if params["lammps_package"] not in lammps_engine.PACKAGES:
        fail("lammps_package", "'none', 'omp' or 'gpu'")
    if params["lammps_threads"] < 1:
        fail("lammps_threads", "1 or more")
    if params["device"] not in ("auto", "cpu", "cuda"):
        fail("device", "'auto', 'cpu' or 'cuda'")
    if params["device"] == "cuda":
        fail("device", "'auto' or 'cpu': diffusion has no CUDA kernels in this version")
    for name in ("temperature_K", "timestep_fs", "production_ps", "target_error", "max_ps",
                 "sample_ps", "thermostat_ps", "cutoff_A", "spacing_A", "cap_K",
                 "block_threshold_kT"):  # fmt: skip
        if not (params[name] > 0 and math.isfinite(params[name])):
            fail(name, "above 0")
    if params["timestep_fs"] > 5:
        fail("timestep_fs", "at most 5 fs, beyond which integration is not accurate")
    if not (params["equilibration_ps"] >= 0 and math.isfinite(params["equilibration_ps"])):
        fail("equilibration_ps", "0 or more")
    if params["sample_ps"] * 20 > params["production_ps"]:
        fail("sample_ps", f"at most a 20th of production_ps ({params['production_ps']:g} ps)")
    if params["extend"] == "auto" and params["max_ps"] < params["production_ps"]:
        fail("max_ps", f"at least production_ps ({params['production_ps']:g} ps)")
    if params["n_molecules"] < 2:
        fail("n_molecules", "2 or more")
    if not 2 <= params["n_groups"] <= params["n_molecules"]:
        fail("n_groups", f"2 to n_molecules ({params['n_molecules']})")


def _result(
    fit: DiffusionFit,
    cavity: float,
    pores: Accessibility,
    in_pockets: float,
    unblocked: float,
    engine: str,
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
        engine=engine,
        note="; ".join(notes),
    )


def _hopping(
    bound: Diffusivity,
    structure: Structure,
    guest: Guest,
    temperature_K: float,
    cutoff_A: float,
    cap_K: float,
    threshold_K: float,
) -> Diffusivity:
    """``bound`` with the estimate of transition-state theory in place of the bound, if lower."""
    spacing_A = max(HOPPING_SPACING_A, (structure.volume_A3 / HOPPING_POINTS) ** (1 / 3))
    energy = lj_grid(structure, guest, grid_shape(structure, spacing_A), cutoff_A)
    pores = accessible(energy, threshold_K)
    # molecules start in channels, where there are any
    closed = energy > cap_K if pores.dimensionality == 0 else ~pores.mask
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
    structure: Structure, guest: Guest, temperature_K: float, threshold_kT: float, engine: str
) -> Diffusivity:
    thermal = BOLTZMANN_AMU_A2_FS2_PER_K * temperature_K / guest.mass_amu
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
        engine=engine,
        note=f"no channel below {threshold_kT:g} kT: not simulated; d_m2_s is an upper bound",
    )
