"""The stages that every structure passes through, their cross-checks and their tables."""

from poreflux.base.stage_names import COMPARED

# for every guest and temperature of the study
for variant in PLAN.gases.variants.values():
    stage, settings = STAGES[variant.stage], variant.settings
    device = getattr(settings, "device", "cpu")

    rule:
        name:
            f"{variant.table}_shard"
        input:
            structures=PLAN.shard_table("structures"),
        output:
            table=PLAN.shard_table(variant.table),
        log:
            f"{PLAN.logs}/{variant.table}/{{set}}-{{shard}}.log",
        benchmark:
            f"{PLAN.logs}/{variant.table}/{{set}}-{{shard}}.benchmark.tsv"
        conda:
            "../envs/simulation.yaml"
        threads: CONFIG.threads_per_shard
        resources:
            mem_mb=memory(stage.worker_mb, device),
            runtime=more_each_attempt(240),
        params:
            *stage_words(stage.name, settings),
            *code_of("run_stage"),
            stage=stage.name,
            settings=for_script(settings),
            limits=for_script(LIMITS),
            store=for_script(CONFIG.store),
            lineage=lineage_of,
        message:
            f"{stage.doing}{variant.words}: {{wildcards.set}}, shard {{wildcards.shard}}"
        script:
            "../scripts/run_stage.py"


for stage_name in PLAN.crosschecks:
    compared = COMPARED[stage_name]
    block = getattr(CONFIG, stage_name)
    settings = PLAN.crosscheck_settings(stage_name)

    rule:
        name:
            f"{stage_name}_crosscheck"
        input:
            structures=PLAN.shard_tables("structures", TARGET),
            table=PLAN.table(TARGET, stage_name),
        output:
            table=PLAN.table(TARGET, f"crosscheck_{stage_name}"),
        log:
            f"{PLAN.logs}/{stage_name}/crosscheck.log",
        # nothing waits for it but the report
        priority: -1
        conda:
            "../envs/simulation.yaml"
        threads: PLAN.crosscheck_threads(stage_name)
        resources:
            mem_mb=memory(STAGES[stage_name].worker_mb),
            runtime=more_each_attempt(240),
        params:
            *words(**{f"{stage_name}.crosscheck": block.crosscheck}),
            *stage_words(stage_name, settings),
            *code_of("crosscheck_stage"),
            stage=stage_name,
            wanted=for_script(block.crosscheck),
            settings=for_script(settings),
            limits=for_script(LIMITS),
            store=for_script(CONFIG.store),
            lineage=lineage_of,
        message:
            f"Repeating target structures with {compared.title}"
        script:
            "../scripts/crosscheck_stage.py"


for table, behind in PLAN.gases.activations.items():

    rule:
        name:
            f"fit_{table}"
        input:
            [PLAN.table("{set}", name) for name in behind.values()],
        output:
            table=PLAN.table("{set}", table),
        log:
            f"{PLAN.logs}/fit_activation_energies/{{set}}-{table}.log",
        conda:
            "../envs/learning.yaml"
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            *words(temperatures_K=list(behind)),
            *code_of("fit_activation_energies"),
            temperatures_K=for_script(list(behind)),
            lineage=lineage_of,
        message:
            "Fitting activation energies of {wildcards.set}"
        script:
            "../scripts/fit_activation_energies.py"


rule import_table:
    """Read the table of a stage from files whose columns the configuration names."""
    input:
        files=lambda wildcards: PLAN.imported[wildcards.imported]["files"],
        structures=lambda wildcards: PLAN.known_structures(wildcards.imported),
    output:
        table=f"{PLAN.results}/{{imported}}.parquet",
    log:
        f"{PLAN.logs}/import_table/{{imported}}.log",
    wildcard_constraints:
        imported="|".join(map(re.escape, PLAN.imported)) or "(?!)",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        lambda wildcards: words(tables=PLAN.imported_for(wildcards.imported)),
        *words(pressures_bar=list(CONFIG.uptake.pressures_bar)),
        *code_of("import_table"),
        tables=lambda wildcards, input: PLAN.imported_for(wildcards.imported),
        pressures_bar=for_script(list(CONFIG.uptake.pressures_bar)),
        lineage=lineage_of,
    message:
        "Reading {wildcards.imported} from files"
    script:
        "../scripts/import_table.py"


rule collect_tables:
    """Join the shard tables of a stage: the same table whatever the number of shards."""
    input:
        lambda wildcards: PLAN.shard_tables(wildcards.stage, wildcards.set),
    output:
        PLAN.table("{set}", "{stage}"),
    log:
        f"{PLAN.logs}/collect_tables/{{set}}-{{stage}}.log",
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *words(limits={"failed_share": CONFIG.limits.failed_share}),
        *code_of("collect_tables"),
        failures=for_script(CONFIG.limits.failed_share),
        lineage=lineage_of,
    message:
        "Joining the {wildcards.stage} tables of {wildcards.set}"
    script:
        "../scripts/collect_tables.py"


# of the two rules for a set's table, the one that reads it where it is to be read
ruleorder: import_table > collect_tables
