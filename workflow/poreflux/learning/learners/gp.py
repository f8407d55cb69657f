"""Gaussian processes beside the network and the trees: direct, and with the source as a feature.

With a hundred labels a smooth function of a few good features is all that can be learnt, and a
Gaussian process learns just that: one length scale, one noise, chosen by the marginal likelihood of
the training rows. Transfer hands the source model's knowledge over as for the trees: its prediction
for the target structure is an added feature.

References
----------
C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), ch. 2, 5.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from poreflux.base.products import row_products
from poreflux.base.random_stream import seed_from
from poreflux.learning.splits import Split
from poreflux.learning.stack import MemberStack, with_predictions

LEARNER = {"packages": ("scikit-learn",)}

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
    numbers : ndarray of float64, shape (4,)
        Mean and standard deviation of the labels, variance and length scale of the kernel.
    """

    rows: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    numbers: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels (m,) of features (m, d)."""
        mean, deviation, variance, length = self.numbers
        scaled = np.sqrt(3.0) / length * cdist((x - self.centre) / self.spread, self.rows)
        kernel = variance * (1.0 + scaled) * np.exp(-scaled)
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

    Returns
    -------
    Processes
    """
    x = with_predictions(x, source)
    members = []
    for part, seed in zip(splits, seeds, strict=True):
        rows = rows_of(part, seed)
        members.append(train(x[rows], y[rows]))
        step(1)
    return Processes(tuple(members), source)


def rows_of(part: Split, seed: int, most: int = MOST_ROWS) -> np.ndarray:
    """Training and validation rows of a split; of more than ``most``, so many at random."""
    rows = np.concatenate([part.train, part.validation])
    if len(rows) <= most:
        return rows
    stream = np.random.default_rng(np.random.SeedSequence(seed_from(seed, "gp")))
    return np.sort(stream.permutation(rows)[:most])


def train(x: np.ndarray, y: np.ndarray) -> Process:
    """One process on features (n, d) and labels (n,).

    In one thread: sums are in one order whatever the number of cores.
    """
    with threadpool_limits(1, user_api="blas"):
        return _train(x, y)


def _train(x: np.ndarray, y: np.ndarray) -> Process:
    centre, spread = scale_of(x)
    rows = (x - centre) / spread
    mean, deviation = float(y.mean()), float(y.std()) or 1.0
    found = optimised(kernel_of(x.shape[1]), rows, (y - mean) / deviation)
    return process_of(found, found.kernel_, centre, spread, mean, deviation)


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
