"""Stage finetune: direct and transfer learning of the target's label on the same random draws."""


rule finetune_models:
    """Train one learner on every draw of one size, directly and from every source model."""
    input:
        features=f"{RESULTS}/target/features.parquet",
        labels=f"{RESULTS}/target/labels.parquet",
        source=[source_model(label) for label in LABELS["source"]],
    output:
        models=f"{RESULTS}/study/models/{{learner}}-{{size}}.npz",
        scores=f"{RESULTS}/study/scores/{{learner}}-{{size}}.parquet",
    log:
        f"{LOGS}/finetune_models/{{learner}}-{{size}}.log",
    benchmark:
        f"{LOGS}/finetune_models/{{learner}}-{{size}}.benchmark.tsv"
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 3000,
        runtime=lambda wildcards, attempt: attempt * 480,
    params:
        *compared(
            learning=TRAINING
            | {
                "target_label": LABELS["target"][0],
                "same_members": CONFIG["learning"]["same_members"],
            }
        ),
        # a function gives one word
        lambda wildcards: compared(learning={"draws": DRAWS[int(wildcards.size)]})[0],
        *compared_code("poreflux.run.training"),
        compared_learner,
        draws=lambda wildcards, input: DRAWS[int(wildcards.size)],
        same_members=handed(CONFIG["learning"]["same_members"]),
        label=LABELS["target"][0],
        training=handed(TRAINING),
        store=handed(CONFIG["store"]),
    message:
        "Direct and transfer learning: {wildcards.learner}, draws of {wildcards.size}"
    script:
        "../scripts/finetune_models.py"


rule collect_scores:
    """Join the scores of all learners and sizes."""
    input:
        expand(
            f"{RESULTS}/study/scores/{{learner}}-{{size}}.parquet",
            learner=LEARNERS,
            size=SIZES,
        ),
    output:
        f"{RESULTS}/study/scores.parquet",
    log:
        f"{LOGS}/collect_scores/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Joining the scores of all trained models"
    script:
        "../scripts/collect_scores.py"
