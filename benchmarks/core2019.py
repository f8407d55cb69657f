"""The data set that ships with the package: the CoRE MOFs (2019, ASR) that CH4 passes through.

    python benchmarks/core2019.py CH4 --output core2019      # which are open; the rest asks this
    python benchmarks/core2019.py CH4_400K --output core2019
    python benchmarks/core2019.py N2 --output core2019       # Kr and Xe alike
    python benchmarks/core2019.py assemble --output core2019

Structures come in random order, so that whatever is finished is a fair sample. What is finished is
kept in ``<output>_<part>.csv``, from which a run that was interrupted goes on. ``assemble`` joins
the parts into the Parquet file of the package and trains the models that go with it. One core takes
about 4 s per open structure for CH4 and 2 s for each further guest or temperature.
"""

import argparse
import json
import logging
import math
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from published_diffusivities import SET, structures

import poreflux
from poreflux import diffusion, geometry, percolation, uptake
from poreflux.base.processes import run_isolated
from poreflux.base.progress import Progress
from poreflux.data.features import DIFFUSIVITY_UNIT_M2_S, histogram_columns, select_features
from poreflux.learning.learners import get_learner
from poreflux.learning.predict import predict
from poreflux.learning.study import run_size
from poreflux.prediction import description, shipped
from poreflux.prediction.description import PARTS, TEMPERATURE_K
from poreflux.run import stages
from poreflux.structures import packages

log = logging.getLogger("benchmark")

ORDER_SEED = 2
# Structures read at once; written after each.
BATCH = 20
# Models: the learner, the share of the structures that each draw learns, how many draws.
LEARNER, SHARE, DRAWS = "gp-line+mobility", 0.8, 6
TRAINING = {"protocol": "fast", "seed": 1, "device": "cpu"}
LEAST_LABELS, FOLDS = 200, 3
VERSION, LICENCE = "0.2", "CC-BY-4.0"


def measured(row: dict, part: str) -> dict:
    """One structure in one part: columns of the stages under the names of their tables."""
    start = time.process_time()
    facts = {key: row[key] for key in ("name", "content_hash", "n_atoms", "warnings")}
    facts |= description.measure(stages.structure_of(row), part)
    if part == description.FIRST and description.is_open(facts):
        facts |= {key: row[key] for key in ("formula", "volume_A3", "density_g_cm3")}
    return facts | {"cpu_s": round(time.process_time() - start, 2)}


def names_of(part: str, options) -> list[str]:
    """Structures of a part in random order; beyond the first part the open ones alone."""
    names = sorted(packages.core_mof_names(SET["archive"]))
    order = np.random.default_rng(ORDER_SEED).permutation(len(names))
    drawn = [names[i] for i in order]
    if part == "CH4":
        return drawn
    first = pd.read_csv(kept(options, "CH4"), usecols=["name", "dimensionality"])
    is_open = set(first.loc[first["dimensionality"] > 0, "name"])
    return [name for name in drawn if name in is_open]


def kept(options, part: str) -> Path:
    """Where what is finished of a part lies."""
    return options.output.with_name(f"{options.output.name}_{part}.csv")


def run(part: str, options) -> None:
    """Compute what is missing of a part, until the time is over."""
    path = kept(options, part)
    done = pd.read_csv(path) if path.is_file() else pd.DataFrame({"name": []})
    missing = [name for name in names_of(part, options) if name not in set(done["name"])]
    for module in (geometry, percolation, uptake, diffusion):
        if hasattr(module, "warm_up"):
            module.warm_up()
    end = time.monotonic() + 60.0 * options.minutes
    progress = Progress(len(missing), f"structures of {part}", log)
    for start in range(0, len(missing), BATCH):
        if time.monotonic() > end:
            return
        rows = structures(missing[start : start + BATCH], options)
        tasks = [(row, part) for row in rows]
        found = []
        for outcome in run_isolated(
            measured, tasks, workers=options.workers, seconds=1800.0, memory_mb=8192
        ):
            progress.step()
            if outcome.error:
                log.error("%s: %s", rows[outcome.index]["name"], outcome.reason)
                found.append({"name": rows[outcome.index]["name"], "reason": outcome.reason})
            else:
                found.append(outcome.value)
        # whole or not at all
        done = pd.concat([done, pd.DataFrame(found)], ignore_index=True)
        spare = path.with_suffix(".tmp")
        done.to_csv(spare, index=False)
        os.replace(spare, path)


def assemble(options) -> pd.DataFrame:
    """The data set: a row per open structure, ``<guest>_<column of the stage>`` beside geometry."""
    parts = [part for part in PARTS if kept(options, part).is_file()]
    return description.joined(
        {part: pd.read_csv(kept(options, part)).set_index("name") for part in parts}
    )


def ship(table: pd.DataFrame, drawn: int) -> None:
    """Write the data set, the models and their card into the package; of so many drawn."""
    folder = Path(str(shipped.folder()))
    table.to_parquet(folder / shipped.TABLE, compression="zstd", compression_level=19)
    models = {}
    for guest in dict.fromkeys(guest for guest, _ in PARTS.values()):
        if f"{guest}_d_m2_s" not in table:
            continue
        features = description.features_of(table, guest)
        labels = labels_of(table, guest)
        if len(labels) < LEAST_LABELS:
            continue
        size = int(SHARE * len(labels))
        _, model = run_size(features, labels, [], size, DRAWS, learner=LEARNER, **TRAINING)
        (folder / shipped.MODEL.format(guest)).write_bytes(model)
        columns = select_features(features, get_learner(LEARNER).feature_set)
        columns[columns["name"].isin(labels.index)].to_csv(
            folder / shipped.FEATURES.format(guest),
            index=False,
            compression={"method": "gzip", "mtime": 0},
        )
        models[guest] = {
            "label": f"log10 of D of {guest} at {TEMPERATURE_K:g} K, engine harmonic",
            "learner": LEARNER,
            "structures": len(labels),
            "draws": DRAWS,
            "held_out": held_out(features, labels),
        }
        log.info("%s: %s", guest, models[guest])
    facts = {
        "version": VERSION,
        "date": time.strftime("%Y-%m-%d"),
        "poreflux": poreflux.__version__,
        "licence": LICENCE,
        "drawn": drawn,
        "structures": len(table),
        "models": models,
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (folder / shipped.CARD).write_text(text, encoding="utf-8")
    (folder / shipped.README).write_text("\n".join(page(table, facts)) + "\n", encoding="utf-8")


def labels_of(table: pd.DataFrame, guest: str) -> pd.Series:
    """log10 of D in 1e-8 m2/s, where it is a diffusivity; what is closed in effect is all alike."""
    d_m2_s = table.loc[table[f"{guest}_diffusive"].eq(True), f"{guest}_d_m2_s"]
    return np.log10(d_m2_s.clip(lower=description.SLOWEST_M2_S) / DIFFUSIVITY_UNIT_M2_S)


def page(table: pd.DataFrame, facts: dict) -> list[str]:
    """The data set's own README."""
    n = {part: int(table[f"{part}_d_m2_s"].notna().sum()) for part in PARTS if _is_in(part, table)}
    counts = ", ".join(f"{part.replace('_', ' at ')} {count}" for part, count in n.items())
    shares = len(histogram_columns(table))
    rows = []
    for column in table.columns:
        if column not in histogram_columns(table):
            unit, meaning = description.meaning(column)
            rows.append(f"| `{column}` | {unit} | {meaning} |")
    models = [
        f"| {guest} | {m['structures']} | {m['held_out']['r2']:.3f} "
        f"| {m['held_out']['rmse_decades']:.2f} | {m['held_out']['median_abs_error_decades']:.2f} "
        f"| {m['held_out']['coverage_of_90_percent']:.0%} | {m['held_out']['in_domain']:.0%} |"
        for guest, m in facts["models"].items()
    ]
    return [
        "# Diffusion and adsorption in the CoRE MOFs that CH4 passes through",
        "",
        f"Version {facts['version']} of {facts['date']}, made with Poreflux {facts['poreflux']}. "
        f"{len(table)} structures of CoRE MOF 2019 (ASR, all solvent removed): of "
        f"{facts['drawn']} drawn at random from its 12,020, all through which CH4 gets at 298 K "
        "(a channel below 20 kT). "
        f"Diffusivities of {counts}.",
        "",
        "`poreflux.dataset()` gives the table, indexed by the name in CoRE MOF.",
        "",
        "## How the numbers were made",
        "",
        "One protocol for all. Rigid frameworks, UFF; guests are single Lennard-Jones sites (CH4: "
        "TraPPE), no charges; Lorentz-Berthelot, 12 Å, no shift, no tail. Self-diffusivities at "
        "infinite dilution by dynamics in harmonic coordinates to a standard error of 5 % "
        "(docs/diffusion.md); uptakes by grand canonical Monte Carlo to 1 % (docs/uptake.md); "
        "mobility and percolation energies on the same potential (docs/percolation.md). Seed 1. "
        "Numbers have 6 digits. A cell without a number was not computed, or has none.",
        "",
        "**Not for**: frameworks that move with the guest, charged or polar guests, diffusion at "
        "higher loadings.",
        "",
        "## Checks",
        "",
        "- D against long molecular dynamics, LAMMPS, transition-state theory and 1,277 published "
        "values (Lim and Kim 2022): benchmarks/harmonic.md.",
        "- Uptakes against RASPA3 at 100 points: benchmarks/raspa3_parity.md.",
        "- Pores against Zeo++: docs/geometry.md.",
        "",
        "## The models",
        "",
        f"`poreflux predict` answers with {DRAWS} models per guest: a line in the logarithm of "
        "the mobility and a Gaussian process on what it leaves, from pores, mobility and energies "
        "(25 features). D below "
        f"{description.SLOWEST_M2_S:g} m2/s counts as that. On a fifth of the structures that no "
        f"model saw, {FOLDS} times:",
        "",
        "| guest | structures | R2 of log10 D | RMSE, decades | median error, decades "
        "| in the 90 % interval | in domain |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *models,
        "",
        "## Columns",
        "",
        "`<guest>_<column>`; without a guest, of the structure.",
        "",
        "| column | unit | meaning |",
        "| --- | --- | --- |",
        *rows,
        f"| `h00` to `h{shares - 1}` | | shares of the energy histogram of CH4 (docs/energy.md) |",
        "",
        "## Licence and citation",
        "",
        f"{facts['licence']}. Structures: CoRE MOF 2019 (Chung et al., J. Chem. Eng. Data 2019, "
        "doi:10.1021/acs.jced.9b00835), CC-BY-4.0. Cite both, and the version.",
    ]


def _is_in(part: str, table: pd.DataFrame) -> bool:
    return f"{part}_d_m2_s" in table


def held_out(features: pd.DataFrame, labels: pd.Series) -> dict:
    """Errors and coverage on a fifth of the structures that no model saw, three times."""
    known = features[features["name"].isin(labels.index)].reset_index(drop=True)
    parts = []
    for fold in range(FOLDS):
        hashes = np.sort(known["content_hash"].unique())
        rest = np.random.default_rng(fold).permutation(hashes)[: len(hashes) // 5]
        inside = ~known["content_hash"].isin(rest)
        train = labels[known.loc[inside, "name"]]
        _, model = run_size(
            known, train, [], int(SHARE * len(train)), DRAWS // 2, learner=LEARNER, **TRAINING
        )
        found = predict([model], known[~inside], train_features=known[inside])
        found = found.set_index("name")
        d = DIFFUSIVITY_UNIT_M2_S * 10.0 ** labels[found.index]
        parts.append(
            pd.DataFrame(
                {
                    "error": np.log10(found["d_m2_s"] / d),
                    "d": d,
                    "covered": d.between(found["d_low_m2_s"], found["d_high_m2_s"]),
                    "in_domain": found["in_domain"],
                    "predicted": found["d_m2_s"],
                }
            )
        )
    t = pd.concat(parts)
    log_d = np.log10(t["d"])
    return {
        "structures": len(t),
        "r2": round(1.0 - float((t["error"] ** 2).mean() / log_d.var(ddof=0)), 3),
        "rmse_decades": round(float(np.sqrt((t["error"] ** 2).mean())), 3),
        "median_abs_error_decades": round(float(t["error"].abs().median()), 3),
        "coverage_of_90_percent": round(float(t["covered"].mean()), 3),
        "in_domain": round(float(t["in_domain"].mean()), 3),
    }


def main() -> None:
    """Run what is missing of a part, or assemble the data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=(*PARTS, "assemble"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after that")
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("core2019"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.part != "assemble":
        run(options.part, options)
        return
    drawn = len(pd.read_csv(kept(options, "CH4"), usecols=["name"]))
    ship(assemble(options), drawn)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
