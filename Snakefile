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
agreement.answer(PLAN, lineage)
check_targets_first(workflow)


rule all:
    """The pages of the study: everything that the configuration asks for."""
    default_target: True
    input:
        lambda wildcards: PLAN.default_pages(),


rule geometry:
    """Pore diameters, surface areas and void fractions of every set."""
    input:
        PLAN.tables("geometry"),


rule energy:
    """Energy histograms of every set and guest."""
    input:
        PLAN.all_tables("energy"),


rule percolation:
    """Channels, barriers, mobilities and Henry coefficients of every set, guest and temperature."""
    input:
        PLAN.all_tables("percolation"),


rule descriptors:
    """Geometry, energy and percolation of every set, on a page of their own; no simulation."""
    input:
        PLAN.page("descriptors"),


rule uptake:
    """Uptakes by grand canonical Monte Carlo of every set, guest and temperature."""
    input:
        PLAN.all_tables("uptake"),


rule diffusion:
    """Self-diffusivities of every set that asks for them, guest and temperature."""
    input:
        PLAN.all_tables("diffusion"),


rule study:
    """The learning: source models, direct and transfer learning, importance, held-out structures."""
    input:
        lambda wildcards: PLAN.study_tables(),


rule synthesis:
    """The study of synthesis conditions and particle size, with its page."""
    input:
        lambda wildcards: PLAN.synthesis_page(),


rule predict:
    """Diffusivities of CIFs of your own (predict.cifs), from the models of the study."""
    input:
        lambda wildcards: PLAN.predictions(),


rule validate:
    """A few structures again with RASPA3 and LAMMPS."""
    input:
        PLAN.crosscheck_tables(),
