"""A straight line in the best physical estimates, and a Gaussian process on what it leaves.

The first column of a feature set is the best estimate there is of a diffusivity: the logarithm of
the mobility on the energy landscape, say. A line through it explains most of the label over all
magnitudes, and far from the training rows, where a process falls back to its mean, the line still
holds. The process (:mod:`poreflux.learning.learners.gp`) learns the rest from all features.

Some sets have several estimates, such as diffusivities after more and more picoseconds. What the
others are above the first says how the label goes on from there, but a few dozen labels barely tell
by how much. So the slopes along these differences have a normal prior, whose width the marginal
likelihood chooses, with the process at once.

References
----------
C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), ch. 2.7
(explicit basis functions). The line in one estimate is fitted first, by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from poreflux.learning.learners import gp
from poreflux.learning.splits import Split
from poreflux.learning.stack import MemberStack, with_predictions

LEARNER = {"packages": ("scikit-learn",), "options": ("step", "estimates")}

# Variance of the slope along the first of several estimates, in units of the label over the
# estimate: as good as free.
FREE = 100.0
# Limits of that along the differences.
_STRENGTHS = (1e-4, 1e2)


@dataclass(frozen=True)
class LineAndProcess:
    """One trained line with its process.

    Attributes
    ----------
    line : ndarray of float64, shape (1 + k,)
        Intercept, and slopes along the first of k estimates and what the others are above it.
    process : Process
        Of what the line leaves.
    """

    line: np.ndarray
    process: gp.Process

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (m,) of features (m, d)."""
        intercept, *slopes = self.line
        x = gp.above_first(x, len(slopes))
        line = intercept + slopes[0] * x[:, 0]
        for column, slope in enumerate(slopes[1:], 1):
            line = line + slope * x[:, column]
        return line + self.process.predict(x)

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
    estimates: int = 1,
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
    estimates : int
        So many first columns are estimates of one quantity, see
        :func:`poreflux.data.features.estimates`.

    Returns
    -------
    LinesAndProcesses
    """
    x = with_predictions(x, source)
    members = []
    for part, seed in zip(splits, seeds, strict=True):
        rows = gp.rows_of(part, seed)
        if estimates == 1:
            members.append(_one_estimate(x[rows], y[rows]))
        else:
            members.append(_several_estimates(x[rows], y[rows], estimates))
        step(1)
    return LinesAndProcesses(tuple(members), source)


def _one_estimate(x: np.ndarray, y: np.ndarray) -> LineAndProcess:
    line = _line(x[:, 0], y)
    return LineAndProcess(line, gp.train(x, y - line[0] - line[1] * x[:, 0]))


def _line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Intercept and slope by least squares; flat where x is the same everywhere."""
    away = x - x.mean()
    square = float(away @ away)
    slope = float(away @ y) / square if square > 1e-9 * (1.0 + abs(x.mean())) else 0.0
    return np.array([y.mean() - slope * x.mean(), slope])


def _several_estimates(x: np.ndarray, y: np.ndarray, n: int) -> LineAndProcess:
    """Line and process at once: of the prior of the slopes a kernel becomes, a sum of products."""
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct

    def products(first: int, end: int):
        """Kernel of a line through the origin along columns ``first`` to before ``end``."""
        return gp.along(DotProduct, first, end)(0.0, "fixed")

    x = gp.above_first(x, n)
    centre, spread = gp.scale_of(x)
    rows = (x - centre) / spread
    mean, deviation = float(y.mean()), float(y.std()) or 1.0
    first = ConstantKernel(FREE, "fixed") * products(0, 1)
    others = ConstantKernel(0.1, _STRENGTHS) * products(1, n)
    with threadpool_limits(1, user_api="blas"):
        kernel = (first + others) + gp.kernel_of(x.shape[1])
        found = gp.optimised(kernel, rows, (y - mean) / deviation)
        strengths = np.full(n, found.kernel_.k1.k2.k1.constant_value)
        strengths[0] = FREE
        slopes = deviation * strengths * (rows[:, :n].T @ found.alpha_) / spread[:n]
    line = np.array([-(slopes * centre[:n]).sum(), *slopes])
    process = gp.process_of(found, found.kernel_.k2, centre, spread, mean, deviation)
    return LineAndProcess(line, process)
