"""Read both tables of synthesis conditions, check every cell and record the rows left out."""

import pandas as pd

from poreflux.run.job import start_job
from poreflux.synthesis.table import Schema, read_table

job = snakemake  # noqa: F821
results = start_job(job)
schema = Schema.from_config(job.params.columns)
dropped = []
for name in ("literature", "in_house"):
    rows, left_out = read_table(job.input[name], schema)
    results.write_table(rows, job.output[name])
    dropped.append(left_out.assign(table=name))
results.write_table(pd.concat(dropped, ignore_index=True), job.output.dropped)
