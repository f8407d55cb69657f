"""The compiler's report on the CUDA kernels, where there is a compiler: no device is needed.

    python benchmarks/gpu_compiler.py --output compiler.json

``envs/gpu.txt`` has the compiler. Counts of instructions come with it where ``nvdisasm`` (package
nvidia-cuda-nvdisasm) is on the path.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

KERNELS = ("advance_lanes", "advance_chains", "fly_blocks")
ARCHITECTURE = (9, 0)
# Of a multiprocessor of compute capability 9.0; registers are handed out 256 at a time to a warp.
REGISTERS, MOST_WARPS, WARP, PORTION = 65_536, 64, 32, 256
# What is counted of the machine code.
KINDS = {
    "float64": ("DFMA", "DMUL", "DADD", "DSETP"),
    "float32": ("FFMA", "FMUL", "FADD", "FSETP"),
    "loads": ("LDG",),
    "branches": ("BRA",),
    "local": ("LDL", "STL"),
}


def warps_held(registers: int) -> int:
    """Warps that a multiprocessor holds, if registers are what limits them."""
    of_a_warp = -(-registers * WARP // PORTION) * PORTION
    return min(MOST_WARPS, REGISTERS // of_a_warp)


def ptxas() -> str | None:
    """The assembler of envs/gpu.txt; another may not know this PTX."""
    for package in ("nvidia.cuda_nvcc", "nvidia.cu13"):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in found.submodule_search_locations if found else ():
            tool = Path(folder) / "bin" / "ptxas"
            if tool.exists():
                return str(tool)
    return None


def signatures() -> dict:
    """Each kernel with the types of its arguments."""
    from numba import from_dtype, types

    from poreflux.diffusion import cuda as molecules
    from poreflux.diffusion import harmonic_cuda as harmonic
    from poreflux.uptake import cuda as uptake
    from poreflux.uptake.kernels import STATE

    def array(kind, dimensions=1):
        return types.Array(kind, dimensions, "C")

    def table(kind):
        return array(from_dtype(kind))

    i4, i8, f4, f8 = types.int32, types.int64, types.float32, types.float64
    rows = array(f8, 2)
    hosts = table(molecules.HOST)
    return {
        uptake.advance_lanes: types.void(
            array(i8), array(i8), table(uptake.LANE), table(uptake.HOST), array(f4), array(f4),
            array(i4), array(i8, 3), array(f8, 3), array(i4), rows, array(i4), array(i4), array(i4),
            table(STATE), rows, rows,
        ),
        molecules.advance_chains: types.void(
            table(molecules.CHAIN), hosts, array(f8), rows, array(i8, 2), rows, rows, rows, rows,
        ),
        harmonic.fly_blocks: types.void(
            table(harmonic.BLOCK), hosts, array(f8), table(harmonic.CHART), array(f8), rows, rows,
            array(f8), rows, array(f8),
        ),
    }  # fmt: skip


class _Device:
    """In place of the device that numba asks for its compute capability."""

    compute_capability = ARCHITECTURE


def compiled(kernel, signature) -> dict:
    """A kernel's PTX and the assembler's report: registers, spills, local and shared memory."""
    import numba.cuda.dispatcher
    from numba import cuda

    numba.cuda.dispatcher.get_current_device = lambda: _Device
    limit = kernel.targetoptions.get("max_registers")
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=ARCHITECTURE)
    found = {"ptx": ptx, "limit": limit}
    if ptxas():
        with tempfile.TemporaryDirectory() as folder:
            source, binary = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
            source.write_text(ptx)
            limits = ["--maxrregcount", str(limit)] if limit else []
            done = subprocess.run(
                [ptxas(), "-arch=sm_90", "-O3", "-v", *limits, source, "-o", binary],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found |= read_report(done.stderr)
            if tool := shutil.which("nvdisasm"):
                code = subprocess.run([tool, "-c", binary], capture_output=True, text=True)
                found["instructions"] = counts(code.stdout)
    return found


def read_report(text: str) -> dict:
    """The numbers that ``ptxas -v`` prints."""

    def number(pattern):
        found = re.search(pattern, text)
        return int(found[1]) if found else 0

    registers = number(r"Used (\d+) registers")
    return {
        "registers": registers,
        "warps": warps_held(registers),
        "stack_bytes": number(r"(\d+) bytes stack frame"),
        "spill_stores_bytes": number(r"(\d+) bytes spill stores"),
        "spill_loads_bytes": number(r"(\d+) bytes spill loads"),
        "shared_bytes": number(r"(\d+) bytes smem"),
    }


def counts(code: str) -> dict:
    """Instructions of machine code by kind, as they stand there (not as they run)."""
    found = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?\s*([A-Z][A-Z0-9]*)", code)
    of = collections.Counter(found)
    return {"all": len(found)} | {
        kind: sum(of[name] for name in names) for kind, names in KINDS.items()
    }


def report(kernels=KERNELS) -> dict:
    """:func:`compiled` for kernels by name."""
    named = {kernel.py_func.__name__: (kernel, types) for kernel, types in signatures().items()}
    return {name: compiled(*named[name]) for name in kernels}


def main() -> None:
    """Compile, and print or write what the compiler says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", nargs="*", default=KERNELS)
    parser.add_argument("--output", type=Path, help="standard output if not given")
    options = parser.parse_args()
    text = json.dumps(report(options.kernels))
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
