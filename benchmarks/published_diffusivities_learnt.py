"""How well the published diffusivities can be learnt from few of them, by learner and features.

    snakemake --cores all descriptors --configfile config/core_mof.yaml
    snakemake --cores all
    python benchmarks/published_diffusivities_learnt.py --descriptors results/core_mof/asr2019 \\
        --source results/default/source

True random draws; scores are on all labelled structures outside the draw. The labels are those of
Lim & Kim 2022 (POREFLUX_REFERENCE_DATA), the descriptors ours. With ``--source``, whose uptakes are
ours too, the learners named are also transferred, on the same draws. A picture goes beside the
table: the learners of DRAWN, and the paper's own network on its test shares.
"""

import argparse
import os
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from poreflux.data.features import feature_table
from poreflux.data.labels import from_stages, uptake_at, values_of
from poreflux.learning.study import pretrain, run_size
from poreflux.report.published import R2 as PUBLISHED_R2

FILE = "lim-kim-2022/core2019_self_diffusivity.csv.gz"
DRAWN = {
    "gp+mobility": "Gaussian process, mobility on the energy landscape",
    "gp+percolation": "Gaussian process, percolation energies",
    "xgboost": "boosted trees, the published 55 features",
    "mlp": "network, the published 55 features",
}


def labels() -> pd.Series:
    """log10 of the published diffusivities, 1e-8 m2/s, by name."""
    reference = Path(os.environ.get("POREFLUX_REFERENCE_DATA", "../shared/data"))
    return np.log10(pd.read_csv(reference / FILE, index_col=0).iloc[:, 0])


def features_of(folder: Path) -> pd.DataFrame:
    """The features of a set from the folder of its tables."""
    stages = ("geometry", "energy", "percolation")
    return feature_table(*(pd.read_parquet(folder / f"{stage}.parquet") for stage in stages))


def transferred(source: Path, target: pd.DataFrame, values: pd.Series, options) -> list[str]:
    """Lines of the table of what transfer adds."""
    features = features_of(source)
    uptake = pd.read_parquet(source / "uptake.parquet")
    lines = []
    for learner in options.transferred:
        models = []
        for pressure in options.pressures_bar:
            label = uptake_at(pressure)
            model = pretrain(
                features, values_of(from_stages(label, uptake), label), label,
                learner=learner, protocol="fast", seed=1, device="cpu", scale_features=target,
            )  # fmt: skip
            models.append(model)
        for size in options.sizes:
            scores, _ = run_size(
                target, values, models, size, options.draws,
                learner=learner, protocol="fast", seed=1, device="cpu",
            )  # fmt: skip
            by = scores.set_index(["source_label", "draw"])["r2_rest"]
            for model in models:
                gain = by[model.label] - by[""]
                error = gain.std() / np.sqrt(len(gain))
                lines.append(
                    f"| {size} | {learner} | {model.pressure_bar:g} | {model.r2:.3f} "
                    f"| {by[''].median():.3f} | {by[model.label].median():.3f} "
                    f"| {gain.mean():+.4f} ({error:.4f}) | {int((gain > 0).sum())} of {len(gain)} |"
                )
                print(lines[-1], flush=True)
    n = len(features)
    return [
        "",
        "## What transfer adds",
        "",
        f"From uptakes of {n} hypothetical MOFs, our own, with the same features in source and "
        "target; the same draws. The gain is in R² outside, its mean over draws with the standard "
        "error.",
        "",
        "| size | learner | source, bar | R² of the source model | R² direct | R² with transfer "
        "| gain | draws won |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *lines,
    ]


def draw(found: pd.DataFrame, path: Path) -> None:
    """R2 outside the draw against its size: medians, quartiles."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for learner, words in DRAWN.items():
        rows = found[found["learner"] == learner].sort_values("size")
        if rows.empty:
            continue
        (line,) = axes.plot(rows["size"], rows["median"], "o-", label=words)
        axes.fill_between(
            rows["size"], rows["low"], rows["high"], alpha=0.2, color=line.get_color()
        )
    sizes = list(PUBLISHED_R2)
    for which, marker, words in ((1, "^", "with transfer"), (0, "v", "direct")):
        values = [PUBLISHED_R2[size][which] for size in sizes]
        label = f"Lim & Kim 2022, {words} (test shares)"
        axes.plot(sizes, values, marker, linestyle=":", color="0.4", label=label)
    axes.set(xlabel="Diffusivities in a draw", ylabel="R² of log10 D, MOFs outside the draw")
    axes.set(ylim=(0.0, 1.0), xticks=sizes)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 500])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument(
        "--learners",
        nargs="+",
        default=[
            "mlp", "xgboost", "xgboost+log55", "xgboost+percolation", "gp+percolation",
            "mlp+mobility", "xgboost+mobility", "gp+mobility", "ensemble+mobility",
        ],
    )  # fmt: skip
    parser.add_argument("--source", type=Path, help="folder of the tables of a source")
    parser.add_argument(
        "--transferred", nargs="+", default=["mlp", "xgboost+mobility", "gp+mobility"]
    )
    parser.add_argument("--pressures-bar", type=float, nargs="+", default=[0.25, 10.0, 100.0])
    parser.add_argument("--output", type=Path, default=Path("published_diffusivities_learnt.md"))
    options = parser.parse_args()
    features, values = features_of(options.descriptors), labels()
    lines, found = [], []
    n = 0
    for size in options.sizes:
        for learner in options.learners:
            scores, _ = run_size(
                features, values, [], size, options.draws,
                learner=learner, protocol="fast", seed=1, device="cpu",
            )  # fmt: skip
            n = size + int(scores["n_rest"].iloc[0])
            low, middle, high = scores["r2_rest"].quantile([0.25, 0.5, 0.75])
            found.append((size, learner, low, middle, high))
            lines.append(
                f"| {size} | {learner} | {middle:.3f} ({low:.3f} to {high:.3f}) "
                f"| {scores['rmse_rest'].median():.3f} | {scores['rmse_rest_slow'].median():.3f} "
                f"| {scores['r2'].median():.3f} |"
            )
            print(lines[-1], flush=True)
    reported = "; ".join(
        f"{size}: {direct:.3f} direct, {transfer:.3f} with transfer from the best source"
        for size, (direct, transfer) in PUBLISHED_R2.items()
    )
    head = [
        "# Learning the published diffusivities of CoRE MOF 2019",
        "",
        f"{n} labelled structures, {options.draws} true random draws per size, direct learning of "
        "log10 of D in 1e-8 m2/s.",
        "Medians over draws (quartiles in brackets). Outside: all labelled structures outside the "
        "draw; slow: those of them below 3e-10 m2/s.",
        f"The paper's own network, R² on its test shares: {reported}.",
        "",
        "| size | learner | R² outside | RMSE outside | of these slow | R² on the test share |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    columns = ["size", "learner", "low", "median", "high"]
    draw(pd.DataFrame(found, columns=columns), options.output.with_suffix(".png"))
    if options.source:
        lines += transferred(options.source, features, values, options)
    options.output.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
