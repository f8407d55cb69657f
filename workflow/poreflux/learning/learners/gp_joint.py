"""A Gaussian process of two labels: the source's, of other structures, and the target's.

Other learners see a source as one number, its model's prediction. Here the rows of the source stay:
both labels are sums of one process that they share and, for the target, one of its own (intrinsic
coregionalisation). How much they share, a correlation, the marginal likelihood says from the
target's labels: at 0 the source is not there. What is known of the source's process (its length,
variance and noise) comes from its own labels alone, so that, given them, only a matrix of the size
of the target remains.

References
----------
P. Goovaerts, Geostatistics for Natural Resources Evaluation (1997), ch. 4 (intrinsic
coregionalisation). E. V. Bonilla, K. M. A. Chai, C. K. I. Williams, NeurIPS 20, 153 (2007).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from poreflux.learning.learners import gp
from poreflux.learning.splits import Split
from poreflux.learning.stack import MemberStack

LEARNER = {"packages": ("scikit-learn",), "joins_sources": False, "options": ("step", "phase")}

# Rows of a source: each adds a row to every process that it is transferred to.
MOST_SOURCE_ROWS = 500
# Variance of the target's process, length of its own part and noise, as logarithms: limits.
_LIMITS = tuple(tuple(np.log(pair)) for pair in ((1e-2, 1e2), (0.3, 100.0), (1e-4, 1.0)))
# Correlation of the two processes: limit, and where the search starts.
_MOST_SHARED, _STARTS = 0.99, (-0.7, 0.0, 0.7)


@dataclass(frozen=True)
class JointProcess:
    """One trained process, as the sum of two.

    Attributes
    ----------
    own : Process
        Of the label's own part, and of a label without a source the whole.
    shared : Process
        Of what it shares with the source, at the rows of both; without rows where there is none.
    noise : ndarray of float64, shape (1,)
        Its variance, of the standardised label.
    """

    own: gp.Process
    shared: gp.Process
    noise: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (m,) of features (m, d)."""
        own = self.own.predict(x)
        return own + self.shared.predict(x) if len(self.shared.rows) else own

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of it by name."""
        both = {"own": self.own, "shared": self.shared}
        named = {
            f"{part}-{n}": a for part, process in both.items() for n, a in vars(process).items()
        }
        return {"noise": self.noise, **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The process that :meth:`arrays` gave."""

        def part(name: str) -> gp.Process:
            its = {n.partition("-")[2]: a for n, a in arrays.items() if n.startswith(f"{name}-")}
            return gp.Process(**its)

        return cls(part("own"), part("shared"), arrays["noise"])


class JointProcesses(MemberStack):
    """A stack of M processes; what a source knows is in each of them."""

    member = JointProcess

    def _meta(self) -> Mapping:
        return {"members": len(self)}


from_bytes = JointProcesses.from_bytes


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: JointProcesses | None = None,
    step: Callable[[int], None] = lambda n: None,
    phase: str = "direct",
) -> JointProcesses:
    """Train one process per split, on its training and validation rows.

    Parameters
    ----------
    x, y, splits, seeds, step
        As in :func:`poreflux.learning.learners.gp.fit`.
    source : JointProcesses, optional
        One process, whose rows are taken over.
    phase : str
        ``pretrain``: of more than 500 rows, so many are drawn.

    Returns
    -------
    JointProcesses
    """
    members = []
    with threadpool_limits(1, user_api="blas"):
        known = None if source is None else Known.of(source.members[0])
        for part, seed in zip(splits, seeds, strict=True):
            rows = gp.rows_of(part, seed, MOST_SOURCE_ROWS if phase == "pretrain" else None)
            one = alone(x[rows], y[rows]) if known is None else beside(known, x[rows], y[rows])
            members.append(one)
            step(1)
    return JointProcesses(tuple(members))


def alone(x: np.ndarray, y: np.ndarray) -> JointProcess:
    """The process of :func:`poreflux.learning.learners.gp.train`, and its noise."""
    centre, spread = gp.scale_of(x)
    mean, deviation = float(y.mean()), float(y.std()) or 1.0
    found = gp.optimised(gp.kernel_of(x.shape[1]), (x - centre) / spread, (y - mean) / deviation)
    own = gp.process_of(found, found.kernel_, centre, spread, mean, deviation)
    noise = np.array([found.kernel_.k2.noise_level], dtype=np.float64)
    return JointProcess(own, _process(own, own.rows[:0], own.weights[:0], 0.0, 1.0, 1.0), noise)


def _process(like: gp.Process, rows, weights, mean: float, deviation: float, length: float):
    numbers = np.array([mean, deviation, 1.0, length], dtype=np.float64)
    return gp.Process(rows, weights, like.centre, like.spread, numbers)


@dataclass(frozen=True)
class Known:
    """A source's process of variance 1, given its labels."""

    process: gp.Process
    weights: np.ndarray
    factor: tuple

    @classmethod
    def of(cls, source: JointProcess) -> Self:
        """That of a model without a source."""
        process = source.own
        variance, length = process.numbers[2:]
        kernel = gp.matern(process.rows, process.rows, length)
        kernel += source.noise[0] / variance * np.eye(len(kernel))
        return cls(process, np.sqrt(variance) * process.weights, cho_factor(kernel, lower=True))

    @property
    def length(self) -> float:
        """Of its kernel."""
        return float(self.process.numbers[3])


def beside(known: Known, x: np.ndarray, y: np.ndarray) -> JointProcess:
    """The process of a target of features (n, d) and labels (n,), given the source's labels."""
    rows = (x - known.process.centre) / known.process.spread
    mean, deviation = float(y.mean()), float(y.std()) or 1.0
    target = Target(known, rows, (y - mean) / deviation)
    own, shared, noise = target.processes(target.best(), mean, deviation)
    return JointProcess(own, shared, noise)


class Target:
    """Labels (n,), standardised, of rows (n, d) in the source's units, beside a source."""

    def __init__(self, known: Known, rows: np.ndarray, labels: np.ndarray) -> None:
        self.known, self.rows, self.labels = known, rows, labels
        across = gp.matern(known.process.rows, rows, known.length)
        self._solved = cho_solve(known.factor, across)
        # mean and covariance of the source's process at the target's rows
        self._expected = across.T @ known.weights
        self._unknown = gp.matern(rows, rows, known.length) - across.T @ self._solved

    def best(self) -> np.ndarray:
        """Correlation, and logarithms of variance, length and noise, of the largest likelihood."""
        lengths = np.log(np.sqrt(self.rows.shape[1]))
        bounds = [(-_MOST_SHARED, _MOST_SHARED), *_LIMITS]
        found = [
            minimize(self._surprise, (start, 0.0, lengths, np.log(0.1)), bounds=bounds)
            for start in _STARTS
        ]
        return min(found, key=lambda one: one.fun).x

    def _surprise(self, numbers: np.ndarray) -> float:
        """Minus the logarithm of the marginal likelihood, but for a constant."""
        try:
            factor, away = self._factor(numbers)
        except LinAlgError:
            return 1e10
        return float(0.5 * away @ cho_solve(factor, away) + np.log(np.diag(factor[0])).sum())

    def _factor(self, numbers: np.ndarray) -> tuple[tuple, np.ndarray]:
        """Factor of the labels' covariance, and how far they are from what the source expects."""
        correlation, (variance, length, noise) = numbers[0], np.exp(numbers[1:])
        shared = correlation**2
        own = gp.matern(self.rows, self.rows, length)
        kernel = variance * (shared * self._unknown + (1.0 - shared) * own)
        kernel += noise * np.eye(len(kernel))
        away = self.labels - np.sqrt(variance) * correlation * self._expected
        return cho_factor(kernel, lower=True), away

    def processes(self, numbers: np.ndarray, mean: float, deviation: float):
        """Own and shared process, and the noise, of such numbers."""
        correlation, (variance, length, noise) = numbers[0], np.exp(numbers[1:])
        shared = correlation**2
        weights = cho_solve(*self._factor(numbers))
        of_source = np.sqrt(variance) * correlation * self.known.weights
        of_source = of_source - variance * shared * self._solved @ weights
        both = np.concatenate([of_source, variance * shared * weights])
        like = self.known.process
        rows = np.concatenate([like.rows, self.rows])
        return (
            _process(like, self.rows, variance * (1.0 - shared) * weights, mean, deviation, length),
            _process(like, rows, both, 0.0, deviation, self.known.length),
            np.array([noise]),
        )
