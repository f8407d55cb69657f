"""Engine harmonic against molecular dynamics and the published labels: agreement, errors, speed.

    python benchmarks/harmonic.py dynamics --output benchmarks/harmonic
    python benchmarks/harmonic.py labels --output benchmarks/harmonic
    python benchmarks/harmonic.py report --output benchmarks/harmonic

``dynamics`` runs the grid engine to 5 % error on MOFs drawn at random from the published table,
``labels`` engine harmonic on all of them; both keep what is finished in ``<output>_<part>.csv``
and go on from there. ``report`` writes ``<output>.md`` and ``<output>.png``.
"""

import argparse
import logging
import math
import os
import time
from pathlib import Path

import numpy as np
from published_diffusivities import published_diffusivities, resumed, structures

from poreflux import diffusion
from poreflux.run import stages

ORDER_SEED = 2
# The range of published values, m2/s, that the MOFs for dynamics are drawn from.
LOWEST, HIGHEST = 1e-11, 1e-7
DYNAMICS = {"engine": "grid", "target_error": 0.05, "rare_events": "bound"}
HARMONIC = {"engine": "harmonic", "target_error": 0.05, "rare_events": "bound"}


def measured(row: dict, timestep_fs: float, params: dict) -> dict:
    """One structure, and its CPU seconds."""
    start = time.process_time()
    settings = diffusion.DiffusionSettings(timestep_fs=timestep_fs, seed=1, **params)
    found = diffusion.compute(stages.structure_of(row), settings)
    facts = {"name": row["name"], "atoms": row["n_atoms"]} | vars(found)
    return facts | {"cpu_s": round(time.process_time() - start, 2)}


def dynamics(row: dict, timestep_fs: float) -> dict:
    """One structure by the grid engine."""
    return measured(row, timestep_fs, DYNAMICS)


def labels(row: dict, timestep_fs: float) -> dict:
    """One structure by engine harmonic."""
    return measured(row, timestep_fs, HARMONIC)


def main() -> None:
    """Run what is missing, or write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("dynamics", "labels", "report"))
    parser.add_argument("--number", type=int, help="structures; default: 300 for dynamics, all")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after that")
    parser.add_argument("--timestep-fs", type=float, default=2.0)
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("harmonic"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    published = published_diffusivities().sort_index()
    order = np.random.default_rng(ORDER_SEED).permutation(len(published))
    names = published.index[order]
    if options.part == "dynamics":
        chosen = published.loc[names]
        names = names[(chosen >= LOWEST) & (chosen <= HIGHEST)][: options.number or 300]
    rows = structures(list(names[: options.number]), options)
    kept = options.output.with_name(f"{options.output.name}_{options.part}.csv")
    end = time.monotonic() + 60.0 * options.minutes
    function = {"dynamics": dynamics, "labels": labels}[options.part]
    resumed(kept, function, rows, options.timestep_fs, options, end)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
