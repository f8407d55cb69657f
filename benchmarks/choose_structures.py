"""Choose the structures of the default study: writes the two name lists that ship with Poreflux.

    python benchmarks/choose_structures.py target        # seconds
    python benchmarks/choose_structures.py source        # about 10 minutes on one idle core

The lists are committed, so this is only run to make others (another seed, another size). It is
deterministic: the same packages give the same lists.
"""

import argparse
import collections
import hashlib
import importlib.metadata
import itertools
import logging
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from poreflux.base.errors import StructureError
from poreflux.fields.forcefield import framework_parameters
from poreflux.structures import packages

log = logging.getLogger("choose_structures")

SIGMA_CH4_ANGSTROM = 3.73

# Nets that real MOFs adopt often; they get more structures than the others.
COMMON_NETS = (
    "acs agw bcu bnn bor chs crs csq ctn cds dia fcu flu ftw gar hms hxg ith kgd kgm lon lvt mot "
    "mtn nbo pcu pto pts pyr qom qtz reo rht rtl rutile rut scu shp soc sod spn sql srs stp tbo "
    "tfz-d the twt ubt umc xbo"
).split()


# --- target: experimental MOFs -------------------------------------------------------------

TARGET_RULES = """\
# Experimental MOFs of the CoRE MOF 2019 ASR archive (package core-mof {version}, CC BY 4.0,
# Y. G. Chung et al., J. Chem. Eng. Data 64, 5985 (2019), doi:10.1021/acs.jced.9b00835).
# Made by benchmarks/choose_structures.py target --count {count} --seed {seed}. The rule:
#   - named by a CSD refcode, cleaned of solvent only (Extension "clean"), not marked DISORDER;
#   - pore limiting diameter of the archive's own table >= {sigma} Å (sigma of CH4);
#   - P1, every site fully occupied, C and H present, all elements with UFF parameters;
#   - cell <= {volume:.0f} Å^3 and <= {atoms} atoms, no two atoms closer than {distance} Å;
#   - one structure for each refcode family (first six letters), drawn by hash.
# {eligible} families pass; these are the first {count} by sha256("seed:name"), so that the first
# n of them are a random sample for any n.
"""


def choose_target(count: int, seed: int) -> str:
    """Names of experimental MOFs drawn at random among those that pass the rules."""
    limits = {"volume": 12000.0, "atoms": 400, "distance": 0.8}
    candidates = [
        row["filename"]
        for row in packages.core_mof_table("2019-ASR")
        if re.match(r"[A-Z]{6}(\d\d)?_", row["filename"])
        and row["Extension"] == "clean"
        and not row["DISORDER"].strip()
        and float(row["PLD"]) >= SIGMA_CH4_ANGSTROM
    ]
    passing = [
        name
        for name, cif in packages.core_mof_cifs("2019-ASR", candidates)
        if _acceptable(cif, **limits)
    ]
    families: dict[str, str] = {}
    for name in sorted(passing, key=lambda name: _rank(seed, name)):
        families.setdefault(name[:6], name)
    log.info("%d candidates, %d pass, %d families", len(candidates), len(passing), len(families))
    header = TARGET_RULES.format(
        version=importlib.metadata.version("core-mof"),
        count=count,
        seed=seed,
        sigma=SIGMA_CH4_ANGSTROM,
        eligible=len(families),
        **limits,
    )
    return header + "\n".join(list(families.values())[:count]) + "\n"


def _acceptable(cif: bytes, volume: float, atoms: int, distance: float) -> bool:
    """Whether an experimental structure is complete, ordered and of modest size."""
    block = gemmi.cif.read_string(cif).sole_block()
    structure = gemmi.make_small_structure_from_block(block)
    sites = structure.sites
    elements = {site.element.name for site in sites}
    if structure.spacegroup_hm.replace(" ", "") != "P1" or any(site.occ != 1 for site in sites):
        return False
    if not {"C", "H"} <= elements or not elements <= framework_parameters().keys():
        return False
    if structure.cell.volume > volume or len(sites) > atoms:
        return False
    cell = np.array(structure.cell.orth.mat.tolist()).T
    fractional = np.array([site.fract.tolist() for site in sites])
    positions, _ = _with_images(cell, fractional, distance)
    found = cKDTree(positions).query(fractional % 1 @ cell, k=2)[0][:, 1]
    return float(found.min()) >= distance


# --- source: hypothetical MOFs --------------------------------------------------------------

SOURCE_RULES = """\
# Hypothetical MOFs for pormake {version}: topology+nodes+edges (see poreflux.structures.packages).
# Made by benchmarks/choose_structures.py source --count {count} --seed {seed}. The rule:
#   - nets with at most {node_types} node types and {slots} nodes and edges in the cell, in
#     random order: those common in real MOFs first, with up to {per_common} structures, then
#     others with up to {per_other}, their cells at most {net_volume:.0f} cubed edge lengths;
#   - blocks drawn at random: bonded through C or N only, elements with UFF parameters; every edge
#     of the net ends at a node with a metal, and a linker stands between two of those;
#   - kept if all blocks fit (RMSD < {rmsd}), {atoms_min}-{atoms} atoms, cell <= {volume:.0f} Å^3,
#     at least {width:.0f} Å wide, every bond between blocks {bond_min}-{bond_max} Å, no other
#     contact between blocks below 1.2 times the covalent radii nor {contact} Å, and the largest
#     sphere between the atoms' surfaces (UFF sigma / 2) at least {lcd} Å wide.
# Ordered so that the first n, for any n, spread over the nets and over the pore sizes.
"""


@dataclass(frozen=True)
class SourceLimits:
    """What a hypothetical structure must satisfy to be listed."""

    node_types: int = 2
    slots: int = 72
    net_volume: float = 12.0
    per_common: int = 10
    per_other: int = 4
    rmsd: float = 0.15
    atoms_min: int = 24
    atoms: int = 500
    volume: float = 30000.0
    width: float = 6.0
    bond_min: float = 1.15
    bond_max: float = 1.9
    contact: float = 1.4
    lcd: float = 4.0


@dataclass(frozen=True)
class Block:
    """What choosing needs to know of a building block."""

    points: int
    atoms: int
    metal: bool
    ends: frozenset[str]
    length: float


def choose_source(count: int, seed: int, seconds: float) -> str:
    """Names of hypothetical MOFs drawn at random among those that pass the rules."""
    limits = SourceLimits()
    _, database = packages._pormake()
    blocks = _blocks(database)
    nets = sorted(path.stem for path in (database / "topologies").glob("*.cgd"))
    random.Random(seed).shuffle(nets)
    nets = [n for n in nets if n in COMMON_NETS] + [n for n in nets if n not in COMMON_NETS]

    sizes: dict[str, float] = {}
    started = time.monotonic()
    for net in nets:
        if len(sizes) >= count:
            break
        if time.monotonic() - started > seconds:
            raise SystemExit(f"{len(sizes)} of {count} structures after {seconds} s; no list made")
        most = limits.per_common if net in COMMON_NETS else limits.per_other
        found = _structures_of_net(net, blocks, most, seed, limits)
        sizes.update(found)
        log.info("%s: %d, together %d", net, len(found), len(sizes))
    if len(sizes) < count:
        raise SystemExit(f"all nets together give {len(sizes)} of {count} structures; no list made")
    header = SOURCE_RULES.format(
        version=importlib.metadata.version("pormake"), count=count, seed=seed, **vars(limits)
    )
    chosen = dict(itertools.islice(sizes.items(), count))
    return header + "\n".join(_diverse_order(chosen, seed)) + "\n"


def _blocks(database: Path) -> dict[str, Block]:
    """The building blocks that may be used, by name."""
    pormake, _ = packages._pormake()
    known = framework_parameters().keys()
    not_metals = {"B", "Si", "Ge", "As", "Sb", "Te"}
    blocks = {}
    for path in sorted((database / "bbs").glob("*.xyz")):
        block = pormake.BuildingBlock(path)
        symbols = block.atoms.get_chemical_symbols()
        positions = block.atoms.positions
        real = [i for i, symbol in enumerate(symbols) if symbol != "X"]
        neighbours = collections.defaultdict(list)
        for i, j in block.bonds:
            neighbours[i].append(j)
            neighbours[j].append(i)
        ends = [neighbours[i] for i in block.connection_point_indices]
        if any(len(end) != 1 or symbols[end[0]] not in ("C", "N") for end in ends):
            continue
        # Half of a C-C or C-N bond: blocks cut elsewhere make bonds too short or too long.
        halves = block.connection_points - positions[[end[0] for end in ends]]
        if np.abs(np.linalg.norm(halves, axis=1) - 0.75).max() > 0.2:
            continue
        elements = {symbols[i] for i in real}
        closest = _closest_pair(positions[real])
        if not elements <= known or closest < 0.8:
            continue
        metal = bool(elements.intersection(pormake.utils.METAL_LIKE) - not_metals)
        blocks[path.stem] = Block(
            points=len(ends),
            atoms=len(real),
            metal=metal,
            ends=frozenset(symbols[end[0]] for end in ends),
            length=float(np.mean(block.lengths)),
        )
    return blocks


def _closest_pair(positions: np.ndarray) -> float:
    """Smallest distance between any two points, infinity for one point."""
    if len(positions) < 2:
        return np.inf
    return float(cKDTree(positions).query(positions, k=2)[0][:, 1].min())


def _structures_of_net(
    net: str, blocks: dict[str, Block], most: int, seed: int, limits: SourceLimits
) -> dict[str, float]:
    """Up to ``most`` structures on one net, each with its crude largest pore diameter in Å."""
    text = (packages._pormake()[1] / "topologies" / f"{net}.cgd").read_text()
    # Reading a net takes up to a second, so most are set aside by the text of their file.
    records = [line.split() for line in text.splitlines() if line.strip()]
    cells = [[float(number) for number in record[1:]] for record in records if record[0] == "CELL"]
    if not cells or sum(record[0] == "NODE" for record in records) > limits.node_types:
        return {}
    if net not in COMMON_NETS and gemmi.UnitCell(*cells[0]).volume > limits.net_volume:
        return {}
    try:
        topology = packages._topology(net)
    except StructureError:
        return {}
    if topology.n_slots > limits.slots:
        return {}
    draw = random.Random(f"{seed}:{net}")
    fits: dict[tuple[int, str], bool] = {}
    found: dict[str, float] = {}
    tried: set[str] = set()
    for _ in range(12 * most):
        if len(found) == most or len(tried) == (3 * most if found else 5):
            break
        name = _draw_name(net, topology, blocks, fits, draw, limits)
        if name is None or name in tried:
            continue
        tried.add(name)
        try:
            size = _check(packages.assemble_pormake(name), limits)
        except StructureError:
            continue
        if size is not None:
            found[name] = size
    return found


def _draw_name(net, topology, blocks, fits, draw, limits: SourceLimits) -> str | None:
    """A random combination of blocks that suits the net, or None where the draws fail."""
    node_types = [int(t) for t in topology.unique_node_types]
    edge_types = [tuple(int(t) for t in pair) for pair in topology.unique_edge_types]
    nodes: dict[int, str] = {}
    for node_type, points in zip(node_types, topology.unique_cn, strict=True):
        suitable = [n for n, b in blocks.items() if n[0] == "N" and b.points == points]
        # An edge between two nodes of one type needs a metal there.
        if (node_type, node_type) in edge_types:
            suitable = [n for n in suitable if blocks[n].metal]
        for name in draw.sample(suitable, min(20, len(suitable))):
            if _fits(topology, node_type, name, fits, limits.rmsd):
                nodes[node_type] = name
                break
        else:
            return None
    edges: list[str] = []
    linkers = [n for n, b in blocks.items() if n[0] == "E" and not b.metal]
    for pair in edge_types:
        metals = sum(blocks[nodes[t]].metal for t in pair)
        if metals == 0:
            return None
        if metals == 1 and draw.random() < 0.6:
            edges.append("E0")
            continue
        edges.append(draw.choice(linkers))
    slots = [topology.node_types[i] for i in topology.node_indices]
    atoms = sum(blocks[nodes[int(t)]].atoms for t in slots)
    stretch = []
    for i in topology.edge_indices:
        pair = tuple(int(t) for t in topology.edge_types[i])
        edge = edges[edge_types.index(pair)]
        length = sum(blocks[nodes[t]].length for t in pair)
        if edge != "E0":
            atoms += blocks[edge].atoms
            length += 2 * blocks[edge].length
        stretch.append(length / topology.get_edge_length(int(i)))
    if not limits.atoms_min <= atoms <= limits.atoms:
        return None
    # Spares building what will be too large: the net blown up to the blocks' edge lengths.
    if topology.atoms.get_volume() * np.mean(stretch) ** 3 > limits.volume:
        return None
    # Two nitrogen ends would make a hydrazine bridge.
    for pair, edge in zip(edge_types, edges, strict=True):
        ends = [blocks[nodes[t]].ends for t in pair]
        if edge != "E0" and any("N" in end and "N" in blocks[edge].ends for end in ends):
            return None
        if edge == "E0" and all("N" in end for end in ends):
            return None
    return "+".join([net, *(nodes[t] for t in node_types), *edges])


def _fits(topology, node_type: int, name: str, fits: dict, rmsd: float) -> bool:
    """Whether a block's connection points point along the edges of a node type."""
    key = (node_type, name)
    if key not in fits:
        pormake, database = packages._pormake()
        block = pormake.BuildingBlock(database / "bbs" / f"{name}.xyz")
        target = topology.local_structure(int(np.argmax(topology.node_types == node_type)))
        with packages._quiet_double_precision():
            fits[key] = pormake.Locator().calculate_rmsd(target, block, 4) < rmsd
    return fits[key]


def _check(framework, limits: SourceLimits) -> float | None:
    """Crude largest pore diameter (Å) of an assembled structure, None if it breaks a rule."""
    from ase.data import covalent_radii
    from ase.neighborlist import neighbor_list

    atoms = framework.atoms
    cell = atoms.cell.array
    if atoms.get_volume() > limits.volume or packages._smallest_width(cell) < limits.width:
        return None
    if framework.info["max_rmsd"] >= limits.rmsd:
        return None
    located = [block for block in framework.info["located_bbs"] if block is not None]
    owner = np.repeat(
        np.arange(len(located)),
        [sum(s != "X" for s in block.atoms.get_chemical_symbols()) for block in located],
    )
    bonds = {(int(min(pair)), int(max(pair))) for pair in framework.bonds}
    radius = covalent_radii[atoms.numbers]
    reach = 1.2 * 2 * radius.max()
    bonded = dict.fromkeys((pair for pair in bonds if owner[pair[0]] != owner[pair[1]]), np.inf)
    for i, j, d in zip(*neighbor_list("ijd", atoms, max(reach, limits.contact)), strict=True):
        pair = (int(min(i, j)), int(max(i, j)))
        if pair in bonded:
            bonded[pair] = min(bonded[pair], d)
        elif owner[i] != owner[j] and d < max(1.2 * (radius[i] + radius[j]), limits.contact):
            return None
    if not all(limits.bond_min <= d <= limits.bond_max for d in bonded.values()):
        return None
    size = crude_pore_diameter(
        cell, atoms.get_scaled_positions(), np.array(atoms.get_chemical_symbols())
    )
    return size if size >= limits.lcd else None


def crude_pore_diameter(
    cell: np.ndarray, fractional: np.ndarray, symbols: np.ndarray, spacing: float = 0.8
) -> float:
    """Diameter (Å) of the largest sphere between atoms of radius sigma / 2, on a coarse grid."""
    steps = [np.arange(n) / n for n in np.ceil(np.linalg.norm(cell, axis=1) / spacing).astype(int)]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    positions, index = _with_images(cell, fractional, 16.0)
    nearest = np.full(len(points), np.inf)
    for symbol in sorted(set(symbols.tolist())):
        radius = framework_parameters()[symbol][1] / 2
        tree = cKDTree(positions[symbols[index] == symbol])
        nearest = np.minimum(nearest, tree.query(points)[0] - radius)
    return float(2 * nearest.max())


def _with_images(cell: np.ndarray, fractional: np.ndarray, margin: float):
    """Positions of the atoms and their images within a margin (Å) of the cell, and whose."""
    volume = abs(np.linalg.det(cell))
    widths = volume / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    reach = margin / widths
    shifts = itertools.product(*(range(-int(np.ceil(r)), int(np.ceil(r)) + 1) for r in reach))
    wrapped = fractional % 1
    images, index = [], []
    for shift in shifts:
        moved = wrapped + shift
        inside = ((moved >= -reach) & (moved < 1 + reach)).all(axis=1)
        images.append(moved[inside])
        index.append(np.flatnonzero(inside))
    return np.concatenate(images) @ cell, np.concatenate(index)


def _diverse_order(sizes: dict[str, float], seed: int) -> list[str]:
    """Order names so that any first part of them spreads over nets and pore sizes."""
    edges = [5, 6, 7, 8, 9, 10.5, 12, 14, 17, 20]
    bins = {name: int(np.digitize(size, edges)) for name, size in sizes.items()}
    nets, filled = collections.Counter(), collections.Counter()
    left = sorted(sizes, key=lambda name: _rank(seed, name))
    ordered = []
    while left:
        best = min(left, key=lambda name: (nets[name.split("+")[0]], filled[bins[name]]))
        left.remove(best)
        ordered.append(best)
        nets[best.split("+")[0]] += 1
        filled[bins[best]] += 1
    return ordered


def _rank(seed: int, name: str) -> str:
    """Key that sorts names in a random but reproducible order."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def main() -> None:
    """Write the list that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("domain", choices=("source", "target"))
    parser.add_argument("--count", type=int, help="default: 240 for source, 400 for target")
    parser.add_argument("--seed", type=int, default=20220601)
    parser.add_argument("--seconds", type=float, default=3600.0, help="give up after (source)")
    parser.add_argument("--output", type=Path, help="default: the list inside poreflux/data")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.domain == "target":
        text = choose_target(arguments.count or 400, arguments.seed)
        output = arguments.output or packages.TARGET_LIST
    else:
        text = choose_source(arguments.count or 240, arguments.seed, arguments.seconds)
        output = arguments.output or packages.SOURCE_LIST
    output.write_text(text, encoding="utf-8")
    log.info("wrote %s", output)


if __name__ == "__main__":
    main()
