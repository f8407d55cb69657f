"""Join score tables into one."""

from poreflux.base.tables import concatenate
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
results = start_job(job)
order = ("kind", "learner", "size", "source_pressure_bar", "source_label", "draw")
table = concatenate(job.input, sort_by=order)
# sizes beyond the number of structures were reduced to it, and may coincide
results.write_table(table.drop_duplicates(ignore_index=True), job.output[0])
