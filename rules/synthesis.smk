"""Stage synthesis: from synthesis conditions to particle size, literature to laboratory."""

SYNTHESIS = CONFIG["synthesis"] or {"cases": {}}
SYNTHESIS_RESULTS = f"{RESULTS}/synthesis"


rule check_conditions:
    """Read both tables, check every cell and record the rows left out."""
    input:
        literature=lambda wildcards: synthesis_table("literature"),
        in_house=lambda wildcards: synthesis_table("in_house"),
    output:
        literature=f"{SYNTHESIS_RESULTS}/literature.parquet",
        in_house=f"{SYNTHESIS_RESULTS}/in_house.parquet",
        dropped=f"{SYNTHESIS_RESULTS}/dropped.parquet",
    log:
        f"{LOGS}/check_conditions/synthesis.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        columns=SYNTHESIS.get("columns"),
        code=code_digest("poreflux.synthesis.table"),
    message:
        "Checking the tables of synthesis conditions"
    script:
        "../scripts/check_conditions.py"


rule evaluate_case:
    """Compare and interpret every variant on one case."""
    input:
        literature=f"{SYNTHESIS_RESULTS}/literature.parquet",
        in_house=f"{SYNTHESIS_RESULTS}/in_house.parquet",
    output:
        [
            f"{SYNTHESIS_RESULTS}/cases/{{case}}/{table}.parquet"
            for table in SYNTHESIS_TABLES
        ],
    log:
        f"{LOGS}/evaluate_case/{{case}}.log",
    benchmark:
        f"{LOGS}/evaluate_case/{{case}}.benchmark.tsv"
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 2000,
        runtime=lambda wildcards, attempt: attempt * 120,
    params:
        case=lambda wildcards: SYNTHESIS["cases"][wildcards.case],
        settings=synthesis_settings(),
        seed=CONFIG["seed"],
        code=code_digest("poreflux.synthesis.stored"),
        store=CONFIG["store"],
    message:
        "Comparing ways of transfer: {wildcards.case}"
    script:
        "../scripts/evaluate_case.py"


rule collect_cases:
    """Join the tables of all cases."""
    input:
        expand(
            f"{SYNTHESIS_RESULTS}/cases/{{case}}/{{table}}.parquet",
            case=SYNTHESIS["cases"],
            table=SYNTHESIS_TABLES,
        ),
    output:
        expand(f"{SYNTHESIS_RESULTS}/{{table}}.parquet", table=SYNTHESIS_TABLES),
    log:
        f"{LOGS}/collect_cases/synthesis.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Joining the tables of all cases"
    script:
        "../scripts/collect_cases.py"


rule predict_conditions:
    """Predict the target of conditions that were never run, by the first case's best variant."""
    input:
        new=lambda wildcards: synthesis_table("new_conditions"),
        literature=f"{SYNTHESIS_RESULTS}/literature.parquet",
        in_house=f"{SYNTHESIS_RESULTS}/in_house.parquet",
        scores=f"{SYNTHESIS_RESULTS}/scores.parquet",
    output:
        table=f"{SYNTHESIS_RESULTS}/new_conditions.parquet",
        csv=f"{SYNTHESIS_RESULTS}/new_conditions.csv",
    log:
        f"{LOGS}/predict_conditions/synthesis.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        case=lambda wildcards: next(iter(SYNTHESIS["cases"].items())),
        settings=synthesis_settings(),
        seed=CONFIG["seed"],
        code=code_digest("poreflux.synthesis.case"),
    message:
        "Predicting new conditions"
    script:
        "../scripts/predict_conditions.py"


rule build_synthesis_report:
    """Write the page on transfer between the tables of synthesis conditions."""
    input:
        expand(f"{SYNTHESIS_RESULTS}/{{table}}.parquet", table=SYNTHESIS_TABLES),
        f"{SYNTHESIS_RESULTS}/dropped.parquet",
        synthesis_predictions(),
    output:
        html=f"{RESULTS}/report/synthesis/index.html",
        figures=directory(f"{RESULTS}/report/synthesis/figures"),
    log:
        f"{LOGS}/build_report/synthesis.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        study=CONFIG["study"],
        config=CONFIG,
        engines={
            "synthesis": {package_of("xgboost"): package_version(package_of("xgboost"))}
        },
        code=code_digest("poreflux.report.synthesis"),
    message:
        "Writing the report on synthesis"
    script:
        "../scripts/build_synthesis_report.py"
