"""How a study runs: configuration, plan, stages, training, provenance, command line."""
