"""Trained models in stacks: the one form that every learner's models have.

A study trains a model per draw, and asks all of them for the same structures. So they are kept
together: a stack predicts with all of its models, gives some of them, joins others and is stored
as one byte string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol, Self, get_type_hints

import numpy as np

from poreflux.learning.container import as_array, pack, unpack


class Stack:
    """M trained models of one learner.

    A subclass is a frozen dataclass with a ``predict``. Each of its fields is a column, with an
    entry per model: an array (M, ...), a tuple of M, or another stack of M. The methods here
    treat all columns alike; to be stored, they must be arrays or stacks.
    """

    def __len__(self) -> int:
        return len(getattr(self, self._columns()[0]))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels of ``x`` (n, d) by every model, float64 (M, n).

        To the bit the same for a row whatever rows stand beside it, so that a structure's
        prediction does not depend on its company: no BLAS, see
        :func:`poreflux.base.products.row_products`.
        """
        raise NotImplementedError

    def select(self, which: Sequence[int]) -> Self:
        """The models with numbers ``which``."""
        which = list(which)
        return replace(self, **{n: _select(getattr(self, n), which) for n in self._columns()})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Stacks over the same source as one."""
        columns = {n: _join([getattr(part, n) for part in parts]) for n in cls._columns()}
        return replace(parts[0], **columns)

    def to_bytes(self) -> bytes:
        """The stack as bytes that are equal for equal models."""
        columns = {name: getattr(self, name) for name in self._columns()}
        return pack(
            {n: as_array(c.to_bytes()) if isinstance(c, Stack) else c for n, c in columns.items()}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what :meth:`to_bytes` wrote."""
        arrays, _ = unpack(data)
        kinds = get_type_hints(cls)
        return cls(**{name: _read(array, kinds[name]) for name, array in arrays.items()})

    @classmethod
    def _columns(cls) -> list[str]:
        return [field.name for field in fields(cls)]


class Member(Protocol):
    """One model of a :class:`MemberStack`."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (n,) of ``x`` (n, d)."""

    def arrays(self) -> Mapping[str, np.ndarray]:
        """What it consists of, under names without digits."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Member:
        """The model that :meth:`arrays` gave."""


@dataclass(frozen=True)
class MemberStack(Stack):
    """Models that are trained one by one, with a source's predictions as added features.

    A learner of this kind says what its members are::

        class Processes(MemberStack):
            member = Process

    Attributes
    ----------
    members : tuple of Member
    source : MemberStack or None
        Its predictions are the last features of every member.
    """

    members: tuple[Member, ...]
    source: MemberStack | None = None

    member: ClassVar[type[Member]]

    def predict(self, x: np.ndarray) -> np.ndarray:
        x = with_predictions(x, self.source)
        return np.stack([member.predict(x) for member in self.members]).astype(np.float64)

    def to_bytes(self) -> bytes:
        arrays = {
            f"{name}_{i:05d}": array
            for i, member in enumerate(self.members)
            for name, array in member.arrays().items()
        }
        if self.source is not None:
            arrays["source"] = as_array(self.source.to_bytes())
        return pack(arrays, self._meta())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        arrays, _ = unpack(data)
        source = arrays.pop("source", None)
        by_number: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            what, _, number = name.rpartition("_")
            by_number.setdefault(number, {})[what] = array
        members = tuple(cls.member.from_arrays(by_number[number]) for number in sorted(by_number))
        return cls(members, None if source is None else cls.from_bytes(source.tobytes()))

    @classmethod
    def _columns(cls) -> list[str]:
        # the source is that of all members
        return ["members"]

    def _meta(self) -> Mapping:
        """What is stored beside the arrays."""
        return {}


def with_predictions(x: np.ndarray, source: Stack | None) -> np.ndarray:
    """Features (n, d), and the M predictions of a source, if there is one: (n, d + M)."""
    return x if source is None else np.hstack([x, source.predict(x).T])


def _select(column, which: list[int]):
    if isinstance(column, Stack):
        return column.select(which)
    if isinstance(column, tuple):
        return tuple(column[i] for i in which)
    return column[which]


def _join(columns: Sequence):
    first = columns[0]
    if isinstance(first, Stack):
        return type(first).join(columns)
    if isinstance(first, tuple):
        return tuple(entry for column in columns for entry in column)
    return np.concatenate(columns)


def _read(array: np.ndarray, kind: type):
    if isinstance(kind, type) and issubclass(kind, Stack):
        return kind.from_bytes(array.tobytes())
    return array
