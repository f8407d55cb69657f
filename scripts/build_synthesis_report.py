"""Write the page on transfer between tables of synthesis conditions."""

from pathlib import Path

from poreflux.base.tables import read_table
from poreflux.report.synthesis import build
from poreflux.run.job import start_job
from poreflux.run.origin import origin

job = snakemake  # noqa: F821
results = start_job(job)
tables = {Path(path).stem: read_table(path) for path in job.input}
build(tables, job.params.facts | {"made": origin()}, Path(job.output.html).parent)
results.stamp_page(job.output.html)
