"""What all rules share: the checked configuration, paths, sets and shards."""

import os
import sys
from pathlib import Path

LIBRARY = str(Path(workflow.basedir) / "workflow")
# Scripts run in processes of their own; they find the library without being installed.
sys.path.insert(0, LIBRARY)
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys(
        [LIBRARY, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    )
)

from poreflux import config as poreflux_config
from poreflux import intake, stages
from poreflux.errors import ConfigError
from poreflux.store import code_digest

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

SETS = dict(CONFIG["structures"])
if CONFIG["predict"]["cifs"]:
    SETS["predict"] = {
        "cifs": CONFIG["predict"]["cifs"],
        "stages": ["geometry", "energy"],
    }
MEMBERS = {
    name: intake.list_members(spec, Path(workflow.basedir))
    for name, spec in SETS.items()
}


wildcard_constraints:
    set="|".join(SETS),
    stage="|".join(["structures", *stages.STAGES]),
    shard=r"\d+",
    pressure=r"[0-9.]+",
    size=r"\d+",


localrules:
    all,
    geometry,
    energy,
    uptake,
    diffusion,
    study,
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


def crosscheck_tables():
    """The tables that compare our engines with the reference codes."""
    return [
        f"{RESULTS}/target/crosscheck_{stage}.parquet"
        for stage, block in (("uptake", "gcmc"), ("diffusion", "md"))
        if CONFIG[block]["crosscheck"]
        and stage in SETS["target"]["stages"]
    ]


def crosscheck_params(stage):
    """Parameters of the reference code: the stage's own but for what the cross-check changes."""
    block = CONFIG[stages.STAGES[stage].block]
    return stages.stage_params(CONFIG, stage) | block["crosscheck_params"]


def memory(per_worker_mb):
    """Memory of a job: what it holds itself and each worker's share, more after a failure."""
    return lambda wildcards, attempt, threads: attempt * (500 + threads * per_worker_mb)


rule collect_tables:
    """Join the shard tables of a stage: the same table whatever the number of shards."""
    input:
        lambda wildcards: shard_tables_of(wildcards.stage, wildcards.set),
    output:
        f"{RESULTS}/{{set}}/{{stage}}.parquet",
    log:
        f"{LOGS}/collect_tables/{{set}}-{{stage}}.log",
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("poreflux.tables"),
        failures=CONFIG["limits"]["failed_share"],
    message:
        "Joining the {wildcards.stage} tables of {wildcards.set}"
    script:
        "../scripts/collect_tables.py"
