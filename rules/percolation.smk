"""Stage percolation: one job a shard; finished structures come from the store."""


rule map_percolation:
    """Finding the percolation energies of one shard of structures."""
    input:
        structures=shard_table("structures"),
    output:
        table=shard_table("percolation"),
    log:
        f"{LOGS}/map_percolation/{{set}}-{{shard}}.log",
    benchmark:
        f"{LOGS}/map_percolation/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(600),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        *compared_of_stage("percolation"),
        stage="percolation",
        settings=handed(stages.stage_params(CONFIG, "percolation")),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Finding the percolation energies: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/map_percolation.py"
