"""Predict D, its uncertainty and whether the structure resembles the training set."""

import pandas as pd

from poreflux.base.records import read_model
from poreflux.base.tables import read_table
from poreflux.learning.predict import predict
from poreflux.run.job import limit_threads, start_job

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
tables = [read_table(path) for path in job.input.tables]
# a structure that lacks one has no features: its first reason counts
failed = pd.concat([t.loc[t["status"] != "ok", ["name", "reason"]] for t in tables])
predictions = predict(
    [read_model(path) for path in job.input.models],
    read_table(job.input.features),
    train_features=read_table(job.input.train_features),
    failed=failed.drop_duplicates("name"),
)
results.write_csv(predictions, job.output.csv)
results.write_table(predictions, job.output.table)
