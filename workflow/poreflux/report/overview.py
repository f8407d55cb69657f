"""The head of the report (what came out, in words) and its end (how it was made)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import yaml

from poreflux.data.labels import DIFFUSIVITY, ISOTHERM, UPTAKE, kind_of
from poreflux.report import page
from poreflux.report.models import PAPER_DOI, median_with_quartiles, valid_scores
from poreflux.report.page import Html, Section
from poreflux.report.simulation import verdict
from poreflux.report.study import ENGINE_NAMES, Study
from poreflux.report.summary import (
    AGREEMENT_SE,
    STAGES,
    best_and_worst,
    complete_structures,
    finite,
    score_summary,
    source_name,
    usable,
    wilson,
)

# Diffusivities that transfer saves in the published study (500 directly, 300 with transfer).
SAVED = 200
# Set of a cost that belongs to no single one.
ALL_SETS = "all"
# What follows the name of a stage that was repeated with the reference code.
CROSSCHECK = " (cross-check)"


def headline(study: Study) -> list[Html]:
    """The study's result in a few boxes and sentences."""
    parts = [_structures(study), *_learning(study), _agreement(study), _speed(study)]
    boxes = [box for part in parts for box in part[0]]
    sentences = [sentence for part in parts for sentence in part[1]]
    return [page.tiles(boxes), page.bullets(sentences)]


def _structures(study: Study):
    boxes, words = [], []
    for name in study.sets:
        ok, failed, total = complete_structures(study.tables, name)
        if not total:
            words.append(f"no {name} structures ({study.why(f'{name}/structures')})")
            continue
        rest = total - ok - failed
        fates = [f"{page.whole(failed)} failed"] if failed else []
        fates += [f"{page.whole(rest)} not in every table"] if rest else []
        fate = ", ".join(fates) or "none failed"
        words.append(f"{page.whole(ok)} of {page.whole(total)} {name} structures ({fate})")
        boxes.append((f"{page.whole(ok)} / {page.whole(total)}", f"{name} structures came through"))
    sentence = f"Came through every stage: {page.listed(words)}." if words else "No structures."
    return boxes, [sentence]


def _learning(study: Study):
    scores = valid_scores(study)
    if scores.empty:
        return [([], ["No model has a finite score yet, so there is no R² to report."])]
    summary = score_summary(scores)
    best = summary.loc[summary["median"].idxmax()]
    what = "direct" if best["kind"] == "dl" else f"transfer, {source_name(best['source'])}"
    learnt = study.quantity(study.target_label)
    found = [
        (
            [
                (
                    page.decimal(best["median"]),
                    f"best median R² of {learnt.symbol} ({best['learner']}, {what}, size "
                    f"{best['size']})",
                )
            ],
            [
                f"Best model of {learnt.words}: {best['learner']}, {what}, with "
                f"{best['size']} labelled structures: median R² {median_with_quartiles(best)} over "
                f"{page.counted(best['n'], 'draw')}, the quartiles in brackets."
            ],
        )
    ]
    ends = best_and_worst(summary)
    for learner in dict.fromkeys(ends["learner"]):
        rows = [r for r in ends[ends["learner"] == learner].itertuples() if r.best is not None]
        rows = [r for r in rows if r.best["pairs"]]
        if rows:
            sources = summary[(summary["learner"] == learner) & (summary["kind"] == "tl")]
            n = sources["source"].nunique()
            found.append(_wins(learner, rows[-1].size, rows[-1].best, n))
    return found


def _wins(learner: str, size: int, row, n_sources: int):
    low, high = wilson(row["wins"], row["pairs"])
    if low > 0.5:
        judgement = "more often than chance would"
    elif high < 0.5:
        judgement = "less often than chance would"
    else:
        judgement = "which chance alone could do"
    pressure = source_name(row["source"])
    share = page.percent(row["wins"] / row["pairs"])
    box = (
        f"{row['wins']} / {row['pairs']}",
        f"draws won by transfer from {pressure} ({learner}, size {size})",
    )
    best_of = f", the best of {n_sources} sources in hindsight," if n_sources > 1 else ""
    sentence = (
        f"Transfer against direct learning, {learner}, size {size}: transfer from "
        f"{pressure}{best_of} wins {row['wins']} of {row['pairs']} draws ({share}, 95 % interval "
        f"{100 * low:.0f} to {100 * high:.0f} %), {judgement}; median gain in R² "
        f"{page.decimal(row['gain'])}."
    )
    return [box], [sentence]


def _agreement(study: Study):
    boxes, sentences = [], []
    titles = {"uptake": "Uptake", "diffusion": "Diffusivity"}
    agree = n = 0
    for stage, title in titles.items():
        sentence, found = verdict(study, stage)
        if sentence:
            sentences.append(f"{title}: {sentence}.")
            agree, n = agree + found["agree"], n + found["n"]
        else:
            sentences.append(f"{title} was not checked against a reference code.")
    if n:
        boxes.append(
            (
                f"{agree} / {n}",
                f"values within {AGREEMENT_SE:g} standard errors of the reference codes",
            )
        )
    return boxes, sentences


def cost_table(study: Study) -> pd.DataFrame:
    """The cost table: stage, set, structures, cpu_s, gpu_s; finite, maybe empty."""
    columns = ("stage", "set", "structures", "cpu_s", "gpu_s")
    table = usable(study.tables.get("study/cost"), *columns)
    # tables of earlier versions do not tell of GPUs
    table["gpu_s"] = pd.to_numeric(table["gpu_s"], errors="coerce").fillna(0.0)
    return finite(table, "structures", "cpu_s")


def _cost_in_words(cpu_s: float, gpu_s: float) -> str:
    """``2 h of CPU``, with the time of a GPU where one was used."""
    gpu = f" and {page.duration(gpu_s)} of a GPU" if gpu_s else ""
    return f"{page.duration(cpu_s)} of CPU{gpu}"


def _speed(study: Study):
    table = cost_table(study)
    per = {}
    for stage, rows in table.groupby("stage"):
        if rows["structures"].sum() > 0:
            per[stage] = rows[["cpu_s", "gpu_s"]].sum() / rows["structures"].sum()
    if "uptake" not in per and "diffusion" not in per:
        return [], []
    words = {"uptake": "an isotherm", "diffusion": "a diffusivity"}
    parts = [f"{words[s]} {_cost_in_words(*per[s])}" for s in words if s in per]
    total = _cost_in_words(*table[["cpu_s", "gpu_s"]].sum())
    return [], [f"Cost of a structure: {page.listed(parts)}; of the study {total}."]


def provenance(
    study: Study,
    authors: str = "Lim and Kim",
    doi: str = PAPER_DOI,
    content: str = "structures",
    stages: Sequence[str] = STAGES,
) -> Section:
    """Engines, versions, seed, cost and configuration.

    Parameters
    ----------
    study : Study
    authors, doi : str
        Of the method.
    content : str
        What the random numbers derive from besides the seed.
    stages : sequence of str
        Whose engines are named even where they need no external package.
    """
    blocks = [
        page.paragraph(
            page.fill(
                'The method is that of {authors}, <a href="https://doi.org/{doi}">doi:{doi}</a>.',
                authors=authors,
                doi=doi,
            ),
            f"The study's seed is {study.setting('seed')}: every random number derives from it "
            f"and from the content of the {content}."
            if study.setting("seed") is not None
            else "",
        ),
        page.heading("Engines"),
        *_engines(study, stages),
        page.heading("Cost"),
        *_cost(study),
        page.heading("Configuration"),
    ]
    if study.config:
        text = yaml.safe_dump(study.config, sort_keys=False, allow_unicode=True, width=96)
        blocks.append(page.folded("The complete configuration", page.preformatted(text)))
    else:
        blocks.append(page.missing("Configuration", "it was not given"))
    return Section("provenance", "How it was made", blocks)


def _engines(study: Study, stages: Sequence[str]) -> list[Html]:
    versions = study.facts.get("engines") or {}
    nested = {k: v for k, v in versions.items() if isinstance(v, dict)}
    flat = {k: v for k, v in versions.items() if not isinstance(v, dict)}
    if flat:
        nested["all stages"] = flat
    names = dict.fromkeys([*(s for s in stages if s != "structures"), *nested])
    rows = []
    for stage in names:
        if not _was_run(study, stage):
            continue
        key = study.setting(stage, "engine")
        packages = [f"{p} {v}" for p, v in sorted(nested.get(stage, {}).items())]
        if key or packages:
            engine = ENGINE_NAMES.get(key, key) if key else page.NOT_A_NUMBER
            rows.append([stage, engine, ", ".join(packages) or "our own code"])
    if not rows:
        return [page.missing("Engines", "no versions were given"), *_files(study)]
    return [page.table(["Stage", "Engine", "External packages"], rows), *_files(study)]


def _was_run(study: Study, stage: str) -> bool:
    """Whether any set was computed in a stage; everything that is no stage of structures was."""
    checked = stage.removesuffix(CROSSCHECK)
    if checked not in STAGES:
        return True
    sets = study.sets if checked == stage else ["target"]
    return any(study.computes(name, checked) for name in sets)


def _files(study: Study) -> list[Html]:
    """Which tables were read from which files."""
    lines = [
        f"{stage} of {name}: {page.listed(study.files(name, stage))}"
        for stage in STAGES
        for name in study.sets
        if study.files(name, stage)
    ]
    return [page.paragraph("Tables read from files:"), page.bullets(lines)] if lines else []


def _cost(study: Study) -> list[Html]:
    table = cost_table(study)
    if table.empty:
        return [page.missing("Cost", "no CPU times were given")]
    order = {s: k for k, s in enumerate(STAGES)}
    table = table.assign(order=table["stage"].map(order).fillna(len(order)))
    table = table.sort_values(["order", "stage", "set"], kind="stable")
    gpu = bool(table["gpu_s"].any())
    rows = [
        [
            r.stage,
            ALL_SETS if pd.isna(r.set) else r.set,
            page.whole(r.structures),
            page.duration(r.cpu_s),
            page.duration(r.cpu_s / r.structures if r.structures else None),
            *([page.duration(r.gpu_s) if r.gpu_s else page.NOT_A_NUMBER] if gpu else []),
        ]
        for r in table.itertuples()
    ]
    total = _cost_in_words(*table[["cpu_s", "gpu_s"]].sum())
    return [
        page.table(
            ["Stage", "Set", "Structures", "CPU time", "A structure", *(["GPU"] if gpu else [])],
            rows,
            "Times as measured when each structure was computed, or each model trained (models "
            f"count as structures); all together {total}",
        ),
        *_worth(study, table),
    ]


def _worth(study: Study, table: pd.DataFrame) -> list[Html]:
    """The paper's argument for transfer, in the times of this study: what saved labels are worth.

    Lim & Kim reach with transfer at size 300 what direct learning needs 500 diffusivities for.
    """
    sources = study.setting("learning", "source_labels", default=[UPTAKE])
    uptakes = any(kind_of(label) in (UPTAKE, ISOTHERM) for label in sources)
    if study.target_label != DIFFUSIVITY or not uptakes:
        return []
    per = {}
    for stage, name in (("diffusion", "target"), ("uptake", "source")):
        rows = table[(table["stage"] == stage) & (table["set"] == name)]
        if rows["structures"].sum() == 0:
            return []
        # an hour of a GPU is counted as one of a core, for want of a price
        seconds = rows[["cpu_s", "gpu_s"]].to_numpy().sum()
        per[stage] = seconds / rows["structures"].sum(), rows["structures"].sum()
    (one, _), (isotherm, n) = per["diffusion"], per["uptake"]
    saved, spent = SAVED * one, n * isotherm
    of = "CPU and GPU" if table["gpu_s"].any() else "CPU"
    judgement = (
        f"so the source labels pay from {page.whole(-(-spent // one))} saved diffusivities on"
        if one > 0
        else "so nothing can be saved"
    )
    return [
        page.paragraph(
            f"The {SAVED} diffusivities that transfer saves in the published study cost "
            f"{page.duration(saved)} of {of} here; the {page.whole(n)} isotherms of the source, "
            f"from which it learns, {page.duration(spent)}: {judgement}."
        )
    ]
