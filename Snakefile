# Poreflux: structures -> geometry, energy, percolation, uptake, diffusion -> features, labels -> learning
# -> report.
# The files under rules/ stand in the order in which data flow.

from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# The folder of this file, also where another workflow uses this one as a module.
ROOT = Path(str(workflow.current_basedir)).resolve()


configfile: ROOT / "config" / "config.yaml"


include: "rules/common.smk"
include: "rules/structures.smk"
include: "rules/stages.smk"
include: "rules/learning.smk"
include: "rules/report.smk"
include: "rules/synthesis.smk"


make_stale_again(workflow, lineage)
check_targets_first(workflow)


rule all:
    default_target: True
    input:
        lambda wildcards: PLAN.default_pages(),


rule geometry:
    input:
        PLAN.tables("geometry"),


rule energy:
    input:
        PLAN.tables("energy"),


rule percolation:
    input:
        PLAN.tables("percolation"),


rule descriptors:
    input:
        PLAN.page("descriptors"),


rule uptake:
    input:
        PLAN.tables("uptake"),


rule diffusion:
    input:
        PLAN.tables("diffusion"),


rule study:
    input:
        lambda wildcards: PLAN.study_tables(),


rule synthesis:
    input:
        lambda wildcards: PLAN.synthesis_page(),


rule predict:
    input:
        lambda wildcards: PLAN.predictions(),


rule validate:
    input:
        PLAN.crosscheck_tables(),
