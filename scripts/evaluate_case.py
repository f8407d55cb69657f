"""Compare and interpret every variant on one case."""

from pathlib import Path

import pandas as pd

from poreflux.base.tables import write_table
from poreflux.run.job import start_job, store_of
from poreflux.synthesis.stored import evaluated
from poreflux.synthesis.table import Schema, make_case

job = snakemake  # noqa: F821
start_job(job)
schema = Schema.from_config(job.params.settings["columns"])
case = make_case(
    job.wildcards.case,
    pd.read_parquet(job.input.literature),
    pd.read_parquet(job.input.in_house),
    schema,
    **job.params.case,
)
tables = evaluated(case, schema, job.params.settings, job.params.seed, store_of(job))
for path in job.output:
    write_table(tables[Path(path).stem], path)
