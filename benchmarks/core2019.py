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
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
from published_diffusivities import SET, structures

import poreflux
from poreflux import diffusion, energy, geometry, percolation, uptake
from poreflux.base.processes import run_isolated
from poreflux.base.progress import Progress
from poreflux.base.units import GAS_CONSTANT_J_PER_MOL_K
from poreflux.data.features import DIFFUSIVITY_UNIT_M2_S, histogram_columns, select_features
from poreflux.learning.learners import get_learner
from poreflux.learning.predict import predict
from poreflux.learning.study import run_size
from poreflux.prediction import shipped
from poreflux.run import stages
from poreflux.structures import packages

log = logging.getLogger("benchmark")

ORDER_SEED, SEED = 2, 1
TEMPERATURE_K, SECOND_TEMPERATURE_K = 298.0, 400.0
PRESSURES_BAR = (1.0, 5.8, 35.0, 65.0)
# Guest and temperature of each part.
PARTS = {
    "CH4": ("CH4", TEMPERATURE_K),
    "CH4_400K": ("CH4", SECOND_TEMPERATURE_K),
    "N2": ("N2", TEMPERATURE_K),
    "Kr": ("Kr", TEMPERATURE_K),
    "Xe": ("Xe", TEMPERATURE_K),
}
# Structures read at once; written after each.
BATCH = 20
# Columns of the structure, which all guests share.
OF_THE_STRUCTURE = (
    *("content_hash", "formula", "n_atoms", "volume_A3", "density_g_cm3", "warnings"),
    *("lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction"),
)
# Of dynamics, what is kept; the landscape's columns all are, but these.
OF_DYNAMICS = ("d_m2_s", "d_err_m2_s", "diffusive", "d_1_m2_s", "d_2_m2_s", "d_3_m2_s", "time_ps")
OF_DYNAMICS_EARLY = ("d_half_ps_m2_s", "d_1_ps_m2_s", "d_2_ps_m2_s")
NOT_KEPT = ("n_grid", "n_unrefined", "n_channels")
DIGITS = 6
# Models: the learner, the share of the structures that each draw learns, how many draws.
LEARNER, SHARE, DRAWS = "gp-line+mobility", 0.8, 6
TRAINING = {"protocol": "fast", "seed": 1, "device": "cpu"}
LEAST_LABELS, FOLDS = 200, 3
VERSION, LICENCE = "0.1", "CC-BY-4.0"


def measured(row: dict, part: str) -> dict:
    """One structure in one part: columns of the stages under the names of their tables."""
    start = time.process_time()
    structure = stages.structure_of(row)
    guest, temperature_K = PARTS[part]
    settings = percolation.PercolationSettings(guest=guest, temperature_K=temperature_K)
    landscape = percolation.compute(structure, settings)
    facts = {key: row[key] for key in ("name", "content_hash", "n_atoms", "warnings")}
    facts |= vars(landscape)
    if part != "CH4" or landscape.dimensionality > 0:
        settings = diffusion.DiffusionSettings(guest=guest, temperature_K=temperature_K, seed=SEED)
        found = diffusion.compute(structure, settings)
        facts |= {f"diffusion_{key}": value for key, value in vars(found).items()}
    if part == "CH4" and landscape.dimensionality > 0:
        facts |= {key: row[key] for key in ("formula", "volume_A3", "density_g_cm3")}
        facts |= vars(geometry.compute(structure))
        shares = energy.compute(structure).columns()
        facts |= {key: value for key, value in shares.items() if key.startswith("h")}
        settings = uptake.UptakeSettings(pressures_bar=PRESSURES_BAR, seed=SEED)
        for point in uptake.compute(structure, settings):
            bar = f"{point.pressure_bar:g}bar"
            facts[f"uptake_{bar}_mol_kg"] = point.uptake_mol_kg
            facts[f"uptake_{bar}_err_mol_kg"] = point.uptake_err_mol_kg
            facts[f"uptake_{bar}_converged"] = point.converged
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
    table = None
    for part in PARTS:
        if not kept(options, part).is_file():
            continue
        found = pd.read_csv(kept(options, part)).set_index("name")
        # where the window lies at the threshold, the grids of two stages may differ: left out
        found = found[found["diffusion_dimensionality"] > 0]
        if table is None:
            shares = histogram_columns(found)
            table = found[[*OF_THE_STRUCTURE, *shares]].copy()
            table["warnings"] = table["warnings"].fillna("")
            order = found.index
        columns = {f"diffusion_{c}": f"{part}_{c}" for c in (*OF_DYNAMICS, *OF_DYNAMICS_EARLY)}
        landscape = [f.name for f in fields(percolation.Percolation) if f.name not in NOT_KEPT]
        columns |= {c: f"{part}_{c}" for c in landscape}
        columns |= {c: f"{part}_{c}" for c in found.columns if c.startswith("uptake_")}
        table = table.join(found[list(columns)].rename(columns=columns), how="left")
    table = table.loc[order]
    if "CH4_400K_d_m2_s" in table:
        table = with_activation_energy(table)
    # a structure that failed has none, and made it a float
    table["n_atoms"] = table["n_atoms"].astype(int)
    numbers = table.select_dtypes("float")
    table[numbers.columns] = numbers.map(lambda x: float(f"{x:.{DIGITS - 1}e}"))
    return table.sort_index()


def with_activation_energy(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the activation energy of CH4 between the two temperatures, and its standard error."""
    step = 1.0 / TEMPERATURE_K - 1.0 / SECOND_TEMPERATURE_K
    unit = 1e-3 * GAS_CONSTANT_J_PER_MOL_K / step
    cold, hot = table["CH4_d_m2_s"], table["CH4_400K_d_m2_s"]
    errors = table["CH4_d_err_m2_s"] / cold, table["CH4_400K_d_err_m2_s"] / hot
    both = table["CH4_diffusive"] & table["CH4_400K_diffusive"].eq(True)
    energy = (unit * np.log(hot / cold)).where(both)
    return table.assign(
        CH4_activation_energy_kJ_mol=energy,
        CH4_activation_energy_err_kJ_mol=(unit * np.hypot(*errors)).where(both),
    )


def ship(table: pd.DataFrame, drawn: int) -> None:
    """Write the data set, the models and their card into the package; of so many drawn."""
    folder = Path(str(shipped.folder()))
    table.to_parquet(folder / shipped.TABLE, compression="zstd", compression_level=19)
    models = {}
    for guest in dict.fromkeys(guest for guest, _ in PARTS.values()):
        if f"{guest}_d_m2_s" not in table:
            continue
        features = shipped.features_of(table, guest)
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
    return np.log10(d_m2_s.clip(lower=shipped.SLOWEST_M2_S) / DIFFUSIVITY_UNIT_M2_S)


# What the page says of each column, by the end of its name; the first that fits.
MEANINGS = (
    ("content_hash", "", "digest of cell and atoms; equal for equal structures under two names"),
    ("formula", "", "of the cell"),
    ("n_atoms", "", "atoms in the cell"),
    ("volume_A3", "Å3", "of the cell"),
    ("density_g_cm3", "g/cm3", "of the framework"),
    ("warnings", "", "what looks wrong in the structure (docs/structures.md)"),
    ("lcd_A", "Å", "largest cavity diameter (Zeo++'s definition, radii and high accuracy)"),
    ("pld_A", "Å", "pore limiting diameter"),
    ("asa_m2_cm3", "m2/cm3", "accessible surface, probe of 1.55 Å"),
    ("asa_m2_g", "m2/g", "the same per mass"),
    ("void_fraction", "", "accessible share of the volume, probe of 1.4 Å"),
    ("d_m2_s", "m2/s", "self-diffusivity at infinite dilution, mean of three directions"),
    ("d_err_m2_s", "m2/s", "its standard error"),
    ("diffusive", "", "whether it is a diffusivity (false: ballistic, or error above 30 %)"),
    ("d_1_m2_s", "m2/s", "largest principal value of the tensor"),
    ("d_2_m2_s", "m2/s", "the second"),
    ("d_3_m2_s", "m2/s", "the third"),
    ("time_ps", "ps", "after which D(t) is flat"),
    ("d_half_ps_m2_s", "m2/s", "estimate after 0.5 ps"),
    ("d_1_ps_m2_s", "m2/s", "after 1 ps"),
    ("d_2_ps_m2_s", "m2/s", "after 2 ps"),
    ("activation_energy_kJ_mol", "kJ/mol", "between 298 and 400 K"),
    ("activation_energy_err_kJ_mol", "kJ/mol", "its standard error"),
    ("e_perc_1_K", "K", "energy at which channels run in one direction"),
    ("e_perc_2_K", "K", "in two"),
    ("e_perc_3_K", "K", "in three"),
    ("barrier_1_K", "K", "the same above the Henry free energy"),
    ("barrier_2_K", "K", ""),
    ("barrier_3_K", "K", ""),
    ("e_min_K", "K", "lowest energy"),
    ("henry_free_energy_K", "K", "-kT ln of the mean Boltzmann factor over the cell"),
    ("e_mean_K", "K", "mean energy of an adsorbed molecule"),
    ("participation_channels", "", "share of the cell in which a molecule in the channels is"),
    ("participation_dissipation", "", "share of the cell in which a current dissipates"),
    ("participation", "", "share of the cell in which an adsorbed molecule is"),
    ("accessible_fraction", "", "share of the cell in channels"),
    ("dimensionality", "", "directions in which channels below 20 kT run through"),
    ("pocket_share", "", "share of the Henry coefficient in closed pockets"),
    ("henry_mol_kg_bar", "mol/kg/bar", "Henry coefficient"),
    ("heat_of_adsorption_kJ_mol", "kJ/mol", "at infinite dilution"),
    ("mobility", "", "of an overdamped molecule, relative to free space; mean of three directions"),
    ("mobility_1", "", "largest principal value"),
    ("mobility_2", "", "the second"),
    ("mobility_3", "", "the third"),
    ("e_mean_channels_K", "K", "mean energy in the channels"),
    ("e_mean_dissipation_K", "K", "mean energy where a current dissipates"),
    ("bar_mol_kg", "mol/kg", "uptake at that pressure (GCMC, fugacity by Peng-Robinson)"),
    ("bar_err_mol_kg", "mol/kg", "its standard error"),
    ("bar_converged", "", "whether the run reached its error"),
)


def page(table: pd.DataFrame, facts: dict) -> list[str]:
    """The data set's own README."""
    n = {part: int(table[f"{part}_d_m2_s"].notna().sum()) for part in PARTS if _is_in(part, table)}
    counts = ", ".join(f"{part.replace('_', ' at ')} {count}" for part, count in n.items())
    shares = len(histogram_columns(table))
    rows = []
    for column in table.columns:
        if column not in histogram_columns(table):
            unit, meaning = _meaning(column)
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
        "**Not for**: frameworks that move with the guest, charged or polar guests, loadings "
        "beyond a few molecules per cell.",
        "",
        "## Checks",
        "",
        "- D against long molecular dynamics, transition-state theory and 1,277 published values "
        "(Lim and Kim 2022): benchmarks/harmonic.md.",
        "- D against LAMMPS: benchmarks/lammps_parity.md.",
        "- Uptakes against RASPA3 at 100 points: benchmarks/raspa3_parity.md.",
        "- Pores against Zeo++: docs/geometry.md.",
        "",
        "## The models",
        "",
        f"`poreflux predict` answers with {DRAWS} models per guest: a line in the logarithm of "
        "the mobility and a Gaussian process on what it leaves, from pores, mobility and energies "
        "(25 features). D below "
        f"{shipped.SLOWEST_M2_S:g} m2/s counts as that. On a fifth of the structures that no "
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


def _meaning(column: str) -> tuple[str, str]:
    """Unit and meaning of a column: those of the longest ending that fits."""
    fitting = [entry for entry in MEANINGS if column.endswith(entry[0])]
    return max(fitting, key=lambda entry: len(entry[0]))[1:]


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
