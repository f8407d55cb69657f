"""Train the source models of one learner, a label each."""

import pandas as pd

from poreflux.base.files import write_atomically
from poreflux.base.tables import write_table
from poreflux.learning.study import pretraining_table
from poreflux.run.job import limit_threads, start_job, store_of
from poreflux.run.training import pretrained_models

job = snakemake  # noqa: F821
start_job(job)
limit_threads(job)
models = pretrained_models(
    pd.read_parquet(job.input.features),
    pd.read_parquet(job.input.labels),
    job.params.names,
    target_features=pd.read_parquet(job.input.target_features),
    learner=job.wildcards.learner,
    store=store_of(job),
    **job.params.training,
)
for model, path in zip(models, job.output.models, strict=True):
    write_atomically(path, model.to_bytes())
write_table(pretraining_table(models), job.output.scores)
