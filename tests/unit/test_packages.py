"""Structures of the default study: CoRE MOF archives, PORMAKE names, and the shipped lists."""

import collections
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest

import poreflux
from poreflux.base.errors import ConfigError, DataError, StructureError
from poreflux.run import members
from poreflux.structures import packages

MOF5 = "pcu+N16+E14"  # Zn4O(CO2)6 nodes, benzene linkers: MOF-5 without its alternation


def parse(cif: bytes) -> gemmi.SmallStructure:
    return gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())


def closest_distance(structure: gemmi.SmallStructure) -> float:
    """Smallest distance between atoms over the 27 nearest images (cells wider than 6 Å)."""
    cell = np.array(structure.cell.orth.mat.tolist()).T
    fractional = np.array([site.fract.tolist() for site in structure.sites])
    shifts = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    delta = fractional[:, None, None] - fractional[None, :, None] - shifts
    distances = np.linalg.norm(delta @ cell, axis=-1)
    return float(distances[distances > 1e-9].min())


@pytest.fixture(scope="module")
def mof5() -> bytes:
    return packages.build_pormake(MOF5)


# --- CoRE MOF -------------------------------------------------------------------------------


def test_a_set_of_a_whole_archive():
    spec = {"package": "core-mof", "archive": "2014", "names": "all"}
    found = members.list_members(spec, Path())
    assert list(found) == packages.core_mof_names("2014")
    assert set(found.values()) == {""}
    assert len(members.list_members(spec | {"limit": 7}, Path())) == 7
    with pytest.raises(ConfigError, match="neither a file nor a list"):
        members.list_members({"package": "pormake", "names": "all"}, Path())


@pytest.mark.parametrize(("archive", "count"), [("2019-ASR", 12020), ("2019-FSR", 7061)])
def test_archive_lists_all_its_structures(archive, count):
    names = packages.core_mof_names(archive)
    assert len(names) == len(set(names)) == count


def test_known_structure_has_the_content_of_its_cif():
    structure = parse(packages.core_mof_cif("2019-ASR", "ABAVIJ_clean"))
    formula = collections.Counter(site.element.name for site in structure.sites)
    # A cobalt bis(pyridinecarboxylate), Co(C6H4NO2)2 with Z = 4.
    assert formula == {"Co": 4, "N": 8, "O": 16, "C": 48, "H": 32}


def test_one_pass_equals_one_by_one():
    names = [packages.core_mof_names("2019-ASR")[k] for k in (5, 0, 40)]
    together = dict(packages.core_mof_cifs("2019-ASR", [*names, names[0]]))
    assert sorted(together) == sorted(names)
    assert together == {name: packages.core_mof_cif("2019-ASR", name) for name in names}


def test_no_names_read_nothing():
    assert list(packages.core_mof_cifs("2019-ASR", [])) == []


def test_unknown_archive_and_name_say_what_is_nearest():
    with pytest.raises(DataError, match=r"2019-ASP.*did you mean '2019-ASR'"):
        packages.core_mof_names("2019-ASP")
    # Raised by the call, before the first structure is asked for.
    with pytest.raises(DataError, match=r"ABAVIJ_claen.*did you mean 'ABAVIJ_clean'"):
        packages.core_mof_cifs("2019-ASR", ["ABAYIO_clean", "ABAVIJ_claen"])


@pytest.mark.parametrize(
    ("call", "package"),
    [
        (lambda: packages.core_mof_names("2014"), "core-mof"),
        (lambda: packages.build_pormake(MOF5), "pormake"),
    ],
)
def test_missing_package_is_named(call, package, monkeypatch):
    for cached in (packages._pormake, packages._core_mof_file):
        monkeypatch.setattr(packages, cached.__name__, cached.__wrapped__)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=f"pip install {package}"):
        call()


# --- PORMAKE --------------------------------------------------------------------------------


def block_formula(name: str) -> collections.Counter:
    """Atoms of a block as its file lists them, connection points (X) left out."""
    _, database = packages._pormake()
    lines = (database / "bbs" / f"{name}.xyz").read_text().splitlines()
    symbols = [line.split()[0] for line in lines[2 : 2 + int(lines[0])]]
    return collections.Counter(symbol for symbol in symbols if symbol != "X")


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        (MOF5, {"N16": 1, "E14": 3}),  # pcu: one node and three edges in the cell
        ("pcu+N16+E0", {"N16": 1}),
        # nbo: six square nodes and twelve edges.
        ("nbo+N17+E14", {"N17": 6, "E14": 12}),
    ],
)
def test_composition_is_that_of_the_blocks(name, blocks):
    structure = parse(packages.build_pormake(name))
    expected = collections.Counter()
    for block, count in blocks.items():
        for symbol, atoms in block_formula(block).items():
            expected[symbol] += count * atoms
    assert collections.Counter(site.element.name for site in structure.sites) == expected


def test_mof5_has_the_cell_of_the_crystal(mof5):
    cell = parse(mof5).cell
    # Li et al., Nature 402, 276 (1999): a = 25.669 Å, two nodes along it. The blocks are
    # idealised (all C-C bonds 1.54 Å, where the crystal has 1.39-1.50), hence 4 %.
    assert cell.a == pytest.approx(25.669 / 2, rel=0.04)
    assert cell.b == pytest.approx(cell.a, abs=1e-4)
    assert (cell.alpha, cell.beta, cell.gamma) == pytest.approx((90, 90, 90), abs=1e-3)


def test_mof5_distances_are_those_of_bonds(mof5):
    # The shortest bond of these blocks is C-H 1.14 Å.
    assert closest_distance(parse(mof5)) == pytest.approx(1.14, abs=0.01)


def test_coordinates_are_wrapped_and_fixed_width(mof5):
    text = mof5.decode()
    assert text.startswith(f"data_{MOF5}\n")
    rows = [line.split() for line in text.splitlines() if len(line.split()) == 5]
    assert len(rows) == 53
    for label, symbol, *xyz in rows:
        assert label.startswith(symbol)
        assert all(0 <= float(x) < 1 and len(x) == len("0.000000") for x in xyz)


def test_wrapping_never_prints_one_or_minus_zero():
    fractional = np.array([[-1e-9, 0.99999996, 1.25], [-0.25, 0.0, 1.0]])
    cif = packages._cif("edge", np.array([9.0, 9, 9, 90, 90, 90]), ["C", "C"], fractional)
    assert cif.decode().splitlines()[-2:] == [
        "C1 C 0.000000 0.000000 0.250000",
        "C2 C 0.750000 0.000000 0.000000",
    ]


def test_building_again_gives_the_same_bytes(mof5):
    assert packages.build_pormake(MOF5) == mof5


def test_fresh_process_gives_the_same_bytes_and_leaves_no_trace(mof5, tmp_path):
    """Other hash seed, empty folder: no runtime.log, no pickles, nothing printed."""
    _, database = packages._pormake()
    before = sorted(os.listdir(database / "topologies"))
    code = (
        "import sys; from poreflux.structures.packages import build_pormake; "
        f"sys.stdout.buffer.write(build_pormake({MOF5!r}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(poreflux.__file__).parents[1])},
        capture_output=True,
        check=True,
    )
    assert run.stdout == mof5
    assert run.stderr == b""
    assert list(tmp_path.iterdir()) == []
    assert sorted(os.listdir(database / "topologies")) == before


def test_importing_sources_does_not_import_jax():
    code = (
        "import sys, poreflux.structures.packages;"
        "sys.exit('jax' in sys.modules or 'ase' in sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": str(Path(poreflux.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pcu", "not a name of the form"),
        ("pcu+E14+N16", "not a name of the form"),
        ("pcuu+N16+E14", "no net 'pcuu'.*did you mean 'pcu'"),
        ("pcu+N16+E9999", "no block 'E9999'.*did you mean"),
        ("pcu+N17+E14", "N17 has 4 connection points, its place in the net has 6"),
        ("pcu+N16+E14+E1", "1 node types and 1 edge types, got 1 node and 2 edge blocks"),
        ("css+N16+E14", "cannot read the net 'css'"),
        ("../pcu+N16+E14", "no net"),
    ],
)
def test_bad_name_says_what_is_wrong(name, message):
    with pytest.raises(StructureError, match=message):
        packages.build_pormake(name)


def test_badly_fitting_block_is_refused():
    # The ends of N179, a cobalt carboxylate, are far from the octahedron of pcu.
    with pytest.raises(StructureError, match=r"RMSD 0\.\d\d, at most 0\.3"):
        packages.build_pormake("pcu+N179+E14")


def test_colliding_blocks_are_refused():
    # N38 has eight connection points, but its own atoms stand in the way of the linkers.
    with pytest.raises(StructureError, match=r"atoms overlap .* apart, at least 0\.7"):
        packages.build_pormake("bcu+N38+E1")


def test_collapsed_cell_is_refused_before_it_eats_the_memory():
    # Searching this one for neighbours took 24 GB: its cell is flat.
    with pytest.raises(StructureError, match=r"cell collapsed .*at least 2\.5"):
        packages.build_pormake("msp+N616+E205")


def test_width_of_a_skewed_cell_is_not_its_edge_length():
    # c leans by 60 degrees: 10 Å long, but the layers are 5 Å apart.
    cell = np.array([[10.0, 0, 0], [0, 10, 0], [10 * np.sqrt(0.75), 0, 5]])
    assert packages._smallest_width(cell) == pytest.approx(5)
    assert packages._smallest_width(np.zeros((3, 3))) == 0


def test_overlapping_atoms_are_refused():
    from ase import Atoms

    atoms = Atoms("CH", positions=[(0.1, 0, 0), (8.9, 0, 0)], cell=[9, 9, 9], pbc=True)
    with pytest.raises(StructureError, match=r"x: atoms overlap .* 0\.20 Å apart, at least 0\.7"):
        packages._check_overlap("x", atoms)


# --- the shipped lists ----------------------------------------------------------------------


def test_read_names(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("# how it was made\na\n\n  b  # the second\n")
    assert packages.read_names(file) == ["a", "b"]
    file.write_text("a\nb\na\n")
    with pytest.raises(DataError, match="holds 'a' twice"):
        packages.read_names(file)
    file.write_text("# nothing\n")
    with pytest.raises(DataError, match="holds no name"):
        packages.read_names(file)
    with pytest.raises(DataError, match="cannot be read"):
        packages.read_names(tmp_path / "missing.txt")


def test_target_list_is_in_the_archive_one_per_refcode_family():
    names = packages.read_names(packages.TARGET_LIST)
    assert len(names) == 400
    assert set(names) <= set(packages.core_mof_names("2019-ASR"))
    assert len({name[:6] for name in names}) == len(names)


def test_target_list_prefix_samples_the_pore_sizes_of_the_whole():
    pore = {row["filename"]: float(row["PLD"]) for row in packages.core_mof_table("2019-ASR")}
    sizes = [pore[name] for name in packages.read_names(packages.TARGET_LIST)]
    assert min(sizes) >= 3.73
    # Standard error of a median of 100 is 1.25 s / sqrt(100), s about 1.6 Å without the long
    # tail: 0.2 Å; three of it.
    assert np.median(sizes[:100]) == pytest.approx(np.median(sizes), abs=0.6)


def test_source_list_is_diverse_from_its_start():
    names = packages.read_names(packages.SOURCE_LIST)
    assert len(names) == 240
    assert len({name.split("+")[0] for name in names}) >= 40
    assert len({name.split("+")[0] for name in names[:100]}) >= 40


@pytest.mark.parametrize("index", [0, 149, 239])
def test_source_list_builds(index):
    name = packages.read_names(packages.SOURCE_LIST)[index]
    structure = parse(packages.build_pormake(name))
    assert 24 <= len(structure.sites) <= 500
    assert structure.cell.volume <= 30000
    assert closest_distance(structure) > 0.7
