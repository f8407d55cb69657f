"""Stage structures: CIFs and package names become checked structures with a content hash."""


rule read_structures:
    """Read, build and check the structures of one shard."""
    input:
        cifs=lambda wildcards: [
            path for path in members_of_shard(wildcards).values() if path
        ],
    output:
        table=shard_table("structures"),
    log:
        f"{LOGS}/read_structures/{{set}}-{{shard}}.log",
    benchmark:
        f"{LOGS}/read_structures/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG["threads_per_shard"]
    resources:
        mem_mb=memory(800),
        runtime=lambda wildcards, attempt: attempt * 60,
    params:
        members=members_of_shard,
        spec=lambda wildcards: {
            k: v
            for k, v in SETS[wildcards.set].items()
            if k
            in (
                ["cifs"] if SETS[wildcards.set].get("cifs") else ["package", "archive"]
            )
        },
        checks=CONFIG["structure_checks"],
        code=code_digest("poreflux.intake"),
        store=CONFIG["store"],
        limits=CONFIG["limits"],
    message:
        "Reading structures: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/read_structures.py"
