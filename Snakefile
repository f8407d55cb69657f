# Poreflux: structures -> geometry, energy, percolation, uptake, diffusion -> features, labels -> learning
# -> report.
# One file under rules/ a stage, in the order in which data flow.

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/common.smk"
include: "rules/structures.smk"
include: "rules/geometry.smk"
include: "rules/energy.smk"
include: "rules/percolation.smk"
include: "rules/uptake.smk"
include: "rules/diffusion.smk"
include: "rules/collect.smk"
include: "rules/imported.smk"
include: "rules/features.smk"
include: "rules/labels.smk"
include: "rules/pretrain.smk"
include: "rules/finetune.smk"
include: "rules/importance.smk"
include: "rules/predict.smk"
include: "rules/report.smk"
include: "rules/synthesis.smk"


rule all:
    default_target: True
    input:
        default_pages,


rule geometry:
    input:
        stage_tables("geometry"),


rule energy:
    input:
        stage_tables("energy"),


rule percolation:
    input:
        stage_tables("percolation"),


rule descriptors:
    input:
        f"{RESULTS}/report/descriptors/index.html",


rule uptake:
    input:
        stage_tables("uptake"),


rule diffusion:
    input:
        stage_tables("diffusion"),


rule study:
    input:
        study_tables,


rule synthesis:
    input:
        synthesis_page,


rule predict:
    input:
        predictions,


rule validate:
    input:
        crosscheck_tables(),
