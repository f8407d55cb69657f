"""Warnings on structures: what chemistry knows about them must come out."""

import json
import re
import time

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import StructureError
from poreflux.run import intake
from poreflux.run.artifacts import Limits
from poreflux.store import Store
from poreflux.structures import checks, cif, packages
from poreflux.structures.crystal import Structure, cell_matrix, make_structure

RIGHT = (90.0, 90.0, 90.0)


def box(atoms, lengths=(20.0, 20.0, 20.0), angles=RIGHT) -> Structure:
    """A structure from (element, Cartesian position) pairs."""
    species, positions = zip(*atoms, strict=True)
    return make_structure(
        lengths, angles, species, np.array(positions) @ np.linalg.inv(cell_matrix(lengths, angles))
    )


def chain(at=(5.0, 5.0, 0.0)):
    """Zn-O-Zn-O along z, 2 Å apart: periodic in a cell of 4 Å."""
    x, y, z = at
    return [("Zn", (x, y, z)), ("O", (x, y, z + 2.0))]


def ring(hydrogens=True, centre=(10.0, 10.0, 2.0), bond=1.39):
    """A benzene ring in the xy plane."""
    turn = np.radians(60 * np.arange(6))
    out = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    atoms = [("C", p) for p in out * bond + centre]
    return atoms + ([("H", p) for p in out * (bond + 0.95) + centre] if hydrogens else [])


THIN = (20.0, 20.0, 4.0)


def test_chain_is_a_framework():
    assert checks.find_warnings(box(chain(), THIN)) == {}
    # across the faces of a skewed cell as well
    assert checks.find_warnings(box(chain((0.1, 0.1, 0.1)), THIN, (80.0, 75.0, 110.0))) == {}


def test_benzene_beside_a_chain_is_a_lone_molecule():
    found = checks.find_warnings(box(chain() + ring(), THIN))
    assert found == {"lone_molecules": "1 C6H6"}
    # the same molecule through the cell's corner
    found = checks.find_warnings(box(chain() + ring(centre=(0.0, 0.0, 2.0)), THIN))
    assert found == {"lone_molecules": "1 C6H6"}


def test_water_and_ions_are_counted():
    def water(x):
        return [("O", (x, 12, 2)), ("H", (x, 12.76, 2.59)), ("H", (x, 11.24, 2.59))]

    atoms = chain() + water(10.0) + water(14.0) + [("Cl", (16, 5, 1))]
    assert checks.find_warnings(box(atoms, THIN)) == {"lone_molecules": "2 H2O, 1 Cl"}


def test_molecular_crystal():
    found = checks.find_warnings(box(ring(centre=(5, 5, 5)) + ring(centre=(15, 15, 15))))
    assert found["no_framework"] == "no periodic network of bonds, 2 molecules"
    assert found["no_metal"] == "no metal atom"
    assert "lone_molecules" not in found


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [
        (ring(hydrogens=False), "6 of 6 C atoms have an open valence, and no H atom at all"),
        (ring(), None),
        ([("O", (10, 10, 0.8)), ("C", (10, 10, 1.96)), ("O", (10, 10, 3.12))], None),  # CO2
        ([("C", (10, 10, 1)), ("N", (10, 10, 2.16))], None),  # CN-
        ([("C", (10, 10, 1)), ("C", (10, 10, 2.54))], "2 of 2 C atoms"),  # bare ethane
        # a ring that lost one of its hydrogens
        (ring()[:-1], "1 of 6 C atoms have an open valence"),
    ],
)
def test_missing_hydrogens(atoms, expected):
    found = checks.find_warnings(box(chain() + atoms, THIN)).get("missing_hydrogens")
    assert (found or "").startswith(expected or "")
    assert bool(found) == bool(expected)


def test_diamond_lacks_no_hydrogen_and_graphene_neither():
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    frac = np.vstack([corners, corners + 0.25])
    diamond = make_structure((3.567,) * 3, RIGHT, ["C"] * 8, frac)
    assert checks.find_warnings(diamond) == {"no_metal": "no metal atom"}
    graphene = make_structure(
        (2.46, 2.46, 10.0), (90, 90, 120), ["C"] * 2, [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]
    )
    assert checks.find_warnings(graphene) == {"no_metal": "no metal atom"}


def test_overlaps_and_clashes():
    atoms = [*chain(), ("C", (10, 10, 1)), ("H", (10, 10, 1.3))]
    found = checks.find_warnings(box(atoms, THIN))
    assert found["overlapping_atoms"] == "C and H 0.30 Å apart, 1 such pair"
    assert "close_contacts" not in found
    assert "overlapping_atoms" not in checks.find_warnings(box(atoms, THIN), min_distance_A=0.2)
    # across a face: 0.4 Å
    across = [("C", (10, 10, 0.1)), ("O", (10, 10, 3.7))]
    found = checks.find_warnings(box(chain() + across, THIN))
    assert found["overlapping_atoms"].startswith("C and O 0.40 Å apart, 1 such pair")
    near = [("C", (10, 10, 1)), ("C", (10, 10, 1.8))]
    found = checks.find_warnings(box(chain() + near, THIN))
    assert found["close_contacts"] == "C and C 0.80 Å apart, 1 such pair"


@pytest.mark.parametrize(
    ("pair", "distance"),
    [
        ("HH", 0.74),
        ("CO", 1.13),
        ("NN", 1.10),
        ("CH", 0.93),
        ("OH", 0.82),
        ("UO", 1.76),
        ("VO", 1.58),
    ],
)
def test_the_shortest_real_bonds_are_no_clashes(pair, distance):
    atoms = [(pair[0], (10, 10, 1)), (pair[1], (10, 10, 1 + distance))]
    assert "close_contacts" not in checks.find_warnings(box(chain() + atoms, THIN))


def brute_force_pairs(s, radius):
    """Number of pairs within ``radius``, images included, each once."""
    n = np.arange(-4, 5)
    shifts = np.stack(np.meshgrid(n, n, n, indexing="ij"), -1).reshape(-1, 3)
    d = s.frac[None, :, None] + shifts - s.frac[:, None, None]
    distance = np.linalg.norm(d @ s.cell, axis=-1)
    return int((distance < radius).sum() - s.n_atoms) // 2


def test_pairs_in_thin_and_skewed_cells():
    rng = np.random.default_rng(7)
    for lengths, angles in (
        ((1.1, 1.5, 9.0), RIGHT),
        ((3.0, 3.0, 3.0), (60.0, 60.0, 60.0)),
        ((5.0, 6.0, 7.0), (70.0, 110.0, 125.0)),
    ):
        s = make_structure(lengths, angles, ["C"] * 4, rng.random((4, 3)))
        found = checks.find_warnings(s, min_distance_A=1.0).get("overlapping_atoms", " 0 such")
        n = int(re.search(r"(\d+) such", found).group(1))
        assert n == brute_force_pairs(s, 1.0)


def test_warnings_do_not_depend_on_origin_or_cell():
    atoms = chain() + ring() + [("Cl", (16, 5, 1)), ("C", (16, 15, 1)), ("C", (16, 15, 1.9))]
    s = box(atoms, THIN)
    found = checks.find_warnings(s)
    assert found.keys() >= {"lone_molecules", "close_contacts"}
    moved = make_structure(
        s.lengths_A, s.angles_deg, s.species, s.frac + np.array([0.31, 0.87, 0.55])
    )
    assert checks.find_warnings(moved) == found
    doubled = checks.find_warnings(s.supercell((1, 1, 2)))
    assert doubled["lone_molecules"].startswith("2 C")
    assert doubled["close_contacts"] == "C and C 0.90 Å apart, 2 such pairs"


def test_density():
    assert checks.find_warnings(box(chain(), (300, 300, 4.0)))["density"].startswith("0.00")
    dense = make_structure(
        (10.0,) * 3, RIGHT, ["Pb"] * 40, np.random.default_rng(0).random((40, 3))
    )
    assert checks.find_warnings(dense)["density"].startswith("13.8 g/cm3")


def test_senseless_cells_cost_little():
    # 20,000 atoms in one place and 20,000 in a cell of 1000 Å3: pairs by the hundred million
    point = make_structure((50.0,) * 3, RIGHT, ["C"] * 20000, np.full((20000, 3), 0.5))
    found = checks.find_warnings(point)
    assert found["overlapping_atoms"].startswith(f"{20000 * 19999 // 2} pairs")
    crowd = np.random.default_rng(0).random((20000, 3))
    assert "unchecked" in checks.find_warnings(
        make_structure((10.0,) * 3, RIGHT, ["C"] * 20000, crowd)
    )
    thin = make_structure((1000, 1000, 1000), (60.0, 60.0, 119.9), ["C"] * 20000, crowd)
    assert thin.perpendicular_widths_A.min() < 60
    checks.find_warnings(thin)


def test_codes_agree_with_the_schema(root):
    schema = json.loads((root / "config" / "schema.json").read_text(encoding="utf-8"))
    block = schema["$defs"]["StructureChecks"]["properties"]
    assert block["fail_on"]["items"]["enum"] == list(checks.REMEDIES)
    assert set(block) == {"symmetry", "min_distance_A", "fail_on"}
    docs = (root / "docs" / "structures.md").read_text(encoding="utf-8")
    assert [code for code in checks.REMEDIES if f"`{code}`" not in docs] == []


def test_fail_on():
    s = box(chain() + ring(), THIN)
    checks.fail_on(checks.find_warnings(s), ["close_contacts"])
    with pytest.raises(StructureError, match="lone_molecules: 1 C6H6; delete solvent"):
        checks.fail_on(checks.find_warnings(s), ["close_contacts", "lone_molecules"])


def test_real_structures(cifs):
    # CoRE MOF files chosen as sound ones; all their molecules are removed
    for path in sorted(cifs.glob("*.cif")):
        structure, remarks = cif.parse_with_remarks(path.read_bytes())
        assert remarks | checks.find_warnings(structure) == {}, path.name


def test_table_has_warnings_and_the_order_of_the_file(tmp_path):
    good, solvent = box(chain(), THIN), box(chain() + ring(), THIN)
    for name, text in (("good", good.to_cif()), ("solvent", solvent.to_cif()), ("bad", "data_x\n")):
        (tmp_path / f"{name}.cif").write_text(text)
    members = {p.stem: str(p) for p in tmp_path.glob("*.cif")}

    def read(**settings):
        settings = {"symmetry": "expand", "min_distance_A": 0.5, "fail_on": []} | settings
        return intake.read_structures(
            members, {"cifs": str(tmp_path)}, store=Store(tmp_path / "store"), checks=settings
        ).set_index("name")

    table = read()
    assert list(table["warnings"]) == ["", "", "lone_molecules: 1 C6H6"]
    assert list(table["status"]) == ["failed", "ok", "ok"]
    assert list(table.loc["good", "listed"]) == [0, 1]
    assert pd.isna(table.loc["bad", "n_atoms"])
    strict = read(fail_on=["lone_molecules"])
    assert list(strict["status"]) == ["failed", "ok", "failed"]
    assert strict.loc["solvent", "reason"].startswith("lone_molecules: 1 C6H6; ")
    assert strict.loc["solvent", "warnings"] == ""


@pytest.mark.slow("waits for a limit of time")
def test_what_cannot_be_built_is_not_tried_again(cifs, tmp_path, monkeypatch):
    names = ["collides", "fits", "hangs"]
    cif = (cifs / "JIVFUQ_clean.cif").read_bytes()

    def build(name):
        if name == "collides":
            raise StructureError("collides: atoms overlap")
        if name == "hangs":
            time.sleep(60)
        return cif

    def read(seconds):
        table = intake.read_structures(
            dict.fromkeys(names, ""), {"package": "pormake"},
            store=Store(tmp_path / "store"), checks={}, limits=Limits(seconds=seconds),
        )  # fmt: skip
        return table.set_index("name")

    monkeypatch.setattr(packages, "build_pormake", build)
    first = read(seconds=2)
    assert list(first["status"]) == ["failed", "ok", "failed"]
    assert first.loc["collides", "reason"] == "could not be built: collides: atoms overlap"
    assert "limits.seconds" in first.loc["hangs", "reason"]
    # now everything could be built, but only what met a limit is tried again
    monkeypatch.setattr(packages, "build_pormake", lambda name: cif)
    second = read(seconds=60)
    assert list(second["status"]) == ["failed", "ok", "ok"]
    pd.testing.assert_frame_equal(second.loc[["collides", "fits"]], first.loc[["collides", "fits"]])
