"""Stage ``geometry``: pore diameters, accessible surface areas and void fraction (Zeo++).

Two engines give the same numbers. ``fast`` takes Zeo++'s radii and its high-accuracy spheres,
builds their periodic Voronoi network with Qhull, and samples areas and volumes with Zeo++'s
own random numbers in compiled loops; ``zeopp`` calls Zeo++ through ``pyzeo``, which takes a
hundred times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import gemmi
import numpy as np

from poreflux.geometry.network import voronoi_network
from poreflux.geometry.radii import atom_radii
from poreflux.geometry.sampling import accessible_area_A2, accessible_fraction
from poreflux.geometry.spheres import Spheres, spheres_of
from poreflux.geometry.zeopp import zeopp_descriptors
from poreflux.structure import FRACTIONAL_DIGITS, Structure, make_structure, read_cif

ENGINES = ("fast", "zeopp")
# Floors of clearance tried in turn, Å: half the 2.4 Å that CoRE MOF asks of a pore, less for
# denser structures, none as the last resort.
FLOORS_A = (1.19, 0.5, -math.inf)
# Zeo++ takes nodes for one that are nearer than this along each axis (VOR_NODE_MERGE_THRESHOLD).
NODE_MERGE_A = 0.02


@dataclass(frozen=True)
class Geometry:
    """Pore descriptors of one structure.

    Attributes
    ----------
    lcd_A : float
        Largest cavity diameter: of the largest sphere that fits, Å; 0 if none does.
    pld_A : float
        Pore limiting diameter: of the largest sphere that can travel through, Å; 0 if none.
    asa_m2_cm3, asa_m2_g : float
        Accessible surface area, per volume of crystal and per mass.
    void_fraction : float
        Accessible share of the volume.
    n_channels : int
        Channels of the cell that the probe of the surface area can travel through.
    """

    lcd_A: float
    pld_A: float
    asa_m2_cm3: float
    asa_m2_g: float
    void_fraction: float
    n_channels: int


def compute(
    structure: Structure,
    *,
    engine: str = "fast",
    high_accuracy: bool = True,
    asa_probe_A: float = 1.55,
    asa_samples_per_atom: int = 2000,
    void_probe_A: float = 1.40,
    void_samples: int = 50_000,
    order: Sequence[int] | None = None,
) -> Geometry:
    """Pore descriptors of a framework.

    Parameters
    ----------
    structure : Structure
        The framework.
    engine : {'fast', 'zeopp'}
        Our network over Zeo++'s spheres, or Zeo++ itself (slow).
    high_accuracy : bool
        Replace large atoms by clusters of spheres of the smallest radius (``-ha``, ``DEF``).
    asa_probe_A : float
        Radius of the probe of the surface areas, Å; also that which must pass the channels.
    asa_samples_per_atom : int
        Monte Carlo samples on each atom.
    void_probe_A : float
        Radius of the probe of the void fraction, Å.
    void_samples : int
        Monte Carlo samples in the cell.
    order : sequence of int, optional
        Indices of ``structure``'s atoms in the order in which Zeo++ would read them. Zeo++'s
        numbers depend on it a little: the fineness of its spheres (some 0.01 Å in the
        diameters) and the random points of the areas (about 1 %, of small areas 5 %). Without
        it, heavy elements come first, as in most files of crystallographers.

    Returns
    -------
    Geometry

    Raises
    ------
    StructureError
        If Zeo++ has no radius for an element.
    ExternalToolError
        If Zeo++ fails (``engine='zeopp'``).

    Notes
    -----
    Against Zeo++, the fast engine merges Voronoi nodes within 0.02 Å by a rule that does not
    depend on the order in which they are met (about 1 % of the LCDs differ by more than
    0.01 Å for that), and it tests sampled points against all atoms, not against the nearest
    of the spheres alone (a few tenths of a percent of the areas).

    References
    ----------
    T. F. Willems, C. H. Rycroft, M. Kazi, J. C. Meza, M. Haranczyk, Microporous Mesoporous
    Mater. 2012, 149, 134 (Zeo++).
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    for name, value in (("asa_probe_A", asa_probe_A), ("void_probe_A", void_probe_A)):
        if not value > 0:
            raise ValueError(f"{name} must be > 0 Å, got {value}")
    radii = atom_radii(structure.species)
    order = _heavy_first(structure) if order is None else np.asarray(order, int)
    if not np.array_equal(np.sort(order), np.arange(structure.n_atoms)):
        raise ValueError(f"order must list each of the {structure.n_atoms} atoms once")
    sampling = {
        "asa_probe_A": asa_probe_A,
        "asa_samples_per_atom": asa_samples_per_atom,
        "void_probe_A": void_probe_A,
        "void_samples": void_samples,
    }
    if engine == "zeopp":
        return Geometry(
            **zeopp_descriptors(structure, order, high_accuracy=high_accuracy, **sampling)
        )
    return _fast(structure, radii, order, high_accuracy, **sampling)


def describe(path: str | Path, **params) -> Geometry:
    """Pore descriptors of the CIF file ``path``, atoms in the order of the file.

    Parameters
    ----------
    path : str or Path
        A CIF file.
    **params
        See :func:`compute`.

    Raises
    ------
    StructureError
        If the file cannot be read as a structure, or Zeo++ has no radius for an element.
    """
    structure = read_cif(path)
    order = listed_order(Path(path).read_bytes(), structure)
    return compute(structure, **({"order": order} | params))


def listed_order(data: bytes, structure: Structure) -> np.ndarray | None:
    """The order in which a P1 CIF file lists the atoms of the structure read from it.

    Parameters
    ----------
    data : bytes
        The CIF file.
    structure : Structure
        What :func:`poreflux.structure.parse_cif` made of it.

    Returns
    -------
    ndarray (n_atoms,) int or None
        Indices into the structure's atoms; None where the file does not list each atom once
        (symmetry expanded).
    """
    for block in gemmi.cif.read_string(data.decode("latin-1")):
        table = block.find("_atom_site_", ["fract_x", "fract_y", "fract_z"])
        if len(table):
            break
    if len(table) != structure.n_atoms:
        return None
    frac = [[gemmi.cif.as_number(row[i]) for i in range(3)] for row in table]
    # The canonical form of nameless atoms: both sides sorted by place alone.
    cell = (structure.lengths_A, structure.angles_deg)
    nameless = make_structure(*cell, ["X"] * len(frac), frac)
    by_place = np.lexsort(structure.frac.T[::-1])
    if not np.array_equal(structure.frac[by_place], nameless.frac):
        return None
    listed = np.round(np.asarray(frac) - np.floor(frac), FRACTIONAL_DIGITS)
    listed = np.where(listed >= 1.0, 0.0, listed) + 0.0
    order = np.empty(len(frac), int)
    order[np.lexsort(listed.T[::-1])] = by_place
    return order


def engine_versions() -> dict[str, str]:
    """Versions of the programs that this stage calls: ``{'pyzeo': ...}``."""
    try:
        return {"pyzeo": metadata.version("pyzeo")}
    except metadata.PackageNotFoundError:
        return {}


def warm_up() -> None:
    """Compile what is compiled, so that processes forked later have it."""
    structure = make_structure((8.0, 9.0, 10.0), (90.0,) * 3, ["C", "H"], [[0] * 3, [0.1] * 3])
    _fast(structure, atom_radii(structure.species), np.arange(2), True, 1.5, 10, 1.5, 10)


def _heavy_first(structure: Structure) -> np.ndarray:
    numbers = np.array([gemmi.Element(s).atomic_number for s in structure.species])
    return np.argsort(-numbers, kind="stable")


def _fast(
    structure: Structure,
    radii: np.ndarray,
    order: np.ndarray,
    high_accuracy: bool,
    asa_probe_A: float,
    asa_samples_per_atom: int,
    void_probe_A: float,
    void_samples: int,
) -> Geometry:
    spheres = spheres_of(structure.cart, radii, order, high_accuracy)
    one_size = np.ptp(spheres.radii) == 0.0
    smallest_probe = min(asa_probe_A, void_probe_A)
    largest = free = -math.inf
    networks = {}
    for floor in FLOORS_A:
        floor = min(floor, smallest_probe)
        if floor <= spheres.gap_A or not one_size:
            floor = -math.inf
        network = voronoi_network(structure, radii, spheres, floor)
        # the first floor is below the probes: its network serves them all
        networks.setdefault("probes", network)
        largest, free = network.largest_A(NODE_MERGE_A), network.free_A()
        if math.isfinite(free) or floor == -math.inf:
            break

    area = fraction = 0.0
    n_channels = 0
    for probe in {asa_probe_A, void_probe_A}:
        if one_size:
            network, threshold = networks["probes"], probe
        else:
            # A radical diagram changes with the inflation of spheres of several sizes.
            inflated = Spheres(spheres.centres, spheres.radii + probe, spheres.parent, 0.0)
            network, threshold = voronoi_network(structure, radii, inflated), 0.0
        if probe == asa_probe_A:
            n_channels = int(network.regions(threshold)[1].sum())
            area = accessible_area_A2(
                structure, radii, order, network, threshold, probe, asa_samples_per_atom
            )
        if probe == void_probe_A:
            fraction = accessible_fraction(
                structure, radii, network, threshold, probe, void_samples
            )
    # Å^2 / Å^3 is 1e10 / m, 1e4 m^2/cm^3
    per_volume = area / structure.volume_A3 * 1e4
    return Geometry(
        lcd_A=2.0 * max(largest, 0.0),
        pld_A=2.0 * max(free, 0.0),
        asa_m2_cm3=per_volume,
        asa_m2_g=per_volume / structure.density_g_cm3,
        void_fraction=fraction,
        n_channels=n_channels,
    )
