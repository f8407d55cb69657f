"""Stage uptake: one job a shard; finished structures come from the store."""


rule simulate_uptake:
    """Simulating uptakes (GCMC) of one shard of structures."""
    input:
        structures=shard_table("structures"),
    output:
        table=shard_table("uptake"),
    log:
        f"{LOGS}/simulate_uptake/{{set}}-{{shard}}.log",
    benchmark:
        f"{LOGS}/simulate_uptake/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(1500),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        stage="uptake",
        settings=stages.stage_params(CONFIG, "uptake"),
        engines=stages.STAGES["uptake"].engines(stages.stage_params(CONFIG, "uptake")),
        data=stages.STAGES["uptake"].data(stages.stage_params(CONFIG, "uptake")),
        code=stages.STAGES["uptake"].code,
        store=CONFIG["store"],
        limits=CONFIG["limits"],
    message:
        "Simulating uptakes (GCMC): {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/simulate_uptake.py"


rule crosscheck_uptake:
    """Repeat a few target structures with RASPA3, for the report."""
    input:
        structures=lambda wildcards: shard_tables_of("structures", "target"),
        table=f"{RESULTS}/target/uptake.parquet",
    output:
        table=f"{RESULTS}/target/crosscheck_uptake.parquet",
    log:
        f"{LOGS}/crosscheck_uptake/target.log",
    conda:
        "../envs/simulation.yaml"
    threads: 2
    resources:
        mem_mb=memory(1500),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        stage="uptake",
        wanted=CONFIG["gcmc"]["crosscheck"],
        settings=crosscheck_params("uptake"),
        engines=stages.STAGES["uptake"].engines({"engine": "raspa3"}),
        data=stages.STAGES["uptake"].data(crosscheck_params("uptake")),
        code=code_digest("poreflux.crosscheck"),
        store=CONFIG["store"],
        limits=CONFIG["limits"],
    message:
        "Repeating target structures with RASPA3"
    script:
        "../scripts/crosscheck_stage.py"
