"""Compute a few structures of a stage again with the reference code."""

from poreflux.base.tables import concatenate, read_table
from poreflux.run.crosscheck import compare
from poreflux.run.job import limits_of, start_job, store_of

job = snakemake  # noqa: F821
results = start_job(job)
table = compare(
    job.params.stage,
    concatenate(job.input.structures),
    read_table(job.input.table),
    job.params.wanted,
    job.params.settings,
    store=store_of(job),
    limits=limits_of(job),
)
results.write_table(table, job.output.table)
