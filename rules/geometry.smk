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
        *compared_of_stage("geometry"),
        stage="geometry",
        settings=handed(stages.stage_params(CONFIG, "geometry")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Describing the pores: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/describe_geometry.py"
