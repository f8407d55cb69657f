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
        mem_mb=memory(1500),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        stage="diffusion",
        settings=stages.stage_params(CONFIG, "diffusion"),
        engines=stages.STAGES["diffusion"].engines(
            stages.stage_params(CONFIG, "diffusion")
        ),
        data=stages.STAGES["diffusion"].data(stages.stage_params(CONFIG, "diffusion")),
        code=stages.STAGES["diffusion"].code,
        store=CONFIG["store"],
        limits=CONFIG["limits"],
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
        stage="diffusion",
        wanted=CONFIG["md"]["crosscheck"],
        settings=crosscheck_params("diffusion"),
        engines=stages.STAGES["diffusion"].engines({"engine": "lammps"}),
        data=stages.STAGES["diffusion"].data(crosscheck_params("diffusion")),
        code=code_digest("poreflux.crosscheck"),
        store=CONFIG["store"],
        limits=CONFIG["limits"],
    message:
        "Repeating target structures with LAMMPS"
    script:
        "../scripts/crosscheck_stage.py"
