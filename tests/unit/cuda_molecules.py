"""Molecules in two small potentials, on the CPU or in numba's CUDA simulator; prints them.

python cuda_molecules.py cpu | cuda
"""

import json
import sys

import numpy as np

from poreflux.diffusion import grid_engine
from poreflux.structures.crystal import cell_matrix

# three molecules a thermostat, the last has one; a launch ends within the equilibration, and
# between frames
MOLECULES, CHAIN, LAUNCH = 7, 3, 12


class Walk:
    """What :func:`poreflux.diffusion.cuda.run_all` needs of a task."""

    def __init__(
        self, seed: int, lengths_A: tuple, shape: tuple, tau_fs: float, per_frame: int, sizes
    ):
        energy = 150.0 * np.random.default_rng(seed).standard_normal(shape)
        cell = cell_matrix(lengths_A, (75.0, 100.0, 95.0))
        self.field = grid_engine.make_field(energy, cell, 20_000.0)
        self._dynamics = grid_engine.Dynamics(16.0, 3000.0, 5.0, tau_fs)
        self._energy, self._seed, self._per_frame = energy, seed, per_frame
        self._sizes = sizes

    def trajectory(self) -> grid_engine.Trajectory:
        """The run at its start."""
        self.run = grid_engine.Trajectory(
            self.field, self._start, self._dynamics, chain_size=CHAIN,
            equilibration_steps=17, steps_per_frame=self._per_frame,
        )  # fmt: skip
        return self.run

    def _start(self, first: int) -> grid_engine.State:
        is_open = self._energy < 300.0
        return grid_engine.start(
            self.field, is_open, self._energy, MOLECULES, CHAIN, self._dynamics, self._seed, first
        )

    def growth(self) -> dict:
        """Sizes wanted in turn."""
        return {"sizes": self._sizes}

    def conclude(self, *size) -> None:
        """Keep how large the run became."""
        self.size = size


def in_turn(sizes):
    """In place of :func:`poreflux.diffusion.msd.lengthening`: grows as told."""
    for n_frames, n_molecules in sizes:
        positions = yield n_frames, n_molecules
        assert positions.shape == (n_frames + 1, n_molecules, 3)
    return sizes[-1]


def main() -> None:
    """Run, and print the outcomes and the bits of all positions."""
    walks = [
        Walk(1, (6.0, 7.0, 8.0), (5, 6, 7), 50.0, 3, [(5, 7), (12, 7), (4, 14), (12, 21)]),
        Walk(2, (7.0, 6.5, 6.0), (6, 4, 5), 0.0, 14, [(3, 7), (5, 14)]),
    ]
    if sys.argv[1] == "cpu":
        for walk in walks:
            walk.trajectory()
            walk.conclude(*walk.growth()["sizes"][-1])
    else:
        from poreflux.diffusion import cuda

        cuda.LAUNCH_STEPS, cuda.lengthening = LAUNCH, in_turn
        cuda.device_bytes = lambda _: 1
        cuda.run_all(walks, threads=2)
    found = []
    for walk in walks:
        positions = walk.run.positions(*walk.size)
        crossings = sum(int(abs(b.state.image).sum()) for b in walk.run.batches(1))
        bits = positions.tobytes().hex()
        found.append({"size": walk.size, "positions": bits, "crossings": crossings})
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
