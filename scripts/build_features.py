"""Join geometry, energy histogram and percolation into the features of the learners."""

import pandas as pd

from poreflux.features import feature_table
from poreflux.job import start_job
from poreflux.tables import write_table

job = snakemake  # noqa: F821
start_job(job)
tables = [pd.read_parquet(path) for path in job.input]
write_table(feature_table(*tables), job.output.table)
