"""What the study cost in time, and what saved diffusivities are worth."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from poreflux.data.labels import DIFFUSIVITY, ISOTHERM, UPTAKE, kind_of
from poreflux.learning.choice import judged_transfers
from poreflux.report import published
from poreflux.report.numbers import NOT_A_NUMBER, duration, whole
from poreflux.report.rendering import Table, render
from poreflux.report.scores import valid_scores
from poreflux.report.statistics import finite, usable
from poreflux.report.study import TABLES, Study

# Set of a cost that belongs to no single one.
ALL_SETS = "all"


def cost_table(study: Study) -> pd.DataFrame:
    """The cost table: stage, set, structures, cpu_s, gpu_s; finite, maybe empty."""
    columns = ("stage", "set", "structures", "cpu_s", "gpu_s")
    table = usable(study.tables.get("study/cost"), *columns)
    # tables of earlier versions do not tell of GPUs
    table["gpu_s"] = pd.to_numeric(table["gpu_s"], errors="coerce").fillna(0.0)
    return finite(table, "structures", "cpu_s")


def cost_in_words(cpu_s: float, gpu_s: float) -> str:
    """``2 h of CPU``, with the time of a GPU where one was used."""
    gpu = f" and {duration(gpu_s)} of a GPU" if gpu_s else ""
    return f"{duration(cpu_s)} of CPU{gpu}"


def cost(study: Study) -> Markup:
    """The part of the provenance on times."""
    table = cost_table(study)
    return render(
        "cost",
        times=_times(table) if len(table) else None,
        total=cost_in_words(*table[["cpu_s", "gpu_s"]].sum()),
        worth=_worth(study, table),
    )


def _times(table: pd.DataFrame) -> Table:
    order = {s: k for k, s in enumerate(TABLES)}
    table = table.assign(order=table["stage"].map(order).fillna(len(order)))
    table = table.sort_values(["order", "stage", "set"], kind="stable")
    gpu = bool(table["gpu_s"].any())
    rows = [
        [
            r.stage,
            ALL_SETS if pd.isna(r.set) else r.set,
            whole(r.structures),
            duration(r.cpu_s),
            duration(r.cpu_s / r.structures if r.structures else None),
            *([duration(r.gpu_s) if r.gpu_s else NOT_A_NUMBER] if gpu else []),
        ]
        for r in table.itertuples()
    ]
    heads = ["Stage", "Set", "Structures", "CPU time", "Per structure", *(["GPU"] if gpu else [])]
    return Table(heads, rows)


def _worth(study: Study, table: pd.DataFrame) -> dict | None:
    """The paper's argument for transfer, in the times of this study: what saved labels are worth.

    Lim & Kim reach with transfer at size 300 what direct learning needs 500 diffusivities for.
    """
    uptakes = any(kind_of(label) in (UPTAKE, ISOTHERM) for label in study.source_labels)
    if study.target_label != DIFFUSIVITY or not uptakes:
        return None
    per = {}
    for stage, name in (("diffusion", "target"), ("uptake", "source")):
        rows = table[(table["stage"] == stage) & (table["set"] == name)]
        if rows["structures"].sum() == 0:
            return None
        # an hour of a GPU is counted as one of a core, for want of a price
        seconds = rows[["cpu_s", "gpu_s"]].to_numpy().sum()
        per[stage] = seconds / rows["structures"].sum(), rows["structures"].sum()
    (diffusivity_s, _), (isotherm_s, isotherms) = per["diffusion"], per["uptake"]
    spent_s = isotherms * isotherm_s
    return {
        "saved": published.SAVED,
        "saved_s": published.SAVED * diffusivity_s,
        "isotherms": isotherms,
        "spent_s": spent_s,
        "gpu": table["gpu_s"].any(),
        "gains": _gains(study),
        "pays_from": -(-spent_s // diffusivity_s) if diffusivity_s > 0 else None,
    }


def _gains(study: Study) -> bool:
    """Whether transfer from uptakes surely gains anything in this study."""
    scores = valid_scores(study)
    of_uptakes = scores["source_pressure_bar"].notna() | (scores["source"] == ISOTHERM)
    judged = judged_transfers(scores[of_uptakes | (scores["kind"] == "dl")], "source")
    return bool(judged["sure"].any())
