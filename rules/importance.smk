"""Stage importance: what the models look at, and which source resembles the reference."""


rule compute_importance:
    """Permutation feature importance of the direct, transferred and source models."""
    input:
        models=f"{RESULTS}/study/models/{LEARNERS[0]}-{max(SIZES)}.npz",
        source=expand(
            source_model("{label}"), learner=LEARNERS[0], label=LABELS["source"]
        ),
        features_target=f"{RESULTS}/target/features.parquet",
        features_source=f"{RESULTS}/source/features.parquet",
        labels=f"{RESULTS}/source/labels.parquet",
    output:
        table=f"{RESULTS}/study/importance.parquet",
    log:
        f"{LOGS}/compute_importance/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 3000,
        runtime=lambda wildcards, attempt: attempt * 60,
    params:
        *compared(
            learning={"pfi_repeats": CONFIG["learning"]["pfi_repeats"]},
            seed=CONFIG["seed"],
        ),
        *compared_code("poreflux.learning.importance", *learner_modules(LEARNERS[:1])),
        learner=LEARNERS[0],
        n_repeats=handed(CONFIG["learning"]["pfi_repeats"]),
        seed=handed(CONFIG["seed"]),
    message:
        "Permutation feature importance"
    script:
        "../scripts/compute_importance.py"
