"""Building energy histograms of one shard of structures."""

from poreflux.run.job import run_shard

run_shard(snakemake)  # noqa: F821
