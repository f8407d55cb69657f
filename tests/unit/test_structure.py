"""Reading CIFs: the canonical form, symmetry, and a reason for everything that is wrong."""

import numpy as np
import pytest

from poreflux.errors import StructureError
from poreflux.structure import cell_matrix, make_structure, parse_cif

HEAD = """data_x
_cell_length_a {a}
_cell_length_b 10
_cell_length_c 10
_cell_angle_alpha 90
_cell_angle_beta {beta}
_cell_angle_gamma 90
{symmetry}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


def cif(atoms, symmetry="", a="10", beta="90"):
    """A CIF of 10 Å cell with the given atom lines."""
    text = HEAD.format(symmetry=symmetry, a=a, beta=beta) + "\n".join(atoms) + "\n"
    return text.encode()


CARBON = "C1 C 0.1 0.2 0.3 1.0"


def test_identity_ignores_name_format_order_and_lattice_image():
    one = parse_cif(cif(["C1 C 0.1 0.2 0.3 1", "O1 O 0.5 0.5 0.5 1"]))
    other = parse_cif(
        cif(["Ox O 0.50000 -0.5 1.5 1.00", "C9 C 1.1000(3) 0.2 .3 ."], a="10.000(2)").replace(
            b"\n", b"\r\n"
        )
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


def test_round_trip_keeps_identity():
    s = parse_cif(cif(["C1 C 0.12345678 0.2 0.3 1", "Zn1 Zn2+ 0.5 0.5 0.5 1"], beta="101.3"))
    assert parse_cif(s.to_cif().encode()).content_hash == s.content_hash
    assert s.species == ("C", "Zn")


def test_symmetry_operators_expand_and_merge_special_positions():
    inversion = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'"
    data = cif([CARBON, "O1 O 0.5 0.5 0.5 1"], inversion)
    s = parse_cif(data)
    assert s.species == ("C", "C", "O")  # the oxygen sits on the inversion centre
    np.testing.assert_allclose(s.frac[1], [0.9, 0.8, 0.7])
    assert parse_cif(data, symmetry="as-listed").n_atoms == 2


def test_space_group_name_expands_where_operators_are_missing():
    # Fm-3m, an atom at the origin: the four sites of an fcc cell.
    s = parse_cif(cif(["Cu1 Cu 0 0 0 1"], "_symmetry_space_group_name_H-M 'F m -3 m'"))
    assert s.n_atoms == 4
    distances = np.linalg.norm((s.frac - np.round(s.frac)) @ s.cell, axis=1)
    np.testing.assert_allclose(sorted(distances)[1:], 10 / np.sqrt(2))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x00\x01binary", "binary"),
        (b"this is not a cif", "not a valid CIF"),
        (b"data_x\n_cell_length_a 10\n", "no atoms"),
        (cif([]), "not a valid CIF|no atoms"),
        (cif(["C1 C 0.1 0.2 0.3 0.5"]), "occupancy 0.5"),
        (cif(["Q1 Qq 0.1 0.2 0.3 1"]), "unknown element"),
        (cif(["C1 C ? 0.2 0.3 1"]), "coordinate x of atom C1"),
        (cif([CARBON, "O1 O 0.1 0.2 0.31 1"]), "overlapping atoms: C and O are 0.100 Å"),
        (cif(["C1 C 0.999 0 0 1", "O1 O 0.001 0 0 1"]), "overlapping atoms"),
        (cif([CARBON], a="0"), "cell lengths"),
        (cif([CARBON], a="-4"), "cell lengths"),
        (cif([CARBON], a="abc"), "_cell_length_a"),
        (cif([CARBON], beta="180"), "cell angles"),
        (cif([CARBON], beta="179.5"), "collapsed"),
        (cif([CARBON], "_symmetry_space_group_name_H-M 'not a group'"), "unknown space group"),
    ],
)
def test_bad_cifs_have_a_reason(data, reason):
    with pytest.raises(StructureError, match=reason):
        parse_cif(data)


def test_overlap_check_can_be_switched_off():
    assert parse_cif(cif([CARBON, "O1 O 0.1 0.2 0.31 1"]), min_distance_A=0).n_atoms == 2


def test_deuterium_is_hydrogen_and_labels_serve_without_symbols():
    text = cif(["D1 D 0.1 0.2 0.3 1"])
    assert parse_cif(text).species == ("H",)
    no_symbols = text.replace(b"_atom_site_type_symbol\n", b"").replace(b"D1 D", b"CA1")
    assert parse_cif(no_symbols).species == ("C",)
    assert parse_cif(no_symbols.replace(b"CA1", b"Ca1")).species == ("Ca",)


def test_cell_matrix_reproduces_lengths_angles_and_volume():
    lengths, angles = (7.0, 9.0, 11.0), (80.0, 95.0, 110.0)
    m = cell_matrix(lengths, angles)
    np.testing.assert_allclose(np.linalg.norm(m, axis=1), lengths)
    cos = [m[1] @ m[2] / 99, m[0] @ m[2] / 77, m[0] @ m[1] / 63]
    np.testing.assert_allclose(np.degrees(np.arccos(cos)), angles)


def test_supercell_keeps_density_and_reaches_width():
    s = make_structure((7.0, 9.0, 11.0), (80.0, 95.0, 110.0), ["C", "O"], [[0, 0, 0], [0.5] * 3])
    n = s.repeats(24.0)
    big = s.supercell(n)
    assert (big.perpendicular_widths_A >= 24.0).all()
    assert big.n_atoms == 2 * np.prod(n)
    assert big.density_g_cm3 == pytest.approx(s.density_g_cm3)
    # one step less in any direction is too narrow
    for axis in range(3):
        assert s.perpendicular_widths_A[axis] * (n[axis] - 1) < 24.0


def test_density_of_diamond():
    # a = 3.567 Å, 8 atoms: 3.515 g/cm^3 (CRC Handbook)
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    s = make_structure((3.567,) * 3, (90.0,) * 3, ["C"] * 8, np.vstack([corners, corners + 0.25]))
    assert s.density_g_cm3 == pytest.approx(3.515, abs=0.002)
    assert s.formula == "C8"
