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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import xgboost

from poreflux.base.random_stream import seed_from
from poreflux.learning.boosting import train
from poreflux.learning.container import as_array
from poreflux.learning.splits import Split
from poreflux.learning.stack import MemberStack, with_predictions

LEARNER = {"packages": ("xgboost-cpu",)}

_PARAMETERS = {"min_child_weight": 3, "subsample": 0.7, "colsample_bytree": 0.5}
# Depth, rounds and learning rate.
_TREES = (3, 150, 0.1)


@dataclass(frozen=True)
class StoredBooster:
    """One booster.

    Attributes
    ----------
    model : bytes
        XGBoost's own binary form.
    """

    model: bytes

    @classmethod
    def of(cls, booster: xgboost.Booster) -> Self:
        """A trained booster in its stored form."""
        return cls(bytes(booster.save_raw("ubj")))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (n,), float32, of features (n, d)."""
        return self._loaded.inplace_predict(x)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The model, compressed."""
        # Trees are full of zeros and shrink several times over, unlike the weights of a network.
        return {"model": as_array(zlib.compress(self.model))}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The booster that :meth:`arrays` gave."""
        return cls(zlib.decompress(arrays["model"].tobytes()))

    @cached_property
    def _loaded(self) -> xgboost.Booster:
        return xgboost.Booster({"nthread": 1}, model_file=bytearray(self.model))


class Boosters(MemberStack):
    """A stack of M boosters."""

    member = StoredBooster


from_bytes = Boosters.from_bytes


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
    """Train one booster per split, on its training rows alone.

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
        One per split.
    source : Boosters, optional
        The prediction of each becomes an added feature.
    step : callable
        Called with 1 after each booster.
    trees : tuple
        Depth, rounds and learning rate.

    Returns
    -------
    Boosters
    """
    x = with_predictions(x, source)
    depth, rounds, rate = trees
    shape = _PARAMETERS | {"max_depth": depth, "learning_rate": rate}
    members = []
    for part, seed in zip(splits, seeds, strict=True):
        # XGBoost takes seeds of 32 bits.
        parameters = shape | {"seed": seed_from(seed, "xgboost") >> 33}
        booster = train(x[part.train], y[part.train], parameters, rounds)
        members.append(StoredBooster.of(booster))
        step(1)
    return Boosters(tuple(members), source)
