"""Which source should one transfer from, and what tells beforehand? Many sources, many draws.

    python benchmarks/sources.py descriptors --work work
    python benchmarks/sources.py learn --work work --labels work/harmonic_labels.csv
    python benchmarks/sources.py report --work work --output benchmarks/sources.md

The target is D of CH4, ours: what benchmarks/harmonic.py made of the published MOFs, and the
data set of the package. The sources are labels of other structures of CoRE MOF 2019: published
D, Henry coefficients and uptakes of N2 and O2, and our own descriptors and properties of CH4.
``descriptors`` passes both sets through the stages, resumed from the store; ``learn`` trains, and
keeps what is finished of it in the work folder.
"""

import argparse
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from harmonic import NITROGEN_OXYGEN
from published_diffusivities import REFERENCE, SET, published_diffusivities, structures
from scipy.stats import spearmanr

import poreflux
from poreflux.base.files import write_atomically
from poreflux.data.features import IDENTITY_COLUMNS, feature_table
from poreflux.data.labels import from_stages
from poreflux.data.quantities import quantity
from poreflux.learning import importance
from poreflux.learning.advisor import ADVICE_COLUMNS
from poreflux.learning.study import pretrain, run_size
from poreflux.learning.trained import Pretrained
from poreflux.run.artifacts import Limits
from poreflux.run.settings import STAGE_SETTINGS
from poreflux.run.stages import run_stage
from poreflux.store import Store
from poreflux.structures import packages

STAGES = ("geometry", "energy", "percolation")
# Target labels below this D (m2/s) are left out, as in the published table.
SLOWEST = 1e-11
SEED, DRAWS, SIZES, LEARNERS = 1, 50, (30, 100, 300), ("mlp",)
# What is known beforehand: column, words, and whether more of it advises for a source.
SCORES = (
    ("distance", "PFI distance", False),
    ("line_left_out_r2", "line", True),
    ("logme", "LogME", True),
    ("r2_source", "R2 of the source model", True),
)
# Published labels of the source structures: column, factor, whether its logarithm is learnt.
PUBLISHED = {
    "diffusivity_N2": ("d_n2_dilute_cm2_s", 1e4, True),
    "diffusivity_O2": ("d_o2_dilute_cm2_s", 1e4, True),
    "diffusivity_N2_loaded": ("d_n2_loaded_cm2_s", 1e4, True),
    "diffusivity_O2_loaded": ("d_o2_loaded_cm2_s", 1e4, True),
    "henry_N2": ("henry_n2_mol_kg_Pa", 1e5, True),
    "henry_O2": ("henry_o2_mol_kg_Pa", 1e5, True),
    "uptake_N2": ("uptake_n2_mol_kg", 1.0, False),
    "uptake_O2": ("uptake_o2_mol_kg", 1.0, False),
}
# Our own, of CH4 or of the pores: labels of the stages' tables.
OWN = (
    *("mobility", "mobility_1", "henry", "heat", "e_mean_channels", "participation_channels"),
    *("pld", "lcd", "void_fraction", "asa_m2_g"),
)


def target_labels(labels: Path) -> pd.Series:
    """log10 of our D of CH4 in 1e-8 m2/s, by name."""
    ours = pd.read_csv(labels).set_index("name")
    ours = ours.loc[ours["diffusive"], "d_m2_s"]
    shipped = poreflux.dataset()
    shipped = shipped.loc[shipped["CH4_diffusive"], "CH4_d_m2_s"]
    both = pd.concat([ours, shipped[~shipped.index.isin(ours.index)]])
    return np.log10(both[both > SLOWEST] / 1e-8).rename_axis("name")


def names_of(which: str) -> list[str]:
    """The structures of a set."""
    here = packages.core_mof_names(SET["archive"])
    target = sorted({*published_diffusivities().index, *poreflux.dataset().index} & {*here})
    if which == "target":
        return target
    published = pd.read_csv(REFERENCE / NITROGEN_OXYGEN)["mof"]
    return sorted(set(published) & {*here} - {*target})


def descriptors(options) -> None:
    """The tables of the stages for both sets."""
    for which in ("target", "source"):
        names = names_of(which)[: options.number]
        rows = pd.DataFrame(structures(names, SimpleNamespace(**vars(options))))
        for stage in STAGES:
            extra = {"barriers": False} if stage == "percolation" else {}
            table = run_stage(
                stage, rows, STAGE_SETTINGS[stage](**extra), store=Store(options.store),
                limits=Limits(options.workers),
            )  # fmt: skip
            folder = options.work / which
            folder.mkdir(parents=True, exist_ok=True)
            table.to_parquet(folder / f"{stage}.parquet")


def features_of(folder: Path) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Features of a set, and its tables by stage."""
    tables = {stage: pd.read_parquet(folder / f"{stage}.parquet") for stage in STAGES}
    return feature_table(**tables), tables


def source_labels(features: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All labels of the source structures: columns name, content_hash, label, value, unit."""
    published = pd.read_csv(REFERENCE / NITROGEN_OXYGEN).set_index("mof")
    found = [from_stages(label, tables[quantity(label).stage]) for label in OWN]
    for label, (column, factor, is_log) in PUBLISHED.items():
        values = factor * published[column].dropna()
        if is_log:
            values = np.log10(values[values > 0.0])
        rows = features.loc[features["name"].isin(values.index), list(IDENTITY_COLUMNS)]
        value = rows["name"].map(values).astype(float)
        found.append(rows.assign(label=label, value=value, unit=""))
    return pd.concat(found, ignore_index=True)


def kept(path: Path, make) -> bytes:
    """The bytes of a file, made first if it is not there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, make())
    return path.read_bytes()


def learn(options) -> None:
    """Train all, and write the scores and what was known beforehand."""
    features, _ = features_of(options.work / "target")
    values = target_labels(options.labels)
    values = values[values.index.isin(features["name"])]
    source, tables = features_of(options.work / "source")
    labels = source_labels(source, tables)
    for learner in options.learners:
        folder = options.work / learner
        models = [
            source_model(folder, learner, label, source, labels, features)
            for label in labels["label"].unique()
        ]
        for size in options.sizes:
            one_size(options, learner, size, features, values, models, source, labels)


def source_model(folder: Path, learner: str, label: str, source, labels, features) -> Pretrained:
    """The model of one label of the source structures, from the work folder or trained."""
    known = labels[labels["label"] == label].set_index("name")["value"]

    def train() -> bytes:
        return pretrain(
            source, known, label, learner=learner, protocol="fast", seed=SEED, device="cpu",
            scale_features=features,
        ).to_bytes()  # fmt: skip

    return Pretrained.from_bytes(kept(folder / f"{label}.source", train))


def one_size(options, learner, size, features, values, models, source, labels) -> None:
    """Scores of a size, gains, and what the advisor said."""
    folder = options.work / learner
    scores = folder / f"{size}.csv"
    if scores.is_file():
        return

    def part(model, numbers, train):
        name = model.label if model else "direct"
        return kept(folder / f"{size}-{name}-{numbers[0]}.part", train)

    found, trained = run_size(
        features, values, models, size, options.draws,
        learner=learner, protocol="fast", seed=SEED, device="cpu", part=part,
    )  # fmt: skip
    pfi = importance.run(
        trained, models, features_target=features, features_source=source, labels_source=labels,
        n_repeats=3, seed=SEED, learner=learner,
    )  # fmt: skip
    near = importance.distances(pfi).set_index("source_label")["distance"]
    advice = pd.DataFrame({"source_label": [model.label for model in models]})
    advice["distance"] = advice["source_label"].map(near)
    advice["r2_source"] = advice["source_label"].map({m.label: m.r2 for m in models})
    advice["n_source"] = advice["source_label"].map({m.label: m.n for m in models})
    advice.to_csv(folder / f"{size}-advice.csv", index=False)
    found.to_csv(scores, index=False)


def gains(scores: pd.DataFrame) -> pd.DataFrame:
    """Gain in R2 outside the draw over direct learning on the same draws; mean advice."""
    said = scores.dropna(subset="logme").groupby("source_label")[list(ADVICE_COLUMNS)].mean()
    by = scores.assign(source_label=scores["source_label"].fillna(""))
    by = by.pivot(index="draw", columns="source_label", values="r2_rest")
    gain = by.drop(columns="").sub(by[""], axis=0)
    return pd.DataFrame(
        {
            "gain": gain.mean(),
            "error": gain.std() / np.sqrt(len(gain)),
            "won": (gain > 0.0).sum(),
            "draws": len(gain),
            "direct": by[""].mean(),
        }
    ).join(said)


def report(options) -> None:
    """The Markdown page."""
    lines = [
        "# Which source to transfer from",
        "",
        "The target is our D of CH4 (engine harmonic) above 1e-11 m2/s. The sources are labels of "
        "other structures: published for N2 and O2, ours for CH4 and pores. Gain in R2 outside the "
        "draw over direct learning on the same draws (standard error), draws won. Before any "
        "fine-tuning: PFI distance to the direct model; from the labels of a draw that the models "
        "may see, R2 of the line in the source model's prediction with each left out, and LogME "
        "(the evidence of that line), means over draws.",
    ]
    for learner in options.learners:
        for size in options.sizes:
            path = options.work / learner / f"{size}.csv"
            if not path.is_file():
                continue
            scores = pd.read_csv(path)
            advice = pd.read_csv(path.with_name(f"{size}-advice.csv")).set_index("source_label")
            t = gains(scores).join(advice).sort_values("gain", ascending=False)
            n = size + int(scores["n_rest"].iloc[0])
            lines += [
                "",
                f"## {learner}, {size} of {n} labels, {int(t['draws'].iloc[0])} draws: direct "
                f"R2 {t['direct'].iloc[0]:.3f}",
                "",
                "| source | structures | R2 of its model | gain | won | PFI distance | line "
                "| LogME |",
                "| --- | --- | --- | --- | --- | --- | --- | --- |",
                *(
                    f"| {r.Index} | {r.n_source} | {r.r2_source:.2f} | {r.gain:+.3f}({r.error:.3f})"
                    f" | {r.won}/{r.draws} | {r.distance:.2f} | {r.line_left_out_r2:+.2f}"
                    f" | {r.logme:+.3f} |"
                    for r in t.itertuples()
                ),
                "",
                f"Rank correlation with the gain over {len(t)} sources (95 % interval): "
                + "; ".join(
                    f"{words} {rank_correlation(t[c], t['gain'])}" for c, words, _ in SCORES
                )
                + ".",
                "",
                "Gain from the source that each advises: "
                + "; ".join(f"{words} {advised(t, c, rises)}" for c, words, rises in SCORES)
                + ".",
            ]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def advised(table: pd.DataFrame, column: str, rises: bool) -> str:
    """What transfer gained from the source that a score puts first."""
    best = table.loc[table[column].idxmax() if rises else table[column].idxmin()]
    return f"{best['gain']:+.3f} ({best.name})"


def rank_correlation(x: pd.Series, y: pd.Series, n: int = 2000) -> str:
    """Spearman's coefficient and its interval from sources drawn again."""
    rng = np.random.default_rng(SEED)
    drawn = [rng.integers(0, len(x), len(x)) for _ in range(n)]
    found = [spearmanr(x.iloc[i], y.iloc[i]).statistic for i in drawn]
    low, high = np.nanquantile(found, [0.025, 0.975])
    return f"{spearmanr(x, y).statistic:+.2f} ({low:+.2f} to {high:+.2f})"


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("descriptors", "learn", "report"))
    parser.add_argument("--work", type=Path, default=Path("sources"))
    parser.add_argument("--labels", type=Path, help="benchmarks/harmonic.py's _labels.csv")
    parser.add_argument("--number", type=int, help="structures of each set; default: all")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--learners", nargs="+", default=list(LEARNERS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", help="default: POREFLUX_STORE, else .poreflux/store")
    parser.add_argument("--output", type=Path, default=Path("sources.md"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    {"descriptors": descriptors, "learn": learn, "report": report}[options.part](options)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
