"""Map the energy of the guest in one target structure, and the guest's way through it."""

from poreflux.base.tables import concatenate, read_table
from poreflux.run.job import limit_threads, start_job
from poreflux.run.landscape import landscape_table

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
table = landscape_table(
    concatenate(job.input.structures), read_table(job.input.diffusion), job.params.settings
)
results.write_table(table, job.output.table)
