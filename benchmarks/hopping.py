"""Transition-state theory against molecular dynamics, where both work.

    python benchmarks/hopping.py --dynamics benchmarks/published_diffusivities.csv \\
        --output benchmarks/hopping

Takes the diffusivities of the slower MOFs that ``published_diffusivities.py`` found by molecular
dynamics. How deep a basin must be is chosen on one half of them, and how well that does is told
from the other half. Finished ones are kept in ``<output>.csv`` and ``<output>_depths.csv``; the
other outputs are ``<output>.md`` and ``<output>.png``.
"""

import argparse
import logging
import math
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from published_diffusivities import hopping, resumed, structures

from poreflux import diffusion
from poreflux.diffusion.hopping import SHALLOW_KT
from poreflux.run import stages

mpl.use("Agg")
import matplotlib.pyplot as plt

HIGHEST = 4e-9
# Where the estimate is of use, and the depths tried there (kT).
USEFUL = 1e-9
DEPTHS_KT = (1.0, 2.0, 3.0, 4.0)
SPLIT_SEED = 1
RANGES = ((0.0, 3e-10), (3e-10, 1e-9), (1e-9, 2e-9), (2e-9, HIGHEST))


def measure(row: dict, _timestep_fs: float) -> dict:
    """One structure by transition-state theory."""
    start = time.process_time()
    structure = stages.structure_of(row)
    found = {"name": row["name"], "tst": hopping(structure)}
    found["tst_cpu_s"] = round(time.process_time() - start, 2)
    return found


def measure_depths(row: dict, _timestep_fs: float) -> dict:
    """One structure by transition-state theory, with basins of several depths."""
    structure = stages.structure_of(row)
    found = {depth_column(depth): hopping(structure, depth) for depth in DEPTHS_KT}
    return {"name": row["name"]} | found


def depth_column(depth_kT: float) -> str:
    """The column of estimates with basins of this depth."""
    return f"tst_{depth_kT:g}kT"


def choice(t: pd.DataFrame) -> list[str]:
    """The depth chosen on one half of the slow MOFs, and what it does on the other."""
    slow = t[t["d_m2_s"] < USEFUL].sort_values("name")
    half = np.random.default_rng(SPLIT_SEED).permutation(len(slow)) % 2 == 0
    lines = [
        "",
        "## How deep a basin must be",
        "",
        f"The {len(slow)} MOFs below {USEFUL:g} m2/s in two halves, drawn at random. rms of ln "
        "(transition-state theory / dynamics), geometric mean of the ratio, and MOFs with a value:",
        "",
        "| depth, kT | half one | half two |",
        "| --- | --- | --- |",
    ]
    rms = {}
    for depth in DEPTHS_KT:
        cells = []
        for number, part in enumerate((slow[half], slow[~half])):
            x = np.log(part[depth_column(depth)] / part["d_m2_s"]).dropna()
            rms[depth, number] = math.sqrt((x**2).mean())
            cells.append(f"{rms[depth, number]:.2f}, {math.exp(x.mean()):.2f}, {len(x)}")
        lines.append(f"| {depth:g} | {' | '.join(cells)} |")
    best = [min(DEPTHS_KT, key=lambda depth: rms[depth, number]) for number in (0, 1)]
    lines += [
        "",
        f"Chosen on half one: {best[0]:g} kT, which gives {rms[best[0], 1]:.2f} on half two. "
        f"Chosen on half two: {best[1]:g} kT, which gives {rms[best[1], 0]:.2f} on half one. "
        f"In use: {SHALLOW_KT:g} kT.",
    ]
    return lines


def summary(t: pd.DataFrame) -> list[str]:
    """The Markdown page."""
    hops = t.dropna(subset="tst")
    log = np.log(hops["tst"] / hops["d_m2_s"])
    lines = [
        f"# Transition-state theory against dynamics, {len(t)} MOFs below {HIGHEST:g} m2/s",
        "",
        "Molecular dynamics: grid engine, 10 % error. Not given where a channel without barriers "
        f"of {SHALLOW_KT:g} kT runs through: {len(t) - len(hops)} of these. CPU seconds a "
        f"structure: median {t['tst_cpu_s'].median():.1f}, largest {t['tst_cpu_s'].max():.0f}.",
        "",
        "| D by dynamics, m2/s | MOFs | geometric mean of the ratio | rms ln ratio | within 30 % "
        "| lowest | highest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for low, high in RANGES:
        chosen = (hops["d_m2_s"] >= low) & (hops["d_m2_s"] < high)
        x = log[chosen]
        if len(x):
            near = (x.abs() < math.log(1.3)).mean()
            lines.append(
                f"| {low:g} to {high:g} | {len(x)} | {math.exp(x.mean()):.2f} "
                f"| {math.sqrt((x**2).mean()):.2f} | {near:.0%} | {math.exp(x.min()):.2f} "
                f"| {math.exp(x.max()):.2f} |"
            )
    lines += choice(t)
    lines += [
        "",
        "| MOF | dynamics, m2/s | log-log slope | transition-state theory, m2/s | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r in t.sort_values("d_m2_s").itertuples():
        tst, ratio = ("none", "") if r.tst != r.tst else (f"{r.tst:.3g}", f"{r.tst / r.d_m2_s:.2f}")
        lines.append(
            f"| {r.name} | {r.d_m2_s:.3g} ({r.d_err_m2_s:.1g}) | {r.msd_loglog_slope:.2f} "
            f"| {tst} | {ratio} |"
        )
    return lines


def main() -> None:
    """Run what is missing and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dynamics", type=Path, default=Path("published_diffusivities.csv"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("hopping"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    dynamics = pd.read_csv(options.dynamics)
    dynamics = dynamics[dynamics["diffusive"] & (dynamics["d_m2_s"] < HIGHEST)]
    rows = structures(list(dynamics["name"]), options)
    diffusion.warm_up()
    kept = options.output.with_suffix(".csv")
    found = resumed(kept, measure, rows, 0.0, options, math.inf)
    t = dynamics.merge(found, on="name")
    kept = options.output.with_name(options.output.name + "_depths.csv")
    slow = set(dynamics["name"][dynamics["d_m2_s"] < USEFUL])
    rows = [row for row in rows if row["name"] in slow]
    depths = resumed(kept, measure_depths, rows, 0.0, options, math.inf)
    t = t.merge(depths, on="name", how="left")
    options.output.with_suffix(".md").write_text("\n".join(summary(t)) + "\n", encoding="utf-8")
    figure, axes = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
    axes.errorbar(t["d_m2_s"], t["tst"], xerr=t["d_err_m2_s"], fmt="o", ms=3, lw=0.8)
    ends = [t["d_m2_s"].min() / 2, HIGHEST]
    axes.plot(ends, ends, color="0.6", lw=1, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="molecular dynamics, m²/s")
    axes.set_ylabel("transition-state theory, m²/s")
    figure.savefig(options.output.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
