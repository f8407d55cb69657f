"""The shard tables of every stage become one table a set."""


rule collect_tables:
    """Join the shard tables of a stage: the same table whatever the number of shards."""
    input:
        lambda wildcards: shard_tables_of(wildcards.stage, wildcards.set),
    output:
        f"{RESULTS}/{{set}}/{{stage}}.parquet",
    log:
        f"{LOGS}/collect_tables/{{set}}-{{stage}}.log",
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *compared(limits={"failed_share": CONFIG["limits"]["failed_share"]}),
        *compared_code("poreflux.base.tables"),
        failures=handed(CONFIG["limits"]["failed_share"]),
    message:
        "Joining the {wildcards.stage} tables of {wildcards.set}"
    script:
        "../scripts/collect_tables.py"
