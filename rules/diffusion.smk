"""Stage diffusion: one job a shard; finished structures come from the store."""


rule simulate_diffusion:
    """Simulating diffusion (MD) of one shard of structures."""
    input:
        structures=shard_table("structures"),
    output:
        table=shard_table("diffusion"),
    log:
        f"{LOGS}/simulate_diffusion/{{set}}-{{shard}}.log",
    benchmark:
        f"{LOGS}/simulate_diffusion/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(1500, CONFIG["diffusion"]["device"]),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        *compared_of_stage("diffusion"),
        stage="diffusion",
        settings=handed(stages.stage_params(CONFIG, "diffusion")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Simulating diffusion (MD): {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/simulate_diffusion.py"


rule crosscheck_diffusion:
    """Repeat a few target structures with LAMMPS, for the report."""
    input:
        structures=lambda wildcards: shard_tables_of("structures", "target"),
        table=f"{RESULTS}/target/diffusion.parquet",
    output:
        table=f"{RESULTS}/target/crosscheck_diffusion.parquet",
    log:
        f"{LOGS}/crosscheck_diffusion/target.log",
    conda:
        "../envs/simulation.yaml"
    threads: 2
    resources:
        mem_mb=memory(1500),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        *compared_of_crosscheck("diffusion"),
        stage="diffusion",
        wanted=handed(CONFIG["diffusion"]["crosscheck"]),
        settings=handed(crosscheck_params("diffusion")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Repeating target structures with LAMMPS"
    script:
        "../scripts/crosscheck_stage.py"
