"""The raspa3 engine: the same isotherm from RASPA3 through its Python module."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile

import gemmi
import numpy as np

from poreflux.base.errors import ExternalToolError
from poreflux.fields.forcefield import Guest, framework_parameters
from poreflux.structures.crystal import Structure
from poreflux.uptake.statistics import Estimate, blocking_error, equilibrated_at

_MIN_CYCLE = 20
# A run is at least this many cycles, of max(20, N) moves each.
_MIN_CYCLES = 500


def run_pressure(
    structure: Structure,
    guest: Guest,
    *,
    pressure_bar: float,
    fugacity_bar: float,
    temperature_K: float,
    cutoff_A: float,
    initial_cycles: int,
    cycles: int,
    seed: int,
) -> tuple[Estimate, int, int]:
    """Molecules in the supercell at one pressure by RASPA3, each run from an empty box.

    Parameters
    ----------
    structure, guest
        Framework (rigid) and guest.
    pressure_bar, fugacity_bar, temperature_K, cutoff_A : float
        State and cutoff (truncated, not shifted, no tail correction).
    initial_cycles, cycles : int
        Cycles to equilibrate and to average; a cycle is max(20, N) moves.
    seed : int
        Of RASPA3's random numbers.

    Returns
    -------
    estimate : Estimate
        ``discarded`` counts cycles.
    n_equilibration, n_production : int
        Moves discarded and averaged.

    Raises
    ------
    ConfigError
        If the Python module ``raspalib`` is not installed.
    ExternalToolError
        If RASPA3 fails.

    Notes
    -----
    RASPA3 samples N once a cycle although a cycle has max(20, N) moves, so that its own average
    gives large N too little weight. Here each sample weighs as many moves as its cycle had.
    """
    raspalib = _load()
    repeats = structure.repeats(2.0 * cutoff_A)
    try:
        trace = _evolution(
            raspalib, structure, guest, repeats, pressure_bar, fugacity_bar, temperature_K,
            cutoff_A, initial_cycles, cycles, seed,
        )  # fmt: skip
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ExternalToolError("raspalib", None, f"{type(error).__name__}: {error}") from error
    return averaged(trace, initial_cycles)


def averaged(trace: np.ndarray, initial_cycles: int) -> tuple[Estimate, int, int]:
    """The mean number of molecules over the production cycles of a trace.

    Parameters
    ----------
    trace : ndarray (initial_cycles + cycles,)
        Molecules after each cycle, from the first initial one on.
    initial_cycles : int
        Cycles that are cut off; more are by the marginal standard error rule.

    Returns
    -------
    estimate, n_equilibration, n_production
        See :func:`run_pressure`.
    """
    moves = np.maximum(_MIN_CYCLE, trace)
    n = trace[initial_cycles:]
    cut = equilibrated_at(n)
    kept, w = n[cut:], moves[initial_cycles + cut :]
    mean = float((kept * w).sum() / w.sum())
    # the error of a ratio of means: that of its linearised residual
    error, converged = blocking_error((kept - mean) * w / w.mean())
    in_time = cut < len(n) // 2 - 5
    result = Estimate(mean, error, cut, in_time, converged and in_time)
    return result, int(moves[: initial_cycles + cut].sum()), int(w.sum())


def cycles_for(steps: int, molecules: float) -> int:
    """Cycles that make up at least ``steps`` moves at a loading of ``molecules``."""
    return max(_MIN_CYCLES, math.ceil(steps / max(_MIN_CYCLE, molecules)))


def _load():
    try:
        import raspalib
    except ImportError as error:
        raise ExternalToolError(
            "raspalib", None, "not found: pip install raspalib, or choose uptake.engine: grid"
        ) from error
    return raspalib


def _evolution(
    R, structure, guest, repeats, pressure_bar, fugacity_bar, temperature_K, cutoff_A,
    initial_cycles, cycles, seed,
):  # fmt: skip
    """Molecules in the supercell after each cycle, ndarray (initial_cycles + cycles,).

    RASPA3 records from the first initial cycle on, and no more than it was told to hold.
    """
    elements = sorted(set(structure.species))
    table = framework_parameters()
    atoms = [
        R.PseudoAtom(
            e, True, gemmi.Element(e).weight, 0.0, 0.0, gemmi.Element(e).atomic_number, False, ""
        )
        for e in elements
    ]
    atoms.append(R.PseudoAtom("guest", False, guest.mass_amu, 0.0, 0.0, 6, False, ""))
    vdw = [R.VDWParameters(*table[e]) for e in elements]
    vdw.append(R.VDWParameters(guest.epsilon_K, guest.sigma_A))
    field = R.ForceField(
        atoms, vdw, R.ForceField.MixingRule(0), cutoff_A, cutoff_A, cutoff_A, False, False, False
    )
    box = R.SimulationBox(*structure.lengths_A, *np.radians(structure.angles_deg))
    sites = [
        R.Atom(tuple(map(float, f)), 0.0, 1.0, 0, elements.index(s), 0, 0, True)
        for f, s in zip(structure.frac, structure.species, strict=True)
    ]
    framework = R.Framework(field, "framework", box, 1, sites, list(map(int, repeats)))
    moves = R.MCMoveProbabilities(translation_probability=1.0, swap_cbmc_probability=1.0)
    site = R.Atom((0.0, 0.0, 0.0), 0.0, 1.0, 0, len(elements), 0, 0, False)
    component = R.Component(
        field, "guest", guest.tc_K, guest.pc_bar * 1e5, guest.acentric, [site],
        R.ConnectivityTable(), R.IntraMolecularPotentials(), 5, 41, moves,
        fugacity_bar / pressure_bar,
    )  # fmt: skip
    system = R.System(
        field, None, False, temperature_K, pressure_bar * 1e5, 0.0, framework, [component], [],
        [0], 5, R.MCMoveProbabilities(),
    )  # fmt: skip
    system.set_property_number_of_molecules_evolution(
        R.PropertyNumberOfMoleculesEvolution(initial_cycles + cycles, 1, 1, None)
    )
    never = 10 * (cycles + initial_cycles)
    with _scratch_directory():
        mc = R.MonteCarlo(
            cycles, initial_cycles, 0, never, never, never, 5000, [system], seed % 2**31, 5, False
        )
        mc.setup()
        mc.initialize()
        mc.production()
        evolution = mc.systems[0].property_number_of_molecules_evolution.result
    trace = np.ravel(np.asarray(evolution, float))
    if len(trace) < initial_cycles + cycles:
        raise ValueError(f"recorded {len(trace)} of {initial_cycles + cycles} cycles")
    return trace[: initial_cycles + cycles]


@contextlib.contextmanager
def _scratch_directory():
    """RASPA3 writes into the working directory: give it one that is thrown away."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="raspa3-") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
