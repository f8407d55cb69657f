"""Stage ``predict``: the diffusivity, or another label, of new structures from the trained models.

The prediction is the mean over the models of all draws of one (kind, learner, source), that of
:func:`poreflux.learning.choice.best_model`. Its uncertainty has two parts: the spread of the models
at that structure, which grows where they had to guess, and the errors that they made on the most
similar labelled structures that they had not seen.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from poreflux.base.errors import DataError
from poreflux.data.features import DIFFUSIVITY_UNIT_M2_S, matrix
from poreflux.data.labels import DIFFUSIVITY
from poreflux.learning.choice import best_model
from poreflux.learning.learners import get_learner
from poreflux.learning.study import scores_of
from poreflux.learning.trained import Group, TrainedSize, check_features

# Of the diffusivity; D is the median, low and high are the ends of the 90 % interval.
PREDICTION_COLUMNS = (
    "name",
    "d_m2_s",
    "log10_d_std",
    "d_low_m2_s",
    "d_high_m2_s",
    "in_domain",
    "nearest",
    "status",
    "reason",
    "model",
)
# Of labelled structures, each by the models that never saw it.
HELD_OUT_COLUMNS = (
    "name",
    "content_hash",
    "label",
    "value",
    "predicted",
    "predicted_std",
    "n_models",
    "model",
)
# Half the width of the 90 % interval of a normal distribution, in standard deviations.
HALF_WIDTH_90 = 1.6449
# A structure is in the domain if it is nearer to a training structure than this share of them is
# to its own nearest neighbour.
_DOMAIN_QUANTILE = 0.99
# So many labelled structures tell how large errors are where a new one lies.
NEIGHBOURS = 25


@dataclass(frozen=True)
class Ensemble:
    """A group of models, and the errors that it made on labelled structures.

    Attributes
    ----------
    group : Group
    excess : ndarray of float64, shape (n,)
        Per labelled structure, see :func:`held_out_excess`.
    """

    group: Group
    excess: np.ndarray

    @property
    def name(self) -> str:
        """Such as ``mlp tl uptake_100bar`` or ``xgboost dl``."""
        return self.group.name

    @property
    def noise_variance(self) -> float:
        """Mean excess over all structures, at least zero, in (log10 of D)^2."""
        return max(0.0, float(np.nanmean(self.excess)))

    def predict(
        self, x: np.ndarray, noise_variance: np.ndarray | float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (n,) of log10 of D in 1e-8 m2/s at features (n, d).

        What is added to the variance over the models is :attr:`noise_variance` if not given.
        """
        predictions = self.group.model.predict(x)
        added = self.noise_variance if noise_variance is None else noise_variance
        return _mean(predictions), np.sqrt(_variance(predictions) + added)


def choose(candidates: Sequence[TrainedSize]) -> Ensemble:
    """The group of models that :func:`poreflux.learning.choice.best_model` names.

    Parameters
    ----------
    candidates : sequence of TrainedSize
        With draws of the same structures, say of several learners.

    Returns
    -------
    Ensemble
    """
    scores = pd.concat([scores_of(trained) for trained in candidates], ignore_index=True)
    best = best_model(scores)
    trained, group = next(
        (trained, group)
        for trained in candidates
        for group in trained.groups
        if (group.kind, group.learner, group.source) == best
    )
    return Ensemble(group, held_out_excess(trained, group))


def held_out_excess(trained: TrainedSize, group: Group) -> np.ndarray:
    """Squared error of held-out ensemble means, less the variance over their models.

    Parameters
    ----------
    trained : TrainedSize
    group : Group
        One of its groups.

    Returns
    -------
    ndarray of float64, shape (n,)
        Per labelled structure, by the models that did not see it, at least two; not a number where
        there are fewer. Where every structure was seen by all models but one, the squared errors
        of single models stand in.
    """
    held_out = trained.held_out()
    least = 2 if (held_out.sum(axis=0) >= 2).any() else 1
    excess = np.full(len(trained.labels), np.nan)
    for column in np.flatnonzero(held_out.sum(axis=0) >= least):
        predictions = group.predictions[held_out[:, column], column].astype(np.float64)
        error = predictions.mean() - trained.labels[column]
        excess[column] = error**2 - float(_variance(predictions[:, None])[0])
    return excess


def local_noise(x_new: np.ndarray, x_known: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Mean excess over the labelled structures that a new one resembles most.

    Parameters
    ----------
    x_new, x_known : ndarray, shapes (n_new, d), (n_known, d)
        Features in which distances count.
    excess : ndarray, shape (n_known,)
        From :func:`held_out_excess`.

    Returns
    -------
    ndarray of float64, shape (n_new,)
        Over the nearest :data:`NEIGHBOURS`, at least zero; over all of them where there are fewer
        than twice as many.
    """
    judged = np.isfinite(excess)
    x_known, excess = x_known[judged], excess[judged]
    if len(excess) < 2 * NEIGHBOURS:
        return np.full(len(x_new), max(0.0, float(excess.mean())))
    order = np.argsort(cdist(x_new, x_known), axis=1, kind="stable")[:, :NEIGHBOURS]
    return np.maximum(0.0, excess[order].mean(axis=1))


def held_out_predictions(models: Sequence[bytes], features: pd.DataFrame) -> pd.DataFrame:
    """What the chosen models say of labelled structures that they never saw.

    Parameters
    ----------
    models : sequence of bytes
        What :func:`poreflux.learning.study.run_size` returned, once for each learner.
    features : DataFrame
        Columns name and content_hash of the labelled structures, and maybe others.

    Returns
    -------
    DataFrame
        Columns :data:`HELD_OUT_COLUMNS`, sorted by name: the label and its value as it was learnt
        (the diffusivity as log10 of D in 1e-8 m2/s), the mean over the models of all draws that
        held the structure out, the standard deviation of the true value about it, from how many
        models, and which. A structure that every draw trained or stopped on is not in it.

    Raises
    ------
    DataError
        If there is no model.
    """
    trained, ensemble = _chosen(models)
    group, held_out = ensemble.group, trained.held_out()
    rows = []
    for column in np.flatnonzero(held_out.any(axis=0)):
        predictions = group.predictions[held_out[:, column], column][:, None].astype(np.float64)
        rows.append(
            {
                "content_hash": trained.content_hashes[column],
                "label": trained.label,
                "value": float(trained.labels[column]),
                "predicted": float(_mean(predictions)[0]),
                "predicted_std": float(
                    np.sqrt(_variance(predictions)[0] + ensemble.noise_variance)
                ),
                "n_models": len(predictions),
                "model": ensemble.name,
            }
        )
    table = pd.DataFrame(rows, columns=HELD_OUT_COLUMNS[1:])
    named = features[["name", "content_hash"]].merge(table, on="content_hash")
    return named.sort_values("name", ignore_index=True)[list(HELD_OUT_COLUMNS)]


def _chosen(models: Sequence[bytes]) -> tuple[TrainedSize, Ensemble]:
    candidates = [TrainedSize.from_bytes(data) for data in models]
    if not candidates:
        raise DataError("there are no models to predict with")
    ensemble = choose(candidates)
    return next(t for t in candidates if any(g is ensemble.group for g in t.groups)), ensemble


def _mean(predictions: np.ndarray) -> np.ndarray:
    """Mean (n,) over models (M, n), summed one after the other whatever n is.

    numpy sums a single column in another order than many.
    """
    return functools.reduce(np.add, predictions) / len(predictions)


def _variance(predictions: np.ndarray) -> np.ndarray:
    """Variance (n,) over models (M, n), unbiased; zero for a single model."""
    n_models = len(predictions)
    if n_models < 2:
        return np.zeros(predictions.shape[1])
    return _mean(np.square(predictions - _mean(predictions))) * n_models / (n_models - 1)


def standardised(x: np.ndarray, x_train: np.ndarray) -> np.ndarray:
    """Features (n, d) in standard deviations of the training rows (n_train, d)."""
    spread = x_train.std(axis=0)
    # what is the same everywhere in training counts as it is
    return x / np.where(spread < 1e-9, 1.0, spread)


def neighbours(x_new: np.ndarray, x_train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training structure of each new one, and whether it is near enough.

    Parameters
    ----------
    x_new, x_train : ndarray, shapes (n_new, d), (n_train, d)
        Standardised features; at least two rows to train on.

    Returns
    -------
    nearest : ndarray of int, shape (n_new,)
        Row of ``x_train``.
    in_domain : ndarray of bool, shape (n_new,)
        Whether the distance to it is at most :func:`domain_limit`.

    Raises
    ------
    DataError
        If there are fewer than two training rows.
    """
    limit = domain_limit(x_train)
    nearest, distances = _nearest(x_new, x_train)
    return nearest, distances <= limit


def domain_limit(x_train: np.ndarray) -> float:
    """The 99th percentile of the distances of rows (n, d) to their own nearest neighbour.

    Raises
    ------
    DataError
        If there are fewer than two rows.
    """
    if len(x_train) < 2:
        raise DataError("the training domain needs at least two structures")
    # a tree, for all distances between 10,000 rows are 800 MB
    distances, _ = cKDTree(x_train).query(x_train, k=2)
    return float(np.quantile(distances[:, 1], _DOMAIN_QUANTILE))


def _nearest(x_new: np.ndarray, x_train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training row (n_new,) of each new one, and its distance."""
    distances = cdist(x_new, x_train)
    return distances.argmin(axis=1), distances.min(axis=1)


class Predictor:
    """The chosen models with all that does not depend on what is predicted.

    Parameters
    ----------
    models : sequence of bytes
        What :func:`poreflux.learning.study.run_size` returned, once for each learner.
    train_features : DataFrame
        The features that the models were trained on, for the domain; rows without a label in
        the models are passed over.

    Raises
    ------
    DataError
        If there is no model, or the features are not those of the training.
    """

    def __init__(self, models: Sequence[bytes], train_features: pd.DataFrame):
        self._trained, self._ensemble = _chosen(models)
        known = train_features[train_features["content_hash"].isin(self._trained.content_hashes)]
        known = known.drop_duplicates("content_hash")
        self._names = known["name"].to_numpy()
        self._x = self._features(known)
        self._scaled = standardised(self._x, self._x)
        self._limit = domain_limit(self._scaled)
        place = {content: i for i, content in enumerate(self._trained.content_hashes)}
        self._excess = self._ensemble.excess[known["content_hash"].map(place).to_numpy()]

    def _features(self, table: pd.DataFrame) -> np.ndarray:
        x, names = matrix(table, get_learner(self._ensemble.group.learner).feature_set)
        check_features(names, self._trained.feature_names, "the model")
        return x

    def __call__(
        self, features_new: pd.DataFrame, *, failed: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Predictions as :func:`predict` gives them."""
        x = np.empty((0, self._x.shape[1]))
        if len(features_new):
            x = self._features(features_new)
        scaled = standardised(x, self._x)
        nearest, distances = _nearest(scaled, self._scaled)
        noise = local_noise(scaled, self._scaled, self._excess)
        numbers = _numbers(self._trained.label, *self._ensemble.predict(x, noise))
        done = pd.DataFrame(
            {
                "name": features_new["name"].to_numpy(),
                **numbers,
                "in_domain": distances <= self._limit,
                "nearest": self._names[nearest],
                "status": "ok",
                "reason": "",
                "model": self._ensemble.name,
            }
        )
        if failed is None or failed.empty:
            return done.sort_values("name", ignore_index=True)
        lost = pd.DataFrame(
            {
                "name": failed["name"].to_numpy(),
                **dict.fromkeys(numbers, np.nan),
                "in_domain": False,
                "nearest": "",
                "status": "failed",
                "reason": failed["reason"].to_numpy(),
                "model": "",
            }
        )
        parts = [table for table in (done, lost) if len(table)]
        return pd.concat(parts, ignore_index=True).sort_values("name", ignore_index=True)


def predict(
    models: Sequence[bytes],
    features_new: pd.DataFrame,
    *,
    train_features: pd.DataFrame,
    failed: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Predict the label that the models learnt, of new structures, with its uncertainty.

    Parameters
    ----------
    models, train_features
        See :class:`Predictor`, which whoever predicts often keeps.
    features_new : DataFrame
        As :func:`poreflux.data.features.feature_table` gives it.
    failed : DataFrame, optional
        Columns name and reason (and status): structures without features.

    Returns
    -------
    DataFrame
        Columns :data:`PREDICTION_COLUMNS`, sorted by name: D in m2/s, the standard deviation of
        log10 of D (of one structure's true value about the prediction), the 90 % interval of D,
        whether the structure resembles the training set and the name of the nearest structure
        there, ``ok`` or ``failed`` with the reason, and which model spoke. Of
        another label ``x``, the columns ``x``, ``x_std``, ``x_low`` and ``x_high``, as it was
        learnt, stand in place of those of D.

    Raises
    ------
    DataError
        If there is no model, or the features are not those of the training.
    """
    return Predictor(models, train_features)(features_new, failed=failed)


def _numbers(label: str, mean: np.ndarray, deviation: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of a label's mean and standard deviation (n,), and of its 90 % interval."""
    half = HALF_WIDTH_90 * deviation
    if label != DIFFUSIVITY:
        ends = {f"{label}_low": mean - half, f"{label}_high": mean + half}
        return {label: mean, f"{label}_std": deviation, **ends}
    d, low, high = (DIFFUSIVITY_UNIT_M2_S * 10.0**v for v in (mean, mean - half, mean + half))
    return {"d_m2_s": d, "log10_d_std": deviation, "d_low_m2_s": low, "d_high_m2_s": high}
