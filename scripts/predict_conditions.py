"""Predict the target of conditions that were never run."""

import pandas as pd

from poreflux.base.tables import write_csv, write_table
from poreflux.run.job import start_job
from poreflux.synthesis.case import predict_conditions
from poreflux.synthesis.table import Schema, make_case, read_table

job = snakemake  # noqa: F821
start_job(job)
schema = Schema.from_config(job.params.settings["columns"])
name, options = job.params.case
rows = [pd.read_parquet(path) for path in (job.input.literature, job.input.in_house)]
table = predict_conditions(
    make_case(name, *rows, schema, **options),
    read_table(job.input.new, schema, target=False)[0],
    schema,
    job.params.settings,
    job.params.seed,
    pd.read_parquet(job.input.scores),
)
write_table(table, job.output.table)
write_csv(table, job.output.csv)
