"""Stage report: every table of the study on one page."""


rule collect_costs:
    """Sum up the CPU time that every stage took when its artifacts were made."""
    input:
        [report_tables(stage) for stage in ("structures", *stages.STAGES)],
        crosscheck_tables(),
        f"{RESULTS}/study/scores.parquet",
    output:
        table=f"{RESULTS}/study/cost.parquet",
    log:
        f"{LOGS}/collect_costs/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        *compared_code("poreflux.run.usage"),
        study=CONFIG["study"],
        config=handed(CONFIG),
        store=handed(CONFIG["store"]),
    message:
        "Summing up CPU times"
    script:
        "../scripts/collect_costs.py"


rule build_report:
    """Write the page and its figures from the tables of the study."""
    input:
        structures=report_tables("structures"),
        geometry=report_tables("geometry"),
        energy=report_tables("energy"),
        percolation=report_tables("percolation"),
        uptake=report_tables("uptake"),
        diffusion=[t for t in report_tables("diffusion") if "/target/" in t],
        crosschecks=crosscheck_tables(),
        pretraining=f"{RESULTS}/study/pretraining.parquet",
        scores=f"{RESULTS}/study/scores.parquet",
        importance=f"{RESULTS}/study/importance.parquet",
        cost=f"{RESULTS}/study/cost.parquet",
    output:
        html=f"{RESULTS}/report/index.html",
        figures=directory(f"{RESULTS}/report/figures"),
    log:
        f"{LOGS}/build_report/report.log",
    benchmark:
        f"{LOGS}/build_report/report.benchmark.tsv"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *compared(**CONFIG, engines=report_engines()),
        *compared_code("poreflux.report"),
        study=CONFIG["study"],
        config=handed(CONFIG),
        engines=handed(report_engines()),
    message:
        "Writing the report"
    script:
        "../scripts/build_report.py"


rule build_descriptor_report:
    """Write the page on structures and descriptors alone, of every set: no simulation needed."""
    input:
        structures=descriptor_tables("structures"),
        geometry=descriptor_tables("geometry"),
        energy=descriptor_tables("energy"),
        percolation=descriptor_tables("percolation"),
    output:
        html=f"{RESULTS}/report/descriptors/index.html",
        figures=directory(f"{RESULTS}/report/descriptors/figures"),
    log:
        f"{LOGS}/build_report/descriptors.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *compared(**CONFIG, engines=report_engines()),
        *compared_code("poreflux.report"),
        study=CONFIG["study"],
        config=handed(CONFIG),
        engines=handed(report_engines()),
        sections=["structures", "descriptors"],
    message:
        "Writing the report on structures and descriptors"
    script:
        "../scripts/build_report.py"
