"""Permutation feature importance of the main learner's models and of those that predict best."""

import pandas as pd

from poreflux.base.records import read_model
from poreflux.base.tables import read_table
from poreflux.learning import importance
from poreflux.learning.choice import best_learner
from poreflux.learning.trained import Pretrained
from poreflux.run.job import limit_threads, start_job

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
learners = job.params.learners
models = dict(zip(learners, job.input.models, strict=True))
tables = [
    importance.run(
        read_model(models[learner]),
        [Pretrained.from_bytes(read_model(path)) for path in job.params.sources[learner]],
        features_target=read_table(job.input.features_target),
        features_source=read_table(job.input.features_source),
        labels_source=read_table(job.input.labels),
        n_repeats=job.params.n_repeats,
        seed=job.params.seed,
        learner=learner,
    ).assign(learner=learner)
    for learner in dict.fromkeys([learners[0], best_learner(read_table(job.input.scores))])
]
results.write_table(pd.concat(tables, ignore_index=True), job.output.table)
