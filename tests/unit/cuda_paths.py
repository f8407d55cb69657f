"""Paths in two small fields, on the CPU or in numba's CUDA simulator; prints them.

python cuda_paths.py cpu | cuda FILE

FILE hands the fields on from the first to the second: compiled sums, and those of numpy, round the
harmonic coordinates in two ways.
"""

import json
import pickle
import sys
from pathlib import Path

import numpy as np

from poreflux.diffusion import harmonic
from poreflux.diffusion.grid_engine import Dynamics
from poreflux.structures.crystal import cell_matrix

# four paths a block; a launch holds the first paths of both fields, not the second
IN_BLOCK, LAUNCH_BYTES = 4, 2000
harmonic.LEVEL_PS, harmonic.POINT_FS = 0.1, 24.0


class Kept(harmonic.Paths):
    """Paths that are also kept as they came."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.flown = []

    def add(self, flight, paths_A, density):
        """Keep, and add."""
        self.flown.append((flight.place, paths_A, density))
        super().add(flight, paths_A, density)


class Walk:
    """What :func:`poreflux.diffusion.harmonic_cuda.run_all` needs of a task."""

    def __init__(self, landscape: harmonic.Landscape, sizes):
        self.landscape, self.sizes = landscape, sizes

    def search(self):
        """Numbers and lengths of paths, wanted in turn."""
        self.paths = Kept(self.landscape, 4)
        return self.paths, (self.paths.missing(*size) for size in self.sizes)

    def settle(self, _) -> None:
        """Keep what they say of D."""
        self.curve = self.paths.curve(*self.sizes[-1])


def landscape_of(seed: int, lengths_A: tuple, shape: tuple, timestep_fs: float):
    """Made up, open nearly everywhere."""
    energy = 1000.0 * np.random.default_rng(seed).standard_normal(shape)
    made = harmonic.prepare(
        energy, cell_matrix(lengths_A, (75.0, 100.0, 95.0)),
        Dynamics(16.0, 3000.0, timestep_fs, 0.0),
        threshold_kT=20.0, cap_K=20_000.0, spacing_A=1.6,
    )  # fmt: skip
    assert made.coordinates  # kept with it
    return made


def main() -> None:
    """Run, and print the bits of all paths and of D."""
    where, file = sys.argv[1], Path(sys.argv[2])
    if where == "cpu":
        made = (
            landscape_of(1, (6.0, 7.0, 8.0), (5, 6, 7), 6.0),
            landscape_of(2, (7.0, 6.5, 6.0), (6, 4, 5), 4.0),
        )
        file.write_bytes(pickle.dumps(made))
    first, second = pickle.loads(file.read_bytes())
    walks = [Walk(first, [(5, 1), (5, 2), (9, 2)]), Walk(second, [(7, 0), (13, 1)])]
    if where == "cpu":
        for walk in walks:
            walk.settle(harmonic.driven(*walk.search()))
    else:
        from poreflux.diffusion import harmonic_cuda

        harmonic_cuda.IN_BLOCK, harmonic_cuda.LAUNCH_BYTES = IN_BLOCK, LAUNCH_BYTES
        harmonic_cuda.run_all(walks, threads=2)
    found = []
    for walk in walks:
        arrays = [array for some in walk.paths.flown for array in some]
        farthest = max(np.ptp(paths, axis=1).max() for _, paths, _ in walk.paths.flown)
        found.append(
            {
                "shapes": [array.shape for array in arrays],
                "bits": [array.tobytes().hex() for array in arrays],
                "curve": walk.curve.tobytes().hex(),
                "farthest_A": farthest,
            }
        )
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
