"""What all rules share: the checked configuration, paths, sets and shards."""

import platform
import re
import sys
from pathlib import Path

LIBRARY = str(Path(workflow.basedir) / "workflow")
sys.path.insert(0, LIBRARY)

import numpy as np

from poreflux.run import config as poreflux_config
from poreflux.data import features
from poreflux.run import intake
from poreflux.data import labels
from poreflux.run import stages
from poreflux.run.crosscheck import COMPARED
from poreflux.base.errors import ConfigError
from poreflux.run.job import expose_library
from poreflux.learning.learners import get_learner
from poreflux.learning.splits import draws_of_sizes
from poreflux.base.canonical import canonical_json, digest
from poreflux.store import package_version
from poreflux.store.code import code_digest, code_parts
from poreflux.synthesis import TABLES as SYNTHESIS_TABLES
from poreflux.synthesis.table import Schema

expose_library(LIBRARY)

CONFIG = poreflux_config.complete(
    config,
    poreflux_config.load_schema(Path(workflow.basedir) / "config" / "schema.json"),
    workflow.configfiles,
)
RESULTS = f"results/{CONFIG['study']}"
LOGS = f"logs/{CONFIG['study']}"
SHARDS = CONFIG["shards"]
# What is learnt: on the source a model a label, on the target one label.
LABELS = {
    "source": labels.requested_labels(
        CONFIG["learning"]["source_labels"],
        CONFIG["learning"]["source_pressures_bar"],
        CONFIG["labels"],
    ),
    "target": labels.requested_labels(
        [CONFIG["learning"]["target_label"]], [], CONFIG["labels"]
    ),
}
if len(LABELS["target"]) != 1 or labels.ISOTHERM in LABELS["target"]:
    raise ConfigError(
        "learning.target_label: uptake at which pressure? Such as uptake_65bar"
    )
SINGLE_LABELS = {
    name: labels.scalar_labels(of, CONFIG["learning"]["source_pressures_bar"])
    for name, of in LABELS.items()
}
SIZES = CONFIG["learning"]["sizes"]
DRAWS = draws_of_sizes(SIZES, CONFIG["learning"]["draws"])
LEARNERS = CONFIG["learning"]["learners"]
if labels.ISOTHERM in LABELS["source"]:
    for learner in LEARNERS:
        if not get_learner(learner).transfers_isotherms:
            raise ConfigError(
                f"learning.source_labels: {learner} refits on the rows of one label and cannot "
                "take isotherm"
            )
# Of one structure in one stage; the third limit is that of a table.
EACH_STRUCTURES_LIMITS = {k: CONFIG["limits"][k] for k in ("seconds", "memory_mb")}
# What every training job is told besides its data.
TRAINING = {
    "protocol": CONFIG["learning"]["protocol"],
    "seed": CONFIG["seed"],
    "device": CONFIG["learning"]["device"],
}

SETS = dict(CONFIG["structures"])
if CONFIG["predict"]["cifs"]:
    SETS["predict"] = {
        "cifs": CONFIG["predict"]["cifs"],
        "stages": ["geometry", "energy", "percolation"],
    }


def tables_from_files():
    """Tables that are read from files: what the configuration says of each, by set and stage."""
    found = {}
    for name, spec in SETS.items():
        tables = {k: told for k, told in (spec.get("tables") or {}).items() if told}
        for stage, told in tables.items():
            files = told["files"]
            files = [files] if isinstance(files, str) else files
            paths = [intake.find_file(f, Path(workflow.basedir)) for f in files]
            found[f"{name}/{stage}"] = told | {"files": paths}
        if tables and not spec.get("cifs") and not spec.get("package"):
            paths = [p for stage in tables for p in found[f"{name}/{stage}"]["files"]]
            found[f"{name}/structures"] = {"files": list(dict.fromkeys(paths))}
    return found


IMPORTED = tables_from_files()
for name, spec in SETS.items():
    # a set without CIFs has only what is read
    computed = [] if f"{name}/structures" in IMPORTED else spec["stages"]
    read = [stage for stage in stages.STAGES if f"{name}/{stage}" in IMPORTED]
    SETS[name] = spec | {"stages": list(dict.fromkeys([*computed, *read]))}

LABEL_FILES = {
    name: intake.find_file(spec["file"], Path(workflow.basedir))
    for name, spec in CONFIG["labels"].items()
}

# By set and shard: names and where each comes from.
SHARD_MEMBERS = {
    name: intake.by_shard(intake.list_members(spec, Path(workflow.basedir)), SHARDS)
    for name, spec in SETS.items()
}

# Looked for at once: Snakemake takes results whose input cannot be named for finished.
SYNTHESIS_FILES = {
    name: intake.find_file(CONFIG["synthesis"][name], Path(workflow.basedir))
    for name in ("literature", "in_house", "new_conditions")
    if CONFIG["synthesis"] and CONFIG["synthesis"][name]
}


wildcard_constraints:
    set="|".join(SETS),
    stage="|".join(["structures", *stages.STAGES]),
    shard=r"\d+",
    learner="|".join(map(re.escape, LEARNERS)),
    size=r"\d+",


localrules:
    all,
    geometry,
    energy,
    percolation,
    descriptors,
    uptake,
    diffusion,
    study,
    synthesis,
    predict,
    validate,


def compared(**values):
    """Params that Snakemake compares and names in a dry run: ``md.n_molecules = 40``.

    It compares the values of all params as one set, without their names, and shows what it did
    not find: so a leaf is a word, and what scripts read is :func:`handed` on.
    """

    def leaves(name, value):
        if isinstance(value, dict) and value:
            return [word for k, v in value.items() for word in leaves(f"{name}.{k}", v)]
        return [f"{name} = {canonical_json(value)}"]

    words = [word for name, value in values.items() for word in leaves(name, value)]
    # braces would be wildcards
    return [word.replace("{", "{{").replace("}", "}}") for word in words]


def compared_code(*modules):
    """The same of library modules and all that they draw on."""
    return compared(**{f"code {k}": v[:12] for k, v in code_parts(*modules).items()})


def learner_modules(names):
    """The modules of learners, which the library loads by name."""
    return [get_learner(name).module for name in names]


def compared_learner(wildcards):
    """The code of one learner, as one word."""
    code = code_digest(*learner_modules([wildcards.learner]))
    return compared(**{f"code of {wildcards.learner}": code[:12]})[0]


def compared_of_stage(name):
    """The same of a per-structure stage."""
    stage, params = stages.STAGES[name], stages.stage_params(CONFIG, name)
    return compared(
        **{f"code {k}": v[:12] for k, v in stage.code_parts().items()},
        **{stage.block: params},
        **stage.data(params),
        engines=stage.engines(params),
        limits=EACH_STRUCTURES_LIMITS,
    )


def compared_of_crosscheck(name):
    """The same of the repetition with the reference code."""
    stage, params = stages.STAGES[name], crosscheck_params(name)
    return [
        *compared_code("poreflux.run.crosscheck"),
        *compared(
            **{stage.block: params | {"crosscheck": CONFIG[stage.block]["crosscheck"]}},
            **stage.data(params),
            engines=stage.engines(params | {"engine": COMPARED[name][0]}),
            limits=EACH_STRUCTURES_LIMITS,
        ),
    ]


def handed(value):
    """A param for the script alone; Snakemake compares no function that takes the input."""
    return lambda wildcards, input: value


def members_of_shard(wildcards):
    """Names of one shard and where each comes from."""
    return SHARD_MEMBERS[wildcards.set].get(int(wildcards.shard), {})


def compared_members(wildcards):
    """The same of the names in a shard: how many, and a digest."""
    members = members_of_shard(wildcards)
    return f"{len(members)} structures ({digest(members)[:12]})"


def shard_table(stage):
    """Path pattern of the table that one shard job writes."""
    return f"{RESULTS}/{{set}}/shards/{stage}/{{shard}}-of-{SHARDS}.parquet"


def shard_tables_of(stage, set_name):
    """The tables of all shards of a set that hold at least one structure."""
    pattern = shard_table(stage)
    return [pattern.format(set=set_name, shard=k) for k in SHARD_MEMBERS[set_name]]


def stage_tables(stage):
    """The tables of a stage, of every set that asks for it."""
    return [
        f"{RESULTS}/{name}/{stage}.parquet"
        for name in SETS
        if stage in SETS[name]["stages"]
    ]


def known_structures(wildcards):
    """The structures of a set that has CIFs, for its tables from files."""
    set_name = wildcards.imported.partition("/")[0]
    if f"{set_name}/structures" in IMPORTED:
        return []
    return f"{RESULTS}/{set_name}/structures.parquet"


def told_of(wildcards):
    """What the configuration says of a table from files, by stage: of all for the structures."""
    set_name, _, stage = wildcards.imported.partition("/")
    return {
        name.partition("/")[2]: told
        for name, told in IMPORTED.items()
        if name.startswith(f"{set_name}/")
        and (stage == "structures" or name == wildcards.imported)
        and name != f"{set_name}/structures"
    }


def feature_tables(set_name):
    """The tables that make the features of a set, as the learners want them."""
    stages_of = [features.stages_of(get_learner(name).feature_set) for name in LEARNERS]
    wanted = dict.fromkeys(stage for some in stages_of for stage in some)
    for stage in wanted:
        if (
            f"{set_name}/structures" in IMPORTED
            and stage not in SETS[set_name]["stages"]
        ):
            raise ConfigError(
                f"the features of {', '.join(LEARNERS)} need the stage {stage}, of which the set "
                f"{set_name} has no table (structures.{set_name}.tables.{stage}), nor CIFs to "
                "compute it from; choose other learning.learners or add one"
            )
    return [f"{RESULTS}/{set_name}/{stage}.parquet" for stage in wanted]


def study_tables(wildcards):
    """The study's tables, if there is something to learn from and to transfer to."""
    missing = {"source", "target"} - set(SETS)
    if missing:
        raise ConfigError(
            f"a study needs the sets source and target; {' and '.join(sorted(missing))} not "
            "found under structures: in the configuration"
        )
    check_study()
    return [
        f"{RESULTS}/study/{name}.parquet"
        for name in ("pretraining", "scores", "importance")
    ]


def synthesis_page(wildcards):
    """The page on synthesis conditions, if there are tables of them."""
    if not CONFIG["synthesis"]:
        raise ConfigError(
            "there are no tables of synthesis conditions: "
            "add --configfile config/synthesis.yaml or a file like it"
        )
    return f"{RESULTS}/report/synthesis/index.html"


def predictions(wildcards):
    """The predictions, if there is anything to predict."""
    if "predict" not in SETS:
        raise ConfigError(
            "name CIFs of your own: --config 'predict={cifs: \"my/*.cif\"}'"
        )
    return f"{RESULTS}/predict/predictions.csv"


def crosscheck_tables():
    """The tables that compare our engines with the reference codes."""
    return [
        f"{RESULTS}/target/crosscheck_{stage}.parquet"
        for stage in COMPARED
        if CONFIG[stages.STAGES[stage].block]["crosscheck"]
        and stage in SETS.get("target", {"stages": []})["stages"]
        and f"target/{stage}" not in IMPORTED
    ]


def crosscheck_params(stage):
    """Parameters of the reference code: the stage's own but for what the cross-check changes."""
    block = CONFIG[stages.STAGES[stage].block]
    return stages.stage_params(CONFIG, stage) | block["crosscheck_params"]


def source_model(label):
    """Path pattern of the source models of one label."""
    return f"{RESULTS}/study/models/{{learner}}-source-{label}.npz"


def check_study():
    """Name what a study lacks, even where results of an earlier one would hide it."""
    for set_name in ("source", "target"):
        feature_tables(set_name)
        label_inputs(set_name)


def label_inputs(set_name):
    """What the labels of a set are made of, by label."""
    inputs = {}
    for label in SINGLE_LABELS[set_name]:
        if label in LABEL_FILES:
            inputs[label] = LABEL_FILES[label]
            continue
        kind = labels.kind_of(label)
        stage = labels.STAGES[kind]
        pressures = CONFIG["gcmc"]["pressures_bar"]
        if (
            kind == labels.UPTAKE
            and not np.isclose(labels.pressure_of(label), pressures, rtol=1e-5).any()
        ):
            raise ConfigError(
                f"the label {label} is at none of gcmc.pressures_bar ({canonical_json(pressures)});"
                " add it there, or take it out of learning.source_pressures_bar (or the labels)"
            )
        if stage not in SETS[set_name]["stages"]:
            raise ConfigError(
                f"the label {label} needs the stage {stage}, which the set {set_name} does "
                f"not pass through (structures.{set_name}.stages or .tables)"
            )
        inputs[label] = f"{RESULTS}/{set_name}/{stage}.parquet"
    return inputs


def memory(per_worker_mb, device="cpu"):
    """Memory of a job: what it holds itself and each worker's share, more after a failure.

    And what is prepared for a GPU, up to stages.GPU_BATCH structures at once.
    """
    own_mb = 20_000 if device == "cuda" else 500
    return lambda wildcards, attempt, threads: attempt * (
        own_mb + threads * per_worker_mb
    )


def report_tables(stage):
    """The tables of a stage, of the source and target sets that pass through it."""
    return [
        f"{RESULTS}/{name}/{stage}.parquet"
        for name in ("source", "target")
        if name in SETS and stage in ("structures", *SETS[name]["stages"])
    ]


def descriptor_tables(stage):
    """The tables of a stage, of every set: of ``structures`` or one of the descriptors."""
    return [
        f"{RESULTS}/{name}/{stage}.parquet"
        for name in SETS
        if stage in ("structures", *SETS[name]["stages"])
    ]


def report_engines():
    """Versions of the packages outside Poreflux, by stage, and of those that all stages use."""
    engines = {
        name: stage.engines(stages.stage_params(CONFIG, name))
        for name, stage in stages.STAGES.items()
    }
    for name, (engine, *_) in COMPARED.items():
        if CONFIG[stages.STAGES[name].block]["crosscheck"]:
            engines[f"{name} (cross-check)"] = stages.STAGES[name].engines(
                {"engine": engine}
            )
    engines["learning"] = {
        package: package_version(package)
        for learner in LEARNERS
        for package in get_learner(learner).packages
    }
    everywhere = ("snakemake", "numpy", "scipy", "numba", "gemmi", "pandas", "pyarrow")
    versions = {name: package_version(name) for name in everywhere}
    return engines | versions | {"python": platform.python_version()}


def synthesis_settings():
    """What the configuration says of learning from tables of synthesis conditions."""
    blocks = ("columns", "structure", "transfer", "augmentation", "validation")
    given = CONFIG["synthesis"] or {}
    return {name: given.get(name) for name in (*blocks, "interpretation")}


def synthesis_predictions():
    """The table of new conditions, if there are any to predict."""
    given = CONFIG["synthesis"] or {}
    return (
        [f"{RESULTS}/synthesis/new_conditions.parquet"]
        if given.get("new_conditions")
        else []
    )


def default_pages(wildcards):
    """What a run without a target makes: the pages that the configuration has the material for."""
    pages = []
    if {"source", "target"} <= set(SETS):
        check_study()
        pages.append(f"{RESULTS}/report/index.html")
    elif SETS:
        pages.append(f"{RESULTS}/report/descriptors/index.html")
    if CONFIG["synthesis"]:
        pages.append(f"{RESULTS}/report/synthesis/index.html")
    if not pages:
        raise ConfigError(
            "nothing to do: neither sets under structures: nor synthesis: in the configuration"
        )
    return pages
