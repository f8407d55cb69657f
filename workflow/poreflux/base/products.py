"""Matrix products in which no row knows of the others.

A BLAS takes other kernels, and another order of the sums, for one row than for many: the last
digits of a row then depend on how many rows stand beside it, and on where.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def row_products(x, weight, start):
    """``x @ weight + start``, each sum from ``start`` on in the order of the columns of ``x``.

    Parameters
    ----------
    x : ndarray, shape (n, d)
    weight : ndarray, shape (d, m), of the type of ``x``
    start : ndarray, shape (m,), of the type of ``x``

    Returns
    -------
    ndarray, shape (n, m), of the type of ``x``
        To the bit the same for a row of ``x`` whatever the other rows: every product is rounded
        before it is added. Zeros of ``x`` add nothing, and take no time.
    """
    n, d = x.shape
    m = weight.shape[1]
    out = np.empty((n, m), x.dtype)
    for i in range(n):
        row = out[i]
        for j in range(m):
            row[j] = start[j]
        for k in range(d):
            factor = x[i, k]
            if factor == 0.0:
                continue
            for j in range(m):
                row[j] += factor * weight[k, j]
    return out
