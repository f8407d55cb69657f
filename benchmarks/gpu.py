"""The record on a GPU: are the CUDA engines right, how fast are they, and what holds them up.

    python benchmarks/gpu.py prepare --output record.npz
    python benchmarks/gpu.py measure record.npz --output gpu.json
    python benchmarks/gpu.py report gpu.json --output benchmarks/gpu.md

``prepare`` runs here, where structures can be read: 64 MOFs of all sizes, and the CPU's results for
them, in one file. ``measure`` runs where the device is, with Python, numpy, numba (and numba-cuda),
scipy, pandas and torch; it needs no network and nothing else of Poreflux's packages. It checks
first, then measures; each step is written at once, a step that fails is noted and the rest go on,
and the whole ends after ``--minutes``. ``report`` writes the page.

In numba's simulator (NUMBA_ENABLE_CUDASIM=1) ``measure`` runs the same steps on tiny sizes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path

# the library beside this file, whether or not it is installed
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

import gpu_checks
import gpu_machine
import gpu_rates
import gpu_record as of_record
import numpy as np
from gpu_bench import FULL, QUICK, SEED, SIMULATED, TINY, Bench

# Name, function, and the seconds without which it is not begun: what matters most comes first.
STEPS = (
    ("host", gpu_machine.host_machine, 0.0),
    ("preparation", gpu_machine.preparation, 0.0),
    ("card", gpu_machine.card, 0.0),
    ("ceilings", gpu_machine.ceilings, 5.0),
    ("check_energies", gpu_checks.check_energies, 5.0),
    ("check_first_steps", gpu_checks.check_first_steps, 5.0),
    ("check_md", gpu_checks.check_md, 10.0),
    ("check_harmonic", gpu_checks.check_harmonic, 15.0),
    ("check_gcmc", gpu_checks.check_gcmc, 30.0),
    ("check_trainer", gpu_checks.check_trainer, 5.0),
    ("compiled", gpu_machine.compiled, 0.0),
    ("rate_gcmc", gpu_rates.rate_gcmc, 25.0),
    ("rate_md", gpu_rates.rate_md, 10.0),
    ("rate_harmonic", gpu_rates.rate_harmonic, 10.0),
    ("rate_trainer", gpu_rates.rate_trainer, 10.0),
    ("grids", gpu_machine.grids, 5.0),
)


def measure(record: Path, output: Path, minutes: float, only: list[str]) -> dict:
    """All steps, or some; returns what was found, as it is written to ``output``."""
    effort = TINY if SIMULATED else QUICK if minutes < 4.0 else FULL
    if SIMULATED:
        of_record.shorten_paths()
        # a random stream is meant to overflow
        warnings.filterwarnings("ignore", "overflow", RuntimeWarning)
    bench = Bench(record, output, effort, 60.0 * minutes)
    bench.stop_in_time()
    for name, work, least_s in STEPS:
        if not only or name in ("host", "preparation", "card", *only):
            bench.step(name, work, least_s)
    return bench.found


def _has_device() -> bool:
    """Asked in a process of its own, see :func:`_apart`."""
    ask = "from numba import cuda; raise SystemExit(not cuda.is_available())"
    return subprocess.run([sys.executable, "-c", ask]).returncode == 0


def prepare(output: Path, cifs: list[Path], n: int, seed: int) -> None:
    """Write a record of ``n`` structures, their sizes evenly spread on a scale of logarithms."""
    from poreflux.fields.forcefield import guest_parameters, mixed_parameters
    from poreflux.fields.grid import grid_shape, lj_grid
    from poreflux.structures.cif import parse_cif, read_cif

    guest, checks = guest_parameters("CH4"), of_record.Checks()
    if cifs:
        structures = [(path.stem, read_cif(path)) for path in cifs]
    else:
        structures = [(name, parse_cif(data)) for name, data in _example_cifs(n)]
    structures.sort(key=lambda pair: pair[1].volume_A3)
    frameworks = []
    for i, (name, structure) in enumerate(structures):
        epsilon_K, sigma_A = mixed_parameters(structure, guest)
        shape = grid_shape(structure, of_record.SPACING_A)
        frameworks.append(
            of_record.with_results(
                of_record.Framework(
                    name,
                    lj_grid(structure, guest, shape, of_record.CUTOFF_A),
                    structure.cell,
                    np.array(structure.repeats(2.0 * of_record.CUTOFF_A)),
                    structure.frac,
                    4.0 * epsilon_K,
                    sigma_A**2,
                ),
                checks,
                seed,
            )
        )
        print(f"{i + 1}/{len(structures)} {name} {shape} {frameworks[-1].uptake[:, 0]}", flush=True)
    of_record.write_record(output, frameworks, checks)
    size = output.stat().st_size / 2**20
    print(f"{output}: {size:.1f} MiB, {len(frameworks)} frameworks")
    if size > 40.0:
        raise SystemExit("larger than 40 MiB: take fewer structures (--structures)")


def _example_cifs(n: int):
    """CIFs of CoRE MOF 2019 of all sizes, among those of the shipped data set."""
    import poreflux
    from poreflux.structures import packages

    volumes = poreflux.dataset()["volume_A3"].sort_values()
    names = [name for name in volumes.index if name in set(packages.core_mof_names("2019-ASR"))]
    volumes = np.log(volumes[names].to_numpy())
    # between the 1st and the 95th percentile: a few giants would fill the file
    goals = np.linspace(*np.quantile(volumes, [0.01, 0.95]), n)
    chosen: dict[str, None] = {}
    for goal in goals:
        for i in np.argsort(np.abs(volumes - goal)):
            if names[i] not in chosen:
                chosen[names[i]] = None
                break
    return packages.core_mof_cifs("2019-ASR", chosen)


def main() -> None:
    """Prepare, measure or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("prepare", help="write the record's input, where CIFs can be read")
    made.add_argument("--cifs", type=Path, nargs="+", default=[], help="of CoRE MOF if not given")
    made.add_argument("--structures", type=int, default=64)
    made.add_argument("--seed", type=int, default=SEED)
    made.add_argument("--output", type=Path, default=Path("record.npz"))
    run = commands.add_parser("measure", help="check and measure, where the device is")
    run.add_argument("record", type=Path)
    run.add_argument("--minutes", type=float, default=8.0, help="below 4: a quarter of the work")
    names = [name for name, _, _ in STEPS]
    run.add_argument("--steps", nargs="+", default=[], choices=names, help="all if not given")
    run.add_argument("--output", type=Path, default=Path("gpu.json"))
    page = commands.add_parser("report", help="write the page")
    page.add_argument("found", type=Path, nargs="?", help="from measure")
    page.add_argument("--compiler", type=Path, help="from gpu_compiler.py")
    page.add_argument("--output", type=Path, default=Path("gpu.md"))
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.output, options.cifs, options.structures, options.seed)
    elif options.command == "measure":
        if not SIMULATED and not _has_device():
            parser.error(
                "no CUDA device can be used here: check nvidia-smi and pip show numba-cuda"
            )
        found = measure(options.record, options.output, options.minutes, options.steps)
        failed = [
            name for name, x in found["steps"].items() if x.get("ok") is False or "error" in x
        ]
        print(f"{options.output}; failed: {', '.join(failed) or 'none'}")
    else:
        from gpu_report import page as written

        def read(path):
            return json.loads(path.read_text(encoding="utf-8")) if path else None

        text = written(read(options.found), read(options.compiler))
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
