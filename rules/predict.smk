"""Stage predict: the diffusivity of CIFs that a user brings, from the models just trained."""


rule predict_diffusivity:
    """Predict D, its uncertainty and whether the structure resembles the training set."""
    input:
        models=expand(
            f"{RESULTS}/study/models/{{learner}}-{{size}}.npz",
            learner=LEARNERS,
            size=max(SIZES),
        ),
        train_features=f"{RESULTS}/target/features.parquet",
        features=f"{RESULTS}/predict/features.parquet",
        tables=feature_tables("predict"),
    output:
        table=f"{RESULTS}/predict/predictions.csv",
    log:
        f"{LOGS}/predict_diffusivity/predict.log",
    conda:
        "../envs/learning.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 2000,
        runtime=30,
    params:
        *compared_code("poreflux.learning.predict", *learner_modules(LEARNERS)),
    message:
        "Predicting diffusivities"
    script:
        "../scripts/predict_diffusivity.py"
