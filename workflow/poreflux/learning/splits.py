"""Who learns from what: random draws of MOFs, and their split into train, validation and test.

Every draw has its own stream of random numbers, derived from the seed, the size and the number
of the draw: no draw depends on how many others there are or in which order they are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from poreflux.base.errors import DataError
from poreflux.base.random_stream import seed_from

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


def split(n: int, seed: int, fractions: tuple[float, float, float] = FRACTIONS) -> Split:
    """Split ``n`` rows at random into train, validation and test.

    Parameters
    ----------
    n : int
        Number of rows.
    seed : int
        Equal seeds give equal splits.
    fractions : tuple of 3 floats
        Shares of train, validation and test; they sum to one.

    Returns
    -------
    Split
        Validation and test hold the rounded shares (at least one row each), train the rest.

    Raises
    ------
    DataError
        If ``n`` is too small to leave a row in each part.
    """
    if min(fractions) <= 0 or not np.isclose(sum(fractions), 1.0):
        raise ValueError(f"fractions must be positive and sum to one, got {fractions}")
    n_validation, n_test = (max(1, round(n * share)) for share in fractions[1:])
    n_train = n - n_validation - n_test
    if n_train < 1:
        raise DataError(f"{n} rows are too few for a train, validation and test split (at least 3)")
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(n)
    train, validation, test = np.split(order, [n_train, n_train + n_validation])
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def draws(
    n_total: int,
    size: int,
    n_draws: int,
    seed: int,
    *,
    fractions: tuple[float, float, float] = FRACTIONS,
    same_members: bool = False,
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
    result = []
    for draw in range(n_draws):
        member_seed = seed_from(seed, "members", size, 0 if same_members else draw)
        rng = np.random.default_rng(np.random.SeedSequence(member_seed))
        members = np.sort(rng.permutation(n_total)[:size])
        parts = split(size, seed_from(seed, "split", size, draw), fractions)
        result.append(Split(members[parts.train], members[parts.validation], members[parts.test]))
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
