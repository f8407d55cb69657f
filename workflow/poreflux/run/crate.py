"""A finished study as an RO-Crate: what made each table, in a form that other tools read.

The crate follows Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5), with it Process
Run Crate 0.5 and Workflow RO-Crate 1.0: the workflow, an action for its run as a whole, and one
for each stage with the software that ran, what it read and what it wrote.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from poreflux import __version__
from poreflux.base.errors import ConfigError, DataError
from poreflux.base.tables import write_csv
from poreflux.run.plan import StudyPlan
from poreflux.run.stages import STAGES
from poreflux.run.usage import used_by
from poreflux.store import Store, package_version

# Of the profiles that the crate follows: address, name, version.
PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
# Defines what RO-Crate 1.1 does not, such as sha256.
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
COMPLETED = "http://schema.org/CompletedActionStatus"
# Folder of the workflow's files in the crate.
WORKFLOW = "workflow"
# Written into the study's folder beside its tables.
ARTIFACTS, CONFIGURATION = "artifacts.csv", "config.json"
METADATA = "ro-crate-metadata.json"
# Outputs of the workflow by the ending of their files: name and what they are.
OUTPUTS = {
    ".parquet": ("tables", "A row per structure, label or model"),
    ".csv": ("csv", "Predictions as CSV"),
    ".npz": ("models", "Trained models"),
    ".html": ("pages", "Reports that can be read in a browser"),
}
LICENSE = "https://creativecommons.org/licenses/by/4.0/"
FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".npz": "application/zip",
    ".smk": "text/x-snakemake",
    "Snakefile": "text/x-snakemake",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def export(
    plan: StudyPlan,
    store: Store,
    *,
    license: str = LICENSE,
    author: str | None = None,
    without: Collection[Path] = (),
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
    without : collection of Path
        Files in the folder that are none of the study's, see
        :func:`poreflux.run.agreement.check_agreement`.

    Returns
    -------
    Path
        The metadata file. The folder is the crate.

    Raises
    ------
    DataError
        If the study has no results there.
    ConfigError
        If the package ``rocrate`` is not installed.
    """
    if find_spec("rocrate") is None:
        raise ConfigError("the package rocrate is not installed; install envs/requirements.txt")
    from rocrate.rocrate import ROCrate

    folder, config = Path(plan.results), plan.config.model_dump(mode="json")
    if not list(folder.glob("*/*.parquet")):
        raise DataError(f"no tables in {folder}; run the study first")
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
    crate.metadata.extra_contexts.append(CONTEXT)
    crate.root_dataset["conformsTo"] = [
        _add(crate, page, "CreativeWork", name=name, version=version)
        for page, name, version in PROFILES
    ]
    if author:
        crate.root_dataset["author"] = _add(crate, "#author", "Person", name=author)
    workflow = _add_workflow(crate, plan.folder, folder)
    files = {
        str(path.relative_to(folder)): _add_file(crate, path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in without
        if path.name != METADATA and not path.name.startswith(".")
        if path.relative_to(folder).parts[0] != WORKFLOW
    }
    results = {n: f for n, f in files.items() if n not in (CONFIGURATION, ARTIFACTS)}
    _add_run(crate, workflow, plan, files[CONFIGURATION], results)
    for title, software, read, written in _actions(plan, versions):
        made = [name for name in files if _matches(name, written)]
        if made:
            _add(
                crate,
                f"#{title.replace(' ', '-')}",
                "CreateAction",
                name=title,
                description=f"The step {title}, settings as in {CONFIGURATION}",
                instrument=_software(crate, title, software),
                endTime=_last_change(folder / name for name in made),
                object=[files[CONFIGURATION], *(files[n] for n in files if _matches(n, read))],
                result=[files[name] for name in made],
            )
    for action in crate.get_by_type("CreateAction"):
        crate.root_dataset.append_to("mentions", action)
        if author:
            action["agent"] = crate.root_dataset["author"]
        if action["instrument"] is not workflow:
            workflow.append_to("hasPart", action["instrument"])
    crate.metadata.write(folder)
    return folder / METADATA


def _add_workflow(crate, source: Path, folder: Path):
    """Snakefile and rules, copied into the crate, as its main workflow."""
    parts = {}
    for path in (source / "Snakefile", *sorted((source / "rules").glob("*.smk"))):
        name = f"{WORKFLOW}/{path.relative_to(source).as_posix()}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
        parts[name] = _properties(folder / name, path.name)
    main, *rules = parts
    workflow = crate.add_workflow(
        folder / main, main, main=True, lang="snakemake",
        properties=parts[main] | {"name": "Poreflux", "version": __version__},
    )  # fmt: skip
    for name in rules:
        kind = {"@type": ["File", "SoftwareSourceCode"]}
        rule = crate.add_file(folder / name, name, properties=parts[name] | kind)
        workflow.append_to("hasPart", rule)
    return workflow


def _add_run(crate, workflow, plan: StudyPlan, configuration, results: dict) -> None:
    """The run as a whole, and the parameters of the workflow that its files are values of."""
    given = _add_parameter(crate, "configfile", "Settings of the study (--configfile)")
    configuration["exampleOfWork"] = workflow["input"] = given
    for ending, (name, words) in OUTPUTS.items():
        made = [file for path, file in results.items() if path.endswith(ending)]
        if made:
            parameter = _add_parameter(crate, name, words, FORMATS[ending])
            workflow.append_to("output", parameter)
            for file in made:
                file["exampleOfWork"] = parameter
    folder = Path(plan.results)
    action = _add(
        crate,
        "#run",
        "CreateAction",
        name=f"Run of the study {plan.config.study}",
        description=f"Snakemake, with the settings in {CONFIGURATION}",
        instrument=workflow,
        endTime=_last_change(folder / name for name in results),
        object=[configuration],
        result=list(results.values()),
    )
    # the last thing that a run makes, unless it was asked for some tables alone
    if any(os.path.exists(plan.page(name)) for name in ("", "descriptors", "synthesis")):
        action["actionStatus"] = {"@id": COMPLETED}


def _add_parameter(crate, name: str, words: str, encoding: str = FORMATS[".json"]):
    properties = {"name": name, "description": words, "encodingFormat": encoding}
    return _add(crate, f"#{name}", "FormalParameter", additionalType="File", **properties)


def _last_change(paths: Iterable[Path]) -> str:
    """When the last of these files was written: ISO 8601."""
    last = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds")


def _write_artifacts(paths: set[Path], store: Store, output: Path) -> dict[str, dict[str, str]]:
    """Write a row per artifact; returns versions of engines and libraries by stage."""
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
    return crate.add_file(path, dest_path=name, properties=_properties(path, name))


def _properties(path: Path, name: str) -> dict[str, str]:
    data = path.read_bytes()
    return {
        "name": name,
        "contentSize": str(len(data)),
        "sha256": hashlib.sha256(data).hexdigest(),
        "encodingFormat": FORMATS.get(path.suffix or path.name, "application/octet-stream"),
    }


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
