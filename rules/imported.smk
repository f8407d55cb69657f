"""Tables read from files in place of a stage: published descriptors, uptakes, diffusivities."""


rule import_table:
    """Read the table of a stage from files whose columns the configuration names."""
    input:
        files=lambda wildcards: IMPORTED[wildcards.imported]["files"],
        structures=known_structures,
    output:
        table=f"{RESULTS}/{{imported}}.parquet",
    log:
        f"{LOGS}/import_table/{{imported}}.log",
    wildcard_constraints:
        imported="|".join(map(re.escape, IMPORTED)) or "(?!)",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        lambda wildcards: compared(
            **{f"tables.{wildcards.imported}": told_of(wildcards)},
            pressures_bar=CONFIG["uptake"]["pressures_bar"],
        ),
        *compared_code("poreflux.data.from_files"),
        told=lambda wildcards, input: told_of(wildcards),
        pressures_bar=handed(CONFIG["uptake"]["pressures_bar"]),
    message:
        "Reading {wildcards.imported} from files"
    script:
        "../scripts/import_table.py"


# of the two rules for a set's table, the one that reads it where it is to be read
ruleorder: import_table > collect_tables
