"""What all rules share: the checked configuration, paths, sets and shards."""

import re
import sys
from pathlib import Path

LIBRARY = str(Path(workflow.basedir) / "workflow")
sys.path.insert(0, LIBRARY)

from poreflux import config as poreflux_config
from poreflux import intake, stages
from poreflux.crosscheck import COMPARED
from poreflux.errors import ConfigError
from poreflux.job import expose_library
from poreflux.learning import package_of
from poreflux.store import code_digest, package_version
from poreflux.synthesis import TABLES as SYNTHESIS_TABLES

expose_library(LIBRARY)

CONFIG = poreflux_config.complete(
    config,
    poreflux_config.load_schema(Path(workflow.basedir) / "config" / "schema.json"),
    workflow.configfiles,
)
RESULTS = f"results/{CONFIG['study']}"
LOGS = f"logs/{CONFIG['study']}"
SHARDS = CONFIG["shards"]
PRESSURES = CONFIG["learning"]["source_pressures_bar"]
SIZES = CONFIG["learning"]["sizes"]
LEARNERS = CONFIG["learning"]["learners"]
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
MEMBERS = {
    name: intake.list_members(spec, Path(workflow.basedir))
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


def members_of_shard(wildcards):
    """Names of one shard and where each comes from."""
    return {
        name: source
        for name, source in MEMBERS[wildcards.set].items()
        if intake.shard_of(name, SHARDS) == int(wildcards.shard)
    }


def shard_table(stage):
    """Path pattern of the table that one shard job writes."""
    return f"{RESULTS}/{{set}}/shards/{stage}/{{shard}}-of-{SHARDS}.parquet"


def shard_tables_of(stage, set_name):
    """The tables of all shards of a set that hold at least one structure."""
    used = sorted({intake.shard_of(name, SHARDS) for name in MEMBERS[set_name]})
    return [shard_table(stage).format(set=set_name, shard=k) for k in used]


def stage_tables(stage):
    """The tables of a stage, of every set that asks for it."""
    return [
        f"{RESULTS}/{name}/{stage}.parquet"
        for name in SETS
        if stage in SETS[name]["stages"]
    ]


def feature_tables(wildcards):
    """The tables that make the features of a set."""
    wanted = ["geometry", "energy"]
    if "percolation" in SETS[wildcards.set]["stages"]:
        wanted.append("percolation")
    return [f"{RESULTS}/{wildcards.set}/{stage}.parquet" for stage in wanted]


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
    ]


def crosscheck_params(stage):
    """Parameters of the reference code: the stage's own but for what the cross-check changes."""
    block = CONFIG[stages.STAGES[stage].block]
    return stages.stage_params(CONFIG, stage) | block["crosscheck_params"]


def source_model(pressure):
    """Path pattern of the source models at one pressure."""
    return f"{RESULTS}/study/models/{{learner}}-source-{pressure}bar.npz"


def memory(per_worker_mb):
    """Memory of a job: what it holds itself and each worker's share, more after a failure."""
    return lambda wildcards, attempt, threads: attempt * (500 + threads * per_worker_mb)


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
    """Versions of the packages outside Poreflux, by stage."""
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
        package_of(learner): package_version(package_of(learner))
        for learner in LEARNERS
    }
    return engines


def synthesis_table(name):
    """Path of a table of synthesis conditions that the configuration names."""
    if name not in SYNTHESIS_FILES:
        raise ConfigError(
            "there are no tables of synthesis conditions: "
            "add --configfile config/synthesis.yaml or a file like it"
        )
    return SYNTHESIS_FILES[name]


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


def default_pages():
    """What a run without a target makes: the pages that the configuration has the material for."""
    pages = []
    if {"source", "target"} <= set(SETS):
        pages.append(f"{RESULTS}/report/index.html")
    elif SETS:
        pages.append(f"{RESULTS}/report/descriptors/index.html")
    if CONFIG["synthesis"]:
        pages.append(f"{RESULTS}/report/synthesis/index.html")
    return pages
