"""The stages that every structure passes through, by name, in their order."""

STAGES = ("geometry", "energy", "percolation", "uptake", "diffusion")
