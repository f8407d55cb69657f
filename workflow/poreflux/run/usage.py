"""Which entries of a store a study uses: for pruning, and for what is said of its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.records import read_model
from poreflux.base.stage_names import CROSSCHECK
from poreflux.base.tables import read_table
from poreflux.data.features import labelled_rows, select_features
from poreflux.data.labels import values_of
from poreflux.learning.learners import get_learner
from poreflux.run.duplicates import STAGE, group_ingredients
from poreflux.run.intake import build_ingredients
from poreflux.run.plan import PREDICT, SOURCE, TARGET, SetPlan, StudyPlan
from poreflux.run.stages import ingredients
from poreflux.run.training import (
    kept_together,
    part_ingredients,
    parts_of_draws,
    seen_by,
    source_ingredients,
    trained_for,
)
from poreflux.store import Ingredients, Store

COST_COLUMNS = ("stage", "set", "structures", "cpu_s", "gpu_s")


def used_by(plan: StudyPlan, store: Store) -> set[Path]:
    """Entries of a store that a study uses, with this configuration and this code.

    Artifacts of the synthesis study are not among them: no table says which they are.

    Parameters
    ----------
    plan : StudyPlan
        Of the study; the shard tables among its results say which structures there are.
    store : Store

    Returns
    -------
    set of Path

    Raises
    ------
    DataError
        If the study has no tables of structures there.
    """
    used = {path for _, _, paths in _of_structures(plan, store, every=True) for path in paths}
    used |= {path for _, paths in _trained(plan, store) for path in paths}
    return {path for path in used if path.exists()}


def costs(plan: StudyPlan, store: Store) -> pd.DataFrame:
    """CPU and GPU time of a study by stage and set, as measured when each artifact was made.

    Structures to predict for are no part of it: they come and go while the study stands.
    Parameters are those of :func:`used_by`.

    Returns
    -------
    DataFrame
        Columns :data:`COST_COLUMNS`. ``set`` is missing for the training, whose ``structures``
        are models; an artifact that several structures share counts once.
    """
    rows = []
    for name, stage, paths in _of_structures(plan, store):
        if name == PREDICT:
            continue
        rows.append({"stage": stage, "set": name, **_spent(paths, store)})
    for stage, paths in _trained(plan, store):
        rows.append({"stage": stage, "set": None, **_spent(paths, store)})
    table = pd.DataFrame(rows, columns=list(COST_COLUMNS))
    return table[table["structures"] > 0].reset_index(drop=True)


def _spent(paths: set[Path], store: Store) -> dict:
    """Structures, or models, whose artifacts tell their CPU time, and sums of the times."""
    facts = []
    for path in sorted(paths):
        manifest = store.manifest(path) if path.exists() else None
        if manifest and "cpu_s" in manifest["facts"]:
            facts.append(manifest["facts"])
    return {
        "structures": sum(of.get("models", 1) for of in facts),
        "cpu_s": float(sum(of["cpu_s"] for of in facts)),
        "gpu_s": float(sum(of.get("gpu_s", 0.0) for of in facts)),
    }


def _of_structures(
    plan: StudyPlan, store: Store, every: bool = False
) -> list[tuple[str, str, set[Path]]]:
    """Set, stage, and where the artifacts of its structures lie or would lie.

    Of further guests and temperatures those that the learning needs, or ``every`` one.
    """
    found: dict[tuple[str, str], set[Path]] = {}
    known = False
    for name, of_set in plan.sets.items():
        known |= of_set.is_tables_alone
        hashes: list[str] = []
        for path in Path(plan.results).glob(f"{name}/shards/structures/*.parquet"):
            known = True
            columns = ["name", "content_hash", "status", "listed"]
            rows = read_table(path, columns).to_dict("records")
            if of_set.is_built:
                built = {store.path(build_ingredients(row["name"])) for row in rows}
                found.setdefault((name, "build"), set()).update(built)
            rows = [row for row in rows if row["status"] == "ok"]
            hashes += [row["content_hash"] for row in rows]
            for title, stage, settings in _computed(plan, of_set, every):
                made = {store.path(ingredients(stage, row, settings)) for row in rows}
                found.setdefault((name, title), set()).update(made)
        if hashes and plan.groups(name):
            found[name, STAGE] = {store.path(group_ingredients(hashes))}
    if not known:
        raise DataError(
            f"no tables {plan.results}/*/shards/structures/*.parquet; run the study first"
        )
    return [(name, title, paths) for (name, title), paths in found.items()]


def _computed(plan: StudyPlan, of_set: SetPlan, every: bool) -> Iterator[tuple[str, str, Any]]:
    """What is computed of a set: how it is called, the stage, and its settings."""
    for table in plan.gases.variants if every else plan.further_tables(of_set.name):
        if table != plan.gases.variants[table].stage:
            yield plan.gases.variants[table]
    for stage in of_set.computed:
        yield stage, stage, plan.stage_settings(stage)
        if of_set.name == TARGET and stage in plan.crosschecks:
            yield stage + CROSSCHECK, stage, plan.crosscheck_settings(stage)


def _trained(plan: StudyPlan, store: Store) -> Iterator[tuple[str, set[Path]]]:
    """The artifacts of pretraining and of the target models."""
    for stage, ingredients_of in (("pretrain", _source_models), ("finetune", _target_models)):
        paths = map(store.path, ingredients_of(plan))
        yield stage, {path for path in paths if path.exists()}


def _source_models(plan: StudyPlan) -> Iterator[Ingredients]:
    """What makes the source models of a study; nothing without its tables."""
    names = ((SOURCE, "features"), (SOURCE, "labels"), (TARGET, "features"))
    paths = [Path(plan.table(*name)) for name in names]
    if not all(path.exists() for path in paths):
        return
    features, labels, target_features = map(read_table, paths)
    asked, together = plan.training, _kept_together(plan, SOURCE)
    for learner in plan.learners:
        mine = seen_by(learner, features, target_features)
        of = source_ingredients(*mine, learner, asked["protocol"], asked["seed"], together)
        parts = (trained_for(name, labels, learner) for name in plan.source_labels)
        for label, values in dict(part for some in parts for part in some).items():
            yield of(label, values)


def _target_models(plan: StudyPlan) -> Iterator[Ingredients]:
    """What makes the target models of a study, one part of the draws after the other.

    Nothing without the tables of the target.
    """
    paths = [Path(plan.table(TARGET, name)) for name in ("features", "labels")]
    if not all(path.exists() for path in paths):
        return
    features, labels = map(read_table, paths)
    asked, same_members = plan.training, plan.config.learning.same_members
    together = _kept_together(plan, TARGET)
    for learner in plan.learners:
        mine = select_features(features, get_learner(learner).feature_set)
        values = values_of(labels, plan.target_label)
        available = len(labelled_rows(mine, values)[1])
        # a model that an earlier configuration left there is not the study's
        models = map(Path, plan.source_models(learner))
        read = [read_model(path) for path in models if path.exists()]
        sources = ["", *(hashlib.sha256(data).hexdigest() for data in read)]
        # sizes above the number of labels are the same, but perhaps of more draws
        sizes = dict.fromkeys((min(size, available), n) for size, n in plan.draws.items())
        for size, draws in sizes:
            of = part_ingredients(
                mine, values, learner, asked["protocol"], asked["seed"], size, same_members,
                plan.target_label, together,
            )  # fmt: skip
            for source in sources:
                for numbers in parts_of_draws(draws):
                    yield of(source, numbers)


def _kept_together(plan: StudyPlan, name: str) -> dict[str, int] | None:
    """The groups that the splits of a set keep together, where there is a table of them."""
    path = plan.groups(name)
    table = read_table(path) if path and Path(path).exists() else None
    return kept_together(plan.training["splits"], table)
