"""Gaussian processes beside the network and the trees: direct, and with the source as a feature.

With a hundred labels a smooth function of a few good features is all that can be learnt, and a
Gaussian process learns just that: one length scale, one noise, chosen by the marginal likelihood of
the training rows. Where a feature set begins with several estimates of one quantity, such as
diffusivities after more and more picoseconds, the function is a sum of one of these alone and one
of all features, and sees what the others are above the first. Transfer hands the source model's
knowledge over as for the trees: its prediction for the target structure is an added feature.

References
----------
C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), ch. 2, 5.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from poreflux.base.products import row_products
from poreflux.base.random_stream import seed_from
from poreflux.learning.splits import Split
from poreflux.learning.stack import MemberStack, with_predictions

LEARNER = {"packages": ("scikit-learn",), "options": ("step", "estimates")}

# The time grows with the cube of the rows: of more, so many are drawn.
MOST_ROWS = 1500
# Limits of length scale (in standard deviations of the features), variance and noise.
_LENGTHS, _VARIANCES, _NOISES = (0.3, 100.0), (1e-2, 1e2), (1e-4, 1.0)


@dataclass(frozen=True)
class Process:
    """One trained process.

    Attributes
    ----------
    rows : ndarray of float64, shape (n, d)
        Training rows, standardised.
    weights : ndarray of float64, shape (n,)
        Of the kernel at each of them.
    centre, spread : ndarray of float64, shape (d,)
        What the features are standardised by.
    numbers : ndarray of float64, shape (4,) or (7,)
        Mean and standard deviation of the labels, variance and length scale of the kernel; of
        several estimates also their number, and variance and length scale along them alone.
    """

    rows: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    numbers: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (m,) of features (m, d)."""
        mean, deviation, variance, length, *of_estimates = self.numbers
        n = int(of_estimates[0]) if of_estimates else 1
        x = (above_first(x, n) - self.centre) / self.spread
        kernel = matern(x, self.rows, length, variance)
        if of_estimates:
            kernel += matern(x[:, :n], self.rows[:, :n], of_estimates[2], of_estimates[1])
        return mean + deviation * row_products(kernel, self.weights[:, None], np.zeros(1))[:, 0]

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of it by name."""
        return vars(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The process that :meth:`arrays` gave."""
        return cls(**arrays)


class Processes(MemberStack):
    """A stack of M processes."""

    member = Process

    def _meta(self) -> Mapping:
        return {"members": len(self)}


from_bytes = Processes.from_bytes


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Processes | None = None,
    step: Callable[[int], None] = lambda n: None,
    estimates: int = 1,
) -> Processes:
    """Train one process per split, on its training and validation rows.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        Nothing stops early or is chosen by validation rows, so they are learnt as well.
    seeds : sequence of int
        One per split; they matter where more than 1500 rows are to be learnt.
    source : Processes, optional
        The prediction of each becomes an added feature.
    step : callable
        Called with 1 after each process.
    estimates : int
        So many first columns are estimates of one quantity, see
        :func:`poreflux.data.features.estimates`.

    Returns
    -------
    Processes
    """
    x = with_predictions(x, source)
    members = []
    for part, seed in zip(splits, seeds, strict=True):
        rows = rows_of(part, seed)
        members.append(train(x[rows], y[rows], estimates))
        step(1)
    return Processes(tuple(members), source)


def rows_of(part: Split, seed: int, most: int | None = None) -> np.ndarray:
    """Training and validation rows of a split; of more than ``most`` (1500), so many at random."""
    most = most or MOST_ROWS
    rows = np.concatenate([part.train, part.validation])
    if len(rows) <= most:
        return rows
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "gp")))
    return np.sort(stream.permutation(rows)[:most])


def train(x: np.ndarray, y: np.ndarray, estimates: int = 1) -> Process:
    """One process on features (n, d) and labels (n,).

    In one thread: sums are in one order whatever the number of cores.
    """
    with threadpool_limits(1, user_api="blas"):
        return _train(x, y, estimates)


def _train(x: np.ndarray, y: np.ndarray, n: int) -> Process:
    x = above_first(x, n)
    centre, spread = scale_of(x)
    rows = (x - centre) / spread
    mean, deviation = float(y.mean()), float(y.std()) or 1.0
    labels = (y - mean) / deviation
    if n == 1:
        found = optimised(kernel_of(x.shape[1]), rows, labels)
        return process_of(found, found.kernel_, centre, spread, mean, deviation)
    found = optimised(_of_estimates(n) + kernel_of(x.shape[1]), rows, labels)
    alone, whole = found.kernel_.k1, found.kernel_.k2
    process = process_of(found, whole, centre, spread, mean, deviation)
    numbers = [n, alone.k1.constant_value, alone.k2.length_scale]
    return replace(process, numbers=np.concatenate([process.numbers, numbers]))


def above_first(x: np.ndarray, n: int) -> np.ndarray:
    """Features (m, d), of whose first n columns all but the first are less by the first."""
    if n < 2:
        return x
    return np.hstack([x[:, :1], x[:, 1:n] - x[:, :1], x[:, n:]])


def matern(a: np.ndarray, b: np.ndarray, length: float, variance: float = 1.0) -> np.ndarray:
    """Matern function of order 3/2 between rows (n, d) and (m, d): (n, m)."""
    scaled = np.sqrt(3.0) / length * cdist(a, b)
    return variance * (1.0 + scaled) * np.exp(-scaled)


def scale_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (d,) of features (n, d).

    Infinite where a feature is the same everywhere: it says nothing.
    """
    centre, spread = x.mean(axis=0), x.std(axis=0)
    return centre, np.where(spread > 1e-9 * (1.0 + np.abs(centre)), spread, np.inf)


def kernel_of(d: int):
    """Of a process on d features, in scikit-learn's terms: Matern function, and noise."""
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    signal = ConstantKernel(1.0, _VARIANCES) * Matern(np.sqrt(d), _LENGTHS, nu=1.5)
    return signal + WhiteKernel(0.1, _NOISES)


def _of_estimates(n: int):
    """The same along the first n columns alone."""
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    signal = along(Matern, 0, n)(np.sqrt(n), _LENGTHS, nu=1.5)
    return ConstantKernel(1.0, _VARIANCES) * signal


def along(kernel: type, first: int, end: int) -> type:
    """A kernel of scikit-learn that sees the columns ``first`` to before ``end`` alone."""

    class Along(kernel):
        def __call__(self, a, b=None, eval_gradient=False):
            some = slice(first, end)
            return super().__call__(a[:, some], None if b is None else b[:, some], eval_gradient)

        def diag(self, a):
            return super().diag(a[:, first:end])

    return Along


def optimised(kernel, rows: np.ndarray, y: np.ndarray):
    """scikit-learn's process at the largest marginal likelihood of labels (n,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor

    with warnings.catch_warnings():
        # a length or noise at its limit is an answer
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianProcessRegressor(kernel).fit(rows, y)


def process_of(found, kernel, centre, spread, mean: float, deviation: float) -> Process:
    """What is kept of scikit-learn's process: the part of ``kernel``, by :func:`kernel_of`."""
    signal = kernel.k1
    numbers = [mean, deviation, signal.k1.constant_value, signal.k2.length_scale]
    rows, weights = found.X_train_, found.alpha_
    return Process(rows, weights, centre, spread, np.array(numbers, dtype=np.float64))
