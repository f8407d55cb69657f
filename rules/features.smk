"""Stage features: one row a structure, what the learners see."""


rule build_features:
    """Join geometry, energy histogram and percolation into the features of the learners."""
    input:
        lambda wildcards: feature_tables(wildcards.set),
    output:
        table=f"{RESULTS}/{{set}}/features.parquet",
    log:
        f"{LOGS}/build_features/{{set}}.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *compared_code("poreflux.data.features"),
    message:
        "Building features of {wildcards.set}"
    script:
        "../scripts/build_features.py"
