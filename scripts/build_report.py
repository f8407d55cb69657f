"""Write the page and its figures from the tables of the study."""

from pathlib import Path

from poreflux.base.tables import read_table
from poreflux.report import build
from poreflux.run.job import start_job
from poreflux.run.origin import origin

job = snakemake  # noqa: F821
results = start_job(job)
# results/<study>/target/uptake.parquet is the table target/uptake
tables = {f"{Path(p).parent.name}/{Path(p).stem}": read_table(p) for p in job.input}
build(
    tables,
    job.params.facts | {"made": origin()},
    Path(job.output.html).parent,
    job.params.get("sections"),
)
results.stamp_page(job.output.html)
