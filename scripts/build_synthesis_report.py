"""Write the page on transfer between tables of synthesis conditions."""

from pathlib import Path

from poreflux.base.tables import read_table
from poreflux.report.synthesis import build
from poreflux.run.job import start_job
from poreflux.run.origin import origin
from poreflux.synthesis.table import are_synthetic

job = snakemake  # noqa: F821
results = start_job(job)
tables = {Path(path).stem: read_table(path) for path in job.input}
facts = job.params.facts | {"made": origin(), "synthetic": are_synthetic(job.params.files)}
build(tables, facts, Path(job.output.html).parent)
results.stamp_page(job.output.html)
