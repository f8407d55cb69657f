"""Learning: features and labels, pretraining, fine-tuning, importance, prediction."""

from poreflux.run.triggers import learner_word


rule build_features:
    """Join the tables of the stages into the features of the learners."""
    input:
        lambda wildcards: PLAN.feature_tables(wildcards.set),
    output:
        table=PLAN.table("{set}", "features"),
    log:
        f"{PLAN.logs}/build_features/{{set}}.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code_of("build_features"),
        stages=lambda wildcards, input: list(PLAN.feature_variants),
        lineage=lineage_of,
    message:
        "Building features of {wildcards.set}"
    script:
        "../scripts/build_features.py"


rule build_labels:
    """Join the labels of a set: from the stages' tables or from files of the user's own."""
    input:
        lambda wildcards: sorted(set(PLAN.label_tables(wildcards.set).values())),
        structures=lambda wildcards: PLAN.identities(wildcards.set),
    output:
        table=PLAN.table("{set}", "labels"),
    log:
        f"{PLAN.logs}/build_labels/{{set}}.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        lambda wildcards: words(labels=PLAN.label_settings(wildcards.set)),
        *code_of("build_labels"),
        files=lambda wildcards, input: PLAN.label_tables(wildcards.set),
        own=for_script(PLAN.own_labels),
        lineage=lineage_of,
    message:
        "Building labels of {wildcards.set}"
    script:
        "../scripts/build_labels.py"


rule pretrain_models:
    """Train the source models of one learner, one per label."""
    input:
        features=PLAN.table(SOURCE, "features"),
        labels=PLAN.table(SOURCE, "labels"),
        # their scale, not their labels
        target_features=PLAN.table(TARGET, "features"),
        groups=PLAN.groups(SOURCE),
    output:
        models=PLAN.source_models(),
        scores=PLAN.table("study", "pretraining/{learner}"),
    log:
        f"{PLAN.logs}/pretrain_models/{{learner}}.log",
    benchmark:
        f"{PLAN.logs}/pretrain_models/{{learner}}.benchmark.tsv"
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=more_each_attempt(3000),
        runtime=more_each_attempt(240),
    params:
        *words(learning=PLAN.training | {"source_labels": PLAN.source_labels}),
        *code_of("pretrain_models"),
        lambda wildcards: learner_word(wildcards.learner),
        names=for_script(PLAN.source_labels),
        training=for_script(PLAN.training),
        store=for_script(CONFIG.store),
        lineage=lineage_of,
    message:
        "Pretraining: {wildcards.learner}"
    script:
        "../scripts/pretrain_models.py"


rule collect_pretraining:
    """Join the scores of the source models of all learners."""
    input:
        [PLAN.table("study", f"pretraining/{name}") for name in PLAN.learners],
    output:
        PLAN.table("study", "pretraining"),
    log:
        f"{PLAN.logs}/collect_pretraining/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code_of("collect_scores"),
        lineage=lineage_of,
    message:
        "Joining the scores of the source models"
    script:
        "../scripts/collect_scores.py"


rule finetune_models:
    """Train one learner on every draw of one size, directly and from every source model."""
    input:
        features=PLAN.table(TARGET, "features"),
        labels=PLAN.table(TARGET, "labels"),
        source=PLAN.source_models(),
        groups=PLAN.groups(TARGET),
    output:
        models=PLAN.target_models(),
        scores=PLAN.table("study", "scores/{learner}-{size}"),
    log:
        f"{PLAN.logs}/finetune_models/{{learner}}-{{size}}.log",
    benchmark:
        f"{PLAN.logs}/finetune_models/{{learner}}-{{size}}.benchmark.tsv"
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=more_each_attempt(3000),
        runtime=more_each_attempt(480),
    params:
        *words(
            learning=PLAN.training
            | {
                "target_label": PLAN.target_label,
                "same_members": CONFIG.learning.same_members,
            }
        ),
        lambda wildcards: f"learning.draws = {PLAN.draws[int(wildcards.size)]}",
        *code_of("finetune_models"),
        lambda wildcards: learner_word(wildcards.learner),
        draws=lambda wildcards, input: PLAN.draws[int(wildcards.size)],
        same_members=for_script(CONFIG.learning.same_members),
        label=PLAN.target_label,
        training=for_script(PLAN.training),
        store=for_script(CONFIG.store),
        lineage=lineage_of,
    message:
        "Direct and transfer learning: {wildcards.learner}, draws of {wildcards.size}"
    script:
        "../scripts/finetune_models.py"


rule collect_scores:
    """Join the scores of all learners and sizes."""
    input:
        [
            PLAN.table("study", f"scores/{learner}-{size}")
            for learner in PLAN.learners
            for size in PLAN.sizes
        ],
    output:
        PLAN.table("study", "scores"),
    log:
        f"{PLAN.logs}/collect_scores/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code_of("collect_scores"),
        lineage=lineage_of,
    message:
        "Joining the scores of all trained models"
    script:
        "../scripts/collect_scores.py"


rule compute_importance:
    """Permutation feature importance of the main learner's models and of those that predict best."""
    input:
        models=[PLAN.target_models(name, max(PLAN.sizes)) for name in PLAN.learners],
        source=[PLAN.source_models(name) for name in PLAN.learners],
        features_target=PLAN.table(TARGET, "features"),
        features_source=PLAN.table(SOURCE, "features"),
        labels=PLAN.table(SOURCE, "labels"),
        scores=PLAN.table("study", "scores"),
    output:
        table=PLAN.table("study", "importance"),
    log:
        f"{PLAN.logs}/compute_importance/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=more_each_attempt(3000),
        runtime=more_each_attempt(60),
    params:
        *words(learning={"pfi_repeats": CONFIG.learning.pfi_repeats}, seed=CONFIG.seed),
        *code_of("compute_importance", PLAN.learners),
        learners=for_script(PLAN.learners),
        sources=for_script({name: PLAN.source_models(name) for name in PLAN.learners}),
        n_repeats=for_script(CONFIG.learning.pfi_repeats),
        seed=for_script(CONFIG.seed),
        lineage=lineage_of,
    message:
        "Permutation feature importance"
    script:
        "../scripts/compute_importance.py"


rule predict_held_out:
    """Predict labelled structures by those of the best models that never saw them."""
    input:
        models=[PLAN.target_models(name, max(PLAN.sizes)) for name in PLAN.learners],
        features=PLAN.table(TARGET, "features"),
        scores=PLAN.table("study", "scores"),
    output:
        table=PLAN.table("study", "held_out"),
    log:
        f"{PLAN.logs}/predict_held_out/study.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=more_each_attempt(2000),
        runtime=30,
    params:
        *code_of("predict_held_out", PLAN.learners),
        learners=for_script(PLAN.learners),
        lineage=lineage_of,
    message:
        "Predicting held-out structures"
    script:
        "../scripts/predict_held_out.py"


rule predict_diffusivity:
    """Predict the target's label, its uncertainty and whether the structure is like those known."""
    input:
        models=[
            PLAN.target_models(learner, max(PLAN.sizes)) for learner in PLAN.learners
        ],
        train_features=PLAN.table(TARGET, "features"),
        features=PLAN.table("predict", "features"),
        tables=lambda wildcards: PLAN.feature_tables("predict"),
    output:
        csv=report(
            PLAN.predictions_csv,
            caption="captions/predictions.rst",
            category="Predictions",
            labels={"table": "predictions"},
        ),
        table=PLAN.table("predict", "predictions"),
    log:
        f"{PLAN.logs}/predict_diffusivity/predict.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=more_each_attempt(2000),
        runtime=30,
    params:
        *code_of("predict_diffusivity", PLAN.learners),
        lineage=lineage_of,
    message:
        "Predicting diffusivities"
    script:
        "../scripts/predict_diffusivity.py"
