"""Print the PTX of the diffusion kernel for compute capability 9.0, as JSON; needs no device."""

import json
import sys

import numba.cuda.dispatcher
from numba import cuda, from_dtype, types

from poreflux.diffusion.cuda import CHAIN, HOST, advance_chains


class Hopper:
    """In place of the device that numba asks for its compute capability."""

    compute_capability = (9, 0)


numba.cuda.dispatcher.get_current_device = lambda: Hopper

i8 = types.Array(types.int64, 2, "C")
f8 = types.Array(types.float64, 2, "C")
chains, hosts, grids = (
    types.Array(kind, 1, "C") for kind in (from_dtype(CHAIN), from_dtype(HOST), types.float64)
)
signature = types.void(chains, hosts, grids, f8, i8, f8, f8, f8, f8)
ptx, _ = cuda.compile_ptx(advance_chains.py_func, signature, cc=(9, 0))
json.dump(ptx, sys.stdout)
