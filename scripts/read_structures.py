"""Read, build and check the structures of one shard."""

from poreflux.base.tables import write_table
from poreflux.run.intake import read_structures
from poreflux.run.job import start_job, store_of

job = snakemake  # noqa: F821
start_job(job)
table = read_structures(
    job.params.members,
    job.params.spec,
    store=store_of(job),
    checks=job.params.checks,
    workers=job.threads,
    seconds=job.params.limits["seconds"],
    memory_mb=job.params.limits["memory_mb"],
)
write_table(table, job.output.table)
