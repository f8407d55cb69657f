"""Print the PTX of a diffusion kernel for compute capability 9.0, as JSON; needs no device.

python cuda_compile_diffusion.py KERNEL
"""

import json
import sys

import numba.cuda.dispatcher
from numba import cuda, from_dtype, types

from poreflux.diffusion.cuda import CHAIN, HOST, advance_chains
from poreflux.diffusion.harmonic_cuda import BLOCK, CHART, fly_blocks


class Hopper:
    """In place of the device that numba asks for its compute capability."""

    compute_capability = (9, 0)


numba.cuda.dispatcher.get_current_device = lambda: Hopper

i8 = types.Array(types.int64, 2, "C")
f8 = types.Array(types.float64, 2, "C")
flat = types.Array(types.float64, 1, "C")
chains, hosts, blocks, charts = (
    types.Array(from_dtype(kind), 1, "C") for kind in (CHAIN, HOST, BLOCK, CHART)
)
signatures = {
    advance_chains: types.void(chains, hosts, flat, f8, i8, f8, f8, f8, f8),
    fly_blocks: types.void(blocks, hosts, flat, charts, flat, f8, f8, flat, f8, flat),
}
(kernel,) = (kernel for kernel in signatures if kernel.py_func.__name__ == sys.argv[1])
ptx, _ = cuda.compile_ptx(kernel.py_func, signatures[kernel], cc=(9, 0))
json.dump(ptx, sys.stdout)
