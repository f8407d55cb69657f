"""What fifty splits of the same 300 MOFs say of transfer learning, against fifty random draws.

    snakemake --cores 2 study --configfile config/published.yaml
    python benchmarks/same_members.py --study results/published

The code released with Lim & Kim 2022 draws its 300 MOFs once and splits them anew fifty times; the
text draws them anew each time. Here both are done many times over, each time with another seed:
direct learning against transfer from the uptake at 100 bar, network, our `fast` protocol.
"""

import argparse
from pathlib import Path

import pandas as pd

from poreflux.data.labels import DIFFUSIVITY, uptake_at, values_of
from poreflux.learning.study import run_size
from poreflux.learning.trained import Pretrained

# Lim & Kim 2022: medians over the 50 sets of 300, and those in which transfer is better.
PUBLISHED = {"direct": 0.406, "transfer": 0.507, "won": 37}


def summary(scores: pd.DataFrame) -> dict[str, float]:
    """Medians of R2 over the draws, direct and transferred, and the draws that transfer wins."""
    by = scores.pivot(index="draw", columns="kind", values=["r2", "r2_rest"])
    return {
        "direct": by["r2", "dl"].median(),
        "transfer": by["r2", "tl"].median(),
        "won": int((by["r2", "tl"] > by["r2", "dl"]).sum()),
        "gain_rest": (by["r2_rest", "tl"] - by["r2_rest", "dl"]).mean(),
    }


def runs(options) -> pd.DataFrame:
    """A row per seed and way of drawing."""
    target = pd.read_parquet(options.study / "target/features.parquet")
    values = values_of(pd.read_parquet(options.study / "target/labels.parquet"), DIFFUSIVITY)
    model = f"study/models/mlp-source-{uptake_at(options.pressure_bar)}.npz"
    source = Pretrained.from_bytes((options.study / model).read_bytes())
    rows = []
    for seed in range(1, options.seeds + 1):
        for same in (True, False):
            scores, _ = run_size(
                target, values, [source], options.size, options.draws,
                protocol="fast", seed=seed, device="cpu", same_members=same,
            )  # fmt: skip
            rows.append({"seed": seed, "same": same, **summary(scores)})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def report(table: pd.DataFrame, options) -> str:
    """The table as Markdown: each run, and how far the runs of a kind scatter."""
    table = table.assign(difference=table["transfer"] - table["direct"])
    n, size = options.draws, options.size
    lines = [
        "# Fifty splits of the same MOFs, and fifty random draws",
        "",
        f"Published tables (10 bins), network, `fast`, {n} sets of {size} a run; medians of R² on "
        f"the test shares, directly and from {options.pressure_bar:g} bar. Same: one draw, split "
        f"{n} times, as the released code does; random: {n} draws, as the text says. Each run has "
        "a seed of its own. Outside: mean gain in R² on all labelled MOFs outside the draw.",
        "",
        "| sets | runs | direct | transfer | transfer - direct | draws won | outside |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for same, some in table.groupby("same", sort=False):
        cells = [
            f"{some[c].median():.{d}f} ({some[c].min():.{d}f} to {some[c].max():.{d}f})"
            for c, d in (
                ("direct", 3), ("transfer", 3), ("difference", 3), ("won", 0), ("gain_rest", 3)
            )
        ]  # fmt: skip
        lines.append(f"| {'same' if same else 'random'} | {len(some)} | {' | '.join(cells)} |")
    lines += [
        f"| Lim & Kim 2022 | 1 | {PUBLISHED['direct']} | {PUBLISHED['transfer']} "
        f"| {PUBLISHED['transfer'] - PUBLISHED['direct']:.3f} | {PUBLISHED['won']} | |",
        "",
        "Medians over the runs, and their range. All runs:",
        "",
        "| seed | sets | direct | transfer | transfer - direct | draws won | outside |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {run.seed} | {'same' if run.same else 'random'} | {run.direct:.3f} "
        f"| {run.transfer:.3f} | {run.difference:+.3f} | {run.won} of {n} "
        f"| {run.gain_rest:+.3f} |"
        for run in table.itertuples()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of results")
    parser.add_argument("--seeds", type=int, default=10, help="runs of either kind")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--pressure-bar", type=float, default=100.0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/same_members.md"))
    options = parser.parse_args()
    options.output.write_text(report(runs(options), options), encoding="utf-8")


if __name__ == "__main__":
    main()
