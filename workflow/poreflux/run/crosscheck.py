"""Repeat a few structures with the code the field trusts and set the numbers side by side."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from poreflux.base.stage_names import COMPARED
from poreflux.report.statistics import LEAST_PROBABILITY, joint_deviation
from poreflux.run.artifacts import Limits
from poreflux.run.stages import run_stage
from poreflux.store import Store

log = logging.getLogger(__name__)


def choose(table: pd.DataFrame, stage: str, wanted: int | list[str]) -> list[str]:
    """Names of the structures to repeat.

    Parameters
    ----------
    table : DataFrame
        The stage's table from our own engine.
    stage : {'uptake', 'diffusion'}
    wanted : int or list of str
        Names as they are, or how many: then evenly spread over the range of the value, among
        structures that both codes treat alike (diffusive; next to nothing in blocked pockets,
        which the reference does not block).

    Returns
    -------
    list of str
    """
    if not isinstance(wanted, int):
        missing = sorted(set(wanted) - set(table["name"]))
        if missing:
            log.warning("no such structures to cross-check: %s", ", ".join(missing))
        return [name for name in wanted if name not in missing]
    fit = table[table["status"] == "ok"]
    if stage == "diffusion":
        fit = fit[fit["diffusive"].astype(bool)]
    else:
        fit = fit[fit["pocket_share"] < 0.001]
        fit = fit[fit["pressure_bar"] == fit["pressure_bar"].max()]
    if fit.empty:
        return []
    ordered = fit.sort_values([COMPARED[stage].value, "name"])["name"].to_list()
    # the middles of `wanted` equal parts
    places = (np.arange(wanted) + 0.5) / wanted * len(ordered)
    return list(dict.fromkeys(ordered[int(p)] for p in places))


def compare(
    stage: str,
    structures: pd.DataFrame,
    table: pd.DataFrame,
    wanted: int | list[str],
    settings,
    *,
    store: Store,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Run the reference engine on chosen structures and join it with our results.

    Parameters
    ----------
    stage : {'uptake', 'diffusion'}
    structures : DataFrame
        Structures tables of all shards.
    table : DataFrame
        The stage's table from our own engine.
    wanted
        See :func:`choose`.
    settings
        Of the reference runs, see :meth:`poreflux.run.plan.StudyPlan.crosscheck_settings`.
    store, limits
        As for :func:`poreflux.run.stages.run_stage`.

    Returns
    -------
    DataFrame
        name, content_hash, status, reason, engine, (pressure_bar,) the value and standard
        error of both (``..._reference``), and ``deviation_se``: their difference over the
        combined standard error.
    """
    engine, _, value, error, keys = COMPARED[stage]
    keys = list(keys)
    names = choose(table, stage, wanted)
    chosen = structures[structures["name"].isin(names)]
    log.info("%s: repeating %s with %s", stage, ", ".join(names) or "nothing", engine)
    reference = run_stage(stage, chosen, settings, store=store, limits=limits)
    reference = reference.reindex(
        columns=["name", "content_hash", "status", "reason", "engine", *keys, value, error]
    ).assign(engine=engine)
    ours = table.reindex(columns=["name", *keys, value, error])
    if reference[keys].isna().any(axis=None):  # a failed structure is one row without pressure
        failed = reference[reference["status"] != "ok"]
        reference = reference[reference["status"] == "ok"]
    else:
        failed = reference.iloc[:0]
    both = reference.merge(ours, on=["name", *keys], how="left", suffixes=("_reference", ""))
    both = pd.concat([both, failed], ignore_index=True) if len(failed) else both
    spread = np.hypot(both[error].astype(float), both[f"{error}_reference"].astype(float))
    difference = both[value].astype(float) - both[f"{value}_reference"].astype(float)
    both = both.assign(deviation_se=difference / spread.where(spread > 0))
    judged = both["deviation_se"].dropna().to_numpy()
    chi_square, probability = joint_deviation(judged)
    verdict = "%s: chi-square %.3g for %d values against %s, probability %.2g"
    facts = (stage, chi_square, len(judged), engine, probability)
    if probability < LEAST_PROBABILITY:
        log.warning(f"{verdict}: the two codes do not agree", *facts)
    else:
        log.info(verdict, *facts)
    return both
