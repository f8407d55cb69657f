"""Write the page on transfer between tables of synthesis conditions."""

from pathlib import Path

import pandas as pd

from poreflux.report.synthesis import build
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
start_job(job)
tables = {Path(path).stem: pd.read_parquet(path) for path in job.input}
build(tables, job.params.facts, Path(job.output.html).parent)
