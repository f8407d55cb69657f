"""What the steps of the record on a GPU share: sizes, the simulator, what was found so far."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gpu_record as of_record
import numba

from poreflux.base.files import write_atomically
from poreflux.uptake import grid

SIMULATED = bool(numba.config.ENABLE_CUDASIM)
# Modules whose compiled functions the simulator wants as Python.
KERNEL_MODULES = (
    "poreflux.base.random_stream",
    "poreflux.fields.grid",
    "poreflux.uptake.kernels",
    "poreflux.diffusion.grid_engine",
    "poreflux.diffusion.paths",
    "poreflux.diffusion.cuda",
    "poreflux.diffusion.harmonic_cuda",
)
# Another seed than that of the CPU's results: two independent estimates are compared.
SEED, OTHER_SEED = 1, 2


@dataclass(frozen=True)
class Effort:
    """Sizes of the measurements.

    Attributes
    ----------
    n_frameworks : int
        Of the record, evenly spread over its sizes.
    places : int
        At which energies are compared, in each framework.
    first_steps : int
        Of chains that must stay together on both sides.
    chains, block_sizes : tuple of int
        Chains in a launch, and threads of a block (0: the engine's own choice).
    equilibration : int
        Steps of each chain before it is timed.
    molecules, paths, path_blocks : tuple of int
        In a launch of engine grid and of engine harmonic; paths of a block.
    networks, training_steps : tuple of int, int
        Trained together; steps.
    launch_s : float
        A timed launch takes about so long.
    repeats : int
        Of timed launches; their median counts.
    cpu_steps : int
        Of each chain on the CPU.
    copy_bytes, product_size : int
        Of the large copy, and side of the large product.
    """

    n_frameworks: int = 64
    places: int = 2000
    first_steps: int = 5000
    chains: tuple = (1000, 5000, 20_000)
    block_sizes: tuple = (0, 4, 8, 16, 32, 64, 128)
    equilibration: int = 100_000
    molecules: tuple = (3840, 38_400, 192_000)
    paths: tuple = (8192, 32_768, 131_072)
    path_blocks: tuple = (32, 64, 128)
    networks: tuple = (20, 100, 400)
    training_steps: int = 300
    launch_s: float = 1.0
    repeats: int = 3
    cpu_steps: int = 20_000
    copy_bytes: int = 4 * 2**30
    product_size: int = 8192


FULL = Effort()
QUICK = Effort(
    n_frameworks=16, chains=(1000, 10_000), block_sizes=(0, 32, 64), equilibration=50_000,
    molecules=(38_400,), paths=(32_768,), path_blocks=(32, 64), networks=(100,), repeats=2,
    launch_s=0.5,
)  # fmt: skip
TINY = Effort(
    n_frameworks=2, places=8, first_steps=250, chains=(3,), block_sizes=(0, 2), equilibration=250,
    molecules=(60,), paths=(8,), path_blocks=(4,), networks=(2,), training_steps=3, launch_s=0.0,
    repeats=1, cpu_steps=250, copy_bytes=2**20, product_size=64,
)  # fmt: skip


@contextlib.contextmanager
def kernels_for_device() -> Iterator[None]:
    """In the simulator, Python in place of compiled functions; nothing on a device."""
    replaced = []
    if SIMULATED:
        for name in KERNEL_MODULES:
            module = importlib.import_module(name)
            for key, value in list(vars(module).items()):
                if isinstance(value, numba.core.dispatcher.Dispatcher):
                    replaced.append((module, key, value))
                    setattr(module, key, value.py_func)
    try:
        yield
    finally:
        for module, key, value in replaced:
            setattr(module, key, value)


class NoDevice(Exception):
    """A step that means nothing without a device."""


@dataclass
class Bench:
    """A run of the steps, and what they found.

    Attributes
    ----------
    record, output : Path
    effort : Effort
    seconds : float
        All steps together; one that has not begun by then is left out.
    found : dict
        What is written: steps by name.
    frameworks, checks
        Of the record.
    made : list of Ready
    """

    record: Path
    output: Path
    effort: Effort
    seconds: float
    found: dict = field(default_factory=lambda: {"steps": {}})
    frameworks: list = field(default_factory=list)
    checks: of_record.Checks | None = None
    made: list = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.began)

    def save(self) -> None:
        """Write what was found so far."""
        self.found["seconds"] = round(time.monotonic() - self.began, 1)
        # numbers of numpy become those of Python
        text = json.dumps(self.found, indent=1, default=lambda number: number.item())
        write_atomically(self.output, text.encode())

    def begin(self, name: str, found: dict) -> dict:
        """Have what a step finds in turn among what is written; returns it."""
        self.found["steps"][name] = found
        return found

    def step(self, name: str, work: Callable[[Bench], dict], least_s: float) -> None:
        """Do a step where time is left for it, and write what it found."""
        if self.left_s < least_s:
            self.found["steps"][name] = {"left_out": f"{self.left_s:.0f} s were left"}
            self.save()
            return
        self.found["now"] = name
        start = time.monotonic()
        try:
            outcome = work(self)
        except NoDevice as why:
            outcome = {"left_out": str(why)}
        except Exception as error:  # the rest go on
            outcome = self.found["steps"].get(name, {}) | {
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc().splitlines()[-12:],
            }
        outcome["step_s"] = round(time.monotonic() - start, 2)
        self.found["steps"][name] = outcome
        self.found.pop("now")
        self.save()
        shown = {key: value for key, value in outcome.items() if key in ("ok", "error", "left_out")}
        print(f"{name}: {outcome['step_s']:.1f} s {shown or ''}", flush=True)

    def stop_in_time(self) -> None:
        """End the process when its time is over, with what there is."""

        def stop():
            try:
                now = self.found.get("now", "?")
                self.found["stopped"] = f"in step {now}, for its time was over"
                self.save()
            finally:
                os._exit(3)

        timer = threading.Timer(self.left_s + 5.0, stop)
        timer.daemon = True
        timer.start()


def cores() -> int:
    return len(os.sched_getaffinity(0))


def isotherms_of(bench: Bench, fugacities_bar, seed: int = SEED) -> list[grid.IsothermRun]:
    """One for each framework with room for a molecule."""
    return [
        of_record.isotherm(made, fugacities_bar, bench.checks.schedule, seed)
        for made in bench.made
        if len(made.host.voxels)
    ]


def with_channel(bench: Bench) -> list:
    """Framework and what was made of it, where molecules can move."""
    pairs = zip(bench.frameworks, bench.made, strict=True)
    return [(framework, made) for framework, made in pairs if made.landscape is not None]
