"""Gradient-boosted trees refitted on source and target rows together, target rows weighted.

The transfer of Du 2025, made for one quantity in two tables, here from one quantity to another:
the uptake of the source structures to the diffusivity of the target's. Source labels are first
brought to the target's scale by a straight line, the regression of the target's training labels
on what the source model predicts for them. Then the structure of the trees is the source
model's, chosen by cross-validation on the source, and their splits are refitted on both tables
and on rows interpolated between target rows, with the weight of a target row chosen in an inner
loop over the training rows.

References
----------
Y. Du, Nano Trends 12 (2025) 100153, doi:10.1016/j.nwnano.2025.100153.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from poreflux.base.random_stream import seed_from
from poreflux.learning.boosting import TreeStructure
from poreflux.learning.container import as_array, pack, unpack
from poreflux.learning.learners import xgboost
from poreflux.learning.splits import Split
from poreflux.learning.stack import Stack
from poreflux.learning.variants import (
    LiteratureModel,
    Rows,
    TransferSettings,
    TransferTask,
    pretrain,
)
from poreflux.learning.variants import fit as fit_variant

# It refits on the rows of one source: a model of one label.
LEARNER = {"packages": ("xgboost-cpu",), "joins_sources": False}

# Target rows are few: a few folds and weights a decade apart are all that they can tell apart.
SETTINGS = TransferSettings(
    max_depths=(2, 3, 4),
    max_trees=200,
    tuning_repeats=1,
    weights=(1.0, 10.0, 100.0, 1000.0),
    inner_folds=4,
    per_row=1,
)
# Source rows that stand beside a hundred target rows: more cost time and are outweighed anyway.
MOST_SOURCE_ROWS = 2000


@dataclass(frozen=True)
class SourceRows:
    """What a source model hands over.

    Attributes
    ----------
    x : ndarray of float32, shape (n, d)
        Its training rows, at most :data:`MOST_SOURCE_ROWS` drawn at random.
    y : ndarray of float64, shape (n,)
        Their labels.
    structure : TreeStructure
        Chosen by cross-validation on all of its training rows.
    """

    x: np.ndarray
    y: np.ndarray
    structure: TreeStructure


@dataclass(frozen=True)
class Weighted(Stack):
    """A stack of boosters; a stack of one trained directly keeps what makes it a source."""

    boosters: xgboost.Boosters
    source: SourceRows | None = None

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.boosters.predict(x)

    def select(self, which: Sequence[int]) -> Weighted:
        return Weighted(self.boosters.select(which))

    @classmethod
    def join(cls, parts: Sequence[Weighted]) -> Weighted:
        return cls(xgboost.Boosters.join([part.boosters for part in parts]))

    def to_bytes(self) -> bytes:
        arrays = {"boosters": as_array(self.boosters.to_bytes())}
        if self.source is None:
            return pack(arrays)
        arrays |= {"x": self.source.x, "y": self.source.y}
        return pack(arrays, {"structure": vars(self.source.structure)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Weighted:
        arrays, meta = unpack(data)
        boosters = xgboost.Boosters.from_bytes(arrays["boosters"].tobytes())
        if not meta:
            return cls(boosters)
        structure = TreeStructure(**meta["structure"])
        return cls(boosters, SourceRows(arrays["x"], arrays["y"], structure))


from_bytes = Weighted.from_bytes


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Weighted | None = None,
    step: Callable[[int], None] = lambda n: None,
) -> Weighted:
    """Train one booster per split, on its training rows alone or with those of a source.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        Only ``train`` is used; what has to be chosen is chosen by folds of it.
    seeds : sequence of int
        One per split: of the folds and of the interpolated rows.
    source : Weighted, optional
        A stack of one, trained directly.
    step : callable
        Called with 1 after each booster.

    Returns
    -------
    Weighted
    """
    boosters, kept = [], None
    for part, seed in zip(splits, seeds, strict=True):
        own = _rows(x[part.train], y[part.train])
        if source is None:
            learnt = pretrain(own, SETTINGS, seed)
            model, kept = learnt.model, _as_source(own, learnt, seed)
        else:
            literature = _rows(source.source.x, _on_scale(source, own))
            given = LiteratureModel(source.source.structure, np.nan, None)
            task = TransferTask(literature, own, given, SETTINGS, seed)
            model = fit_variant("transfer_augmentation", task)
        boosters.append(xgboost.StoredBooster.of(model.booster))
        step(1)
    return Weighted(xgboost.Boosters(tuple(boosters)), kept if len(boosters) == 1 else None)


def _rows(x: np.ndarray, y: np.ndarray) -> Rows:
    """Rows without categories, each a group of its own."""
    nothing = np.empty((len(x), 0), dtype=str)
    return Rows(np.asarray(x, dtype=np.float64), nothing, y, np.arange(len(x)).astype(str))


def _as_source(rows: Rows, learnt: LiteratureModel, seed: int) -> SourceRows:
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "source rows")))
    some = np.sort(stream.permutation(len(rows))[:MOST_SOURCE_ROWS])
    return SourceRows(rows.numbers[some].astype(np.float32), rows.y[some], learnt.structure)


def _on_scale(source: Weighted, own: Rows) -> np.ndarray:
    """The source's labels brought to the scale of the target's training labels."""
    predicted = source.predict(own.numbers)[0]
    if np.ptp(predicted) == 0.0:
        return np.full(len(source.source.y), own.y.mean())
    slope, offset = np.polyfit(predicted, own.y, 1)
    return offset + slope * source.source.y
