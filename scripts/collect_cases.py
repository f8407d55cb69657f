"""Join the tables of all cases, in the order of the configuration."""

from pathlib import Path

import pandas as pd

from poreflux.base.tables import read_table
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
results = start_job(job)
for output in job.output:
    tables = [read_table(p) for p in job.input if Path(p).stem == Path(output).stem]
    results.write_table(pd.concat(tables, ignore_index=True), output)
