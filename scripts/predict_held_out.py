"""What the best models say of labelled structures that they never saw."""

from poreflux.base.records import read_model
from poreflux.base.tables import read_table
from poreflux.learning.choice import best_learner
from poreflux.learning.predict import held_out_predictions
from poreflux.run.job import limit_threads, start_job

job = snakemake  # noqa: F821
results = start_job(job)
limit_threads(job)
models = dict(zip(job.params.learners, job.input.models, strict=True))
best = best_learner(read_table(job.input.scores))
table = held_out_predictions([read_model(models[best])], read_table(job.input.features))
results.write_table(table, job.output.table)
