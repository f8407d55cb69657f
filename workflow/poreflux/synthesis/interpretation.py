"""What the literature's model looks at, and what is left of it after transfer.

Three measures of a column's weight: the gain of its splits, the loss of R2 on held-out in-house
rows when its values are shuffled, and the mean absolute SHAP value. A category counts as one
column, whatever the number of its levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from poreflux.base.random_stream import seed_from
from poreflux.learning.boosting import boost, contributions, gains
from poreflux.learning.importance import importance, normalised
from poreflux.learning.splits import grouped_folds
from poreflux.learning.variants import (
    Encoder,
    FittedVariant,
    LiteratureModel,
    Rows,
    TransferSettings,
)
from poreflux.synthesis.table import Schema
from poreflux.synthesis.validation import Fold

BEFORE, AFTER = "before", "after"
GAIN, PERMUTATION, SHAP = "gain", "permutation", "shap"
_TOP = 3
_NEGLIGIBLE = 1e-9
_GRID = 24


def by_column(values: np.ndarray, encoder: Encoder, n_numeric: int) -> np.ndarray:
    """Sum the encoded columns (..., d) of each category: (..., p + c)."""
    categories = [
        values[..., n_numeric:][..., encoder.owners == i].sum(axis=-1, keepdims=True)
        for i in range(len(encoder.levels))
    ]
    return np.concatenate([values[..., :n_numeric], *categories], axis=-1)


def gain_share(model: FittedVariant, n_numeric: int) -> np.ndarray:
    """Share of each column in the loss that a model's splits removed, (p + c,)."""
    n_columns = n_numeric + len(model.encoder.owners)
    return normalised(by_column(gains(model.booster, n_columns), model.encoder, n_numeric))


def shap_share(model: FittedVariant, rows: Rows) -> np.ndarray:
    """Share of each column in the mean absolute SHAP value over ``rows``, (p + c,)."""
    n_numeric = rows.numbers.shape[1]
    values = by_column(contributions(model.booster, model.encoder(rows)), model.encoder, n_numeric)
    return normalised(np.abs(values).mean(axis=0))


class _HeldOut:
    """Predicts every row by the model that never saw it, so that importance is pooled over folds.

    Rows come as one matrix of numbers and codes of categories, in whole copies of the table.
    """

    def __init__(self, models: Sequence[FittedVariant], held: Sequence[np.ndarray], rows: Rows):
        self.models, self.held, self.rows = models, held, rows
        self.levels = [np.unique(column) for column in rows.levels.T]

    def matrix(self) -> np.ndarray:
        """Numbers and codes, (n, p + c)."""
        codes = [
            np.searchsorted(known, column)
            for known, column in zip(self.levels, self.rows.levels.T, strict=True)
        ]
        return np.column_stack([self.rows.numbers, *codes])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels of ``x`` (copies * n, p + c)."""
        n, p = self.rows.numbers.shape
        copies = x.reshape(-1, n, x.shape[1])
        result = np.empty(copies.shape[:2])
        for model, held in zip(self.models, self.held, strict=True):
            part = copies[:, held].reshape(-1, x.shape[1])
            levels = [
                known[codes.astype(int)]
                for known, codes in zip(self.levels, part[:, p:].T, strict=True)
            ]
            asked = Rows(
                part[:, :p],
                np.column_stack(levels) if levels else np.empty((len(part), 0), dtype=str),
                np.full(len(part), np.nan),
                np.full(len(part), ""),
            )
            result[:, held] = model.predict(asked).reshape(len(copies), -1)
        return result.ravel()


def permutation_share(
    models: Sequence[FittedVariant],
    held: Sequence[np.ndarray],
    rows: Rows,
    names: Sequence[str],
    n_repeats: int,
    seed: int,
) -> np.ndarray:
    """Share of each column in the loss of R2 when it is shuffled, each row by its own model.

    Parameters
    ----------
    models : sequence of FittedVariant
    held : sequence of bool arrays, shape (n,)
        The rows that each model is asked for; together every row once.
    rows : Rows
        The n rows.
    names : sequence of str
        Of the p + c columns.
    n_repeats : int
    seed : int

    Returns
    -------
    ndarray, shape (p + c,)
    """
    pooled = _HeldOut(models, held, rows)
    stream = seed_from(seed, "permutation", rows.digest) >> 32
    table = importance(pooled, pooled.matrix(), rows.y, names, n_repeats=n_repeats, seed=stream)
    return table["pfi_normalised"].to_numpy()


def literature_folds(
    literature: Rows, pretrained: LiteratureModel, settings: TransferSettings, seed: int
) -> list[FittedVariant]:
    """Models of the pretrained structure, each without one fold of articles."""
    lines = grouped_folds(literature.groups, settings.tuning_folds, seed_from(seed, "stability"))
    models = []
    for fold in np.unique(lines[0]):
        rows = literature[lines[0] != fold]
        encoder = Encoder.of(rows)
        models.append(FittedVariant(encoder, boost(encoder(rows), rows.y, pretrained.structure)))
    return models


def interpret(
    literature: Rows,
    in_house: Rows,
    pretrained: LiteratureModel,
    folds: Sequence[Fold],
    transferred: Sequence[FittedVariant],
    schema: Schema,
    settings: TransferSettings,
    *,
    n_repeats: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Importance of every column before and after transfer, and how stable its ranking is.

    Parameters
    ----------
    literature, in_house : Rows
    pretrained : LiteratureModel
    folds : sequence of Fold
    transferred : sequence of FittedVariant
        The transfer variant's model of each fold.
    schema : Schema
    settings : TransferSettings
    n_repeats : int
        Shuffles of each column.
    seed : int

    Returns
    -------
    importance : DataFrame
        Columns stage (``before``: the literature's model; ``after``), method, feature, share
        (mean over models; the shares of a model sum to one), sd (over models), rank, n_models.
    stability : DataFrame
        Columns stage, method, n_models, rank_correlation (mean of Spearman's over all pairs of
        models) and top3_agreement (mean share of common columns among the first three).

    Notes
    -----
    Models are those of all folds for gain and SHAP, one pooled set per repeat of a scheme
    for permutation. ``before`` varies over models without a fold of articles each; for permutation
    it is one model on all in-house rows, brought to their mean level, without sd and stability.
    """
    names, p = schema.features, len(schema.numeric)
    before = literature_folds(literature, pretrained, settings, seed)
    repeats: dict[tuple[str, int], list[int]] = {}
    for i, part in enumerate(folds):
        repeats.setdefault((part.scheme, part.repeat), []).append(i)
    everything = [np.ones(len(in_house), dtype=bool)]
    # The literature's model may miss the laboratory's level altogether; what is asked here is
    # which columns it orders the rows by.
    off = (in_house.y - pretrained.model.predict(in_house)).mean()
    levelled = replace(in_house, y=in_house.y - off)

    def shuffled(models, held, rows=in_house):
        return permutation_share(models, held, rows, names, n_repeats, seed)

    shares = {
        (BEFORE, GAIN): [gain_share(m, p) for m in before],
        (BEFORE, PERMUTATION): [shuffled([pretrained.model], everything, levelled)],
        (BEFORE, SHAP): [shap_share(m, in_house) for m in before],
        (AFTER, GAIN): [gain_share(m, p) for m in transferred],
        (AFTER, PERMUTATION): [
            shuffled([transferred[i] for i in which], [folds[i].held for i in which])
            for which in repeats.values()
        ],
        # of all rows, as before: which were held out is no difference between models, and
        # attributions see no label
        (AFTER, SHAP): [shap_share(m, in_house) for m in transferred],
    }
    tables, lines = [], []
    for (stage, method), models in shares.items():
        values = np.array(models)
        # a column that no split uses is worth nothing, not the rounding of the others
        values[values < _NEGLIGIBLE] = 0.0
        mean = values.mean(axis=0)
        table = pd.DataFrame({"feature": names, "share": mean})
        table["sd"] = values.std(axis=0, ddof=1) if len(values) > 1 else np.nan
        table["rank"] = rankdata(-mean, method="min").astype(int)
        tables.append(table.assign(stage=stage, method=method, n_models=len(values)))
        lines.append({"stage": stage, "method": method, "n_models": len(values)} | _agree(values))
    columns = ["stage", "method", "feature", "share", "sd", "rank", "n_models"]
    return pd.concat(tables, ignore_index=True)[columns], pd.DataFrame(lines)


def _agree(values: np.ndarray) -> dict[str, float]:
    """How alike the rankings of models (m, d) are."""
    if len(values) < 2 or values.shape[1] < 2:
        return {"rank_correlation": np.nan, "top3_agreement": np.nan}
    ranks = rankdata(values, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.corrcoef(ranks)
    # all columns but one at most, or every ranking would agree; a column worth nothing is no first
    n_top = min(_TOP, values.shape[1] - 1)
    order = [np.argsort(-v, kind="stable")[:n_top] for v in values]
    top = [frozenset(first[v[first] > 0.0]) for v, first in zip(values, order, strict=True)]
    common = [len(a & b) / max(len(a), len(b)) for a, b in combinations(top, 2) if a or b]
    pairs = correlations[np.triu_indices(len(values), k=1)]
    return {
        "rank_correlation": float(np.nanmean(pairs)) if np.isfinite(pairs).any() else np.nan,
        "top3_agreement": float(np.mean(common)) if common else np.nan,
    }


def dependence(
    literature: Rows,
    in_house: Rows,
    stages: dict[str, Sequence[FittedVariant]],
    schema: Schema,
) -> pd.DataFrame:
    """Partial dependence: the mean prediction over in-house rows with one column set to a value.

    Parameters
    ----------
    literature, in_house : Rows
        Numeric columns are taken through the range of both, between their 5 % and 95 %
        quantiles; categories through the levels of both.
    stages : dict of str to sequence of FittedVariant
        Models by stage; the first is drawn, the spread is that of all.
    schema : Schema

    Returns
    -------
    DataFrame
        Columns stage, feature, value (NaN for a category), level (empty for a number),
        predicted (target's unit, geometric mean over rows on a logarithmic scale), low and high
        (smallest and largest over the models), in_house_low and in_house_high (range of the
        in-house rows), n_in_house (in-house rows with that level).

    References
    ----------
    J. H. Friedman, Ann. Statist. 29 (2001) 1189-1232, sec. 8.2.
    """
    lines = []
    for known, asked in [
        *_numeric_grid(literature, in_house, schema),
        *_levels(literature, in_house, schema),
    ]:
        for stage, models in stages.items():
            predicted = schema.target.backward([model.predict(asked).mean() for model in models])
            lines.append(
                {"stage": stage}
                | known
                | {"predicted": predicted[0], "low": predicted.min(), "high": predicted.max()}
            )
    return pd.DataFrame(lines)


def _numeric_grid(literature: Rows, in_house: Rows, schema: Schema):
    """What is asked, and the in-house rows with one number set: (dict, Rows) per value."""
    for i, (name, column) in enumerate(schema.numeric.items()):
        own = in_house.numbers[:, i][np.isfinite(in_house.numbers[:, i])]
        both = literature.numbers[:, i][np.isfinite(literature.numbers[:, i])]
        ends = [*(np.quantile(both, [0.05, 0.95]) if len(both) else []), *own]
        if not ends:
            continue
        span = column.backward([own.min(), own.max()]) if len(own) else (np.nan, np.nan)
        for value in np.unique(np.linspace(min(ends), max(ends), _GRID)):
            numbers = in_house.numbers.copy()
            numbers[:, i] = value
            known = {"feature": name, "value": float(column.backward(value)), "level": ""}
            known |= {"in_house_low": span[0], "in_house_high": span[1], "n_in_house": 0}
            yield known, replace(in_house, numbers=numbers)


def _levels(literature: Rows, in_house: Rows, schema: Schema):
    """The same with one category set to each of its levels."""
    for i, name in enumerate(schema.categorical):
        for level in np.union1d(literature.levels[:, i], in_house.levels[:, i]):
            levels = in_house.levels.astype(object)
            levels[:, i] = level
            known = {"feature": name, "value": np.nan, "level": str(level)}
            known |= {"in_house_low": np.nan, "in_house_high": np.nan}
            known |= {"n_in_house": int((in_house.levels[:, i] == level).sum())}
            yield known, replace(in_house, levels=levels.astype(str))
