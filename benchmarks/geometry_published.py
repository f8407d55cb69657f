"""Geometry of a random sample of MOFs against the published table, and against Zeo++ for time.

    python benchmarks/geometry_published.py 60 --zeopp 3 --output summary.md

Each structure is computed in a process of its own; times are CPU seconds of that process,
reading the CIF included. A CSV with every structure is written beside the summary.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from poreflux import geometry, sources
from poreflux.parallel import run_isolated
from poreflux.structure import parse_cif

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("POREFLUX_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
TABLE = "lim-kim-2022/core2019_descriptors_10bin.csv.gz"
# field, published column, tolerance, whether the tolerance is relative
CRITERIA = (
    ("lcd_A", "LCD_A", 0.01, False),
    ("pld_A", "PLD_A", 0.01, False),
    ("asa_m2_cm3", "vol_surface_area_m2_per_cm3", 0.015, True),
    ("asa_m2_g", "grav_surface_area_m2_per_g", 0.015, True),
    ("void_fraction", "void_fraction", 0.003, False),
)


def compute(data: bytes, order: str, engine: str) -> geometry.Geometry:
    """Geometry of one CIF; ``order``: 'listed' as in the file, or 'canonical'."""
    structure = parse_cif(data, min_distance_A=0)
    listed = geometry.listed_order(data, structure) if order == "listed" else None
    return geometry.compute(structure, engine=engine, order=listed)


def run(cifs: dict[str, bytes], order: str, engine: str, seconds: float) -> pd.DataFrame:
    """One row a structure: the fields of the geometry, CPU time, and the reason of failures."""
    names = list(cifs)
    tasks = [(cifs[name], order, engine) for name in names]
    rows = []
    for outcome in run_isolated(compute, tasks, seconds=seconds):
        fields = vars(outcome.value) if not outcome.error else {}
        rows.append(
            {"mof": names[outcome.index], "cpu_s": outcome.cpu_s, "reason": outcome.reason} | fields
        )
    return pd.DataFrame(rows).set_index("mof").loc[names]


def deviations(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Ours minus published, divided by published where the tolerance is relative (0/0 is 0)."""
    out = {}
    for field, column, _, relative in CRITERIA:
        difference = ours[field] - published[column]
        if relative:
            with np.errstate(divide="ignore", invalid="ignore"):
                difference = (difference / published[column]).where(difference != 0, 0.0)
        out[field] = difference
    return pd.DataFrame(out)


def summary(ours: pd.DataFrame, difference: pd.DataFrame) -> list[str]:
    """Lines of a Markdown table of agreement, and the times."""
    lines = ["| quantity | tolerance | within | median abs. | 98th percentile | largest |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for field, _, tolerance, relative in CRITERIA:
        size = difference[field].abs()
        unit = 100.0 if relative else 1.0
        sign = " %" if relative else ""
        numbers = [size.median(), size.quantile(0.98), size.max()]
        lines.append(
            f"| {field} | {tolerance * unit:g}{sign} | {(size <= tolerance).mean():.1%} | "
            + " | ".join(f"{x * unit:.5f}{sign}" for x in numbers)
            + " |"
        )
    t = ours["cpu_s"]
    lines += [
        "",
        f"CPU seconds a structure: median {t.median():.2f}, 90th percentile "
        f"{t.quantile(0.9):.2f}, 99th {t.quantile(0.99):.2f}, largest {t.max():.2f}.",
    ]
    return lines


def main() -> None:
    """Run the comparison and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", type=int, help="structures in the random sample")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--order", choices=("listed", "canonical"), default="listed")
    parser.add_argument("--zeopp", type=int, default=0, help="time Zeo++ on so many of them")
    parser.add_argument("--seconds", type=float, default=600.0, help="limit a structure")
    parser.add_argument("--output", type=Path, default=Path("geometry_published.md"))
    arguments = parser.parse_args()

    published = pd.read_csv(REFERENCE / TABLE).set_index("mof")
    published = published.sample(min(arguments.number, len(published)), random_state=arguments.seed)
    cifs = dict(sources.core_mof_cifs("2019-ASR", list(published.index)))
    cifs = {name: cifs[name] for name in published.index}
    geometry.warm_up()
    ours = run(cifs, arguments.order, "fast", arguments.seconds)
    done = ours["reason"] == ""
    difference = deviations(ours[done], published[done])

    lines = [
        f"# Geometry against the published table: {len(ours)} MOFs (seed {arguments.seed})",
        "",
        f"Order of the atoms: {arguments.order}. Versions: {geometry.engine_versions()}. "
        f"Failed: {(~done).sum()}.",
        "",
        *summary(ours[done], difference),
    ]
    if arguments.zeopp:
        some = {name: cifs[name] for name in ours.index[done][: arguments.zeopp]}
        theirs = run(some, arguments.order, "zeopp", arguments.seconds)
        lines += [
            "",
            "| MOF | fast, CPU s | Zeo++ wrapper, CPU s | ratio |",
            "| --- | --- | --- | --- |",
        ]
        for name, row in theirs.iterrows():
            fast = ours.loc[name, "cpu_s"]
            # a structure that ran into the limit took at least that long
            sign = "> " if row["reason"] else ""
            slow = row["cpu_s"]
            lines.append(f"| {name} | {fast:.2f} | {sign}{slow:.1f} | {sign}{slow / fast:.0f} |")
    arguments.output.write_text("\n".join(lines) + "\n")
    detail = ours.join(difference.add_suffix("_deviation"))
    detail.to_csv(arguments.output.with_suffix(".csv"))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
