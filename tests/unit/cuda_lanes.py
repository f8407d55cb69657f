"""Isotherms of tiny hosts, on the CPU or in numba's CUDA simulator; prints what came out.

python cuda_lanes.py cpu | cuda
"""

import json
import sys

import numpy as np

from poreflux.structures.crystal import cell_matrix
from poreflux.uptake import grid


def isotherms():
    """Two hosts: one bin in a triclinic cell, and a cell list with growing bins."""
    axis = 2.0 * np.pi * np.arange(8) / 8
    wave = np.cos(axis)[:, None, None] * np.cos(axis)[None, :, None] + np.zeros(8)
    cells = (
        (cell_matrix((25.5, 26.0, 27.0), (80.0, 85.0, 100.0)), 1500.0, (2.0, 0.5)),
        (cell_matrix((49.0, 25.0, 24.5), (90.0, 95.0, 90.0)), 900.0, (1.0, 4.0)),
    )
    found = []
    for i, (cell, depth, fugacities) in enumerate(cells):
        host = grid.prepare_host(depth * wave, cell, temperature_K=298.0)
        chain = grid.Chain(
            host, epsilon_K=148.0, sigma_A=3.73, temperature_K=298.0, cutoff_A=12.0,
            repeats=(1, 1, 1), seed=i,
        )  # fmt: skip
        chain.allocate(2)
        schedule = grid.Schedule("adaptive", 500, 1000, 6000, 0.07)
        found.append(grid.IsothermRun(chain, sorted(fugacities), schedule))
    return found


def main() -> None:
    """Run, and print estimates and the bits of the final state."""
    all_of_them = isotherms()
    if sys.argv[1] == "cpu":
        for isotherm in all_of_them:
            grid.run_all(isotherm)
    else:
        from poreflux.uptake import cuda

        # several launches a request, and chains that grow on the device
        cuda.LAUNCH_STEPS, cuda.CAPACITY = 750, 2
        cuda.run_all(all_of_them, threads=2)
    json.dump(
        [
            {
                "mean": run.estimate.mean,
                "error": run.estimate.error,
                "steps": [run.n_equilibration, run.n_production],
                "molecules": run.chain.n_molecules,
                "positions": run.chain.positions().tobytes().hex(),
                "drift_K": run.chain.energy_drift()[1],
                "random": int(run.chain.state["rng"][0]),
                "bins": len(run.chain.count),
            }
            for isotherm in all_of_them
            for run in isotherm.runs
        ],
        sys.stdout,
    )


if __name__ == "__main__":
    main()
