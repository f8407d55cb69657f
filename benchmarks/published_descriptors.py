"""Energy histograms and pore descriptors of MOFs against the published table.

    python benchmarks/published_descriptors.py                 # all 7,062, an hour on two cores
    python benchmarks/published_descriptors.py --number 60 --zeopp 3 --griday 20

Structures pass through the pipeline's own stages, so what is in the store already is not
computed again; times are the CPU seconds that the store keeps with each artifact. Writes a
summary (Markdown) and a CSV with every structure and its deviations.
"""

import argparse
import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

from poreflux import energy
from poreflux.base.processes import run_isolated
from poreflux.fields.forcefield import guest_parameters, mixed_parameters
from poreflux.run import intake, stages
from poreflux.run.artifacts import Limits
from poreflux.run.config import complete
from poreflux.store import Store
from poreflux.structures.cif import parse_cif

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("POREFLUX_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
TABLE = "lim-kim-2022/core2019_descriptors_10bin.csv.gz"
SET = {"package": "core-mof", "archive": "2019-ASR"}
# Of the few files with symmetry operators the published pores (Zeo++) are those of the whole cell,
# the published energies (GRIDAY) those of the listed atoms alone.
SYMMETRY = {"geometry": "expand", "energy": "as-listed"}
# field, published column, tolerance, whether the tolerance is relative
CRITERIA = (
    ("lcd_A", "LCD_A", 0.01, False),
    ("pld_A", "PLD_A", 0.01, False),
    ("asa_m2_cm3", "vol_surface_area_m2_per_cm3", 0.015, True),
    ("asa_m2_g", "grav_surface_area_m2_per_g", 0.015, True),
    ("void_fraction", "void_fraction", 0.003, False),
)
BINS = 10


def read(names: list[str], symmetry: str, store: Store, workers: int) -> pd.DataFrame:
    """The structures table of these MOFs, by name."""
    table = intake.read_structures(
        dict.fromkeys(names, ""),
        SET,
        store=store,
        checks={"symmetry": symmetry},
        limits=Limits(workers),
    )
    return table.set_index("name", drop=False).loc[names]


def through(stage: str, structures: pd.DataFrame, settings, store: Store, workers: int):
    """The table of a stage, by name, with the CPU seconds of each structure."""
    limits = Limits(workers, seconds=3600.0, memory_mb=8192.0)
    table = stages.run_stage(stage, structures, settings, store=store, limits=limits)
    table = table.set_index("name")
    ok = structures[structures["status"] == "ok"]
    table["cpu_s"] = pd.Series(
        {
            row["name"]: artifact.manifest["facts"]["cpu_s"]
            for row in ok.to_dict("records")
            if (artifact := store.get(stages.ingredients(stage, row, settings)))
        }
    )
    return table


def bin_columns(columns) -> list[str]:
    """The histogram columns of the published table, named by the energy at which a bin starts."""
    bins = [c for c in columns if c.startswith("hist_")]
    return sorted(bins, key=lambda c: float(c.split("_")[1]))


def deviations(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Ours minus published, divided by published where the tolerance is relative (0/0 is 0)."""
    out = {}
    for field, column, _, relative in CRITERIA:
        difference = ours[field] - published[column]
        if relative:
            with np.errstate(divide="ignore", invalid="ignore"):
                difference = (difference / published[column]).where(difference != 0, 0.0)
        out[f"{field}_deviation"] = difference
    shares = ours[[f"h{i:02d}" for i in range(BINS)]].to_numpy()
    theirs = published[bin_columns(published.columns)].to_numpy()
    out["histogram_deviation"] = np.abs(shares - theirs).max(axis=1)
    return pd.DataFrame(out, index=ours.index)


def agreement(difference: pd.DataFrame) -> list[str]:
    """Lines of a Markdown table: how many structures are within tolerance."""
    lines = [
        "| quantity | tolerance | within | median abs. | 98th percentile | largest |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for field, _, tolerance, relative in CRITERIA:
        size = difference[f"{field}_deviation"].abs()
        unit, sign = (100.0, " %") if relative else (1.0, "")
        numbers = [size.median(), size.quantile(0.98), size.max()]
        cells = " | ".join(f"{x * unit:.5f}{sign}" for x in numbers)
        lines.append(
            f"| {field} | {tolerance * unit:g}{sign} | {(size <= tolerance).mean():.2%} | {cells} |"
        )
    size = difference["histogram_deviation"]
    lines.append(
        f"| histogram, {BINS} bins | 1e-06 | {(size < 1e-6).mean():.2%} | {size.median():.1e} | "
        f"{size.quantile(0.98):.1e} | {size.max():.1e} |"
    )
    return lines


def cost(times: pd.Series, what: str) -> str:
    """One line on the CPU seconds of a stage."""
    return (
        f"| {what} | {len(times)} | {times.median():.4f} | {times.mean():.4f} | "
        f"{times.quantile(0.99):.3f} | {times.max():.2f} |"
    )


def explain(name: str, ours: pd.Series, published: pd.Series, cif: bytes) -> str:
    """Why a histogram differs: grid points at a bin's edge, or other atoms altogether."""
    n = int(ours["n_grid"])
    counts = np.round(ours[[f"h{i:02d}" for i in range(BINS)]].to_numpy(float) * n).astype(int)
    scaled = published[bin_columns(published.index)].to_numpy(float) * n
    if np.abs(scaled - np.round(scaled)).max() > 0.01:
        return "published shares are no multiples of 1/n_grid: another grid or cell"
    moved = int(np.abs(counts - np.round(scaled)).sum() // 2)
    if moved <= 5:
        structure = parse_cif(cif, symmetry="as-listed")
        shape = tuple(max(1, int(x + 1e-9)) for x in structure.lengths_A)
        grid = energy.lj_grid(structure, guest_parameters("CH4"), shape, 12.8)
        edges = np.arange(1, BINS) * 9000.0 / BINS - 4000.0
        nearest = np.sort(np.abs(grid.ravel()[:, None] - edges).min(axis=1))[:moved]
        off = f"{nearest.max():.2g} K"
        return f"{moved} of {n} points change bin; so many lie within {off} of a bin's edge"
    return f"{moved} of {n} points differ: other atoms than the archive's CIF holds"


# --- the reference codes -----------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def griday_grid(shape, repeats, cell, frac, four_epsilon, sigma2, cutoff):
    """GRIDAY's way: each grid point sums over all atoms of the expanded cell, nearest images."""
    nx, ny, nz = shape
    out = np.zeros(nx * ny * nz)
    for g in range(nx * ny * nz):
        i, rest = g // (ny * nz), g % (ny * nz)
        u, v, w = i / nx / repeats[0], rest // nz / ny / repeats[1], rest % nz / nz / repeats[2]
        total = 0.0
        for a in range(len(frac)):
            p, q, r = u - frac[a, 0], v - frac[a, 1], w - frac[a, 2]
            p, q, r = p - round(p), q - round(q), r - round(r)
            x = p * cell[0, 0] + q * cell[1, 0] + r * cell[2, 0]
            y = q * cell[1, 1] + r * cell[2, 1]
            z = r * cell[2, 2]
            r2 = x * x + y * y + z * z
            if r2 < cutoff * cutoff:
                s = sigma2[a] / max(r2, 1e-6)
                s = s * s * s
                total += four_epsilon[a] * s * (s - 1.0)
        out[g] = total
    return out


def time_griday(structure, cutoff_A: float = 12.8) -> tuple[float, float, float]:
    """CPU seconds of GRIDAY's algorithm and of ours, and the largest difference of a share."""
    guest = guest_parameters("CH4")
    shape = tuple(max(1, int(x + 1e-9)) for x in structure.lengths_A)
    start = time.process_time()
    repeats = structure.repeats(2 * cutoff_A)
    expanded = structure.supercell(repeats)
    epsilon, sigma = mixed_parameters(expanded, guest)
    grid = griday_grid(
        shape, repeats, expanded.cell, expanded.frac, 4 * epsilon, sigma**2, cutoff_A
    )
    counts, _ = np.histogram(np.clip(grid, -4000, 5000), bins=BINS, range=(-4000, 5000))
    theirs = time.process_time() - start
    start = time.process_time()
    ours = energy.compute(structure, energy.EnergySettings(bins=BINS))
    mine = time.process_time() - start
    return theirs, mine, float(np.abs(counts / grid.size - ours.histogram).max())


def compare_griday(structures: pd.DataFrame) -> list[str]:
    """A Markdown table of our grid against GRIDAY's algorithm in one run."""
    rows = structures.to_dict("records")
    time_griday(stages.structure_of(rows[0]))  # compiles
    ratios, worst, ours = [], 0.0, []
    for row in rows:
        theirs, mine, difference = time_griday(stages.structure_of(row))
        ratios.append(theirs / mine)
        ours.append(mine)
        worst = max(worst, difference)
    return [
        "",
        f"## Against GRIDAY's algorithm, {len(rows)} MOFs, same process",
        "",
        f"GRIDAY's algorithm takes {np.median(ratios):.1f} times as long as ours (median; "
        f"smallest {min(ratios):.1f}, largest {max(ratios):.1f}; ours "
        f"{1e3 * np.median(ours):.1f} ms). Largest difference of a share: {worst:.1e}.",
    ]


def compare_zeopp(structures: pd.DataFrame, settings, seconds: float) -> list[str]:
    """A Markdown table of CPU times of the fast engine and of Zeo++'s Python wrapper."""
    function = stages.STAGES["geometry"].module().compute
    rows = structures.to_dict("records")
    lines = [
        "",
        f"## Against Zeo++'s Python wrapper, {len(rows)} MOFs, same run",
        "",
        "| MOF | atoms | fast, CPU s | wrapper, CPU s | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    times = {}
    for engine in ("fast", "zeopp"):
        tasks = [(function, stages.structure_of(r), settings.changed(engine=engine)) for r in rows]
        for outcome in run_isolated(_call, tasks, seconds=seconds):
            # a structure that ran into the limit took at least that long
            sign = "> " if outcome.error else ""
            times[rows[outcome.index]["name"], engine] = (sign, outcome.cpu_s)
    for row in rows:
        name = row["name"]
        (_, fast), (sign, slow) = times[name, "fast"], times[name, "zeopp"]
        lines.append(
            f"| {name} | {row['n_atoms']} | {fast:.2f} | {sign}{slow:.1f} | "
            f"{sign}{slow / fast:.0f} |"
        )
    return lines


def _call(function, structure, settings):
    return function(structure, settings)


def main() -> None:
    """Run the comparison and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, help="a random sample instead of all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zeopp", type=int, default=0, help="time Zeo++'s wrapper on so many")
    parser.add_argument("--griday", type=int, default=0, help="time GRIDAY's algorithm on so many")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("published_descriptors.md"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("poreflux.run.stages").setLevel(logging.INFO)

    published = pd.read_csv(REFERENCE / TABLE).set_index("mof")
    if options.number:
        published = published.sample(options.number, random_state=options.seed)
    store = Store(options.store)
    config = complete({"energy": {"bins": BINS}})
    settings = {name: config.settings_of(name) for name in ("geometry", "energy")}

    tables, structures = {}, {}
    for stage in ("geometry", "energy"):
        structures[stage] = read(list(published.index), SYMMETRY[stage], store, options.workers)
        tables[stage] = through(stage, structures[stage], settings[stage], store, options.workers)
    geometry, histogram = tables["geometry"], tables["energy"]
    keys = ["content_hash", "status", "reason", "cpu_s"]
    ours = geometry.drop(columns=keys).join(histogram.drop(columns=keys))
    done = (geometry["status"] == "ok") & (histogram["status"] == "ok")
    ours, difference = ours[done], deviations(ours[done], published[done])

    lines = [
        f"# Descriptors of {len(published)} MOFs against the published table",
        "",
        f"Engines: {json.dumps(stages.STAGES['geometry'].engines(settings['geometry'].engine))}. "
        f"Not ok: {int((~done).sum())}.",
        "",
        *agreement(difference),
        "",
        "| CPU seconds per structure | structures | median | mean | 99th percentile | largest |",
        "| --- | --- | --- | --- | --- | --- |",
        cost(geometry.loc[done, "cpu_s"], "geometry"),
        cost(histogram.loc[done, "cpu_s"], "energy"),
    ]
    failed = geometry[~done].join(histogram["reason"].rename("energy_reason"))
    lines += [f"\nNot ok: {n}: {r.reason or r.energy_reason}" for n, r in failed.iterrows()]
    off = difference.index[difference["histogram_deviation"] >= 1e-6]
    if len(off):
        cifs = dict(intake.sources.core_mof_cifs("2019-ASR", list(off)))
        lines += ["", "## Histograms that differ", "", "| MOF | why |", "| --- | --- |"]
        lines += [f"| {n} | {explain(n, ours.loc[n], published.loc[n], cifs[n])} |" for n in off]
    some = structures["energy"][done.to_numpy()]
    if options.griday:
        lines += compare_griday(some.head(options.griday))
    if options.zeopp:
        lines += compare_zeopp(some.head(options.zeopp), settings["geometry"], 600.0)
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    detail = ours.join(difference).join(geometry["cpu_s"].rename("geometry_cpu_s"))
    detail.join(histogram["cpu_s"].rename("energy_cpu_s")).to_csv(
        options.output.with_suffix(".csv")
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
