"""Which entries of a store a study uses: for pruning, and for what is said of its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from poreflux.crosscheck import COMPARED
from poreflux.errors import DataError
from poreflux.intake import build_ingredients
from poreflux.stages import STAGES, ingredients, stage_params
from poreflux.store import Store

# Stages of the learning: their artifacts are files of the study, too.
TRAINED = ("pretrain", "finetune")


def used_by(config: dict, results: Path, store: Store) -> set[Path]:
    """Entries of a store that a study uses, with this configuration and this code.

    Artifacts of the synthesis study are not among them: no table says which they are.

    Parameters
    ----------
    config : dict
        Complete, see :func:`poreflux.config.complete`.
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
    used = set()
    found = False
    for name, spec in _sets(config).items():
        for path in results.glob(f"{name}/shards/structures/*.parquet"):
            found = True
            columns = ["name", "content_hash", "status", "listed"]
            rows = pd.read_parquet(path, columns=columns).to_dict("records")
            if spec.get("package") == "pormake":
                used |= {store.path(build_ingredients(row["name"])) for row in rows}
            rows = [row for row in rows if row["status"] == "ok"]
            for stage, params in _stages(config, name, spec):
                used |= {store.path(ingredients(stage, row, params)) for row in rows}
    if not found:
        raise DataError(f"no tables {results}/*/shards/structures/*.parquet; run the study first")
    used |= set(_trained(results, store))
    return {path for path in used if path.exists()}


def _sets(config: dict) -> dict[str, dict]:
    mine = {"stages": ["geometry", "energy", "percolation"]} if config["predict"]["cifs"] else None
    return config["structures"] | ({"predict": mine} if mine else {})


def _stages(config: dict, name: str, spec: dict) -> Iterator[tuple[str, dict]]:
    for stage in spec["stages"]:
        yield stage, stage_params(config, stage)
        block = config[STAGES[stage].block]
        if name == "target" and block.get("crosscheck"):
            other = {"engine": COMPARED[stage][0]} | block["crosscheck_params"]
            yield stage, stage_params(config, stage) | other


def _trained(results: Path, store: Store) -> Iterator[Path]:
    models = {hashlib.sha256(p.read_bytes()).digest() for p in results.glob("study/models/*.npz")}
    for stage in TRAINED:
        for path in store.entries(stage):
            artifact = store.read(path)
            if artifact and hashlib.sha256(artifact.payload).digest() in models:
                yield path
