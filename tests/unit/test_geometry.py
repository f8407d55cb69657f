"""Pore descriptors: closed forms, invariances, Zeo++ itself, and the published values."""

import ctypes
import math
import sys

import numpy as np
import pandas as pd
import pytest

from poreflux import geometry
from poreflux.base.errors import ConfigError, StructureError
from poreflux.geometry.network import voronoi_network
from poreflux.geometry.periodic import half_diagonal_A
from poreflux.geometry.radii import RADII_A, atom_radii
from poreflux.geometry.sampling import _rand, _seeded
from poreflux.geometry.spheres import spheres_of
from poreflux.structures import packages
from poreflux.structures.cif import parse_cif, read_cif
from poreflux.structures.crystal import make_structure

RIGHT = (90.0, 90.0, 90.0)
FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
BCC = [[0, 0, 0], [0.5, 0.5, 0.5]]
FIELDS = ("lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction")


def lattice(sites, a=9.0, element="Xe"):
    return make_structure((a,) * 3, RIGHT, [element] * len(sites), sites)


def triclinic():
    """Four elements, so that all but one kind of atom become clusters."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.3, 0.2, 0.7], [0.7, 0.3, 0.1]]
    return make_structure((10, 11, 9.0), (80, 70, 95), ["C", "H", "Zn", "Ni"], sites)


# Widest cavity (at a corner of the Wigner-Seitz cell) and window, from centre to centre in
# units of the cell edge: sc: body centre, face centre; bcc: (1/2, 1/4, 0), the circumcentre of
# a face of the tetrahedron around it; fcc: octahedral site, triangle of nearest neighbours.
@pytest.mark.parametrize(
    ("sites", "cavity", "window"),
    [
        ([[0, 0, 0]], math.sqrt(3), math.sqrt(2)),
        (BCC, math.sqrt(5) / 2, 3 * math.sqrt(2) / 4),
        (FCC, 1.0, math.sqrt(2 / 3)),
    ],
    ids=["sc", "bcc", "fcc"],
)
@pytest.mark.parametrize("high_accuracy", [True, False])
def test_diameters_of_cubic_lattices(sites, cavity, window, high_accuracy):
    a, r = 9.0, RADII_A["Xe"]
    g = geometry.compute(lattice(sites, a), high_accuracy=high_accuracy, void_samples=1000)
    assert g.lcd_A == pytest.approx(cavity * a - 2 * r, abs=1e-6)
    assert g.pld_A == pytest.approx(window * a - 2 * r, abs=1e-6)


def test_area_and_void_of_separate_spheres():
    a, r = 9.0, RADII_A["Xe"]
    g = geometry.compute(lattice([[0, 0, 0]], a), asa_probe_A=1.5, void_probe_A=1.2)
    # no inflated spheres overlap: 2 x 3.66 < 9
    area = 4 * math.pi * (r + 1.5) ** 2 / a**3 * 1e4
    assert g.asa_m2_cm3 == pytest.approx(area, rel=1e-9)
    assert g.asa_m2_g == pytest.approx(area / lattice([[0, 0, 0]], a).density_g_cm3, rel=1e-9)
    void = 1 - 4 / 3 * math.pi * (r + 1.2) ** 3 / a**3
    # 50,000 samples: a standard error of 0.002
    assert g.void_fraction == pytest.approx(void, abs=0.008)
    assert g.n_channels == 1


def test_area_of_overlapping_spheres():
    """Along a short edge, neighbours cut caps from each inflated sphere."""
    r = RADII_A["Xe"] + 1.5
    s = make_structure((5.0, 12, 12), RIGHT, ["Xe"], [[0, 0, 0]])
    g = geometry.compute(s, asa_probe_A=1.5, asa_samples_per_atom=100_000)
    # a cap has the area 2 pi r h, h = r - 2.5; there are two
    area = (4 * math.pi * r**2 - 2 * 2 * math.pi * r * (r - 2.5)) / s.volume_A3 * 1e4
    # standard error 0.15 %
    assert g.asa_m2_cm3 == pytest.approx(area, rel=0.006)


def test_pockets_are_not_accessible():
    """Probes fit into the cavities of the bcc lattice, but not through the windows."""
    s, r = lattice(BCC, 9.0), RADII_A["Xe"]
    window, cavity = 3 * math.sqrt(2) / 8 * 9 - r, math.sqrt(5) / 4 * 9 - r
    probe = (window + cavity) / 2
    g = geometry.compute(s, asa_probe_A=probe, void_probe_A=probe)
    assert (g.asa_m2_cm3, g.asa_m2_g, g.void_fraction, g.n_channels) == (0, 0, 0, 0)
    g = geometry.compute(s, asa_probe_A=window - 0.01, void_probe_A=window - 0.01)
    assert g.asa_m2_cm3 > 0 and g.void_fraction > 0 and g.n_channels == 1


def test_channels_and_pockets_side_by_side():
    """A cage that keeps its inside to itself, beside open channels."""
    # a cube of helium atoms, 0.9 Å apart, hollow and filled: the hollow is a pocket
    n, a, box = 9, 18.0, 8.1
    ticks = np.linspace(-box / 2, box / 2, n + 1)
    grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), -1).reshape(-1, 3)
    wall = grid[(np.abs(grid) > box / 2 - 0.1).any(axis=1)]
    closed = make_structure((a,) * 3, RIGHT, ["He"] * len(wall), wall / a + 0.5)
    filled = make_structure((a,) * 3, RIGHT, ["He"] * len(grid), grid / a + 0.5)
    g, full = geometry.compute(closed), geometry.compute(filled)
    assert g.n_channels == full.n_channels == 1
    # The hollow adds nothing to the same random points; its (2.5 Å)^3 would be 130 more of them.
    assert g.void_fraction == full.void_fraction
    # areas: same surface, other random points; standard error 0.4 %
    assert g.asa_m2_cm3 == pytest.approx(full.asa_m2_cm3, rel=0.02)


@pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 2, 3)])
def test_supercell_changes_nothing(repeats):
    s = triclinic()
    one, many = geometry.compute(s), geometry.compute(s.supercell(repeats))
    assert many.lcd_A == pytest.approx(one.lcd_A, abs=1e-6)
    assert many.pld_A == pytest.approx(one.pld_A, abs=1e-6)
    # random points differ: standard errors of about 1 % and 0.003
    assert many.asa_m2_cm3 == pytest.approx(one.asa_m2_cm3, rel=0.03)
    assert many.void_fraction == pytest.approx(one.void_fraction, abs=0.01)


def test_other_cell_of_the_same_crystal():
    """b + a in place of b, the frame kept: another description of the same lattice."""
    s = make_structure((10, 11, 9), (90, 90, 100), ["C", "H"], [[0, 0, 0], [0.4, 0.3, 0.6]])
    b = s.cell[1] + s.cell[0]
    angle = math.degrees(math.acos(b[0] / np.linalg.norm(b)))
    skew = make_structure(
        (10, np.linalg.norm(b), 9),
        (90, 90, angle),
        s.species,
        s.frac @ [[1, 0, 0], [-1, 1, 0], [0, 0, 1]],
    )
    one, other = geometry.compute(s), geometry.compute(skew)
    # the cell is rounded to 1e-6
    assert other.lcd_A == pytest.approx(one.lcd_A, abs=1e-5)
    assert other.pld_A == pytest.approx(one.pld_A, abs=1e-5)
    assert other.asa_m2_cm3 == pytest.approx(one.asa_m2_cm3, rel=0.03)


def test_moving_all_atoms_changes_nothing():
    s = triclinic()
    moved = make_structure(
        s.lengths_A, s.angles_deg, s.species, s.frac + np.array([0.37, 0.11, 0.93])
    )
    assert geometry.compute(moved).lcd_A == pytest.approx(geometry.compute(s).lcd_A, abs=1e-6)
    assert geometry.compute(moved).pld_A == pytest.approx(geometry.compute(s).pld_A, abs=1e-6)


@pytest.mark.parametrize("floor", [0.5, 0.9, 1.3])
def test_floor_leaves_the_rest_of_the_network_as_it_is(cifs, floor):
    s = read_cif(cifs / "TARVUD_clean.cif")
    radii = atom_radii(s.species)
    spheres = spheres_of(s.cart, radii, np.arange(s.n_atoms), True)
    whole = voronoi_network(s, radii, spheres)
    part = voronoi_network(s, radii, spheres, floor)
    np.testing.assert_allclose(
        np.sort(part.radius), np.sort(whole.radius[whole.radius >= floor]), atol=1e-7
    )
    np.testing.assert_allclose(
        part.bottleneck, whole.bottleneck[whole.bottleneck >= floor], atol=1e-7
    )
    assert part.free_A() == pytest.approx(whole.free_A(), abs=1e-9)


@pytest.mark.parametrize("high_accuracy", [True, False])
def test_zeopp_itself(high_accuracy):
    s = triclinic()
    fast = geometry.compute(s, high_accuracy=high_accuracy)
    zeopp = geometry.compute(s, engine="zeopp", high_accuracy=high_accuracy)
    assert fast.lcd_A == pytest.approx(zeopp.lcd_A, abs=2e-4)
    assert fast.pld_A == pytest.approx(zeopp.pld_A, abs=2e-4)
    # same random points; under high accuracy a few fall differently where spheres meet
    assert fast.asa_m2_cm3 == pytest.approx(zeopp.asa_m2_cm3, rel=3e-3)
    assert fast.asa_m2_g == pytest.approx(zeopp.asa_m2_g, rel=3e-3)
    assert fast.void_fraction == pytest.approx(zeopp.void_fraction, abs=3e-4)
    assert fast.n_channels == zeopp.n_channels


def test_zeopp_is_silent_and_repeatable(capfd):
    s = triclinic()
    one, two = (geometry.compute(s, engine="zeopp") for _ in range(2))
    assert one == two
    assert capfd.readouterr() == ("", "")


def test_nothing_fits_into_a_dense_metal():
    iron = make_structure((2.86,) * 3, RIGHT, ["Fe"] * 2, BCC)
    assert geometry.compute(iron) == geometry.Geometry(0, 0, 0, 0, 0, 0)
    copper = make_structure((3.61,) * 3, RIGHT, ["Cu"] * 4, FCC)
    g = geometry.compute(copper)
    assert g.lcd_A == pytest.approx(3.61 - 2 * RADII_A["Cu"], abs=1e-6)
    assert g.pld_A == pytest.approx(math.sqrt(2 / 3) * 3.61 - 2 * RADII_A["Cu"], abs=1e-6)


def test_radii_are_those_of_pyzeo(tmp_path):
    from pyzeo.extension import AtomNetwork

    elements = list(RADII_A)
    sites = np.stack(np.meshgrid(*[np.arange(5) / 5] * 3, indexing="ij"), -1).reshape(-1, 3)
    s = make_structure((60,) * 3, RIGHT, elements, sites[: len(elements)])
    (tmp_path / "all.cif").write_text(s.to_cif())
    atoms = AtomNetwork.read_from_CIF(str(tmp_path / "all.cif")).atoms
    assert {a.type: a.radius for a in atoms} == RADII_A


def test_spheres_are_those_of_pyzeo(tmp_path):
    import pyzeo
    from pyzeo.extension import AtomNetwork

    s = triclinic()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        spheres = spheres_of(s.cart, atom_radii(s.species), np.array(order), True)
        cif = s.to_cif().splitlines(keepends=True)
        body = [cif[len(cif) - s.n_atoms + i] for i in order]
        (tmp_path / "s.cif").write_text("".join(cif[: -s.n_atoms] + body))
        atoms = AtomNetwork.read_from_CIF(str(tmp_path / "s.cif"))
        pyzeo.high_accuracy_atomnet(atoms, "DEF")
        theirs = np.array([a.coords for a in atoms.atoms])
        assert len(theirs) == len(spheres.centres)
        difference = (theirs[:, None] - spheres.centres[None]) @ np.linalg.inv(s.cell)
        difference -= np.round(difference)
        distance = np.linalg.norm(difference @ s.cell, axis=2)
        assert distance.min(axis=0).max() < 1e-5 and distance.min(axis=1).max() < 1e-5


def test_cluster_depends_on_the_first_large_atom():
    s = triclinic()
    radii = atom_radii(s.species)
    zinc_first = [s.species.index(e) for e in ("Zn", "H", "C", "Ni")]
    # three atoms larger than hydrogen: 30 + 1 or 50 + 1 spheres each
    assert len(spheres_of(s.cart, radii, np.array(zinc_first), True).radii) == 1 + 3 * 31
    assert len(spheres_of(s.cart, radii, np.array(zinc_first[::-1]), True).radii) == 1 + 3 * 51


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="rand() of glibc")
def test_random_numbers_are_those_of_the_c_library():
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        pytest.skip("not glibc")
    for seed in (994879221, 1, 2147483646):
        libc.srand(seed)
        state = _seeded(seed)
        assert [_rand(state) for _ in range(1000)] == [libc.rand() for _ in range(1000)]


def test_half_diagonal_of_a_box():
    s = make_structure((4, 6, 12), RIGHT, ["C"], [[0, 0, 0]])
    assert half_diagonal_A(s, (1, 1, 1)) == pytest.approx(7.0)
    assert half_diagonal_A(s, (2, 2, 2)) == pytest.approx(3.5)


def test_order_of_the_file(cifs, tmp_path):
    path = cifs / "CIFJAE_clean.cif"
    s = read_cif(path)
    body = [line.split() for line in path.read_text().splitlines() if line.count(".") >= 3]
    atoms = [words for words in body if len(words) >= 5]
    assert [s.species[i] for i in s.listed] == [words[1] for words in atoms]
    backwards = path.read_text().splitlines()
    first = backwards.index(next(x for x in backwards if x.split() == atoms[0]))
    backwards[first : first + len(atoms)] = backwards[first : first + len(atoms)][::-1]
    turned = tmp_path / "turned.cif"
    turned.write_text("\n".join(backwards) + "\n")
    # one content, two orders: the same network, other random points on the surfaces
    other = read_cif(turned)
    assert other.content_hash == s.content_hash
    assert np.array_equal(other.listed, s.listed[::-1])
    assert geometry.describe(path) != geometry.describe(turned)
    canonical = geometry.describe(path, atom_order="canonical")
    assert canonical == geometry.describe(turned, atom_order="canonical")
    assert geometry.describe(turned).asa_m2_g == pytest.approx(canonical.asa_m2_g, rel=0.05)


def test_same_input_gives_the_same_bits(cifs):
    path = cifs / "TARVUD_clean.cif"
    first = geometry.describe(path)
    geometry.compute(triclinic())
    assert geometry.describe(path) == first


def test_wrong_input():
    with pytest.raises(StructureError, match="Og"):
        geometry.compute(lattice([[0, 0, 0]], element="Og"))
    with pytest.raises(StructureError, match="Og"):
        geometry.compute(lattice([[0, 0, 0]], element="Og"), engine="zeopp")
    with pytest.raises(ConfigError, match="fast, zeopp"):
        geometry.compute(triclinic(), engine="raspa")
    with pytest.raises(ConfigError, match="asa_probe_A must be > 0"):
        geometry.compute(triclinic(), asa_probe_A=0.0)
    with pytest.raises(ConfigError, match="listed, canonical"):
        geometry.compute(triclinic(), atom_order="random")
    with pytest.raises(StructureError, match="cannot be read"):
        geometry.describe("no such file.cif")


def published_table(reference):
    path = reference / "lim-kim-2022" / "core2019_descriptors_10bin.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    table = pd.read_csv(path, index_col="mof")
    return table.iloc[:, :5].set_axis(FIELDS, axis=1)


def check(g, row):
    assert g.lcd_A == pytest.approx(row.lcd_A, abs=0.01)
    assert g.pld_A == pytest.approx(row.pld_A, abs=0.01)
    assert g.asa_m2_cm3 == pytest.approx(row.asa_m2_cm3, rel=0.015)
    assert g.asa_m2_g == pytest.approx(row.asa_m2_g, rel=0.015)
    assert g.void_fraction == pytest.approx(row.void_fraction, abs=0.003)


@pytest.mark.parametrize("name", ["BUKMUQ01", "CIFJAE", "JIVFUQ", "KOSJEJ", "KUVJIW", "TARVUD"])
def test_published_values(cifs, reference, name):
    check(
        geometry.describe(cifs / f"{name}_clean.cif"),
        published_table(reference).loc[f"{name}_clean"],
    )


def test_published_values_from_the_archive(reference):
    """Channels beside pockets, an S30 cluster, and a cavity that Zeo++ shrinks by merging."""
    table = published_table(reference)
    names = ["ENITAX_clean", "QUKQAQ_clean", "cm503311x_OH-mil-53-Al-lp-ortho_clean"]
    pytest.importorskip("CoRE_MOF")
    for name, data in packages.core_mof_cifs("2019-ASR", names):
        check(geometry.compute(parse_cif(data)), table.loc[name])
