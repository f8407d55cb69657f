"""How the page was made: method, engines, versions, cost, configuration."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from poreflux.base.stage_names import CROSSCHECK, STAGES
from poreflux.report import published
from poreflux.report.numbers import NOT_A_NUMBER
from poreflux.report.rendering import Section, Table, render
from poreflux.report.sections.cost import cost
from poreflux.report.study import ENGINE_NAMES, TABLES, Study


def provenance(
    study: Study,
    authors: str = published.AUTHORS,
    doi: str = published.DOI,
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
    config = study.config
    body = render(
        "provenance",
        authors=authors,
        doi=doi,
        seed=study.setting("seed"),
        content=content,
        engines=_engines(study, stages),
        files=_files(study),
        cost=cost(study),
        config=yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=96)
        if config
        else "",
    )
    return Section("provenance", "How it was made", body)


def _engines(study: Study, stages: Sequence[str]) -> Table | None:
    versions = study.facts.get("engines") or {}
    nested = {k: v for k, v in versions.items() if isinstance(v, dict)}
    flat = {k: v for k, v in versions.items() if not isinstance(v, dict)}
    if flat:
        nested["all stages"] = flat
    rows = []
    for stage in dict.fromkeys([*stages, *nested]):
        if not _was_run(study, stage):
            continue
        key = study.setting(stage, "engine")
        packages = [f"{p} {v}" for p, v in sorted(nested.get(stage, {}).items())]
        if key or packages:
            engine = ENGINE_NAMES.get(key, key) if key else NOT_A_NUMBER
            rows.append([stage, engine, ", ".join(packages) or "our own code"])
    return Table(["Stage", "Engine", "External packages"], rows) if rows else None


def _was_run(study: Study, stage: str) -> bool:
    """Whether any set was computed in a stage; everything that is no stage of structures was."""
    checked = stage.removesuffix(CROSSCHECK)
    if checked not in TABLES:
        return True
    sets = study.sets if checked == stage else ["target"]
    return any(study.computes(name, checked) for name in sets)


def _files(study: Study) -> list[dict]:
    """Which tables were read from which files."""
    return [
        {"stage": stage, "set": name, "files": study.files(name, stage)}
        for stage in TABLES
        for name in study.sets
        if study.files(name, stage)
    ]
