"""Read, build and check the structures of one shard."""

from poreflux.run.intake import read_structures
from poreflux.run.job import limits_of, start_job, store_of

job = snakemake  # noqa: F821
results = start_job(job)
table = read_structures(
    job.params.members,
    job.params.spec,
    store=store_of(job),
    checks=job.params.checks,
    limits=limits_of(job),
)
results.write_table(table, job.output.table)
