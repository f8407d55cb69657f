"""Molecular dynamics of independent molecules in a framework's potential on a grid.

The potential is a periodic cubic B-spline on the unit cell. The molecules do not see each
other (infinite dilution), so no supercell is needed; positions are kept inside the cell, with
counts of the cells crossed.

The kernels are plain functions of scalars, arrays and named tuples of them, without allocations:
each *chain*, some molecules that share a Nose-Hoover chain thermostat, runs from its own slices of
the state.
Grid coordinates (0 to n along each axis) are used for positions, Cartesian ones for
velocities; one matrix leads from one to the other, so that triclinic cells cost nothing.

What the spline interpolates is not the energy E but g = E / (1 + E / cap) where E is above
zero, which rises smoothly to the cap, and every value read from it is turned back into E. A
sharp cap leaves a kink beside the atoms that rings through the pores: at 0.25 Å the energies
of 0 to 1000 K, where molecules squeeze through windows, were off by 160 to 210 K (root mean
square over three MOFs), and by 3 to 6 K this way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from poreflux.base.random_stream import advance, normal, seeded, uniform
from poreflux.base.units import BOLTZMANN_AMU_A2_FS2_PER_K
from poreflux.fields.grid import spline_coefficients, spline_energy, spline_weights_and_slopes

# Points repeated around the grid, so that the kernel needs no modulo: the spline of a point in
# cell i reads i - 1 to i + 2; one more because x - (tiny) + n may round to n.
PAD = (1, 3)
# Independence-sampler moves a molecule at the start: proposals are nearly exact (they differ
# from the target only inside a voxel), so that a few suffice.
START_MOVES = 50

# No reference counts (``_nrt``): the arrays are the caller's, who keeps them.
_compile = njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
# Becomes a part of the caller before compilation: left to LLVM, steps take a tenth longer.
_inline = njit(cache=True, error_model="numpy", nogil=True, _nrt=False, inline="always")


class Potential(NamedTuple):
    """A :class:`Field` as the kernels take it.

    Attributes
    ----------
    padded : float64, flat
        See :attr:`Field.padded`.
    strides : tuple of 2 ints
        Of the padded array along x and y.
    lengths : tuple of 3 floats
        Points of the grid along each axis.
    to_grid : tuple of 9 floats
        Row by row, see :class:`Field`.
    inverse_cap : float
        1/K.
    """

    padded: np.ndarray
    strides: tuple
    lengths: tuple
    to_grid: tuple
    inverse_cap: float


class Integrator(NamedTuple):
    """:class:`Dynamics` as the kernels take it.

    Attributes
    ----------
    kelvin, thermal : float
        1 K and kT over the mass of a molecule, Å^2/fs^2.
    timestep, tau : float
        Time step and time constant of the thermostat (0: none), fs.
    """

    kelvin: float
    thermal: float
    timestep: float
    tau: float


class Molecule(NamedTuple):
    """One row of a :class:`State`: position, image, velocity and acceleration."""

    x: float
    y: float
    z: float
    ix: int
    iy: int
    iz: int
    vx: float
    vy: float
    vz: float
    ax: float
    ay: float
    az: float


@dataclass(frozen=True)
class Field:
    """A framework's potential for one guest, ready for dynamics.

    Attributes
    ----------
    coefficients : ndarray (nx, ny, nz)
        Periodic cubic B-spline coefficients of the softened energy, K.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    to_grid : ndarray (3, 3)
        Grid coordinates = ``to_grid @ cartesian``.
    inverse_cap : float
        1 over the cap of the softened energy, 1/K.
    """

    coefficients: np.ndarray
    cell: np.ndarray
    to_grid: np.ndarray
    inverse_cap: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """nx, ny, nz."""
        return self.coefficients.shape

    @cached_property
    def padded(self) -> np.ndarray:
        """The coefficients with :data:`PAD` periodic points around, flat in C order."""
        # np.pad's wrap mode repeats as often as needed, for grids narrower than the pad too
        return np.ascontiguousarray(np.pad(self.coefficients, (PAD,) * 3, mode="wrap")).ravel()

    @property
    def potential(self) -> Potential:
        """What the kernels need of it."""
        _, ny, nz = (n + sum(PAD) for n in self.shape)
        return Potential(
            padded=self.padded,
            strides=(ny * nz, nz),
            lengths=tuple(map(float, self.shape)),
            to_grid=tuple(self.to_grid.ravel().tolist()),
            inverse_cap=float(self.inverse_cap),
        )


class State(NamedTuple):
    """Where every molecule is; :func:`advance_state` moves it on in place.

    Attributes
    ----------
    position : ndarray (n_molecules, 3)
        Grid coordinates inside the cell.
    image : ndarray int64 (n_molecules, 3)
        Cells crossed.
    velocity, acceleration : ndarray (n_molecules, 3)
        Å/fs and Å/fs^2.
    friction : ndarray (n_chains, 3)
        Velocities of the three thermostat variables of each chain, 1/fs.
    """

    position: np.ndarray
    image: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    friction: np.ndarray


@dataclass(frozen=True)
class Dynamics:
    """How to integrate: guest mass (amu), temperature (K), time step (fs), thermostat.

    ``tau_fs`` is the thermostat's time constant; 0 means none (constant energy).
    """

    mass_amu: float
    temperature_K: float
    timestep_fs: float
    tau_fs: float

    @property
    def integrator(self) -> Integrator:
        """What the kernels need of it."""
        kelvin = BOLTZMANN_AMU_A2_FS2_PER_K / self.mass_amu
        thermal = BOLTZMANN_AMU_A2_FS2_PER_K * self.temperature_K / self.mass_amu
        return Integrator(kelvin, thermal, float(self.timestep_fs), float(self.tau_fs))


def make_field(energy_K: np.ndarray, cell: np.ndarray, cap_K: float) -> Field:
    """A :class:`Field` from energies on a periodic grid.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy at fractional coordinates (i/nx, j/ny, k/nz), K.
    cell : ndarray (3, 3)
        Lattice vectors in rows, Å.
    cap_K : float
        Scale at which positive energies are softened for the spline (and undone when read).

    Returns
    -------
    Field
    """
    shape = energy_K.shape
    soft = energy_K / (1.0 + np.maximum(energy_K, 0.0) / cap_K)
    coefficients = spline_coefficients(soft, cap_K)
    to_grid = (np.linalg.inv(cell) * np.array(shape)).T
    return Field(
        coefficients=coefficients,
        cell=cell,
        to_grid=to_grid.copy(order="C"),
        inverse_cap=1.0 / cap_K,
    )


def start(
    field: Field,
    open_points: np.ndarray,
    energy_K: np.ndarray,
    n_molecules: int,
    chain_size: int,
    dynamics: Dynamics,
    seed: int,
    first: int = 0,
) -> State:
    """Molecules drawn from the Boltzmann distribution over the open part of the cell.

    Parameters
    ----------
    field : Field
        The potential.
    open_points : ndarray bool, ``field.shape``
        Grid points whose voxels (half a spacing around each) molecules may start in.
    energy_K : ndarray, ``field.shape``
        Energy at the grid points.
    n_molecules, chain_size : int
        Molecules, and molecules a thermostat (the last chain may be smaller).
    dynamics : Dynamics
        Mass and temperature set the speeds (Maxwell-Boltzmann, no momentum removed).
    seed : int
        In [0, 2**64).
    first : int
        Number of the first molecule: what is drawn for a molecule depends on its number alone.

    Returns
    -------
    State

    Raises
    ------
    ValueError
        If no point is open.

    Notes
    -----
    A voxel is drawn with the Boltzmann weight of its point and a place in it uniformly; an
    independence Metropolis sampler with these proposals then corrects the weight to that of
    the spline at the place itself.
    """
    points = np.flatnonzero(open_points)
    if not len(points):
        raise ValueError("no open grid point to start a molecule in")
    energy = np.minimum(energy_K.ravel()[points], 1e6)
    weight = np.exp(-(energy - energy.min()) / dynamics.temperature_K)
    cumulative = np.cumsum(weight)
    position = np.empty((n_molecules, 3))
    _draw_positions(
        field.coefficients,
        field.inverse_cap,
        points,
        energy,
        cumulative / cumulative[-1],
        1.0 / dynamics.temperature_K,
        np.uint64(seed),
        first,
        position,
    )
    return _thermal(field, position, chain_size, dynamics, seed, first)


def start_at(
    field: Field,
    cart_A: np.ndarray,
    chain_size: int,
    dynamics: Dynamics,
    seed: int,
    first: int = 0,
) -> State:
    """Molecules at given places with Maxwell-Boltzmann speeds.

    Parameters
    ----------
    field : Field
        The potential.
    cart_A : ndarray (n_molecules, 3)
        Cartesian positions, any lattice image, Å.
    chain_size, dynamics, seed, first
        As for :func:`start`.

    Returns
    -------
    State
    """
    frac = np.asarray(cart_A, float) @ np.linalg.inv(field.cell)
    frac = frac - np.floor(frac)
    # a tiny negative number less its floor is 1
    frac[frac >= 1.0] = 0.0
    return _thermal(field, frac * np.array(field.shape), chain_size, dynamics, seed, first)


def _thermal(field, position, chain_size, dynamics, seed, first) -> State:
    """The state of molecules at grid coordinates ``position``, speeds drawn."""
    n_molecules = len(position)
    velocity = np.empty((n_molecules, 3))
    speed = math.sqrt(BOLTZMANN_AMU_A2_FS2_PER_K * dynamics.temperature_K / dynamics.mass_amu)
    _draw_velocities(speed, np.uint64(seed), first, velocity)
    state = State(
        position=position,
        image=np.zeros((n_molecules, 3), np.int64),
        velocity=velocity,
        acceleration=np.zeros((n_molecules, 3)),
        friction=np.zeros((-(-n_molecules // chain_size), 3)),
    )
    refresh_acceleration(field, state, dynamics)
    return state


def refresh_acceleration(field: Field, state: State, dynamics: Dynamics) -> None:
    """Recompute ``state.acceleration`` from the positions (after setting them by hand)."""
    kelvin = dynamics.integrator.kelvin
    _accelerations(field.potential, kelvin, state.position, state.acceleration)


def advance_state(
    field: Field,
    state: State,
    dynamics: Dynamics,
    chain_size: int,
    n_frames: int,
    steps_per_frame: int,
) -> np.ndarray:
    """Run ``n_frames * steps_per_frame`` steps; return the positions after each frame.

    Parameters
    ----------
    field : Field
        The potential.
    state : State
        Moved on in place; runs may be cut anywhere without changing a bit.
    dynamics : Dynamics
        Integration settings.
    chain_size : int
        Molecules a thermostat, as given to :func:`start`.
    n_frames, steps_per_frame : int
        Frames to record, and steps between them.

    Returns
    -------
    ndarray (n_frames, n_molecules, 3)
        Unwrapped Cartesian positions, Å.

    Notes
    -----
    Velocity Verlet; a Nose-Hoover chain of three (Martyna, Klein & Tuckerman, J. Chem. Phys.
    1992, 97, 2635; the integrator of Martyna et al., Mol. Phys. 1996, 87, 1117) acts for a full
    step between two steps, which is their half-step scheme shifted by half a step. The forces
    are the exact gradient of the interpolated energy, so energy is conserved without it.
    """
    n_molecules = len(state.position)
    frames = np.empty((n_frames, n_molecules, 3))
    potential, integrator = field.potential, dynamics.integrator
    _run(potential, integrator, state, chain_size, steps_per_frame, frames)
    return (frames / np.array(field.shape)) @ field.cell


def cartesian(field: Field, state: State) -> np.ndarray:
    """Unwrapped Cartesian positions of a state, ndarray (n_molecules, 3), Å."""
    return (state.position / np.array(field.shape) + state.image) @ field.cell


def energies_at(field: Field, frac: np.ndarray) -> np.ndarray:
    """Energy (K) at fractional coordinates (n, 3), any lattice image; ndarray (n,)."""
    return np.array([energy_at(field.coefficients, field.inverse_cap, *f) for f in frac])


def energies(field: Field, state: State, dynamics: Dynamics) -> tuple[np.ndarray, np.ndarray]:
    """Potential and kinetic energy of each molecule over kB, two ndarrays (n_molecules,), K."""
    potential = energies_at(field, state.position / np.array(field.shape))
    square = (state.velocity**2).sum(axis=1)
    return potential, 0.5 * dynamics.mass_amu * square / BOLTZMANN_AMU_A2_FS2_PER_K


@dataclass
class Batch:
    """Some molecules of a run: where they are, and where they were.

    Attributes
    ----------
    state : State
        Now.
    left : int
        Steps of the equilibration to come.
    frames : list of ndarray (n, n_molecules, 3)
        Unwrapped Cartesian positions at successive frames, Å; the first is that of the end of
        the equilibration.
    """

    state: State
    left: int
    frames: list[np.ndarray]

    @property
    def n_frames(self) -> int:
        """Frames there are."""
        return sum(map(len, self.frames))


class Trajectory:
    """A run that can grow in time and in molecules: what there is of it never changes.

    Parameters
    ----------
    field : Field
        The potential.
    start : callable
        ``start(first)`` gives the :class:`State` of a batch of molecules that starts with
        molecule number ``first``; all batches have one size.
    dynamics : Dynamics
        Integration settings.
    chain_size : int
        Molecules a thermostat, as given to :func:`start`.
    equilibration_steps, steps_per_frame : int
        Steps before the first frame, and between frames.
    """

    def __init__(
        self,
        field: Field,
        start: Callable[[int], State],
        dynamics: Dynamics,
        *,
        chain_size: int,
        equilibration_steps: int,
        steps_per_frame: int,
    ):
        self.field, self._start, self.dynamics = field, start, dynamics
        self.chain_size, self.steps_per_frame = chain_size, steps_per_frame
        self._equilibration = equilibration_steps
        self._batches: list[Batch] = []

    def positions(self, n_frames: int, n_molecules: int) -> np.ndarray:
        """Unwrapped Cartesian positions, Å, ndarray (n_frames + 1, n_molecules, 3).

        Runs on as far as needed; the first frame is the end of equilibration. ``n_molecules``
        is rounded up to whole batches.
        """
        batches = self.batches(n_molecules)
        for batch in batches:
            if batch.left:
                self._advance(batch.state, 1, batch.left)
                batch.left = 0
            self.begin(batch)
            missing = n_frames + 1 - batch.n_frames
            if missing > 0:
                batch.frames.append(self._advance(batch.state, missing, self.steps_per_frame))
            batch.frames = [np.concatenate(batch.frames)]
        return np.concatenate([batch.frames[0][: n_frames + 1] for batch in batches], axis=1)

    def batches(self, n_molecules: int) -> list[Batch]:
        """The batches that hold the first ``n_molecules``, new ones at their start."""
        there, used = 0, []
        for number in itertools.count():
            if number == len(self._batches):
                self._batches.append(Batch(self._start(there), self._equilibration, []))
            used.append(self._batches[number])
            there += len(used[-1].state.position)
            if there >= n_molecules:
                return used

    def begin(self, batch: Batch) -> None:
        """Record the end of a batch's equilibration, where that has not been done."""
        if not batch.frames:
            batch.frames.append(cartesian(self.field, batch.state)[None])

    def _advance(self, state: State, n_frames: int, steps: int) -> np.ndarray:
        return advance_state(self.field, state, self.dynamics, self.chain_size, n_frames, steps)


@_inline
def _hardening(soft, inverse_cap):
    """E / g for a softened energy g (K), whose square is dE / dg.

    Beyond 0.9 of the cap, deep inside atoms, the ratio stays as it is there: the spline may
    overshoot the cap, where the inverse has a pole.
    """
    if soft <= 0.0:
        return 1.0
    return 1.0 / (1.0 - min(soft * inverse_cap, 0.9))


@njit(cache=True)
def energy_at(coefficients, inverse_cap, fx, fy, fz):
    """Energy (K) of a :class:`Field` at fractional coordinates, any lattice image."""
    soft = spline_energy(coefficients, fx, fy, fz)
    return soft * _hardening(soft, inverse_cap)


@njit(cache=True, nogil=True)
def _draw_positions(
    coefficients, inverse_cap, points, energy, cumulative, beta, seed, first, position
):
    nx, ny, nz = coefficients.shape
    for m in range(position.shape[0]):
        state = seeded(seed, np.uint64(2 * (first + m)))
        best = 0.0
        for move in range(START_MOVES):
            state = advance(state)
            p = min(np.searchsorted(cumulative, uniform(state), side="right"), len(points) - 1)
            index = points[p]
            state = advance(state)
            x = (index // (ny * nz) + uniform(state) - 0.5) % nx
            state = advance(state)
            y = (index // nz % ny + uniform(state) - 0.5) % ny
            state = advance(state)
            z = (index % nz + uniform(state) - 0.5) % nz
            # log of target over proposal
            score = -beta * (
                energy_at(coefficients, inverse_cap, x / nx, y / ny, z / nz) - energy[p]
            )
            state = advance(state)
            if move == 0 or uniform(state) < math.exp(min(0.0, score - best)):
                best = score
                position[m, 0], position[m, 1], position[m, 2] = x, y, z


@njit(cache=True, nogil=True)
def _draw_velocities(speed, seed, first, velocity):
    for m in range(velocity.shape[0]):
        state = seeded(seed, np.uint64(2 * (first + m) + 1))
        for axis in range(3):
            other = advance(state)
            state = advance(other)
            velocity[m, axis] = speed * normal(other, state)


@_inline
def _line(padded, o):
    """Four coefficients in a row."""
    # unsigned: a signed index costs a test for negative ones
    o = np.uintp(o)
    return padded[o], padded[o + np.uintp(1)], padded[o + np.uintp(2)], padded[o + np.uintp(3)]


@_inline
def _plane(padded, o, stride_y, wy):
    """Sums over y of four lines along z: with the weights, and with their derivatives."""
    a0, a1, a2, a3 = _line(padded, o)
    b0, b1, b2, b3 = _line(padded, o + stride_y)
    c0, c1, c2, c3 = _line(padded, o + 2 * stride_y)
    d0, d1, d2, d3 = _line(padded, o + 3 * stride_y)
    w0, w1, w2, w3, s0, s1, s2, s3 = wy
    return (
        w0 * a0 + w1 * b0 + w2 * c0 + w3 * d0,
        w0 * a1 + w1 * b1 + w2 * c1 + w3 * d1,
        w0 * a2 + w1 * b2 + w2 * c2 + w3 * d2,
        w0 * a3 + w1 * b3 + w2 * c3 + w3 * d3,
        s0 * a0 + s1 * b0 + s2 * c0 + s3 * d0,
        s0 * a1 + s1 * b1 + s2 * c1 + s3 * d1,
        s0 * a2 + s1 * b2 + s2 * c2 + s3 * d2,
        s0 * a3 + s1 * b3 + s2 * c3 + s3 * d3,
    )


@_inline
def _sheet(padded, o, stride_y, wy, wz):
    """Weighted sum over y and z of sixteen coefficients."""
    a0, a1, a2, a3 = _line(padded, o)
    b0, b1, b2, b3 = _line(padded, o + stride_y)
    c0, c1, c2, c3 = _line(padded, o + 2 * stride_y)
    d0, d1, d2, d3 = _line(padded, o + 3 * stride_y)
    return (
        wy[0] * (wz[0] * a0 + wz[1] * a1 + wz[2] * a2 + wz[3] * a3)
        + wy[1] * (wz[0] * b0 + wz[1] * b1 + wz[2] * b2 + wz[3] * b3)
        + wy[2] * (wz[0] * c0 + wz[1] * c1 + wz[2] * c2 + wz[3] * c3)
        + wy[3] * (wz[0] * d0 + wz[1] * d1 + wz[2] * d2 + wz[3] * d3)
    )


@_inline
def energy_in(potential, x, y, z):
    """Energy (K) at grid coordinates ``x, y, z`` in [0, n]."""
    padded, (stride_x, stride_y) = potential.padded, potential.strides
    i, j, k = int(x), int(y), int(z)
    wx, wy = spline_weights_and_slopes(x - i), spline_weights_and_slopes(y - j)
    wz = spline_weights_and_slopes(z - k)
    base = i * stride_x + j * stride_y + k
    soft = (
        wx[0] * _sheet(padded, base, stride_y, wy, wz)
        + wx[1] * _sheet(padded, base + stride_x, stride_y, wy, wz)
        + wx[2] * _sheet(padded, base + 2 * stride_x, stride_y, wy, wz)
        + wx[3] * _sheet(padded, base + 3 * stride_x, stride_y, wy, wz)
    )
    return soft * _hardening(soft, potential.inverse_cap)


@_inline
def _gradient(potential, x, y, z):
    """Gradient of the energy (K) with respect to grid coordinates ``x, y, z`` in [0, n]."""
    padded, (stride_x, stride_y) = potential.padded, potential.strides
    i, j, k = int(x), int(y), int(z)
    w0, w1, w2, w3, d0, d1, d2, d3 = spline_weights_and_slopes(x - i)
    wy, wz = spline_weights_and_slopes(y - j), spline_weights_and_slopes(z - k)
    base = i * stride_x + j * stride_y + k
    p0, p1, p2, p3, q0, q1, q2, q3 = _plane(padded, base, stride_y, wy)
    x0, x1, x2, x3 = d0 * p0, d0 * p1, d0 * p2, d0 * p3
    y0, y1, y2, y3 = w0 * q0, w0 * q1, w0 * q2, w0 * q3
    z0, z1, z2, z3 = w0 * p0, w0 * p1, w0 * p2, w0 * p3
    p0, p1, p2, p3, q0, q1, q2, q3 = _plane(padded, base + stride_x, stride_y, wy)
    x0, x1, x2, x3 = x0 + d1 * p0, x1 + d1 * p1, x2 + d1 * p2, x3 + d1 * p3
    y0, y1, y2, y3 = y0 + w1 * q0, y1 + w1 * q1, y2 + w1 * q2, y3 + w1 * q3
    z0, z1, z2, z3 = z0 + w1 * p0, z1 + w1 * p1, z2 + w1 * p2, z3 + w1 * p3
    p0, p1, p2, p3, q0, q1, q2, q3 = _plane(padded, base + 2 * stride_x, stride_y, wy)
    x0, x1, x2, x3 = x0 + d2 * p0, x1 + d2 * p1, x2 + d2 * p2, x3 + d2 * p3
    y0, y1, y2, y3 = y0 + w2 * q0, y1 + w2 * q1, y2 + w2 * q2, y3 + w2 * q3
    z0, z1, z2, z3 = z0 + w2 * p0, z1 + w2 * p1, z2 + w2 * p2, z3 + w2 * p3
    p0, p1, p2, p3, q0, q1, q2, q3 = _plane(padded, base + 3 * stride_x, stride_y, wy)
    x0, x1, x2, x3 = x0 + d3 * p0, x1 + d3 * p1, x2 + d3 * p2, x3 + d3 * p3
    y0, y1, y2, y3 = y0 + w3 * q0, y1 + w3 * q1, y2 + w3 * q2, y3 + w3 * q3
    z0, z1, z2, z3 = z0 + w3 * p0, z1 + w3 * p1, z2 + w3 * p2, z3 + w3 * p3
    soft = z0 * wz[0] + z1 * wz[1] + z2 * wz[2] + z3 * wz[3]
    factor = _hardening(soft, potential.inverse_cap)
    factor *= factor
    return (
        factor * (x0 * wz[0] + x1 * wz[1] + x2 * wz[2] + x3 * wz[3]),
        factor * (y0 * wz[0] + y1 * wz[1] + y2 * wz[2] + y3 * wz[3]),
        factor * (z0 * wz[4] + z1 * wz[5] + z2 * wz[6] + z3 * wz[7]),
    )


@_inline
def acceleration_at(potential, kelvin, x, y, z):
    """Cartesian acceleration (Å/fs^2) at grid coordinates ``x, y, z``."""
    g00, g01, g02, g10, g11, g12, g20, g21, g22 = potential.to_grid
    gx, gy, gz = _gradient(potential, x, y, z)
    return (
        -kelvin * (g00 * gx + g10 * gy + g20 * gz),
        -kelvin * (g01 * gx + g11 * gy + g21 * gz),
        -kelvin * (g02 * gx + g12 * gy + g22 * gz),
    )


@_compile
def _accelerations(potential, kelvin, position, acceleration):
    for m in range(position.shape[0]):
        x, y, z = position[m, 0], position[m, 1], position[m, 2]
        ax, ay, az = acceleration_at(potential, kelvin, x, y, z)
        acceleration[m, 0], acceleration[m, 1], acceleration[m, 2] = ax, ay, az


@_inline
def thermostat(kinetic, dof, rate, dt, v1, v2, v3):
    """One step of a Nose-Hoover chain of three.

    ``kinetic`` is sum(m v^2) / kT, ``dof`` its target, ``rate`` 1/tau^2; masses are
    dof kT tau^2, kT tau^2, kT tau^2. Returns the factor for the velocities and the new
    ``v1, v2, v3`` (1/fs).
    """
    half, quarter = 0.5 * dt, 0.25 * dt
    v3 += half * (v2 * v2 - rate)
    f = math.exp(-quarter * v3)
    v2 = (v2 * f + half * (dof * v1 * v1 - rate)) * f
    f = math.exp(-quarter * v2)
    v1 = (v1 * f + half * (kinetic / dof - 1.0) * rate) * f
    scale = math.exp(-dt * v1)
    kinetic *= scale * scale
    v1 = (v1 * f + half * (kinetic / dof - 1.0) * rate) * f
    f = math.exp(-quarter * v3)
    v2 = (v2 * f + half * (dof * v1 * v1 - rate)) * f
    v3 += half * (v2 * v2 - rate)
    return scale, v1, v2, v3


@_inline
def _wrapped(x, image, length):
    """A coordinate that has left the cell, back inside, and the cells crossed."""
    if x < 0.0:
        return x + length, image - 1
    if x >= length:
        return x - length, image + 1
    return x, image


@_inline
def step(potential, integrator, scale, molecule):
    """A molecule through one step of velocity Verlet.

    ``scale`` is the thermostat's factor for the velocities of the step before.
    """
    g00, g01, g02, g10, g11, g12, g20, g21, g22 = potential.to_grid
    lx, ly, lz = potential.lengths
    dt = integrator.timestep
    h = 0.5 * dt
    vx = molecule.vx * scale + h * molecule.ax
    vy = molecule.vy * scale + h * molecule.ay
    vz = molecule.vz * scale + h * molecule.az
    x = molecule.x + dt * (g00 * vx + g01 * vy + g02 * vz)
    y = molecule.y + dt * (g10 * vx + g11 * vy + g12 * vz)
    z = molecule.z + dt * (g20 * vx + g21 * vy + g22 * vz)
    x, ix = _wrapped(x, molecule.ix, lx)
    y, iy = _wrapped(y, molecule.iy, ly)
    z, iz = _wrapped(z, molecule.iz, lz)
    ax, ay, az = acceleration_at(potential, integrator.kelvin, x, y, z)
    return Molecule(x, y, z, ix, iy, iz, vx + h * ax, vy + h * ay, vz + h * az, ax, ay, az)


@_inline
def molecule_of(position, image, velocity, acceleration, m):
    """Row ``m`` of the arrays of a :class:`State`."""
    return Molecule(
        position[m, 0], position[m, 1], position[m, 2], image[m, 0], image[m, 1], image[m, 2],
        velocity[m, 0], velocity[m, 1], velocity[m, 2],
        acceleration[m, 0], acceleration[m, 1], acceleration[m, 2],
    )  # fmt: skip


@_inline
def keep_molecule(molecule, position, image, velocity, acceleration, m):
    """Write row ``m`` of the arrays of a :class:`State`."""
    position[m, 0], position[m, 1], position[m, 2] = molecule.x, molecule.y, molecule.z
    image[m, 0], image[m, 1], image[m, 2] = molecule.ix, molecule.iy, molecule.iz
    velocity[m, 0], velocity[m, 1], velocity[m, 2] = molecule.vx, molecule.vy, molecule.vz
    acceleration[m, 0], acceleration[m, 1] = molecule.ax, molecule.ay
    acceleration[m, 2] = molecule.az


@_compile
def _run_chain(potential, integrator, state, chain, first, last, steps_per_frame, frames):
    """Molecules ``first`` to ``last - 1``, those of one chain, through all frames."""
    position, image, friction = state.position, state.image, state.friction
    velocity, acceleration = state.velocity, state.acceleration
    lx, ly, lz = potential.lengths
    dt, tau = integrator.timestep, integrator.tau
    dof = 3.0 * (last - first)
    rate = 1.0 / (tau * tau) if tau > 0.0 else 0.0
    v1, v2, v3 = friction[chain, 0], friction[chain, 1], friction[chain, 2]
    scale = 1.0
    for frame in range(frames.shape[0]):
        for _ in range(steps_per_frame):
            square = 0.0
            for m in range(first, last):
                molecule = molecule_of(position, image, velocity, acceleration, m)
                molecule = step(potential, integrator, scale, molecule)
                vx, vy, vz = molecule.vx, molecule.vy, molecule.vz
                square += vx * vx + vy * vy + vz * vz
                keep_molecule(molecule, position, image, velocity, acceleration, m)
            if tau > 0.0:
                kinetic = square / integrator.thermal
                scale, v1, v2, v3 = thermostat(kinetic, dof, rate, dt, v1, v2, v3)
        for m in range(first, last):
            frames[frame, m, 0] = position[m, 0] + image[m, 0] * lx
            frames[frame, m, 1] = position[m, 1] + image[m, 1] * ly
            frames[frame, m, 2] = position[m, 2] + image[m, 2] * lz
    for m in range(first, last):
        for c in range(3):
            velocity[m, c] *= scale
    friction[chain, 0], friction[chain, 1], friction[chain, 2] = v1, v2, v3


@_compile
def _run(potential, integrator, state, chain_size, steps_per_frame, frames):
    n = state.position.shape[0]
    for chain in range(state.friction.shape[0]):
        first, last = chain * chain_size, min(n, (chain + 1) * chain_size)
        _run_chain(potential, integrator, state, chain, first, last, steps_per_frame, frames)
