"""Pass one shard of structures through a stage."""

import pandas as pd

from poreflux.base.tables import write_table
from poreflux.run.job import limits_of, start_job, store_of
from poreflux.run.stages import run_stage

job = snakemake  # noqa: F821
start_job(job)
table = run_stage(
    job.params.stage,
    pd.read_parquet(job.input.structures),
    job.params.settings,
    store=store_of(job),
    limits=limits_of(job),
)
write_table(table, job.output.table)
