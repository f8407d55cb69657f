"""Write the page and its figures from the tables of the study."""

from pathlib import Path

import pandas as pd

from poreflux.report import build
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
start_job(job)
# results/<study>/target/uptake.parquet is the table target/uptake
tables = {f"{Path(p).parent.name}/{Path(p).stem}": pd.read_parquet(p) for p in job.input}
build(tables, job.params.facts, Path(job.output.html).parent, job.params.get("sections"))
