"""Join the shard tables of a stage into one, sorted by name."""

from poreflux.base.tables import STRUCTURE_COLUMNS, concatenate
from poreflux.run.job import check_failures, start_job

job = snakemake  # noqa: F821
results = start_job(job)
table = concatenate(job.input, sort_by=("name", "pressure_bar"))
# the structures themselves stay in the shard tables, where the stages read them
table = table.drop(columns=STRUCTURE_COLUMNS, errors="ignore")
check_failures(table, job.params.failures, job.wildcards)
results.write_table(table, job.output[0])
