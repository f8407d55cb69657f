"""Stage labels: what the models learn, from the stages' tables or from files of the user's own."""


rule build_labels:
    """Join the labels of a set that the configuration asks for."""
    input:
        lambda wildcards: list(dict.fromkeys(label_inputs(wildcards.set).values())),
        # who is who in a file of the user's own
        structures=lambda wildcards: (
            f"{RESULTS}/{wildcards.set}/structures.parquet"
            if set(SINGLE_LABELS[wildcards.set]) & set(LABEL_FILES)
            else []
        ),
    output:
        table=f"{RESULTS}/{{set}}/labels.parquet",
    log:
        f"{LOGS}/build_labels/{{set}}.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        lambda wildcards: compared(
            **{
                f"labels.{label}": CONFIG["labels"].get(label, {})
                for label in SINGLE_LABELS[wildcards.set]
            }
        ),
        *compared_code("poreflux.data.labels"),
        files=lambda wildcards, input: label_inputs(wildcards.set),
        told=handed(CONFIG["labels"]),
    message:
        "Building labels of {wildcards.set}"
    script:
        "../scripts/build_labels.py"
