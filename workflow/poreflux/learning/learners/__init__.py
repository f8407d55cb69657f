"""The learners, one file each: which there are, and what each says of itself.

A file ``name.py`` in this folder is the learner ``name`` (a hyphen for an underscore). It holds

- ``LEARNER``, a dict of literals: fields of :class:`Learner`. It is read from the file's text, so
  that the workflow knows a learner's packages without importing them;
- ``fit(x, y, splits, *, seeds, source=None, ...)``, which trains one model per split, and returns
  a :class:`poreflux.learning.stack.Stack`. Its other keyword arguments are those of
  :attr:`Learner.options`;
- ``from_bytes(data)``, which reads what the stack's ``to_bytes`` wrote;
- ``has_gpu()``, if it uses one.

A new learner needs a new file and its test, and nothing else.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Protocol

from poreflux.base.errors import DataError

FOLDER = Path(__file__).parent
# The features of Lim & Kim 2022, which a learner sees if its name says nothing else.
DEFAULT_FEATURES = "paper55"


@dataclass(frozen=True)
class Learner:
    """An algorithm with a feature set, such as ``gp+mobility``.

    Attributes
    ----------
    algorithm : str
        ``gp``, the name of its file.
    feature_set : str
        ``mobility``, a key of :data:`poreflux.data.features.FEATURE_SETS`.
    packages : tuple of str
        Packages on PyPI that it computes with: their versions decide what a training gives.
    takes_isotherm : bool
        One model learns the uptakes at all pressures of an isotherm. Otherwise a model is
        trained per pressure, and they are joined.
    joins_sources : bool
        Several source models can be joined into one of several outputs.
    uses_gpu : bool
    options : tuple of str
        What its ``fit`` takes besides seeds and a source, see
        :func:`poreflux.learning.study.fit`.
    """

    algorithm: str
    feature_set: str
    packages: tuple[str, ...]
    takes_isotherm: bool = False
    joins_sources: bool = True
    uses_gpu: bool = False
    options: tuple[str, ...] = ("step",)

    @property
    def module(self) -> str:
        """Dotted name of its file, for digests of the code."""
        return f"{__name__}.{_file(self.algorithm).stem}"

    @property
    def transfers_isotherms(self) -> bool:
        """Whether ``isotherm`` can be a source label."""
        return self.takes_isotherm or self.joins_sources

    def load(self) -> ModuleType:
        """Its module, with all that it imports."""
        return importlib.import_module(self.module)

    def device(self, wanted: str) -> str:
        """Where it computes, ``cpu`` or ``cuda``: ``auto`` is a GPU if it uses one and has one."""
        if not self.uses_gpu:
            return "cpu"
        if wanted == "auto":
            return "cuda" if self.load().has_gpu() else "cpu"
        return wanted


class Checkpoint(Protocol):
    """A place for what has been trained so far."""

    def load(self, name: str) -> bytes | None:
        """What was last saved under a name, if anything."""

    def save(self, name: str, data: bytes) -> None:
        """Keep it, whole or not at all."""


def algorithms() -> tuple[str, ...]:
    """Names of all algorithms, one per file of this folder, in alphabetical order."""
    stems = sorted(path.stem for path in FOLDER.glob("*.py"))
    return tuple(stem.replace("_", "-") for stem in stems if not stem.startswith("_"))


def get_learner(name: str) -> Learner:
    """A learner by name: ``gp+mobility``, or ``gp`` for the features ``paper55``.

    Raises
    ------
    DataError
        If there is no such algorithm.

    Examples
    --------
    >>> learner = get_learner("gp+mobility")
    >>> learner.algorithm, learner.feature_set, learner.packages
    ('gp', 'mobility', ('scikit-learn',))
    """
    algorithm, _, feature_set = name.partition("+")
    if algorithm not in algorithms():
        known = ", ".join(algorithms())
        raise DataError(f"there is no learner {name!r}; there are: {known}")
    return Learner(algorithm, feature_set or DEFAULT_FEATURES, **_declaration(algorithm))


def _file(algorithm: str) -> Path:
    return FOLDER / f"{algorithm.replace('-', '_')}.py"


@cache
def _declaration(algorithm: str) -> Mapping:
    """What the file of an algorithm says of it in ``LEARNER``, without running the file."""
    path = _file(algorithm)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEARNER":
            return ast.literal_eval(node.value)
    raise DataError(f"{path} says nothing of its learner: LEARNER = {{...}} is missing")
