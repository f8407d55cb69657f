"""Stage ``geometry``: pore diameters, accessible surface areas and void fraction (Zeo++).

Two engines give the same numbers. ``fast`` takes Zeo++'s radii and its high-accuracy spheres,
builds their periodic Voronoi network with Qhull, and samples areas and volumes with Zeo++'s
own random numbers in compiled loops; ``zeopp`` calls Zeo++ through ``pyzeo``, which takes a
hundred times as long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np

from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.geometry.network import voronoi_network
from poreflux.geometry.radii import atom_radii
from poreflux.geometry.sampling import accessible_area_A2, accessible_fraction
from poreflux.geometry.settings import GeometrySettings
from poreflux.geometry.spheres import Spheres, spheres_of
from poreflux.geometry.zeopp import zeopp_descriptors
from poreflux.structures.crystal import Structure, make_structure

# Floors of clearance tried in turn, Å: half the 2.4 Å that CoRE MOF asks of a pore, less for
# denser structures, none as the last resort.
FLOORS_A = (1.19, 0.5, -math.inf)
# Zeo++ merges nodes that are nearer than this along each axis, Å (VOR_NODE_MERGE_THRESHOLD).
NODE_MERGE_A = 0.02


@dataclass(frozen=True)
class Geometry(Result):
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


@names_checked(GeometrySettings)
def compute(structure: Structure, settings: GeometrySettings | None = None) -> Geometry:
    """Pore descriptors of a framework.

    Parameters
    ----------
    structure : Structure
        The framework.
    settings : GeometrySettings, optional
        The defaults if not given.

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
    settings = settings or GeometrySettings()
    radii = atom_radii(structure.species)
    listed = structure.listed if settings.atom_order == "listed" else None
    order = _heavy_first(structure) if listed is None else listed
    sampling = {
        "asa_probe_A": settings.asa_probe_A,
        "asa_samples_per_atom": settings.asa_samples_per_atom,
        "void_probe_A": settings.void_probe_A,
        "void_samples": settings.void_samples,
    }
    if settings.engine == "zeopp":
        found = zeopp_descriptors(
            structure, order, high_accuracy=settings.high_accuracy, **sampling
        )
        return Geometry(**found)
    return _fast(structure, radii, order, settings.high_accuracy, **sampling)


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
            # Inflating spheres of several sizes changes their radical diagram.
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
