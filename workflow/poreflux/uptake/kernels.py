"""Compiled kernels of the grid engine: grand-canonical Monte Carlo of one chain.

Plain functions of arrays and scalars: no Python objects, no allocation, a random stream of
one word. All state lives in arrays that the caller owns, so that a chain can be stopped and
resumed at any step with the same outcome. :func:`run_chain` is the algorithm, with one function
per Monte Carlo move; what they work on comes in named tuples, which cost nothing when compiled.

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
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload

from poreflux.base.random_stream import advance, uniform
from poreflux.fields.grid import spline_weights

# State of a chain, one record: what a later call goes on from, and how the last call ended.
STATE = np.dtype(
    [
        ("n_molecules", np.int64),
        ("n_steps", np.int64),
        ("n_cycles", np.int64),
        ("left_in_cycle", np.int64),
        # samples that the last call completed
        ("n_samples", np.int64),
        # steps and insertion trials of the sample that is not complete, and its sums
        ("in_sample", np.int64),
        ("n_trials", np.int64),
        ("sum_n", np.float64),
        ("sum_weight", np.float64),
        # whether the last call ended because a bin has no slot left
        ("is_full", np.int64),
        ("energy_K", np.float64),
        ("rng", np.uint64),
    ],
    align=True,
)
# Numbers of one voxel in the alias table: the odds of the voxel itself in 2^-31, it, the other
ALIAS = 3
TWO_31 = 2147483648.0

# A cycle is max(20, N) steps, as in RASPA.
MIN_CYCLE = 20
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)

# No reference counts (``_nrt``): the arrays are the caller's, who keeps them, and to count at each
# use of a named tuple would take a third of the time.
_compile = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
# Becomes a part of the caller: a call would copy the named tuples.
_inline = njit(cache=True, error_model="numpy", nogil=True, _nrt=False, forceinline=True)


class Conditions(NamedTuple):
    """Numbers that stay the same during a call.

    Attributes
    ----------
    beta : float
        Inverse temperature, 1/K.
    activity_volume : float
        beta f V of the supercell: how many molecules an ideal gas would have.
    four_epsilon, sigma2, cutoff2 : float
        Lennard-Jones between guests: 4 epsilon (K), sigma^2 and cutoff^2 (Å^2).
    max_shift : float
        Largest displacement along x, y, z, Å.
    reject : float
        Energy with the host above which a position is refused, K.
    translations : float
        Share of translations among the moves; the rest is half insertions, half deletions.
    """

    beta: float
    activity_volume: float
    four_epsilon: float
    sigma2: float
    cutoff2: float
    max_shift: float
    reject: float
    translations: float


class Proposal(NamedTuple):
    """Where insertions are tried: the numbers of :func:`proposal_density`, and a table of it.

    Attributes
    ----------
    crowding, scale, even : float
        Activity times the volume of a guest; factor and floor of the density.
    alias : int32 (n * ALIAS,)
        Walker's alias table of the voxels' probabilities, see :func:`alias_table`.
    """

    crowding: float
    scale: float
    even: float
    alias: np.ndarray


class Framework(NamedTuple):
    """The host on the grid of its unit cell.

    Attributes
    ----------
    coefficients : float32 ((nx+3)*(ny+3)*(nz+3),)
        Spline of the energy (K), see :func:`host_energy`.
    factors : float32 (nx*ny*nz,)
        Local Boltzmann factor, see :func:`proposal_density`; -1 outside the domain, where the
        chain never goes.
    shape : int64 (3,)
        nx, ny, nz.
    """

    coefficients: np.ndarray
    factors: np.ndarray
    shape: np.ndarray


class Cells(NamedTuple):
    """The supercell and its cell list.

    Attributes
    ----------
    repeats : int64 (3,)
        Unit cells along each axis.
    box, inverse : float64 (6,)
        Supercell (Å) and its inverse, see the module.
    bins : int64 (3,)
        Bins of the cell list along each axis.
    neighbours : int32 (n_bins * near,)
        Bins to search from each bin, itself included.
    """

    repeats: np.ndarray
    box: np.ndarray
    inverse: np.ndarray
    bins: np.ndarray
    neighbours: np.ndarray


class Guests(NamedTuple):
    """The molecules of a chain by slot, see the module.

    Attributes
    ----------
    x, y, z : float64 (slots,)
        Positions.
    host_of, factor_of : float64 (slots,)
        Energy with the host (K) and local Boltzmann factor.
    slot_of, molecule_at : int32 (slots,)
        Slot of each molecule, molecule in each slot.
    count : int32 (n_bins,)
        Molecules in each bin.
    capacity : int
        Slots per bin.
    scratch : float64 (capacity,)
        Work space of the CPU.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    host_of: np.ndarray
    factor_of: np.ndarray
    slot_of: np.ndarray
    molecule_at: np.ndarray
    count: np.ndarray
    capacity: int
    scratch: np.ndarray


class System(NamedTuple):
    """All that a chain is given: what moves read, and the molecules that they change."""

    conditions: Conditions
    proposal: Proposal
    framework: Framework
    cells: Cells
    guests: Guests


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


def weighted_sum(coefficients, corner, along_x, along_y, wx, wy, wz):
    """Of 64 coefficients. Written out: a device has no fast way to pick a weight by a number."""
    total = wx[0] * _plane(coefficients, corner, along_y, wy, wz)
    total += wx[1] * _plane(coefficients, corner + along_x, along_y, wy, wz)
    total += wx[2] * _plane(coefficients, corner + 2 * along_x, along_y, wy, wz)
    total += wx[3] * _plane(coefficients, corner + 3 * along_x, along_y, wy, wz)
    return total


@overload(weighted_sum, target="cuda")
def _weighted_sum_cuda(coefficients, corner, along_x, along_y, wx, wy, wz):
    return weighted_sum


@overload(weighted_sum, target="cpu", inline="always")
def _weighted_sum_cpu(coefficients, corner, along_x, along_y, wx, wy, wz):
    """The same sum in loops, which the CPU's compiler does better with."""

    def summed(coefficients, corner, along_x, along_y, wx, wy, wz):
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

    return summed


@_inline
def _plane(coefficients, at, along_y, wy, wz):
    """Weighted sum of four rows of four coefficients."""
    total = wy[0] * _row(coefficients, at, wz)
    total += wy[1] * _row(coefficients, at + along_y, wz)
    total += wy[2] * _row(coefficients, at + 2 * along_y, wz)
    total += wy[3] * _row(coefficients, at + 3 * along_y, wz)
    return total


@_inline
def _row(coefficients, at, wz):
    at = np.uint64(at)
    return (
        wz[0] * float(coefficients[at])
        + wz[1] * float(coefficients[at + _ONE])
        + (wz[2] * float(coefficients[at + _TWO]) + wz[3] * float(coefficients[at + _THREE]))
    )


@_compile
def host_energy(coefficients, shape, fx, fy, fz):
    """Energy (K) of the spline at unit-cell fractions in [0, 1).

    ``coefficients`` is the flattened (nx+3, ny+3, nz+3) float32 array of a grid of ``shape``
    (nx, ny, nz), padded periodically by one plane before and two after, so that no index
    needs wrapping.
    """
    x, y, z = fx * shape[0], fy * shape[1], fz * shape[2]
    i, j, k = int(x), int(y), int(z)
    wx, wy, wz = spline_weights(x - i), spline_weights(y - j), spline_weights(z - k)
    along_y = shape[2] + 3
    along_x = along_y * (shape[1] + 3)
    corner = i * along_x + j * along_y + k
    return weighted_sum(coefficients, corner, along_x, along_y, wx, wy, wz)


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
def proposal_density(factor, proposal):
    """Density of insertion trials in a voxel, relative to uniform over the cell.

    b / (1 + z v b) plus a floor, with ``factor`` b the local Boltzmann factor: the first
    factor is where a guest is likely to be, the second the chance that the place is free by a
    local Langmuir isotherm with activity z (1/Å^3) and volume v (Å^3) of a guest; the floor is
    spread evenly, so that no voxel of the domain is out of reach. 0 outside (``factor`` < 0).
    """
    if factor < 0.0:
        return 0.0
    return proposal.scale * (factor / (1.0 + proposal.crowding * factor)) + proposal.even


@_compile
def boltzmann(exponent, most):
    """exp of the exponent, or of ``most`` if that is less."""
    return math.exp(exponent if exponent < most else most)


@_inline
def pair_term(conditions, box, guests, slot, skip, fx, fy, fz):
    """(s/r)^12 - (s/r)^6 with the nearest image of a slot; 0 beyond the cutoff or if skipped."""
    at = np.uint64(slot)
    dx, dy, dz = fx - guests.x[at], fy - guests.y[at], fz - guests.z[at]
    dx -= rounded_down(dx + 0.5)
    dy -= rounded_down(dy + 0.5)
    dz -= rounded_down(dz + 0.5)
    px = dx * box[0] + dy * box[1] + dz * box[3]
    py = dy * box[2] + dz * box[4]
    pz = dz * box[5]
    r2 = px * px + py * py + pz * pz
    if r2 >= conditions.cutoff2 or slot == skip:
        return 0.0
    t2 = conditions.sigma2 / r2
    t6 = t2 * t2 * t2
    return (t6 - 1.0) * t6


def pair_sums(conditions, box, guests, b, skip, fx, fy, fz):
    """Sums of :func:`pair_term` over the molecules of a bin: four, of each fourth slot."""
    s0 = s1 = s2 = s3 = 0.0
    first, n = b * guests.capacity, guests.count[b]
    whole = first + n - n % 4
    for slot in range(first, whole, 4):
        s0 += pair_term(conditions, box, guests, slot, skip, fx, fy, fz)
        s1 += pair_term(conditions, box, guests, slot + 1, skip, fx, fy, fz)
        s2 += pair_term(conditions, box, guests, slot + 2, skip, fx, fy, fz)
        s3 += pair_term(conditions, box, guests, slot + 3, skip, fx, fy, fz)
    for slot in range(whole, first + n):
        s0 += pair_term(conditions, box, guests, slot, skip, fx, fy, fz)
    return s0, s1, s2, s3


@overload(pair_sums, target="cuda")
def _pair_sums_cuda(conditions, box, guests, b, skip, fx, fy, fz):
    return pair_sums


@overload(pair_sums, target="cpu", inline="always")
def _pair_sums_cpu(conditions, box, guests, b, skip, fx, fy, fz):
    """The same numbers, vectorised.

    The terms are written first and summed after, so that the first loop is vectorised without
    reordering a sum: the result depends on neither the width of the machine's vectors nor
    compiler flags.
    """

    def sums(conditions, box, guests, b, skip, fx, fy, fz):
        ax, bx, by, cx, cy, cz = box[0], box[1], box[2], box[3], box[4], box[5]
        sigma2, cutoff2 = conditions.sigma2, conditions.cutoff2
        x, y, z, scratch = guests.x, guests.y, guests.z, guests.scratch
        first, n = b * guests.capacity, guests.count[b]
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
        own = skip - first
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


@_inline
def pair_energy(conditions, cells, guests, home, fx, fy, fz, skip):
    """Energy (K) of a guest at a position of bin ``home`` with all others but slot ``skip``."""
    near = len(cells.neighbours) // len(guests.count)
    s0 = s1 = s2 = s3 = 0.0
    for c in range(near):
        b = cells.neighbours[home * near + c]
        t0, t1, t2, t3 = pair_sums(conditions, cells.box, guests, b, skip, fx, fy, fz)
        s0, s1, s2, s3 = s0 + t0, s1 + t1, s2 + t2, s3 + t3
    return ((s0 + s1) + (s2 + s3)) * conditions.four_epsilon


@_compile
def bin_of(bins, fx, fy, fz):
    """Bin of the cell list that holds a position."""
    return (int(fx * bins[0]) * bins[1] + int(fy * bins[1])) * bins[2] + int(fz * bins[2])


@_inline
def put(guests, b, fx, fy, fz, host, factor, molecule):
    """Append a molecule to a bin; return whether the bin is full now."""
    slot = b * guests.capacity + guests.count[b]
    guests.count[b] += 1
    guests.x[slot], guests.y[slot], guests.z[slot] = fx, fy, fz
    guests.host_of[slot], guests.factor_of[slot] = host, factor
    guests.molecule_at[slot] = molecule
    guests.slot_of[molecule] = slot
    return guests.count[b] >= guests.capacity


@_inline
def take(guests, slot):
    """Remove the molecule in a slot; the last of its bin moves there."""
    b = slot // guests.capacity
    guests.count[b] -= 1
    last = b * guests.capacity + guests.count[b]
    if last != slot:
        guests.x[slot], guests.y[slot] = guests.x[last], guests.y[last]
        guests.z[slot] = guests.z[last]
        guests.host_of[slot], guests.factor_of[slot] = guests.host_of[last], guests.factor_of[last]
        moved = guests.molecule_at[last]
        guests.molecule_at[slot] = moved
        guests.slot_of[moved] = slot


@_compile
def total_energy(system):
    """Energy (K) of the configuration from scratch: host plus pairs."""
    conditions, framework, cells = system.conditions, system.framework, system.cells
    guests = system.guests
    repeats = cells.repeats
    total = 0.0
    for b in range(len(guests.count)):
        first = b * guests.capacity
        for slot in range(first, first + guests.count[b]):
            fx, fy, fz = guests.x[slot], guests.y[slot], guests.z[slot]
            pairs = pair_energy(
                conditions, cells, guests, bin_of(cells.bins, fx, fy, fz), fx, fy, fz, slot
            )
            ux, uy, uz = wrap(fx * repeats[0]), wrap(fy * repeats[1]), wrap(fz * repeats[2])
            host = host_energy(framework.coefficients, framework.shape, ux, uy, uz)
            total += host + 0.5 * pairs
    return total


@_inline
def drawn_shift(rng, most):
    """The stream moved on, and a displacement (Å) along one axis."""
    rng = advance(rng)
    return rng, (2.0 * uniform(rng) - 1.0) * most


@_inline
def drawn_place(rng, framework, cells, voxel):
    """The stream moved on, and a place in one of the copies of a voxel.

    Returns
    -------
    rng : uint64
    ux, uy, uz : float
        Fractions of the unit cell.
    fx, fy, fz : float
        Fractions of the supercell.
    """
    shape, repeats = framework.shape, cells.repeats
    plane = shape[1] * shape[2]
    i = voxel // plane
    j = (voxel - i * plane) // shape[2]
    k = voxel - i * plane - j * shape[2]
    rng = advance(rng)
    ux = wrap((i + uniform(rng) - 0.5) / shape[0])
    rng = advance(rng)
    uy = wrap((j + uniform(rng) - 0.5) / shape[1])
    rng = advance(rng)
    uz = wrap((k + uniform(rng) - 0.5) / shape[2])
    rng = advance(rng)
    fx = wrap((ux + int(uniform(rng) * repeats[0])) / repeats[0])
    rng = advance(rng)
    fy = wrap((uy + int(uniform(rng) * repeats[1])) / repeats[1])
    rng = advance(rng)
    fz = wrap((uz + int(uniform(rng) * repeats[2])) / repeats[2])
    return rng, ux, uy, uz, fx, fy, fz


@_inline
def drawn_voxel(rng, alias):
    """The stream moved on, and a voxel drawn from Walker's alias table."""
    rng = advance(rng)
    pick = uniform(rng) * (len(alias) // ALIAS)
    v = int(pick)
    # what is left of the number chooses between the two voxels of the entry
    entry = v * ALIAS
    other = (pick - v) * TWO_31 >= alias[entry]
    return rng, alias[entry + 2] if other else alias[entry + 1]


@_inline
def translation(system, n, rng):
    """Try to displace one of the ``n`` molecules: accepted with ``exp(-beta du)``.

    Returns
    -------
    rng : uint64
        The random stream moved on.
    change : float
        Of the energy, K; 0 if the move was refused.
    full : bool
        Whether the molecule filled the bin that it moved to.
    """
    conditions, framework, cells = system.conditions, system.framework, system.cells
    guests = system.guests
    inverse, repeats = cells.inverse, cells.repeats
    rng = advance(rng)
    molecule = int(uniform(rng) * n)
    slot = guests.slot_of[molecule]
    rng, dx = drawn_shift(rng, conditions.max_shift)
    rng, dy = drawn_shift(rng, conditions.max_shift)
    rng, dz = drawn_shift(rng, conditions.max_shift)
    rng = advance(rng)
    ox, oy, oz = guests.x[slot], guests.y[slot], guests.z[slot]
    fx = wrap(ox + dx * inverse[0] + dy * inverse[1] + dz * inverse[3])
    fy = wrap(oy + dy * inverse[2] + dz * inverse[4])
    fz = wrap(oz + dz * inverse[5])
    ux, uy, uz = wrap(fx * repeats[0]), wrap(fy * repeats[1]), wrap(fz * repeats[2])
    factor = float(framework.factors[voxel_of(framework.shape, ux, uy, uz)])
    if factor < 0.0:
        return rng, 0.0, False
    host = host_energy(framework.coefficients, framework.shape, ux, uy, uz)
    if host > conditions.reject:
        return rng, 0.0, False
    old_bin, new_bin = slot // guests.capacity, bin_of(cells.bins, fx, fy, fz)
    change = host - guests.host_of[slot]
    change += pair_energy(conditions, cells, guests, new_bin, fx, fy, fz, slot)
    change -= pair_energy(conditions, cells, guests, old_bin, ox, oy, oz, slot)
    if uniform(rng) >= boltzmann(-conditions.beta * change, 0.0):
        return rng, 0.0, False
    if new_bin == old_bin:
        guests.x[slot], guests.y[slot], guests.z[slot] = fx, fy, fz
        guests.host_of[slot], guests.factor_of[slot] = host, factor
        return rng, change, False
    take(guests, slot)
    return rng, change, put(guests, new_bin, fx, fy, fz, host, factor, molecule)


@_inline
def insertion(system, n, rng):
    """Try to add a molecule to ``n``: accepted with ``beta f V / (g (N+1)) exp(-beta u)``.

    Returns
    -------
    rng : uint64
        The random stream moved on.
    inserted : bool
        Whether the move was accepted.
    change : float
        Of the energy, K; 0 if the move was refused.
    weight : float
        beta f V exp(-beta u) / g of the trial, accepted or not.
    full : bool
        Whether the molecule filled its bin.
    """
    conditions, proposal, framework = system.conditions, system.proposal, system.framework
    cells, guests = system.cells, system.guests
    rng, voxel = drawn_voxel(rng, proposal.alias)
    rng, ux, uy, uz, fx, fy, fz = drawn_place(rng, framework, cells, voxel)
    rng = advance(rng)
    host = host_energy(framework.coefficients, framework.shape, ux, uy, uz)
    if host > conditions.reject:
        return rng, False, 0.0, 0.0, False
    factor = float(framework.factors[voxel])
    b = bin_of(cells.bins, fx, fy, fz)
    change = host + pair_energy(conditions, cells, guests, b, fx, fy, fz, -1)
    weight = conditions.activity_volume / proposal_density(factor, proposal)
    weight *= boltzmann(-conditions.beta * change, 500.0)
    if uniform(rng) * (n + 1) >= weight:
        return rng, False, 0.0, weight, False
    return rng, True, change, weight, put(guests, b, fx, fy, fz, host, factor, n)


@_inline
def deletion(system, n, rng):
    """Try to remove one of the ``n`` molecules: accepted with ``g N / (beta f V) exp(beta u)``.

    Returns
    -------
    rng : uint64
        The random stream moved on.
    deleted : bool
        Whether the move was accepted.
    change : float
        Of the energy, K; 0 if the move was refused.
    """
    conditions, cells, guests = system.conditions, system.cells, system.guests
    rng = advance(rng)
    molecule = int(uniform(rng) * n)
    slot = guests.slot_of[molecule]
    rng = advance(rng)
    energy = guests.host_of[slot] + pair_energy(
        conditions, cells, guests, slot // guests.capacity,
        guests.x[slot], guests.y[slot], guests.z[slot], slot,
    )  # fmt: skip
    odds = (
        n / conditions.activity_volume * proposal_density(guests.factor_of[slot], system.proposal)
    )
    odds *= boltzmann(conditions.beta * energy, 500.0)
    if uniform(rng) >= odds:
        return rng, False, 0.0
    take(guests, slot)
    # the last molecule takes its number
    if molecule != n - 1:
        guests.slot_of[molecule] = guests.slot_of[n - 1]
        guests.molecule_at[guests.slot_of[molecule]] = molecule
    return rng, True, -energy


def moved(system, n, rng, choice):
    """One Monte Carlo move of a chain of ``n`` molecules.

    As a device takes it: what moves have in common is done for all of them together, the energy at
    a new place, then that at an old one, because threads of a warp that do different things wait
    for each other. The CPU has a function per move, with the same outcome to the bit.

    Parameters
    ----------
    system : System
    n : int
        Molecules.
    rng : uint64
        Random stream.
    choice : float
        In [0, 1): which move.

    Returns
    -------
    rng : uint64
        The random stream moved on.
    gained : int
        Molecules: 1, 0 or -1.
    change : float
        Of the energy, K.
    trials : int
        1 for an insertion.
    weight : float
        See :func:`insertion`; 0 for other moves.
    full : bool
        Whether a bin is full now.
    """
    conditions, proposal, framework = system.conditions, system.proposal, system.framework
    cells, guests = system.cells, system.guests
    repeats, shape = cells.repeats, framework.shape
    translations = conditions.translations
    shifts = choice < translations
    inserts = not shifts and choice < translations + 0.5 * (1.0 - translations)
    if n == 0 and not inserts:
        return rng, 0, 0.0, 0, 0.0, False
    molecule, slot, old_bin = n, -1, 0
    ox = oy = oz = fx = fy = fz = ux = uy = uz = 0.0
    voxel = 0
    # what is tried
    if inserts:
        rng, voxel = drawn_voxel(rng, proposal.alias)
        rng, ux, uy, uz, fx, fy, fz = drawn_place(rng, framework, cells, voxel)
    else:
        rng = advance(rng)
        molecule = int(uniform(rng) * n)
        slot = int(guests.slot_of[molecule])
        old_bin = slot // guests.capacity
        ox, oy, oz = guests.x[slot], guests.y[slot], guests.z[slot]
    if shifts:
        inverse = cells.inverse
        rng, dx = drawn_shift(rng, conditions.max_shift)
        rng, dy = drawn_shift(rng, conditions.max_shift)
        rng, dz = drawn_shift(rng, conditions.max_shift)
        fx = wrap(ox + dx * inverse[0] + dy * inverse[1] + dz * inverse[3])
        fy = wrap(oy + dy * inverse[2] + dz * inverse[4])
        fz = wrap(oz + dz * inverse[5])
        ux, uy, uz = wrap(fx * repeats[0]), wrap(fy * repeats[1]), wrap(fz * repeats[2])
        voxel = voxel_of(shape, ux, uy, uz)
    rng = advance(rng)
    trials = 1 if inserts else 0
    # energy gained at the new place, and lost at the old one
    factor, host, energy, new_bin = 0.0, 0.0, 0.0, old_bin
    if shifts or inserts:
        factor = float(framework.factors[voxel])
        if factor < 0.0:
            return rng, 0, 0.0, trials, 0.0, False
        host = host_energy(framework.coefficients, shape, ux, uy, uz)
        if host > conditions.reject:
            return rng, 0, 0.0, trials, 0.0, False
        new_bin = bin_of(cells.bins, fx, fy, fz)
        if shifts:
            energy = host - guests.host_of[slot]
        else:
            energy = host
        energy += pair_energy(conditions, cells, guests, new_bin, fx, fy, fz, slot)
    if not inserts:
        old = pair_energy(conditions, cells, guests, old_bin, ox, oy, oz, slot)
        energy = energy - old if shifts else guests.host_of[slot] + old
    # is it accepted?
    weight = 0.0
    if shifts:
        if uniform(rng) >= boltzmann(-conditions.beta * energy, 0.0):
            return rng, 0, 0.0, 0, 0.0, False
    elif inserts:
        weight = conditions.activity_volume / proposal_density(factor, proposal)
        weight *= boltzmann(-conditions.beta * energy, 500.0)
        if uniform(rng) * (n + 1) >= weight:
            return rng, 0, 0.0, 1, weight, False
    else:
        odds = n / conditions.activity_volume * proposal_density(guests.factor_of[slot], proposal)
        odds *= boltzmann(conditions.beta * energy, 500.0)
        if uniform(rng) >= odds:
            return rng, 0, 0.0, 0, 0.0, False
    if shifts and new_bin == old_bin:
        guests.x[slot], guests.y[slot], guests.z[slot] = fx, fy, fz
        guests.host_of[slot], guests.factor_of[slot] = host, factor
        return rng, 0, energy, 0, 0.0, False
    if not inserts:
        take(guests, slot)
    if shifts or inserts:
        full = put(guests, new_bin, fx, fy, fz, host, factor, molecule)
        return rng, trials, energy, trials, weight, full
    # the last molecule takes the number of the one that left
    if molecule != n - 1:
        guests.slot_of[molecule] = guests.slot_of[n - 1]
        guests.molecule_at[guests.slot_of[molecule]] = molecule
    return rng, -1, -energy, 0, 0.0, False


@overload(moved, target="cuda")
def _moved_cuda(system, n, rng, choice):
    return moved


@overload(moved, target="cpu", inline="always")
def _moved_cpu(system, n, rng, choice):
    def move(system, n, rng, choice):
        translations = system.conditions.translations
        gained, trials, change, weight, full = 0, 0, 0.0, 0.0, False
        if choice < translations:
            if n > 0:
                rng, change, full = translation(system, n, rng)
        elif choice < translations + 0.5 * (1.0 - translations):
            rng, inserted, change, weight, full = insertion(system, n, rng)
            gained, trials = int(inserted), 1
        elif n > 0:
            rng, deleted, change = deletion(system, n, rng)
            gained = -int(deleted)
        return rng, gained, change, trials, weight, full

    return move


@_compile
def run_chain(n_steps, max_cycles, sample_steps, system, states, trace_n, trace_w):
    """Advance one chain by ``n_steps`` steps, or to ``max_cycles`` cycles, or to a full bin.

    Parameters
    ----------
    n_steps, max_cycles, sample_steps : int
        Limits of this call, and steps that one sample of the traces averages over.
    system : System
        What the chain is given; its molecules are moved on.
    states : STATE (1,)
        State of the chain, moved on; the count of samples starts at what the caller left there.
    trace_n, trace_w : float64 (samples,)
        Mean over each sample of N, and of beta f V exp(-beta u) / g over its insertion
        trials, whose expectation is N as well.

    Notes
    -----
    With g the :func:`proposal_density` at the molecule's position, the acceptance of the moves
    is that of Frenkel and Smit, Understanding Molecular Simulation, eqs. 5.6.8 and 5.6.9, with
    the biased proposal of Snurr, Bell and Theodorou, J. Phys. Chem. 1993, 97, 13742.
    """
    state = states[0]
    n = state["n_molecules"]
    cycles, left = state["n_cycles"], state["left_in_cycle"]
    sample, in_sample = state["n_samples"], state["in_sample"]
    trials = state["n_trials"]
    sum_n, sum_weight = state["sum_n"], state["sum_weight"]
    energy = state["energy_K"]
    rng = state["rng"]
    full = False
    done = 0
    while done < n_steps and sample < len(trace_n) and not full:
        if left <= 0:
            if cycles >= max_cycles:
                break
            cycles += 1
            left = n if n > MIN_CYCLE else MIN_CYCLE
        left -= 1
        done += 1
        rng = advance(rng)
        rng, gained, change, tried, weight, full = moved(system, n, rng, uniform(rng))
        energy += change
        n += gained
        trials += tried
        sum_weight += weight
        sum_n += n
        in_sample += 1
        if in_sample == sample_steps:
            trace_n[sample] = sum_n / sample_steps
            trace_w[sample] = sum_weight / trials if trials > 0 else sum_n / sample_steps
            sample += 1
            in_sample = 0
            trials = 0
            sum_n = 0.0
            sum_weight = 0.0
    state["n_molecules"] = n
    state["n_steps"] += done
    state["n_cycles"], state["left_in_cycle"] = cycles, left
    state["n_samples"], state["in_sample"] = sample, in_sample
    state["n_trials"] = trials
    state["sum_n"], state["sum_weight"] = sum_n, sum_weight
    state["is_full"] = full
    state["energy_K"] = energy
    state["rng"] = rng


@_compile
def insertion_weights(factors, crowding, floor, weights):
    """Insertion probability of each voxel of the domain.

    Parameters
    ----------
    factors : float32 (n,)
        Of :func:`proposal_density`.
    crowding : float
        Of :class:`Proposal`.
    floor : float
        Share that is spread evenly.
    weights : float64 (n,)
        Filled: probabilities, which sum to 1.

    Returns
    -------
    scale, even : float
        Those of :class:`Proposal` for a voxel; times the number of grid points they make a
        density.
    """
    n = len(factors)
    total = 0.0
    for i in range(n):
        factor = float(factors[i])
        weights[i] = factor / (1.0 + crowding * factor)
        total += weights[i]
    scale = (1.0 - floor) / total if total > 0.0 else 0.0
    even = (floor if total > 0.0 else 1.0) / n
    for i in range(n):
        weights[i] = weights[i] * scale + even
    return scale, even


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
