import numpy as np
import pytest

from poreflux.base.errors import DataError
from poreflux.learning.splits import content_seed, draws, split


@pytest.mark.parametrize(("n", "sizes"), [(100, (72, 8, 20)), (300, (216, 24, 60)), (3, (1, 1, 1))])
def test_split_is_a_partition_72_8_20(n, sizes):
    parts = split(n, seed=1)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == sizes
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together) == list(range(n))


def test_split_needs_a_row_in_each_part():
    with pytest.raises(DataError, match="2 rows are too few"):
        split(2, seed=1)


def test_a_draw_does_not_depend_on_the_others():
    many, few = draws(500, 80, 6, seed=3), draws(500, 80, 2, seed=3)
    for a, b in zip(many[:2], few, strict=True):
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


def members(part):
    return set(np.concatenate([part.train, part.validation, part.test]).tolist())


def test_draws_differ_in_members_unless_asked_not_to():
    free = draws(500, 80, 10, seed=3)
    assert all(len(members(d)) == 80 for d in free)
    # 80 of 500 at random share 12.8 with another draw on average.
    shared = [len(members(free[0]) & members(d)) for d in free[1:]]
    assert 6 < np.mean(shared) < 20
    kept = draws(500, 80, 10, seed=3, same_members=True)
    assert len({frozenset(members(d)) for d in kept}) == 1
    assert len({tuple(d.test) for d in kept}) == 10


def test_every_row_is_drawn_about_equally_often():
    counts = np.zeros(50)
    for part in draws(50, 10, 400, seed=0):
        counts[list(members(part))] += 1
    # Binomial: 80 +- 8.
    assert abs(counts.mean() - 80) < 1e-9 and counts.std() < 14


def test_draw_larger_than_the_labels_names_both_numbers():
    with pytest.raises(DataError, match=r"cannot draw 80.*only 60"):
        draws(60, 80, 1, seed=0)


def test_content_seed_knows_content_but_not_order():
    assert content_seed(1, ["a", "b"]) == content_seed(1, ["b", "a"])
    assert content_seed(1, ["a", "b"]) != content_seed(1, ["ab"])
    assert content_seed(1, ["a", "b"]) != content_seed(2, ["a", "b"])


# Of 300 rows: 40 pairs, ten groups of 5, one of 30, and 140 that are alone.
GROUPS = np.random.default_rng(8).permutation(
    np.concatenate([np.repeat(np.arange(40), 2), np.repeat(np.arange(40, 50), 5), [50] * 30,
                    np.arange(51, 191)])
)  # fmt: skip


def whole(rows, groups):
    """Whether rows hold whole groups alone."""
    inside = np.isin(np.arange(len(groups)), rows)
    return all(inside[groups == g].all() or not inside[groups == g].any() for g in set(groups))


def test_groups_stay_together_and_sizes_are_met():
    for size in (30, 100, 250):
        for draw in draws(300, size, 20, seed=2, groups=GROUPS):
            test, validation = round(0.20 * size), round(0.08 * size)
            parts = (draw.train, draw.validation, draw.test)
            assert all(whole(part, GROUPS) for part in parts)
            assert len(members(draw)) == size
            assert [len(p) for p in parts] == [size - validation - test, validation, test]


def test_a_group_is_drawn_as_often_as_any_row():
    """The large group of 30 is in a draw of 100 of 300 about each third time."""
    found = [whole_in(d, 50) for d in draws(300, 100, 300, seed=0, groups=GROUPS)]
    # binomial: 100 +- 8
    assert 60 < sum(found) < 140


def whole_in(draw, group):
    return np.flatnonzero(GROUPS == group)[0] in members(draw)


def test_rows_that_are_all_alone_are_drawn_as_without_groups():
    free = draws(500, 80, 3, seed=3)
    alone = draws(500, 80, 3, seed=3, groups=np.random.default_rng(0).permutation(500))
    for a, b in zip(free, alone, strict=True):
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


def test_groups_count_by_their_rows_not_their_numbers():
    renamed = np.array([97, 13, 41])[np.unique(GROUPS % 3, return_inverse=True)[1]] + GROUPS * 1000
    for a, b in zip(
        draws(300, 80, 3, seed=3, groups=GROUPS),
        draws(300, 80, 3, seed=3, groups=renamed),
        strict=True,
    ):
        np.testing.assert_array_equal(a.test, b.test)
        np.testing.assert_array_equal(a.train, b.train)


def test_a_size_that_cannot_be_met_is_near_and_said(caplog):
    sevens = np.repeat(np.arange(10), 7)
    found = draws(70, 30, 4, seed=1, groups=sevens)
    # 28 is nearer than 35; 21 of them to train would leave nothing for one of the other parts
    assert {tuple(map(len, (d.train, d.validation, d.test))) for d in found} == {(14, 7, 7)}
    assert "4 of 4 draws hold 28 to 28 structures, not 30" in caplog.text


def test_too_few_groups_cannot_be_split():
    with pytest.raises(DataError, match="20 rows in 2 groups of near duplicates"):
        split(20, seed=1, groups=np.repeat([4, 2], 10))


def test_nearest_sum_is_found_by_trying_all():
    """Against all subsets of small groups."""
    stream = np.random.default_rng(12)
    for trial in range(30):
        sizes = stream.integers(1, 9, size=8)
        groups, size = np.repeat(np.arange(8), sizes), int(stream.integers(10, sizes.sum()))
        sums = [sizes[np.array(list(f"{k:08b}")) == "1"].sum() for k in range(1, 256)]
        best = min(abs(s - size) for s in sums)
        try:
            (draw,) = draws(len(groups), size, 1, seed=trial, groups=groups)
        except DataError:
            continue
        assert abs(len(members(draw)) - size) == best
