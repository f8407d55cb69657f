"""Trained models as artifacts of the store: the same data, settings and code train once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import pandas as pd

from poreflux.features import diffusion_labels, labelled, uptake_labels, used
from poreflux.learning import package_of, parse_learner
from poreflux.learning.study import pretrain, run_size
from poreflux.learning.trained import Pretrained
from poreflux.store import Ingredients, Store, code_digest, package_version
from poreflux.tables import table_digest

log = logging.getLogger(__name__)


def pretrained_models(
    features: pd.DataFrame,
    uptake: pd.DataFrame,
    pressures_bar: Sequence[float],
    *,
    target_features: pd.DataFrame,
    learner: str,
    protocol: str,
    seed: int,
    device: str,
    store: Store,
) -> list[Pretrained]:
    """Source models of one learner at each pressure, from the store or trained.

    Parameters are those of :func:`poreflux.learning.study.pretrain`; ``target_features`` (no
    labels among them) set the scale of the inputs, for hypothetical MOFs are far more open than
    experimental ones and would crowd those into one corner of the frozen layer.
    """
    feature_set = parse_learner(learner)[1]
    features, target_features = used(features, feature_set), used(target_features, feature_set)
    # an order that no name shows in, down to the last digit of a mean
    target_features = target_features.sort_values(["content_hash", "name"])
    models = []
    for pressure in pressures_bar:
        labels = uptake_labels(uptake, pressure)
        made_of = Ingredients(
            stage="pretrain",
            subject=_digest_of_labelled(features, labels),
            inputs={"target_features": table_digest(target_features.drop(columns="name"))},
            params={
                "learner": learner,
                "protocol": protocol,
                "seed": seed,
                "pressure_bar": float(pressure),
            },
            code=code_digest("poreflux.learning.study"),
            engines=_engine(learner),
        )

        def train(pressure=pressure) -> bytes:
            return pretrain(
                features,
                uptake,
                pressure,
                learner=learner,
                protocol=protocol,
                seed=seed,
                device=device,
                scale_features=target_features,
            ).to_bytes()

        models.append(Pretrained.from_bytes(store.get_or_make(made_of, train)))
        log.info("%s at %g bar: R2 %.3f on the test share", learner, pressure, models[-1].r2)
    return models


def target_models(
    features: pd.DataFrame,
    diffusion: pd.DataFrame,
    pretrained: Sequence[bytes],
    *,
    learner: str,
    size: int,
    draws: int,
    protocol: str,
    seed: int,
    device: str,
    store: Store,
) -> bytes:
    """Direct and transfer models of one learner and size, from the store or trained.

    A draw cannot hold more structures than have a diffusivity: a larger ``size`` is reduced to
    that number, with a warning, so that a few failed structures do not cost the study.

    Returns
    -------
    bytes
        A :class:`poreflux.learning.trained.TrainedSize`;
        :func:`poreflux.learning.study.score_table` gives its scores.

    Raises
    ------
    DataError
        If too few structures have a diffusivity to split them.
    """
    features = used(features, parse_learner(learner)[1])
    available = len(labelled(features, diffusion_labels(diffusion))[1])
    if size > available:
        log.warning("draws of %d reduced to the %d structures with a diffusivity", size, available)
        size = available
    made_of = Ingredients(
        stage="finetune",
        subject=_digest_of_labelled(features, diffusion_labels(diffusion)),
        inputs={
            f"source{i}": hashlib.sha256(data).hexdigest() for i, data in enumerate(pretrained)
        },
        params={
            "learner": learner,
            "protocol": protocol,
            "seed": seed,
            "size": size,
            "draws": draws,
        },
        code=code_digest("poreflux.learning.study"),
        engines=_engine(learner),
    )

    def train() -> bytes:
        return run_size(
            features,
            diffusion,
            [Pretrained.from_bytes(data) for data in pretrained],
            size,
            draws,
            learner=learner,
            protocol=protocol,
            seed=seed,
            device=device,
        )[1]

    return store.get_or_make(made_of, train)


def _digest_of_labelled(features: pd.DataFrame, labels: pd.Series) -> str:
    """Digest of what is learnt from: contents and labels, whatever the structures are called."""
    rows, y = labelled(features, labels)
    return table_digest(rows.drop(columns="name").assign(label=y))


def _engine(learner: str) -> dict[str, str]:
    return {package_of(learner): package_version(package_of(learner))}
