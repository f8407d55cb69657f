"""Stage structures: CIFs and package names become checked structures; near duplicates among them."""


rule read_structures:
    """Read, build and check the structures of one shard."""
    input:
        cifs=lambda wildcards: [
            path
            for path in members_of_shard(wildcards).values()
            if path and fits_snakemake(path)
        ],
    output:
        table=PLAN.shard_table("structures"),
    log:
        f"{PLAN.logs}/read_structures/{{set}}-{{shard}}.log",
    benchmark:
        f"{PLAN.logs}/read_structures/{{set}}-{{shard}}.benchmark.tsv"
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG.threads_per_shard
    resources:
        mem_mb=memory(800),
        runtime=more_each_attempt(60),
    params:
        *words(
            structure_checks=CONFIG.structure_checks.model_dump(mode="json"),
            limits=LIMITS_PER_STRUCTURE,
        ),
        *code_of("read_structures"),
        members_word,
        lambda wildcards: Place(f"from {PLAN.sets[wildcards.set].origin}"),
        members=lambda wildcards, input: members_of_shard(wildcards),
        spec=lambda wildcards, input: PLAN.sets[wildcards.set].origin,
        checks=for_script(CONFIG.structure_checks.model_dump(mode="json")),
        limits=for_script(LIMITS),
        store=for_script(CONFIG.store),
        lineage=lineage_of,
    message:
        "Reading structures: {wildcards.set}, shard {wildcards.shard}"
    script:
        "../scripts/read_structures.py"


rule find_near_duplicates:
    """Find the structures of a set that share a framework."""
    input:
        lambda wildcards: PLAN.shard_tables("structures", wildcards.set),
    output:
        table=PLAN.table("{set}", "groups"),
    log:
        f"{PLAN.logs}/find_near_duplicates/{{set}}.log",
    conda:
        "../envs/simulation.yaml"
    threads: CONFIG.threads_per_shard
    resources:
        mem_mb=memory(800),
        runtime=more_each_attempt(60),
    params:
        *words(limits=LIMITS_PER_STRUCTURE),
        *code_of("find_near_duplicates"),
        limits=for_script(LIMITS),
        store=for_script(CONFIG.store),
        lineage=lineage_of,
    message:
        "Finding near duplicates: {wildcards.set}"
    script:
        "../scripts/find_near_duplicates.py"
