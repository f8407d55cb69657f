"""Engine harmonic against molecular dynamics and published values: agreement, errors, speed.

    python benchmarks/harmonic.py dynamics --output benchmarks/harmonic
    python benchmarks/harmonic.py labels --output benchmarks/harmonic
    python benchmarks/harmonic.py slow --output benchmarks/harmonic
    python benchmarks/harmonic.py far --output benchmarks/harmonic
    python benchmarks/lammps_parity.py --number 12 --output benchmarks/lammps_parity
    python benchmarks/harmonic.py lammps --output benchmarks/harmonic
    python benchmarks/harmonic.py N2 --output benchmarks/harmonic
    python benchmarks/harmonic.py O2 --output benchmarks/harmonic
    python benchmarks/harmonic.py report --output benchmarks/harmonic

``dynamics`` runs the grid engine to 8 % error on MOFs drawn at random from the published table,
``labels`` engine harmonic on all of that table, ``N2`` and ``O2`` on those of a second one.
``slow`` compares the slow ones among the labels with transition-state theory, and with dynamics at
a temperature at which they diffuse; ``far`` does so with labels far from the published values.
``lammps`` runs the MOFs that lammps_parity.py ran in LAMMPS. All keep what is finished in
``<output>_<part>.csv`` and go on from there. ``report`` writes ``<output>.md`` from what there is.
"""

import argparse
import logging
import math
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from published_diffusivities import (
    REFERENCE,
    SET,
    hopping,
    published_diffusivities,
    resumed,
    structures,
)

from poreflux import diffusion
from poreflux.base.units import BOLTZMANN_BAR_A3_PER_K, molecules_per_cell_to_mol_kg
from poreflux.fields.forcefield import guest_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.run import stages
from poreflux.structures import packages

ORDER_SEED = 2
# The range of published values, m2/s, that the MOFs for dynamics are drawn from.
LOWEST, HIGHEST = 1e-11, 1e-7
DYNAMICS = {"engine": "grid", "target_error": 0.08, "rare_events": "bound"}
HARMONIC = {"engine": "harmonic", "target_error": 0.05}
GASES = ("N2", "O2")
NITROGEN_OXYGEN = "orhan-2021/core2019_n2_o2.csv.gz"
# Beyond this deviation, in decades, a MOF is listed; published values below SLOWEST m2/s are the
# vibration in a cage as a rule.
FAR, SLOWEST = 0.5, 1e-10
# Within which Henry coefficients agree, decades.
SAME_HENRY = 0.1
DECADE = math.log(10.0)
# Slow ones: how many, and between which D; the temperatures at which dynamics is tried, the first
# at which D is above HOT_ENOUGH (m2/s).
N_SLOW, SLOW_RANGE = 12, (1e-18, 1e-11)
ROOM_K = 298.0
HOT_K, HOT_ENOUGH = (400.0, 500.0, 600.0, 800.0, 1000.0, 1400.0), 3e-10


def measured(row: dict, timestep_fs: float, params: dict) -> dict:
    """One structure, and its CPU seconds."""
    start = time.process_time()
    settings = diffusion.DiffusionSettings(timestep_fs=timestep_fs, seed=1, **params)
    structure = stages.structure_of(row)
    found = diffusion.compute(structure, settings)
    facts = {"name": row["name"], "atoms": row["n_atoms"]} | vars(found)
    if settings.guest in GASES:
        facts["henry_mol_kg_bar"] = henry(structure, settings)
    return facts | {"cpu_s": round(time.process_time() - start, 2)}


def henry(structure, settings: diffusion.DiffusionSettings) -> float:
    """Henry coefficient of the whole cell, pockets included, mol/(kg bar)."""
    shape = grid_shape(structure, settings.spacing_A)
    energy_K = lj_grid(structure, guest_parameters(settings.guest), shape, settings.cutoff_A)
    molecules = np.exp(-energy_K / settings.temperature_K).mean() * structure.volume_A3
    molecules /= BOLTZMANN_BAR_A3_PER_K * settings.temperature_K
    return molecules_per_cell_to_mol_kg(molecules, structure.mass_amu)


def where_it_diffuses(row: dict, timestep_fs: float, temperatures_K: tuple = HOT_K) -> dict:
    """Transition-state theory at 298 K, and both engines at the first temperature hot enough."""
    structure = stages.structure_of(row)
    facts = {"name": row["name"], "tst": hopping(structure)}
    for temperature_K in temperatures_K:
        params = HARMONIC | {"temperature_K": temperature_K}
        ours = measured(row, timestep_fs, params)
        if ours["d_m2_s"] > HOT_ENOUGH:
            break
    theirs = measured(row, timestep_fs, DYNAMICS | {"temperature_K": temperature_K})
    facts |= {"temperature_K": temperature_K, "diffusive_md": theirs["diffusive"]}
    for name, found in (("hot", ours), ("md", theirs)):
        facts |= {name: found["d_m2_s"], f"{name}_err": found["d_err_m2_s"]}
        facts[f"{name}_cpu_s"] = found["cpu_s"]
    return facts


PARTS = {"dynamics": DYNAMICS, "labels": HARMONIC}
PARTS |= {guest: HARMONIC | {"guest": guest} for guest in GASES}


def second_table(column: str = "d_{}_dilute_cm2_s", scale: float = 1e-4) -> pd.DataFrame:
    """D (m2/s) of N2 and O2 at infinite dilution, published, by name; or another column."""
    table = pd.read_csv(REFERENCE / NITROGEN_OXYGEN).set_index("mof")
    return pd.DataFrame({guest: scale * table[column.format(guest.lower())] for guest in GASES})


def slow_ones(ours: pd.DataFrame) -> list[str]:
    """Names of slow MOFs among the labels, evenly spread from the slowest on."""
    found = ours[ours["diffusive"] & ours["d_m2_s"].between(*SLOW_RANGE)].sort_values("d_m2_s")
    places = np.unique(np.linspace(0, len(found) - 1, min(N_SLOW, len(found))).round().astype(int))
    return list(found["name"].iloc[places])


def with_published(ours: pd.DataFrame) -> pd.DataFrame:
    """Labels with the published values (m2/s) and the log10 ratio."""
    published = published_diffusivities().rename("published")
    t = ours.merge(published, left_on="name", right_index=True)
    t["log"] = np.log10(t["d_m2_s"] / t["published"])
    return t


def far_ones(t: pd.DataFrame) -> pd.DataFrame:
    """Of :func:`with_published`: labels far from published values that are not vibration."""
    is_far = (t["published"] >= SLOWEST) & (t["log"].abs() > FAR)
    return t[t["diffusive"] & is_far].sort_values("log")


def names_of(part: str, number: int | None) -> list[str]:
    """The MOFs of a part in random order."""
    published = (
        published_diffusivities() if part in ("dynamics", "labels") else second_table()[part]
    )
    # the second table has names that the package has not
    there = published.index.isin(packages.core_mof_names(SET["archive"]))
    published = published[there].sort_index()
    drawn = published.iloc[np.random.default_rng(ORDER_SEED).permutation(len(published))]
    if part == "dynamics":
        drawn = drawn[(drawn >= LOWEST) & (drawn <= HIGHEST)]
        number = number or 300
    return list(drawn.index[:number])


def kept(options, part: str) -> Path:
    """Where what is finished of a part lies."""
    return options.output.with_name(f"{options.output.name}_{part}.csv")


def against_dynamics(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Agreement with the grid engine, error against error."""
    both = ours.merge(theirs, on="name", suffixes=("", "_md"))
    ran = both[both["diffusive_md"] & both["diffusive"]].copy()
    ran["log"] = np.log10(ran["d_m2_s"] / ran["d_m2_s_md"])
    relative = np.hypot(ran["d_err_m2_s"] / ran["d_m2_s"], ran["d_err_m2_s_md"] / ran["d_m2_s_md"])
    ran["se"] = ran["log"] * DECADE / relative
    lines = [
        f"## Against molecular dynamics, {len(ran)} MOFs",
        "",
        f"Drawn at random from the published table ({LOWEST:g} to {HIGHEST:g} m2/s there). Grid "
        f"engine, to {100 * DYNAMICS['target_error']:g} % error or the longest trajectory (30 ns): "
        "mean squared displacements, "
        f"thermostat, no use of harmonic coordinates. {len(both) - len(ran)} more were not seen to "
        "diffuse there. Both at 2 fs, so the two share forces and time step.",
        "",
        f"- log10 (ours / dynamics): mean {ran['log'].mean():+.4f} "
        f"({ran['log'].std() / math.sqrt(len(ran)):.4f}), rms {_rms(ran['log']):.3f}; from the "
        f"errors alone {_rms(relative) / DECADE:.3f}.",
        f"- Deviation over its standard error: rms {_rms(ran['se']):.2f}, largest "
        f"{ran['se'].abs().max():.1f}.",
        f"- CPU seconds per MOF: {_times(ran['cpu_s'])}; dynamics {_times(ran['cpu_s_md'])}. "
        f"At equal error dynamics takes {_cost_ratio(ran):.0f} times as long (geometric mean).",
        "",
        "| D by dynamics, m2/s | MOFs | mean log10 ratio | rms | rms of deviation / se |",
        "| --- | --- | --- | --- | --- |",
    ]
    for low, high in ((1e-12, 1e-10), (1e-10, 1e-9), (1e-9, 1e-8), (1e-8, 1e-6)):
        part = ran[(ran["d_m2_s_md"] >= low) & (ran["d_m2_s_md"] < high)]
        if len(part) > 1:
            lines.append(
                f"| {low:g} to {high:g} | {len(part)} | {part['log'].mean():+.3f} "
                f"({part['log'].std() / math.sqrt(len(part)):.3f}) | {_rms(part['log']):.3f} "
                f"| {_rms(part['se']):.2f} |"
            )
    far = ran[ran["se"].abs() > 3.0].sort_values("se")
    lines += ["", f"Beyond 3 standard errors: {len(far)}."]
    lines += [
        f"- {r.name}: ours {r.d_m2_s:.3g} ({r.d_err_m2_s:.1g}), dynamics {r.d_m2_s_md:.3g} "
        f"({r.d_err_m2_s_md:.1g}), log-log slope {r.msd_loglog_slope_md:.2f}"
        for r in far.itertuples()
    ]
    return lines


def against_published(ours: pd.DataFrame, far: pd.DataFrame) -> list[str]:
    """Agreement with the published D of CH4."""
    t = with_published(ours)
    labels = t[t["diffusive"]]
    fast = labels[labels["published"] >= SLOWEST]
    lines = [
        f"## Against the published D of CH4, {len(t)} MOFs",
        "",
        f"{len(labels)} are diffusive. CPU seconds, everything included: {_times(t['cpu_s'])}.",
        "",
        "| MOFs | number | mean log10 (ours / published) | median abs | rms | R2 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for what, part in (
        ("all diffusive", labels),
        (f"published above {SLOWEST:g} m2/s", fast),
        ("of these, within a decade", fast[fast["log"].abs() < 1.0]),
    ):
        lines.append(
            f"| {what} | {len(part)} | {part['log'].mean():+.3f} "
            f"| {part['log'].abs().median():.3f} | {_rms(part['log']):.3f} "
            f"| {r2(part['d_m2_s'], part['published']):.3f} |"
        )
    lines += [
        "",
        f"Not diffusive: {len(t) - len(labels)}. "
        + "; ".join(f"{n}: {note}" for note, n in t["note"].dropna().value_counts().items()),
        "",
        f"Published above {SLOWEST:g} m2/s, and more than {FAR:g} decades from ours, with what "
        f"others say: transition-state theory at {ROOM_K:g} K, and dynamics at the first of "
        f"{', '.join(f'{t:g}' for t in (ROOM_K, *HOT_K))} K at which D exceeds {HOT_ENOUGH:g}, to "
        f"{100 * DYNAMICS['target_error']:g} %, with our D there (< marks a bound).",
        "",
        *far_table(far_ones(t), far),
    ]
    return lines


def hot_deviation(ran: pd.DataFrame) -> pd.Series:
    """ln (ours / dynamics) where :func:`where_it_diffuses` ran both, over its standard error."""
    error = np.hypot(ran["hot_err"] / ran["hot"], ran["md_err"] / ran["md"])
    return np.log(ran["hot"] / ran["md"]) / error


def far_table(t: pd.DataFrame, checked: pd.DataFrame) -> list[str]:
    """Labels far from published values, and what theory and dynamics say of them."""
    t = t.merge(checked, on="name", how="left")
    ran = t[t["diffusive_md"] == True]  # noqa: E712, missing ones are neither
    se = hot_deviation(ran)
    lines = [
        f"Of {len(t)}, dynamics ran on {len(ran)}: log10 (ours / dynamics) mean "
        f"{np.log10(ran['hot'] / ran['md']).mean():+.3f}; over its standard error rms "
        f"{_rms(se):.2f}, largest {se.abs().max():.1f}. log10 (theory / ours) of the "
        f"{(t['d_m2_s'] < SLOWEST).sum()} below {SLOWEST:g}: median "
        f"{np.log10(t['tst'] / t['d_m2_s'])[t['d_m2_s'] < SLOWEST].median():+.2f}.",
        "",
        "| MOF | published | ours | log10 ratio | theory | K | ours there | dynamics |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in t.itertuples():
        theirs = "| | | |"
        if r.md == r.md:
            md = f"{r.md:.2g} ({r.md_err:.1g})" if r.diffusive_md else f"< {r.md:.2g}"
            theirs = f"| {r.temperature_K:g} | {r.hot:.2g} ({r.hot_err:.1g}) | {md} |"
        theory = f"{r.tst:.2g}" if r.tst == r.tst else ""
        lines.append(
            f"| {r.name} | {r.published:.2g} | {r.d_m2_s:.2g} ({r.d_err_m2_s:.1g}) | {r.log:+.2f} "
            f"| {theory} {theirs}"
        )
    return lines


def against_lammps(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Agreement with LAMMPS, whose slope of the MSD the grid engine takes on to long times."""
    t = ours.merge(theirs, on="name").sort_values("d_m2_s", ascending=False)
    t["rest"] = t["d"] / t["grid_d"]
    t["lammps"] = t["lammps_d"] * t["rest"]
    relative = {
        "harmonic": t["d_err_m2_s"] / t["d_m2_s"],
        "lammps": t["lammps_err"] / t["lammps_d"],
        "rest": np.hypot(t["d_err"] / t["d"], t["grid_err"] / t["grid_d"]),
    }
    t["lammps_se"] = t["lammps"] * np.hypot(relative["lammps"], relative["rest"])
    t["error"] = np.sqrt(sum(error**2 for error in relative.values()))
    t["ln"] = np.log(t["d_m2_s"] / t["lammps"])
    se, weight = t["ln"] / t["error"], 1.0 / t["error"] ** 2
    mean, error = np.average(t["ln"], weights=weight), weight.sum() ** -0.5
    lines = [
        f"## Against LAMMPS, {len(t)} MOFs",
        "",
        "LAMMPS: slope of the MSD between two lags over 6, by lammps_parity.py, times a factor: D "
        "at long times over that slope, both by the grid engine.",
        "",
        f"- Within 3 combined standard errors: {(se.abs() < 3.0).sum()} of {len(t)}; rms "
        f"{_rms(se):.2f}, largest {se.abs().max():.1f}.",
        f"- Mean of ln (ours / LAMMPS), weighted by its errors: {mean:+.3f} ({error:.3f}).",
        "",
        "| MOF | ours, m2/s | LAMMPS | lags, ps | factor | ln ratio | se |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r, sigmas in zip(t.itertuples(), se, strict=True):
        lines.append(
            f"| {r.name} | {r.d_m2_s:.3g} ({r.d_err_m2_s:.1g}) | {r.lammps:.3g} "
            f"({r.lammps_se:.1g}) | {r.first_ps:.3g} to {r.last_ps:.3g} | {r.rest:.2f} "
            f"| {r.ln:+.3f} ({r.error:.3f}) | {sigmas:+.1f} |"
        )
    return [*lines, ""]


def against_second_table(options) -> list[str]:
    """Agreement with the published D of N2 and O2."""
    lines = [
        "## Against the published D of N2 and O2, another source",
        "",
        "Both as single sites, without charges, nothing fitted, on MOFs drawn at random; R2 of "
        "log10 D with its standard error (bootstrap). Models learnt from 5,286 of these labels "
        "reach 0.77 (N2) and 0.78 (O2). Their force field and charges are not published; where "
        f"Henry coefficients agree to {SAME_HENRY:g} decades, so do the models, probably.",
        "",
        "| guest | MOFs | | R2 | mean log10 ratio | median abs | rms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    times = []
    for guest, theirs in second_table().items():
        if not kept(options, guest).is_file():
            continue
        t = pd.read_csv(kept(options, guest)).merge(
            theirs.rename("published"), left_on="name", right_index=True
        )
        published_henry = second_table("henry_{}_mol_kg_Pa", 1e5)[guest]
        t["henry_log"] = np.log10(t["henry_mol_kg_bar"] / t["name"].map(published_henry))
        t = t[t["diffusive"] & (t["published"] > 0.0)]
        t["log"] = np.log10(t["d_m2_s"] / t["published"])
        times.append(f"{guest} {_times(t['cpu_s'])}")
        for what, part in (
            ("all", t),
            ("within a decade", t[t["log"].abs() < 1.0]),
            ("Henry coefficients agree", t[t["henry_log"].abs() < SAME_HENRY]),
        ):
            lines.append(
                f"| {guest} | {len(part)} | {what} | "
                f"{r2(part['d_m2_s'], part['published']):.3f}({1000 * _r2_error(part):.0f}) "
                f"| {part['log'].mean():+.3f} | {part['log'].abs().median():.3f} "
                f"| {_rms(part['log']):.3f} |"
            )
    return [*lines, "", f"CPU seconds per MOF: {'; '.join(times)}."]


def _r2_error(t: pd.DataFrame, n: int = 500) -> float:
    """Standard error of R2, from MOFs drawn again."""
    rng = np.random.default_rng(0)
    ours, theirs = t["d_m2_s"].to_numpy(), t["published"].to_numpy()
    drawn = (rng.integers(0, len(t), len(t)) for _ in range(n))
    return float(np.std([r2(ours[i], theirs[i]) for i in drawn]))


def of_the_slow(ours: pd.DataFrame, t: pd.DataFrame) -> list[str]:
    """Slow MOFs against transition-state theory and hot dynamics."""
    t = t.merge(ours[["name", "d_m2_s", "d_err_m2_s", "cpu_s"]], on="name").sort_values("d_m2_s")
    ran = t[t["diffusive_md"]]
    se = hot_deviation(ran)
    tst = np.log10(t["tst"] / t["d_m2_s"])
    hot = np.log10(ran["hot"] / ran["md"])
    steps = ", ".join(f"{x:g}" for x in HOT_K)
    lines = [
        f"## Slow: {len(t)} MOFs, {t['d_m2_s'].min():.1g} to {t['d_m2_s'].max():.1g} m2/s at 298 K",
        "",
        "Transition-state theory on a grid of 0.15 Å, without transmission coefficient; dynamics "
        f"at the first of {steps} K at which D exceeds {HOT_ENOUGH:g}.",
        "",
        f"- log10 (theory / ours) at 298 K: median {tst.median():+.2f}, {tst.min():+.2f} to "
        f"{tst.max():+.2f}.",
        f"- log10 (ours / dynamics), hot: mean {hot.mean():+.3f}; over its standard error rms "
        f"{_rms(se):.2f}, largest {se.abs().max():.1f} ({len(ran)} MOFs).",
        "",
        "| MOF | ours at 298 K, m2/s | CPU, s | theory | K | ours, hot | dynamics | CPU, s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in t.itertuples():
        md = f"{r.md:.3g} ({r.md_err:.1g})" if r.diffusive_md else f"< {r.md:.2g}"
        lines.append(
            f"| {r.name} | {r.d_m2_s:.3g} ({r.d_err_m2_s:.1g}) | {r.cpu_s:.1f} | {r.tst:.2g} "
            f"| {r.temperature_K:g} | {r.hot:.3g} ({r.hot_err:.1g}) | {md} | {r.md_cpu_s:.0f} |"
        )
    return [*lines, ""]


def _rms(x) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def r2(ours, theirs) -> float:
    """1 - residual over total sum of squares of log10, nothing fitted."""
    ours, theirs = np.log10(ours), np.log10(theirs)
    return float(1.0 - ((ours - theirs) ** 2).sum() / ((theirs - theirs.mean()) ** 2).sum())


def _times(cpu_s: pd.Series) -> str:
    return (
        f"median {cpu_s.median():.2f}, mean {cpu_s.mean():.1f}, 99 % {cpu_s.quantile(0.99):.1f}, "
        f"largest {cpu_s.max():.0f}"
    )


def _cost_ratio(t: pd.DataFrame) -> float:
    """CPU of dynamics over ours for the same relative error, geometric mean."""
    ours = t["cpu_s"] * (t["d_err_m2_s"] / t["d_m2_s"]) ** 2
    theirs = t["cpu_s_md"] * (t["d_err_m2_s_md"] / t["d_m2_s_md"]) ** 2
    return float(np.exp(np.log(theirs / ours).mean()))


def summary(options) -> list[str]:
    """The Markdown page."""
    ours = pd.read_csv(kept(options, "labels"))
    theirs = pd.read_csv(kept(options, "dynamics"))
    slow_csv, lammps_csv = kept(options, "slow"), kept(options, "lammps")
    return [
        "# Engine harmonic: D from picoseconds against long dynamics and published values",
        "",
        *against_dynamics(ours, theirs),
        "",
        *(of_the_slow(ours, pd.read_csv(slow_csv)) if slow_csv.is_file() else []),
        *(
            against_lammps(pd.read_csv(lammps_csv), pd.read_csv(options.lammps))
            if lammps_csv.is_file()
            else []
        ),
        *against_published(ours, pd.read_csv(kept(options, "far"))),
        "",
        *against_second_table(options),
    ]


def main() -> None:
    """Run what is missing, or write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=(*PARTS, "slow", "far", "lammps", "report"))
    parser.add_argument(
        "--number", type=int, help="structures; default: 300 for dynamics, else all"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after that")
    parser.add_argument("--timestep-fs", type=float, default=2.0)
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument(
        "--lammps", type=Path, default=Path("lammps_parity.csv"), help="results of lammps_parity.py"
    )
    parser.add_argument("--output", type=Path, default=Path("harmonic"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.part == "report":
        page = options.output.with_suffix(".md")
        page.write_text("\n".join(summary(options)) + "\n", encoding="utf-8")
        return
    if options.part == "slow":
        names, function = slow_ones(pd.read_csv(kept(options, "labels"))), where_it_diffuses
    elif options.part == "far":
        names = list(far_ones(with_published(pd.read_csv(kept(options, "labels"))))["name"])
        function = partial(where_it_diffuses, temperatures_K=(ROOM_K, *HOT_K))
    elif options.part == "lammps":
        names = list(pd.read_csv(options.lammps)["name"])
        function = partial(measured, params=HARMONIC)
    else:
        names = names_of(options.part, options.number)
        function = partial(measured, params=PARTS[options.part])
    rows = structures(names, options)
    diffusion.warm_up()
    end = time.monotonic() + 60.0 * options.minutes
    resumed(kept(options, options.part), function, rows, options.timestep_fs, options, end)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
