"""Sum up the CPU time that every stage took when its artifacts were made."""

from poreflux.run.job import start_job, store_of
from poreflux.run.usage import costs

job = snakemake  # noqa: F821
results = start_job(job)
results.write_table(costs(job.params.plan, store_of(job)), job.output.table)
