"""Trained models as artifacts of the store: the same data, settings and code train once."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from poreflux.base.tables import table_digest
from poreflux.data.features import labelled_rows, select_features
from poreflux.data.labels import is_isotherm, isotherms_of, values_of
from poreflux.learning.learners import get_learner
from poreflux.learning.splits import group_numbers
from poreflux.learning.study import DRAWS_IN_PART, join_sources, pretrain, run_size
from poreflux.learning.trained import Pretrained
from poreflux.store import Ingredients, Store, package_version
from poreflux.store.code import code_digest

log = logging.getLogger(__name__)

_SPENT = "spent.json"
_CLOCKS = {"cpu_s": time.process_time, "wall_s": time.monotonic}


def pretrained_models(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    names: Sequence[str],
    *,
    target_features: pd.DataFrame,
    learner: str,
    protocol: str,
    seed: int,
    device: str,
    store: Store,
    splits: str = "random",
    groups: pd.DataFrame | None = None,
) -> list[Pretrained]:
    """Source models of one learner, one per label, from the store or trained.

    ``labels`` is a table of :mod:`poreflux.data.labels`, ``names`` say which of its labels;
    ``isotherm`` is all of its uptakes, ``isotherm_N2`` those of that guest: one model learns them,
    or their models are joined. The rest is as in :func:`poreflux.learning.study.pretrain`.
    ``target_features`` (no labels among them) set the scale of the inputs, for hypothetical MOFs
    are far more open than experimental ones and would crowd those into one corner of the frozen
    layer. ``groups`` is the table of near duplicates of the source, which ``splits: grouped`` keeps
    together; without it, as where the source is known by tables alone, it is split at random.
    """
    features, target_features = seen_by(learner, features, target_features)
    together = kept_together(splits, groups)
    ingredients_of = source_ingredients(
        features, target_features, learner, protocol, seed, together
    )

    def model_of(label: str, values: pd.Series | pd.DataFrame) -> Pretrained:
        ingredients = ingredients_of(label, values)

        def train(checkpoint) -> bytes:
            return pretrain(
                features,
                values,
                label,
                learner=learner,
                protocol=protocol,
                seed=seed,
                device=device,
                scale_features=target_features,
                groups=together,
                checkpoint=checkpoint,
            ).to_bytes()

        on_gpu = get_learner(learner).device(device) == "cuda"
        data = _resumed(store, ingredients, train, models=1, on_gpu=on_gpu)
        return Pretrained.from_bytes(data)

    models = []
    for name in names:
        parts = [model_of(*part) for part in trained_for(name, labels, learner)]
        models.append(parts[0] if parts[0].label == name else join_sources(parts, name))
        log.info("%s, %s: R2 %.3f on the test share", learner, name, models[-1].r2)
    return models


def trained_for(name: str, labels: pd.DataFrame, learner: str) -> list[tuple]:
    """The labels, with their values, whose models make the source model ``name``."""
    if not is_isotherm(name):
        return [(name, values_of(labels, name))]
    isotherms = isotherms_of(labels, name)
    if get_learner(learner).takes_isotherm:
        return [(name, isotherms)]
    return [(label, values_of(labels, label)) for label in isotherms]


def seen_by(
    learner: str, features: pd.DataFrame, target_features: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a source model is trained on: its features, and those of the target for their scale.

    The latter in an order that no name shows in, down to the last digit of a mean.
    """
    feature_set = get_learner(learner).feature_set
    scale = select_features(target_features, feature_set).sort_values(["content_hash", "name"])
    return select_features(features, feature_set), scale


def source_ingredients(
    features: pd.DataFrame,
    target_features: pd.DataFrame,
    learner: str,
    protocol: str,
    seed: int,
    together: Mapping[str, int] | None = None,
) -> Callable[[str, pd.Series | pd.DataFrame], Ingredients]:
    """What makes a source model, given its label and the values."""
    inputs = {"target_features": table_digest(target_features.drop(columns="name"))}
    code, engines = _code(learner), _engines(learner)

    def of(label: str, values: pd.Series | pd.DataFrame) -> Ingredients:
        subject = _digest_of_labelled(features, values)
        params = {"learner": learner, "protocol": protocol, "seed": seed, "label": label}
        kept = _inputs_of_groups(features, values, together)
        return Ingredients("pretrain", subject, inputs | kept, params, code, engines)

    return of


def target_models(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    pretrained: Sequence[bytes],
    *,
    label: str,
    learner: str,
    size: int,
    draws: int,
    protocol: str,
    seed: int,
    device: str,
    store: Store,
    same_members: bool = False,
    splits: str = "random",
    groups: pd.DataFrame | None = None,
) -> bytes:
    """Direct and transfer models of one learner and size, from the store or trained.

    A draw cannot hold more structures than are labelled: a larger ``size`` is reduced to
    that number, with a warning, so that a few failed structures do not cost the study. Every few
    draws are an artifact of their own: an interrupted training goes on from there, and further
    draws or source labels train only what is new. ``groups`` is the table of near duplicates of
    the target, see :func:`poreflux.learning.study.run_size`.

    Returns
    -------
    bytes
        A :class:`poreflux.learning.trained.TrainedSize`;
        :func:`poreflux.learning.study.score_table` gives its scores.

    Raises
    ------
    DataError
        If too few structures are labelled to split them.
    """
    features = select_features(features, get_learner(learner).feature_set)
    values = values_of(labels, label)
    available = len(labelled_rows(features, values)[1])
    if size > available:
        log.warning("draws of %d reduced to the %d structures with a label", size, available)
        size = available
    digests = {
        Pretrained.from_bytes(data).label: hashlib.sha256(data).hexdigest() for data in pretrained
    }
    ingredients_of = part_ingredients(
        features, values, learner, protocol, seed, size, same_members, label,
        kept_together(splits, groups),
    )  # fmt: skip
    on_gpu = get_learner(learner).device(device) == "cuda"

    def part(source: Pretrained | None, numbers: range, train: Callable[..., bytes]) -> bytes:
        ingredients = ingredients_of(digests[source.label] if source else "", numbers)
        return _resumed(store, ingredients, train, models=len(numbers), on_gpu=on_gpu)

    _, models = run_size(
        features,
        values,
        [Pretrained.from_bytes(data) for data in pretrained],
        size,
        draws,
        label=label,
        learner=learner,
        protocol=protocol,
        seed=seed,
        device=device,
        same_members=same_members,
        splits=splits,
        groups=_by_hash(groups),
        part=part,
    )
    return models


def part_ingredients(
    features: pd.DataFrame,
    values: pd.Series,
    learner: str,
    protocol: str,
    seed: int,
    size: int,
    same_members: bool,
    label: str,
    together: Mapping[str, int] | None = None,
) -> Callable[[str, range], Ingredients]:
    """What makes some draws of a size, given the digest of the source model (or ``""``)."""
    subject = _digest_of_labelled(features, values)
    code, engines = _code(learner), _engines(learner)

    def of(source: str, numbers: range) -> Ingredients:
        params = {
            "learner": learner,
            "protocol": protocol,
            "seed": seed,
            "size": size,
            "draws": [numbers[0], numbers[-1]],
            "same_members": same_members,
            "label": label,
        }
        inputs = {"source": source} if source else {}
        inputs |= _inputs_of_groups(features, values, together)
        return Ingredients("finetune", subject, inputs, params, code, engines)

    return of


def kept_together(splits: str, groups: pd.DataFrame | None) -> dict[str, int] | None:
    """The groups, by content hash, that splits keep together; None where they are random."""
    return _by_hash(groups) if splits == "grouped" else None


def _by_hash(groups: pd.DataFrame | None) -> dict[str, int] | None:
    if groups is None:
        return None
    return dict(zip(groups["content_hash"], groups["group"].tolist(), strict=True))


def _inputs_of_groups(
    features: pd.DataFrame, values: pd.Series | pd.DataFrame, together: Mapping[str, int] | None
) -> dict[str, str]:
    """Digest of who is kept together among the structures that are learnt from."""
    if together is None:
        return {}
    numbers = group_numbers(labelled_rows(features, values)[0]["content_hash"], together)
    return {"groups": hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()}


def parts_of_draws(draws: int) -> list[range]:
    """The parts of draws as trained on the CPU, and all at once on a GPU."""
    parts = [
        range(first, min(first + in_part, draws))
        for in_part in (DRAWS_IN_PART, draws)
        for first in range(0, draws, in_part)
    ]
    return list(dict.fromkeys(parts))


class Scratch:
    """What a training has reached, in the store's folder for unfinished work."""

    def __init__(self, store: Store, ingredients: Ingredients):
        self._store = store
        self.folder = store.root / "running" / ingredients.stage / ingredients.key
        before = self.load(_SPENT)
        self._before = json.loads(before) if before else dict.fromkeys(_CLOCKS, 0.0)
        self._start = {name: clock() for name, clock in _CLOCKS.items()}

    def spent(self) -> dict[str, float]:
        """CPU and wall seconds of the training, those before interruptions included."""
        return {
            name: round(self._before[name] + clock() - self._start[name], 3)
            for name, clock in _CLOCKS.items()
        }

    def load(self, name: str) -> bytes | None:
        """What was last saved under a name, if anything that is whole."""
        path = self.folder / name
        try:
            checksum, _, data = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("cannot read %s (%s): it is not used", path, error.strerror)
            return None
        if checksum != _checksum(data):
            log.warning("%s is damaged and not used: the training starts before it", path)
            return None
        return data

    def save(self, name: str, data: bytes) -> None:
        """Keep it, whole or not at all."""
        spent = json.dumps(self.spent()).encode()
        for kept, content in ((name, data), (_SPENT, spent)):
            self._store.write(self.folder / kept, _checksum(content) + b"\n" + content)

    def remove(self) -> None:
        """Forget it: the training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _resumed(
    store: Store,
    ingredients: Ingredients,
    train: Callable[..., bytes],
    *,
    models: int,
    on_gpu: bool,
) -> bytes:
    """An artifact from the store, or trained on from where an interrupted training was."""
    scratch = Scratch(store, ingredients)

    def facts() -> dict:
        spent = scratch.spent()
        gpu = {"gpu_s": spent["wall_s"]} if on_gpu else {}
        return {"models": models, "cpu_s": spent["cpu_s"], **gpu}

    payload = store.get_or_make(ingredients, lambda: train(checkpoint=scratch), facts)
    scratch.remove()
    return payload


def _digest_of_labelled(features: pd.DataFrame, labels: pd.Series | pd.DataFrame) -> str:
    """Digest of what is learnt from: contents and labels, whatever the structures are called."""
    rows, y = labelled_rows(features, labels)
    rows = rows.drop(columns="name")
    if y.ndim == 1:
        return table_digest(rows.assign(label=y))
    return table_digest(rows.join(pd.DataFrame(y, columns=labels.columns)))


def _code(learner: str) -> str:
    """Digest of what trains a learner: the study, and the learner's own file, loaded by name."""
    return code_digest("poreflux.learning.study", get_learner(learner).module)


def _engines(learner: str) -> dict[str, str]:
    return {name: package_version(name) for name in get_learner(learner).packages}
