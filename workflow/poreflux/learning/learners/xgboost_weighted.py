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
from poreflux.learning.boosting import Structure
from poreflux.learning.container import as_array, pack, unpack
from poreflux.learning.learners import xgboost as xgb
from poreflux.learning.splits import Split
from poreflux.learning.variants import Pretrained, Rows, Settings, Task, pretrain
from poreflux.learning.variants import fit as fit_variant

# Target rows are few: a few folds and weights a decade apart are all that they can tell apart.
SETTINGS = Settings(
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
class Source:
    """What a source model hands over.

    Attributes
    ----------
    x : ndarray of float32, shape (n, d)
        Its training rows, at most :data:`MOST_SOURCE_ROWS` drawn at random.
    y : ndarray of float64, shape (n,)
        Their labels.
    structure : Structure
        Chosen by cross-validation on all of its training rows.
    """

    x: np.ndarray
    y: np.ndarray
    structure: Structure


@dataclass(frozen=True)
class Weighted:
    """A stack of boosters; a stack of one trained directly keeps what makes it a source."""

    boosters: xgb.Boosters
    source: Source | None = None

    def __len__(self) -> int:
        return len(self.boosters)

    def select(self, which) -> Weighted:
        """The boosters with numbers ``which``."""
        return Weighted(self.boosters.select(which))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels of ``x`` (n, d) by every booster, float64 (M, n)."""
        return self.boosters.predict(x)


def to_bytes(model: Weighted) -> bytes:
    """A stack as bytes that are equal for equal stacks."""
    arrays = {"boosters": as_array(xgb.to_bytes(model.boosters))}
    meta = {}
    if model.source is not None:
        arrays |= {"x": model.source.x, "y": model.source.y}
        meta = {"structure": vars(model.source.structure)}
    return pack(arrays, meta)


def from_bytes(data: bytes) -> Weighted:
    """Read what :func:`to_bytes` wrote."""
    arrays, meta = unpack(data)
    boosters = xgb.from_bytes(arrays["boosters"].tobytes())
    if not meta:
        return Weighted(boosters)
    return Weighted(boosters, Source(arrays["x"], arrays["y"], Structure(**meta["structure"])))


def join(parts: Sequence[Weighted]) -> Weighted:
    """Stacks as one."""
    return Weighted(xgb.join([part.boosters for part in parts]))


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Weighted | None = None,
    step: Callable[[int], None] = lambda n: None,
) -> Weighted:
    """Train one booster a split, on its training rows alone or with those of a source.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        Only ``train`` is used; what has to be chosen is chosen by folds of it.
    seeds : sequence of int
        One a split: of the folds and of the interpolated rows.
    source : Weighted, optional
        A stack of one, trained directly.
    step : callable
        Called with 1 after each booster.

    Returns
    -------
    Weighted
    """
    models, kept = [], None
    for part, seed in zip(splits, seeds, strict=True):
        own = _rows(x[part.train], y[part.train])
        if source is None:
            learnt = pretrain(own, SETTINGS, seed)
            model, kept = learnt.model, _as_source(own, learnt, seed)
        else:
            literature = _rows(source.source.x, _on_scale(source, own))
            given = Pretrained(source.source.structure, np.nan, None)
            task = Task(literature, own, given, SETTINGS, seed)
            model = fit_variant("transfer_augmentation", task)
        models.append(bytes(model.booster.save_raw("ubj")))
        step(1)
    return Weighted(xgb.Boosters(tuple(models)), kept if len(models) == 1 else None)


def _rows(x: np.ndarray, y: np.ndarray) -> Rows:
    """Rows without categories, each a group of its own."""
    nothing = np.empty((len(x), 0), dtype=str)
    return Rows(np.asarray(x, dtype=np.float64), nothing, y, np.arange(len(x)).astype(str))


def _as_source(rows: Rows, learnt: Pretrained, seed: int) -> Source:
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "source rows")))
    some = np.sort(stream.permutation(len(rows))[:MOST_SOURCE_ROWS])
    return Source(rows.numbers[some].astype(np.float32), rows.y[some], learnt.structure)


def _on_scale(source: Weighted, own: Rows) -> np.ndarray:
    """The source's labels brought to the scale of the target's training labels."""
    predicted = source.predict(own.numbers)[0]
    if np.ptp(predicted) == 0.0:
        return np.full(len(source.source.y), own.y.mean())
    slope, offset = np.polyfit(predicted, own.y, 1)
    return offset + slope * source.source.y
