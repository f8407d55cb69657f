"""Hypothetical MOFs under their published names: built, described and simulated here, against the
published tables.

    snakemake --cores 2 --configfile config/published50.yaml
    python benchmarks/published_source.py results/published50

The names are those of Lim & Kim 2022 (POREFLUX_REFERENCE_DATA). PORMAKE joins rigid blocks and
nothing is relaxed here, so a structure is not that which was published under the name; the ratio
of densities, which the published areas give away, tells how far it is. Writes a summary
(Markdown) and a table of our own numbers, one row per name.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

REFERENCE = Path(os.environ.get("POREFLUX_REFERENCE_DATA", "../shared/data")) / "lim-kim-2022"
# ours, published, what to call it
DESCRIPTORS = (
    ("lcd_A", "LCD_A", "LCD, Å"),
    ("pld_A", "PLD_A", "PLD, Å"),
    ("asa_m2_cm3", "vol_surface_area_m2_per_cm3", "surface area, m2/cm3"),
    ("asa_m2_g", "grav_surface_area_m2_per_g", "surface area, m2/g"),
    ("void_fraction", "void_fraction", "void fraction"),
    ("density_g_cm3", "density", "density, g/cm3"),
)
UPTAKE, ERROR = "uptake_cm3stp_cm3_", "uptake_err_cm3stp_cm3_"
REASONS = {
    "overlap": "atoms overlap once the blocks are in place",
    "fits its node badly": "a block fits its node badly",
    "collapsed": "the cell collapsed",
    "PORMAKE cannot assemble": "PORMAKE fails",
    "stopped after": "past the time limit",
}


def read(folder: Path) -> pd.DataFrame:
    """Every name with its outcome, descriptors and, a column per pressure, uptakes and errors."""
    structures = pd.read_parquet(folder / "structures.parquet").set_index("name")
    table = structures[["status", "reason", "n_atoms", "volume_A3", "density_g_cm3"]]
    for stage in ("geometry", "energy"):
        of = pd.read_parquet(folder / f"{stage}.parquet").query("status == 'ok'").set_index("name")
        table = table.join(of.drop(columns=["content_hash", "status", "reason"]))
    uptake = pd.read_parquet(folder / "uptake.parquet").query("status == 'ok'")
    for start in (UPTAKE, ERROR):
        wide = uptake.pivot(index="name", columns="pressure_bar", values=start[:-1])
        table = table.join(wide.rename(columns=lambda p, start=start: f"{start}{p:g}bar"))
    return table


def published() -> pd.DataFrame:
    """Descriptors and uptakes by name; the density is the ratio of the surface areas."""
    descriptors = pd.read_csv(REFERENCE / "pormake_descriptors_10bin.csv.gz", index_col=0)
    areas = [descriptors[theirs] for _, theirs, _ in DESCRIPTORS[2:4]]
    uptakes = pd.read_csv(REFERENCE / "pormake_ch4_uptake_cm3stp_per_cm3.csv.gz", index_col=0)
    return descriptors.assign(density=areas[0] / areas[1]).join(uptakes)


def against(ours: pd.Series, theirs: pd.Series, what: str) -> str:
    """One row: quartiles of both, the quartiles of their ratio, and how their ranks correlate."""
    pairs = pd.DataFrame({"ours": ours, "theirs": theirs}).dropna()
    ratio = (pairs["ours"] / pairs["theirs"]).replace([np.inf, -np.inf], np.nan).dropna()
    cells = [
        f"{low:.3g}, {middle:.3g}, {high:.3g}"
        for low, middle, high in (
            some.quantile([0.25, 0.5, 0.75]) for some in (pairs["ours"], pairs["theirs"], ratio)
        )
    ]
    rank = pairs.corr(method="spearman").iloc[0, 1]
    return f"| {what} | {len(pairs)} | {' | '.join(cells)} | {rank:.3f} |"


def outcome(table: pd.DataFrame) -> list[str]:
    """How many names became structures, and why others did not."""
    failed = table.loc[table["status"] != "ok", "reason"]
    kind = pd.Series("otherwise", index=failed.index)
    for words, name in REASONS.items():
        kind[failed.str.contains(words, regex=False)] = name
    lines = [f"| {name} | {n} |" for name, n in kind.value_counts().items()]
    built = len(table) - len(failed)
    return ["| names | |", "| --- | --- |", f"| built and checked | {built} |", *lines]


def cost(path: Path) -> list[str]:
    """CPU seconds by stage, as the study sums them up."""
    table = pd.read_parquet(path).query("set == 'source'")
    each = table["cpu_s"] / table["structures"]
    return [
        "| CPU | structures | seconds each | hours |",
        "| --- | --- | --- | --- |",
        *(
            f"| {row.stage} | {row.structures} | {mean:.2f} | {row.cpu_s / 3600.0:.2f} |"
            for row, mean in zip(table.itertuples(), each, strict=True)
        ),
    ]


def main() -> None:
    """Write the summary and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="the study's results")
    parser.add_argument("--output", type=Path, default=Path("published_source.md"))
    options = parser.parse_args()
    table = read(options.results / "source")
    ok = table[table["status"] == "ok"]
    theirs = published()
    lines = [against(ok[name], theirs[other], words) for name, other, words in DESCRIPTORS]
    pressures = [c.removeprefix(UPTAKE) for c in ok if c.startswith(UPTAKE)]
    for pressure in pressures:
        words = f"uptake at {pressure.removesuffix('bar')} bar, cm3(STP)/cm3"
        lines.append(against(ok[UPTAKE + pressure], theirs[f"uptake_{pressure}"], words))
    errors = [
        f"{(ok[ERROR + pressure] / ok[UPTAKE + pressure]).median():.2%} at {pressure}"
        for pressure in pressures
    ]
    text = [
        f"# {len(ok)} hypothetical MOFs under published names",
        "",
        *outcome(table),
        "",
        "Ours and the published structures of the same names: quartiles (25, 50, 75 %) of each and "
        "of the ratio ours to published, and the rank correlation. Rigid blocks joined, not "
        "relaxed: the published structures are denser.",
        "",
        "| quantity | names | ours | published | ratio | rank correlation |",
        "| --- | --- | --- | --- | --- | --- |",
        *lines,
        "",
        f"Standard error of an uptake, median: {', '.join(errors)}.",
        "",
        *cost(options.results / "study" / "cost.parquet"),
    ]
    options.output.write_text("\n".join(text) + "\n", encoding="utf-8")
    kept = ok.drop(columns=["status", "reason"]).dropna(axis=1, how="all")
    kept.to_csv(options.output.with_suffix(".csv"), float_format="%.5g")


if __name__ == "__main__":
    main()
