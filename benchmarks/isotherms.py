"""Cost of isotherms with the grid engine at a given error, one process, one core.

python benchmarks/isotherms.py --output benchmarks/isotherms.md
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from poreflux import uptake
from poreflux.run import intake, members, stages
from poreflux.run.artifacts import Limits
from poreflux.store import Store

# Loadings below which the speed is stated.
FEW = 100


def target_structures(n: int, store: Store, workers: int = 1) -> pd.DataFrame:
    """The structures table of the first ``n`` names of the target list."""
    spec = {"package": "core-mof", "archive": "2019-ASR", "names": "target_core2019.txt"}
    found = members.list_members(spec | {"first": n}, Path())
    checks = {"symmetry": "expand", "min_distance_A": 0.5, "fail_on": []}
    limits = Limits(workers)
    return intake.read_structures(found, spec, store=store, checks=checks, limits=limits)


def main() -> None:
    """Run the isotherms and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=50, help="target structures")
    parser.add_argument("--errors", type=float, nargs="+", default=[0.02, 0.01])
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("isotherms.md"))
    options = parser.parse_args()
    rows = target_structures(options.number, Store(options.store))
    structures = [stages.structure_of(row) for row in rows.to_dict("records")]
    uptake.warm_up()
    lines = [
        f"# Isotherms of 12 pressures, {len(structures)} target structures "
        f"({min(s.n_atoms for s in structures)} to {max(s.n_atoms for s in structures)} atoms)",
        "",
        "CPU seconds an isotherm, energy grid included; errors are relative standard errors.",
        "",
        "| target error | median | mean | 90 % | largest | median error | 90 % of errors | met |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rates = []
    for target in options.errors:
        found = pd.DataFrame([measure(s, target) for s in structures])
        errors = np.concatenate(found.pop("errors").to_list())
        cpu = found["cpu_s"]
        lines.append(
            f"| {target:g} | {cpu.median():.2f} | {cpu.mean():.2f} | {cpu.quantile(0.9):.2f} "
            f"| {cpu.max():.1f} | {np.median(errors):.2%} | {np.quantile(errors, 0.9):.2%} "
            f"| {found['met'].sum() / found['points'].sum():.1%} |"
        )
        few = found["few_steps"].sum() / found["few_s"].sum() / 1e6
        rates.append(
            f"- At {target:g}: {found['moving_s'].sum() / cpu.sum():.0%} of the time is moves, "
            f"{found['steps'].sum() / found['moving_s'].sum() / 1e6:.1f} million a CPU second; "
            f"{few:.1f} million below {FEW} molecules (median of the structures "
            f"{found['few_rate'].median():.1f})."
        )
    lines += ["", *rates]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(structure, target_error: float) -> dict:
    """Cost and errors of one isotherm."""
    start = time.process_time()
    task = uptake.prepare(structure, uptake.UptakeSettings(target_error=target_error))
    steps = moving_s = few_steps = few_s = 0.0
    while task.isotherm and (runs := task.isotherm.waiting()):
        run = runs[0]
        wanted = run.wanted
        before = time.process_time()
        traces = run.chain.advance(wanted)
        took = time.process_time() - before
        steps, moving_s = steps + wanted, moving_s + took
        if traces[0].mean() < FEW:
            few_steps, few_s = few_steps + wanted, few_s + took
        run.add(*traces)
    points = task.points()
    cpu = time.process_time() - start
    filled = [p for p in points if p.uptake_mol_kg > 0]
    return {
        "cpu_s": cpu,
        "points": len(points),
        "met": sum(p.converged for p in points),
        "steps": steps,
        "moving_s": moving_s,
        "few_rate": few_steps / few_s / 1e6 if few_s else np.nan,
        "few_steps": few_steps,
        "few_s": few_s,
        "errors": [p.uptake_err_mol_kg / p.uptake_mol_kg for p in filled],
    }


if __name__ == "__main__":
    main()
