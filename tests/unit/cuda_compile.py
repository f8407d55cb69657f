"""Print the PTX of the uptake kernel for compute capability 9.0, as JSON; needs no device."""

import json
import sys

import numba.cuda.dispatcher
from numba import cuda, from_dtype, types

from poreflux.uptake.cuda import HOST, LANE, advance_lanes
from poreflux.uptake.kernels import STATE


class Hopper:
    """In place of the device that numba asks for its compute capability."""

    compute_capability = (9, 0)


numba.cuda.dispatcher.get_current_device = lambda: Hopper


def array(kind, dimensions=1):
    """A C-ordered array type."""
    return types.Array(kind, dimensions, "C")


i4, i8, f4, f8 = types.int32, types.int64, types.float32, types.float64
lane, host, state = map(from_dtype, (LANE, HOST, STATE))
signature = types.void(
    array(i8), array(i8), array(lane), array(host), array(f4), array(f4), array(i4), array(i8, 3),
    array(f8, 3), array(i4), array(f8, 2), array(i4), array(i4), array(i4), array(state),
    array(f8, 2), array(f8, 2),
)  # fmt: skip
ptx, _ = cuda.compile_ptx(advance_lanes.py_func, signature, cc=(9, 0))
json.dump(ptx, sys.stdout)
