"""Join the tables of the stages into the features of the learners."""

from pathlib import Path

from poreflux.base.errors import DataError
from poreflux.base.tables import read_table
from poreflux.data.features import feature_table, why_none
from poreflux.run.job import start_job

job = snakemake  # noqa: F821
results = start_job(job)
tables = dict(zip(job.params.stages, map(read_table, job.input), strict=True))
features = feature_table(**tables)
# what is to be predicted may fail as a whole: the predictions say so, a row per structure
if features.empty and job.wildcards.set != "predict":
    raise DataError(
        f"no structure of the set {job.wildcards.set} has features: {why_none(tables)}; "
        f"the tables of {Path(job.output.table).parent} tell every reason"
    )
results.write_table(features, job.output.table)
