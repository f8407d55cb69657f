"""Uptakes of the grid engine against RASPA3 (raspalib): agreement, and speed at equal error.

    python benchmarks/raspa3_parity.py --output benchmarks/raspa3_parity

Every (structure, pressure) is run by both engines, one after the other in one process, pockets not
blocked; RASPA3's average is weighted by the moves of its cycles (docs/uptake.md). Finished points
are kept in ``<output>.csv``, from which an interrupted run goes on; ``--renew`` runs the grid
engine again for all of them. The other outputs are ``<output>.md`` and ``<output>.png``.
"""

import argparse
import logging
import math
import os
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from isotherms import target_structures

from poreflux import uptake
from poreflux.base.processes import run_isolated
from poreflux.base.progress import Progress
from poreflux.geometry import GeometrySettings
from poreflux.geometry import compute as geometry
from poreflux.run import stages
from poreflux.store import Store, package_version

mpl.use("Agg")
import matplotlib.pyplot as plt

log = logging.getLogger("benchmark")

PRESSURES_BAR = (0.25, 1.0, 10.0, 65.0, 100.0)
# RASPA3 is asked for about this relative standard error, within so many CPU seconds.
WANTED_ERROR, MOST_CPU_S = 0.01, 40.0
PILOT_STEPS = 60_000
CANDIDATES, MOST_ATOMS = 160, 250
# Agreement: within this share or so many standard errors.
TOLERANCE, SIGMAS = 0.015, 3.0
COLUMNS = (
    "name", "atoms", "lcd_A", "pressure_bar", "molecules",
    "grid_mol_kg", "grid_err", "grid_cpu_s", "grid_steps",
    "raspa3_mol_kg", "raspa3_err", "raspa3_cpu_s", "raspa3_steps",
)  # fmt: skip


def choose(n: int, store: Store, workers: int) -> list[dict]:
    """``n`` structures of the target list with at most 250 atoms, evenly spread in LCD."""
    rows = target_structures(CANDIDATES, store, workers)
    rows = rows[(rows["status"] == "ok") & (rows["n_atoms"] <= MOST_ATOMS)].to_dict("records")
    settings = GeometrySettings(asa_samples_per_atom=50, void_samples=500)
    for row in rows:
        row["lcd_A"] = geometry(stages.structure_of(row), settings).lcd_A
    rows.sort(key=lambda row: row["lcd_A"])
    return [rows[round(i)] for i in np.linspace(0, len(rows) - 1, n)]


def timed(structure, pressure_bar: float, **params):
    """One point, and its CPU seconds."""
    start = time.process_time()
    common = {"pressures_bar": [pressure_bar], "block_pockets": False, "seed": 1}
    found = uptake.compute(structure, uptake.UptakeSettings(**common, **params))[0]
    return found, time.process_time() - start


def ours(row: dict, pressure_bar: float) -> dict:
    """The grid engine's columns."""
    structure = stages.structure_of(row)
    uptake.warm_up()
    found, cpu_s = timed(structure, pressure_bar, target_error=0.003)
    cells = np.prod(structure.repeats(24.0))
    return {
        "name": row["name"],
        "atoms": row["n_atoms"],
        "lcd_A": round(row["lcd_A"], 3),
        "pressure_bar": pressure_bar,
        "molecules": round(found.uptake_molecules_per_cell * cells, 2),
        "grid_mol_kg": found.uptake_mol_kg,
        "grid_err": found.uptake_err_mol_kg,
        "grid_cpu_s": cpu_s,
        "grid_steps": found.n_equilibration + found.n_production,
    }


def point(row: dict, pressure_bar: float) -> dict:
    """Both engines on one structure at one pressure."""
    columns = ours(row, pressure_bar)
    structure = stages.structure_of(row)
    fill = {"engine": "raspa3", "equilibration_steps": 20_000}
    pilot, pilot_cpu = timed(
        structure, pressure_bar, production_steps=PILOT_STEPS, max_steps=PILOT_STEPS, **fill
    )
    error = pilot.uptake_err_mol_kg / pilot.uptake_mol_kg if pilot.uptake_mol_kg else math.inf
    steps = PILOT_STEPS * min(100.0, max(2.0, (error / WANTED_ERROR) ** 2))
    # the pilot's time covers its equilibration too
    rate = (pilot.n_equilibration + pilot.n_production) / pilot_cpu
    steps = int(min(steps, MOST_CPU_S * rate))
    theirs, theirs_cpu = timed(
        structure, pressure_bar, production_steps=steps, max_steps=steps, **fill
    )
    return columns | {
        "raspa3_mol_kg": theirs.uptake_mol_kg,
        "raspa3_err": theirs.uptake_err_mol_kg,
        "raspa3_cpu_s": theirs_cpu,
        "raspa3_steps": theirs.n_equilibration + theirs.n_production,
    }


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with relative deviations, their errors, agreement and speed ratios."""
    t = table.copy()
    t["deviation"] = t["grid_mol_kg"] / t["raspa3_mol_kg"] - 1.0
    t["error"] = np.hypot(t["grid_err"], t["raspa3_err"]) / t["raspa3_mol_kg"]
    t["agrees"] = (t["deviation"].abs() <= TOLERANCE) | (
        t["deviation"].abs() <= SIGMAS * t["error"]
    )
    # CPU time for the same relative error: time times error squared
    ours = t["grid_cpu_s"] * (t["grid_err"] / t["grid_mol_kg"]) ** 2
    theirs = t["raspa3_cpu_s"] * (t["raspa3_err"] / t["raspa3_mol_kg"]) ** 2
    t["speedup"] = theirs / ours
    return t


def summary(t: pd.DataFrame) -> list[str]:
    """The Markdown page."""
    sharp = t[t["error"] < 0.01]
    by_mof = np.log(t["speedup"]).groupby(t["name"]).mean()
    few = t[t["molecules"] < 100]
    rate = few["grid_steps"].sum() / few["grid_cpu_s"].sum()
    scaled = t["deviation"] / t["error"]
    bars = ", ".join(f"{p:g}" for p in PRESSURES_BAR)
    theirs = t["raspa3_steps"].sum() / t["raspa3_cpu_s"].sum()
    lines = [
        f"# Uptakes against RASPA3 (raspalib {package_version('raspalib')})",
        "",
        f"{t['name'].nunique()} structures, {len(t)} points, {bars} bar.",
        "",
        f"- Within {TOLERANCE:.1%} or {SIGMAS:g} standard errors: {t['agrees'].mean():.1%} of all "
        f"points; largest deviation where the joint standard error is below 1 % ({len(sharp)} "
        f"points): {sharp['deviation'].abs().max():.2%}.",
        f"- Mean deviation {t['deviation'].mean():+.2%}, weighted by its error "
        f"{np.average(t['deviation'], weights=1 / t['error'] ** 2):+.2%} "
        f"({(1 / t['error'] ** 2).sum() ** -0.5:.2%}); deviations over their standard errors: "
        f"mean {scaled.mean():+.2f}, root mean square {np.sqrt((scaled**2).mean()):.2f}.",
        f"- CPU time of RASPA3 over ours for the same error: geometric mean "
        f"{np.exp(by_mof.mean()):.0f}, by structure from {np.exp(by_mof.min()):.0f} to "
        f"{np.exp(by_mof.max()):.0f}.",
        f"- Ours, energy grid and all: {rate / 1e6:.1f} million steps a CPU second below 100 "
        f"molecules; RASPA3: {theirs / 1e3:.0f} thousand.",
        "",
        "| MOF | atoms | LCD, Å | bar | N | grid | RASPA3 | deviation | se | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in t.sort_values(["lcd_A", "name", "pressure_bar"]).itertuples():
        lines.append(
            f"| {r.name} | {r.atoms} | {r.lcd_A:.2f} | {r.pressure_bar:g} | {r.molecules:.0f} "
            f"| {r.grid_mol_kg:.4g} ({r.grid_err:.1g}) "
            f"| {r.raspa3_mol_kg:.4g} ({r.raspa3_err:.1g}) "
            f"| {r.deviation:+.1%} | {r.deviation / r.error:+.1f} | {r.speedup:.0f} |"
        )
    return [
        *lines,
        "",
        "se: deviation over its standard error; ratio: RASPA3's CPU time over ours.",
    ]


def plot(t: pd.DataFrame, path: Path) -> None:
    """Parity, and deviations with their error bars."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for pressure, part in t.groupby("pressure_bar"):
        left.loglog(
            part["raspa3_mol_kg"], part["grid_mol_kg"], "o", ms=4, label=f"{pressure:g} bar"
        )
        right.errorbar(
            part["raspa3_mol_kg"], 100 * part["deviation"], 100 * part["error"], fmt="o", ms=4, lw=1
        )
    ends = [t["raspa3_mol_kg"].min() / 2, t["raspa3_mol_kg"].max() * 2]
    left.plot(ends, ends, color="0.6", lw=1, zorder=0)
    left.set(xlabel="RASPA3, mol/kg", ylabel="grid engine, mol/kg")
    left.legend(frameon=False, fontsize="small")
    right.axhline(0, color="0.6", lw=1, zorder=0)
    right.set(xscale="log", xlabel="RASPA3, mol/kg", ylabel="deviation of the grid engine, %")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is missing and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=20, help="structures")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no point after that")
    parser.add_argument("--output", type=Path, default=Path("raspa3_parity"))
    parser.add_argument("--renew", action="store_true", help="the grid engine again, all points")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    kept = options.output.with_suffix(".csv")
    done = pd.read_csv(kept) if kept.is_file() else pd.DataFrame(columns=COLUMNS)
    rows = choose(options.number, Store(options.store), options.workers)
    if options.renew and len(done):
        by_name = {row["name"]: row for row in rows}
        kept_rows = done[done["name"].isin(by_name)].reset_index(drop=True)
        for i, r in kept_rows.iterrows():
            columns = ours(by_name[r["name"]], r["pressure_bar"])
            kept_rows.loc[i, list(columns)] = list(columns.values())
        done = kept_rows
        done.to_csv(kept, index=False)
    # all structures at one pressure before the next, so that an early end leaves a fair sample
    tasks = [
        (row, p)
        for p in PRESSURES_BAR
        for row in rows
        if not ((done["name"] == row["name"]) & (done["pressure_bar"] == p)).any()
    ]
    progress = Progress(len(tasks), "points", log)
    end = time.monotonic() + 60.0 * options.minutes
    for start in range(0, len(tasks), options.workers):
        if time.monotonic() > end:
            log.info("out of time: %d points are left", len(tasks) - start)
            break
        batch = tasks[start : start + options.workers]
        for outcome in run_isolated(point, batch, workers=options.workers, seconds=3600.0):
            row, pressure = batch[outcome.index]
            progress.step()
            if outcome.error:
                log.error("%s at %g bar: %s", row["name"], pressure, outcome.error)
                continue
            added = pd.DataFrame([outcome.value])
            done = pd.concat([done, added], ignore_index=True) if len(done) else added
            done.to_csv(kept, index=False)
    done = done[done["name"].isin([row["name"] for row in rows])]
    table = judged(done[(done["raspa3_mol_kg"] > 0) & (done["grid_mol_kg"] > 0)])
    options.output.with_suffix(".md").write_text("\n".join(summary(table)) + "\n", encoding="utf-8")
    plot(table, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
