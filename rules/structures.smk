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
        *compared(
            structure_checks=CONFIG["structure_checks"], limits=EACH_STRUCTURES_LIMITS
        ),
        *compared_code("poreflux.run.intake"),
        compared_members,
        members=lambda wildcards, input: members_of_shard(wildcards),
        spec=lambda wildcards: {
            k: v
            for k, v in SETS[wildcards.set].items()
            if k
            in (
                ["cifs"] if SETS[wildcards.set].get("cifs") else ["package", "archive"]
            )
        },
        checks=handed(CONFIG["structure_checks"]),
        limits=handed(CONFIG["limits"]),
        store=handed(CONFIG["store"]),
    message:
        "Reading structures: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/read_structures.py"
