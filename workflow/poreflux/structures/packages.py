"""Where the structures of the default study come from: two installed packages, no download.

Target structures are read from the archives of the package ``core-mof`` (experimental MOFs,
CoRE MOF 2014 and 2019). Source structures are hypothetical MOFs that the package ``pormake``
assembles from a name. The lists of names that ship with Poreflux are plain text files with one
name per line (:data:`SOURCE_LIST`, :data:`TARGET_LIST`, read by :func:`read_names`).

Both packages are optional. Nothing touches them before a structure is asked for: ``core-mof`` is
located but never imported, ``pormake`` (which imports jax, seconds) is imported then.
"""

import contextlib
import csv
import difflib
import functools
import importlib.util
import logging
import sys
import tarfile
import types
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from poreflux.base.errors import DataError, StructureError
from poreflux.base.foreign_tables import read_text
from poreflux.structures.p1 import p1_cif

CORE_MOF_ARCHIVES = ("2019-ASR", "2019-FSR", "2014")

#: Names of the default study, ordered so that any first part of them is diverse.
SOURCE_LIST = Path(__file__).parent / "names" / "source_pormake.txt"
TARGET_LIST = Path(__file__).parent / "names" / "target_core2019.txt"

# RMSD between the unit vectors towards a node's neighbours and towards its block's connection
# points: at 0.3 the bonds between blocks are bent by some 17 degrees.
MAX_RMSD = 0.3
# The shortest real distance in a framework is an O-H or C-H bond, 0.8-1.1 Å by X-rays.
MIN_DISTANCE_ANGSTROM = 0.7
# Nothing repeats more densely than a carbon chain; a cell thinner than this has collapsed.
MIN_WIDTH_ANGSTROM = 2.5
# Decimals of what is written: finer than the optimiser's own error.
DIGITS = 6


def read_names(path: Path | str) -> list[str]:
    """Read a list of structure names, one per line; blank lines and ``#`` comments do not count.

    Parameters
    ----------
    path : path-like
        The text file, for instance :data:`SOURCE_LIST`.

    Returns
    -------
    list of str
        The names in the order of the file.

    Raises
    ------
    DataError
        If the file cannot be read or is no text, holds no name, or holds a name twice.
    """
    lines = read_text(path).splitlines()
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not names:
        raise DataError(f"list of structure names {path} holds no name")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"list of structure names {path} holds {name!r} twice; keep one")
        seen.add(name)
    return names


def is_name(text: str, package: str, archive: str = "") -> bool:
    """Whether a text is the name of a structure of ``core-mof``, or could be one of ``pormake``."""
    if package == "core-mof":
        return text in core_mof_names(archive)
    try:
        return bool(_parse(text))
    except StructureError:
        return False


def core_mof_names(archive: str) -> list[str]:
    """List the structures of a CoRE MOF archive, in the order in which it stores them.

    Parameters
    ----------
    archive : str
        One of :data:`CORE_MOF_ARCHIVES`.

    Returns
    -------
    list of str
        CIF file stems such as ``"ABAVIJ_clean"``.

    Raises
    ------
    DataError
        If there is no such archive or ``core-mof`` is not installed.
    """
    return [row["filename"] for row in core_mof_table(archive)]


def core_mof_table(archive: str) -> list[dict[str, str]]:
    """Read the table of published properties that goes with a CoRE MOF archive.

    Parameters
    ----------
    archive : str
        One of :data:`CORE_MOF_ARCHIVES`.

    Returns
    -------
    list of dict
        One per structure: ``filename`` and, in the 2019 archives, ``LCD``, ``PLD`` (Å),
        ``DISORDER``, ``Extension`` and more, all as text.

    Raises
    ------
    DataError
        If there is no such archive or ``core-mof`` is not installed.
    """
    path = _core_mof_file(archive, ".csv")
    with path.open(newline="", encoding="utf-8") as stream:
        return [{k: v for k, v in row.items() if k} for row in csv.DictReader(stream)]


def core_mof_cifs(archive: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Read many CIFs from a CoRE MOF archive in one pass over it.

    The archive is one compressed stream (2 s to read to its end), so reading names one by one
    costs that much each. Names are checked before anything is read.

    Parameters
    ----------
    archive : str
        One of :data:`CORE_MOF_ARCHIVES`.
    names : iterable of str
        CIF file stems, in any order; a name given twice is read once.

    Returns
    -------
    iterator of (str, bytes)
        Name and the CIF file as stored, **in the order of the archive** (alphabetical).

    Raises
    ------
    DataError
        If there is no such archive, a name is not in it (the message gives the nearest one)
        or ``core-mof`` is not installed.
    """
    wanted = set(names)
    known = core_mof_names(archive)
    unknown = sorted(wanted.difference(known))
    if unknown:
        few = ", ".join(f"{name!r}{_nearest(name, known)}" for name in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise DataError(f"not in the CoRE MOF archive {archive}: {few}{more}")
    return _extract(_core_mof_file(archive, ".tar.xz"), wanted)


def core_mof_cif(archive: str, name: str) -> bytes:
    """Read one CIF from a CoRE MOF archive; for many, use :func:`core_mof_cifs`.

    Parameters
    ----------
    archive : str
        One of :data:`CORE_MOF_ARCHIVES`.
    name : str
        CIF file stem such as ``"ABAVIJ_clean"``.

    Returns
    -------
    bytes
        The CIF file as stored.

    Raises
    ------
    DataError
        As :func:`core_mof_cifs`.
    """
    return dict(core_mof_cifs(archive, [name]))[name]


def build_pormake(name: str) -> bytes:
    """Assemble a hypothetical MOF from its name and return it as a CIF in P1.

    Parameters
    ----------
    name : str
        ``topology+nodes+edges``, for instance ``"pcu+N16+E14"``: a net of PORMAKE's database,
        one node block for each node type of the net (in the order of its sorted types), one
        edge block for each edge type (in the order of its sorted pairs of node types). ``E0``
        leaves the edges of that type without a block: the two nodes are bonded directly.

    Returns
    -------
    bytes
        CIF text. Equal names give equal bytes with the same packages on the same machine; the
        cell is found by an optimiser, so another machine may differ in the last digits.

    Raises
    ------
    StructureError
        If the name is malformed, a net or block is unknown, a block has the wrong number of
        connection points, it fits its node badly (RMSD above :data:`MAX_RMSD`), the cell
        collapses (thinner than :data:`MIN_WIDTH_ANGSTROM`) or atoms overlap (closer than
        :data:`MIN_DISTANCE_ANGSTROM`).
    DataError
        If ``pormake`` is not installed.

    Notes
    -----
    PORMAKE scales the net until angles and edge lengths match the blocks, rigidly places the
    blocks and drops the connection points; nothing is relaxed with a force field.

    Overlaps are looked for among all pairs of atoms, of one block or of two: nets with short
    edges and bulky blocks do collide.

    References
    ----------
    S. Lee et al., Computational screening of trillions of metal-organic frameworks for
    high-performance methane storage, ACS Appl. Mater. Interfaces 13, 23647 (2021),
    doi:10.1021/acsami.1c02471.
    """
    framework = assemble_pormake(name)
    atoms = framework.atoms
    return _cif(
        name,
        atoms.cell.cellpar(),
        atoms.get_chemical_symbols(),
        atoms.get_scaled_positions(wrap=False),
    )


def _cif(name: str, cellpar: np.ndarray, species: list[str], frac: np.ndarray) -> bytes:
    """P1 CIF from edges and angles (6,), Å and degrees; coordinates are wrapped into [0, 1)."""
    # Rounded first, or 0.9999999 would be written as 1.000000; + 0.0 turns -0.0 into 0.0.
    frac = np.round(np.round(frac, DIGITS) % 1.0, DIGITS) % 1.0 + 0.0
    lengths_A, angles_deg = cellpar[:3], cellpar[3:]
    text = p1_cif(
        name, lengths_A, angles_deg, species, frac, cell_digits=DIGITS, frac_digits=DIGITS
    )
    return text.encode()


def load_pormake() -> None:
    """Import ``pormake`` now, so that processes forked afterwards need not (1-2 s each).

    Only imports: jax starts its threads with the first structure, so a process that builds
    none itself may fork safely.

    Raises
    ------
    DataError
        If ``pormake`` is not installed.
    """
    _pormake()


def assemble_pormake(name: str) -> Any:
    """Assemble a hypothetical MOF and return PORMAKE's own object, with bonds and blocks.

    Parameters
    ----------
    name : str
        As for :func:`build_pormake`.

    Returns
    -------
    pormake.framework.Framework
        With ``atoms`` (``ase.Atoms``), ``bonds`` and ``info``; checked as described there.

    Raises
    ------
    StructureError, DataError
        As :func:`build_pormake`.
    """
    pormake, database = _pormake()
    topology_name, node_names, edge_names = _parse(name)
    topology = _topology(topology_name)

    node_types = [int(t) for t in topology.unique_node_types]
    edge_types = [tuple(int(t) for t in pair) for pair in topology.unique_edge_types]
    if (len(node_names), len(edge_names)) != (len(node_types), len(edge_types)):
        raise StructureError(
            f"{name}: net {topology_name} has {len(node_types)} node types and "
            f"{len(edge_types)} edge types, got {len(node_names)} node and {len(edge_names)} "
            "edge blocks (write E0 for an edge without a block)"
        )
    nodes, edges = {}, {}
    for node_type, block_name, points in zip(
        node_types, node_names, topology.unique_cn, strict=True
    ):
        nodes[node_type] = _block(database, name, block_name, int(points))
    for edge_type, block_name in zip(edge_types, edge_names, strict=True):
        edges[edge_type] = None if block_name == "E0" else _block(database, name, block_name, 2)

    with _quiet_double_precision():
        try:
            framework = pormake.Builder().build_by_type(topology, nodes, edges, wrap=False)
        except Exception as error:  # PORMAKE raises bare Exception and leaks NumPy's and SciPy's
            raise StructureError(f"{name}: PORMAKE cannot assemble it: {error!r}") from error

    # Before anything looks for neighbours: in a collapsed cell every atom has millions.
    width = _smallest_width(framework.atoms.cell.array)
    if not width >= MIN_WIDTH_ANGSTROM or not np.isfinite(framework.atoms.positions).all():
        raise StructureError(
            f"{name}: the cell collapsed ({width:.2f} Å wide, at least {MIN_WIDTH_ANGSTROM})"
        )
    if not framework.info["max_rmsd"] <= MAX_RMSD:
        raise StructureError(
            f"{name}: a block fits its node badly (RMSD {framework.info['max_rmsd']:.2f}, "
            f"at most {MAX_RMSD})"
        )
    _check_overlap(name, framework.atoms)
    return framework


@functools.cache
def _core_mof_file(archive: str, suffix: str) -> Path:
    """Path of a data file of the installed package ``core-mof``, which is not imported."""
    if archive not in CORE_MOF_ARCHIVES:
        known = ", ".join(CORE_MOF_ARCHIVES)
        raise DataError(
            f"no CoRE MOF archive {archive!r}{_nearest(archive, CORE_MOF_ARCHIVES)}; "
            f"there are {known}"
        )
    spec = importlib.util.find_spec("CoRE_MOF")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("CoRE MOF structures need the package core-mof: pip install core-mof")
    path = Path(spec.submodule_search_locations[0]) / "data" / f"{archive}{suffix}"
    if not path.is_file():
        raise DataError(
            f"the installed package core-mof lacks data/{path.name}: reinstall core-mof"
        )
    return path


def _extract(path: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each wanted CIF of a .tar.xz, read as a stream once."""
    remaining = set(wanted)
    if not remaining:
        return
    with tarfile.open(path, "r|xz") as tar:
        for member in tar:
            file = member.name.rpartition("/")[2]
            stem = file.removesuffix(".cif")
            if stem not in remaining or stem == file or not member.isfile():
                continue
            stream = tar.extractfile(member)
            if stream is None:
                continue
            yield stem, stream.read()
            remaining.remove(stem)
            if not remaining:
                return
    raise DataError(f"{path.name} of core-mof lacks {sorted(remaining)[0]!r}: reinstall core-mof")


def _nearest(name: str, known: Iterable[str]) -> str:
    """Clause naming the most similar known name, empty where nothing is similar."""
    match = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def _parse(name: str) -> tuple[str, list[str], list[str]]:
    """Split ``topology+nodes+edges`` into net, node blocks and edge blocks."""
    net, *blocks = name.split("+")
    nodes = [block for block in blocks if block.startswith("N")]
    edges = [block for block in blocks if block.startswith("E")]
    if not net or not nodes or not edges or blocks != nodes + edges:
        raise StructureError(
            f"{name!r} is not a name of the form topology+nodes+edges, such as pcu+N16+E14"
        )
    return net, nodes, edges


@functools.cache
def _pormake() -> tuple[types.ModuleType, Path]:
    """Import PORMAKE without its log file; return the module and its database folder."""
    if importlib.util.find_spec("pormake") is None:
        raise DataError("hypothetical structures need the package pormake: pip install pormake")
    if "pormake" not in sys.modules:
        # pormake.log opens runtime.log in the working directory for writing and prints to the
        # console; all that the other modules want from it is `logger`.
        stand_in = types.ModuleType("pormake.log")
        stand_in.logger = logging.getLogger("poreflux.pormake")  # type: ignore[attr-defined]
        stand_in.logger.setLevel(logging.CRITICAL + 1)
        sys.modules["pormake.log"] = stand_in
    import jax
    import pormake

    # Cells must not depend on whether the machine has a GPU.
    jax.config.update("jax_platforms", "cpu")
    return pormake, Path(pormake.__file__).parent / "database"


@functools.lru_cache(maxsize=8)
def _topology(name: str) -> Any:
    """Read a net from its text file (PORMAKE's Database would write pickles beside it)."""
    pormake, database = _pormake()
    folder = database / "topologies"
    path = folder / f"{name}.cgd"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.cgd"))
        raise StructureError(f"no net {name!r} in PORMAKE{_nearest(name, known)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pormake.Topology(path)
        except Exception as error:  # PORMAKE raises bare Exception
            raise StructureError(f"PORMAKE cannot read the net {name!r}: {error}") from error


def _block(database: Path, structure: str, name: str, points: int) -> Any:
    """Read a building block and check its number of connection points."""
    pormake, _ = _pormake()
    path = database / "bbs" / f"{name}.xyz"
    if not path.is_file():
        known = sorted(file.stem for file in (database / "bbs").glob(f"{name[0]}*.xyz"))
        raise StructureError(f"{structure}: no block {name!r} in PORMAKE{_nearest(name, known)}")
    block = pormake.BuildingBlock(path)
    if block.n_connection_points != points:
        raise StructureError(
            f"{structure}: block {name} has {block.n_connection_points} connection points, "
            f"its place in the net has {points}"
        )
    return block


@contextlib.contextmanager
def _quiet_double_precision() -> Iterator[None]:
    """Run jax in float64 and silence warnings, restoring both on the way out.

    In jax's default float32 the optimiser stops on rounding noise, which differs from one
    processor to the next.
    """
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        jax.config.update("jax_enable_x64", before)


def _smallest_width(cell: np.ndarray) -> float:
    """Smallest distance (Å) between opposite faces of a cell, shape (3, 3), rows a, b, c."""
    faces = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    return float(abs(np.linalg.det(cell)) / faces.max()) if faces.all() else 0.0


def _check_overlap(name: str, atoms: Any) -> None:
    """Raise where two atoms, periodic images included, are closer than the allowed distance."""
    from ase.neighborlist import neighbor_list

    first, second, distance = neighbor_list("ijd", atoms, MIN_DISTANCE_ANGSTROM)
    if len(distance):
        k = int(np.argmin(distance))
        symbols = atoms.get_chemical_symbols()
        raise StructureError(
            f"{name}: atoms overlap ({symbols[first[k]]} and {symbols[second[k]]} "
            f"{distance[k]:.2f} Å apart, at least {MIN_DISTANCE_ANGSTROM})"
        )
