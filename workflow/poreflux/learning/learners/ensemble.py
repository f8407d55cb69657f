"""Gaussian processes and boosted trees together, settled by folds of the training rows alone.

The two err differently: a process is smooth, trees follow thresholds. What they weigh in the mean,
and how the trees are built, is chosen by nested validation: five folds of the draw's training and
validation rows, so that neither its test share nor any structure outside the draw has a say.

References
----------
D. H. Wolpert, Neural Networks 5 (1992) 241 (stacked generalisation).
L. Breiman, Machine Learning 24 (1996) 49 (weights that are not negative).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from poreflux.base.random_stream import seed_from
from poreflux.learning.container import as_array, pack, unpack
from poreflux.learning.learners import gp as gaussian
from poreflux.learning.learners import xgboost as xgb
from poreflux.learning.splits import Split

FOLDS = 5
# Trees to choose among: shallow, the standing choice, deep; (depth, rounds, learning rate).
TREES = ((2, 300, 0.1), (3, 150, 0.1), (5, 150, 0.05))
# Of more rows the folds see so many: the choice does not gain from more.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Ensembles:
    """A stack of M pairs.

    Attributes
    ----------
    processes : gaussian.Processes
        M of them.
    boosters : xgb.Boosters
        M of them.
    shares : ndarray of float64, shape (M,)
        Weight of the process in the mean, 0 to 1.
    trees : ndarray of int64, shape (M,)
        Which of :data:`TREES` was chosen.
    """

    processes: gaussian.Processes
    boosters: xgb.Boosters
    shares: np.ndarray
    trees: np.ndarray

    def __len__(self) -> int:
        return len(self.shares)

    def select(self, which) -> Ensembles:
        """The pairs with numbers ``which``."""
        which = list(which)
        return Ensembles(
            self.processes.select(which),
            self.boosters.select(which),
            self.shares[which],
            self.trees[which],
        )

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels of ``x`` (n, d) by every pair, float64 (M, n)."""
        shares = self.shares[:, None]
        return shares * self.processes.predict(x) + (1.0 - shares) * self.boosters.predict(x)


def to_bytes(ensembles: Ensembles) -> bytes:
    """Pairs as bytes that are equal for equal pairs."""
    return pack(
        {
            "processes": as_array(gaussian.to_bytes(ensembles.processes)),
            "boosters": as_array(xgb.to_bytes(ensembles.boosters)),
            "shares": ensembles.shares,
            "trees": ensembles.trees,
        }
    )


def from_bytes(data: bytes) -> Ensembles:
    """Read what :func:`to_bytes` wrote."""
    arrays, _ = unpack(data)
    return Ensembles(
        gaussian.from_bytes(arrays["processes"].tobytes()),
        xgb.from_bytes(arrays["boosters"].tobytes()),
        arrays["shares"],
        arrays["trees"],
    )


def join(parts: Sequence[Ensembles]) -> Ensembles:
    """Stacks over the same source as one."""
    return Ensembles(
        gaussian.join([part.processes for part in parts]),
        xgb.join([part.boosters for part in parts]),
        np.concatenate([part.shares for part in parts]),
        np.concatenate([part.trees for part in parts]),
    )


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Ensembles | None = None,
    step: Callable[[int], None] = lambda n: None,
) -> Ensembles:
    """Train one pair a split, on its training and validation rows.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        The test rows are not used.
    seeds : sequence of int
        One a split: of the folds and of the trees.
    source : Ensembles, optional
        Each learner gets its own part of them as added features.
    step : callable
        Called with 1 after each pair.

    Returns
    -------
    Ensembles
    """
    sources = (source.processes, source.boosters) if source else (None, None)
    pairs = []
    for part, seed in zip(splits, seeds, strict=True):
        rows = np.sort(np.concatenate([part.train, part.validation]))
        trees, share = _chosen(x, y, rows, seed, *sources)
        whole = [Split(rows, rows[:0], rows[:0])]
        pairs.append(
            Ensembles(
                gaussian.fit(x, y, whole, seeds=[seed], source=sources[0]),
                xgb.fit(x, y, whole, seeds=[seed], source=sources[1], trees=TREES[trees]),
                np.array([share]),
                np.array([trees]),
            )
        )
        step(1)
    return join(pairs)


def _chosen(x, y, rows, seed, process_source, tree_source) -> tuple[int, float]:
    """Which trees, and the weight of the process beside them, by folds of ``rows``."""
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "inner folds")))
    some = stream.permutation(rows)[:MOST_ROWS]
    folds = np.arange(len(some)) % min(FOLDS, len(some))
    splits = [
        Split(np.sort(some[folds != k]), some[:0], some[folds == k]) for k in range(folds.max() + 1)
    ]
    seeds = [seed_from(seed, "fold", k) for k in range(len(splits))]

    def held_out(model) -> np.ndarray:
        return np.concatenate(
            [
                model.select([k]).predict(x[split.test])[0]
                for k, split in enumerate(splits)
            ]
        )  # fmt: skip

    labels = np.concatenate([y[split.test] for split in splits])
    smooth = held_out(gaussian.fit(x, y, splits, seeds=seeds, source=process_source))
    stepped = [
        held_out(xgb.fit(x, y, splits, seeds=seeds, source=tree_source, trees=t)) for t in TREES
    ]
    trees = int(np.argmin([np.square(p - labels).mean() for p in stepped]))
    return trees, best_share(smooth, stepped[trees], labels)


def best_share(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> float:
    """The weight (0 to 1) of ``first`` in the mean with the least squared error, arrays (n,)."""
    difference = first - second
    scale = float(difference @ difference)
    if scale == 0.0:
        return 0.5
    return float(np.clip(difference @ (labels - second) / scale, 0.0, 1.0))
