"""What training leaves behind: models with all that is needed to use and to judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from poreflux.base.errors import DataError
from poreflux.data.labels import pressure_of
from poreflux.learning.container import as_array, pack, unpack
from poreflux.learning.learners import get_learner
from poreflux.learning.splits import Split
from poreflux.learning.stack import Stack

# What a structure is to a draw, in ``TrainedSize.parts``.
REST, TRAIN, VALIDATION, TEST = range(4)


@dataclass(frozen=True)
class Pretrained:
    """A model of one label of the source structures.

    Attributes
    ----------
    learner : str
        Such as ``gp+mobility``, see :func:`poreflux.learning.learners.get_learner`.
    label : str
        What it predicts, see :mod:`poreflux.data.labels`.
    r2, rmse, mae : float
        On the test share; errors in the label's unit, cm3(STP)/cm3 for an uptake.
    n : int
        Structures in all three shares.
    feature_names : tuple of str
    test_hashes : tuple of str
        Content hashes of the test share.
    model : bytes
        A stack of one.
    """

    learner: str
    label: str
    r2: float
    rmse: float
    mae: float
    n: int
    feature_names: tuple[str, ...]
    test_hashes: tuple[str, ...]
    model: bytes

    @property
    def pressure_bar(self) -> float:
        """Pressure of the uptake, NaN for other labels."""
        return pressure_of(self.label)

    def load(self) -> Stack:
        """The model itself."""
        return get_learner(self.learner).load().from_bytes(self.model)

    def to_bytes(self) -> bytes:
        """All of it as bytes that are equal for equal content."""
        meta = asdict(self)
        return pack({"model": as_array(meta.pop("model"))}, meta)

    @classmethod
    def from_bytes(cls, data: bytes) -> Pretrained:
        """Read what :meth:`to_bytes` wrote."""
        arrays, meta = unpack(data)
        for name in ("feature_names", "test_hashes"):
            meta[name] = tuple(meta[name])
        return cls(**meta, model=arrays["model"].tobytes())


@dataclass(frozen=True)
class Group:
    """The models of one kind, learner and source over all draws of a size.

    Attributes
    ----------
    kind : str
        ``"dl"`` (direct) or ``"tl"`` (transfer).
    learner : str
    source : str
        Label of the source model; empty for direct learning.
    model : Stack
        One model per draw.
    predictions : ndarray of float32, shape (draws, n)
        The label of every labelled structure, seen in training or not.
    source_predictions : ndarray of float32, shape (m, n), or None
        The m labels of the source that its model predicts of them; None for direct learning.
    """

    kind: str
    learner: str
    source: str
    model: Stack
    predictions: np.ndarray
    source_predictions: np.ndarray | None = None

    @property
    def source_pressure_bar(self) -> float:
        """Pressure of the source's uptake, NaN for other labels and direct learning."""
        return pressure_of(self.source)

    @property
    def name(self) -> str:
        """Such as ``mlp dl`` or ``xgboost tl uptake_100bar``."""
        return " ".join(filter(None, (self.learner, self.kind, self.source)))

    def to_bytes(self) -> bytes:
        """All of it as bytes that are equal for equal content."""
        arrays = {"model": as_array(self.model.to_bytes()), "predictions": self.predictions}
        if self.source_predictions is not None:
            arrays["source_predictions"] = self.source_predictions
        return pack(arrays, {"kind": self.kind, "learner": self.learner, "source": self.source})

    @classmethod
    def from_bytes(cls, data: bytes) -> Group:
        """Read what :meth:`to_bytes` wrote."""
        arrays, meta = unpack(data)
        model = get_learner(meta["learner"]).load().from_bytes(arrays.pop("model").tobytes())
        return cls(**meta, model=model, **arrays)

    @classmethod
    def joined(cls, parts: Sequence[Group]) -> Group:
        """The draws of several parts as one group."""
        model = type(parts[0].model).join([part.model for part in parts])
        predictions = np.concatenate([part.predictions for part in parts])
        return replace(parts[0], model=model, predictions=predictions)


@dataclass(frozen=True)
class TrainedSize:
    """Every model trained at one size of draw.

    Attributes
    ----------
    size : int
        Structures in a draw.
    label : str
        What was learnt, see :mod:`poreflux.data.labels`.
    feature_names : tuple of str
    content_hashes : tuple of str
        The n labelled structures.
    labels : ndarray of float64, shape (n,)
        Their labels: for ``diffusivity``, log10 of D in 1e-8 m2/s.
    parts : ndarray of int8, shape (draws, n)
        What each structure is to each draw: :data:`REST` (outside), :data:`TRAIN`,
        :data:`VALIDATION` or :data:`TEST`.
    groups : tuple of Group
    frameworks : ndarray of int64, shape (n,), or None
        Structures of equal numbers are near duplicates; None where that is not known.
    """

    size: int
    label: str
    feature_names: tuple[str, ...]
    content_hashes: tuple[str, ...]
    labels: np.ndarray
    parts: np.ndarray
    groups: tuple[Group, ...]
    frameworks: np.ndarray | None = None

    def to_bytes(self) -> bytes:
        """All of it as bytes that are equal for equal content."""
        arrays = {"labels": self.labels, "parts": self.parts}
        if self.frameworks is not None:
            arrays["frameworks"] = self.frameworks
        for i, group in enumerate(self.groups):
            arrays[f"group_{i:05d}"] = as_array(group.to_bytes())
        meta = {
            "size": self.size,
            "label": self.label,
            "feature_names": self.feature_names,
            "content_hashes": self.content_hashes,
        }
        return pack(arrays, meta)

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainedSize:
        """Read what :meth:`to_bytes` wrote."""
        arrays, meta = unpack(data)
        names = sorted(name for name in arrays if name.startswith("group_"))
        return cls(
            size=meta["size"],
            label=meta["label"],
            feature_names=tuple(meta["feature_names"]),
            content_hashes=tuple(meta["content_hashes"]),
            labels=arrays["labels"],
            parts=arrays["parts"],
            groups=tuple(Group.from_bytes(arrays[name].tobytes()) for name in names),
            frameworks=arrays.get("frameworks"),
        )

    def held_out(self) -> np.ndarray:
        """Structures that a draw's models never saw, bool (draws, n): its test share and the rest.

        Validation rows are not among them: they chose when the training stopped.
        """
        return (self.parts == TEST) | (self.parts == REST)

    def new_to(self, draw: int) -> np.ndarray:
        """Structures outside a draw of which it holds no near duplicate, bool (n,).

        Raises
        ------
        ValueError
            If near duplicates are not known.
        """
        if self.frameworks is None:
            raise ValueError("near duplicates are not known")
        outside = self.parts[draw] == REST
        return outside & ~np.isin(self.frameworks, self.frameworks[~outside])


def parts_of(splits: Sequence[Split], n: int) -> np.ndarray:
    """What each of ``n`` structures is to each draw, int8 (draws, n)."""
    parts = np.full((len(splits), n), REST, dtype=np.int8)
    for row, split in zip(parts, splits, strict=True):
        row[split.train], row[split.validation], row[split.test] = TRAIN, VALIDATION, TEST
    return parts


def check_features(given: Sequence[str], expected: Sequence[str], what: str) -> None:
    """Refuse features other than those that a model was trained on.

    Raises
    ------
    DataError
        Naming what differs.
    """
    if list(given) == list(expected):
        return
    odd = sorted(set(given) ^ set(expected))[:5]
    raise DataError(
        f"{what} was trained on {len(expected)} features and got {len(given)} "
        f"(differing: {', '.join(odd) or 'their order'}); use the same energy.bins for both"
    )
