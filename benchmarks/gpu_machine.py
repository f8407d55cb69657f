"""Steps of the record on a GPU: the machine, what the CPU prepares, what the card does at most."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import platform
import time
from collections.abc import Callable
from pathlib import Path

import gpu_record as of_record
import numpy as np
from gpu_bench import SEED, SIMULATED, Bench, NoDevice, cores
from gpu_compiler import warps_held
from numba import cuda

from poreflux.diffusion import cuda as md
from poreflux.diffusion import grid_engine, harmonic, harmonic_cuda
from poreflux.uptake import cuda as gcmc
from poreflux.uptake import grid

# What is compiled for the CPU at the same time, each in a process; numba keeps it on disk.
PARTS = ("harmonic", "md", "gcmc")


def host_machine(bench: Bench) -> dict:
    """Processor and versions."""
    model = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("numba", "numba_cuda", "scipy", "torch"):
        with contextlib.suppress(ImportError):
            versions[name] = getattr(importlib.import_module(name), "__version__", "?")
    return {"processor": model, "cores": cores(), "versions": versions, "simulated": SIMULATED}


def card(bench: Bench) -> dict:
    """The device."""
    if SIMULATED:
        raise NoDevice("the simulator has no card")
    here = cuda.get_current_device()
    name = here.name.decode() if isinstance(here.name, bytes) else str(here.name)
    memory = cuda.current_context().get_memory_info()
    return {
        "name": name,
        "compute_capability": list(here.compute_capability),
        "multiprocessors": here.MULTIPROCESSOR_COUNT,
        "memory_bytes": int(memory.total),
        "clock_khz": getattr(here, "CLOCK_RATE", None),
        "l2_bytes": getattr(here, "L2_CACHE_SIZE", None),
    }


def ceilings(bench: Bench) -> dict:
    """What the card moves and computes at most, by a large copy and large products."""
    import torch

    if not torch.cuda.is_available():
        raise NoDevice("torch sees no GPU")
    n = bench.effort.copy_bytes // 8
    source = torch.rand(n, dtype=torch.float64, device="cuda")
    target = torch.empty_like(source)
    copied = _on_torch(torch, target.copy_, source)
    found = {"copy_bytes_per_s": 2.0 * 8 * n / copied}
    side = bench.effort.product_size
    for dtype in (torch.float64, torch.float32):
        a, b = torch.rand(2, side, side, dtype=dtype, device="cuda")
        seconds = _on_torch(torch, torch.matmul, a, b)
        found[f"product_{str(dtype)[6:]}_per_s"] = 2.0 * side**3 / seconds
    del source, target, a, b
    torch.cuda.empty_cache()
    return found


def _on_torch(torch, work: Callable, *arguments, repeats: int = 10) -> float:
    """Median seconds of ``work(*arguments)``."""
    for _ in range(3):
        work(*arguments)
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work(*arguments)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000.0)
    return float(np.median(times))


def compiled(bench: Bench) -> dict:
    """Registers, local memory and warps of the kernels that have run."""
    if SIMULATED:
        raise NoDevice("the simulator compiles nothing")
    found = {}
    for kernel in (gcmc.advance_lanes, md.advance_chains, harmonic_cuda.fly_blocks):
        registers = max(kernel.get_regs_per_thread().values(), default=0)
        found[kernel.py_func.__name__] = {
            "registers": registers,
            "local_bytes": max(kernel.get_local_mem_per_thread().values(), default=0),
            "shared_bytes": max(kernel.get_shared_mem_per_block().values(), default=0),
            "warps": warps_held(registers) if registers else 0,
        }
    return {"kernels": found}


def preparation(bench: Bench) -> dict:
    """Read the record and make hosts, fields and harmonic coordinates of it, on all cores."""
    frameworks, bench.checks = of_record.read_record(bench.record)
    n = min(bench.effort.n_frameworks, len(frameworks))
    which = np.unique(np.linspace(0, len(frameworks) - 1, n).round().astype(int))
    bench.frameworks = [frameworks[i] for i in which]
    smallest = min(bench.frameworks, key=lambda framework: framework.energy_K.size)
    start = time.monotonic()
    _apart(_compile_a_part, [(what, smallest) for what in PARTS], SIMULATED)
    first_s = time.monotonic() - start
    start = time.monotonic()
    bench.made = _apart(of_record.ready, bench.frameworks, SIMULATED)
    seconds = time.monotonic() - start
    parts = {what: 0.0 for what in bench.made[0].cpu_s}
    for made in bench.made:
        for what, cpu_s in made.cpu_s.items():
            parts[what] += cpu_s
    return {
        "frameworks": [made.name for made in bench.made],
        "grid_points": [int(made.energy_K.size) for made in bench.made],
        "with_channel": sum(made.landscape is not None for made in bench.made),
        "compiling_s": first_s,
        "wall_s": seconds,
        "cpu_s_per_framework": {what: s / len(bench.made) for what, s in parts.items()},
    }


def _apart(work: Callable, items: list, here: bool) -> list:
    """``work`` of each item in processes of their own.

    Before this process uses CUDA, for one that has cannot be forked.
    """
    if here or cores() == 1:
        return list(map(work, items))
    with multiprocessing.get_context("fork").Pool(min(cores(), len(items))) as pool:
        return pool.map(work, items, chunksize=1)


def _compile_a_part(part: tuple[str, of_record.Framework]) -> None:
    what, framework = part
    if what == "md":
        field_ = grid_engine.make_field(framework.energy_K, framework.cell, of_record.CAP_K)
        energy = framework.energy_K
        state = grid_engine.start(
            field_, energy <= energy.min(), energy, 2, 2, of_record.DYNAMICS, SEED
        )
        grid_engine.advance_state(field_, state, of_record.DYNAMICS, 2, 1, 1)
        return
    made = of_record.ready(framework)
    if what == "gcmc" and len(made.host.voxels):
        chain = of_record.isotherm(made, [1.0], grid.Schedule(), SEED).runs[0].chain
        chain.advance(grid.SAMPLE_STEPS)
    if what == "harmonic" and made.landscape is not None:
        paths = harmonic.Paths(made.landscape, SEED)
        paths.fly(paths.missing(1, 0))


def grids(bench: Bench) -> dict:
    """Energy grids on one core: there is no kernel of a device for them."""
    from poreflux.fields.grid import _scatter_lj

    def scatter(framework):
        energy = np.zeros(framework.energy_K.shape)
        widths = 1.0 / np.linalg.norm(np.linalg.inv(framework.cell), axis=0)
        _scatter_lj(
            energy,
            framework.frac,
            framework.cell,
            widths,
            framework.four_epsilon_K,
            framework.sigma2_A2,
            of_record.CUTOFF_A,
        )
        return energy

    some = bench.frameworks[:: max(1, len(bench.frameworks) // 8)]
    scatter(min(some, key=lambda framework: framework.energy_K.size))
    start = time.process_time()
    points = worst = 0
    for framework in some:
        energy = scatter(framework)
        points += energy.size
        # the record holds the same grid, in 16 bits
        low = energy < 1000.0
        if low.any():
            worst = max(worst, float(np.abs(energy - framework.energy_K)[low].max()))
    seconds = time.process_time() - start
    return {
        "device": "there is no kernel of a device for grids: one core of the CPU",
        "grids_per_s": len(some) / seconds,
        "points_per_s": points / seconds,
        "off_the_record_K": worst,
    }
