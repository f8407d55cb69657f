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
