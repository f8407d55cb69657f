"""What all rules share: the plan of the study, and what makes their jobs run again."""

import re
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

LIBRARY = str(ROOT / "workflow")
if not Path(LIBRARY).is_dir():
    raise WorkflowError(
        f"{ROOT} is no local folder: Poreflux needs its library beside its Snakefile. "
        "Clone the repository and name the Snakefile of the clone."
    )
sys.path.insert(0, LIBRARY)

from snakemake.iocontainers import Wildcards
from snakemake.scheduling.job_scheduler import JobScheduler

from poreflux.learning.learners import get_learner
from poreflux.run import agreement
from poreflux.run.config import complete
from poreflux.run.job import answer_sigterm_in_a_thread, expose_library
from poreflux.run.lineage import Lineage, make_stale_again
from poreflux.run.members import fits_snakemake, word_for
from poreflux.run.plan import SOURCE, TARGET, StudyPlan
from poreflux.run.progress import announce
from poreflux.run.stages import STAGES
from poreflux.run.triggers import Place, code_words, for_script, template_words, words

expose_library(LIBRARY)
answer_sigterm_in_a_thread(JobScheduler)

CONFIG = complete(config, workflow.configfiles)
PLAN = StudyPlan(CONFIG, ROOT)
PLAN.check()
announce(PLAN)

LIMITS = CONFIG.limits.model_dump()
# Of one structure in one stage; the third limit is that of a table.
LIMITS_PER_STRUCTURE = {k: LIMITS[k] for k in ("seconds", "memory_mb")}


wildcard_constraints:
    set="|".join(map(re.escape, PLAN.sets)),
    stage="|".join(map(re.escape, ["structures", *PLAN.gases.variants])),
    shard=r"\d+",
    learner="|".join(map(re.escape, PLAN.learners)),
    size=r"\d+",


# Targets, and jobs of a second or two that are not worth a place in a cluster's queue.
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
    collect_tables,
    import_table,
    build_features,
    build_labels,
    collect_pretraining,
    collect_scores,
    collect_costs,
    collect_cases,


def code_of(script, learners=()):
    """Words for all the library code that a script draws on, and that of learners."""
    path = ROOT / "scripts" / f"{script}.py"
    return code_words(path, *(get_learner(name).module for name in learners))


def stage_words(stage, settings):
    """Words for what a stage computes with: settings, code, data, engines, limits."""
    values = settings.model_dump(mode="json")
    return code_words(STAGES[stage].room) + words(
        **{stage: values},
        data=STAGES[stage].data(values.get("guest")),
        engines=STAGES[stage].engines(values.get("engine")),
        limits=LIMITS_PER_STRUCTURE,
    )


def members_of_shard(wildcards):
    """Names of one shard's structures and where each comes from."""
    return PLAN.members[wildcards.set].get(int(wildcards.shard), {})


def members_word(wildcards):
    """A word for the structures of a shard: how many, and a digest."""
    return Place(word_for(members_of_shard(wildcards)))


@cache
def lineage():
    """What all rules make; asked once they are all there."""
    return Lineage(workflow.rules, Wildcards)


def lineage_of(wildcards, input, output):
    """For a script: what its inputs must have been made of, and what its outputs are."""
    return lineage().of_job(wildcards, input, output)


def memory(per_worker_mb, device="cpu"):
    """Memory of a job: its own, and a share per worker; more after a failure.

    With a GPU also what is prepared for it, up to poreflux.run.gpu.BATCH structures at once.
    """
    own_mb = 20_000 if device == "cuda" else 500
    return lambda wildcards, attempt, threads: attempt * (
        own_mb + threads * per_worker_mb
    )


def more_each_attempt(amount):
    """A resource that grows with every attempt."""
    return lambda wildcards, attempt: attempt * amount


def check_targets_first(workflow):
    """Let what is asked for and cannot be made say why, before Snakemake plans any job.

    An input function that raises ends in an InputFunctionException with a traceback. Where this
    workflow is a module, targets are those of another.
    """
    build = workflow._build_dag

    def check_and_build():
        for target in workflow.dag_settings.targets or ["all"]:
            PLAN.check_target(str(target))
        build()

    is_own = Path(workflow.main_snakefile).resolve().parent == ROOT
    if workflow.is_main_process and is_own:
        workflow._build_dag = check_and_build
