"""The study: pretraining on uptakes, then direct against transfer learning of the diffusivity.

Source models learn the uptake at one pressure from many cheap structures. On the target, random
draws of a given size are learnt twice: directly, and starting from each source model. Both see
the same rows.

References
----------
Y. Lim, J. Kim, Mol. Syst. Des. Eng. 2022, doi:10.1039/d2me00082b.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch

from poreflux.errors import DataError
from poreflux.features import diffusion_labels, labelled, matrix, uptake_labels
from poreflux.learning import mlp
from poreflux.learning.scoring import scores
from poreflux.learning.splits import Split, content_seed, draws, split
from poreflux.learning.trained import (
    TEST,
    Group,
    Model,
    Pretrained,
    TrainedSize,
    check_features,
    learner_module,
    parts_of,
)
from poreflux.progress import Progress
from poreflux.random_stream import seed_from

SCORE_COLUMNS = (
    "kind",
    "learner",
    "source_pressure_bar",
    "size",
    "draw",
    "r2",
    "rmse",
    "mae",
    "n_test",
)
PRETRAINING_COLUMNS = ("learner", "source_pressure_bar", "r2", "rmse", "mae", "n", "n_test")
METRICS = ("r2", "rmse", "mae")

logger = logging.getLogger(__name__)


def pretrain(
    features_source: pd.DataFrame,
    uptake: pd.DataFrame,
    pressure_bar: float,
    *,
    learner: str,
    protocol: str,
    seed: int,
    device: str = "auto",
    scale_features: pd.DataFrame | None = None,
) -> Pretrained:
    """Train a model of the uptake at one pressure on the source structures, split 72:8:20.

    Parameters
    ----------
    features_source : DataFrame
        As :func:`poreflux.features.feature_table` gives it.
    uptake : DataFrame
        Columns name, status, pressure_bar, uptake_cm3stp_cm3.
    pressure_bar : float
        Which uptake to learn, bar.
    learner : str
        ``"mlp"``, ``"xgboost"`` or ``"xgboost-weighted"``.
    protocol : str
        ``"fast"``, ``"paper"`` or ``"released"``, see :data:`poreflux.learning.mlp.PROTOCOLS`;
        only the network has more than one.
    seed : int
        The configuration's seed. The split depends on it and on which structures are labelled
        and so is the same for every pressure with the same structures.
    device : str
        ``"auto"`` (a GPU if there is one), ``"cpu"`` or ``"cuda"``, for the network.
    scale_features : DataFrame, optional
        Features whose mean and standard deviation scale the input of the ``fast`` protocol; by
        default those of the source's training share. Give the target's features, which need no
        labels: hypothetical structures are so much more open than real ones that on the source's
        scale all targets crowd into one corner, where the frozen layer cannot tell them apart.

    Returns
    -------
    Pretrained

    Raises
    ------
    DataError
        If there is no uptake at that pressure, or too few structures to split.
    """
    rows, y = labelled(features_source, uptake_labels(uptake, pressure_bar))
    x, names = matrix(rows)
    hashes = rows["content_hash"].tolist()
    data_seed = content_seed(seed, hashes)
    parts = split(len(y), seed_from(data_seed, "pretrain"))
    model_seed = seed_from(data_seed, "pretrain", f"{float(pressure_bar):g}")
    logger.info("pretraining %s at %g bar on %d structures", learner, pressure_bar, len(y))
    reference = None
    if scale_features is not None:
        reference, reference_names = matrix(scale_features)
        check_features(reference_names, names, "the source model")
    model = _fit(
        learner,
        x,
        y,
        [parts],
        phase="pretrain",
        protocol=protocol,
        seeds=[model_seed],
        device=device,
        reference=reference,
    )
    test = parts.test
    return Pretrained(
        learner=learner,
        pressure_bar=float(pressure_bar),
        **scores(y[test], model.predict(x[test])[0]),
        n=len(y),
        feature_names=tuple(names),
        test_hashes=tuple(hashes[i] for i in test),
        model=learner_module(learner).to_bytes(model),
    )


def run_size(
    features_target: pd.DataFrame,
    diffusion: pd.DataFrame,
    pretrained: Iterable[Pretrained],
    size: int,
    n_draws: int,
    *,
    learners: Sequence[str] = ("mlp", "xgboost"),
    protocol: str,
    seed: int,
    device: str = "auto",
    same_members: bool = False,
) -> tuple[pd.DataFrame, bytes]:
    """Direct and transfer learning of the diffusivity on the same random draws of one size.

    Parameters
    ----------
    features_target : DataFrame
        As :func:`poreflux.features.feature_table` gives it, with as many bins as the source had.
    diffusion : DataFrame
        Columns name, status, diffusive, d_m2_s.
    pretrained : iterable of Pretrained
        Source models of any pressures and learners; those of other learners are passed over.
    size, n_draws : int
        Structures in a draw, number of draws.
    learners : sequence of str
        Which learners to run.
    protocol, seed, device
        As in :func:`pretrain`.
    same_members : bool
        Draw only once and split anew each time, see :func:`poreflux.learning.splits.draws`.

    Returns
    -------
    scores : DataFrame
        Columns :data:`SCORE_COLUMNS`, one row a trained model: scores on the draw's test share,
        of log10 of D in 1e-8 m2/s; ``source_pressure_bar`` is NaN for ``dl``.
    models : bytes
        A :class:`poreflux.learning.trained.TrainedSize` with every model.

    Raises
    ------
    DataError
        If fewer than ``size`` structures have a diffusivity, or the source has other features.
    """
    rows, y = labelled(features_target, diffusion_labels(diffusion))
    if size > len(y):
        raise DataError(
            f"a draw of size {size} needs as many structures with a diffusivity, "
            f"but only {len(y)} have one"
        )
    x, names = matrix(rows)
    hashes = rows["content_hash"].tolist()
    data_seed = content_seed(seed, hashes)
    splits = draws(len(y), size, n_draws, data_seed, same_members=same_members)
    groups = []
    tasks = _tasks(learners, pretrained, names)
    for i, (kind, learner, source) in enumerate(tasks):
        pressure = source.pressure_bar if source else np.nan
        logger.info(
            "size %d: set %d of %d, %s %s%s, %d draws",
            size,
            i + 1,
            len(tasks),
            kind,
            learner,
            f" from {pressure:g} bar" if source else "",
            n_draws,
        )
        seeds = [seed_from(data_seed, kind, f"{pressure:g}", size, draw) for draw in range(n_draws)]
        model = _fit(
            learner,
            x,
            y,
            splits,
            phase="finetune" if source else "direct",
            protocol=protocol,
            seeds=seeds,
            device=device,
            source=source.load() if source else None,
        )
        groups.append(Group(kind, learner, pressure, model, model.predict(x).astype(np.float32)))
    trained = TrainedSize(
        size, tuple(names), tuple(hashes), y, parts_of(splits, len(y)), tuple(groups)
    )
    return _score_table(trained), trained.to_bytes()


def _tasks(learners, pretrained, names) -> list[tuple[str, str, Pretrained | None]]:
    """(kind, learner, source) of every set of models: direct first, then rising pressure."""
    by_pressure = sorted(pretrained, key=lambda source: source.pressure_bar)
    tasks = []
    for learner in learners:
        learner_module(learner)
        tasks.append(("dl", learner, None))
        for source in by_pressure:
            if source.learner == learner:
                what = f"the source model at {source.pressure_bar:g} bar"
                check_features(names, source.feature_names, what)
                tasks.append(("tl", learner, source))
    return tasks


def _fit(
    learner: str,
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    phase: str,
    protocol: str,
    seeds: Sequence[int],
    device: str,
    source: Model | None = None,
    reference: np.ndarray | None = None,
) -> Model:
    """One model a split by the learner's own way, with progress in the log."""
    if learner != "mlp":
        progress = Progress(len(splits), "models", logger)
        module = learner_module(learner)
        return module.fit(x, y, splits, seeds=seeds, source=source, step=progress.step)
    if protocol not in mlp.PROTOCOLS:
        known = ", ".join(mlp.PROTOCOLS)
        raise DataError(f"there is no protocol {protocol!r}; there are: {known}")
    settings = getattr(mlp.PROTOCOLS[protocol], phase)
    progress = Progress(len(splits) * settings.max_steps, "training steps", logger)
    return mlp.fit(
        x,
        y,
        splits,
        phase=settings,
        seeds=seeds,
        source=source,
        reference=reference,
        device=_resolve(device),
        step=progress.step,
    )


def _resolve(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


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
    return _score_table(TrainedSize.from_bytes(models))


def _score_table(trained: TrainedSize) -> pd.DataFrame:
    rows = []
    for group in trained.groups:
        for draw, parts in enumerate(trained.parts):
            test = parts == TEST
            rows.append(
                {
                    "kind": group.kind,
                    "learner": group.learner,
                    "source_pressure_bar": group.source_pressure_bar,
                    "size": trained.size,
                    "draw": draw,
                    **scores(trained.labels[test], group.predictions[draw, test]),
                    "n_test": int(test.sum()),
                }
            )
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def pretraining_table(pretrained: Iterable[Pretrained]) -> pd.DataFrame:
    """Scores of source models on their test shares.

    Parameters
    ----------
    pretrained : iterable of Pretrained

    Returns
    -------
    DataFrame
        One row a model: learner, source_pressure_bar, r2, rmse and mae (cm3(STP)/cm3), n (all
        structures), n_test.
    """
    rows = [
        {
            "learner": model.learner,
            "source_pressure_bar": model.pressure_bar,
            **{metric: getattr(model, metric) for metric in METRICS},
            "n": model.n,
            "n_test": len(model.test_hashes),
        }
        for model in pretrained
    ]
    return pd.DataFrame(rows, columns=PRETRAINING_COLUMNS)


def summary(score_table: pd.DataFrame) -> pd.DataFrame:
    """Medians and quartiles over draws, and how often transfer beats direct learning.

    Parameters
    ----------
    score_table : DataFrame
        As :func:`run_size` returns it; several sizes may be concatenated.

    Returns
    -------
    DataFrame
        One row a (kind, learner, source_pressure_bar, size): ``n_draws``; ``r2_median``,
        ``r2_q25``, ``r2_q75`` and the same of rmse and mae; ``tl_wins``, the share of draws in
        which the R2 is above that of direct learning on the same draw (NaN for ``dl``).
    """
    keys = ["kind", "learner", "source_pressure_bar", "size"]
    direct = score_table[score_table["kind"] == "dl"]
    against = direct[["learner", "size", "draw", "r2"]].rename(columns={"r2": "r2_dl"})
    table = score_table.merge(against, on=["learner", "size", "draw"], how="left")
    rows = []
    for key, group in table.groupby(keys, dropna=False, sort=True):
        row = dict(zip(keys, key, strict=True)) | {"n_draws": len(group)}
        for metric in METRICS:
            for name, share in (("median", 0.5), ("q25", 0.25), ("q75", 0.75)):
                row[f"{metric}_{name}"] = group[metric].quantile(share)
        compared = group[(group["kind"] == "tl") & group["r2_dl"].notna()]
        row["tl_wins"] = (compared["r2"] > compared["r2_dl"]).mean() if len(compared) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)
