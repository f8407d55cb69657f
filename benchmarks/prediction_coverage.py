"""How often the true diffusivity lies in the predicted interval, on MOFs that no model has seen.

    snakemake --cores all descriptors --configfile config/core_mof.yaml
    python benchmarks/prediction_coverage.py --descriptors results/core_mof/asr2019
    python benchmarks/prediction_coverage.py --labelled 30 --splits random grouped --append \
        --learners mlp xgboost gp-line+mobility --draws 20 --repeats 20
    python benchmarks/sources.py descriptors --work work
    python benchmarks/prediction_coverage.py --labelled 30 --splits random grouped --append \
        --descriptors work/target --labels harmonic_labels.csv \
        --learners mlp xgboost gp-line+mobility-no-barriers --draws 20 --repeats 20

Some labelled structures are held out; models are trained on draws of the others, or of a few of
them that alone are labelled, and predict those held out. Descriptors are ours; labels are those of
Lim & Kim 2022 (POREFLUX_REFERENCE_DATA), ours of the same structures (benchmarks/harmonic.py) or,
without --descriptors, the data set that ships. With grouped splits near duplicates are in one part
of a draw, and none of a structure that is held out is labelled.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from core2019 import labels_of
from published_diffusivities import structures
from published_diffusivities_learnt import features_of, labels

import poreflux
from poreflux.learning.predict import predict
from poreflux.learning.splits import group_numbers
from poreflux.learning.study import run_size
from poreflux.prediction import description
from poreflux.run.artifacts import Limits
from poreflux.run.duplicates import group_table
from poreflux.store import Store

HELD_OUT = 400
GROUPED = "grouped"


def data(options) -> tuple[pd.DataFrame, pd.Series]:
    """Features, each structure once, and log10 of D in 1e-8 m2/s by name."""
    if options.descriptors:
        features = features_of(options.descriptors)
        values = own_labels(options.labels) if options.labels else labels()
    else:
        table = poreflux.dataset()
        features, values = description.features_of(table, "CH4"), labels_of(table, "CH4")
    features = features[features["name"].isin(values.index)]
    return features.sort_values("content_hash").drop_duplicates("content_hash"), values


def own_labels(path: Path) -> pd.Series:
    """log10 of our own diffusivities, 1e-8 m2/s, by name."""
    table = pd.read_csv(path).set_index("name")
    return np.log10(table.loc[table["diffusive"], "d_m2_s"] / 1e-8)


def near_duplicates(names: list[str], options) -> dict[str, int]:
    """Groups of structures of one framework, by content hash."""
    rows = pd.DataFrame(structures(names, SimpleNamespace(store=options.store, workers=1)))
    table = group_table(rows, store=Store(options.store), limits=Limits(1))
    return dict(zip(table["content_hash"], table["group"], strict=True))


def dealt(features: pd.DataFrame, groups: dict[str, int] | None, repeat: int, labelled: int | None):
    """Held out structures and labelled ones, whole groups on one side: two tables of features."""
    numbers = group_numbers(features["content_hash"], groups)
    if numbers is None:
        numbers = np.arange(len(features))
    order = np.random.default_rng(repeat).permutation(numbers.max() + 1)
    place = np.argsort(order)[numbers]
    ordered = features.iloc[np.argsort(place, kind="stable")]
    turn = np.sort(place)
    new = turn <= turn[HELD_OUT - 1]
    old = ordered[~new]
    if labelled is not None:
        # the last group may be cut: its rest is neither labelled nor held out
        old = old.head(labelled)
    return ordered[new].reset_index(drop=True), old.reset_index(drop=True)


def trained(old, values, learner: str, size: int, repeat: int, groups, options) -> bytes:
    """Models of one learner on draws of the labelled structures ``old``."""
    _, models = run_size(
        old, values[old["name"]], [], size, options.draws, learner=learner, protocol="fast",
        seed=repeat, device="cpu", splits=GROUPED if groups else "random", groups=groups,
    )  # fmt: skip
    return models


def judged(models: list[bytes], new: pd.DataFrame, old: pd.DataFrame, values: pd.Series) -> dict:
    """Coverage and errors on one set of held-out structures."""
    table = predict(models, new, train_features=old).set_index("name").loc[new["name"]]
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


def line(learner: str, of: str, t: pd.DataFrame) -> str:
    """A row of the page."""
    return (
        f"| {learner} | {of} | {100 * t['coverage'].mean():.1f} % "
        f"({100 * t['coverage'].min():.1f} to {100 * t['coverage'].max():.1f}) "
        f"| {100 * t['coverage_in_domain'].mean():.1f} % "
        f"| {100 * t['in_domain'].mean():.1f} % | {t['rmse'].mean():.3f} "
        f"| {t['rmse_outside'].mean():.3f} | {t['std'].mean():.3f} |"
    )


def measured(features: pd.DataFrame, values: pd.Series, size: int, groups, options) -> list[str]:
    """Rows of a size: every learner alone, and the one that a study chooses among them."""
    found: dict[str, list[dict]] = {}
    for repeat in range(options.repeats):
        new, old = dealt(features, groups, repeat, options.labelled)
        models = {
            learner: trained(old, values, learner, size, repeat, groups, options)
            for learner in options.learners
        }
        for learner, of in models.items():
            found.setdefault(learner, []).append(judged([of], new, old, values))
        if options.labelled and len(models) > 1:
            chosen = judged([*models.values()], new, old, values)
            found.setdefault("the best by its scores", []).append(chosen)
    of = f"{size}, {GROUPED if groups else 'random'}" if options.labelled else f"{size}"
    return [line(learner, of, pd.DataFrame(rows)) for learner, rows in found.items()]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", type=Path, help="folder of the tables")
    parser.add_argument("--labels", type=Path, help="of harmonic.py; default: the published ones")
    parser.add_argument("--labelled", type=int, help="structures labelled at all; a draw has all")
    parser.add_argument("--splits", nargs="+", choices=("random", GROUPED), default=["random"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 800])
    parser.add_argument(
        "--learners", nargs="+", default=["gp+mobility", "gp+percolation", "xgboost"]
    )
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--append", action="store_true", help="to the page, which is there")
    parser.add_argument("--output", type=Path, default=Path("prediction_coverage.md"))
    options = parser.parse_args()
    features, values = data(options)
    lines = []
    for splits in options.splits:
        groups = near_duplicates(features["name"].tolist(), options) if splits == GROUPED else None
        for size in [options.labelled] if options.labelled else options.sizes:
            lines += measured(features, values, size, groups, options)
            print("\n".join(lines), flush=True)
    text = "\n".join([*head(len(features), options), *lines]) + "\n"
    with options.output.open("a" if options.append else "w", encoding="utf-8") as page:
        page.write("\n" + text if options.append else text)


def head(n: int, options) -> list[str]:
    """What stands above the rows of the page; of so many structures in all."""
    title = "# Coverage of the predicted 90 % interval"
    learnt = f"{options.draws} draws of the others are learnt directly."
    if options.labelled:
        data = f"our labels of {'published' if options.labels else 'random'} MOFs"
        title = f"## {options.labelled} structures labelled, {data}"
        learnt = (
            f"{options.labelled} of the others are all that is labelled, and are split "
            f"{options.draws} times into what is learnt and what tests. Grouped: near duplicates "
            "are on one side of each split, and none of a structure that is held out is labelled. "
            "The last row is the learner that the scores of the splits name, as in a study."
        )
    return [
        title,
        "",
        f"{HELD_OUT} of {n} labelled MOFs held out at random, {options.repeats} times; {learnt} "
        "Means over the repeats, of the coverage also the smallest and largest; errors in decades "
        "of D.",
        "",
        "| learner | size | coverage | in the domain | share in the domain | RMSE "
        "| RMSE outside the domain | predicted deviation |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]


if __name__ == "__main__":
    main()
