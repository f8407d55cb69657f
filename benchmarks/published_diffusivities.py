"""Self-diffusivities of the grid engine against the published ones.

    python benchmarks/published_diffusivities.py --output benchmarks/published_diffusivities

MOFs are drawn at random from the published table. Finished ones are kept in ``<output>.csv``, from
which an interrupted run goes on.
"""

import argparse
import logging
import math
import os
import time
from pathlib import Path

import pandas as pd

from poreflux import diffusion, intake, stages
from poreflux.parallel import run_isolated
from poreflux.progress import Progress
from poreflux.store import Store

log = logging.getLogger("benchmark")

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("POREFLUX_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
TABLE = "lim-kim-2022/core2019_self_diffusivity.csv.gz"
SET = {"package": "core-mof", "archive": "2019-ASR"}
CHECKS = {"symmetry": "expand"}


def published_diffusivities() -> pd.Series:
    """The published table, m2/s by name."""
    return pd.read_csv(REFERENCE / TABLE).set_index("mof").iloc[:, 0] * 1e-8


def measure(row: dict, params: dict) -> dict:
    """One structure."""
    start = time.process_time()
    found = diffusion.simulate(stages.structure_of(row), **params)
    facts = {"name": row["name"], "atoms": row["n_atoms"]}
    return facts | vars(found) | {"cpu_s": round(time.process_time() - start, 2)}


def main() -> None:
    """Run what is missing and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=300, help="MOFs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timestep", type=float, default=2.0, help="fs")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after that")
    parser.add_argument("--output", type=Path, default=Path("published_diffusivities"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    published = published_diffusivities().sample(options.number, random_state=options.seed)
    kept = options.output.with_suffix(".csv")
    done = pd.read_csv(kept) if kept.is_file() else pd.DataFrame(columns=["name"])
    names = [name for name in published.index if name not in set(done["name"])]
    table = intake.read_structures(
        dict.fromkeys(names, ""),
        SET,
        store=Store(options.store),
        checks=CHECKS,
        workers=options.workers,
    )
    rows = table.set_index("name", drop=False).loc[names].to_dict("records") if names else []
    for row in [row for row in rows if row["status"] != "ok"]:
        log.error("%s: %s", row["name"], row["reason"])
    tasks = [
        (row, {"timestep_fs": options.timestep, "seed": 1}) for row in rows if row["status"] == "ok"
    ]
    diffusion.warm_up()
    progress = Progress(len(tasks), "structures", log)
    end = time.monotonic() + 60.0 * options.minutes
    for start in range(0, len(tasks), options.workers):
        if time.monotonic() > end:
            log.info("out of time: %d structures are left", len(tasks) - start)
            break
        batch = tasks[start : start + options.workers]
        for outcome in run_isolated(measure, batch, workers=options.workers, seconds=3600.0):
            progress.step()
            if outcome.error:
                log.error("%s: %s", batch[outcome.index][0]["name"], outcome.reason)
                continue
            added = pd.DataFrame([outcome.value])
            done = pd.concat([done, added], ignore_index=True) if len(done) else added
            done.to_csv(kept, index=False)


if __name__ == "__main__":
    main()
