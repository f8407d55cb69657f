"""Stage ``percolation``: the energies at which a guest's pore system runs through the crystal.

As the energy allowed rises, the region open to the guest first returns to itself one lattice
vector, then two, then three independent ones further on. What it has to climb there is the
highest saddle point of the easiest way through: the barrier to hopping at infinite dilution.

A grid gives the map: its minima, and the saddle points that join them. A grid point comes
only near a saddle point, tens to thousands of kelvin too high where the window is narrow, so
each is refined to the stationary point of the Lennard-Jones sum itself. The same grid gives
the Henry coefficient and the heat of adsorption at infinite dilution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from poreflux.base.errors import StructureError
from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.base.units import (
    BOLTZMANN_BAR_A3_PER_K,
    GAS_CONSTANT_J_PER_MOL_K,
    molecules_per_cell_to_mol_kg,
)
from poreflux.fields.channels import channels_of_guest
from poreflux.fields.forcefield import Guest, guest_parameters, mixed_parameters
from poreflux.fields.grid import MIN_DISTANCE_A, grid_shape, lj_grid
from poreflux.fields.lattice import (
    NEIGHBOURS,
    ends_of_link,
    extend_basis,
    lattice_vector,
    pack,
    separate_nodes,
    unite,
)
from poreflux.fields.network import CEILING_KT, network_spacing_A
from poreflux.percolation.mobility import NOWHERE, Overdamped, overdamped
from poreflux.percolation.settings import PercolationSettings
from poreflux.structures.crystal import Structure, make_structure

# Grid points count up to this many times the cap, for they overestimate a saddle that lies between
# them: half a spacing off the axis of a window of 2.5 Å more than doubles r^-12.
HEADROOM = 4.0
# Saddles are refined up to the grid's threshold and, since the grid may mistake their order,
# MARGIN_K and this share of the threshold's height above the minimum beyond it.
MARGIN_K, MARGIN_SHARE = 100.0, 0.3
# A refined point must lie within this many grid spacings of the grid's; most lie within 2.
REACH = 4.0
# Step limits of the search, Å: longest, converged, and off a point of the wrong kind.
MAX_STEP_A, LAST_STEP_A, NUDGE_A = 0.15, 1e-3, 0.05
# A search that ends well takes 2 to 8 steps as a rule.
SEARCH_STEPS = 40
# Down both sides of a saddle to a grid point below it: most steps, and their length in Å.
DOWN_STEPS, DOWN_STEP_A = 40, 0.1
# Minima nearer than this are the same, Å.
SAME_A = 0.05
# Most grid minima, within MARGIN_K of the lowest, that are refined to find the lowest energy.
MINIMA = 20
# Deeper wells, in kT, have no Boltzmann factor in double precision, which ends at exp(709).
DEEPEST_KT = 650.0
# This many points of highest Boltzmann weight are subdivided by SUBPOINTS along each axis if the
# others weigh less than 1 % of the highest: a tight pocket, which the grid does not resolve.
SUBDIVIDED, SUBPOINTS, SUBDIVIDED_BELOW = 1500, 3, 0.01

# For each neighbour of a grid point, the set of those that touch it, one bit each.
_TOUCH = np.array(
    [sum(1 << b for b, q in enumerate(NEIGHBOURS) if 0 < abs(p - q).max() < 2) for p in NEIGHBOURS]
)


@dataclass(frozen=True)
class Percolation(Result):
    """How a guest gets through a framework, and how much it likes to be there.

    Energies are over kB, in K, and are at most ``cap_K``, which stands for closed.

    Attributes
    ----------
    e_perc_1_K, e_perc_2_K, e_perc_3_K : float
        Lowest energy below which one connected region runs through the crystal in at least
        one, two, three independent lattice directions; never falling from 1 to 3. ``None``, as
        the barriers and ``n_unrefined``, where the settings leave the search for them out.
    barrier_1_K, barrier_2_K, barrier_3_K : float
        The same less ``henry_free_energy_K``. Negative for channels wide enough that their
        floor lies below the average over the cell.
    e_min_K : float
        Lowest energy in the cell.
    henry_free_energy_K : float
        -T ln <exp(-E/T)>, the mean over the whole cell, pockets included.
    e_mean_K : float
        Boltzmann-weighted mean energy over the whole cell.
    participation : float
        (sum w)^2 / (N sum w^2) of the Boltzmann weights w of the N grid points, in (0, 1]:
        the share of the cell over which the guest is spread.
    accessible_fraction : float
        Share of the cell's volume that lies in channels, see
        :func:`poreflux.fields.channels.channels_of_guest`; 0 without a channel.
    dimensionality : int
        0 (no channel) to 3, of the most connected channel.
    n_channels : int
        Separate channels in one cell.
    pocket_share : float
        Share of the Henry coefficient in pockets that no channel reaches; 1 without a channel.
    henry_mol_kg_bar : float
        Henry coefficient of the channels, mol per kg of framework and bar; 0 without one.
    heat_of_adsorption_kJ_mol : float
        Isosteric heat at infinite dilution in the channels, positive where adsorption gives
        off heat, kJ/mol; NaN without a channel.
    mobility : float
        Diffusivity of an overdamped guest in the channels over that in free space, mean over
        directions, see :mod:`poreflux.percolation.mobility`; 0 without a channel.
    mobility_1, mobility_2, mobility_3 : float
        The same along the principal axes, falling.
    participation_channels, e_mean_channels_K : float
        ``participation`` of the Boltzmann weights in the channels, as a share of the whole cell,
        and the mean energy weighted with them: where the guest sits that moves. 0 and NaN without
        a channel.
    participation_dissipation, e_mean_dissipation_K : float
        The same of the power that a current of the overdamped guest dissipates, see
        :func:`poreflux.percolation.mobility.overdamped`: what slows the guest down. 0 and NaN
        where ``mobility`` is too small to tell (1e-11) or there is no channel.
    n_grid : int
        Number of grid points, of the energies.
    n_unrefined : int
        How many of the three percolation energies are less certain: below the cap, but at a
        saddle of the grid that could not be matched with a true one joining the same minima.
    """

    e_perc_1_K: float | None
    e_perc_2_K: float | None
    e_perc_3_K: float | None
    barrier_1_K: float | None
    barrier_2_K: float | None
    barrier_3_K: float | None
    e_min_K: float
    henry_free_energy_K: float
    e_mean_K: float
    participation: float
    accessible_fraction: float
    dimensionality: int
    n_channels: int
    pocket_share: float
    henry_mol_kg_bar: float
    heat_of_adsorption_kJ_mol: float
    mobility: float
    mobility_1: float
    mobility_2: float
    mobility_3: float
    participation_channels: float
    e_mean_channels_K: float
    participation_dissipation: float
    e_mean_dissipation_K: float
    n_grid: int
    n_unrefined: int | None

    def columns(self) -> dict:
        """The row of a table: without what was not searched for."""
        return {k: v for k, v in super().columns().items() if v is not None}


@names_checked(PercolationSettings)
def compute(structure: Structure, settings: PercolationSettings | None = None) -> Percolation:
    """Percolation energies, Henry coefficient and heat of adsorption of one guest site.

    Parameters
    ----------
    structure : Structure
        The rigid framework.
    settings : PercolationSettings, optional
        The defaults if not given.

    Returns
    -------
    Percolation

    Raises
    ------
    StructureError
        If an element has no Lennard-Jones parameters, or the guest is bound so deeply that the
        Henry coefficient is not a finite number.

    Notes
    -----
    Averages are means over grid points, the trapezoidal rule, which converges faster than any
    power of the spacing for smooth periodic functions. With <> the mean over the cell and U
    the energy averaged with weights w = exp(-E/T), both over the channels,

        K = <w> V / (kB T M),    q = R T - R U,

    V being the volume and M the mass of the cell; q = R d ln K / d(1/T).
    """
    settings = settings or PercolationSettings()
    temperature_K, cutoff_A, cap_K = settings.temperature_K, settings.cutoff_A, settings.cap_K
    threshold_kT, max_points = settings.threshold_kT, settings.max_points
    molecule = guest_parameters(settings.guest)
    shape = _shape(structure, settings.spacing_A, max_points)
    energy = lj_grid(structure, molecule, shape, cutoff_A)
    atoms = _pair_terms(structure, molecule)
    e_min = _minimum(atoms, energy, cutoff_A)
    found, _ = channels_of_guest(energy, threshold_kT, temperature_K, cap_K)
    lowest, weight, weighted, squares = _weights(atoms, energy, cutoff_A, temperature_K)
    total = weight.sum()
    participation = total**2 / (energy.size * squares.sum())
    free_energy = lowest - temperature_K * math.log(total / energy.size)
    mean = weighted.sum() / total
    henry, heat, pockets = 0.0, math.nan, 1.0
    moving = Overdamped(np.zeros((3, 3)), NOWHERE, NOWHERE)
    if found.n_channels:
        moving = _overdamped(
            structure, molecule, energy, found.mask, temperature_K, cutoff_A, threshold_kT,
            cap_K, max_points,
        )  # fmt: skip
        inside = found.mask.reshape(-1)
        reached = weight[inside].sum()
        pockets = min(1.0, max(0.0, 1.0 - reached / total))
        if not 0.0 < reached or -lowest > DEEPEST_KT * temperature_K:
            depth = -lowest / temperature_K
            raise StructureError(
                f"the guest's lowest energy is {lowest:.0f} K, {depth:.0f} kT deep: "
                "its Boltzmann factor is not a finite number; raise percolation.temperature_K"
            )
        molecules = reached / energy.size * math.exp(-lowest / temperature_K)
        molecules *= structure.volume_A3 / (BOLTZMANN_BAR_A3_PER_K * temperature_K)
        henry = molecules_per_cell_to_mol_kg(molecules, structure.mass_amu)
        inside_K = weighted[inside].sum() / reached
        heat = GAS_CONSTANT_J_PER_MOL_K * (temperature_K - inside_K) / 1000.0
    free_energy = min(free_energy, cap_K)
    e_perc, barriers, n_unrefined = (None,) * 3, (None,) * 3, None
    if settings.barriers:
        energies, n_unrefined = _saddles(atoms, energy, cutoff_A, cap_K)
        e_perc, barriers = energies.tolist(), (energies - free_energy).tolist()
    mobility = np.clip(np.linalg.eigvalsh(moving.mobility)[::-1], 0.0, 1.0)
    return Percolation(
        *e_perc,
        *barriers,
        e_min_K=float(min(e_min, cap_K)),
        henry_free_energy_K=float(free_energy),
        e_mean_K=float(min(mean, cap_K)),
        participation=float(participation),
        accessible_fraction=float(found.mask.mean()),
        dimensionality=found.dimensionality,
        n_channels=found.n_channels,
        pocket_share=float(pockets),
        henry_mol_kg_bar=float(henry),
        heat_of_adsorption_kJ_mol=float(heat),
        mobility=float(mobility.mean()),
        mobility_1=float(mobility[0]),
        mobility_2=float(mobility[1]),
        mobility_3=float(mobility[2]),
        participation_channels=moving.guest.participation,
        e_mean_channels_K=moving.guest.energy_K,
        participation_dissipation=moving.current.participation,
        e_mean_dissipation_K=moving.current.energy_K,
        n_grid=energy.size,
        n_unrefined=n_unrefined,
    )


def _overdamped(
    structure, molecule, energy, mask, temperature_K, cutoff_A, threshold_kT, cap_K, max_points
) -> Overdamped:
    """The guest in the channels; ``energy`` and ``mask`` only tell how fine a grid they need."""
    share = (mask & (energy < energy[mask].min() + CEILING_KT * temperature_K)).mean()
    # a grid of its own, for what decides is the windows
    shape = _shape(structure, network_spacing_A(structure.volume_A3, float(share)), max_points)
    energy = lj_grid(structure, molecule, shape, cutoff_A)
    found, _ = channels_of_guest(energy, threshold_kT, temperature_K, cap_K)
    return overdamped(energy, structure.cell, temperature_K, found.mask)


def warm_up() -> None:
    """Compile the kernels, or load them from numba's cache, before processes are forked."""
    carbon = make_structure((9.0,) * 3, (90.0,) * 3, ["C"], [[0.0, 0.0, 0.0]])
    compute(carbon, PercolationSettings(spacing_A=1.0))


def thresholds(energy_K: np.ndarray, ceiling_K: float) -> np.ndarray:
    """Energies at which a periodic grid percolates in one, two and three directions.

    Parameters
    ----------
    energy_K : ndarray (nx, ny, nz)
        Energy on the grid of one cell, K. Points that share a face, an edge or a corner are
        connected.
    ceiling_K : float
        Points strictly below are considered.

    Returns
    -------
    ndarray (3,)
        The lowest e such that a connected region of the points with E <= e returns to itself
        by at least 1, 2, 3 independent lattice vectors; ``ceiling_K`` if there is none. Two
        channels along different directions make a system of two dimensions where they meet.

    Raises
    ------
    ValueError
        If the grid is not three-dimensional or is empty.

    Notes
    -----
    Points open in order of energy, then of index. A point changes how the open region hangs
    together only if its lower neighbours fall into two or more groups that do not touch; such
    points are the saddles. The way down from each group leads to a minimum. This leaves a small
    graph of minima that saddles join across known lattice vectors. Kruskal's algorithm goes over
    it with the union-find of :mod:`poreflux.fields.lattice`: a saddle that joins a region to
    another image of itself adds a vector to the directions of the region, and two regions that
    meet unite their directions.

    References
    ----------
    Vectors between representatives, for percolation that wraps around: J. Machta et al., Phys.
    Rev. E 1996, 54, 1332; M. E. J. Newman & R. M. Ziff, Phys. Rev. E 2001, 64, 016706.
    """
    energy = np.asarray(energy_K, float)
    if energy.ndim != 3 or energy.size == 0:
        raise ValueError(f"energy grid must be (nx, ny, nz), got shape {energy.shape}")
    # a point must not be its own neighbour
    energy = np.ascontiguousarray(np.tile(energy, [2 if n == 1 else 1 for n in energy.shape]))
    saddles, links = _grid_saddles(energy, ceiling_K, NEIGHBOURS, _TOUCH)
    values = energy.reshape(-1)[saddles]
    return _level(values, _percolating(values, links), ceiling_K)


def _shape(structure: Structure, spacing_A: float, max_points: int) -> tuple[int, int, int]:
    """Grid points along a, b, c: no spacing above ``spacing_A`` unless they are too many."""
    while True:
        shape = tuple(max(2, n) for n in grid_shape(structure, spacing_A))
        if math.prod(shape) <= max(8, max_points):
            return shape
        spacing_A *= 1.001 * (math.prod(shape) / max_points) ** (1 / 3)


def _pair_terms(structure: Structure, guest: Guest) -> tuple:
    """What the kernels need of the framework: frac, cell, widths, 4 epsilon (K), sigma^2."""
    epsilon_K, sigma_A = mixed_parameters(structure, guest)
    widths = structure.perpendicular_widths_A
    return structure.frac, structure.cell, widths, 4.0 * epsilon_K, sigma_A**2


def _percolating(values: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Which links complete 1, 2, 3 directions, in order of their energies; -1 for none.

    ``links``, ndarray (n, 3) int64: two minima, and the packed lattice vector between them.
    """
    nodes, ends = np.unique(links[:, :2], return_inverse=True)
    order = np.argsort(values, kind="stable")
    return _percolate(order, ends.reshape(-1, 2), links[:, 2], len(nodes))


def _level(values: np.ndarray, found: np.ndarray, ceiling: float) -> np.ndarray:
    """Energies of the links ``found``, or the ceiling."""
    return np.array([values[link] if link >= 0 else ceiling for link in found], float)


def _saddles(
    atoms: tuple, energy: np.ndarray, cutoff_A: float, cap_K: float
) -> tuple[np.ndarray, int]:
    """Refined percolation energies (K), ndarray (3,), and how many are not refined.

    Every saddle of the grid up to a little above the grid's thresholds is refined. The true
    saddle joins the minima that lie down its two sides. It replaces the grid's saddle where that
    joins the same minima, and is added where it does not. Grid minima that lie in the same true
    basin are joined: a channel that runs aslant through the grid has such minima along it.
    """
    saddles, links = _grid_saddles(energy, HEADROOM * cap_K, NEIGHBOURS, _TOUCH)
    values = energy.reshape(-1)[saddles]
    found = _percolating(values, links)
    if found[0] < 0:
        return np.full(3, float(cap_K)), 0
    top = values[found[found >= 0]].max()
    top += MARGIN_K + MARGIN_SHARE * (top - energy.min())
    chosen = np.flatnonzero(values <= top)
    reach = REACH * _spacing(atoms, energy.shape)
    refined, true_links, ok = _refine(
        energy, np.array(energy.shape), saddles[chosen], *atoms, cutoff_A, reach, NEIGHBOURS
    )
    same = ok & (
        (true_links == links[chosen]).all(axis=1)
        | (true_links == links[chosen][:, [1, 0, 2]] * [1, 1, -1]).all(axis=1)
    )
    keep = np.setdiff1d(np.arange(len(values)), chosen[same])
    bottoms, same_basin = _same_basin(atoms, energy.shape, np.unique(links[chosen, :2]), cutoff_A)
    links = np.concatenate([links[keep], true_links[ok], same_basin])
    found = _percolating(np.concatenate([values[keep], refined[ok], bottoms]), links)
    # a grid saddle that stays in the way counts with the true one next to it, if there is one
    nearest = values.copy()
    nearest[chosen[ok]] = np.minimum(refined[ok], values[chosen[ok]])
    result = _level(np.concatenate([nearest[keep], refined[ok], bottoms]), found, cap_K)
    n_unrefined = int(((found >= 0) & (found < len(keep)) & (result < cap_K)).sum())
    return np.minimum(np.maximum.accumulate(result), cap_K), n_unrefined


def _same_basin(
    atoms: tuple, shape, minima: np.ndarray, cutoff_A: float
) -> tuple[np.ndarray, np.ndarray]:
    """Links, with the energy of the bottom (K), between grid minima that share a true one."""
    index = np.stack(np.unravel_index(minima, shape), axis=1)
    reach = REACH * _spacing(atoms, shape)
    energy, frac, ok = _bottoms(index / shape, *atoms, cutoff_A, reach)
    energy, frac, minima = energy[ok], frac[ok], minima[ok]
    wrapped = frac - np.floor(frac)
    wrapped[wrapped >= 1.0] = 0.0
    near = SAME_A / np.linalg.norm(atoms[1], axis=1).max()
    one, two = cKDTree(wrapped, boxsize=1.0).query_pairs(near, output_type="ndarray").T
    cells = np.round(frac[one] - frac[two]).astype(np.int64)
    return energy[one], np.stack([minima[one], minima[two], pack(*cells.T)], axis=1)


def _minimum(atoms: tuple, energy: np.ndarray, cutoff_A: float) -> float:
    """Lowest energy (K), refined from the lowest minima of the grid."""
    flat = energy.reshape(-1)
    lowest = float(flat.min())
    points = np.flatnonzero(flat <= lowest + MARGIN_K)
    points = points[_is_minimum(energy, points, NEIGHBOURS)]
    points = points[np.argsort(flat[points], kind="stable")][:MINIMA]
    starts = np.stack(np.unravel_index(points, energy.shape), axis=1) / energy.shape
    reach = REACH * _spacing(atoms, energy.shape)
    refined, _, ok = _bottoms(starts, *atoms, cutoff_A, reach)
    return min([lowest, *refined[ok].tolist()])


def _spacing(atoms: tuple, shape) -> float:
    """Largest spacing of a grid along the cell's edges, Å."""
    return float((np.linalg.norm(atoms[1], axis=1) / shape).max())


def _weights(
    atoms: tuple, energy: np.ndarray, cutoff_A: float, temperature_K: float
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The lowest energy and, over each grid point's voxel, means of w, w E and w^2, (n_grid,) each.

    w = exp((lowest - E) / T). The mean is the value at the point itself, except where the guest
    sits in a tight pocket, see :data:`SUBDIVIDED`; there the voxel is sampled more finely.
    """
    flat = energy.reshape(-1)
    lowest = float(flat.min())
    weight = np.exp((lowest - flat) / temperature_K)
    if SUBDIVIDED < flat.size:
        points = np.argpartition(weight, -SUBDIVIDED)[-SUBDIVIDED:]
        if weight[points].min() > SUBDIVIDED_BELOW:
            return lowest, weight, weight * flat, weight * weight
    else:
        points = np.arange(flat.size)
    points = points[weight[points] > 1e-6]
    index = np.stack(np.unravel_index(points, energy.shape), axis=1)
    fine = _subpoints(index, np.array(energy.shape), SUBPOINTS, *atoms, cutoff_A)
    # between the grid points of a dense crystal it may be lower by thousands of kelvins
    lowest = min(lowest, float(fine.min()))
    weight = np.exp((lowest - flat) / temperature_K)
    weighted, squares = weight * flat, weight * weight
    fine_weight = np.exp((lowest - fine) / temperature_K)
    weight[points] = fine_weight.mean(axis=1)
    weighted[points] = (fine_weight * fine).mean(axis=1)
    squares[points] = (fine_weight * fine_weight).mean(axis=1)
    return lowest, weight, weighted, squares


@njit(cache=True)
def _percolate(order, ends, across, n_nodes):
    """Links of ``order`` at which regions first run through in 1, 2, 3 directions, or -1."""
    parent, shift = separate_nodes(n_nodes)
    bases, ranks = np.zeros((n_nodes, 3, 3)), np.zeros(n_nodes, np.int64)
    complete = np.full(3, -1, np.int64)
    highest = 0
    for link in order:
        one, two, by = ends_of_link(parent, shift, ends[link, 0], ends[link, 1], across[link])
        if one != two:
            unite(parent, shift, one, two, by)
            for row in range(ranks[two]):
                if ranks[one] < 3:
                    ranks[one] = extend_basis(bases[one], ranks[one], bases[two, row])
        elif by != 0 and ranks[one] < 3:
            ranks[one] = extend_basis(bases[one], ranks[one], lattice_vector(by))
        while highest < ranks[one]:
            complete[highest] = link
            highest += 1
        if highest == 3:
            break
    return complete


@njit(cache=True)
def _lower(energy, i, j, k, sides):
    """The neighbours of a point that are lower, or as low and earlier: one bit each."""
    nx, ny, nz = energy.shape
    value = energy[i, j, k]
    here = (i * ny + j) * nz + k
    lower = np.int64(0)
    for side in range(26):
        ii, jj, kk = i + sides[side, 0], j + sides[side, 1], k + sides[side, 2]
        ii += nx if ii < 0 else (-nx if ii >= nx else 0)
        jj += ny if jj < 0 else (-ny if jj >= ny else 0)
        kk += nz if kk < 0 else (-nz if kk >= nz else 0)
        other = energy[ii, jj, kk]
        if other < value or (other == value and (ii * ny + jj) * nz + kk < here):
            lower |= np.int64(1) << side
    return lower


@njit(cache=True)
def _is_minimum(energy, points, sides):
    """Whether each of the flat indices is a minimum of the grid, ndarray bool."""
    ny, nz = energy.shape[1:]
    found = np.empty(len(points), np.bool_)
    for m in range(len(points)):
        i, rest = points[m] // (ny * nz), points[m] % (ny * nz)
        found[m] = _lower(energy, i, rest // nz, rest % nz, sides) == 0
    return found


@njit(cache=True)
def _descend(energy, at, sides):
    """Minimum below a grid point and the packed lattice vector to its image.

    ``at``: indices of the point, of any image, ndarray (3,); overwritten.
    """
    nx, ny, nz = energy.shape
    while True:
        i, j, k = at[0] % nx, at[1] % ny, at[2] % nz
        best, best_point, best_side = energy[i, j, k], (i * ny + j) * nz + k, -1
        for side in range(26):
            ii, jj = (i + sides[side, 0]) % nx, (j + sides[side, 1]) % ny
            kk = (k + sides[side, 2]) % nz
            other, point = energy[ii, jj, kk], (ii * ny + jj) * nz + kk
            if other < best or (other == best and point < best_point):
                best, best_point, best_side = other, point, side
        if best_side < 0:
            return best_point, pack((at[0] - i) // nx, (at[1] - j) // ny, (at[2] - k) // nz)
        for c in range(3):
            at[c] += sides[best_side, c]


@njit(cache=True)
def _grid_saddles(energy, ceiling, sides, touch):
    """Saddles of the grid below a ceiling and the minima they join.

    Returns the flat index of the saddle, ndarray (n,), and the two minima and the packed lattice
    vector from one to the other, ndarray (n, 3) int64. A saddle where m groups of lower
    neighbours meet appears m - 1 times.
    """
    nx, ny, nz = energy.shape
    n = 0
    points, links = np.empty(256, np.int64), np.empty((256, 3), np.int64)
    at = np.empty(3, np.int64)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if not energy[i, j, k] < ceiling:
                    continue
                left = _lower(energy, i, j, k, sides)
                first, first_cell, n_groups = np.int64(0), np.int64(0), 0
                while left != 0:
                    # one group: what can be reached from any one neighbour
                    group, new = np.int64(0), left & -left
                    while new != 0:
                        group |= new
                        reached = np.int64(0)
                        for side in range(26):
                            if new >> side & 1:
                                reached |= touch[side]
                        new = reached & left & ~group
                    left &= ~group
                    if left == 0 and n_groups == 0:
                        break
                    for side in range(26):
                        if group >> side & 1:
                            at[0], at[1] = i + sides[side, 0], j + sides[side, 1]
                            at[2] = k + sides[side, 2]
                            break
                    minimum, cell = _descend(energy, at, sides)
                    n_groups += 1
                    if n_groups == 1:
                        first, first_cell = minimum, cell
                        continue
                    if n == len(points):
                        longer, more = np.empty(2 * n, np.int64), np.empty((2 * n, 3), np.int64)
                        longer[:n], more[:n] = points, links
                        points, links = longer, more
                    points[n] = (i * ny + j) * nz + k
                    links[n, 0], links[n, 1], links[n, 2] = first, minimum, cell - first_cell
                    n += 1
    return points[:n], links[:n]


@njit(cache=True, error_model="numpy")
def _refine(energy, shape, points, frac, cell, widths, four_epsilon, sigma2, cutoff, reach, sides):
    """True saddles near grid points: energies (K), links as of the grid's, and success."""
    n = len(points)
    values, links, ok = np.zeros(n), np.zeros((n, 3), np.int64), np.zeros(n, np.bool_)
    to_frac = np.linalg.inv(cell)
    index, start, at = np.empty(3, np.int64), np.empty(3), np.empty(3)
    mode, x = np.empty(3), np.empty(3)
    gradient, hessian = np.empty(3), np.empty((3, 3))
    minimum, image = np.empty(2, np.int64), np.empty(2, np.int64)
    for m in range(n):
        if m and points[m] == points[m - 1]:
            values[m], ok[m] = values[m - 1], ok[m - 1]
            links[m] = links[m - 1]
            continue
        index[0] = points[m] // (shape[1] * shape[2])
        index[1], index[2] = points[m] // shape[2] % shape[1], points[m] % shape[2]
        for c in range(3):
            start[c] = index[c] / shape[c]
        margin = reach + DOWN_STEPS * DOWN_STEP_A
        atoms = _atoms_near(start, frac, cell, widths, four_epsilon, sigma2, cutoff + margin)
        values[m], ok[m] = _stationary(atoms, cutoff, reach, 1, at, mode)
        if not ok[m]:
            continue
        for side in range(2):
            for c in range(3):
                x[c] = at[c] + (2 * side - 1) * DOWN_STEP_A * mode[c]
            for _ in range(DOWN_STEPS):
                for c in range(3):
                    place = start[c]
                    for d in range(3):
                        place += x[d] * to_frac[d, c]
                    index[c] = round(place * shape[c])
                # from a grid point below the saddle no way down leads back across it
                i, j, k = index[0] % shape[0], index[1] % shape[1], index[2] % shape[2]
                if energy[i, j, k] < values[m]:
                    break
                _derivatives(atoms, cutoff * cutoff, x, gradient, hessian)
                length = math.sqrt((gradient * gradient).sum())
                if length == 0.0:
                    break
                for c in range(3):
                    x[c] -= DOWN_STEP_A / length * gradient[c]
            minimum[side], image[side] = _descend(energy, index, sides)
        links[m, 0], links[m, 1], links[m, 2] = minimum[0], minimum[1], image[1] - image[0]
    return values, links, ok


@njit(cache=True, error_model="numpy")
def _atoms_near(start, frac, cell, widths, four_epsilon, sigma2, reach):
    """Images of atoms within ``reach`` (Å) of a fractional point, ndarray (n, 5).

    Cartesian position from the point (Å), 4 epsilon (K) and sigma^2 (Å^2).
    """
    n = 0
    out = np.empty((1024, 5))
    ri, rj, rk = reach / widths[0], reach / widths[1], reach / widths[2]
    for a in range(frac.shape[0]):
        fi, fj, fk = frac[a, 0] - start[0], frac[a, 1] - start[1], frac[a, 2] - start[2]
        for i in range(math.ceil(-ri - fi), math.floor(ri - fi) + 1):
            for j in range(math.ceil(-rj - fj), math.floor(rj - fj) + 1):
                for k in range(math.ceil(-rk - fk), math.floor(rk - fk) + 1):
                    u, v, w = fi + i, fj + j, fk + k
                    x = u * cell[0, 0] + v * cell[1, 0] + w * cell[2, 0]
                    y = u * cell[0, 1] + v * cell[1, 1] + w * cell[2, 1]
                    z = u * cell[0, 2] + v * cell[1, 2] + w * cell[2, 2]
                    if x * x + y * y + z * z > reach * reach:
                        continue
                    if n == len(out):
                        longer = np.empty((2 * n, 5))
                        longer[:n] = out
                        out = longer
                    out[n, 0], out[n, 1], out[n, 2] = x, y, z
                    out[n, 3], out[n, 4] = four_epsilon[a], sigma2[a]
                    n += 1
    return out[:n]


@njit(cache=True, error_model="numpy")
def _bottoms(starts, frac, cell, widths, four_epsilon, sigma2, cutoff, reach):
    """Minima next to fractional points: energies (K), fractional coordinates and success."""
    n = len(starts)
    values, places, ok = np.zeros(n), np.zeros((n, 3)), np.zeros(n, np.bool_)
    to_frac = np.linalg.inv(cell)
    at, mode = np.empty(3), np.empty(3)
    for m in range(n):
        atoms = _atoms_near(starts[m], frac, cell, widths, four_epsilon, sigma2, cutoff + reach)
        values[m], ok[m] = _stationary(atoms, cutoff, reach, 0, at, mode)
        for c in range(3):
            places[m, c] = starts[m, c]
            for d in range(3):
                places[m, c] += at[d] * to_frac[d, c]
    return values, places, ok


@njit(cache=True, error_model="numpy")
def _subpoints(index, shape, n, frac, cell, widths, four_epsilon, sigma2, cutoff):
    """Energies (K) at the centres of n x n x n parts of voxels, ndarray (points, n^3)."""
    out = np.empty((len(index), n * n * n))
    # half the longest diagonal of a voxel is shorter than half the sum of its edges
    margin = 0.0
    for c in range(3):
        margin += 0.5 * math.sqrt((cell[c] * cell[c]).sum()) / shape[c]
    start, at = np.empty(3), np.empty(3)
    cutoff2 = cutoff * cutoff
    for m in range(len(index)):
        for c in range(3):
            start[c] = index[m, c] / shape[c]
        atoms = _atoms_near(start, frac, cell, widths, four_epsilon, sigma2, cutoff + margin)
        for part in range(n * n * n):
            u = ((part // (n * n) + 0.5) / n - 0.5) / shape[0]
            v = ((part // n % n + 0.5) / n - 0.5) / shape[1]
            w = ((part % n + 0.5) / n - 0.5) / shape[2]
            for c in range(3):
                at[c] = u * cell[0, c] + v * cell[1, c] + w * cell[2, c]
            energy = 0.0
            for a in range(atoms.shape[0]):
                x, y, z = at[0] - atoms[a, 0], at[1] - atoms[a, 1], at[2] - atoms[a, 2]
                r2 = x * x + y * y + z * z
                if r2 <= cutoff2:
                    q = atoms[a, 4] / max(r2, MIN_DISTANCE_A * MIN_DISTANCE_A)
                    q = q * q * q
                    energy += atoms[a, 3] * q * (q - 1.0)
            out[m, part] = energy
    return out


@njit(cache=True, error_model="numpy")
def _derivatives(atoms, cutoff2, at, gradient, hessian):
    """Energy (K) at a point; its gradient (K/Å) and Hessian (K/Å^2) into the arrays."""
    energy = 0.0
    gradient[:] = 0.0
    hessian[:] = 0.0
    d = np.empty(3)
    for a in range(atoms.shape[0]):
        r2 = 0.0
        for c in range(3):
            d[c] = at[c] - atoms[a, c]
            r2 += d[c] * d[c]
        if r2 > cutoff2:
            continue
        r2 = max(r2, MIN_DISTANCE_A * MIN_DISTANCE_A)
        x = atoms[a, 4] / r2
        x = x * x * x
        energy += atoms[a, 3] * x * (x - 1.0)
        # derivatives with respect to r^2
        first = atoms[a, 3] * x * (3.0 - 6.0 * x) / r2
        second = atoms[a, 3] * x * (42.0 * x - 12.0) / (r2 * r2)
        for c in range(3):
            gradient[c] += 2.0 * first * d[c]
            hessian[c, c] += 2.0 * first
            for b in range(3):
                hessian[c, b] += 4.0 * second * d[c] * d[b]
    return energy


@njit(cache=True, error_model="numpy")
def _stationary(atoms, cutoff, reach, n_up, at, mode):
    """Eigenvector following from the origin to a point with ``n_up`` downhill directions.

    Uphill along the ``n_up`` lowest modes of the Hessian and downhill along the others, by
    the rational function steps of Banerjee et al., J. Phys. Chem. 1985, 89, 52. Returns the
    energy (K) and whether it converged within ``reach`` (Å); sets the position ``at`` (Å) and
    the lowest mode of the Hessian there.
    """
    gradient, hessian = np.zeros(3), np.zeros((3, 3))
    at[:] = 0.0
    cutoff2 = cutoff * cutoff
    energy = 0.0
    for _ in range(SEARCH_STEPS):
        energy = _derivatives(atoms, cutoff2, at, gradient, hessian)
        curvature, modes = np.linalg.eigh(hessian)
        step = np.zeros(3)
        right_kind = True
        for m in range(3):
            slope = (modes[:, m] * gradient).sum()
            up = m < n_up
            root = math.sqrt(curvature[m] * curvature[m] + 4.0 * slope * slope)
            shifted = 0.5 * (curvature[m] - root if up else curvature[m] + root)
            if shifted != 0.0:
                step -= slope / shifted * modes[:, m]
            if (curvature[m] < 0.0) != up:
                right_kind = False
        length = math.sqrt((step * step).sum())
        if length < LAST_STEP_A:
            if right_kind:
                # what the last step, quadratic in its length, leaves is below round-off
                at += step
                mode[:] = modes[:, 0]
                return _derivatives(atoms, cutoff2, at, gradient, hessian), True
            # symmetry can hold the search on a point of another kind
            for m in range(3):
                if (curvature[m] < 0.0) != (m < n_up):
                    step += NUDGE_A * modes[:, m]
        elif length > MAX_STEP_A:
            step *= MAX_STEP_A / length
        at += step
        if (at * at).sum() > reach * reach:
            break
    return energy, False
