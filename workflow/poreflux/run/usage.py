"""Which entries of a store a study uses: for pruning, and for what is said of its provenance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.stage_names import COMPARED, CROSSCHECK
from poreflux.run.intake import build_ingredients
from poreflux.run.stages import STAGES, ingredients, stage_params
from poreflux.run.training import parts_of_study, sources_of_study
from poreflux.store import Store

COST_COLUMNS = ("stage", "set", "structures", "cpu_s", "gpu_s")


def used_by(config: dict, results: Path, store: Store) -> set[Path]:
    """Entries of a store that a study uses, with this configuration and this code.

    Artifacts of the synthesis study are not among them: no table says which they are.

    Parameters
    ----------
    config : dict
        Complete, see :func:`poreflux.run.config.complete`.
    results : Path
        The study's results: their shard tables say which structures there are.
    store : Store

    Returns
    -------
    set of Path

    Raises
    ------
    DataError
        If the study has no tables of structures there.
    """
    entries = _of_structures(config, results, store)
    used = {path for _, _, paths in entries for path in paths}
    used |= {path for _, paths in _trained(config, results, store) for path in paths}
    return {path for path in used if path.exists()}


def costs(config: dict, results: Path, store: Store) -> pd.DataFrame:
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
    for name, stage, paths in _of_structures(config, results, store):
        if name not in config["structures"]:
            continue
        rows.append({"stage": stage, "set": name, **_spent(paths, store)})
    for stage, paths in _trained(config, results, store):
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


def _of_structures(config: dict, results: Path, store: Store) -> list[tuple[str, str, set[Path]]]:
    """Set, stage, and where the artifacts of its structures lie or would lie."""
    found: dict[tuple[str, str], set[Path]] = {}
    known = False
    for name, spec in _sets(config).items():
        known |= bool((spec.get("tables") or {}) and not (spec.get("cifs") or spec["package"]))
        for path in results.glob(f"{name}/shards/structures/*.parquet"):
            known = True
            columns = ["name", "content_hash", "status", "listed"]
            rows = pd.read_parquet(path, columns=columns).to_dict("records")
            if spec.get("package") == "pormake":
                built = {store.path(build_ingredients(row["name"])) for row in rows}
                found.setdefault((name, "build"), set()).update(built)
            rows = [row for row in rows if row["status"] == "ok"]
            for title, stage, params in _stages(config, name, spec):
                made = {store.path(ingredients(stage, row, params)) for row in rows}
                found.setdefault((name, title), set()).update(made)
    if not known:
        raise DataError(f"no tables {results}/*/shards/structures/*.parquet; run the study first")
    return [(name, title, paths) for (name, title), paths in found.items()]


def _sets(config: dict) -> dict[str, dict]:
    mine = {"stages": ["geometry", "energy", "percolation"]} if config["predict"]["cifs"] else None
    return config["structures"] | ({"predict": mine} if mine else {})


def _stages(config: dict, name: str, spec: dict) -> Iterator[tuple[str, str, dict]]:
    """What each is called, the stage, and its parameters."""
    read = {stage for stage, told in (spec.get("tables") or {}).items() if told}
    for stage in spec["stages"]:
        if stage in read:
            continue
        yield stage, stage, stage_params(config, stage)
        block = config[STAGES[stage].block]
        if name == "target" and block.get("crosscheck"):
            other = {"engine": COMPARED[stage][0]} | block["crosscheck_params"]
            yield stage + CROSSCHECK, stage, stage_params(config, stage) | other


def _trained(config: dict, results: Path, store: Store) -> Iterator[tuple[str, set[Path]]]:
    """The artifacts of pretraining and of the target models."""
    for stage, made_of in (("pretrain", sources_of_study), ("finetune", parts_of_study)):
        paths = map(store.path, made_of(config, results))
        yield stage, {path for path in paths if path.exists()}
