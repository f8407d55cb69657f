"""Fit activation energies to the diffusivities of a set at several temperatures."""

from poreflux.base.tables import read_table
from poreflux.data.activation import activation_table
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
results = start_job(job)
tables = map(read_table, job.input)
table = activation_table(dict(zip(job.params.temperatures_K, tables, strict=True)))
results.write_table(table, job.output.table)
