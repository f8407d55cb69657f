"""Who learns from what: random draws of MOFs, and their split into train, validation and test.

Every draw has its own stream of random numbers, derived from the seed, the size and the number
of the draw: no draw depends on how many others there are or in which order they are made.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from poreflux.base.errors import DataError
from poreflux.base.random_stream import seed_from

logger = logging.getLogger(__name__)

# Train, validation and test shares of Lim & Kim 2022.
FRACTIONS = (0.72, 0.08, 0.20)


@dataclass(frozen=True)
class Split:
    """Row numbers of one split: three disjoint int64 arrays, each sorted."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def content_seed(seed: int, content_hashes: Iterable[str]) -> int:
    """A seed that depends on the user's seed and on which structures there are, not their order.

    Parameters
    ----------
    seed : int
        The seed of the configuration.
    content_hashes : iterable of str
        One hash per structure, in any order.

    Returns
    -------
    int
        In [0, 2**64).
    """
    return seed_from(seed, *sorted(content_hashes))


def split(
    n: int,
    seed: int,
    fractions: tuple[float, float, float] = FRACTIONS,
    groups: np.ndarray | None = None,
) -> Split:
    """Split ``n`` rows at random into train, validation and test.

    Parameters
    ----------
    n : int
        Number of rows.
    seed : int
        Equal seeds give equal splits.
    fractions : tuple of 3 floats
        Shares of train, validation and test; they sum to one.
    groups : ndarray of int (n,), optional
        Rows of equal numbers stay together. By default each row goes where it falls, as it does
        where all numbers differ.

    Returns
    -------
    Split
        Validation and test hold the rounded shares (at least one row each), train the rest; or as
        near as whole groups allow.

    Raises
    ------
    DataError
        If ``n``, or the number of groups, is too small to leave a row in each part.
    """
    if min(fractions) <= 0 or not np.isclose(sum(fractions), 1.0):
        raise ValueError(f"fractions must be positive and sum to one, got {fractions}")
    n_validation, n_test = (max(1, round(n * share)) for share in fractions[1:])
    n_train = n - n_validation - n_test
    if n_train < 1:
        raise DataError(f"{n} rows are too few for a train, validation and test split (at least 3)")
    bags = _Bags(np.arange(n) if groups is None else groups)
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(bags))
    train, order = bags.take(order, n_train, leave=2)
    validation, test = bags.take(order, n_validation, leave=1)
    if not (len(train) and len(validation) and len(test)):
        raise DataError(
            f"{n} rows in {len(bags)} groups of near duplicates cannot be split into train, "
            "validation and test; label more structures, or set learning.splits to random"
        )
    return Split(*(bags.rows(part) for part in (train, validation, test)))


def group_numbers(
    content_hashes: Iterable[str], groups: Mapping[str, int] | None
) -> np.ndarray | None:
    """The group of each structure, as :func:`split` and :func:`draws` take it.

    Parameters
    ----------
    content_hashes : sequence of str, length n
    groups : mapping of str to int, or None
        By content hash; structures that it does not know are alone.

    Returns
    -------
    ndarray of int64, shape (n,), or None
        Equal numbers are one group; groups are numbered in order of their first structure.
        None where no groups are known.
    """
    if groups is None:
        return None
    numbers: dict[Hashable, int] = {}
    names = [groups.get(each, each) for each in content_hashes]
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


class _Bags:
    """Rows that stay together, a bag per group, numbered in the order of their first rows."""

    def __init__(self, groups: np.ndarray):
        first, which = np.unique(groups, return_index=True, return_inverse=True)[1:]
        # the order of rows counts, not what the groups are called
        self._which = np.argsort(np.argsort(first))[which]
        self.sizes = np.bincount(self._which)

    def __len__(self) -> int:
        return len(self.sizes)

    def rows(self, bags: np.ndarray) -> np.ndarray:
        """Row numbers in some bags, sorted."""
        return np.flatnonzero(np.isin(self._which, bags))

    def take(self, order: np.ndarray, wanted: int, leave: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Take bags that hold ``wanted`` rows together, or as near to it as can be.

        Parameters
        ----------
        order : ndarray of int
            Bags to take from; what comes first is taken first, where the rest can make up the sum.
        wanted : int
            Rows.
        leave : int
            The rows of so many bags are left over, if need be at the cost of the number.

        Returns
        -------
        taken, left : ndarrays of int
        """
        sizes = self.sizes[order].tolist()
        # one bag too many is the farthest that the nearest sum lies above
        most = min(sum(sizes) - sum(sorted(sizes)[:leave]), wanted + max(sizes, default=0))
        # the last but k, bit s: some of the bags from the k-th on hold s rows
        sums = [1]
        for size in reversed(sizes):
            sums.append((sums[-1] | sums[-1] << size) & ((2 << most) - 1))
        possible = [s for s in range(1, most + 1) if sums[-1] >> s & 1]
        remaining = min(possible, key=lambda s: (abs(s - wanted), s), default=0)
        taken = np.zeros(len(order), bool)
        for k, size in enumerate(sizes):
            if size <= remaining and sums[-2 - k] >> (remaining - size) & 1:
                taken[k] = True
                remaining -= size
        return order[taken], order[~taken]


def draws(
    n_total: int,
    size: int,
    n_draws: int,
    seed: int,
    *,
    fractions: tuple[float, float, float] = FRACTIONS,
    same_members: bool = False,
    groups: np.ndarray | None = None,
) -> list[Split]:
    """Draw ``size`` of ``n_total`` rows at random, ``n_draws`` times, and split each draw.

    Parameters
    ----------
    n_total : int
        Number of rows to draw from.
    size : int
        Rows in a draw.
    n_draws : int
        Number of draws; draw ``k`` is the same whatever ``n_draws`` is.
    seed : int
        Equal seeds give equal draws.
    fractions : tuple of 3 floats
        Shares of train, validation and test.
    same_members : bool
        Keep the rows of draw 0 in every draw and only split them anew, as the released code of
        Lim & Kim 2022 does; the default draws anew, as their text says.
    groups : ndarray of int (n_total,), optional
        Rows of equal numbers are in a draw together or not at all, and in one part of it. A draw
        is then as near to ``size`` as whole groups allow; a warning says so where it is not met.

    Returns
    -------
    list of Split
        ``n_draws`` splits with row numbers into ``range(n_total)``.

    Raises
    ------
    DataError
        If ``size`` exceeds ``n_total``.
    """
    if size > n_total:
        raise DataError(
            f"cannot draw {size} labelled structures: only {n_total} are available; "
            f"ask for a size of at most {n_total} or label more structures"
        )
    bags = _Bags(np.arange(n_total) if groups is None else groups)
    result, missed = [], []
    for draw in range(n_draws):
        member_seed = seed_from(seed, "members", size, 0 if same_members else draw)
        rng = np.random.default_rng(np.random.SeedSequence(member_seed))
        members = bags.rows(bags.take(rng.permutation(len(bags)), size)[0])
        missed += [len(members)] if len(members) != size else []
        inner = None if groups is None else groups[members]
        parts = split(len(members), seed_from(seed, "split", size, draw), fractions, inner)
        result.append(Split(members[parts.train], members[parts.validation], members[parts.test]))
    if missed:
        logger.warning(
            "%d of %d draws hold %d to %d structures, not %d: near duplicates stay together",
            len(missed), n_draws, min(missed), max(missed), size,
        )  # fmt: skip
    return result


def grouped_folds(
    groups: Sequence[str], n_folds: int, seed: int, *, n_repeats: int = 1
) -> np.ndarray:
    """Fold numbers for cross-validation in which no group is ever split.

    Parameters
    ----------
    groups : sequence of str, length n
        The group of each row: an article, a synthesis condition.
    n_folds : int
        Folds; each has as many groups as the next, or one more. With fewer groups than folds
        every group is a fold.
    seed : int
        Equal seeds give equal folds.
    n_repeats : int
        Times that the groups are dealt anew.

    Returns
    -------
    ndarray of int64, shape (n_repeats, n)
        Number of the fold of each row. It depends on the names of the groups, not on the order
        of rows; repeat ``k`` is the same whatever ``n_repeats`` is.

    Raises
    ------
    DataError
        If there are fewer than two groups.
    """
    names, which = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"cross-validation needs at least 2 groups of rows, got {len(names)}: "
            "no fold could be held out"
        )
    dealt = np.arange(len(names)) % min(n_folds, len(names))
    result = np.empty((n_repeats, len(which)), dtype=np.int64)
    for repeat in range(n_repeats):
        stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "folds", repeat)))
        result[repeat] = stream.permutation(dealt)[which]
    return result


def leave_one_group_out(groups: Sequence[str]) -> np.ndarray:
    """Fold numbers (1, n), each group a fold of its own, in the order of their names."""
    return np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1][None, :]
