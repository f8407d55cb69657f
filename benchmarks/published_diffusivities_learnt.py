"""How well the published diffusivities can be learnt from few of them, by learner and features.

    snakemake --cores all descriptors --configfile config/core_mof.yaml
    python benchmarks/published_diffusivities_learnt.py --descriptors results/core_mof/asr2019

Direct learning on true random draws; scores are on all labelled structures outside the draw. The
labels are those of Lim & Kim 2022 (POREFLUX_REFERENCE_DATA), the descriptors ours.
"""

import argparse
import os
from pathlib import Path

import pandas as pd

from poreflux.features import DIFFUSIVITY_UNIT_M2_S, feature_table
from poreflux.learning.study import run_size

# What the paper reports of its network, on the test shares of its draws.
PUBLISHED = {100: (0.146, 0.175), 300: (0.406, 0.507), 500: (0.491, 0.568)}
FILE = "lim-kim-2022/core2019_self_diffusivity.csv.gz"


def labels(reference: Path) -> pd.DataFrame:
    """The published diffusivities as a table of stage diffusion."""
    table = pd.read_csv(reference / FILE)
    table.columns = ["name", "d_m2_s"]
    table["d_m2_s"] *= DIFFUSIVITY_UNIT_M2_S
    return table.assign(status="ok", diffusive=True)


def main() -> None:
    """Train and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 500])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument(
        "--learners",
        nargs="+",
        default=["mlp", "xgboost", "xgboost+log55", "xgboost+percolation", "gp+percolation"],
    )
    parser.add_argument("--output", type=Path, default=Path("published_diffusivities_learnt.md"))
    options = parser.parse_args()
    tables = [
        pd.read_parquet(options.descriptors / f"{stage}.parquet")
        for stage in ("geometry", "energy", "percolation")
    ]
    features = feature_table(*tables)
    diffusion = labels(Path(os.environ.get("POREFLUX_REFERENCE_DATA", "../shared/data")))
    lines = []
    n = 0
    for size in options.sizes:
        for learner in options.learners:
            scores, _ = run_size(
                features, diffusion, [], size, options.draws,
                learner=learner, protocol="fast", seed=1, device="cpu",
            )  # fmt: skip
            n = size + int(scores["n_rest"].iloc[0])
            low, middle, high = scores["r2_rest"].quantile([0.25, 0.5, 0.75])
            lines.append(
                f"| {size} | {learner} | {middle:.3f} ({low:.3f} to {high:.3f}) "
                f"| {scores['rmse_rest'].median():.3f} | {scores['rmse_rest_slow'].median():.3f} "
                f"| {scores['r2'].median():.3f} |"
            )
            print(lines[-1], flush=True)
    reported = "; ".join(
        f"{size}: {direct:.3f} direct, {transfer:.3f} with transfer from the best source"
        for size, (direct, transfer) in PUBLISHED.items()
    )
    head = [
        "# Learning the published diffusivities of CoRE MOF 2019",
        "",
        f"{n} labelled structures, {options.draws} true random draws a size, direct learning of "
        "log10 of D in 1e-8 m2/s.",
        "Medians over draws (quartiles in brackets). Outside: all labelled structures outside the "
        "draw; slow: those of them below 3e-10 m2/s.",
        f"The paper's own network, R² on its test shares: {reported}.",
        "",
        "| size | learner | R² outside | RMSE outside | of these slow | R² on the test share |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    options.output.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
