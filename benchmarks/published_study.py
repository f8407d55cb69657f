"""Tables of the study on published descriptors and labels, by protocol.

    snakemake --cores 2 study --configfile config/published.yaml
    snakemake --cores 2 study --configfile config/published.yaml --config study=released \\
        'learning={protocol: released, learners: [mlp], source_labels: [uptake], sizes: [300],
                   source_pressures_bar: [0.25, 100]}'
    snakemake --cores 2 study --configfile config/published50.yaml --config \\
        'structures={source: {stages: [geometry, energy, uptake]}}' \\
        'uptake={pressures_bar: [0.25, 100]}' \\
        'learning={learners: [mlp, xgboost], source_pressures_bar: [0.25, 100]}'
    snakemake --cores 2 study --configfile config/published50.yaml --config study=released50 \\
        'structures={source: {stages: [geometry, energy, uptake]}}' \\
        'uptake={pressures_bar: [100]}' \\
        'learning={protocol: released, learners: [mlp], sizes: [300],
                   source_pressures_bar: [100]}'
    python benchmarks/published_study.py results/published results/released \\
        results/published50 results/released50

Of each study: source models, direct and transfer learning on the same draws, and how well the
distance of importances orders the sources by what they gain.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import permutation_test

from poreflux.learning.importance import distances
from poreflux.report.statistics import rank_correlation

PAIR = ["learner", "size", "draw"]


def source_models(folder: Path) -> list[str]:
    """R2 on the test share by source label, a column per learner."""
    paths = sorted((folder / "study/pretraining").glob("*.parquet"))
    table = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    labels = list(dict.fromkeys(table["source_label"]))
    learners = list(dict.fromkeys(table["learner"]))
    r2 = table.pivot(index="source_label", columns="learner", values="r2").loc[labels]
    n = table["n"].iloc[0]
    return [
        f"Source models, {n} structures, 72:8:20, R² on the test share:",
        "",
        f"| label | {' | '.join(learners)} |",
        "| --- |" + " --- |" * len(learners),
        *(
            f"| {label} | {' | '.join(f'{r2.loc[label, k]:.3f}' for k in learners)} |"
            for label in labels
        ),
        "",
    ]


def transfer(folder: Path) -> list[str]:
    """Medians of direct and transfer learning, and gains with their standard errors."""
    table = pd.read_parquet(folder / "study/scores.parquet")
    lines = [
        f"Medians over {table['draw'].nunique()} draws (quartiles), R² on the draw's test share "
        "and on all labelled structures outside the draw; slow: RMSE of those of them below "
        "3e-10 m2/s. Gain: mean over draws of the difference to direct learning on the same draw "
        "(standard error).",
        "",
        "| learner | size | source | R² | R² outside | RMSE slow | gain in R² | gain outside "
        "| draws won |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    direct = table[table["kind"] == "dl"].set_index(PAIR)
    for (learner, size), rows in table.groupby(["learner", "size"], sort=False):
        for label, some in rows.groupby("source_label", sort=False):
            low, middle, high = some["r2"].quantile([0.25, 0.5, 0.75])
            line = (
                f"| {learner} | {size} | {label or 'direct'} "
                f"| {middle:.3f} ({low:.3f} to {high:.3f}) "
                f"| {some['r2_rest'].median():.3f} | {some['rmse_rest_slow'].median():.3f} "
            )
            if label:
                paired = some.set_index(PAIR)
                gains = [paired[c] - direct.loc[paired.index, c] for c in ("r2", "r2_rest")]
                line += "".join(
                    f"| {g.mean():+.3f} ({g.std() / np.sqrt(len(g)):.3f}) " for g in gains
                )
                line += f"| {(gains[0] > 0).sum()} of {len(some)} |"
            else:
                line += "| | | |"
            lines.append(line)
    return [*lines, ""]


def advisor(folder: Path) -> list[str]:
    """Distances of importances beside gains, and their rank correlation."""
    importance = pd.read_parquet(folder / "study/importance.parquet")
    scores = pd.read_parquet(folder / "study/scores.parquet")
    learner = scores["learner"].iloc[0]
    near = distances(importance).set_index("source_label")
    lines = []
    for size, rows in scores[scores["learner"] == learner].groupby("size"):
        direct = rows[rows["kind"] == "dl"].set_index("draw")["r2_rest"]
        gains = {
            label: (some.set_index("draw")["r2_rest"] - direct).median()
            for label, some in rows[rows["kind"] == "tl"].groupby("source_label")
            if label in near.index
        }
        gain = pd.Series(gains).loc[near.index.intersection(gains.keys())]
        if len(gain) < 3:
            continue
        distance = near.loc[gain.index, "distance"]
        found = permutation_test(
            (distance,), lambda d, gain=gain: rank_correlation(d, gain), n_resamples=9999,
            permutation_type="pairings", alternative="less", random_state=0,
        )  # fmt: skip
        best, advised = gain.idxmax(), distance.idxmin()
        lines.append(
            f"| {size} | {found.statistic:+.2f} | {found.pvalue:.3f} "
            f"| {advised}: {gain[advised]:+.3f} | {best}: {gain[best]:+.3f} "
            f"| {gain.median():+.3f} |"
        )
    if not lines:
        return []
    return [
        f"Source advisor ({learner}): rank correlation of the distance of importances with the "
        "median gain outside the draw, over the sources (negative: nearer sources gain more), and "
        "the probability of one so low by chance.",
        "",
        "| size | correlation | p | advised source, its gain | best source, its gain "
        "| median source |",
        "| --- | --- | --- | --- | --- | --- |",
        *lines,
        "",
    ]


def main() -> None:
    """Write the tables of the studies named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path, nargs="+", help="folders of results")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/published_study.md"))
    options = parser.parse_args()
    lines = ["# The study on the published tables", ""]
    for folder in options.studies:
        lines += [f"## {folder.name}", ""]
        lines += [*source_models(folder), *transfer(folder), *advisor(folder)]
    options.output.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
