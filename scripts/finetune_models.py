"""Train one learner on every draw of one size, directly and from every source model."""

from poreflux.base.records import read_model
from poreflux.base.tables import read_table
from poreflux.learning.study import score_table
from poreflux.run.job import limit_threads, start_job, store_of
from poreflux.run.training import target_models

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
models = target_models(
    read_table(job.input.features),
    read_table(job.input.labels),
    [read_model(path) for path in job.input.source],
    learner=job.wildcards.learner,
    size=int(job.wildcards.size),
    label=job.params.label,
    draws=job.params.draws,
    same_members=job.params.same_members,
    groups=read_table(job.input.groups) if job.input.groups else None,
    store=store_of(job),
    **job.params.training,
)
results.write_model(models, job.output.models)
results.write_table(score_table(models), job.output.scores)
