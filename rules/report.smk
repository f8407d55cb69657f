"""The report: every table of the study on one page, and what the study cost."""

REPORTED = (SOURCE, TARGET)
FACTS = PLAN.facts()


rule collect_costs:
    """Sum up the CPU time that every stage took when its artifacts were made."""
    input:
        [PLAN.tables(stage, REPORTED) for stage in ("structures", *STAGES)],
        PLAN.crosscheck_tables(),
        PLAN.table("study", "scores"),
    output:
        table=PLAN.table("study", "cost"),
    log:
        f"{PLAN.logs}/collect_costs/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        *words(study=CONFIG.study),
        *code_of("collect_costs"),
        plan=for_script(PLAN),
        store=for_script(CONFIG.store),
        lineage=lineage_of,
    message:
        "Summing up CPU times"
    script:
        "../scripts/collect_costs.py"


rule map_landscape:
    """Map the energy of the guest in one target structure, and the guest's way through it."""
    input:
        structures=(
            PLAN.shard_tables("structures", TARGET) if TARGET in PLAN.sets else []
        ),
        diffusion=PLAN.tables("diffusion", [TARGET]),
    output:
        table=PLAN.table("study", "landscape"),
    log:
        f"{PLAN.logs}/map_landscape/study.log",
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=more_each_attempt(2000),
        runtime=30,
    params:
        *words(percolation=PLAN.stage_settings("percolation").model_dump(mode="json")),
        *code_of("map_landscape"),
        settings=for_script(PLAN.stage_settings("percolation")),
        lineage=lineage_of,
    message:
        "Mapping the channels of one structure"
    script:
        "../scripts/map_landscape.py"


rule build_report:
    """Write the page and its figures from the tables of the study."""
    input:
        structures=PLAN.tables("structures", REPORTED),
        geometry=PLAN.tables("geometry", REPORTED),
        energy=PLAN.tables("energy", REPORTED),
        percolation=PLAN.tables("percolation", REPORTED),
        uptake=PLAN.tables("uptake", REPORTED),
        diffusion=PLAN.tables("diffusion", [TARGET]),
        crosschecks=PLAN.crosscheck_tables(),
        groups=PLAN.groups(TARGET),
        pretraining=PLAN.table("study", "pretraining"),
        scores=PLAN.table("study", "scores"),
        importance=PLAN.table("study", "importance"),
        held_out=PLAN.table("study", "held_out"),
        cost=PLAN.table("study", "cost"),
        landscape=lambda wildcards: PLAN.landscape_tables(),
    output:
        html=report(
            PLAN.page(),
            caption="captions/page.rst",
            category="Pages",
            labels={"page": "study"},
        ),
        figures=report(
            directory(f"{PLAN.results}/report/figures"),
            patterns=["{figure}.png"],
            caption="captions/figures.rst",
            category="Figures of the study",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{PLAN.logs}/build_report/report.log",
    benchmark:
        f"{PLAN.logs}/build_report/report.benchmark.tsv"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *words(**FACTS),
        *code_of("build_report"),
        *template_words(),
        facts=for_script(FACTS),
        lineage=lineage_of,
    message:
        "Writing the report"
    script:
        "../scripts/build_report.py"


rule build_descriptor_report:
    """Write the page on structures and descriptors alone, of every set: no simulation needed."""
    input:
        structures=PLAN.tables("structures"),
        geometry=PLAN.tables("geometry"),
        energy=PLAN.tables("energy"),
        percolation=PLAN.tables("percolation"),
    output:
        html=report(
            PLAN.page("descriptors"),
            caption="captions/descriptors.rst",
            category="Pages",
            labels={"page": "structures and descriptors"},
        ),
        figures=report(
            directory(f"{PLAN.results}/report/descriptors/figures"),
            patterns=["{figure}.png"],
            caption="captions/descriptors.rst",
            category="Figures of structures and descriptors",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{PLAN.logs}/build_report/descriptors.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *words(**FACTS),
        *code_of("build_report"),
        *template_words(),
        facts=for_script(FACTS),
        sections=["catalogue", "structures", "descriptors"],
        lineage=lineage_of,
    message:
        "Writing the report on structures and descriptors"
    script:
        "../scripts/build_report.py"
