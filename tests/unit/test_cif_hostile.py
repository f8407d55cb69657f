"""CIFs that are wrong or contradict themselves: each is refused with a remedy or remarked on."""

import math
import re

import numpy as np
import pytest

from poreflux.base.errors import StructureError
from poreflux.structures import checks
from poreflux.structures.cif import parse_with_remarks

CELL = {"a": "10", "b": "11", "c": "12", "alpha": "90", "beta": "90", "gamma": "90"}
# A zinc with two neighbours at 2 Å; 1320 Å^3, 0.12 g/cm^3
ATOMS = ["Zn1 Zn 0.5 0.5 0.5", "O1 O 0.5 0.5 0.6667", "N1 N 0.7 0.5 0.5"]
P1 = "_symmetry_space_group_name_H-M 'P 1'"
INVERSION = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'"


def cif(atoms=ATOMS, *items, columns=(), symmetry=P1, frame=None, **cell):
    """A CIF of the atoms (lines) with further items, columns of the atoms and edges or angles."""
    values = CELL | cell
    tags = [f"_cell_length_{x} {values[x]}" for x in "abc"]
    tags += [f"_cell_angle_{x} {values[x]}" for x in ("alpha", "beta", "gamma")]
    header = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", *(c[0] for c in columns)]
    rows = [" ".join([row, *(c[1][i] for c in columns)]) for i, row in enumerate(atoms)]
    loop = ["loop_", *(f"_atom_site_{h}" for h in header), *rows]
    return "\n".join(["data_x", *tags, symmetry, *items, *loop]) + "\n"


def one(text, n=0):
    """The atoms with another coordinate, symbol or label of one of them."""
    return [text if i == n else row for i, row in enumerate(ATOMS)]


def column(name, *values):
    return cif(columns=[(name, values)])


def looped(tag, *values):
    """The base with an item of the cell or the symmetry as a loop of one column."""
    line = next(x for x in cif().split("\n") if x.startswith(tag))
    return cif().replace(line, "\n".join(["loop_", tag, *values]))


def mmcif(text):
    return re.sub(r"^_(cell|atom_site|exptl_crystal)_", r"_\1.", text, flags=re.MULTILINE)


def in_angstrom(scale=(10, 11, 12), shift=0.0):
    rows = [row.split() for row in ATOMS]
    return [
        " ".join(
            [*r[:2], *(f"{float(x) * s + shift:.4f}" for x, s in zip(r[2:], scale, strict=True))]
        )
        for r in rows
    ]


CELL_TABLE = "loop_\n" + "".join(
    f"_cell.{x}\n" for x in ("length_a", "length_b", "length_c", "angle_alpha")
)
BODY = cif()[cif().index("loop_\n_atom_site") :]
HEAD = cif().removesuffix(BODY)

REFUSED = [
    # one item, several values
    ("length twice", looped("_cell_length_a", "10", "20"), "_cell_length_a has 2 values.*keep one"),
    ("length, mmCIF", mmcif(looped("_cell_length_b", "11", "12.5")), "_cell.length_b has 2 values"),
    ("length and ?", looped("_cell_length_c", "12", "?"), "_cell_length_c has 2 values"),
    ("angle thrice", looped("_cell_angle_beta", "90", "90", "95"), "_cell_angle_beta has 3 values"),
    (
        "two phases",
        re.sub(r"(_cell_\S+ \S+\n)+", CELL_TABLE + "10 11 12 90\n20 21 22 90\n", cif()),
        "_cell.length_a has 2 values",
    ),
    ("numbers", cif(symmetry="loop_\n_space_group_IT_number\n1\n2"), "IT_number has 2 values"),
    ("old numbers", cif(symmetry="loop_\n_symmetry_Int_Tables_number\n1\n14"), "has 2 values"),
    ("Hall", cif(symmetry="loop_\n_space_group_name_Hall\n'P 1'\n'-P 1'"), "Hall has 2 values"),
    (
        "origins",
        cif(
            symmetry="_space_group_IT_number 227\nloop_\n"
            "_space_group_IT_coordinate_system_code\n1\n2",
            b="10",
            c="10",
        ),
        "system_code has 2 values",
    ),
    # cells
    ("negative", cif(a="-10"), "must be positive: _cell_length_a is -10; correct it"),
    ("zero", cif(c="0.0"), "must be positive: _cell_length_c is 0; correct it"),
    ("nm", cif(a="1.0", b="1.1", c="1.2"), "in nm, not in Å; multiply .* by 10"),
    ("nm, mmCIF", mmcif(cif(a="1.0", b="1.1", c="1.2")), "in nm, not in Å"),
    ("nm with symmetry", cif(symmetry=INVERSION, a="1.0", b="1.1", c="1.2"), "in nm"),
    ("nm below 1", cif(["Zn1 Zn 0 0 0", "O1 O 0.25 0 0"], a=".8", b=".8", c=".8"), "in nm"),
    ("pm", cif(a="1000", b="990", c="995"), "in pm, not in Å; multiply .* by 0.01"),
    ("large pm", cif(a="2500", b="1100", c="1200"), "_cell_length_a is 2500; give it in Å"),
    ("m", cif(a="1e-9", b="1.1e-9", c="1.2e-9"), "_cell_length_a is 1e-09 Å; correct it"),
    *(
        (f"angle {x}", cif(**{name: x}), f"between 0 and 180 degrees: _cell_angle_{name}.*correct")
        for name in ("alpha", "beta", "gamma")
        for x in ("0", "180", "-90", "270")
    ),
    ("radians", cif(alpha="1.5708", beta="1.5708", gamma="1.5708"), "degrees, not radians"),
    ("radians, hexagonal", cif(alpha="1.5708", beta="1.5708", gamma="2.0944"), "not radians"),
    ("one in radians", cif(gamma="2.0944"), "_cell_angle_gamma is 2.0944.*not radians"),
    ("flat", cif(alpha="30", beta="30"), "enclose no volume: .*correct them"),
    ("too wide", cif(alpha="120", beta="120", gamma="120"), "enclose no volume: .*correct them"),
    ("nearly flat", cif(alpha="45", beta="45", gamma="89.9999999"), "enclose no volume"),
    (
        "cell elsewhere",
        "data_a\n" + HEAD.removeprefix("data_x\n") + "data_b\n" + BODY,
        "cell stands in data block 'a', the atoms in 'b'; put them into one",
    ),
    # coordinates
    (
        "Å",
        cif(in_angstrom()),
        "are Å, not fractions of the cell; divide them by the cell or export",
    ),
    ("Å, mmCIF", mmcif(cif(in_angstrom())), "are Å, not fractions"),
    ("Å below 0", cif(in_angstrom(shift=-12)), "are Å, not fractions"),
    ("Å with symmetry", cif(in_angstrom(), symmetry=INVERSION), "are Å, not fractions"),
    ("percents", cif(in_angstrom((100, 100, 100))), "are percents, not fractions"),
    ("999", cif(one("O1 O 999 0.5 0.6667", 1)), "is 999: not a fraction of the cell; correct it"),
    ("-999", cif(one("O1 O 0.5 -999.99 0.6667", 1)), "coordinate y of atom 'O1' is -999.99"),
    ("9999", cif(one("O1 O 0.5 0.5 9999.0", 1)), "is 9999: not a fraction of the cell"),
    *(
        (
            f"coordinate {x}",
            cif(one(f"Zn1 Zn {x} 0.5 0.5")),
            f"is .*{re.escape(x)}.*, not a number; {remedy}",
        )
        for x, remedy in (
            ("1/6", "write the fraction as a decimal number"),
            ("'1/6'", "write the fraction as a decimal number"),
            ("-5/12", "write the fraction as a decimal number"),
            ("1.7D-1", "write the exponent with an E"),
            ("1.7d-01", "write the exponent with an E"),
            ("0.1()", "write the standard uncertainty right behind the digits"),
            ("(0.1)", "write the standard uncertainty"),
            ("0.1(2", "write the standard uncertainty"),
            ("0.1)", "write the standard uncertainty"),
            ("0.1(2)(3)", "write the standard uncertainty"),
            ("0.1(-2)", "write the standard uncertainty"),
            ("0.1[2]", "write the standard uncertainty"),
            ("1.0(2)E-1", "write the standard uncertainty"),
            ("0,25", "write a decimal point"),
            ("50%", "write the number alone"),
            ("0.5*", "write the number alone"),
            ("~0.5", "give a number"),
            ("sqrt(3)/2", "give a number"),
        )
    ),
    ("edge 1.0D1", cif(a="1.0D1"), "_cell_length_a is '1.0D1', not a number; write the exponent"),
    ("edge 10A", cif(a="10A"), "write the number alone, without a unit"),
    ("edge 10(2", cif(a="10(2"), "write the standard uncertainty"),
    ("angle 90deg", cif(beta="90deg"), "write the number alone, without a unit"),
    # occupancies
    *(
        (
            f"occupancy {x}",
            column("occupancy", "1", x, "1"),
            f"occupancy {x}, not between 0 and 1; correct",
        )
        for x in ("2", "-1", "1.5", "100", "50")
    ),
    ("occupancy 0", column("occupancy", "1", "0", "1"), "occupancy 0: .*delete its line"),
    ("occupancy 1/2", column("occupancy", "1", "1/2", "1"), "as a decimal number"),
    ("occupancy 50%", column("occupancy", "1", "50%", "1"), "write the number alone"),
    ("half", column("occupancy", "1", "0.5", "1"), "disordered: .*resolve"),
    (
        "occ in a second loop",
        cif() + "loop_\n_atom_site_label\n_atom_site_occ\nZn1 0.5\n",
        "a second loop of atoms; delete",
    ),
    # save frames
    (
        "atoms in a frame",
        f"{HEAD}save_f\n{BODY}save_\n",
        "in save frame 'f'.*delete the lines save_f",
    ),
    (
        "all in a frame",
        cif().replace("data_x\n", "data_x\nsave_f\n") + "save_\n",
        "in save frame 'f'",
    ),
    (
        "cell in a frame",
        "data_x\nsave_f\n" + HEAD.removeprefix("data_x\n") + "save_\n" + BODY,
        "only in save frame 'f'; delete the lines",
    ),
]

FORMULA = "_chemical_formula_sum '{}'\n_cell_formula_units_Z {}"
ATOM_TYPES = "loop_\n_atom_type_symbol\n_atom_type_number_in_cell\nZn2+ {}\nO 1\nN 1"
CARTESIAN = [("Cartn_x", ("5", "5", "7")), ("Cartn_y", ("5.5", "5.5", "5.5"))]

REMARKED = [
    # what the file says of its cell
    *(
        (
            f"volume {x}",
            cif(ATOMS, f"_cell_volume {x}"),
            "contradiction",
            f"_cell_volume is '{re.escape(x)}', but .* 1320",
        )
        for x in ("1500", "1500(3)", "132", "1.32", "2640", "1302", "abc", "-1320")
    ),
    ("volume, mmCIF", mmcif(cif(ATOMS, "_cell_volume 660")), "contradiction", "660"),
    (
        "volume with symmetry",
        cif(ATOMS, "_cell_volume 660", symmetry=INVERSION),
        "contradiction",
        "660",
    ),
    ("two volumes", cif(ATOMS, "loop_\n_cell_volume\n1320\n1500"), "contradiction", "1500"),
    ("Z", cif(ATOMS, FORMULA.format("Zn O N", 4)), "contradiction", "1 formula units, not Z = 4"),
    ("formula", cif(ATOMS, FORMULA.format("Zn O2 N", 1)), "contradiction", "O 2 for 1"),
    *(
        (f"no formula: {text}", cif(ATOMS, FORMULA.format(text, 1)), "unchecked", "is no formula")
        for text in (
            "(Zn O N)n, 2(H2 O)",
            "(Zn O2)n",
            "Zn O2, 3(H2 O)",
            "Zn O2 Xx",
            "zinc oxide",
            "Zn(O H)2",
        )
    ),
    (
        "formula without Z",
        cif(ATOMS, "_chemical_formula_sum 'Zn O2 N'"),
        "contradiction",
        "O 2 for 1",
    ),
    ("no hydrogen", cif(ATOMS, FORMULA.format("H2 Zn O N", 1)), "contradiction", "H 2 for 0"),
    (
        "another metal",
        cif(ATOMS, FORMULA.format("Cu O N", 1)),
        "contradiction",
        "Cu 1 for 0, Zn 0 for 1",
    ),
    (
        "more by symmetry",
        cif(ATOMS, FORMULA.format("Zn O N", 1), symmetry=INVERSION),
        "contradiction",
        "N 1 for 2, O 1 for 2",
    ),
    (
        "weight",
        cif(ATOMS, "_cell_formula_units_Z 1\n_chemical_formula_weight 500"),
        "contradiction",
        "weight is '500'",
    ),
    ("density", cif(ATOMS, "_exptl_crystal_density_diffrn 1.52"), "contradiction", "0.11999 g/cm3"),
    (
        "density, mmCIF",
        mmcif(cif(ATOMS, "_exptl_crystal_density_diffrn 1.52")),
        "contradiction",
        "1.52",
    ),
    ("electrons", cif(ATOMS, "_exptl_crystal_F_000 90"), "contradiction", "'90', .* 45 electrons"),
    (
        "weight without Z",
        cif(ATOMS, "_chemical_formula_weight 500"),
        "contradiction",
        "weight is '500', but .* 95.386 with Z = 1",
    ),
    ("Z = 0", cif(ATOMS, "_cell_formula_units_Z 0"), "contradiction", "Z is '0', not a positive"),
    ("Z in words", cif(ATOMS, "_cell_formula_units_Z two"), "contradiction", "Z is 'two'"),
    ("atoms by element", cif(ATOMS, ATOM_TYPES.format(4)), "contradiction", "Zn 4 for 1"),
    (
        "Å elsewhere",
        cif(columns=[*CARTESIAN, ("Cartn_z", ("6", "9", "6"))]),
        "contradiction",
        "Cartn_x.* elsewhere",
    ),
    (
        "broken file",
        cif(ATOMS, "_cell_volume 1500", "_publ_author O Brien"),
        "contradiction",
        "1500",
    ),
    # hydrogen atoms that are counted alone
    ("attached", column("attached_hydrogens", "0", "2", "1"), "missing_hydrogens", "3 H atoms"),
    *(
        (f"attached {x}", column("attached_hydrogens", "0", x, "0"), "missing_hydrogens", f"'{x}'")
        for x in ("two", "-1")
    ),
    *(
        (name, column(name, "0", "2", "0"), "missing_hydrogens", "2 H atoms")
        for name in ("attached_hydrogen", "hydrogens_attached", "implicit_hydrogens", "attached_H")
    ),
    (
        "attached, mmCIF",
        mmcif(column("attached_hydrogens", ".", "2", ".")),
        "missing_hydrogens",
        "2 H atoms",
    ),
    (
        "attached, one placed",
        cif([*ATOMS, "H1 H 0.58 0.5 0.6667"], columns=[("attached_hydrogens", "020.")]),
        "missing_hydrogens",
        "1 H atoms",
    ),
    # labels
    *(
        (
            f"{label} of {symbol}",
            cif(one(f"{label} {symbol} 0.5 0.5 0.5")),
            "labels",
            f"{re.escape(repr(label))} of {symbol} for one",
        )
        for label, symbol in (
            ("Cl1", "C"),
            ("Zn1", "Cu"),
            ("N1", "O"),
            ("CU2", "Zn"),
            ("ZN1", "Cu"),
            ("Zn", "Cd"),
            ("Si1", "Al"),
            ("O1A", "N"),
            ("Fe(1)", "Co"),
            ("H1", "C"),
        )
    ),
    (
        "labels, mmCIF",
        mmcif(cif(one("Cl1 C 0.5 0.5 0.5"))).replace(".label", ".label_atom_id"),
        "labels",
        "Cl1",
    ),
    # occupancies under other names
    *(
        (name, column(name, "1", "0.5", "."), "disorder", f"{name} not read, '0.5'")
        for name in (
            "occupancy_x",
            "occ",
            "occupancies",
            "site_occupancy",
            "refined_occupancy",
            "occupation",
            "population",
            "site_occupation_factor",
            "sof",
            "fraction",
            "partial",
        )
    ),
    ("occ, mmCIF", mmcif(column("occ", "1", "0.25", "1")), "disorder", "0.25"),
    ("occ apart", cif() + "loop_\n_atom_site_id\n_atom_site_occ\nZn1 0.5\n", "disorder", "0.5"),
    (
        "beside the occupancy",
        cif(columns=[("occupancy", "111"), ("occ", ("1", "1", "0.3"))]),
        "disorder",
        "0.3",
    ),
    ("assembly", column("disorder_assembly", ".", "A", "."), "disorder", "assemblies, 'O1'"),
    ("multiplicity", column("symmetry_multiplicity", "4", "8", "8"), "symmetry", "up to 8"),
    ("Wyckoff", column("Wyckoff_multiplicity", "4", "8", "8"), "symmetry", "up to 8"),
    (
        "more than operators",
        cif(columns=[("symmetry_multiplicity", "248")], symmetry=INVERSION),
        "symmetry",
        "only 2 operators",
    ),
    # atoms on one site, far away, of several models or elsewhere
    ("three on a site", cif([*ATOMS, *(f"C{i} C 0.1 0.1 0.1" for i in "123")]), "merged", "2 of 6"),
    (
        "far away",
        cif(one("O1 O 0.5 0.5 7.6667", 1)),
        "coordinates",
        "1 of 3 .*'O1' at 0.5 0.5 7.6667",
    ),
    ("-2.5", cif(one("O1 O -2.5 0.5 0.6667", 1)), "coordinates", "1 of 3"),
    ("models", column("pdbx_PDB_model_num", "1", "1", "2"), "several_structures", "2 models"),
    (
        "cell in a frame",
        cif() + "save_f\n_cell_length_a 30\nsave_\n",
        "several_structures",
        "save frame 'f'",
    ),
    ("atoms in a frame", f"{cif()}save_f\n{BODY}save_\n", "several_structures", "save frame 'f'"),
]

GOOD = [
    ("one value twice", looped("_cell_length_a", "10", "10.0")),
    ("names of one group", looped("_symmetry_space_group_name_H-M", "'P 1'", "P1")),
    ("volume", cif(ATOMS, "_cell_volume 1320.1(12)")),
    ("no volume", cif(ATOMS, "_cell_volume ?")),
    ("formula", cif(ATOMS, FORMULA.format("N O Zn", 1))),
    (
        "formula of the cell and reduced Z",
        cif(
            [*ATOMS, "Zn2 Zn 0 0 0", "O2 O 0 0 .1667", "N2 N .2 0 0"],
            FORMULA.format("Zn2 O2 N2", 2),
        ),
    ),
    ("formula of several units", cif(ATOMS, FORMULA.format("Zn0.5 O0.5 N0.5", 2))),
    ("no element in the formula", cif(ATOMS, FORMULA.format("?", 1))),
    (
        "density and weight",
        cif(
            ATOMS,
            "_exptl_crystal_density_diffrn 0.120\n_cell_formula_units_Z 1\n"
            "_chemical_formula_weight 95.4",
        ),
    ),
    ("elements", cif(ATOMS, ATOM_TYPES.format(1))),
    ("electrons", cif(ATOMS, "_exptl_crystal_F_000 45")),
    ("Å, too", cif(columns=[*CARTESIAN, ("Cartn_z", ("6", "8", "6"))])),
    ("no attached hydrogen", column("attached_hydrogens", "0", ".", "?")),
    ("occupancies", column("occupancy", "1", "1.000(5)", ".")),
    (
        "other columns",
        cif(
            columns=[
                ("refinement_flags_occupancy", "..."),
                ("occupancy_esd", "000"),
                ("symmetry_multiplicity", "111"),
                ("disorder_assembly", "..."),
                ("pdbx_PDB_model_num", "111"),
            ]
        ),
    ),
    ("lattice images", cif(["Zn1 Zn -0.5 1.5 0.5", "O1 O 1.5 -0.5 1.6667", "N1 N -0.3 0.5 0.5"])),
    ("uncertainties", cif(one("Zn1 Zn 0.5000(3) 5.E-1 +.5"), a="10.000(12)", beta="90.(1)")),
    *(
        (f"{label} of {symbol}", cif(one(f"{label} {symbol} 0.5 0.5 0.6667", 1)))
        for label, symbol in (
            ("OW1", "O"),
            ("O1W", "O"),
            ("OXT", "O"),
            ("X1", "O"),
            ("T1", "Si"),
            ("CA", "C"),
            ("CL1", "C"),
            ("CB2", "C"),
            ("HO1", "H"),
            ("HG11", "H"),
            ("Wat1", "O"),
            ("D1", "H"),
            ("H1", "D"),
            ("NE2", "N"),
            ("?", "O"),
            ("1HB", "H"),
            ("zn1", "Zn"),
            ("C1A", "C"),
            ("SG", "S"),
            ("Ow", "O"),
        )
    ),
]


def named(cases):
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


@pytest.mark.parametrize(("text", "reason"), named(REFUSED))
def test_certain_nonsense_is_refused_with_a_remedy(text, reason):
    with pytest.raises(StructureError, match=reason):
        parse_with_remarks(text.encode())


@pytest.mark.parametrize(("text", "code", "remark"), named(REMARKED))
def test_what_may_be_wrong_is_remarked_on(text, code, remark):
    structure, remarks = parse_with_remarks(text.encode())
    assert re.search(remark, remarks[code])
    assert remarks[code] in checks.merge(remarks, checks.find_warnings(structure))[code]
    with pytest.raises(StructureError, match=re.escape(checks.REMEDIES[code])):
        checks.fail_on(remarks, [code])


@pytest.mark.parametrize("text", named(GOOD))
def test_good_files_get_no_remark(text):
    structure, remarks = parse_with_remarks(text.encode())
    assert structure.n_atoms in (3, 6)
    assert set(remarks) <= {"deuterium"}


def test_units_are_told_by_bonds_whatever_the_axes():
    # Cartesian coordinates of a triclinic cell, turned as a program that aligns c with z does
    angles = {"alpha": "75", "beta": "80", "gamma": "65"}
    structure, _ = parse_with_remarks(cif(**angles).encode())
    turn = math.radians(40)
    rotation = np.array(
        [[math.cos(turn), math.sin(turn), 0], [-math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    )
    rows = [
        f"{s}{i} {s} {x:.5f} {y:.5f} {z:.5f}"
        for i, (s, (x, y, z)) in enumerate(
            zip(structure.species, structure.cart @ rotation, strict=True)
        )
    ]
    with pytest.raises(StructureError, match="are Å, not fractions"):
        parse_with_remarks(cif(rows, **angles).encode())


def test_hydrogen_alone():
    rows = [re.sub(r"^(\S+) \S+", r"\1 H", row) for row in ATOMS]
    structure, remarks = parse_with_remarks(cif(rows).encode())
    assert remarks["labels"].startswith("labels of 3 of 3")
    assert checks.find_warnings(structure)["no_metal"] == "all atoms are hydrogen"


def test_remarks_and_warnings_of_one_code_are_joined():
    merged = checks.merge({"missing_hydrogens": "a", "labels": "b"}, {"missing_hydrogens": "c"})
    assert merged == {"labels": "b", "missing_hydrogens": "a, c"}
