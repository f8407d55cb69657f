"""Find the structures of a set that share a framework."""

from poreflux.base.tables import concatenate
from poreflux.run.duplicates import group_table
from poreflux.run.job import limits_of, start_job, store_of

job = snakemake  # noqa: F821
results = start_job(job)
structures = concatenate(job.input)
table = group_table(structures, store=store_of(job), limits=limits_of(job))
results.write_table(table, job.output.table)
