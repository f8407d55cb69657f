"""The smallest study that goes through every stage: six structures per set, seconds of MD."""

import re
from pathlib import Path

STUDY = "small"
# Everything but the importance and the report.
TARGET = f"results/{STUDY}/study/scores.parquet"
STAGES = {"source": ("geometry", "energy", "uptake"), "target": ("geometry", "energy", "diffusion")}
CONFIG = """\
study: small
shards: 2
structures:
  source: {cifs: cifs/source, stages: [geometry, energy, uptake]}
  target: {cifs: cifs/target, stages: [geometry, energy, diffusion]}
geometry: {asa_samples_per_atom: 50, void_samples: 1000}
uptake:
  pressures_bar: [1, 65]
  equilibration_steps: 1000
  production_steps: 2000
  max_steps: 2000
  spacing_A: 0.5
diffusion:
  n_molecules: 40
  target_error: 0.2
  spacing_A: 0.5
learning:
  learners: [xgboost]
  source_labels: [uptake]
  source_pressures_bar: [65]
  sizes: [10]
  draws: 1
"""


def scaled(cif: str, factor: float) -> str:
    """The text of a CIF with its cell's lengths multiplied."""
    pattern = r"(_cell_length_[abc]\s+)([\d.]+)"
    return re.sub(pattern, lambda m: f"{m[1]}{float(m[2]) * factor:.5f}", cif)


def write(folder: Path, cifs: Path) -> Path:
    """Write the CIFs (those of the tests, and the same a little wider); returns the config file."""
    for name, factor in (("source", 1.0), ("target", 1.02)):
        (folder / "cifs" / name).mkdir(parents=True)
        for path in sorted(cifs.glob("*.cif")):
            text = scaled(path.read_text(encoding="utf-8"), factor)
            (folder / "cifs" / name / path.name).write_text(text, encoding="utf-8")
    config = folder / "small.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return config
