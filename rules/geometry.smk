"""Stage geometry: one job a shard; finished structures come from the store."""


rule describe_geometry:
    """Describing the pores of one shard of structures."""
    input:
        structures=shard_table("structures"),
    output:
        table=shard_table("geometry"),
    log:
        f"{LOGS}/describe_geometry/{{set}}-{{shard}}.log",
    benchmark:
        f"{LOGS}/describe_geometry/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(600),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        stage="geometry",
        settings=stages.stage_params(CONFIG, "geometry"),
        engines=stages.STAGES["geometry"].engines(
            stages.stage_params(CONFIG, "geometry")
        ),
        code=stages.STAGES["geometry"].code,
        store=CONFIG["store"],
        limits=CONFIG["limits"],
    message:
        "Describing the pores: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/describe_geometry.py"
