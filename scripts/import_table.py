"""Read the table of a stage from files whose columns the configuration names."""

from poreflux.base.tables import read_table
from poreflux.data import from_files as imported
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
results = start_job(job)
known = read_table(job.input.structures) if job.input.structures else None
tables = {
    stage: imported.stage_table(stage, **given, pressures_bar=job.params.pressures_bar, known=known)
    for stage, given in job.params.tables.items()
}
stage = job.wildcards.imported.rpartition("/")[2]
table = imported.structures(list(tables.values())) if stage == "structures" else tables[stage]
results.write_table(table, job.output.table)
