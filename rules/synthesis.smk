"""Synthesis: from conditions to particle size, from the literature to the laboratory."""

from poreflux.synthesis import TABLES as SYNTHESIS_TABLES

CONDITIONS = PLAN.synthesis_settings
SYNTHESIS_FACTS = PLAN.synthesis_facts()


rule check_conditions:
    """Read both tables, check every cell and record the rows left out."""
    input:
        literature=PLAN.synthesis_files.get("literature", []),
        in_house=PLAN.synthesis_files.get("in_house", []),
    output:
        literature=PLAN.table("synthesis", "literature"),
        in_house=PLAN.table("synthesis", "in_house"),
        dropped=PLAN.table("synthesis", "dropped"),
    log:
        f"{PLAN.logs}/check_conditions/synthesis.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *words(columns=CONDITIONS["columns"]),
        *code_of("check_conditions"),
        columns=for_script(CONDITIONS["columns"]),
        lineage=lineage_of,
    message:
        "Checking the tables of synthesis conditions"
    script:
        "../scripts/check_conditions.py"


rule evaluate_case:
    """Compare and interpret every variant on one case."""
    input:
        literature=PLAN.table("synthesis", "literature"),
        in_house=PLAN.table("synthesis", "in_house"),
    output:
        [
            PLAN.table("synthesis", f"cases/{{case}}/{table}")
            for table in SYNTHESIS_TABLES
        ],
    log:
        f"{PLAN.logs}/evaluate_case/{{case}}.log",
    benchmark:
        f"{PLAN.logs}/evaluate_case/{{case}}.benchmark.tsv"
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=more_each_attempt(2000),
        runtime=more_each_attempt(120),
    params:
        *words(synthesis=CONDITIONS, seed=CONFIG.seed),
        *code_of("evaluate_case"),
        case=lambda wildcards: PLAN.synthesis_cases[wildcards.case],
        settings=for_script(CONDITIONS),
        seed=for_script(CONFIG.seed),
        store=for_script(CONFIG.store),
        lineage=lineage_of,
    message:
        "Comparing ways of transfer: {wildcards.case}"
    script:
        "../scripts/evaluate_case.py"


rule collect_cases:
    """Join the tables of all cases."""
    input:
        expand(
            PLAN.table("synthesis", f"cases/{{case}}/{{table}}"),
            case=PLAN.synthesis_cases,
            table=SYNTHESIS_TABLES,
        ),
    output:
        expand(PLAN.table("synthesis", f"{{table}}"), table=SYNTHESIS_TABLES),
    log:
        f"{PLAN.logs}/collect_cases/synthesis.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code_of("collect_cases"),
        lineage=lineage_of,
    message:
        "Joining the tables of all cases"
    script:
        "../scripts/collect_cases.py"


rule predict_conditions:
    """Predict the target of conditions that were never run, by the first case's best variant."""
    input:
        new=PLAN.synthesis_files.get("new_conditions", []),
        literature=PLAN.table("synthesis", "literature"),
        in_house=PLAN.table("synthesis", "in_house"),
        scores=PLAN.table("synthesis", "scores"),
    output:
        table=PLAN.table("synthesis", "new_conditions"),
        csv=f"{PLAN.results}/synthesis/new_conditions.csv",
    log:
        f"{PLAN.logs}/predict_conditions/synthesis.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        *words(synthesis=CONDITIONS, seed=CONFIG.seed),
        *code_of("predict_conditions"),
        case=lambda wildcards: next(iter(PLAN.synthesis_cases.items())),
        settings=for_script(CONDITIONS),
        seed=for_script(CONFIG.seed),
        lineage=lineage_of,
    message:
        "Predicting new conditions"
    script:
        "../scripts/predict_conditions.py"


rule build_synthesis_report:
    """Write the page on transfer between the tables of synthesis conditions."""
    input:
        expand(PLAN.table("synthesis", f"{{table}}"), table=SYNTHESIS_TABLES),
        PLAN.table("synthesis", "dropped"),
        PLAN.table("synthesis", "new_conditions")
        if "new_conditions" in PLAN.synthesis_files
        else [],
    output:
        html=report(
            PLAN.page("synthesis"),
            caption="captions/synthesis.rst",
            category="Pages",
            labels={"page": "synthesis"},
        ),
        figures=report(
            directory(f"{PLAN.results}/report/synthesis/figures"),
            patterns=["{figure}.png"],
            caption="captions/synthesis.rst",
            category="Figures of synthesis",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{PLAN.logs}/build_report/synthesis.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *words(**SYNTHESIS_FACTS),
        *code_of("build_synthesis_report"),
        *template_words(),
        facts=for_script(SYNTHESIS_FACTS),
        files=for_script([*PLAN.synthesis_files.values()]),
        lineage=lineage_of,
    message:
        "Writing the report on synthesis"
    script:
        "../scripts/build_synthesis_report.py"
