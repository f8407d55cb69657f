"""Permutation feature importance of the direct, transferred and source models."""

from poreflux.base.records import read_model
from poreflux.base.tables import read_table
from poreflux.learning import importance
from poreflux.learning.trained import Pretrained
from poreflux.run.job import limit_threads, start_job

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
table = importance.run(
    read_model(job.input.models),
    [Pretrained.from_bytes(read_model(path)) for path in job.input.source],
    features_target=read_table(job.input.features_target),
    features_source=read_table(job.input.features_source),
    labels_source=read_table(job.input.labels),
    n_repeats=job.params.n_repeats,
    seed=job.params.seed,
    learner=job.params.learner,
)
results.write_table(table, job.output.table)
