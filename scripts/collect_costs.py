"""Sum up the CPU time that every stage took when its artifacts were made."""

from pathlib import Path

from poreflux.base.tables import write_table
from poreflux.run.job import start_job, store_of
from poreflux.run.usage import costs

job = snakemake  # noqa: F821
start_job(job)
results = Path(job.output.table).parent.parent
write_table(costs(job.params.config, results, store_of(job)), job.output.table)
