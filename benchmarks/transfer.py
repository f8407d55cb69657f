"""Labels with a known truth, learnt from 30 structures: does the source pay, do intervals hold?

    python benchmarks/transfer.py > benchmarks/transfer.md

Structures and sources are those of the data set that ships. Labels are made up: two resistances in
series (that of the pores, 1/D, and one of 1/(1e-9 m2/s)) with noise of 0.05 decades, a permeability
(D times the uptake at 1 bar) with noise of 0.1 decades, and random numbers. Each draw takes 30
labelled structures for ``poreflux transfer`` and 100 for direct learning; both predict what neither
has seen.
"""

import argparse
import sys
import time

import numpy as np

from poreflux import dataset
from poreflux.data.features import matrix
from poreflux.learning import few_labels
from poreflux.learning.few_labels import DIRECT, Candidate, Material
from poreflux.prediction.description import features_of, parts_in, sources_of
from poreflux.prediction.transfer import variants

FEW, MANY = 30, 100


def labels_of(table, kind: str, stream) -> np.ndarray:
    """Made-up labels (n,), in decades where they are positive."""
    d = table["CH4_d_m2_s"].clip(lower=1e-16).to_numpy()
    if kind == "two resistances":
        return -np.log10(1.0 / d + 1e9) + stream.normal(0.0, 0.05, len(d))
    if kind == "permeability":
        uptake = table["CH4_uptake_1bar_mol_kg"].clip(lower=1e-4).to_numpy()
        return np.log10(d * uptake) + stream.normal(0.0, 0.1, len(d))
    return stream.normal(size=len(d))


def one_draw(table, material: Material, kind: str, seed: int) -> dict:
    """Errors, coverage and claims of a draw."""
    stream = np.random.default_rng(seed)
    y = labels_of(table, kind, stream)
    order = stream.permutation(len(y))
    some, rest = order[:FEW], order[MANY:]
    start = time.process_time()
    judged = few_labels.judge(material[some], y[some], variants(table.iloc[some]), seed=seed)
    trained = few_labels.train_all(material[some], y[some])
    seconds = time.process_time() - start
    chosen = few_labels.choose(trained)
    mean, half = trained[chosen].predict(material[rest])
    many = order[:MANY]
    direct = few_labels.train_all(material[many], y[many], [Candidate(DIRECT)])
    by_many, _ = direct[Candidate(DIRECT)].predict(material[rest])
    by_few, _ = trained[Candidate(DIRECT)].predict(material[rest])
    return {
        "few": _rmse(mean - y[rest]),
        "direct_few": _rmse(by_few - y[rest]),
        "direct_many": _rmse(by_many - y[rest]),
        "claimed": bool(chosen.source) and judged.gain(judged.chosen, judged.baseline).is_sure,
        "r2": judged.score(judged.chosen)["r2"],
        "held_out": judged.coverage,
        "covered": float((np.abs(mean - y[rest]) <= half).mean()),
        "source": chosen.name,
        "seconds": seconds,
    }


def _rmse(error: np.ndarray) -> float:
    return float(np.sqrt(np.square(error).mean()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    table = dataset()
    x = matrix(features_of(table, parts_in(table)[0]), "mobility")[0]
    sources = {n: v for n, v in sources_of(table).items() if np.isfinite(v).all()}
    material = Material(x, sources)
    say = sys.stdout.write
    say(
        f"# Labels with a known truth\n\n`benchmarks/transfer.py`, which says what the labels are. "
        f"{len(table)} structures, {len(sources)} sources, {options.draws} draws. Errors are root "
        f"mean squares on structures that nobody has seen, medians over the draws; coverage is "
        f"that of 90 % intervals, means over the draws.\n\n"
        f"| label | error, {FEW} labels, sources | direct, {FEW} labels | direct, {MANY} labels "
        f"| draws in which {FEW} with sources beat {MANY} direct | gain claimed | R2 by nested "
        "validation | coverage, unseen | coverage, held out | CPU, s |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    for kind in ("two resistances", "permeability", "random"):
        draws = [one_draw(table, material, kind, seed) for seed in range(options.draws)]
        found = {key: np.array([draw[key] for draw in draws]) for key in draws[0]}
        wins = int((found["few"] < found["direct_many"]).sum())
        say(
            f"| {kind} | {np.median(found['few']):.3f} | {np.median(found['direct_few']):.3f} "
            f"| {np.median(found['direct_many']):.3f} | {wins} of {len(draws)} "
            f"| {int(found['claimed'].sum())} of {len(draws)} | {np.median(found['r2']):.2f} "
            f"| {found['covered'].mean():.0%} | {found['held_out'].mean():.0%} "
            f"| {found['seconds'].mean():.1f} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
