"""Stage pretrain: models of the source's labels, such as uptakes, one a label and learner."""


rule pretrain_models:
    """Train the source models of one learner, a label each."""
    input:
        features=f"{RESULTS}/source/features.parquet",
        labels=f"{RESULTS}/source/labels.parquet",
        # their scale, not their labels
        target_features=f"{RESULTS}/target/features.parquet",
    output:
        models=[source_model(label) for label in LABELS["source"]],
        scores=f"{RESULTS}/study/pretraining/{{learner}}.parquet",
    log:
        f"{LOGS}/pretrain_models/{{learner}}.log",
    benchmark:
        f"{LOGS}/pretrain_models/{{learner}}.benchmark.tsv"
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 3000,
        runtime=lambda wildcards, attempt: attempt * 240,
    params:
        *compared(learning=TRAINING | {"source_labels": LABELS["source"]}),
        *compared_code("poreflux.run.training"),
        compared_learner,
        names=handed(LABELS["source"]),
        training=handed(TRAINING),
        store=handed(CONFIG["store"]),
    message:
        "Pretraining: {wildcards.learner}"
    script:
        "../scripts/pretrain_models.py"


rule collect_pretraining:
    """Join the scores of the source models of all learners."""
    input:
        expand(f"{RESULTS}/study/pretraining/{{learner}}.parquet", learner=LEARNERS),
    output:
        f"{RESULTS}/study/pretraining.parquet",
    log:
        f"{LOGS}/collect_pretraining/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Joining the scores of the source models"
    script:
        "../scripts/collect_scores.py"
