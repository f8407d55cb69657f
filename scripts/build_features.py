"""Join geometry and energy histogram into the features of the learners."""

import pandas as pd

from poreflux.features import feature_table
from poreflux.job import start_job
from poreflux.tables import write_table

job = snakemake  # noqa: F821
start_job(job)
geometry = pd.read_parquet(job.input.geometry)
energy = pd.read_parquet(job.input.energy)
write_table(feature_table(geometry, energy), job.output.table)
