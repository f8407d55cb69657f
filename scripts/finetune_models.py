"""Train one learner on every draw of one size, directly and from every source model."""

from pathlib import Path

import pandas as pd

from poreflux.base.files import write_atomically
from poreflux.base.tables import write_table
from poreflux.learning.study import score_table
from poreflux.run.job import limit_threads, start_job, store_of
from poreflux.run.training import target_models

job = snakemake  # noqa: F821
start_job(job)
limit_threads(job)
models = target_models(
    pd.read_parquet(job.input.features),
    pd.read_parquet(job.input.labels),
    [Path(path).read_bytes() for path in job.input.source],
    learner=job.wildcards.learner,
    size=int(job.wildcards.size),
    label=job.params.label,
    draws=job.params.draws,
    same_members=job.params.same_members,
    store=store_of(job),
    **job.params.training,
)
write_atomically(job.output.models, models)
write_table(score_table(models), job.output.scores)
