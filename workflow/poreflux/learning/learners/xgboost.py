"""Gradient-boosted trees beside the network: direct, and with the source model as a feature.

Trees have no layer to freeze. Transfer hands the source model's knowledge over as a feature: the
uptake that a model trained on the source predicts for the target structure. The weighted
refitting of Du 2025 is another way, see :mod:`poreflux.learning.learners.xgboost_weighted`.

References
----------
T. Chen, C. Guestrin, KDD 2016, doi:10.1145/2939672.2939785 (XGBoost).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xgboost

from poreflux.base.random_stream import seed_from
from poreflux.learning.boosting import train
from poreflux.learning.container import as_array, pack, unpack
from poreflux.learning.splits import Split

_PARAMETERS = {"min_child_weight": 3, "subsample": 0.7, "colsample_bytree": 0.5}
# Depth, rounds and learning rate.
_TREES = (3, 150, 0.1)


@dataclass(frozen=True)
class Boosters:
    """A stack of M boosters.

    Attributes
    ----------
    models : tuple of bytes
        XGBoost's own binary form, one a booster.
    source : Boosters or None
        Their predictions are the last features of every booster.
    """

    models: tuple[bytes, ...]
    source: Boosters | None = None

    def __len__(self) -> int:
        return len(self.models)

    def select(self, which) -> Boosters:
        """The boosters with numbers ``which``."""
        return Boosters(tuple(self.models[i] for i in which), self.source)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels of ``x`` (n, d) by every booster, float64 (M, n)."""
        x = _with_source(self.source, x)
        return np.stack([b.inplace_predict(x) for b in self._loaded]).astype(np.float64)

    @cached_property
    def _loaded(self) -> list[xgboost.Booster]:
        return [xgboost.Booster({"nthread": 1}, model_file=bytearray(m)) for m in self.models]


def to_bytes(boosters: Boosters) -> bytes:
    """Boosters as bytes that are equal for equal boosters."""
    # Trees are full of zeros and shrink several times over, unlike the weights of a network.
    arrays = {
        f"model_{i:05d}": as_array(zlib.compress(model)) for i, model in enumerate(boosters.models)
    }
    if boosters.source is not None:
        arrays["source"] = as_array(to_bytes(boosters.source))
    return pack(arrays)


def from_bytes(data: bytes) -> Boosters:
    """Read what :func:`to_bytes` wrote."""
    arrays, _ = unpack(data)
    source = arrays.pop("source", None)
    models = tuple(zlib.decompress(arrays[name].tobytes()) for name in sorted(arrays))
    return Boosters(models, None if source is None else from_bytes(source.tobytes()))


def join(parts: Sequence[Boosters]) -> Boosters:
    """Stacks over the same source as one."""
    return Boosters(tuple(m for part in parts for m in part.models), parts[0].source)


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Boosters | None = None,
    step: Callable[[int], None] = lambda n: None,
    trees: tuple[int, int, float] = _TREES,
) -> Boosters:
    """Train one booster a split, on its training rows alone.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        Only ``train`` is used: the number of rounds is fixed, so that the validation rows stay
        unseen.
    seeds : sequence of int
        One a split.
    source : Boosters, optional
        Each one's prediction becomes an added feature.
    step : callable
        Called with 1 after each booster.
    trees : tuple
        Depth, rounds and learning rate.

    Returns
    -------
    Boosters
    """
    x = _with_source(source, x)
    depth, rounds, rate = trees
    shape = _PARAMETERS | {"max_depth": depth, "learning_rate": rate}
    models = []
    for part, seed in zip(splits, seeds, strict=True):
        # XGBoost takes seeds of 32 bits.
        parameters = shape | {"seed": seed_from(seed, "xgboost") >> 33}
        booster = train(x[part.train], y[part.train], parameters, rounds)
        models.append(bytes(booster.save_raw("ubj")))
        step(1)
    return Boosters(tuple(models), source)


def _with_source(source: Boosters | None, x: np.ndarray) -> np.ndarray:
    return x if source is None else np.hstack([x, source.predict(x).T])
