"""The study: pretraining on cheap labels, then direct against transfer learning of expensive ones.

Source models learn one label each, such as the uptake at one pressure, from many structures. On
the target, random draws of a given size are learnt twice: directly, and starting from each source
model. Both see the same rows. Labels are names and numbers here, see :mod:`poreflux.data.labels`.

References
----------
Y. Lim, J. Kim, Mol. Syst. Des. Eng. 2022, doi:10.1039/d2me00082b.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.progress import Progress
from poreflux.base.random_stream import seed_from
from poreflux.data.features import estimates, labelled_rows, matrix
from poreflux.data.labels import DIFFUSIVITY, kind_of, rank_of
from poreflux.learning.advisor import ADVICE_COLUMNS, advice
from poreflux.learning.learners import Checkpoint, get_learner
from poreflux.learning.scoring import scores
from poreflux.learning.splits import Split, content_seed, draws, group_numbers, split
from poreflux.learning.stack import Stack
from poreflux.learning.trained import (
    REST,
    TEST,
    Group,
    Pretrained,
    TrainedSize,
    check_features,
    parts_of,
)

SCORE_COLUMNS = (
    "kind",
    "learner",
    "source_pressure_bar",
    "source_label",
    "label",
    "size",
    "draw",
    "r2",
    "rmse",
    "mae",
    "n_test",
    "r2_rest",
    "rmse_rest",
    "rmse_rest_slow",
    "n_rest",
    *ADVICE_COLUMNS,
    "r2_rest_new",
    "rmse_rest_new",
    "n_rest_new",
)
PRETRAINING_COLUMNS = (
    "learner",
    "source_pressure_bar",
    "source_label",
    "r2",
    "rmse",
    "mae",
    "n",
    "n_test",
)
METRICS = ("r2", "rmse", "mae")
# Draws that a CPU trains together, and that are kept together in the store. The same whatever the
# number of draws, so that more of them train only the new ones, and to the same bits.
DRAWS_IN_PART = 10
# log10 of D in 1e-8 m2/s below which a structure is a slow mover: 3e-10 m2/s.
SLOW = -1.5

logger = logging.getLogger(__name__)


def pretrain(
    features_source: pd.DataFrame,
    labels: pd.Series | pd.DataFrame,
    label: str,
    *,
    learner: str,
    protocol: str,
    seed: int,
    device: str = "auto",
    scale_features: pd.DataFrame | None = None,
    groups: Mapping[str, int] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Pretrained:
    """Train a model of one label on the source structures, split 72:8:20.

    Parameters
    ----------
    features_source : DataFrame
        As :func:`poreflux.data.features.feature_table` gives it.
    labels : Series or DataFrame
        Indexed by name, as :func:`poreflux.data.labels.values_of` or, for labels that one model
        learns together, :func:`poreflux.data.labels.isotherms_of` gives it.
    label : str
        Name of the label, such as ``uptake_65bar`` or ``isotherm``.
    learner : str
        One of :func:`poreflux.learning.learners.algorithms`, with a feature set after a plus sign
        unless that is ``paper55``: ``gp+mobility``.
    protocol : str
        ``"fast"``, ``"paper"`` or ``"released"``, see
        :data:`poreflux.learning.learners.mlp.PROTOCOLS`; only the network has more than one.
    seed : int
        The configuration's seed. The split depends on it and on which structures are labelled
        and so is the same for every label that the same structures have.
    device : str
        ``"auto"`` (a GPU if there is one), ``"cpu"`` or ``"cuda"``, for learners that use a GPU.
    scale_features : DataFrame, optional
        Features whose mean and standard deviation scale the input of the ``fast`` protocol; by
        default those of the source's training share. Give the target's features, which need no
        labels: hypothetical structures are so much more open than real ones that on the source's
        scale all targets crowd into one corner, where the frozen layer cannot tell them apart.
    groups : mapping of str to int, optional
        By content hash; structures of one group go into one part of the split.
    checkpoint : Checkpoint, optional
        See :func:`poreflux.learning.learners.mlp.train_batch`.

    Returns
    -------
    Pretrained

    Raises
    ------
    DataError
        If there are too few labelled structures to split.
    """
    rows, y = _labelled_rows(features_source, labels, label)
    feature_set = get_learner(learner).feature_set
    x, names = matrix(rows, feature_set)
    hashes = rows["content_hash"].tolist()
    data_seed = content_seed(seed, hashes)
    parts = split(len(y), seed_from(data_seed, "pretrain"), groups=group_numbers(hashes, groups))
    model_seed = seed_from(data_seed, "pretrain", label)
    logger.info("pretraining %s on %s of %d structures", learner, label, len(y))
    reference = None
    if scale_features is not None:
        reference, reference_names = matrix(scale_features, feature_set)
        check_features(reference_names, names, "the source model")
    model = fit(
        learner,
        x,
        y,
        [parts],
        phase="pretrain",
        label=label,
        protocol=protocol,
        seeds=[model_seed],
        device=device,
        reference=reference,
        checkpoint=checkpoint,
    )
    test = parts.test
    each = [
        scores(known, predicted)
        for known, predicted in zip(
            np.atleast_2d(y[test].T), model.predict(x[test]), strict=True
        )
    ]  # fmt: skip
    return Pretrained(
        learner=learner,
        label=label,
        **{metric: float(np.mean([found[metric] for found in each])) for metric in METRICS},
        n=len(y),
        feature_names=tuple(names),
        test_hashes=tuple(hashes[i] for i in test),
        model=model.to_bytes(),
    )


def join_sources(models: Sequence[Pretrained], label: str) -> Pretrained:
    """Source models of one learner as one, of several outputs: scores are their means.

    Transfer hands over all of their predictions. A learner that ``takes_isotherm`` needs no such
    model: it learns several labels at once, see :func:`pretrain`.
    """
    loaded = [model.load() for model in models]
    return replace(
        models[0],
        label=label,
        **{metric: float(np.mean([getattr(m, metric) for m in models])) for metric in METRICS},
        n=min(model.n for model in models),
        model=type(loaded[0]).join(loaded).to_bytes(),
    )


def run_size(
    features_target: pd.DataFrame,
    labels: pd.Series,
    pretrained: Iterable[Pretrained],
    size: int,
    n_draws: int,
    *,
    label: str = DIFFUSIVITY,
    learner: str = "mlp",
    protocol: str,
    seed: int,
    device: str = "auto",
    same_members: bool = False,
    splits: str = "random",
    groups: Mapping[str, int] | None = None,
    part: Callable[[Pretrained | None, range, Callable[..., bytes]], bytes] | None = None,
) -> tuple[pd.DataFrame, bytes]:
    """Direct and transfer learning of a label on the same random draws of one size.

    Parameters
    ----------
    features_target : DataFrame
        As :func:`poreflux.data.features.feature_table` gives it, with as many bins as the
        source had.
    labels : Series
        Indexed by name, as :func:`poreflux.data.labels.values_of` gives it.
    pretrained : iterable of Pretrained
        Source models of any labels and learners; those of other learners are passed over.
    size, n_draws : int
        Structures in a draw, number of draws.
    label : str
        Name of the target's label.
    learner, protocol, seed, device
        As in :func:`pretrain`.
    same_members : bool
        Draw only once and split anew each time, see :func:`poreflux.learning.splits.draws`.
    splits : str
        ``"random"``, or ``"grouped"``: near duplicates are in one part of a draw, or all outside.
    groups : mapping of str to int, optional
        Near duplicates have equal numbers, by content hash; structures that are not there have
        none. ``"grouped"`` needs it; with ``"random"`` it only counts in the scores.
    part : callable, optional
        Given the source model (or None), the draws and a function that trains them, returns what
        that function returned, now or in an earlier run. The function takes a ``checkpoint``, see
        :func:`poreflux.learning.learners.mlp.train_batch`.

    Returns
    -------
    scores : DataFrame
        Columns :data:`SCORE_COLUMNS`, one row per trained model: scores on the draw's test share
        and on the rest, all labelled structures outside the draw (``rmse_rest_slow``, of the
        diffusivity: those of them below 3e-10 m2/s; ``r2_rest_new``, ``rmse_rest_new``: those
        of which the draw holds no near duplicate, NaN without ``groups``); what
        :func:`poreflux.learning.advisor.advice` says of the source by the labels that the draw's
        models may see, NaN for ``dl``; ``source_pressure_bar`` is NaN for ``dl`` and for sources
        that are no uptakes.
    models : bytes
        A :class:`poreflux.learning.trained.TrainedSize` with every model.

    Raises
    ------
    DataError
        If fewer than ``size`` structures are labelled, or the source has other features.
    """
    rows, y = _labelled_rows(features_target, labels, label)
    if size > len(y):
        raise DataError(
            f"a draw of size {size} needs as many structures with the label {label}, "
            f"but only {len(y)} have one"
        )
    x, names = matrix(rows, get_learner(learner).feature_set)
    hashes = rows["content_hash"].tolist()
    data_seed = content_seed(seed, hashes)
    frameworks = group_numbers(hashes, groups)
    together = None
    if splits == "grouped":
        if frameworks is None:
            raise DataError("grouped splits need the groups of near duplicates")
        together = frameworks
    drawn = draws(len(y), size, n_draws, data_seed, same_members=same_members, groups=together)
    on_cpu = get_learner(learner).device(device) == "cpu"
    draws_in_part = DRAWS_IN_PART if on_cpu else n_draws
    sources = sorted(
        (source for source in pretrained if source.learner == learner),
        key=lambda source: rank_of(source.label),
    )
    trained_groups = []
    for i, source in enumerate([None, *sources]):
        kind, name = ("tl", source.label) if source else ("dl", "")
        if source:
            check_features(names, source.feature_names, f"the source model of {name}")
        parts = []
        for first in range(0, n_draws, draws_in_part):
            numbers = range(first, min(first + draws_in_part, n_draws))

            def train(
                checkpoint=None, source=source, kind=kind, name=name, numbers=numbers, i=i
            ) -> bytes:
                logger.info(
                    "size %d: set %d of %d, %s, draws %d to %d of %d",
                    size, i + 1, len(sources) + 1,
                    " ".join(filter(None, (learner, kind, name))),
                    numbers[0] + 1, numbers[-1] + 1, n_draws,
                )  # fmt: skip
                model = fit(
                    learner,
                    x,
                    y,
                    [drawn[draw] for draw in numbers],
                    phase="finetune" if source else "direct",
                    label=label,
                    protocol=protocol,
                    seeds=[seed_from(data_seed, kind, name, size, draw) for draw in numbers],
                    device=device,
                    source=source.load() if source else None,
                    checkpoint=checkpoint,
                )
                predictions = model.predict(x).astype(np.float32)
                return Group(kind, learner, name, model, predictions).to_bytes()

            trained_part = part(source, numbers, train) if part else train()
            parts.append(Group.from_bytes(trained_part))
        said = source.load().predict(x).astype(np.float32) if source else None
        trained_groups.append(replace(Group.joined(parts), source_predictions=said))
    trained = TrainedSize(
        size, label, tuple(names), tuple(hashes), y, parts_of(drawn, len(y)), tuple(trained_groups),
        frameworks,
    )  # fmt: skip
    return scores_of(trained), trained.to_bytes()


def _labelled_rows(
    features: pd.DataFrame, labels: pd.Series | pd.DataFrame, label: str
) -> tuple[pd.DataFrame, np.ndarray]:
    rows, y = labelled_rows(features, labels)
    if rows.empty:
        raise DataError(
            f"none of the {len(features)} structures with features has the label {label}, which "
            f"{len(labels)} structures have; see the reasons of failed rows in their tables"
        )
    return rows, y


def fit(
    learner: str,
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    phase: str,
    label: str,
    protocol: str,
    seeds: Sequence[int],
    device: str,
    source: Stack | None = None,
    reference: np.ndarray | None = None,
    checkpoint: Checkpoint | None = None,
) -> Stack:
    """One model per split by the learner's own way, with progress in the log.

    Every learner gets rows, splits, seeds and the source model, and of the following what its
    :attr:`~poreflux.learning.learners.Learner.options` name:

    - ``step``: to be called with the number of models just trained;
    - ``phase``: ``pretrain``, ``direct`` or ``finetune``;
    - ``label_kind``: see :func:`poreflux.data.labels.kind_of`;
    - ``protocol``: name of the training protocol;
    - ``reference``: features (m, d) to scale the input by, or None;
    - ``device``: ``cpu`` or ``cuda``;
    - ``checkpoint``: a place for what has been trained so far, or None;
    - ``estimates``: see :func:`poreflux.data.features.estimates`.
    """
    one = get_learner(learner)
    offered = {
        "step": Progress(len(splits), "models", logger).step,
        "phase": phase,
        "label_kind": kind_of(label),
        "protocol": protocol,
        "reference": reference,
        "device": one.device(device),
        "checkpoint": checkpoint,
        "estimates": estimates(one.feature_set),
    }
    options = {name: offered[name] for name in one.options}
    return one.load().fit(x, y, splits, seeds=seeds, source=source, **options)


def score_table(models: bytes) -> pd.DataFrame:
    """Scores of every model of a size on its draw's test share.

    Parameters
    ----------
    models : bytes
        A :class:`poreflux.learning.trained.TrainedSize`, as :func:`run_size` returns it.

    Returns
    -------
    DataFrame
        Columns :data:`SCORE_COLUMNS`, see :func:`run_size`.
    """
    return scores_of(TrainedSize.from_bytes(models))


def scores_of(trained: TrainedSize) -> pd.DataFrame:
    """Scores of every model of a size, columns :data:`SCORE_COLUMNS`, see :func:`run_size`."""
    rows = []
    for group in trained.groups:
        for draw, parts in enumerate(trained.parts):
            test = parts == TEST
            predicted = group.predictions[draw]
            rows.append(
                {
                    "kind": group.kind,
                    "learner": group.learner,
                    "source_pressure_bar": group.source_pressure_bar,
                    "source_label": group.source,
                    "label": trained.label,
                    "size": trained.size,
                    "draw": draw,
                    **scores(trained.labels[test], predicted[test]),
                    "n_test": int(test.sum()),
                    **_rest_scores(trained, predicted, parts == REST),
                    **_new_scores(trained, predicted, draw),
                    **_said_before(group, trained, draw),
                }
            )
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def _rest_scores(trained: TrainedSize, predicted: np.ndarray, rest: np.ndarray) -> dict[str, float]:
    """Scores on the structures outside a draw: many more than its test share, and unseen too."""
    labels = trained.labels
    slow = rest & (labels < SLOW) & (trained.label == DIFFUSIVITY)
    found = {"r2_rest": np.nan, "rmse_rest": np.nan, "rmse_rest_slow": np.nan}
    if rest.sum() > 1:
        on_rest = scores(labels[rest], predicted[rest])
        found |= {"r2_rest": on_rest["r2"], "rmse_rest": on_rest["rmse"]}
    if slow.any():
        found["rmse_rest_slow"] = scores(labels[slow], predicted[slow])["rmse"]
    return found | {"n_rest": int(rest.sum())}


def _new_scores(trained: TrainedSize, predicted: np.ndarray, draw: int) -> dict[str, float]:
    """Scores on the structures outside a draw that are no near duplicates of any in it."""
    found = {"r2_rest_new": np.nan, "rmse_rest_new": np.nan, "n_rest_new": np.nan}
    if trained.frameworks is None:
        return found
    new = trained.new_to(draw)
    if new.sum() > 1:
        on_new = scores(trained.labels[new], predicted[new])
        found |= {"r2_rest_new": on_new["r2"], "rmse_rest_new": on_new["rmse"]}
    return found | {"n_rest_new": float(new.sum())}


def _said_before(group: Group, trained: TrainedSize, draw: int) -> dict[str, float]:
    """The advisor's scores of a group's source, by training and validation rows of a draw."""
    if group.source_predictions is None:
        return dict.fromkeys(ADVICE_COLUMNS, np.nan)
    seen = ~trained.held_out()[draw]
    return advice(group.source_predictions[:, seen].T, trained.labels[seen])


def pretraining_table(pretrained: Iterable[Pretrained]) -> pd.DataFrame:
    """Scores of source models on their test shares.

    Parameters
    ----------
    pretrained : iterable of Pretrained

    Returns
    -------
    DataFrame
        One row per model: learner, source_pressure_bar, source_label, r2, rmse and mae (in the
        label's unit), n (all structures), n_test.
    """
    rows = [
        {
            "learner": model.learner,
            "source_pressure_bar": model.pressure_bar,
            "source_label": model.label,
            **{metric: getattr(model, metric) for metric in METRICS},
            "n": model.n,
            "n_test": len(model.test_hashes),
        }
        for model in pretrained
    ]
    return pd.DataFrame(rows, columns=PRETRAINING_COLUMNS)
