"""How often the true diffusivity lies in the predicted interval, on MOFs that no model has seen.

    snakemake --cores all descriptors --configfile config/core_mof.yaml
    python benchmarks/prediction_coverage.py --descriptors results/core_mof/asr2019

Some labelled structures are held out at random; models are trained on draws of the others and
predict the held out ones. Labels are those of Lim & Kim 2022 (POREFLUX_REFERENCE_DATA), descriptors
ours.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from published_diffusivities_learnt import features_of, labels

from poreflux.learning.predict import predict
from poreflux.learning.study import run_size

HELD_OUT, DRAWS = 400, 10


def one(features: pd.DataFrame, values: pd.Series, learner: str, size: int, repeat: int) -> dict:
    """Coverage and errors on one set of held-out structures."""
    order = np.random.default_rng(repeat).permutation(len(features))
    new, old = (features.iloc[rows].reset_index(drop=True) for rows in np.split(order, [HELD_OUT]))
    _, models = run_size(
        old, values, [], size, DRAWS, learner=learner, protocol="fast", seed=repeat, device="cpu"
    )
    table = predict([models], new, train_features=old).set_index("name").loc[new["name"]]
    d = 1e-8 * 10.0 ** values[new["name"]].to_numpy()
    inside = (table["d_low_m2_s"] < d) & (d < table["d_high_m2_s"])
    error = np.log10(table["d_m2_s"] / d)
    known = table["in_domain"].to_numpy(dtype=bool)
    return {
        "coverage": inside.mean(),
        "coverage_in_domain": inside[known].mean(),
        "in_domain": known.mean(),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "std": table["log10_d_std"].mean(),
        "rmse_outside": float(np.sqrt(np.square(error[~known]).mean())),
    }


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 800])
    parser.add_argument(
        "--learners", nargs="+", default=["gp+mobility", "gp+percolation", "xgboost"]
    )
    parser.add_argument("--output", type=Path, default=Path("prediction_coverage.md"))
    options = parser.parse_args()
    values = labels()
    features = features_of(options.descriptors)
    features = features[features["name"].isin(values.index)]
    features = features.sort_values("content_hash").drop_duplicates("content_hash")
    lines = []
    for learner in options.learners:
        for size in options.sizes:
            rows = [one(features, values, learner, size, r) for r in range(options.repeats)]
            t = pd.DataFrame(rows)
            lines.append(
                f"| {learner} | {size} | {100 * t['coverage'].mean():.1f} % "
                f"({100 * t['coverage'].min():.1f} to {100 * t['coverage'].max():.1f}) "
                f"| {100 * t['coverage_in_domain'].mean():.1f} % "
                f"| {100 * t['in_domain'].mean():.1f} % | {t['rmse'].mean():.3f} "
                f"| {t['rmse_outside'].mean():.3f} | {t['std'].mean():.3f} |"
            )
            print(lines[-1], flush=True)
    head = [
        "# Coverage of the predicted 90 % interval",
        "",
        f"{HELD_OUT} of {len(features)} labelled MOFs held out at random, {options.repeats} times; "
        f"{DRAWS} draws of the others are learnt directly. Means over the repeats, of the "
        "coverage also the smallest and largest; errors in decades of D.",
        "",
        "| learner | size | coverage | in the domain | share in the domain | RMSE "
        "| RMSE outside the domain | predicted deviation |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    options.output.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
