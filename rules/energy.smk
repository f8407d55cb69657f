"""Stage energy: one job a shard; finished structures come from the store."""


rule build_energy_histogram:
    """Building energy histograms of one shard of structures."""
    input:
        structures=shard_table("structures"),
    output:
        table=shard_table("energy"),
    log:
        f"{LOGS}/build_energy_histogram/{{set}}-{{shard}}.log",
    benchmark:
        f"{LOGS}/build_energy_histogram/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(600),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        *compared_of_stage("energy"),
        stage="energy",
        settings=handed(stages.stage_params(CONFIG, "energy")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Building energy histograms: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/build_energy_histogram.py"
