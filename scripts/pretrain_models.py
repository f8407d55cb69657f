"""Train the source models of one learner, a label each."""

from poreflux.base.tables import read_table
from poreflux.learning.study import pretraining_table
from poreflux.run.job import limit_threads, start_job, store_of
from poreflux.run.training import pretrained_models

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
models = pretrained_models(
    read_table(job.input.features),
    read_table(job.input.labels),
    job.params.names,
    target_features=read_table(job.input.target_features),
    learner=job.wildcards.learner,
    groups=read_table(job.input.groups) if job.input.groups else None,
    store=store_of(job),
    **job.params.training,
)
for model, path in zip(models, job.output.models, strict=True):
    results.write_model(model.to_bytes(), path)
results.write_table(pretraining_table(models), job.output.scores)
