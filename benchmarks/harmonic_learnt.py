"""How many labels a diffusivity needs beside picoseconds of dynamics, and without them.

    python benchmarks/harmonic.py labels --output work/harmonic
    python benchmarks/harmonic.py N2 --output work/harmonic
    python benchmarks/harmonic.py O2 --output work/harmonic
    python benchmarks/sources.py descriptors --work work
    python benchmarks/harmonic_learnt.py --work work --harmonic work/harmonic \\
        --output benchmarks/harmonic_learnt.md

Labels: published D of CH4 (Lim & Kim 2022), of N2 and O2 (Orhan 2021), and our own D of CH4 by
engine harmonic. Features: the mobility of CH4 on the energy landscape with pores and energies
(``mobility-no-barriers``), the published 55 (``paper55``, ``log55``), and, for published labels,
our D of the same gas after 0.5, 1 and 2 ps (``harmonic``), or what models of D of N2 and O2 of
other MOFs predict. True random draws; scores are R2 of log10 D on all labelled structures outside
the draw. Without any label, D is that of the engine.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from harmonic import GASES, r2, second_table
from published_diffusivities import published_diffusivities
from sources import SLOWEST, STAGES, features_of, source_labels, source_model, target_labels

from poreflux.data.features import DIFFUSIVITY_UNIT_M2_S, feature_table
from poreflux.learning.study import join_sources, run_size

SEED, SIZES, DRAWS = 1, (30, 100, 300), 20
# MOFs outside the draw, fewer of which are not worth a score.
LEAST_OUTSIDE = 50
WITHOUT = (
    "mlp",
    "xgboost",
    "xgboost+log55",
    "xgboost+mobility-no-barriers",
    "gp+mobility-no-barriers",
    "gp-line+mobility-no-barriers",
)
WITH = ("gp-line+harmonic", "gp+harmonic")
# Learners that see D of other gases as models of other structures predict them, and of which gases.
# The last sees the rows themselves, and as control rows whose labels are dealt anew.
NITROGEN, OXYGEN, SHUFFLED = "diffusivity_N2", "diffusivity_O2", "diffusivity_N2_shuffled"
MODELLED = {
    "xgboost+log55": [(NITROGEN, OXYGEN)],
    "gp+log55": [(NITROGEN, OXYGEN)],
    "gp+mobility-no-barriers": [(NITROGEN, OXYGEN)],
    "gp-line+mobility-no-barriers": [(NITROGEN, OXYGEN)],
    "gp-joint+mobility-no-barriers": [(NITROGEN,), (OXYGEN,), (SHUFFLED,)],
}


def tables_of(work: Path) -> dict[str, pd.DataFrame]:
    """Tables of the stages, of both sets of sources.py, by stage."""
    folders = [work / which for which in ("target", "source") if (work / which).is_dir()]
    return {
        stage: pd.concat([pd.read_parquet(folder / f"{stage}.parquet") for folder in folders])
        for stage in STAGES
    }


def with_harmonic(tables: dict[str, pd.DataFrame], found: pd.DataFrame) -> pd.DataFrame:
    """Features with the early diffusivities of a table of harmonic.py."""
    known = tables["geometry"][["name", "content_hash"]]
    return feature_table(**tables, diffusion=found.merge(known, on="name").assign(status="ok"))


def log_diffusivity(d_m2_s: pd.Series) -> pd.Series:
    """log10 of D in 1e-8 m2/s, of those that are not zero."""
    return np.log10(d_m2_s[d_m2_s > 0.0] / DIFFUSIVITY_UNIT_M2_S)


def unlearnt(values: pd.Series, found: pd.DataFrame) -> str:
    """R2 of our D without any label."""
    ours = found[found["diffusive"]].set_index("name")["d_m2_s"]
    values = values[values.index.isin(ours.index)]
    return f"{r2(ours[values.index], 10.0**values * DIFFUSIVITY_UNIT_M2_S):.3f} ({len(values)})"


def median_and_quartiles(values: pd.Series) -> str:
    """Such as ``0.829 (0.753 to 0.850)``."""
    low, median, high = values.quantile([0.25, 0.5, 0.75])
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def scored(title: str, features, values, learners, options, at_0: str = "") -> list[str]:
    """The part of the page on a set of labels."""
    values = values[values.index.isin(features["name"])]
    lines = [
        "",
        f"## {title}, {len(values)} MOFs",
        "",
        f"| learner | 0 | {' | '.join(map(str, options.sizes))} |",
        f"| --- | --- |{' --- |' * len(options.sizes)}",
    ]
    if at_0:
        lines.append(f"| engine harmonic | {at_0} |{' |' * len(options.sizes)}")
    for learner in learners:
        cells = []
        for size in options.sizes:
            if len(values) - size < LEAST_OUTSIDE:
                cells.append("")
                continue
            scores, _ = run_size(
                features, values, [], size, options.draws,
                learner=learner, protocol="fast", seed=SEED, device="cpu",
            )  # fmt: skip
            cells.append(median_and_quartiles(scores["r2_rest"]))
        lines.append(f"| {learner} | | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def modelled(values: pd.Series, options) -> list[str]:
    """The part of the page on D of other gases from models alone."""
    features, _ = features_of(options.work / "target")
    values = values[values.index.isin(features["name"])]
    source, source_tables = features_of(options.work / "source")
    labels = source_labels(source, source_tables)
    dealt = labels[labels["label"] == NITROGEN]
    values_anew = np.random.default_rng(SEED).permutation(dealt["value"])
    labels = pd.concat([labels, dealt.assign(label=SHUFFLED, value=values_anew)])
    lines = [
        "",
        f"## Published D of CH4, D of N2 and O2 from models alone, {len(values)} MOFs",
        "",
        f"Models of the published D of N2 and O2 of {len(source)} other MOFs; what they predict of "
        "a structure are two features more. `gp-joint` sees rows of them (at most 500) in their "
        "place, of one gas; as a control with D dealt anew. Gain: mean over draws of the "
        "difference in R2 (standard error).",
        "",
        "| learner | source | " + " | ".join(map(str, options.sizes)) + " |",
        f"| --- | --- |{' --- |' * len(options.sizes)}",
    ]
    for learner, sources in MODELLED.items():
        cells: dict[str, list[str]] = {}
        for size in options.sizes:
            for used in sources:
                models = [
                    source_model(options.work / learner, learner, label, source, labels, features)
                    for label in used
                ]
                name = " and ".join(label.removeprefix("diffusivity_") for label in used)
                joined = models[0] if len(models) == 1 else join_sources(models, name)
                scores, _ = run_size(
                    features, values, [joined], size, options.draws,
                    learner=learner, protocol="fast", seed=SEED, device="cpu",
                )  # fmt: skip
                by = scores.pivot(index="draw", columns="kind", values="r2_rest")
                gain = by["tl"] - by["dl"]
                error = gain.std() / np.sqrt(len(gain))
                cells.setdefault(name, []).append(
                    f"{median_and_quartiles(by['tl'])}, {gain.mean():+.3f}({error:.3f})"
                )
            cells.setdefault("", []).append(median_and_quartiles(by["dl"]))
        for name in sorted(cells):
            lines.append(f"| {learner} | {name} | {' | '.join(cells[name])} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Train and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="work folder of sources.py")
    parser.add_argument("--harmonic", type=Path, required=True, help="output of harmonic.py")
    parser.add_argument(
        "--parts", nargs="+", default=["labels", *GASES], help="of harmonic.py, published values"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--output", type=Path, default=Path("harmonic_learnt.md"))
    options = parser.parse_args()
    tables = tables_of(options.work)

    def found(part: str) -> pd.DataFrame:
        return pd.read_csv(options.harmonic.with_name(f"{options.harmonic.name}_{part}.csv"))

    labels = options.harmonic.with_name(f"{options.harmonic.name}_labels.csv")
    plain = feature_table(**tables)
    page = [
        "# How many labels a diffusivity needs, with picoseconds of dynamics and without",
        "",
        f"Medians of R2 of log10 D outside the draw (quartiles), {options.draws} true random draws "
        "a size. At 0 labels: D of engine harmonic itself, nothing fitted (MOFs where it is "
        "diffusive).",
        *scored(
            f"Our own D of CH4 above {SLOWEST:g} m2/s, without dynamics among the features",
            plain, target_labels(labels), WITHOUT, options,
        ),
    ]  # fmt: skip
    published = {"labels": ("CH4", published_diffusivities())}
    published |= {guest: (guest, second_table()[guest]) for guest in GASES}
    for part in options.parts:
        guest, d_m2_s = published[part]
        values = log_diffusivity(d_m2_s.dropna())
        page += scored(
            f"Published D of {guest}", with_harmonic(tables, found(part)), values,
            (*WITHOUT[-2:], *WITH), options, unlearnt(values, found(part)),
        )  # fmt: skip
    page += modelled(log_diffusivity(published_diffusivities().dropna()), options)
    options.output.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
