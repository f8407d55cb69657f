"""A straight line in the best physical estimate, and a Gaussian process on what it leaves.

The first column of a feature set is the best estimate there is of a diffusivity: the logarithm of
the mobility on the energy landscape, say. A line through it explains most of the label over all
magnitudes, and far from the training rows, where a process falls back to its mean, the line still
holds. The process (:mod:`poreflux.learning.learners.gp`) learns the rest from all features.

References
----------
C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), ch. 2.7
(explicit basis functions). The line is fitted first, by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from poreflux.learning.learners import gp
from poreflux.learning.splits import Split
from poreflux.learning.stack import MemberStack, with_predictions

LEARNER = {"packages": ("scikit-learn",)}


@dataclass(frozen=True)
class LineAndProcess:
    """One trained line with its process.

    Attributes
    ----------
    line : ndarray of float64, shape (2,)
        Intercept, and slope along the first feature.
    process : Process
        Of what the line leaves.
    """

    line: np.ndarray
    process: gp.Process

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (m,) of features (m, d)."""
        return self.line[0] + self.line[1] * x[:, 0] + self.process.predict(x)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of it by name."""
        return {"line": self.line, **self.process.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The model that :meth:`arrays` gave."""
        rest = {name: array for name, array in arrays.items() if name != "line"}
        return cls(arrays["line"], gp.Process.from_arrays(rest))


class LinesAndProcesses(MemberStack):
    """A stack of M lines with their processes."""

    member = LineAndProcess

    def _meta(self) -> Mapping:
        return {"members": len(self)}


from_bytes = LinesAndProcesses.from_bytes


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: LinesAndProcesses | None = None,
    step: Callable[[int], None] = lambda n: None,
) -> LinesAndProcesses:
    """Train one line and process per split, on its training and validation rows.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features; the line runs along the first.
    y : ndarray, shape (n,)
        Labels.
    splits, seeds, source, step
        As in :func:`poreflux.learning.learners.gp.fit`.

    Returns
    -------
    LinesAndProcesses
    """
    x = with_predictions(x, source)
    members = []
    for part, seed in zip(splits, seeds, strict=True):
        rows = gp.rows_of(part, seed)
        line = _line(x[rows, 0], y[rows])
        rest = y[rows] - line[0] - line[1] * x[rows, 0]
        members.append(LineAndProcess(line, gp.train(x[rows], rest)))
        step(1)
    return LinesAndProcesses(tuple(members), source)


def _line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Intercept and slope by least squares; flat where x is the same everywhere."""
    away = x - x.mean()
    square = float(away @ away)
    slope = float(away @ y) / square if square > 1e-9 * (1.0 + abs(x.mean())) else 0.0
    return np.array([y.mean() - slope * x.mean(), slope])
