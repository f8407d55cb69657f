"""Join the labels of a set that the configuration asks for."""

import pandas as pd

from poreflux.base import foreign_tables
from poreflux.base.tables import read_table
from poreflux.data import labels
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
results = start_job(job)
structures = read_table(job.input.structures) if job.input.structures else None
tables = []
for label, path in job.params.files.items():
    if label in job.params.own:
        given = {k: v for k, v in job.params.own[label].items() if k != "file"}
        rows = foreign_tables.read_table(path)
        tables.append(labels.from_file(label, rows, structures, **given))
    else:
        tables.append(labels.from_stages(label, read_table(path)))
results.write_table(pd.concat(tables, ignore_index=True), job.output.table)
