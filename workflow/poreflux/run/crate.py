"""A finished study as an RO-Crate: what made each table, in a form that other tools read.

The crate follows the profile Process Run Crate 0.5 of Workflow Run RO-Crate: an action for each
stage, with the software that ran, what it read and what it wrote.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from poreflux import __version__
from poreflux.base.errors import ConfigError, DataError
from poreflux.base.records import record_of
from poreflux.base.tables import write_csv
from poreflux.run.plan import StudyPlan
from poreflux.run.stages import STAGES
from poreflux.run.triggers import plain, words
from poreflux.run.usage import used_by
from poreflux.store import Store, package_version

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# Written into the study's folder beside its tables.
ARTIFACTS, CONFIGURATION = "artifacts.csv", "config.json"
METADATA = "ro-crate-metadata.json"
LICENSE = "https://creativecommons.org/licenses/by/4.0/"
FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".npz": "application/zip",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def export(
    plan: StudyPlan,
    store: Store,
    *,
    license: str = LICENSE,
    author: str | None = None,
) -> Path:
    """Write ``ro-crate-metadata.json`` into a study's folder, with what it names.

    Parameters
    ----------
    plan : StudyPlan
        Of the study. Nothing in its folder of results is changed; :data:`CONFIGURATION` and
        :data:`ARTIFACTS` (key, CPU seconds and versions of each artifact) are added.
    store : Store
        Where the study's artifacts are.
    license : str
        Address of the licence of the results.
    author : str, optional
        Name of who answers for them.

    Returns
    -------
    Path
        The metadata file. The folder is the crate.

    Raises
    ------
    DataError
        If the study has no results there, or its tables were made with other settings.
    ConfigError
        If the package ``rocrate`` is not installed.
    """
    if find_spec("rocrate") is None:
        raise ConfigError("the package rocrate is not installed; install envs/requirements.txt")
    from rocrate.rocrate import ROCrate

    folder, config = Path(plan.results), plan.config.model_dump(mode="json")
    if not list(folder.glob("*/*.parquet")):
        raise DataError(f"no tables in {folder}; run the study first")
    _check_settings(plan)
    versions = _write_artifacts(used_by(plan, store), store, folder / ARTIFACTS)
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIGURATION).write_text(text, encoding="utf-8")

    crate = ROCrate(version="1.1")  # that of the profile
    crate.name = f"Poreflux study {config['study']}"
    crate.description = (
        "Structures of metal-organic frameworks, their descriptors, uptakes and diffusivities, "
        "and models of the diffusivity learnt from them."
    )
    crate.license = license
    crate.root_dataset["conformsTo"] = _add(
        crate, PROFILE, "CreativeWork", name="Process Run Crate", version="0.5"
    )
    if author:
        crate.root_dataset["author"] = _add(crate, "#author", "Person", name=author)
    files = {
        str(path.relative_to(folder)): _add_file(crate, path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != METADATA and not path.name.startswith(".")
    }
    for title, software, read, written in _actions(plan, versions):
        results = [files[name] for name in files if _matches(name, written)]
        if results:
            _add(
                crate,
                f"#{title.replace(' ', '-')}",
                "CreateAction",
                name=title,
                instrument=_software(crate, title, software),
                object=[files[CONFIGURATION], *(files[n] for n in files if _matches(n, read))],
                result=results,
            )
    for action in crate.get_by_type("CreateAction"):
        crate.root_dataset.append_to("mentions", action)
    crate.metadata.write(folder)
    return folder / METADATA


def _check_settings(plan: StudyPlan) -> None:
    """Check that the stages' tables were made with the settings that the crate will name."""
    for name, of_set in plan.sets.items():
        for stage in of_set.computed:
            settings = plan.stage_settings(stage).model_dump(mode="json")
            wanted = set(map(plain, words(**{stage: settings})))
            for path in filter(os.path.exists, plan.shard_tables(stage, name)):
                record = record_of(path)
                missing = sorted(wanted - set(record.words if record else ()))
                if missing:
                    raise DataError(
                        f"{path} was not made with {', '.join(missing)}; give the --configfile "
                        "that the study was run with, or run it again with these"
                    )


def _write_artifacts(paths: set[Path], store: Store, output: Path) -> dict[str, dict[str, str]]:
    """Write a row an artifact; returns versions of engines and libraries by stage."""
    versions: dict[str, dict[str, str]] = {}
    rows = []
    for path in sorted(paths):
        manifest = store.manifest(path)
        if manifest is None:
            continue
        facts = manifest["facts"]
        found = manifest["engines"] | facts.get("versions", {})
        versions.setdefault(manifest["stage"], {}).update(found)
        rows.append(
            [
                *(manifest[k] for k in ("stage", "subject", "key", "code")),
                facts.get("cpu_s", ""),
                json.dumps(manifest["engines"]),
                json.dumps(facts.get("versions", {})),
            ]
        )
    columns = ["stage", "subject", "key", "code", "cpu_s", "engines", "versions"]
    # as objects: a number without a value beside it stays as it is
    write_csv(pd.DataFrame(rows, columns=columns, dtype=object), output)
    return versions


def _actions(plan: StudyPlan, versions: dict[str, dict[str, str]]):
    """Title, software, patterns of files read and of files written, of each step."""
    common = {"python": platform.python_version(), "snakemake": package_version("snakemake")}
    sets = [s.name for s in plan.sets.values() if not s.is_tables_alone]
    structures = (*(f"{name}/structures.parquet" for name in sets), "*/shards/structures/*")
    yield "read structures", common | versions.get("build", {}), (), structures
    given = tuple(
        f"{name}/{stage}.parquet" for name, s in plan.sets.items() for stage in s.from_files
    )
    yield "read tables from files", common, (), given
    engines = plan.engines()
    for name in STAGES:
        software = common | engines[name] | versions.get(name, {})
        made = [f"{s.name}/{name}.parquet" for s in plan.sets.values() if name in s.computed]
        further = [t for t, stage, _ in plan.gases.variants.values() if t != stage == name]
        made += [f"*/{table}.parquet" for table in further]
        made += [f"*/shards/{table}/*" for table in (name, *further)]
        yield name, software, ("*/shards/structures/*",), tuple(made)
    learning = common | plan.learning_packages() | versions.get("finetune", {})
    for table, behind in plan.gases.activations.items():
        read = tuple(f"*/{name}.parquet" for name in behind.values())
        yield table, common, read, (f"*/{table}.parquet",)
    tables = tuple(f"*/{name}.parquet" for name in plan.feature_variants.values())
    yield "features", common, tables, ("*/features.parquet",)
    tables = (*plan.gases.variants, *plan.gases.activations)
    labelling = tuple(f"*/{name}.parquet" for name in tables)
    yield "labels", common, labelling, ("*/labels.parquet",)
    learnt = ("*/features.parquet", "*/labels.parquet")
    yield "learning", learning, learnt, ("study/*",)
    yield (
        "prediction",
        learning,
        ("predict/features.parquet", "study/models/*"),
        ("predict/predictions.*",),
    )
    report = common | {"matplotlib": package_version("matplotlib")}
    yield "report", report, ("*/*.parquet",), ("report/*",)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path matches; ``*`` at the end stands for any depth, elsewhere for one part."""
    for pattern in patterns:
        parts, given = pattern.split("/"), name.split("/")
        if parts[-1] == "*":
            given = [*given[: len(parts) - 1], "/".join(given[len(parts) - 1 :])]
        if len(parts) == len(given) and all(
            Path(g).match(p) for p, g in zip(parts, given, strict=True)
        ):
            return True
    return False


def _add(crate, identifier: str, kind: str, **properties):
    from rocrate.model.contextentity import ContextEntity

    found = crate.dereference(identifier)
    return found or crate.add(
        ContextEntity(crate, identifier, properties={"@type": kind} | properties)
    )


def _add_file(crate, path: Path, folder: Path):
    name = str(path.relative_to(folder))
    data = path.read_bytes()
    properties = {
        "name": name,
        "contentSize": str(len(data)),
        "sha256": hashlib.sha256(data).hexdigest(),
        "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
    }
    return crate.add_file(path, dest_path=name, properties=properties)


def _software(crate, title: str, versions: dict[str, str]):
    """Poreflux in one role, and the packages that it draws on there."""
    packages = [
        _package(crate, *item) for item in sorted(versions.items()) if item[0] != "poreflux"
    ]
    return _add(
        crate,
        f"#poreflux-{title.replace(' ', '-')}",
        "SoftwareApplication",
        name=f"Poreflux: {title}",
        softwareVersion=versions.get("poreflux", __version__),
        softwareRequirements=packages,
    )


def _package(crate, name: str, version: str):
    page = f"https://pypi.org/project/{name}/{version}/"
    if name == "python":
        page = f"https://www.python.org/downloads/release/python-{version.replace('.', '')}/"
    return _add(crate, page, "SoftwareApplication", name=name, softwareVersion=version, url=page)
