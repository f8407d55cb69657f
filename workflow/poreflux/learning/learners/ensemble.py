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
from poreflux.learning.learners import gp, xgboost
from poreflux.learning.splits import Split
from poreflux.learning.stack import Stack

LEARNER = {"packages": ("scikit-learn", "xgboost-cpu")}

FOLDS = 5
# Trees to choose among: shallow, the standing choice, deep; (depth, rounds, learning rate).
TREES = ((2, 300, 0.1), (3, 150, 0.1), (5, 150, 0.05))
# Of more rows the folds see so many: the choice does not gain from more.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Pairs(Stack):
    """A stack of M pairs of a process and a booster.

    Attributes
    ----------
    processes : gp.Processes
        M of them.
    boosters : xgboost.Boosters
        M of them.
    shares : ndarray of float64, shape (M,)
        Weight of the process in the mean, 0 to 1.
    trees : ndarray of int64, shape (M,)
        Which of :data:`TREES` was chosen.
    """

    processes: gp.Processes
    boosters: xgboost.Boosters
    shares: np.ndarray
    trees: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        shares = self.shares[:, None]
        return shares * self.processes.predict(x) + (1.0 - shares) * self.boosters.predict(x)


from_bytes = Pairs.from_bytes


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Pairs | None = None,
    step: Callable[[int], None] = lambda n: None,
) -> Pairs:
    """Train one pair per split, on its training and validation rows.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        The test rows are not used.
    seeds : sequence of int
        One per split: of the folds and of the trees.
    source : Pairs, optional
        Each learner gets its own part of them as added features.
    step : callable
        Called with 1 after each pair.

    Returns
    -------
    Pairs
    """
    sources = (source.processes, source.boosters) if source else (None, None)
    pairs = []
    for part, seed in zip(splits, seeds, strict=True):
        rows = np.sort(np.concatenate([part.train, part.validation]))
        trees, share = _chosen(x, y, rows, seed, *sources)
        whole = [Split(rows, rows[:0], rows[:0])]
        pairs.append(
            Pairs(
                gp.fit(x, y, whole, seeds=[seed], source=sources[0]),
                xgboost.fit(x, y, whole, seeds=[seed], source=sources[1], trees=TREES[trees]),
                np.array([share]),
                np.array([trees]),
            )
        )
        step(1)
    return Pairs.join(pairs)


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
    smooth = held_out(gp.fit(x, y, splits, seeds=seeds, source=process_source))
    stepped = [
        held_out(xgboost.fit(x, y, splits, seeds=seeds, source=tree_source, trees=t)) for t in TREES
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
