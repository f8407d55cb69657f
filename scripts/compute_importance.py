"""Permutation feature importance of the direct, transferred and source models."""

from pathlib import Path

import pandas as pd

from poreflux.base.tables import write_table
from poreflux.learning import importance
from poreflux.learning.trained import Pretrained
from poreflux.run.job import limit_threads, start_job

job = snakemake  # noqa: F821
start_job(job)
limit_threads(job)
table = importance.run(
    Path(job.input.models).read_bytes(),
    [Pretrained.from_bytes(Path(path).read_bytes()) for path in job.input.source],
    features_target=pd.read_parquet(job.input.features_target),
    features_source=pd.read_parquet(job.input.features_source),
    labels_source=pd.read_parquet(job.input.labels),
    n_repeats=job.params.n_repeats,
    seed=job.params.seed,
    learner=job.params.learner,
)
write_table(table, job.output.table)
