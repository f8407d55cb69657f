"""Reading CIFs: identity, symmetry, broken files, and a reason for everything that is wrong."""

import gemmi
import numpy as np
import pytest

from poreflux.base.errors import StructureError
from poreflux.structures.cif import parse_cif, parse_with_remarks, read_cif

HEAD = """data_x
_cell_length_a {a}
_cell_length_b 10
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta {beta}
_cell_angle_gamma {gamma}
{symmetry}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
CARBON = "C1 C 0.1 0.2 0.3 1.0"
P1 = "_symmetry_space_group_name_H-M 'P 1'"
INVERSION = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'"


def cif(atoms, symmetry=P1, a="10", c="10", beta="90", gamma="90"):
    """A CIF of 10 Å cell with the given atom lines."""
    text = HEAD.format(symmetry=symmetry, a=a, c=c, beta=beta, gamma=gamma)
    return (text + "\n".join(atoms) + "\n").encode()


PLAIN = cif([CARBON, "O1 O 0.5 0.5 0.5 1"], INVERSION)
SAME = parse_cif(PLAIN).content_hash


def test_identity_ignores_name_format_order_and_lattice_image():
    one = parse_cif(cif(["C1 C 0.1 0.2 0.3 1", "O1 O 0.5 0.5 0.5 1"]))
    other = parse_cif(
        cif(["Ox O 0.50000 -0.5 1.5 1.00", "C9 C 1.1000(3) 0.2 '.3' ."], a="10.000(2)")
    )
    assert one.content_hash == other.content_hash
    assert one.species == ("C", "O")


def test_identity_changes_with_content():
    hashes = {
        parse_cif(c).content_hash
        for c in (
            cif([CARBON]),
            cif(["C1 C 0.1001 0.2 0.3 1"]),
            cif(["N1 N 0.1 0.2 0.3 1"]),
            cif([CARBON], a="10.001"),
            cif([CARBON], beta="90.1"),
        )
    }
    assert len(hashes) == 5


# --- symmetry ----------------------------------------------------------------------------------


def test_symmetry_operators_expand_and_merge_special_positions():
    s = parse_cif(PLAIN)
    assert s.species == ("C", "C", "O")  # the oxygen sits on the inversion centre
    np.testing.assert_allclose(s.frac[1], [0.9, 0.8, 0.7])
    assert parse_cif(PLAIN, symmetry="as-listed").n_atoms == 2


@pytest.mark.parametrize(
    "group", ["P -1", "P 21/c", "C 2/c", "P n m a", "I 41/a c d:2", "F m -3 m"]
)
def test_expansion_agrees_with_gemmi(group):
    operators = list(gemmi.find_spacegroup_by_name(group).operations())
    loop = "\n".join(
        ["loop_", "_space_group_symop_operation_xyz", *(o.triplet() for o in operators)]
    )
    atoms = ["Zn1 Zn 0 0 0 1", "C1 C 0.11 0.07 0.23 1", "O1 O 0.25 0.1 0.25 1"]
    s = parse_cif(cif(atoms, loop))
    cell = gemmi.UnitCell(10, 10, 10, 90, 90, 90)
    small = gemmi.SmallStructure()
    small.cell, small.spacegroup_hm = cell, group
    for line in atoms:
        site = gemmi.SmallStructure.Site()
        site.element = gemmi.Element(line.split()[1])
        site.fract = gemmi.Fractional(*map(float, line.split()[2:5]))
        small.add_site(site)
    small.determine_and_set_spacegroup("2.")
    expected = small.get_all_unit_cell_sites()
    assert sorted(site.element.name for site in expected) == sorted(s.species)


def test_space_group_name_expands_where_operators_are_missing():
    # Fm-3m, an atom at the origin: the four sites of an fcc cell.
    s = parse_cif(cif(["Cu1 Cu 0 0 0 1"], "_symmetry_space_group_name_H-M 'F m -3 m'"))
    assert s.n_atoms == 4
    distances = np.linalg.norm((s.frac - np.round(s.frac)) @ s.cell, axis=1)
    np.testing.assert_allclose(sorted(distances)[1:], 10 / np.sqrt(2))


def test_cell_angles_tell_hexagonal_from_rhombohedral_axes():
    # 6 positions in a rhombohedral cell, three times as many in a hexagonal one.
    name = "_symmetry_space_group_name_H-M 'R -3'"
    hexagonal = cif([CARBON], name, c="20", gamma="120")
    assert parse_cif(hexagonal).n_atoms == 18
    rhombohedral = cif([CARBON], name, beta="80", gamma="80").replace(b"alpha 90", b"alpha 80")
    assert parse_cif(rhombohedral).n_atoms == 6
    by_number = hexagonal.replace(
        b"_symmetry_space_group_name_H-M 'R -3'", b"_space_group_IT_number 148"
    )
    s, remarks = parse_with_remarks(by_number)
    assert s.content_hash == parse_cif(hexagonal).content_hash
    assert "setting taken as R -3:H" in remarks["symmetry"]


def test_hall_symbol_fixes_what_the_common_name_leaves_open():
    # Fd-3m has two origins; 0,0,0 is a site of 8 positions in the first, of 16 in the second.
    name = "_symmetry_space_group_name_H-M '{}'"
    open_origin, remarks = parse_with_remarks(cif(["C1 C 0 0 0 1"], name.format("F d -3 m")))
    assert "origin" in remarks["symmetry"]
    assert open_origin.n_atoms == 8
    for given in (name.format("F d -3 m :2"), name.format("F d -3 m Z")):
        s, remarks = parse_with_remarks(cif(["C1 C 0 0 0 1"], given))
        assert s.n_atoms == 16
        assert not remarks
    hall = name.format("F d -3 m") + "\n_space_group_name_Hall '-F 4vw 2vw 3'"
    assert parse_with_remarks(cif(["C1 C 0 0 0 1"], hall))[0].n_atoms == 16


def test_operator_of_another_cell_is_remarked_on():
    loop = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'y,x,z'"
    assert "symmetry" not in parse_with_remarks(cif([CARBON], loop))[1]
    assert "does not fit" in parse_with_remarks(cif([CARBON], loop, a="15"))[1]["symmetry"]


# --- files that gemmi refuses or misreads --------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "repaired"),
    [
        (lambda t: t.replace("\n", "\r\n"), False),
        (lambda t: t.replace("\n", "\r"), False),
        (lambda t: "\ufeff" + t, False),
        (lambda t: t.replace("_cell_", "_cell.").replace("_atom_site_", "_atom_site."), False),
        (lambda t: "_symmetry_space_group_name_H-M    P -1\n" + t.removeprefix("data_x\n"), True),
        (lambda t: t.replace("data_x", "data_my structure (2)"), True),
        (lambda t: t.removeprefix("data_x\n"), True),
        (lambda t: t.replace("loop_", "_publ_author_name Müller, K. & Co\nloop_", 1), True),
        (lambda t: t.replace("loop_", "_chemical_name 'Cu paddle\nloop_", 1), True),
        (lambda t: t.replace("loop_", "_chemical_name\nloop_", 1), True),
        (lambda t: t.replace("loop_", "loop_\n_a\n_b\n1 2\n3\nloop_", 1), True),
        (lambda t: t.replace("_cell_length_b 10", "_cell_length_b 10\n_cell_length_b 10"), True),
        (lambda t: t.replace("0.2", "\u22120.8"), True),
        (lambda t: t + "END\n", True),
        (lambda t: t + "--- end of file ---\n", True),
        (lambda t: t + "\x1a", True),
        (lambda t: t + "_refine_text\n;\nnever closed\n", True),
        (lambda t: t.replace("'-x,-y,-z'", "-x, -y, -z"), True),
    ],
)
def test_damaged_files_are_read_alike(damage, repaired):
    structure, remarks = parse_with_remarks(damage(PLAIN.decode()).encode())
    assert structure.content_hash == SAME
    assert list(remarks) == (["repaired"] if repaired else [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding):
    assert parse_cif(PLAIN.decode().encode(encoding)).content_hash == SAME


def test_latin_1_names_do_no_harm():
    data = PLAIN.replace(b"loop_", b"# M\xfcller\n_name 'M\xfcller'\nloop_", 1)
    assert parse_cif(data).content_hash == SAME


def test_repair_says_where():
    data = PLAIN.replace(b"data_x\n", b"data_x\n_symmetry_space_group_name_H-M    P 1\n")
    remark = parse_with_remarks(data)[1]["repaired"]
    assert "line 2" in remark
    assert "P 1" in remark


def test_no_number_is_guessed():
    text = PLAIN.decode()
    for damaged, reason in (
        (text.replace("0.2 0.3", "0.20.3"), "line 19 has 5 values"),
        (text + "C9 C 0.9\n", "line 21 has 3 values"),
        (text.replace("_b 10", "_b 10\n_cell_length_b 11"), "given twice, as '10' and as '11'"),
        (text.replace("0.2", "0,2"), "'0,2', not a number; write a decimal point"),
        (text.replace("loop_", "_x\n;open\nloop_", 1), "is not closed"),
    ):
        with pytest.raises(StructureError, match=reason):
            parse_cif(damaged.encode())


# --- atoms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x00\x01binary", "binary"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"this is not a cif", "not a valid CIF"),
        (b"data_x\n_cell_length_a 10\n", "no atoms"),
        (cif([]), "no atoms"),
        (cif(["C1 C 0.1 0.2 0.3 0.5"]), "occupancy 0.5; resolve the disorder"),
        (cif(["Q1 Qq 0.1 0.2 0.3 1"]), "unknown element 'Qq'"),
        (cif(["W1 Wat 0.1 0.2 0.3 1"]), "unknown element 'Wat'"),
        (cif(["C1 C ? 0.2 0.3 1"]), "coordinate x of atom 'C1' is '\\?'.*place the atom"),
        (cif(["C1 C 1e308 0.2 0.3 1"]), "1e\\+308: not a fraction"),
        (cif([CARBON]).replace(b"fract", b"Cartn"), "_atom_site_Cartn_x"),
        (cif([CARBON], a="0"), "cell lengths"),
        (cif([CARBON], a="-4"), "cell lengths"),
        (cif([CARBON], a="abc"), "_cell_length_a"),
        (cif([CARBON], beta="180"), "cell angles"),
        (cif([CARBON], beta="179.5"), "collapsed"),
        (cif([CARBON], "_symmetry_space_group_name_H-M 'not a group'"), "unknown space group"),
        (cif([CARBON], INVERSION.replace("-z", "z/0")), "operator .* not understood"),
        (cif([CARBON], INVERSION.replace("-x,-y,-z", "x,x,x")), "changes volumes"),
        (cif([CARBON], INVERSION.replace("-z", "z+99999999999999999999")), "not understood"),
    ],
)
def test_bad_cifs_have_a_reason(data, reason):
    with pytest.raises(StructureError, match=reason):
        parse_cif(data)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.cif", tmp_path):
        with pytest.raises(StructureError, match="cannot be read"):
            read_cif(path)


def test_labels_serve_without_symbols():
    text = cif(["D1 D 0.1 0.2 0.3 1"])
    assert parse_cif(text).species == ("H",)
    no_symbols = text.replace(b"_atom_site_type_symbol\n", b"").replace(b"D1 D", b"CA1")
    for label, element in (("Ca1", "Ca"), ("C1A", "C"), ("CB1", "C"), ("ZN1", "Zn"), ("O12", "O")):
        assert parse_cif(no_symbols.replace(b"CA1", label.encode())).species == (element,)
    with pytest.raises(StructureError, match="unknown element 'Wat1'"):
        parse_cif(no_symbols.replace(b"CA1", b"Wat1"))
    # an alpha carbon or calcium, a metal or the carbon beside it: not guessed
    for label in ("CA1", "CU1", "NI2", "CL1"):
        with pytest.raises(StructureError, match=f"atom '{label}' may be . or .*_type_symbol"):
            parse_cif(no_symbols.replace(b"CA1", label.encode()))


def test_remarks():
    atoms = ["Zn1 Zn2+ 0.5 0.5 0.5 1", "D1 D 0.1 0.2 0.3 1", "O1 O2- 0.3 0.3 0.3 1"]
    s, remarks = parse_with_remarks(cif(atoms))
    assert s.species == ("H", "O", "Zn")
    assert remarks == {
        "deuterium": "1 D atoms taken as H",
        "charged_labels": "charges of O2-, Zn2+ ignored",
    }
    two = cif([CARBON]) + cif([CARBON]).replace(b"data_x", b"data_y")
    assert parse_with_remarks(two)[1] == {
        "several_structures": "2 data blocks have atoms, 'x' was read"
    }
    column = b"_atom_site_disorder_group\n"
    grouped = cif([f"{CARBON} .", "O1 O 0.5 0.5 0.5 1 2"]).replace(
        b"occupancy\n", b"occupancy\n" + column
    )
    assert "1 of 2 atoms" in parse_with_remarks(grouped)[1]["disorder"]
    flagged = grouped.replace(b"disorder_group", b"calc_flag").replace(b" 2\n", b" dum\n")
    s, remarks = parse_with_remarks(flagged)
    assert s.species == ("C",)
    assert remarks == {"dummy_atoms": "1 dummy atoms left out"}
