"""Predict D, its uncertainty and whether the structure resembles the training set."""

from pathlib import Path

import pandas as pd

from poreflux.base.tables import write_csv
from poreflux.learning.predict import predict
from poreflux.run.job import limit_threads, start_job

job = snakemake  # noqa: F821
start_job(job)
limit_threads(job)
tables = [pd.read_parquet(path) for path in job.input.tables]
# a structure that lacks one has no features: its first reason counts
failed = pd.concat([t.loc[t["status"] != "ok", ["name", "reason"]] for t in tables])
predictions = predict(
    [Path(path).read_bytes() for path in job.input.models],
    pd.read_parquet(job.input.features),
    train_features=pd.read_parquet(job.input.train_features),
    failed=failed.drop_duplicates("name"),
)
write_csv(predictions, job.output.table)
