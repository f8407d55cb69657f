"""Steps of the record on a GPU: whether the engines give what the CPU gives."""

from __future__ import annotations

import copy
import time
from types import SimpleNamespace

import gpu_record as of_record
import numpy as np
from gpu_bench import (
    OTHER_SEED,
    SEED,
    Bench,
    NoDevice,
    cores,
    isotherms_of,
    kernels_for_device,
    with_channel,
)
from gpu_rates import advance, moved_molecules, torch_sees_gpu, train, training
from numba import cuda

from poreflux.diffusion import grid_engine, harmonic, harmonic_cuda
from poreflux.uptake import cuda as gcmc
from poreflux.uptake import kernels as k

# A device may fuse a product and a sum, so that energies differ by rounding.
ENERGY_TOLERANCE = 1e-6
# Adam's steps amplify rounding of single precision.
LOSS_TOLERANCE = 1e-2


def agreement(found: np.ndarray, known: np.ndarray) -> dict:
    """Of independent estimates (n, 2) with errors: deviations in standard errors of the difference.

    All within three is what is hoped for; of hundreds, chance alone sends some beyond. It is right
    if no more are than in 99 of 100 such comparisons, and none beyond five.
    """
    from scipy.stats import binom

    error = np.hypot(found[:, 1], known[:, 1])
    known_too = np.isfinite(error) & np.isfinite(found[:, 0]) & (error > 0.0)
    z = (found - known)[known_too, 0] / error[known_too]
    beyond = int((np.abs(z) > 3.0).sum())
    ok = len(z) > 0 and beyond <= binom.ppf(0.99, len(z), 0.0027) and np.abs(z).max() < 5.0
    return {
        "ok": bool(ok),
        "points": len(z),
        "largest_z": float(np.abs(z).max(initial=0.0)),
        "rms_z": float(np.sqrt(np.mean(z**2))) if len(z) else None,
        "beyond_3": beyond,
        "beyond_3_by_chance": 0.0027 * len(z),
    }


def _places(bench: Bench, made) -> np.ndarray:
    """Fractions of the unit cell near open grid points, (n, 3)."""
    rng = np.random.default_rng(SEED)
    is_open = np.argwhere(made.energy_K < 5000.0)
    chosen = is_open[rng.integers(len(is_open), size=bench.effort.places)]
    return ((chosen + rng.uniform(-0.5, 0.5, chosen.shape)) / made.energy_K.shape) % 1.0


@cuda.jit
def _host_energies(coefficients, shape, places, out):
    i = cuda.grid(1)
    if i < len(places):
        out[i] = k.host_energy(coefficients, shape, places[i, 0], places[i, 1], places[i, 2])


def check_energies(bench: Bench) -> dict:
    """Energies of the spline at places in each framework, relative to those of the CPU."""
    worst = 0.0
    for made in bench.made:
        host, places = made.host, _places(bench, made)
        expected = np.array([k.host_energy(host.coefficients, host.shape, *at) for at in places])
        out = cuda.to_device(np.full(len(places), np.nan))
        with kernels_for_device():
            _host_energies[-(-len(places) // 64), 64](
                cuda.to_device(host.coefficients),
                cuda.to_device(host.shape),
                cuda.to_device(places),
                out,
            )
        off = np.abs(out.copy_to_host() - expected) / np.maximum(np.abs(expected), 1.0)
        worst = max(worst, float(off.max() if np.isfinite(off).all() else np.inf))
    return {
        "ok": worst <= ENERGY_TOLERANCE,
        "largest_relative_difference": worst,
        "places": bench.effort.places * len(bench.made),
    }


def check_first_steps(bench: Bench) -> dict:
    """Chains of one random stream: how many make the same moves on both sides, at first.

    A device rounds otherwise than a CPU, so that a chain may decide otherwise once; nearly all must
    not.
    """
    steps = bench.effort.first_steps
    ours, theirs = (isotherms_of(bench, bench.checks.fugacities_bar[-1:]) for _ in range(2))
    with kernels_for_device():
        lanes = gcmc.Lanes(theirs)
        chains = [isotherm.runs[0].chain for isotherm in theirs]
        moved, _ = advance(lanes, chains, steps)
        lanes.fetch()
    same, drifts = 0, []
    for isotherm, chain in zip(ours, chains, strict=True):
        reference = isotherm.runs[0].chain
        reference.advance(steps)
        one, other = reference.state[0], chain.state[0]
        same += one["rng"] == other["rng"] and one["n_molecules"] == other["n_molecules"]
        drifts.append(abs(chain.energy_drift()[1]) / max(1, chain.n_molecules))
    return {
        "ok": bool(same >= 0.9 * len(chains) and moved == steps * len(chains)),
        "chains": len(chains),
        "same": int(same),
        "steps": steps,
        "largest_energy_drift_K_per_molecule": max(drifts),
    }


def check_gcmc(bench: Bench) -> dict:
    """Means of N, from another random stream than the record's."""
    isotherms = isotherms_of(bench, bench.checks.fugacities_bar, OTHER_SEED)
    start = time.monotonic()
    with kernels_for_device():
        gcmc.run_all(isotherms, cores())
    seconds = time.monotonic() - start
    runs = [run for isotherm in isotherms for run in isotherm.runs]
    found = np.array([(run.estimate.mean, run.estimate.error) for run in runs])
    known = np.concatenate(
        [
            f.uptake
            for f, made in zip(bench.frameworks, bench.made, strict=True)
            if len(made.host.voxels)
        ]
    )
    steps = int(sum(run.chain.state["n_steps"][0] for run in runs))
    return {
        **agreement(found, known),
        "frameworks": len(isotherms),
        "chains": len(runs),
        "seconds": seconds,
        "steps": steps,
        "steps_per_s": steps / seconds,
    }


def check_md(bench: Bench) -> dict:
    """Engine grid: positions after some steps, and squared displacements from other starts."""
    checks = bench.checks
    open_ones = with_channel(bench)
    worst = 0.0
    found, known = [], []
    with_few = min(100, checks.md_steps)
    states = [of_record.molecules(made, of_record.CHAIN_SIZE, SEED) for _, made in open_ones]
    moved = moved_molecules([made for _, made in open_ones], copy.deepcopy(states), with_few)
    for (_, made), state, (_, end) in zip(open_ones, states, moved, strict=True):
        frames = grid_engine.advance_state(
            made.field, state, of_record.DYNAMICS, of_record.CHAIN_SIZE, 1, with_few
        )
        worst = max(worst, float(np.abs(frames[0] - end).max()))
    states = [of_record.molecules(m, checks.md_molecules, OTHER_SEED) for _, m in open_ones]
    start = time.monotonic()
    moved = moved_molecules([made for _, made in open_ones], states, checks.md_steps)
    seconds = time.monotonic() - start
    for (framework, _), (begin, end) in zip(open_ones, moved, strict=True):
        found.append(of_record.mean_and_error(of_record.squared_displacements(begin, end)))
        known.append(framework.msd_A2)
    found = agreement(np.array(found), np.array(known))
    return {
        **found,
        "ok": found["ok"] and worst < 1e-6,
        "largest_difference_A": worst,
        "after_steps": with_few,
        "seconds": seconds,
        "molecule_steps_per_s": checks.md_steps * checks.md_molecules * len(open_ones) / seconds,
    }


def check_harmonic(bench: Bench) -> dict:
    """Engine harmonic: paths from the same starts, and diffusivities from others."""
    checks, open_ones = bench.checks, with_channel(bench)
    with kernels_for_device():
        launcher = harmonic_cuda.Device([made.landscape for _, made in open_ones])
    flights = [harmonic.Paths(made.landscape, SEED).missing(4, 0) for _, made in open_ones]
    runs = [SimpleNamespace(host=i, flight=flight) for i, flight in enumerate(flights)]
    with kernels_for_device():
        flown = launcher.fly(runs)
    differences = []
    for (_, made), flight, (paths, _) in zip(open_ones, flights, flown, strict=True):
        expected, density = np.empty_like(paths), np.empty(len(paths))
        harmonic.fly(
            made.landscape.field.potential,
            made.landscape.dynamics.integrator,
            made.landscape.coordinates,
            flight.schedule,
            flight.place,
            flight.velocity,
            flight.moment,
            expected,
            density,
        )
        # a path that meets atoms head on amplifies rounding, so that single ones may part
        differences.extend(np.abs(paths - expected).max(axis=(1, 2)))
    tasks = [_Search(made.landscape, checks) for _, made in open_ones]
    start = time.monotonic()
    with kernels_for_device():
        harmonic_cuda.run_all(tasks, cores())
    seconds = time.monotonic() - start
    found = np.array([
        (t.found.d_A2_fs, t.found.d_err_A2_fs) if t.found.diffusive else (np.nan, np.nan)
        for t in tasks
    ])  # fmt: skip
    known = np.array([framework.d_A2_fs for framework, _ in open_ones])
    parted = float(np.mean(np.array(differences) > 1e-3))
    agreed = agreement(found, known)
    return {
        **agreed,
        "ok": agreed["ok"] and parted < 0.05,
        "median_difference_A": float(np.median(differences)),
        "share_of_paths_parted": parted,
        "frameworks": len(tasks),
        "seconds": seconds,
    }


class _Search:
    """What :func:`poreflux.diffusion.harmonic_cuda.run_all` needs of a task."""

    def __init__(self, landscape, checks):
        self.landscape, self._checks = landscape, checks

    def search(self):
        checks, paths = self._checks, harmonic.Paths(self.landscape, OTHER_SEED)
        return paths, harmonic.searching(
            paths,
            target_error=checks.d_error,
            longest_ps=checks.longest_ps,
            most_starts=checks.most_starts,
        )

    def settle(self, found):
        self.found = found


def check_trainer(bench: Bench) -> dict:
    """Losses of networks trained on both sides, without dropout: no random number differs."""
    if not torch_sees_gpu():
        raise NoDevice("torch sees no GPU")
    losses = {}
    for where in ("cpu", "cuda"):
        x, y, networks, rows = training(4)
        trained, _ = train(x, y, networks, rows, 100, where)
        losses[where] = ((trained.predict(x) - y) ** 2).mean(axis=1)
    off = float(np.abs(losses["cuda"] / losses["cpu"] - 1.0).max())
    return {
        "ok": off < LOSS_TOLERANCE,
        "largest_relative_difference": off,
        "losses": [losses["cpu"].tolist(), losses["cuda"].tolist()],
    }
