"""Stage synthesis: from synthesis conditions to particle size, literature to laboratory."""

SYNTHESIS = CONFIG["synthesis"] or {"cases": {}}
SYNTHESIS_ENGINES = {
    "synthesis": {
        name: package_version(name) for name in get_learner("xgboost").packages
    }
}
SYNTHESIS_RESULTS = f"{RESULTS}/synthesis"
if CONFIG["synthesis"]:
    # its own checks, before any job
    Schema.from_config(SYNTHESIS["columns"])


rule check_conditions:
    """Read both tables, check every cell and record the rows left out."""
    input:
        literature=SYNTHESIS_FILES.get("literature", []),
        in_house=SYNTHESIS_FILES.get("in_house", []),
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
        *compared(columns=SYNTHESIS.get("columns")),
        *compared_code("poreflux.synthesis.table"),
        columns=handed(SYNTHESIS.get("columns")),
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
        *compared(synthesis=synthesis_settings(), seed=CONFIG["seed"]),
        *compared_code("poreflux.synthesis.stored"),
        case=lambda wildcards: SYNTHESIS["cases"][wildcards.case],
        settings=handed(synthesis_settings()),
        seed=handed(CONFIG["seed"]),
        store=handed(CONFIG["store"]),
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
        new=SYNTHESIS_FILES.get("new_conditions", []),
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
        *compared(synthesis=synthesis_settings(), seed=CONFIG["seed"]),
        *compared_code("poreflux.synthesis.case"),
        case=lambda wildcards: next(iter(SYNTHESIS["cases"].items())),
        settings=handed(synthesis_settings()),
        seed=handed(CONFIG["seed"]),
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
        *compared(**CONFIG, engines=SYNTHESIS_ENGINES),
        *compared_code("poreflux.report.synthesis"),
        study=CONFIG["study"],
        config=handed(CONFIG),
        engines=handed(SYNTHESIS_ENGINES),
    message:
        "Writing the report on synthesis"
    script:
        "../scripts/build_synthesis_report.py"
