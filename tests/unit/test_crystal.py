"""The canonical form of a structure: identity, cell, supercells, density."""

import numpy as np
import pytest

from poreflux.base.errors import StructureError
from poreflux.structures.cif import parse_cif
from poreflux.structures.crystal import MAX_ATOMS, cell_matrix, make_structure

RIGHT = (90.0, 90.0, 90.0)


def test_round_trip_keeps_identity():
    s = make_structure(
        (10.0, 9.0, 8.0), (90.0, 101.3, 90.0), ["Zn", "C"], [[0.5] * 3, [0.12345678, 0.2, 0.3]]
    )
    assert parse_cif(s.to_cif().encode()).content_hash == s.content_hash
    assert s.species == ("C", "Zn")


def test_listed_is_the_order_given_and_no_part_of_the_identity():
    frac = np.array([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3], [0.7, 0.2, 0.3]])
    s = make_structure((10.0,) * 3, RIGHT, ["Zn", "C", "N"], frac)
    assert [s.species[i] for i in s.listed] == ["Zn", "C", "N"]
    np.testing.assert_allclose(s.frac[s.listed], frac)
    turned = make_structure((10.0,) * 3, RIGHT, ["N", "C", "Zn"], frac[::-1])
    assert turned.content_hash == s.content_hash
    assert list(turned.listed) == list(s.listed[::-1])


@pytest.mark.parametrize(
    ("lengths", "angles", "n", "reason"),
    [
        ((0, 10, 10), RIGHT, 1, "cell lengths"),
        ((-4, 10, 10), RIGHT, 1, "cell lengths"),
        ((np.nan, 10, 10), RIGHT, 1, "not finite"),
        ((10, 10, 10), (90, 180, 90), 1, "cell angles"),
        ((10, 10, 10), (90, 179.5, 90), 1, "collapsed"),
        ((10, 10, 10), (120, 120, 120), 1, "no volume"),
        ((10, 10, 0.5), RIGHT, 1, "collapsed"),
        ((10, 10, 10), RIGHT, 0, "no atoms"),
        ((10, 10, 10), RIGHT, MAX_ATOMS + 1, "more than"),
    ],
)
def test_impossible_structures(lengths, angles, n, reason):
    with pytest.raises(StructureError, match=reason):
        make_structure(lengths, angles, ["C"] * n, np.zeros((n, 3)))


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
