"""Pass one shard of structures through a stage."""

from poreflux.base.tables import read_table
from poreflux.run.job import limits_of, start_job, store_of
from poreflux.run.stages import run_stage

job = snakemake  # noqa: F821
results = start_job(job)
table = run_stage(
    job.params.stage,
    read_table(job.input.structures),
    job.params.settings,
    store=store_of(job),
    limits=limits_of(job),
)
results.write_table(table, job.output.table)
