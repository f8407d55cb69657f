"""The ways to learn from many foreign rows and a few of one's own, each under a name.

The words are those of the synthesis study: the ``literature`` and the ``in_house`` rows.

Every variant sees the same rows and is asked for the same held-out ones. The transfer variants
follow Du 2025: cross-validation on the literature, grouped by article, fixes the structure of the
boosted trees (their depth and number); their splits are then refitted on the union of both
tables, in-house rows weighing ``w`` times a literature row, with ``w`` chosen in an inner loop.

References
----------
Y. Du, Nano Trends 12 (2025) 100153, doi:10.1016/j.nwnano.2025.100153.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import xgboost

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.random_stream import seed_from
from poreflux.learning.boosting import TreeStructure, boost, choose_structure, predict, tree_numbers
from poreflux.learning.interpolation import interpolate
from poreflux.learning.splits import grouped_folds


@dataclass(frozen=True)
class TransferSettings:
    """How the variants are fitted.

    Attributes
    ----------
    max_depths : tuple of int
        Depths that pretraining chooses from.
    max_trees : int
        Most trees that it chooses.
    learning_rate : float
    tuning_folds, tuning_repeats : int
        Cross-validation that chooses the structure.
    weights : tuple of float
        Candidates for the weight of an in-house row relative to a literature row.
    continued_trees : int
        Most trees added to the pretrained booster.
    inner_folds : int
        Folds of the inner loop, over the in-house conditions of the training rows.
    per_row, neighbours, mixing
        See :func:`poreflux.learning.interpolation.interpolate`.
    """

    max_depths: tuple[int, ...] = (2, 3, 4)
    max_trees: int = 300
    learning_rate: float = 0.1
    tuning_folds: int = 5
    tuning_repeats: int = 2
    weights: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    continued_trees: int = 100
    inner_folds: int = 5
    per_row: int = 2
    neighbours: int = 3
    mixing: tuple[float, float] = (0.2, 0.8)

    @classmethod
    def from_config(cls, config: dict) -> TransferSettings:
        """From the blocks ``structure``, ``transfer`` and ``augmentation`` of the configuration.

        Raises
        ------
        ConfigError
            If the range of the mixing is upside down.
        """
        given = config["structure"] | config["transfer"] | config["augmentation"]
        low, high = given["mixing"]
        if low > high:
            raise ConfigError(
                f"synthesis.augmentation.mixing: {low:g} is above {high:g}; give the lower first"
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


@dataclass(frozen=True)
class Rows:
    """Rows to learn from or to predict.

    Attributes
    ----------
    numbers : ndarray of float64, shape (n, p)
        Numeric columns, each on its own scale (log10 or linear).
    levels : ndarray of str, shape (n, c)
        Categorical columns.
    y : ndarray of float64, shape (n,)
        Labels on the target's scale.
    groups : ndarray of str, shape (n,)
        What a fold never splits: articles of the literature, conditions in-house.
    """

    numbers: np.ndarray
    levels: np.ndarray
    y: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, which) -> Rows:
        return Rows(self.numbers[which], self.levels[which], self.y[which], self.groups[which])

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.levels, other.levels]),
            np.concatenate([self.y, other.y]),
            np.concatenate([self.groups, other.groups]),
        )

    @cached_property
    def strata(self) -> np.ndarray:
        """All categories of a row in one text, (n,)."""
        return np.array([" | ".join(row) for row in self.levels], dtype=str)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of numbers, levels and labels."""
        content = hashlib.sha256(str(self.levels.tolist()).encode())
        for part in (self.numbers, self.y):
            content.update(f"{part.shape}".encode() + part.tobytes())
        return content.hexdigest()


@dataclass(frozen=True)
class Encoder:
    """Categories as columns of zeros and ones, by the levels of the rows it was made from."""

    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, rows: Rows) -> Encoder:
        """An encoder that knows the levels in ``rows`` and no others."""
        return cls(tuple(tuple(np.unique(column)) for column in rows.levels.T))

    def __call__(self, rows: Rows) -> np.ndarray:
        """Numbers and encoded levels, (n, d); a level not seen before is zero throughout."""
        parts = [rows.numbers]
        for column, known in zip(rows.levels.T, self.levels, strict=True):
            parts.append((column[:, None] == np.array(known, dtype=str)).astype(np.float64))
        return np.concatenate(parts, axis=1)

    @cached_property
    def owners(self) -> np.ndarray:
        """Number of the categorical column behind each encoded one, in the order of levels."""
        return np.repeat(np.arange(len(self.levels)), [len(known) for known in self.levels])


@dataclass(frozen=True)
class FittedVariant:
    """A fitted variant.

    Attributes
    ----------
    encoder : Encoder or None
    booster : Booster or None
        None where the prediction is a constant.
    constant : float
    chosen : dict
        What the fit chose: max_depth, n_trees, weight, added_trees, n_synthetic.
    """

    encoder: Encoder | None
    booster: xgboost.Booster | None
    constant: float = np.nan
    chosen: dict = field(default_factory=dict)

    def predict(self, rows: Rows) -> np.ndarray:
        """Labels of ``rows`` on the target's scale, (n,)."""
        if self.booster is None:
            return np.full(len(rows), self.constant)
        return predict(self.booster, self.encoder(rows))


@dataclass(frozen=True)
class LiteratureModel:
    """The literature's model.

    Attributes
    ----------
    structure : TreeStructure
        Chosen by cross-validation grouped by article.
    rmse : float
        Of that cross-validation, on the target's scale.
    model : FittedVariant
        Trained on all of the literature with it.
    """

    structure: TreeStructure
    rmse: float
    model: FittedVariant


def pretrain(literature: Rows, settings: TransferSettings, seed: int) -> LiteratureModel:
    """Choose the structure on the literature and train a model of it.

    Parameters
    ----------
    literature : Rows
        Grouped by article.
    settings : TransferSettings
    seed : int
        The configuration's.
    """
    structure, rmse = _tuned(literature, settings, seed)
    encoder = Encoder.of(literature)
    booster = boost(encoder(literature), literature.y, structure)
    return LiteratureModel(
        structure, rmse, FittedVariant(encoder, booster, chosen=_described(structure))
    )


def _tuned(rows: Rows, settings: TransferSettings, seed: int) -> tuple[TreeStructure, float]:
    folds = grouped_folds(
        rows.groups,
        settings.tuning_folds,
        seed_from(seed, "structure", rows.digest),
        n_repeats=settings.tuning_repeats,
    )
    return choose_structure(
        Encoder.of(rows)(rows),
        rows.y,
        folds,
        depths=settings.max_depths,
        max_trees=settings.max_trees,
        learning_rate=settings.learning_rate,
    )


def _described(structure: TreeStructure) -> dict:
    return {"max_depth": structure.max_depth, "n_trees": structure.n_trees}


@dataclass(frozen=True)
class TransferTask:
    """What every variant is given: the training rows of one fold.

    Attributes
    ----------
    literature, in_house : Rows
        Grouped by article and by condition.
    pretrained : LiteratureModel
        Of the same literature.
    settings : TransferSettings
    seed : int
        The configuration's; every stream derives from it and the training rows' content.
    """

    literature: Rows
    in_house: Rows
    pretrained: LiteratureModel
    settings: TransferSettings
    seed: int

    @cached_property
    def own_structure(self) -> TreeStructure:
        """The best structure for the in-house rows alone."""
        return _tuned(self.in_house, self.settings, self.seed)[0]

    @cached_property
    def joint_structure(self) -> TreeStructure:
        """The best structure for both tables, all rows alike."""
        return _tuned(self.literature + self.in_house, self.settings, self.seed)[0]

    def grown(self, in_house: Rows, augment: bool) -> Rows:
        """In-house training rows, with synthetic rows between them if asked."""
        if not augment:
            return in_house
        numbers, parents, y = interpolate(
            in_house.numbers,
            in_house.strata,
            in_house.y,
            per_row=self.settings.per_row,
            neighbours=self.settings.neighbours,
            mixing=self.settings.mixing,
            seed=seed_from(self.seed, in_house.digest),
        )
        first = parents[:, 0]
        return in_house + Rows(numbers, in_house.levels[first], y, in_house.groups[first])

    def chosen(self, structure: TreeStructure, own: Rows) -> dict:
        """What to tell of a fit on rows that :meth:`grown` gave."""
        return _described(structure) | {"n_synthetic": len(own) - len(self.in_house)}

    def inner_folds(self) -> np.ndarray:
        return grouped_folds(
            self.in_house.groups,
            self.settings.inner_folds,
            seed_from(self.seed, "inner", self.in_house.digest),
        )[0]


def _mean(task: TransferTask) -> FittedVariant:
    return FittedVariant(None, None, float(task.in_house.y.mean()))


def _literature(task: TransferTask) -> FittedVariant:
    return task.pretrained.model


def _alone(task: TransferTask, augment: bool = False) -> FittedVariant:
    structure = task.own_structure
    rows = task.grown(task.in_house, augment)
    encoder = Encoder.of(rows)
    chosen = task.chosen(structure, rows)
    return FittedVariant(encoder, boost(encoder(rows), rows.y, structure), chosen=chosen)


def _combined(task: TransferTask, augment: bool = False) -> FittedVariant:
    structure = task.joint_structure
    own = task.grown(task.in_house, augment)
    return _union(task.literature, own, structure, 1.0, task.chosen(structure, own))


def _transfer(task: TransferTask, augment: bool = False) -> FittedVariant:
    structure, weights = task.pretrained.structure, task.settings.weights
    squares = np.zeros(len(weights))
    folds = task.inner_folds()
    for fold in np.unique(folds):
        held, rest = task.in_house[folds == fold], task.in_house[folds != fold]
        rest = task.grown(rest, augment)
        for i, weight in enumerate(weights):
            model = _union(task.literature, rest, structure, weight)
            squares[i] += np.square(model.predict(held) - held.y).sum()
    weight = weights[int(squares.argmin())]
    own = task.grown(task.in_house, augment)
    chosen = task.chosen(structure, own) | {"weight": weight}
    return _union(task.literature, own, structure, weight, chosen)


def _union(
    literature: Rows, own: Rows, structure: TreeStructure, weight: float, chosen: dict | None = None
) -> FittedVariant:
    """Refit on both tables, in-house rows of weight one and literature rows of ``1 / weight``.

    So the limits of a leaf count in-house rows, and a large weight leads to the model of the
    in-house rows alone. Were in-house rows scaled up instead, ``weight`` would also switch the
    regularisation off, and one row with a large weight make a leaf.
    """
    rows = literature + own
    weights = np.concatenate([np.full(len(literature), 1.0 / weight), np.ones(len(own))])
    encoder = Encoder.of(rows)
    booster = boost(encoder(rows), rows.y, structure, weights=weights)
    return FittedVariant(encoder, booster, chosen=chosen or {})


def _continued(task: TransferTask) -> FittedVariant:
    pretrained, settings = task.pretrained, task.settings
    before, encoder = pretrained.structure.n_trees, pretrained.model.encoder
    most = TreeStructure(
        pretrained.structure.max_depth, settings.continued_trees, settings.learning_rate
    )

    def continued(rows: Rows, structure: TreeStructure) -> xgboost.Booster:
        return boost(encoder(rows), rows.y, structure, start=pretrained.model.booster)

    numbers = [0, *tree_numbers(settings.continued_trees)]
    squares = np.zeros(len(numbers))
    folds = task.inner_folds()
    for fold in np.unique(folds):
        held = task.in_house[folds == fold]
        booster, x = continued(task.in_house[folds != fold], most), encoder(held)
        for i, n in enumerate(numbers):
            squares[i] += np.square(predict(booster, x, before + n) - held.y).sum()
    added = numbers[int(squares.argmin())]
    chosen = _described(pretrained.structure) | {"added_trees": added}
    if added == 0:
        return FittedVariant(encoder, pretrained.model.booster, chosen=chosen)
    structure = TreeStructure(most.max_depth, added, settings.learning_rate)
    return FittedVariant(encoder, continued(task.in_house, structure), chosen=chosen)


_FITS: dict[str, Callable[[TransferTask], FittedVariant]] = {
    "mean": _mean,
    "literature": _literature,
    "in_house": _alone,
    "in_house_augmentation": lambda task: _alone(task, augment=True),
    "baseline": _combined,
    "augmentation": lambda task: _combined(task, augment=True),
    "transfer": _transfer,
    "continued": _continued,
    "transfer_augmentation": lambda task: _transfer(task, augment=True),
}
VARIANTS = tuple(_FITS)


def fit(variant: str, task: TransferTask) -> FittedVariant:
    """Fit one variant.

    Parameters
    ----------
    variant : str
        ``mean`` of the in-house labels; ``literature`` alone; ``in_house`` alone; both with
        equal weights (``baseline``), in-house rows weighted (``transfer``) or as the rows on
        which the literature's booster is ``continued``; ``in_house_augmentation``,
        ``augmentation`` (of the baseline) and ``transfer_augmentation`` with synthetic rows.
    task : TransferTask
        Shared by the variants of a fold, which choose each structure once.

    Returns
    -------
    FittedVariant

    Raises
    ------
    DataError
        If there is no such variant.
    """
    if variant not in _FITS:
        raise DataError(f"there is no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    return _FITS[variant](task)
