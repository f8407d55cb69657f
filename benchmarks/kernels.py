"""How fast the Monte Carlo and molecular dynamics kernels are, against those of another checkout.

python benchmarks/kernels.py --against ../poreflux-before --output benchmarks/kernels.md

A process per checkout does the same work in turn, so that whatever else the machine does slows
both. Times are CPU times. Each process says which bits came out: they must be the same.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent
STRUCTURES = ("TARVUD_clean", "JIVFUQ_clean", "BUKMUQ01_clean")
TEMPERATURE_K, CUTOFF_A = 298.0, 12.0
# Pressures and the fugacities of methane, bar (the published ones at 1, 10 and 65 bar)
FUGACITIES_BAR = {1: 0.998, 10: 9.782, 65: 56.739}
GCMC_STEPS, MD_MOLECULES, MD_FRAMES, MD_STEPS_PER_FRAME = 400_000, 60, 20, 100


class Isotherm:
    """Steps of one chain after it has filled."""

    def __init__(self, energy, cell, repeats, pressure_bar):
        from poreflux.uptake import grid

        host = grid.prepare_host(energy, cell, temperature_K=TEMPERATURE_K)
        self.chain = grid.Chain(
            host, epsilon_K=148.0, sigma_A=3.73, temperature_K=TEMPERATURE_K, cutoff_A=CUTOFF_A,
            repeats=tuple(map(int, repeats)), seed=1,
        )  # fmt: skip
        self.chain.set_fugacity(FUGACITIES_BAR[pressure_bar])
        self.chain.advance(200_000)

    def run(self):
        """Take the steps; return their number and what came out."""
        traces = self.chain.advance(GCMC_STEPS)
        return GCMC_STEPS, [*traces, self.chain.positions()]


class Walk:
    """Steps of independent molecules."""

    def __init__(self, energy, cell):
        from poreflux.diffusion import grid_engine

        self.engine = grid_engine
        self.field = grid_engine.make_field(energy, cell, 20_000.0)
        self.dynamics = grid_engine.Dynamics(16.04246, TEMPERATURE_K, 1.0, 100.0)
        is_open = energy < 20.0 * TEMPERATURE_K
        self.state = grid_engine.start(
            self.field, is_open, energy, MD_MOLECULES, 30, self.dynamics, 1
        )
        grid_engine.advance_state(self.field, self.state, self.dynamics, 30, 1, 10)

    def run(self):
        """Take the steps; return their number, over all molecules, and what came out."""
        frames = self.engine.advance_state(
            self.field, self.state, self.dynamics, 30, MD_FRAMES, MD_STEPS_PER_FRAME
        )
        return MD_MOLECULES * MD_FRAMES * MD_STEPS_PER_FRAME, [frames, self.state.velocity]


def work(grids: str) -> None:
    """Answer each line (what, structure, pressure) with the time that a run of it took."""
    data, cases = np.load(grids), {}
    for line in sys.stdin:
        what, name, pressure_bar = case = tuple(json.loads(line))
        if case not in cases:
            framework = data[name], data[f"{name}/cell"]
            if what == "GCMC":
                cases[case] = Isotherm(*framework, data[f"{name}/repeats"], pressure_bar)
            else:
                cases[case] = Walk(*framework)
        start = time.process_time()
        steps, arrays = cases[case].run()
        seconds = time.process_time() - start
        bits = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
        molecules = cases[case].chain.n_molecules if what == "GCMC" else MD_MOLECULES
        print(json.dumps([steps / seconds, bits.hexdigest(), molecules]), flush=True)


def write_grids(path: str) -> None:
    """Energies of methane in the structures, made by this checkout for both."""
    from poreflux.fields.forcefield import guest_parameters
    from poreflux.fields.grid import grid_shape, lj_grid
    from poreflux.structures.cif import read_cif

    found = {}
    for name in STRUCTURES:
        structure = read_cif(HERE / "tests" / "data" / f"{name}.cif")
        shape = grid_shape(structure, 0.25)
        found[name] = lj_grid(structure, guest_parameters("CH4"), shape, CUTOFF_A)
        found[f"{name}/cell"] = structure.cell
        found[f"{name}/repeats"] = np.array(structure.repeats(2.0 * CUTOFF_A))
    np.savez(path, **found)


class Checkout:
    """A process that runs the code of one checkout."""

    def __init__(self, root: Path, grids: str):
        environment = os.environ | {"PYTHONPATH": str(root / "workflow")}
        environment.pop("NUMBA_CACHE_DIR", None)
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", grids],
            env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, case: tuple) -> list:
        """Steps per CPU second, a digest of what came out, molecules."""
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compared(case: tuple, rounds: int, ours: Checkout, theirs: Checkout) -> str:
    """Run a case in turn; a row of the table."""
    pairs = []
    for i in range(rounds + 1):
        # who goes first changes, so that neither has the warmer cache
        order = (ours, theirs) if i % 2 else (theirs, ours)
        found = {checkout: checkout.run(case) for checkout in order}
        pairs.append((found[ours], found[theirs]))
    same = all(a[1:] == b[1:] for a, b in pairs)
    # the first round fills caches
    new, old = (np.array([pair[i][0] for pair in pairs[1:]]) for i in (0, 1))
    what, name, pressure = case
    return (
        f"| {what} | {name.removesuffix('_clean')} | {pressure or ''} | {pairs[-1][0][2]} "
        f"| {old.max() / 1e6:.3f} | {new.max() / 1e6:.3f} | {new.max() / old.max():.3f} "
        f"| {np.median(old) / 1e6:.3f} | {np.median(new) / 1e6:.3f} "
        f"| {statistics.median(new / old):.3f} | {'yes' if same else '**no**'} |"
    )


def main() -> None:
    """Compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="root of the other checkout")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path("kernels.md"))
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    if options.against is None:
        parser.error("give --against")
    cases = [("GCMC", name, p) for name in STRUCTURES for p in FUGACITIES_BAR]
    cases += [("MD", name, None) for name in STRUCTURES]
    lines = [
        "# Speed of the kernels, before and after",
        "",
        f"Million steps per CPU second (MD: of all molecules together), {options.rounds} rounds in",
        f"turn, one thread, {platform.machine()}. A round is {GCMC_STEPS:,} Monte Carlo steps, or",
        f"{MD_FRAMES * MD_STEPS_PER_FRAME:,} time steps. A ratio above 1: the new code is faster;",
        "the last ratio is the median of the rounds' ratios.",
        "",
        "| what | structure | bar | molecules | best, before | best, after | ratio "
        "| median, before | median, after | ratio | same bits |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        grids = str(Path(folder) / "grids.npz")
        write_grids(grids)
        ours, theirs = Checkout(HERE, grids), Checkout(options.against.resolve(), grids)
        for case in cases:
            lines.append(compared(case, options.rounds, ours, theirs))
            print(lines[-1], flush=True)
        for checkout in (ours, theirs):
            checkout.process.communicate()
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
