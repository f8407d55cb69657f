"""Write a record of two made-up frameworks, for the simulator.

python gpu_tiny_record.py FILE
"""

import sys
from pathlib import Path

import gpu_record
import numpy as np


def frameworks():
    """Waves in an orthorhombic and a triclinic cell."""
    axis = 2.0 * np.pi * np.arange(8) / 8
    wave = np.cos(axis)[:, None, None] * np.cos(axis)[None, :, None] + np.zeros(8)
    cells = {
        "straight": (1500.0, np.diag([25.0, 26.0, 24.5])),
        "oblique": (900.0, np.array([[26.0, 0.0, 0.0], [3.0, 25.0, 0.0], [1.0, 2.0, 25.0]])),
    }
    for name, (depth, cell) in cells.items():
        yield gpu_record.Framework(
            name, depth * wave, cell, np.ones(3, int), np.full((1, 3), 0.5), np.array([400.0]),
            np.array([12.0]),
        )  # fmt: skip


def main() -> None:
    """Make and write it."""
    gpu_record.shorten_paths()
    checks = gpu_record.Checks(
        fugacities_bar=(0.5, 2.0), equilibration_steps=500, production_steps=1000, max_steps=1000,
        target_error=0.5, md_molecules=30, md_steps=10, d_error=0.5, longest_ps=0.016,
        most_starts=32,
    )  # fmt: skip
    made = [gpu_record.with_results(framework, checks, 1) for framework in frameworks()]
    gpu_record.write_record(Path(sys.argv[1]), made, checks)


if __name__ == "__main__":
    main()
