"""The head of the page: what was found in one sentence, then in a few boxes and more of them."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup
from scipy.special import chdtrc

from poreflux.learning.choice import best_model
from poreflux.report.rendering import render
from poreflux.report.scores import (
    best_and_worst,
    median_with_quartiles,
    outside_draws,
    score_summary,
    transfer_verdict,
    valid_scores,
    why_too_small,
)
from poreflux.report.sections.cost import cost_in_words, cost_table
from poreflux.report.sections.crosscheck import verdict
from poreflux.report.sections.structures import complete_structures
from poreflux.report.sections.transfer import sources_in_words
from poreflux.report.sources import source_name
from poreflux.report.statistics import usable, wilson
from poreflux.report.study import Study
from poreflux.report.words import learner_in_words

# The stages that are checked against a reference code, as sentences begin.
CHECKED = {"uptake": "Uptake", "diffusion": "Diffusivity"}
# What a stage gives of one structure.
RESULTS = {"uptake": "an isotherm", "diffusion": "a diffusivity"}


def headline(study: Study) -> Markup:
    """The study's result: one sentence, the numbers behind it, and what else there is to know."""
    scores = valid_scores(study)
    summary = score_summary(scores) if len(scores) else None
    best = None if summary is None else _best(scores, summary)
    checks = [{"title": t, "verdict": verdict(study, stage)} for stage, t in CHECKED.items()]
    verdicts = [check["verdict"] for check in checks if check["verdict"]]
    return render(
        "headline",
        sets=[_structures(study, name) for name in study.sets],
        learnt=study.quantity(study.target_label),
        best=best,
        finding=None if best is None else _finding(study, scores, summary, best),
        too_small=_too_small(study, scores, best),
        wins=[] if summary is None else _wins(scores, summary),
        checks=checks,
        together=_together(verdicts),
        cost=_cost(study),
    )


def _finding(study: Study, scores: pd.DataFrame, summary: pd.DataFrame, best: dict) -> dict:
    """What the first sentence says: which learner, how well, from how many, and transfer."""
    row = best["row"]
    transfer = transfer_verdict(scores, summary, row["learner"])
    if transfer and transfer.size < row["size"]:
        transfer = None
    outside = outside_draws(scores, row)
    known = study.quantity(study.target_label)
    return {
        "learner": learner_in_words(row["learner"]),
        "rmse": row["rmse"],
        "r2": row["median"],
        "size": row["size"],
        "unit": known.error_unit,
        "transfer": transfer,
        "sources": sources_in_words(study, scores),
        "outside": outside if outside and outside.differ else None,
    }


def _too_small(study: Study, scores: pd.DataFrame, best: dict | None) -> list[str]:
    """Why the study is too small to judge; nothing where it has no scores at all."""
    if best is not None:
        return why_too_small(scores, best["row"])
    if usable(study.tables.get("study/scores")).empty:
        return []
    return ["no score is a number, for which a draw needs two different test labels"]


def _together(verdicts: list[dict]) -> dict | None:
    """All cross-checks as one: how probable their deviations are if the codes agree."""
    if not verdicts:
        return None
    chi_square, n = sum(v["chi_square"] for v in verdicts), sum(v["n"] for v in verdicts)
    return {
        "n": n,
        "probability": float(chdtrc(n, chi_square)),
        "references": [v["reference"] for v in verdicts],
        "disagreeing": [f"those with {v['reference']}" for v in verdicts if not v["together"]],
    }


def _structures(study: Study, name: str) -> dict:
    """How many structures of a set came through every stage."""
    ok, failed, total = complete_structures(study.tables, name)
    why = "" if total else study.why(f"{name}/structures")
    rest = total - ok - failed
    return {"name": name, "ok": ok, "failed": failed, "rest": rest, "total": total, "why": why}


def _best(scores: pd.DataFrame, summary: pd.DataFrame) -> dict:
    """The model that predicts."""
    kind, learner, source = best_model(scores, "source")
    largest = summary[summary["size"] == summary["size"].max()]
    same_source = (largest["source"] == source) | (largest["kind"] == "dl")
    its = (largest["kind"] == kind) & (largest["learner"] == learner) & same_source
    best = largest[its].iloc[0]
    direct = best["kind"] == "dl"
    return {
        "row": best,
        "learner": best["learner"],
        "what": "direct" if direct else f"transfer from {source_name(best['source'])}",
        "size": best["size"],
        "median": best["median"],
        "quartiles": median_with_quartiles(best),
        "draws": best["n"],
    }


def _wins(scores: pd.DataFrame, summary: pd.DataFrame) -> list[dict]:
    """Transfer against direct learning of each learner, at the largest size with pairs."""
    ends, found = best_and_worst(summary), []
    for learner in dict.fromkeys(ends["learner"]):
        rows = [r for r in ends[ends["learner"] == learner].itertuples() if r.best is not None]
        rows = [r for r in rows if r.best["pairs"]]
        if not rows:
            continue
        row = rows[-1].best
        sources = summary[(summary["learner"] == learner) & (summary["kind"] == "tl")]
        low, high = wilson(row["wins"], row["pairs"])
        judged = transfer_verdict(scores, summary, learner)
        found.append(
            {
                "learner": learner,
                "size": rows[-1].size,
                "source": source_name(row["source"]),
                "sources": sources["source"].nunique(),
                "wins": row["wins"],
                "pairs": row["pairs"],
                "share": row["wins"] / row["pairs"],
                "low": low,
                "high": high,
                "gain": row["gain"],
                "verdict": judged,
            }
        )
    return found


def _cost(study: Study) -> dict | None:
    """What a structure of each simulated stage and the whole study cost, in words."""
    table = cost_table(study)
    per = {}
    for stage, rows in table.groupby("stage"):
        if rows["structures"].sum() > 0:
            per[stage] = rows[["cpu_s", "gpu_s"]].sum() / rows["structures"].sum()
    each = [f"{words} {cost_in_words(*per[s])}" for s, words in RESULTS.items() if s in per]
    if not each:
        return None
    return {"each": each, "total": cost_in_words(*table[["cpu_s", "gpu_s"]].sum())}
