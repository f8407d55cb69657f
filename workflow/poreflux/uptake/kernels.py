"""Compiled kernels of the grid engine: grand-canonical Monte Carlo of one chain.

Plain functions of arrays and scalars: no Python objects, no allocation, a random stream of
one word. All state lives in arrays that the caller owns, so that a chain can be stopped and
resumed at any step with the same outcome.

Conventions
-----------
Positions are fractional coordinates of the supercell in [0, 1). Molecules are stored by
slot: bin ``b`` of the cell list owns slots ``b * capacity`` to ``(b + 1) * capacity - 1`` and
fills them from the front. ``slot_of[m]`` and ``molecule_at[s]`` translate between the list of
molecules, from which moves pick, and slots. A box too small for a cell list is one bin.

A cell is lower triangular (a along x, b in the xy plane) and is passed as its six non-zero
elements ``(ax, bx, by, cx, cy, cz)``; its inverse likewise.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.extending import overload

from poreflux.base.random_stream import advance, uniform
from poreflux.fields.grid import _weights

# Integer state of a chain
N_MOLECULES, N_STEPS, N_CYCLES, LEFT_IN_CYCLE, N_SAMPLES, IN_SAMPLE, N_TRIALS, FULL = range(8)
N_ACCEPTED_MOVES, N_INSERTIONS, N_ACCEPTED_INSERTIONS, N_MOVES = range(8, 12)
INTEGER_STATE = 12
# Float state of a chain
ENERGY, SUM_N, SUM_W = range(3)
FLOAT_STATE = 3
# Numbers that stay the same during a call
BETA, ACTIVITY_VOLUME, FOUR_EPSILON, SIGMA2, CUTOFF2, MAX_SHIFT, REJECT, TRANSLATE = range(8)
CROWDING, SCALE, EVEN = range(8, 11)
CONSTANTS = 11
# Numbers of one voxel in the alias table: the odds of the voxel itself in 2^-31, it, the other
ALIAS = 3
TWO_31 = 2147483648.0

# A cycle is max(20, N) steps, as in RASPA.
MIN_CYCLE = 20
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)

_compile = njit(cache=True, error_model="numpy", nogil=True)


def rounded_down(x):
    """The largest whole number not above ``x``, as a float."""
    return float(math.floor(x))


@overload(rounded_down, target="cpu", inline="always")
def _rounded_down_cpu(x):
    # numpy's stays a float and is vectorised, math's goes through an integer
    return lambda x: np.floor(x)


@overload(rounded_down, target="cuda")
def _rounded_down_cuda(x):
    return lambda x: float(math.floor(x))


@_compile
def host_energy(coefficients, shape, fx, fy, fz):
    """Energy (K) of the spline at unit-cell fractions in [0, 1).

    ``coefficients`` is the flattened (nx+3, ny+3, nz+3) float32 array of a grid of ``shape``
    (nx, ny, nz), padded periodically by one plane before and two after, so that no index
    needs wrapping.
    """
    x, y, z = fx * shape[0], fy * shape[1], fz * shape[2]
    i, j, k = int(x), int(y), int(z)
    wx, wy, wz = _weights(x - i), _weights(y - j), _weights(z - k)
    along_y = shape[2] + 3
    along_x = along_y * (shape[1] + 3)
    corner = i * along_x + j * along_y + k
    total = 0.0
    for a in range(4):
        plane = 0.0
        for b in range(4):
            # unsigned: an index that cannot be negative is loaded without a test
            at = np.uint64(corner + a * along_x + b * along_y)
            plane += wy[b] * (
                wz[0] * float(coefficients[at])
                + wz[1] * float(coefficients[at + _ONE])
                + (
                    wz[2] * float(coefficients[at + _TWO])
                    + wz[3] * float(coefficients[at + _THREE])
                )
            )
        total += wx[a] * plane
    return total


@_compile
def voxel_of(shape, fx, fy, fz):
    """Flat index of the grid point nearest to unit-cell fractions in [0, 1)."""
    i, j, k = int(fx * shape[0] + 0.5), int(fy * shape[1] + 0.5), int(fz * shape[2] + 0.5)
    i = 0 if i >= shape[0] else i
    j = 0 if j >= shape[1] else j
    k = 0 if k >= shape[2] else k
    return (i * shape[1] + j) * shape[2] + k


@_compile
def wrap(f):
    """``f`` modulo 1, in [0, 1)."""
    f -= math.floor(f)
    # -1e-20 - floor(-1e-20) rounds to 1
    return 0.0 if f >= 1.0 else f


@_compile
def proposal_density(factor, constants):
    """Density of insertion trials in a voxel, relative to uniform over the cell.

    b / (1 + z v b) plus a floor, with ``factor`` b the local Boltzmann factor: the first
    factor is where a guest is likely to be, the second the chance that the place is free by a
    local Langmuir isotherm with activity z (1/Å^3) and volume v (Å^3) of a guest; the floor is
    spread evenly, so that no voxel of the domain is out of reach. 0 outside (``factor`` < 0).
    """
    if factor < 0.0:
        return 0.0
    return constants[SCALE] * (factor / (1.0 + constants[CROWDING] * factor)) + constants[EVEN]


@_compile
def boltzmann(exponent, most):
    """exp of the exponent, or of ``most`` if that is less."""
    return math.exp(exponent if exponent < most else most)


@_compile
def pair_term(x, y, z, first, j, own, box, sigma2, cutoff2, fx, fy, fz):
    """(s/r)^12 - (s/r)^6 with the nearest image of slot ``first + j``; 0 beyond the cutoff."""
    dx, dy, dz = fx - x[first + j], fy - y[first + j], fz - z[first + j]
    dx -= rounded_down(dx + 0.5)
    dy -= rounded_down(dy + 0.5)
    dz -= rounded_down(dz + 0.5)
    px = dx * box[0] + dy * box[1] + dz * box[3]
    py = dy * box[2] + dz * box[4]
    pz = dz * box[5]
    r2 = px * px + py * py + pz * pz
    if r2 >= cutoff2 or j == own:
        return 0.0
    t2 = sigma2 / r2
    t6 = t2 * t2 * t2
    return (t6 - 1.0) * t6


def pair_sums(x, y, z, first, n, own, box, sigma2, cutoff2, scratch, fx, fy, fz):
    """Sums of :func:`pair_term` over n slots but ``own``: four, of each fourth slot."""
    s0 = s1 = s2 = s3 = 0.0
    whole = n - n % 4
    for j in range(0, whole, 4):
        s0 += pair_term(x, y, z, first, j, own, box, sigma2, cutoff2, fx, fy, fz)
        s1 += pair_term(x, y, z, first, j + 1, own, box, sigma2, cutoff2, fx, fy, fz)
        s2 += pair_term(x, y, z, first, j + 2, own, box, sigma2, cutoff2, fx, fy, fz)
        s3 += pair_term(x, y, z, first, j + 3, own, box, sigma2, cutoff2, fx, fy, fz)
    for j in range(whole, n):
        s0 += pair_term(x, y, z, first, j, own, box, sigma2, cutoff2, fx, fy, fz)
    return s0, s1, s2, s3


@overload(pair_sums, target="cuda")
def _pair_sums_cuda(x, y, z, first, n, own, box, sigma2, cutoff2, scratch, fx, fy, fz):
    return pair_sums


@overload(pair_sums, target="cpu", inline="always")
def _pair_sums_cpu(x, y, z, first, n, own, box, sigma2, cutoff2, scratch, fx, fy, fz):
    """The same numbers, vectorised.

    The terms are written first and summed after, so that the first loop is vectorised without
    reordering a sum: the result depends on neither the width of the machine's vectors nor
    compiler flags.
    """

    def sums(x, y, z, first, n, own, box, sigma2, cutoff2, scratch, fx, fy, fz):
        ax, bx, by, cx, cy, cz = box[0], box[1], box[2], box[3], box[4], box[5]
        for j in range(n):
            # unsigned: an index that cannot be negative is loaded without a test
            slot = np.uint64(first + j)
            dx = fx - x[slot]
            dy = fy - y[slot]
            dz = fz - z[slot]
            dx -= np.floor(dx + 0.5)
            dy -= np.floor(dy + 0.5)
            dz -= np.floor(dz + 0.5)
            px = dx * ax + dy * bx + dz * cx
            py = dy * by + dz * cy
            pz = dz * cz
            r2 = px * px + py * py + pz * pz
            t2 = sigma2 / r2
            t6 = t2 * t2 * t2
            scratch[j] = (t6 - 1.0) * t6 if r2 < cutoff2 else 0.0
        if 0 <= own < n:
            scratch[own] = 0.0
        s0 = s1 = s2 = s3 = 0.0
        whole = n - n % 4
        for j in range(0, whole, 4):
            s0 += scratch[j]
            s1 += scratch[j + 1]
            s2 += scratch[j + 2]
            s3 += scratch[j + 3]
        for j in range(whole, n):
            s0 += scratch[j]
        return s0, s1, s2, s3

    return sums


@_compile
def pair_energy(
    x, y, z, count, capacity, neighbours, near, box, constants, scratch, home, fx, fy, fz, skip
):
    """Energy (K) of a guest at a position of bin ``home`` with all others but slot ``skip``.

    ``neighbours`` lists ``near`` bins for each bin.
    """
    s0 = s1 = s2 = s3 = 0.0
    for c in range(near):
        b = neighbours[home * near + c]
        first = b * capacity
        t0, t1, t2, t3 = pair_sums(
            x, y, z, first, count[b], skip - first, box, constants[SIGMA2], constants[CUTOFF2],
            scratch, fx, fy, fz,
        )  # fmt: skip
        s0, s1, s2, s3 = s0 + t0, s1 + t1, s2 + t2, s3 + t3
    return ((s0 + s1) + (s2 + s3)) * constants[FOUR_EPSILON]


@_compile
def bin_of(bins, fx, fy, fz):
    """Bin of the cell list that holds a position."""
    return (int(fx * bins[0]) * bins[1] + int(fy * bins[1])) * bins[2] + int(fz * bins[2])


@_compile
def put(
    x,
    y,
    z,
    host_of,
    factor_of,
    count,
    capacity,
    molecule_at,
    b,
    fx,
    fy,
    fz,
    host,
    factor,
    molecule,
):
    """Append a molecule to a bin; return its slot."""
    slot = b * capacity + count[b]
    count[b] += 1
    x[slot], y[slot], z[slot] = fx, fy, fz
    host_of[slot], factor_of[slot] = host, factor
    molecule_at[slot] = molecule
    return slot


@_compile
def take(x, y, z, host_of, factor_of, count, capacity, slot_of, molecule_at, slot):
    """Remove the molecule in a slot; the last of its bin moves there."""
    b = slot // capacity
    count[b] -= 1
    last = b * capacity + count[b]
    if last != slot:
        x[slot], y[slot], z[slot] = x[last], y[last], z[last]
        host_of[slot], factor_of[slot] = host_of[last], factor_of[last]
        moved = molecule_at[last]
        molecule_at[slot] = moved
        slot_of[moved] = slot


@_compile
def total_energy(
    x, y, z, host_of, factor_of, count, capacity, neighbours, bins, box, constants, scratch,
    coefficients, shape, repeats,
):  # fmt: skip
    """Energy (K) of the configuration from scratch: host plus pairs."""
    total = 0.0
    near = len(neighbours) // len(count)
    for b in range(len(count)):
        for slot in range(b * capacity, b * capacity + count[b]):
            fx, fy, fz = x[slot], y[slot], z[slot]
            pairs = pair_energy(
                x, y, z, count, capacity, neighbours, near, box, constants, scratch,
                bin_of(bins, fx, fy, fz), fx, fy, fz, slot,
            )  # fmt: skip
            host = host_energy(
                coefficients,
                shape,
                wrap(fx * repeats[0]),
                wrap(fy * repeats[1]),
                wrap(fz * repeats[2]),
            )
            total += host + 0.5 * pairs
    return total


@_compile
def run_chain(
    n_steps, max_cycles, sample_steps, constants, coefficients, factors, shape, alias,
    repeats, box, inverse, bins, neighbours, capacity,
    x, y, z, host_of, factor_of, slot_of, molecule_at, count, integers, floats, rng, scratch,
    trace_n, trace_w,
):  # fmt: skip
    """Advance one chain by ``n_steps`` steps, or to ``max_cycles`` cycles, or to a full bin.

    Parameters
    ----------
    n_steps, max_cycles, sample_steps : int
        Limits of this call, and steps that one sample of the traces averages over.
    constants : float64 (CONSTANTS,)
        Inverse temperature (1/K), beta f V of the supercell, 4 epsilon (K), sigma^2 and
        cutoff^2 (Å^2), largest displacement along x, y, z (Å), host energy above which a
        position is rejected (K), probability of a translation, and the numbers of
        :func:`proposal_density`.
    coefficients : float32 ((nx+3)*(ny+3)*(nz+3),)
        See :func:`host_energy`.
    factors : float32 (nx*ny*nz,)
        Local Boltzmann factor, see :func:`proposal_density`; -1 outside the domain, where the
        chain never goes.
    shape, repeats, bins : int64 (3,)
        Grid points of the unit cell, unit cells, and cell-list bins along each axis.
    alias : int32 (n * ALIAS,)
        Walker's alias table of the insertion probabilities, see :func:`alias_table`.
    box, inverse : float64 (6,)
        Supercell and its inverse, see the module.
    neighbours : int32 (n_bins * near,)
        Bins to search from each bin, itself included.
    capacity : int
        Slots a bin.
    x, y, z, host_of, factor_of : float64 (slots,)
        Positions; host energy (K) and local Boltzmann factor of each molecule.
    slot_of, molecule_at : int32 (slots,); count : int32 (n_bins,)
        See the module.
    integers : int64 (INTEGER_STATE,); floats : float64 (FLOAT_STATE,); rng : uint64 (1,)
        State of the chain.
    scratch : float64 (capacity,)
        Work space.
    trace_n, trace_w : float64 (samples,)
        Mean over each sample of N, and of beta f V exp(-beta u) / g over its insertion
        trials, whose expectation is N as well.

    Notes
    -----
    Acceptance, with g the :func:`proposal_density` at the molecule's position:
    insertion ``beta f V / (g (N+1)) exp(-beta u)``, deletion ``g N / (beta f V) exp(beta u)``,
    translation ``exp(-beta du)``, each at most 1 (Frenkel and Smit, Understanding Molecular
    Simulation, eqs. 5.6.8 and 5.6.9 with the biased proposal of Snurr, Bell and Theodorou,
    J. Phys. Chem. 1993, 97, 13742).
    """
    beta, reject = constants[BETA], constants[REJECT]
    activity_volume, max_shift = constants[ACTIVITY_VOLUME], constants[MAX_SHIFT]
    translate = constants[TRANSLATE]
    insert_below = translate + 0.5 * (1.0 - translate)
    n = integers[N_MOLECULES]
    left = integers[LEFT_IN_CYCLE]
    cycles = integers[N_CYCLES]
    sample = integers[N_SAMPLES]
    in_sample = integers[IN_SAMPLE]
    trials = integers[N_TRIALS]
    sum_n, sum_w = floats[SUM_N], floats[SUM_W]
    energy = floats[ENERGY]
    state = rng[0]
    full = False
    done = 0
    n_voxels = len(alias) // ALIAS
    near = len(neighbours) // len(count)
    plane = shape[1] * shape[2]
    while done < n_steps and sample < len(trace_n) and not full:
        if left <= 0:
            if cycles >= max_cycles:
                break
            cycles += 1
            left = n if n > MIN_CYCLE else MIN_CYCLE
        left -= 1
        done += 1
        state = advance(state)
        choice = uniform(state)
        if choice < translate:
            integers[N_MOVES] += 1
            if n > 0:
                state = advance(state)
                m = int(uniform(state) * n)
                slot = slot_of[m]
                state = advance(state)
                dx = (2.0 * uniform(state) - 1.0) * max_shift
                state = advance(state)
                dy = (2.0 * uniform(state) - 1.0) * max_shift
                state = advance(state)
                dz = (2.0 * uniform(state) - 1.0) * max_shift
                ox, oy, oz = x[slot], y[slot], z[slot]
                fx = wrap(ox + dx * inverse[0] + dy * inverse[1] + dz * inverse[3])
                fy = wrap(oy + dy * inverse[2] + dz * inverse[4])
                fz = wrap(oz + dz * inverse[5])
                ux, uy, uz = wrap(fx * repeats[0]), wrap(fy * repeats[1]), wrap(fz * repeats[2])
                factor = float(factors[voxel_of(shape, ux, uy, uz)])
                state = advance(state)
                if factor >= 0.0:
                    host = host_energy(coefficients, shape, ux, uy, uz)
                    if host <= reject:
                        b = bin_of(bins, fx, fy, fz)
                        change = host - host_of[slot]
                        change += pair_energy(
                            x, y, z, count, capacity, neighbours, near, box, constants, scratch,
                            b, fx, fy, fz, slot,
                        )  # fmt: skip
                        change -= pair_energy(
                            x, y, z, count, capacity, neighbours, near, box, constants, scratch,
                            slot // capacity, ox, oy, oz, slot,
                        )  # fmt: skip
                        if uniform(state) < boltzmann(-beta * change, 0.0):
                            integers[N_ACCEPTED_MOVES] += 1
                            energy += change
                            if b == slot // capacity:
                                x[slot], y[slot], z[slot] = fx, fy, fz
                                host_of[slot], factor_of[slot] = host, factor
                            else:
                                take(
                                    x, y, z, host_of, factor_of, count, capacity, slot_of,
                                    molecule_at, slot,
                                )  # fmt: skip
                                slot_of[m] = put(
                                    x, y, z, host_of, factor_of, count, capacity, molecule_at,
                                    b, fx, fy, fz, host, factor, m,
                                )  # fmt: skip
                                full = count[b] >= capacity
        elif choice < insert_below:
            integers[N_INSERTIONS] += 1
            state = advance(state)
            pick = uniform(state) * n_voxels
            v = int(pick)
            # what is left of the number chooses between the two voxels of the entry
            entry = v * ALIAS
            other = (pick - v) * TWO_31 >= alias[entry]
            voxel = alias[entry + 2] if other else alias[entry + 1]
            i = voxel // plane
            j = (voxel - i * plane) // shape[2]
            k = voxel - i * plane - j * shape[2]
            state = advance(state)
            ux = wrap((i + uniform(state) - 0.5) / shape[0])
            state = advance(state)
            uy = wrap((j + uniform(state) - 0.5) / shape[1])
            state = advance(state)
            uz = wrap((k + uniform(state) - 0.5) / shape[2])
            state = advance(state)
            fx = (ux + int(uniform(state) * repeats[0])) / repeats[0]
            state = advance(state)
            fy = (uy + int(uniform(state) * repeats[1])) / repeats[1]
            state = advance(state)
            fz = (uz + int(uniform(state) * repeats[2])) / repeats[2]
            fx, fy, fz = wrap(fx), wrap(fy), wrap(fz)
            state = advance(state)
            trials += 1
            host = host_energy(coefficients, shape, ux, uy, uz)
            if host <= reject:
                factor = float(factors[voxel])
                g = proposal_density(factor, constants)
                b = bin_of(bins, fx, fy, fz)
                change = host + pair_energy(
                    x, y, z, count, capacity, neighbours, near, box, constants, scratch,
                    b, fx, fy, fz, -1,
                )  # fmt: skip
                weight = activity_volume / g * boltzmann(-beta * change, 500.0)
                sum_w += weight
                if uniform(state) * (n + 1) < weight:
                    integers[N_ACCEPTED_INSERTIONS] += 1
                    energy += change
                    slot_of[n] = put(
                        x, y, z, host_of, factor_of, count, capacity, molecule_at,
                        b, fx, fy, fz, host, factor, n,
                    )  # fmt: skip
                    n += 1
                    full = count[b] >= capacity
        elif n > 0:
            state = advance(state)
            m = int(uniform(state) * n)
            slot = slot_of[m]
            state = advance(state)
            change = host_of[slot] + pair_energy(
                x, y, z, count, capacity, neighbours, near, box, constants, scratch,
                slot // capacity, x[slot], y[slot], z[slot], slot,
            )  # fmt: skip
            g = proposal_density(factor_of[slot], constants)
            odds = n / activity_volume * g * boltzmann(beta * change, 500.0)
            if uniform(state) < odds:
                energy -= change
                take(x, y, z, host_of, factor_of, count, capacity, slot_of, molecule_at, slot)
                n -= 1
                if m != n:
                    slot_of[m] = slot_of[n]
                    molecule_at[slot_of[m]] = m
        sum_n += n
        in_sample += 1
        if in_sample == sample_steps:
            trace_n[sample] = sum_n / sample_steps
            trace_w[sample] = sum_w / trials if trials > 0 else sum_n / sample_steps
            sample += 1
            in_sample = 0
            trials = 0
            sum_n = 0.0
            sum_w = 0.0
    integers[N_MOLECULES] = n
    integers[N_STEPS] += done
    integers[LEFT_IN_CYCLE] = left
    integers[N_CYCLES] = cycles
    integers[N_SAMPLES] = sample
    integers[IN_SAMPLE] = in_sample
    integers[N_TRIALS] = trials
    integers[FULL] = 1 if full else 0
    floats[SUM_N] = sum_n
    floats[SUM_W] = sum_w
    floats[ENERGY] = energy
    rng[0] = state


@_compile
def insertion_weights(factors, constants, floor, weights):
    """Insertion probability of each voxel of the domain; sets SCALE and EVEN of ``constants``.

    ``factors`` (float32, n) are those of :func:`proposal_density`; ``floor`` is the share that
    is spread evenly. SCALE and EVEN are the same numbers a voxel; the caller multiplies them
    by the number of grid points to make a density of them.
    """
    n = len(factors)
    total = 0.0
    for i in range(n):
        factor = float(factors[i])
        weights[i] = factor / (1.0 + constants[CROWDING] * factor)
        total += weights[i]
    scale = (1.0 - floor) / total if total > 0.0 else 0.0
    even = (floor if total > 0.0 else 1.0) / n
    for i in range(n):
        weights[i] = weights[i] * scale + even
    constants[SCALE], constants[EVEN] = scale, even


@_compile
def alias_table(weights, voxels, alias, keep, small, large):
    """Walker's alias table (Vose's algorithm) of probabilities that sum to 1.

    Parameters
    ----------
    weights : float64 (n,)
        Probability of each voxel.
    voxels : int32 (n,)
        Their flat indices.
    alias : int32 (n * ALIAS,)
        Filled: for each entry, chosen with probability 1/n, the odds of its own voxel in units
        of 2^-31, that voxel, and the other.
    keep : float64 (n,); small, large : int32 (n,)
        Work space.
    """
    n = len(weights)
    n_small = n_large = 0
    for i in range(n):
        keep[i] = weights[i] * n
        alias[i * ALIAS + 1] = voxels[i]
        alias[i * ALIAS + 2] = voxels[i]
        if weights[i] * n < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        low = small[n_small]
        high = large[n_large - 1]
        alias[low * ALIAS + 2] = voxels[high]
        keep[high] = (keep[high] + keep[low]) - 1.0
        if keep[high] < 1.0:
            n_large -= 1
            small[n_small] = high
            n_small += 1
    # round-off leaves some: their odds are 1
    for s in range(n_small):
        keep[small[s]] = 1.0
    for s in range(n_large):
        keep[large[s]] = 1.0
    for i in range(n):
        odds = math.floor(keep[i] * TWO_31 + 0.5)
        alias[i * ALIAS] = odds if odds < TWO_31 else TWO_31 - 1.0
