"""The framework's potential for one guest site on a periodic grid, and its interpolation.

Grid points sit at fractional coordinates (i/nx, j/ny, k/nz), the origin included. The
kernels are plain functions of arrays, compiled by numba for the CPU.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import overload
from scipy import ndimage

from poreflux.fields.forcefield import Guest, mixed_parameters
from poreflux.fields.rows import row_within
from poreflux.structures.crystal import Structure

# Below this distance two sites have the energy they have here: large, but finite.
MIN_DISTANCE_A = 0.01


def grid_shape(structure: Structure, spacing_A: float) -> tuple[int, int, int]:
    """Points along a, b, c so that no spacing exceeds ``spacing_A``."""
    return tuple(max(1, math.ceil(x / spacing_A - 1e-9)) for x in structure.lengths_A)


def lj_grid(
    structure: Structure, guest: Guest, shape: tuple[int, int, int], cutoff_A: float
) -> np.ndarray:
    """Lennard-Jones energy of one guest site with the rigid framework at every grid point.

    Every image of every atom within the cutoff counts, so cells smaller than the cutoff and
    triclinic cells need no special care.

    Parameters
    ----------
    structure : Structure
        The framework.
    guest : Guest
        One Lennard-Jones site; Lorentz-Berthelot mixing with UFF.
    shape : tuple of 3 ints
        Grid points along a, b, c.
    cutoff_A : float
        Plain truncation: unshifted, no tail correction.

    Returns
    -------
    ndarray float64, ``shape``
        Energy over kB, K.

    Raises
    ------
    StructureError
        If an element has no parameters.
    """
    epsilon_K, sigma_A = mixed_parameters(structure, guest)
    energy = np.zeros(shape)
    _scatter_lj(
        energy,
        structure.frac,
        structure.cell,
        structure.perpendicular_widths_A,
        4.0 * epsilon_K,
        sigma_A**2,
        cutoff_A,
    )
    return energy


@njit(cache=True, error_model="numpy", nogil=True)
def _scatter_lj(energy, frac, cell, widths, four_epsilon, sigma2, cutoff):
    nx, ny, nz = energy.shape
    cutoff2 = cutoff * cutoff
    min2 = MIN_DISTANCE_A * MIN_DISTANCE_A
    # along c, from one grid point to the next
    step = (cell[2, 0] / nz, cell[2, 1] / nz, cell[2, 2] / nz)
    step2 = step[0] * step[0] + step[1] * step[1] + step[2] * step[2]
    reach_i = cutoff / widths[0] * nx
    reach_j = cutoff / widths[1] * ny
    for a in range(frac.shape[0]):
        e4, s2 = four_epsilon[a], sigma2[a]
        fi, fj, fk = frac[a, 0] * nx, frac[a, 1] * ny, frac[a, 2] * nz
        for i in range(math.ceil(fi - reach_i), math.floor(fi + reach_i) + 1):
            u = (i - fi) / nx
            ii = i % nx
            for j in range(math.ceil(fj - reach_j), math.floor(fj + reach_j) + 1):
                v = (j - fj) / ny
                p2, ps, low, high = row_within(u, v, cell, step, step2, cutoff2)
                if low > high:
                    continue
                first, last = math.ceil(fk + low), math.floor(fk + high)
                row = energy[ii, j % ny]
                k = first
                while k <= last:
                    kk = k % nz
                    run = min(last - k + 1, nz - kk)
                    # a slice, so that no index can be negative and the loop is vectorised
                    part = row[kk : kk + run]
                    for m in range(run):
                        t = k + m - fk
                        r2 = p2 + t * (2.0 * ps + t * step2)
                        r2 = max(r2, min2)
                        x = s2 / r2
                        x = x * x * x
                        part[m] += e4 * x * (x - 1.0)
                    k += run


def spline_coefficients(energy: np.ndarray, cap_K: float) -> np.ndarray:
    """Coefficients of the periodic cubic B-spline through ``min(energy, cap_K)``.

    The cap keeps the spline from ringing next to the atoms; no molecule visits there at any
    temperature of interest (20,000 K at 298 K is a Boltzmann factor of 1e-29).

    Returns
    -------
    ndarray float64, the shape of ``energy``
    """
    return ndimage.spline_filter(np.minimum(energy, cap_K), order=3, mode="grid-wrap")


@njit(cache=True, nogil=True)
def finer_grid(coefficients, factor):
    """The spline on a grid ``factor`` times finer along each axis.

    Parameters
    ----------
    coefficients : ndarray (nx, ny, nz)
        From :func:`spline_coefficients`.
    factor : int
        Points of the new grid for each of the old.

    Returns
    -------
    ndarray float32 (nx*factor, ny*factor, nz*factor)
        Every ``factor``-th point is one of the old grid.
    """
    nx, ny, nz = coefficients.shape
    out = np.empty((nx * factor, ny * factor, nz * factor), np.float32)
    weights = np.empty((factor, 4))
    for t in range(factor):
        w = spline_weights(t / factor)
        weights[t, 0], weights[t, 1], weights[t, 2], weights[t, 3] = w[0], w[1], w[2], w[3]
    # one line along z, with a point before and two after
    line = np.empty(nz + 3)
    for i in range(nx * factor):
        for j in range(ny * factor):
            line[:] = 0.0
            for p in range(4):
                ii = (i // factor + p - 1) % nx
                for q in range(4):
                    jj = (j // factor + q - 1) % ny
                    w_xy = weights[i % factor, p] * weights[j % factor, q]
                    for k in range(nz):
                        line[k + 1] += w_xy * coefficients[ii, jj, k]
            line[0] = line[nz]
            line[nz + 1] = line[1]
            line[nz + 2] = line[2] if nz > 1 else line[1]
            for k in range(nz):
                for t in range(factor):
                    out[i, j, k * factor + t] = (
                        weights[t, 0] * line[k]
                        + weights[t, 1] * line[k + 1]
                        + weights[t, 2] * line[k + 2]
                        + weights[t, 3] * line[k + 3]
                    )
    return out


def sixth(x):
    """``x / 6``."""
    return x / 6.0


@overload(sixth, target="cpu", inline="always")
def _sixth_cpu(x):
    return lambda x: x / 6.0


@overload(sixth, target="cuda")
def _sixth_cuda(x):
    # a division is a dozen instructions and a branch there; off by one rounding at most
    return lambda x: x * (1.0 / 6.0)


@njit(cache=True, inline="always")
def spline_weights(t):
    """Uniform cubic B-spline weights of the four points around fraction ``t`` in [0, 1)."""
    u = 1.0 - t
    return (
        sixth(u * u * u),
        sixth(4.0 - 6.0 * t * t + 3.0 * t * t * t),
        sixth(4.0 - 6.0 * u * u + 3.0 * u * u * u),
        sixth(t * t * t),
    )


@njit(cache=True, inline="always", error_model="numpy")
def spline_weights_and_slopes(t):
    """The four of :func:`spline_weights`, and their derivatives: eight numbers.

    For dynamics, where divisions take time: a multiplication by 1/6 may round otherwise than the
    division there, which Monte Carlo results rest on, so the two do not share the formula.
    """
    u = 1.0 - t
    tt, uu = t * t, u * u
    return (
        uu * u * (1.0 / 6.0),
        (4.0 - 6.0 * tt + 3.0 * tt * t) * (1.0 / 6.0),
        (4.0 - 6.0 * uu + 3.0 * uu * u) * (1.0 / 6.0),
        tt * t * (1.0 / 6.0),
        -0.5 * uu,
        (1.5 * t - 2.0) * t,
        (2.0 - 1.5 * u) * u,
        0.5 * tt,
    )


@njit(cache=True)
def spline_energy(coefficients, fx, fy, fz):
    """Energy (K) of the spline at fractional coordinates, any lattice image."""
    nx, ny, nz = coefficients.shape
    x, y, z = (fx - math.floor(fx)) * nx, (fy - math.floor(fy)) * ny, (fz - math.floor(fz)) * nz
    i, j, k = int(x), int(y), int(z)
    wx, wy, wz = spline_weights(x - i), spline_weights(y - j), spline_weights(z - k)
    total = 0.0
    for a in range(4):
        ia = (i + a - 1) % nx
        for b in range(4):
            jb = (j + b - 1) % ny
            line = 0.0
            for c in range(4):
                line += wz[c] * coefficients[ia, jb, (k + c - 1) % nz]
            total += wx[a] * wy[b] * line
    return total


@njit(cache=True)
def spline_energy_gradient(coefficients, fx, fy, fz):
    """Energy (K) and its gradient with respect to the three fractional coordinates (K)."""
    nx, ny, nz = coefficients.shape
    x, y, z = (fx - math.floor(fx)) * nx, (fy - math.floor(fy)) * ny, (fz - math.floor(fz)) * nz
    i, j, k = int(x), int(y), int(z)
    wx, wy = spline_weights_and_slopes(x - i), spline_weights_and_slopes(y - j)
    wz = spline_weights_and_slopes(z - k)
    e = gx = gy = gz = 0.0
    for a in range(4):
        ia = (i + a - 1) % nx
        for b in range(4):
            jb = (j + b - 1) % ny
            line = slope = 0.0
            for c in range(4):
                value = coefficients[ia, jb, (k + c - 1) % nz]
                line += wz[c] * value
                slope += wz[4 + c] * value
            e += wx[a] * wy[b] * line
            gx += wx[4 + a] * wy[b] * line
            gy += wx[a] * wy[4 + b] * line
            gz += wx[a] * wy[b] * slope
    return e, gx * nx, gy * ny, gz * nz
