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
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(1500),
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        stage="uptake",
        settings=stages.stage_params(CONFIG, "uptake"),
        engines=stages.STAGES["uptake"].engines(stages.stage_params(CONFIG, "uptake")),
        code=code_digest(stages.STAGES["uptake"].module),
        store=CONFIG["store"],
        limits=CONFIG["limits"],
    message:
        "Simulating uptakes (GCMC): {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/simulate_uptake.py"
