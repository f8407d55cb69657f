"""Which variant predicts held-out in-house conditions best, and how sure that is.

Two schemes: every condition left out once, and repeated K-fold over conditions. Rows of one
condition are never on both sides. Intervals are bootstrapped over conditions; variants are
compared on the same rows, so that what makes a condition hard for all of them cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from poreflux.base.random_stream import seed_from
from poreflux.learning.scoring import interval, r2, resampled_rows
from poreflux.learning.splits import grouped_folds, leave_one_group_out
from poreflux.learning.variants import (
    FittedVariant,
    LiteratureModel,
    Rows,
    TransferSettings,
    TransferTask,
    fit,
)
from poreflux.synthesis import K_FOLD, LEAVE_ONE_OUT
from poreflux.synthesis.table import Column

# Variants that the others are compared with.
REFERENCES = ("in_house", "baseline", "transfer")
PREDICTION_COLUMNS = ("scheme", "repeat", "fold", "variant", "row", "condition")
CHOICES = ("max_depth", "n_trees", "weight", "added_trees", "n_synthetic")


@dataclass(frozen=True)
class Fold:
    """One held-out part: ``scheme``, ``repeat``, ``fold`` and ``held``, bool (n,)."""

    scheme: str
    repeat: int
    fold: int
    held: np.ndarray


def folds_of(in_house: Rows, n_folds: int, n_repeats: int, seed: int) -> list[Fold]:
    """Every held-out part of both schemes.

    Parameters
    ----------
    in_house : Rows
        Grouped by condition.
    n_folds, n_repeats : int
        Of the repeated K-fold scheme.
    seed : int
        The configuration's.
    """
    numbered = {
        LEAVE_ONE_OUT: leave_one_group_out(in_house.groups),
        K_FOLD: grouped_folds(
            in_house.groups, n_folds, seed_from(seed, "validation"), n_repeats=n_repeats
        ),
    }
    return [
        Fold(scheme, repeat, int(fold), line == fold)
        for scheme, lines in numbered.items()
        for repeat, line in enumerate(lines)
        for fold in np.unique(line)
    ]


def validate(
    literature: Rows,
    in_house: Rows,
    pretrained: LiteratureModel,
    folds: Sequence[Fold],
    variants: Sequence[str],
    settings: TransferSettings,
    seed: int,
    step: Callable[[int], None] = lambda n: None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[FittedVariant]]]:
    """Fit every variant on every fold's training rows and predict its held-out rows.

    Parameters
    ----------
    literature, in_house : Rows
    pretrained : LiteratureModel
    folds : sequence of Fold
    variants : sequence of str
    settings : TransferSettings
    seed : int
    step : callable
        Called with 1 after each fold.

    Returns
    -------
    predictions : DataFrame
        Columns scheme, repeat, fold, variant, row (number in ``in_house``), condition, y and
        predicted (both on the target's scale).
    choices : DataFrame
        Columns scheme, repeat, fold, variant and :data:`CHOICES` (NaN where a variant has no
        such choice).
    models : dict of str to list of FittedVariant
        By variant, in the order of ``folds``.
    """
    predictions, choices = [], []
    models: dict[str, list[FittedVariant]] = {variant: [] for variant in variants}
    for part in folds:
        rows = np.flatnonzero(part.held)
        known, asked = in_house[~part.held], in_house[part.held]
        where = {"scheme": part.scheme, "repeat": part.repeat, "fold": part.fold}
        task = TransferTask(literature, known, pretrained, settings, seed)
        for variant in variants:
            model = fit(variant, task)
            models[variant].append(model)
            values = {"row": rows, "condition": asked.groups, "y": asked.y}
            predicted = pd.DataFrame(values | {"predicted": model.predict(asked)})
            predictions.append(predicted.assign(variant=variant, **where))
            chosen = {name: float(model.chosen.get(name, np.nan)) for name in CHOICES}
            choices.append(where | {"variant": variant} | chosen)
        step(1)
    table = pd.concat(predictions, ignore_index=True)
    return table[[*PREDICTION_COLUMNS, "y", "predicted"]], pd.DataFrame(choices), models


def score(
    predictions: pd.DataFrame, target: Column, n_resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of every variant, and of every variant against the references, with intervals.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`validate` gives it.
    target : Column
        Of the target.
    n_resamples : int
        Bootstrap samples.
    seed : int

    Returns
    -------
    scores : DataFrame
        One row per scheme and variant: n_conditions, n_predictions; rmse, mae and r2 in the
        target's unit and rmse_scaled on its scale (log10), each with ``_low`` and ``_high``, its
        95 % interval over conditions.
    comparisons : DataFrame
        One row per scheme, variant and reference: difference of rmse (variant minus reference, in
        the target's unit) and of rmse_scaled, with intervals; ``probability``, the share of
        samples in which the variant has the lower rmse; ``folds_won``, the share of folds in
        which its squared error is lower (ties count half).
    """
    scores, comparisons = [], []
    for scheme, rows in predictions.groupby("scheme", sort=False):
        wide = rows.pivot(
            index=["repeat", "fold", "row", "condition", "y"],
            columns="variant",
            values="predicted",
        )[list(rows["variant"].unique())]
        where = wide.index.to_frame(index=False)
        samples = resampled_rows(where["condition"], n_resamples, seed_from(seed, scheme))
        judged = {
            variant: _judge(where["y"].to_numpy(), wide[variant].to_numpy(), target, samples)
            for variant in wide.columns
        }
        fold = [where["repeat"], where["fold"]]
        for variant, own in judged.items():
            line = {"scheme": scheme, "variant": variant}
            size = {"n_conditions": where["condition"].nunique(), "n_predictions": len(where)}
            scores.append(line | size | _with_interval(own.measured, own.sampled))
            for reference in REFERENCES:
                if reference != variant and reference in judged:
                    line = {"scheme": scheme, "variant": variant, "against": reference}
                    comparisons.append(line | _compare(own, judged[reference], fold))
    return pd.DataFrame(scores), pd.DataFrame(comparisons)


@dataclass(frozen=True)
class _Judged:
    """A variant's metrics on all rows, those of every bootstrap sample, and its square errors."""

    measured: dict[str, float]
    sampled: dict[str, np.ndarray]
    squares: np.ndarray


def _judge(y_scaled, scaled, target: Column, samples) -> _Judged:
    y, predicted = target.backward(y_scaled), target.backward(scaled)
    lists = [_metrics(y[s], predicted[s], y_scaled[s], scaled[s]) for s in samples]
    measured = _metrics(y, predicted, y_scaled, scaled)
    sampled = {name: np.array([one[name] for one in lists]) for name in measured}
    return _Judged(measured, sampled, np.square(predicted - y))


def _metrics(y, predicted, y_scaled, scaled) -> dict[str, float]:
    error = predicted - y
    return {
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": float(r2(y, predicted)),
        "rmse_scaled": float(np.sqrt(np.square(scaled - y_scaled).mean())),
    }


def _with_interval(measured: dict[str, float], sampled: dict[str, np.ndarray]) -> dict[str, float]:
    line = {}
    for name, value in measured.items():
        low, high = interval(sampled[name])
        line |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return line


def _compare(own: _Judged, other: _Judged, fold: list[pd.Series]) -> dict[str, float]:
    """How much lower a variant's error is than another's on the same rows, samples and folds."""
    line = {}
    for name in ("rmse", "rmse_scaled"):
        low, high = interval(own.sampled[name] - other.sampled[name])
        line[f"{name}_difference"] = own.measured[name] - other.measured[name]
        line |= {f"{name}_low": low, f"{name}_high": high}
    line["probability"] = _won(own.sampled["rmse"], other.sampled["rmse"])
    ours, theirs = (pd.Series(j.squares).groupby(fold).sum() for j in (own, other))
    line["folds_won"] = _won(ours, theirs)
    return line


def _won(ours, theirs) -> float:
    """Share of pairs in which ours is the lower, of equal ones half."""
    return float(((ours < theirs) + 0.5 * (ours == theirs)).mean())
