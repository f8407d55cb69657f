"""Read the table of a stage from files whose columns the configuration names."""

import pandas as pd

from poreflux import imported
from poreflux.job import start_job
from poreflux.tables import write_table

job = snakemake  # noqa: F821
start_job(job)
known = pd.read_parquet(job.input.structures) if job.input.structures else None
tables = {
    stage: imported.stage_table(stage, **told, pressures_bar=job.params.pressures_bar, known=known)
    for stage, told in job.params.told.items()
}
stage = job.wildcards.imported.rpartition("/")[2]
table = imported.structures(list(tables.values())) if stage == "structures" else tables[stage]
write_table(table, job.output.table)
