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
        mem_mb=memory(1500, CONFIG["uptake"]["device"]),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        *compared_of_stage("uptake"),
        stage="uptake",
        settings=handed(stages.stage_params(CONFIG, "uptake")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
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
        *compared_of_crosscheck("uptake"),
        stage="uptake",
        wanted=handed(CONFIG["uptake"]["crosscheck"]),
        settings=handed(crosscheck_params("uptake")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Repeating target structures with RASPA3"
    script:
        "../scripts/crosscheck_stage.py"
