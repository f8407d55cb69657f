"""Near duplicates: one framework in other cells, with other guests, is one; another is not."""

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import StructureError
from poreflux.run import duplicates as duplicates_of_a_set
from poreflux.run.duplicates import GROUP_COLUMNS, group_ingredients, group_table
from poreflux.store import Store
from poreflux.structures import duplicates
from poreflux.structures.checks import bare_framework
from poreflux.structures.crystal import Structure, make_structure
from poreflux.structures.duplicates import candidate_pairs, find_groups, joined, near_duplicates

RIGHT = (90.0, 90.0, 90.0)
# Metal to nitrogen, and along the linker M-N-C-C-N-M, Å.
CYANOGEN = [("N", 2.0), ("C", 1.15), ("C", 1.45), ("N", 1.15)]
CYANIDE = [("C", 2.0), ("N", 1.15)]


def net(metal="Zn", linkers=(CYANOGEN, CYANOGEN, CYANIDE), guests=()) -> Structure:
    """Metal atoms joined along the three axes by straight linkers, and (element, place) guests."""
    species, positions, lengths = [metal], [np.zeros(3)], []
    for axis, linker in enumerate(linkers):
        reached = 0.0
        for element, step in linker:
            reached += step
            species.append(element)
            positions.append(np.eye(3)[axis] * reached)
        lengths.append(reached + 2.0)
    frac = np.array(positions) / lengths
    inside = [np.asarray(place) for _, place in guests]
    return make_structure(
        lengths, RIGHT, species + [e for e, _ in guests], np.array([*frac, *inside])
    )


def water(structure: Structure) -> list:
    """A molecule of water amid the pore, in fractional coordinates."""
    bonds = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    places = 0.5 + bonds / structure.lengths_A
    return list(zip("OHH", places, strict=True))


def in_another_cell(structure: Structure, vectors) -> Structure:
    """The same crystal on other lattice vectors, as rows of whole numbers."""
    crystal = structure.to_pymatgen()
    crystal.make_supercell(vectors)
    return Structure.from_pymatgen(crystal)


def variants() -> dict[str, Structure]:
    """One framework in many guises."""
    bare = net()
    turn = np.random.default_rng(3).permutation(bare.n_atoms)
    species = np.array(bare.species)
    double = bare.supercell((2, 1, 1))
    more_noise = np.random.default_rng(6).normal(scale=0.02, size=(double.n_atoms, 3))
    shift = np.array([0.31, 0.77, 0.12])
    noise = np.random.default_rng(4).normal(scale=0.02, size=(bare.n_atoms, 3))
    return {
        "bare": bare,
        "copy": net(),
        "supercell": bare.supercell((2, 1, 3)),
        "shifted": make_structure(bare.lengths_A, RIGHT, species, bare.frac + shift),
        "permuted": make_structure(bare.lengths_A, RIGHT, species[turn], bare.frac[turn]),
        "axes exchanged": make_structure(
            np.roll(bare.lengths_A, 1), RIGHT, species, np.roll(bare.frac, 1, axis=1)
        ),
        "sheared cell": in_another_cell(bare, [[1, 1, 0], [0, 1, 0], [0, -1, 1]]),
        "strained": make_structure(np.array(bare.lengths_A) * 1.02, RIGHT, species, bare.frac),
        "strained one way": make_structure(
            np.array(bare.lengths_A) * [1.02, 0.99, 1.0], RIGHT, species, bare.frac
        ),
        "noisy": make_structure(bare.lengths_A, RIGHT, species, bare.frac + noise / bare.lengths_A),
        "noisy supercell": make_structure(
            double.lengths_A, RIGHT, double.species, double.frac + more_noise / double.lengths_A
        ),
        "with water": net(guests=water(bare)),
        "with chloride": net(guests=[("Cl", (0.5, 0.5, 0.5))]),
        "with water in a supercell": net(guests=water(bare)).supercell((1, 2, 1)),
    }


def others() -> dict[str, Structure]:
    """Frameworks of their own."""
    return {
        "another metal": net("Cd"),
        "another linker": net(linkers=(CYANOGEN, CYANIDE, CYANIDE)),
        "another element": net(linkers=(CYANOGEN, CYANOGEN, [("C", 2.0), ("P", 1.55)])),
        "a longer linker": net(
            linkers=(CYANOGEN, CYANOGEN, [*CYANOGEN[:3], ("C", 1.2), ("C", 1.4), ("N", 1.15)])
        ),
    }


def test_variants_of_a_framework_are_one_group_and_others_are_not():
    same, different = variants(), others()
    groups = near_duplicates([*same.values(), *different.values()])
    found = dict(zip([*same, *different], groups.tolist(), strict=True))
    assert {name: found[name] for name in same} == dict.fromkeys(same, found["bare"])
    assert len({found[name] for name in different} | {found["bare"]}) == len(different) + 1


def test_groups_do_not_depend_on_order_or_copies():
    chosen = {k: variants()[k] for k in ("bare", "copy", "supercell", "with water")} | others()
    names, structures = list(chosen), list(chosen.values())
    expected = dict(zip(names, near_duplicates(structures).tolist(), strict=True))
    order = np.random.default_rng(5).permutation(len(names))
    again = near_duplicates([structures[i] for i in order])
    assert {names[i]: g for i, g in zip(order, again.tolist(), strict=True)} == expected
    hashes = {s.content_hash: expected[n] for n, s in chosen.items()}
    firsts = [min(h for h in hashes if hashes[h] == g) for g in sorted(set(hashes.values()))]
    assert firsts == sorted(firsts)


def test_nothing_has_no_groups():
    assert near_duplicates([]).tolist() == []


def test_what_hangs_on_one_metal_and_hydrogen_do_not_count():
    """Zn-O-Zn along z: with water on each Zn, hydroxide in the chain, it is the same framework."""
    chain = [("Zn", (5, 5, 0)), ("O", (5, 5, 2))]
    on_metal = [("O", (7.1, 5, 0)), ("H", (7.7, 5.76, 0)), ("H", (7.7, 4.24, 0))]
    proton = [("H", (5.0, 5.96, 2.0))]
    ring = [("O", (12.0, 12.0, 2.0)), ("H", (12.76, 12.59, 2.0)), ("H", (11.24, 12.59, 2.0))]

    def counted(atoms):
        species, places = zip(*atoms, strict=True)
        structure = make_structure((20, 20, 4), RIGHT, species, np.array(places) / (20, 20, 4))
        kept = bare_framework(structure)
        return sorted(np.array(structure.species)[kept].tolist())

    for atoms in (chain, chain + proton, chain + on_metal, chain + ring, chain + on_metal + ring):
        assert counted(atoms) == ["O", "Zn"]
    # a molecular crystal has no framework: its heavy atoms count
    assert counted(ring) == ["O"]
    assert counted([("H", (1, 1, 1)), ("H", (1, 1, 1.74))]) == ["H", "H"]


def test_unlike_structures_are_not_compared():
    structures = net(), net("Cd"), net().supercell((2, 2, 1))
    forms = [duplicates.reduced_framework(s) for s in structures]
    assert candidate_pairs(forms) == [(0, 2)]
    blown_up = make_structure(np.array(net().lengths_A) * 1.3, RIGHT, net().species, net().frac)
    # its bonds are broken, all of its atoms are kept as of a molecular crystal
    assert candidate_pairs([forms[0], duplicates.reduced_framework(blown_up)]) == []


def test_a_structure_that_is_too_large_is_alone_with_its_copies(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_ATOMS", 20)
    with pytest.raises(StructureError, match="22 framework atoms in the cell, more than 20"):
        duplicates.reduced_framework(net().supercell((2, 1, 1)))
    large = net().supercell((2, 1, 1))
    members = find_groups([net(), large, net(), large, net("Cd")])
    numbers = [member.group for member in members]
    assert numbers[0] == numbers[2] and numbers[1] == numbers[3]
    assert len(set(numbers)) == 3
    assert "more than 20" in members[1].note and members[0].note == ""
    assert members[0].framework and members[1].framework == ""


def test_a_pair_that_cannot_be_compared_counts_as_the_same():
    def call(function, tasks):
        if function is duplicates.reduced_framework:
            return [(function(*task), "") for task in tasks]
        return [(None, "stopped after 60 s") for _ in tasks]

    members = find_groups([net(), net().supercell((2, 1, 1)), net("Cd")], call=call)
    assert members[0].group == members[1].group != members[2].group
    assert "stopped after 60 s" in members[0].note and members[2].note == ""


@pytest.mark.parametrize(
    ("n", "pairs", "groups"),
    [
        (3, [], [0, 1, 2]),
        (5, [(3, 4), (1, 3)], [0, 1, 2, 1, 1]),
        (6, [(4, 5), (0, 1), (1, 4)], [0, 0, 1, 2, 0, 0]),
    ],
)
def test_pairs_make_groups(n, pairs, groups):
    assert joined(n, pairs).tolist() == groups
    assert joined(n, [(b, a) for a, b in reversed(pairs)]).tolist() == groups


def structures_table(structures: dict[str, Structure]) -> pd.DataFrame:
    """As :func:`poreflux.run.intake.read_structures` writes it, with a failed row."""
    rows = [
        {
            "name": name, "content_hash": s.content_hash, "status": "ok", "lengths_A": s.lengths_A,
            "angles_deg": s.angles_deg, "species": s.species, "frac": s.frac.ravel(),
            "listed": s.listed,
        }
        for name, s in structures.items()
    ]  # fmt: skip
    return pd.DataFrame([*rows, {"name": "bad", "content_hash": "", "status": "failed"}])


def test_the_table_of_groups_is_kept_for_the_same_contents(tmp_path, monkeypatch):
    table = structures_table(
        {"a": net(), "b": net("Cd"), "c": net().supercell((2, 1, 1)), "d": net()}
    )
    store = Store(tmp_path)
    found = group_table(table, store=store)
    assert tuple(found.columns) == GROUP_COLUMNS and found["name"].tolist() == ["a", "b", "c", "d"]
    first, other, again, copy = found["group"]
    assert first == again == copy != other
    assert found["framework"].tolist()[0] == found["framework"].tolist()[2] != ""
    assert store.get(group_ingredients(found["content_hash"]))

    def nothing_is_left_to_do(*_, **__):
        raise AssertionError

    monkeypatch.setattr(duplicates_of_a_set, "find_groups", nothing_is_left_to_do)
    renamed = table.iloc[::-1].assign(name=[f"x{k}" for k in range(len(table))])
    kept = group_table(renamed, store=store)
    assert kept["group"].tolist() == found["group"].tolist()[::-1]


def test_what_a_limit_stopped_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates_of_a_set, "SECONDS", 0.0)
    table = structures_table({"a": net(), "b": net().supercell((2, 1, 1))})
    store = Store(tmp_path)
    found = group_table(table, store=store)
    assert found["group"].nunique() == 2 and found["note"].str.contains("stopped after").all()
    assert store.get(group_ingredients(found["content_hash"])) is None


def test_a_set_without_a_sound_structure_has_an_empty_table(tmp_path):
    found = group_table(structures_table({}), store=Store(tmp_path))
    assert found.empty and tuple(found.columns) == GROUP_COLUMNS
