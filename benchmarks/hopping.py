"""Transition-state theory against molecular dynamics, where both work.

    python benchmarks/hopping.py --dynamics benchmarks/published_diffusivities.csv \\
        --output benchmarks/hopping

Takes the diffusivities of the slower MOFs that ``published_diffusivities.py`` found by molecular
dynamics. Finished ones are kept in ``<output>.csv``; the other outputs are ``<output>.md`` and
``<output>.png``.
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

from poreflux import diffusion, stages

mpl.use("Agg")
import matplotlib.pyplot as plt

HIGHEST = 4e-9
RANGES = ((0.0, 3e-10), (3e-10, 1e-9), (1e-9, 2e-9), (2e-9, HIGHEST))


def measure(row: dict, _timestep_fs: float) -> dict:
    """One structure by transition-state theory."""
    start = time.process_time()
    found = hopping(stages.structure_of(row))
    return {
        "name": row["name"],
        "tst": found,
        "tst_cpu_s": round(time.process_time() - start, 2),
    }


def summary(t: pd.DataFrame) -> list[str]:
    """The Markdown page."""
    hops = t.dropna(subset="tst")
    log = np.log(hops["tst"] / hops["d_m2_s"])
    lines = [
        f"# Transition-state theory against dynamics, {len(t)} MOFs below {HIGHEST:g} m2/s",
        "",
        "Molecular dynamics: grid engine, 10 % error. Not given where a channel without barriers "
        f"of 2 kT runs through: {len(t) - len(hops)} of these. CPU seconds a structure: median "
        f"{t['tst_cpu_s'].median():.1f}, largest {t['tst_cpu_s'].max():.0f}.",
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
