"""Universal kriging: a Gaussian process about a straight line, all of it in closed form.

Of a few dozen labels everything can be computed that longer methods estimate: hyperparameters
over a grid by the restricted likelihood, what each row would be predicted as had it been left out,
and the covariance of what is not known, which says where a measurement would tell most.

References
----------
C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), ch. 2.7
(explicit basis functions), 5.4.1 (likelihood). O. Dubrule, Math. Geol. 15, 687 (1983)
(leave-one-out of kriging with a drift).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

# Length scales over the root of the number of features, which are in standard deviations; and along
# a source alone.
LENGTHS = (0.4, 0.8, 1.6, 3.2, 6.4)
SOURCE_LENGTH = 1.0
# Shares of the variance along the source alone, in a process that has one.
SOURCE_SHARES = (0.0, 0.7)
# Variance of the noise over that of the process.
NOISES = tuple(np.logspace(-3.0, 1.5, 10))


@dataclass(frozen=True)
class Rows:
    """What a process sees of structures, in standard deviations of the training rows.

    Attributes
    ----------
    features : ndarray of float64, shape (n, d)
    source : ndarray of float64, shape (n,), optional
    """

    features: np.ndarray
    source: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows) -> Rows:
        return Rows(self.features[rows], None if self.source is None else self.source[rows])

    @property
    def basis(self) -> np.ndarray:
        """One and, where there is a source, the source: (n, 1 or 2)."""
        ones = np.ones(len(self))
        return np.column_stack([ones] if self.source is None else [ones, self.source])


@dataclass(frozen=True)
class Kernel:
    """Matern functions of order 3/2, of the features and of the source alone.

    Attributes
    ----------
    length : float
        Of the features, over the root of their number.
    source_share : float
        Of the variance, along the source alone.
    """

    length: float
    source_share: float = 0.0

    def __call__(self, a: Rows, b: Rows) -> np.ndarray:
        """Correlations (n_a, n_b)."""
        found = _matern(a.features, b.features, self.length * np.sqrt(a.features.shape[1]))
        if self.source_share:
            alone = _matern(a.source[:, None], b.source[:, None], SOURCE_LENGTH)
            found = (1.0 - self.source_share) * found + self.source_share * alone
        return found


def _matern(a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    scaled = np.sqrt(3.0) / length * cdist(a, b)
    return (1.0 + scaled) * np.exp(-scaled)


class Decompositions:
    """Eigenvalues and vectors of the kernels of the same rows, each computed once."""

    def __init__(self) -> None:
        self._kept: dict[Kernel, tuple[np.ndarray, np.ndarray]] = {}

    def of(self, kernel: Kernel, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (n,) and vectors (n, n); kept where no source enters."""
        if kernel not in self._kept:
            values, vectors = np.linalg.eigh(kernel(rows, rows))
            found = np.maximum(values, 0.0), vectors
            if kernel.source_share:
                return found
            self._kept[kernel] = found
        return self._kept[kernel]


@dataclass(frozen=True)
class Fit:
    """A trained process, or the line alone.

    Attributes
    ----------
    rows : Rows
        Of training.
    kernel : Kernel or None
        None: a line and noise.
    noise, variance : float
        Variance of the noise over that of the process, and that of the process; of the line alone
        1 and the variance of the noise.
    line : ndarray of float64, shape (p,)
        Coefficients of the basis.
    weights : ndarray of float64, shape (n,)
        Of the kernel at each training row.
    likelihood : float
        Logarithm of the restricted likelihood.
    left_out, left_out_std : ndarray of float64, shape (n,)
        What each training label less its prediction by the others is, hyperparameters kept, and
        the standard deviation that the model expects of it.
    """

    rows: Rows
    kernel: Kernel | None
    noise: float
    variance: float
    line: np.ndarray
    weights: np.ndarray
    likelihood: float
    left_out: np.ndarray
    left_out_std: np.ndarray
    _factor: tuple = field(repr=False)
    _solved_basis: np.ndarray = field(repr=False)
    _information: np.ndarray = field(repr=False)

    def predict(self, new: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (m,) of labels of new rows, noise included."""
        across, rest = self._parts(new)
        mean = new.basis @ self.line + across @ self.weights
        known = np.einsum("ij,ji->i", across, cho_solve(self._factor, across.T))
        line = np.einsum("ij,jk,ik->i", rest, self._information, rest)
        own = 0.0 if self.kernel is None else 1.0
        return mean, np.sqrt(self.variance * np.maximum(own - known + line + self.noise, 1e-12))

    def covariance(self, a: Rows, b: Rows) -> np.ndarray:
        """Covariance (n_a, n_b) of what is not known of the labels, without noise."""
        (across_a, rest_a), (across_b, rest_b) = self._parts(a), self._parts(b)
        own = 0.0 if self.kernel is None else self.kernel(a, b)
        known = across_a @ cho_solve(self._factor, across_b.T)
        return self.variance * (own - known + rest_a @ self._information @ rest_b.T)

    def _parts(self, new: Rows) -> tuple[np.ndarray, np.ndarray]:
        across = np.zeros((len(new), len(self.rows)))
        if self.kernel is not None:
            across = self.kernel(new, self.rows)
        return across, new.basis - across @ self._solved_basis


def fit(
    rows: Rows,
    y: np.ndarray,
    *,
    process: bool = True,
    decompositions: Decompositions | None = None,
) -> Fit:
    """Train on labels (n,), more than the basis has columns.

    Parameters
    ----------
    rows : Rows
    y : ndarray, shape (n,)
    process : bool
        Without it, the line alone (the mean, where there is no source).
    decompositions : Decompositions, optional
        Of the same features, to share work between sources.

    Returns
    -------
    Fit
        With the kernel and noise of the largest restricted likelihood over :data:`LENGTHS`,
        :data:`SOURCE_SHARES` and :data:`NOISES`.
    """
    basis = rows.basis
    if not process:
        return _fitted(rows, y, basis, None, 1.0)
    decompositions = decompositions or Decompositions()
    shares = SOURCE_SHARES if rows.source is not None else (0.0,)
    kernels = [Kernel(length, share) for share in shares for length in LENGTHS]
    noises = np.array(NOISES)
    best, chosen = -np.inf, (kernels[0], NOISES[-1])
    for kernel in kernels:
        values, vectors = decompositions.of(kernel, rows)
        found = _likelihoods(values + noises[:, None], vectors.T @ y, vectors.T @ basis)
        if found.max() > best:
            best, chosen = found.max(), (kernel, float(noises[found.argmax()]))
    return _fitted(rows, y, basis, *chosen)


def _likelihoods(spectra: np.ndarray, y: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Logarithm (k,) of the restricted likelihood, variance and line profiled out.

    ``spectra`` (k, n) are the eigenvalues with each noise added; labels (n,) and basis (n, p) are
    turned into the eigenvectors.
    """
    weights = 1.0 / spectra
    information = np.einsum("kn,ni,nj->kij", weights, basis, basis)
    line = np.linalg.solve(information, np.einsum("kn,ni,n->ki", weights, basis, y)[..., None])
    away = y - line[..., 0] @ basis.T
    free = len(y) - basis.shape[1]
    variance = np.maximum((weights * away**2).sum(axis=1) / free, 1e-300)
    determinants = np.log(spectra).sum(axis=1) + np.linalg.slogdet(information)[1]
    return _likelihood(free, variance, determinants)


def _likelihood(free: int, variance, determinants):
    return -0.5 * (free * (1.0 + np.log(2.0 * np.pi * variance)) + determinants)


def _fitted(rows: Rows, y: np.ndarray, basis: np.ndarray, kernel: Kernel | None, noise: float):
    matrix = noise * np.eye(len(y))
    if kernel is not None:
        matrix += kernel(rows, rows)
    factor = cho_factor(matrix, lower=True)
    inverse = cho_solve(factor, np.eye(len(y)))
    solved_basis = inverse @ basis
    information = np.linalg.inv(basis.T @ solved_basis)
    line = information @ (solved_basis.T @ y)
    weights = inverse @ (y - basis @ line)
    free = len(y) - basis.shape[1]
    variance = max(float((y - basis @ line) @ weights) / free, 1e-300)
    left = np.diag(inverse) - np.einsum("ij,jk,ik->i", solved_basis, information, solved_basis)
    left = np.maximum(left, 1e-12)
    determinants = 2.0 * np.log(np.diag(factor[0])).sum()
    determinants += np.linalg.slogdet(basis.T @ solved_basis)[1]
    return Fit(
        rows=rows,
        kernel=kernel,
        noise=noise,
        variance=variance,
        line=line,
        weights=weights if kernel is not None else np.zeros(len(y)),
        likelihood=float(_likelihood(free, variance, determinants)),
        left_out=weights / left,
        left_out_std=np.sqrt(variance / left),
        _factor=factor,
        _solved_basis=solved_basis,
        _information=information,
    )
