"""Compare and interpret every variant on one case."""

from pathlib import Path

from poreflux.base.tables import read_table
from poreflux.run.job import start_job, store_of
from poreflux.synthesis.stored import evaluated
from poreflux.synthesis.table import Schema, make_case

job = snakemake  # noqa: F821
results = start_job(job)
schema = Schema.from_config(job.params.settings["columns"])
case = make_case(
    job.wildcards.case,
    read_table(job.input.literature),
    read_table(job.input.in_house),
    schema,
    **job.params.case,
)
tables = evaluated(case, schema, job.params.settings, job.params.seed, store_of(job))
for path in job.output:
    results.write_table(tables[Path(path).stem], path)
