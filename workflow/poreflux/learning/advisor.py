"""Which source to transfer from, said before any fine-tuning by the few target labels themselves.

A source is what its model predicts of the target structures. One that helps explains their labels:
by a straight line, each label left out of it once, or by the evidence of that line. How well either
tells the gain that is measured later, and for which learners, benchmarks/sources.md shows.

References
----------
K. You, Y. Liu, J. Wang, M. Long, ICML 2021, arXiv:2102.11005 (LogME). D. M. Allen, Technometrics
16, 125 (1974) (residuals left out, in closed form).
"""

from __future__ import annotations

import numpy as np

ADVICE_COLUMNS = ("line_left_out_r2", "logme")


def advice(predictions: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """:data:`ADVICE_COLUMNS` of a source from its predictions and the target's labels.

    Parameters
    ----------
    predictions : ndarray, shape (n,) or (n, d)
        Of the labelled structures; several columns for a source of several labels.
    y : ndarray, shape (n,)
        Labels.

    Returns
    -------
    dict of str to float
        Not a number where the labels are equal or too few for a line (d + 3).
    """
    x = np.asarray(predictions, dtype=np.float64).reshape(len(y), -1)
    if len(y) < x.shape[1] + 3 or not np.ptp(y) > 0.0:
        return dict.fromkeys(ADVICE_COLUMNS, np.nan)
    return {"line_left_out_r2": line_left_out_r2(x, y), "logme": logme(x, y)}


def line_left_out_r2(x: np.ndarray, y: np.ndarray) -> float:
    """Share of the variance that a line explains of labels left out one by one.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        What the line runs along; columns that are the same everywhere say nothing.
    y : ndarray, shape (n,)
        Labels.

    Returns
    -------
    float
        Against means that are left out likewise: 0 where no column varies, below it where the line
        is worse than the mean.
    """
    n = len(y)
    directions, sizes, _ = np.linalg.svd(_standardised(x), full_matrices=False)
    directions = directions[:, sizes > 1e-9 * np.sqrt(n)]
    away = y - y.mean()
    rest = away - directions @ (directions.T @ away)
    # a row that alone decides a slope says nothing of itself
    left = np.maximum(1.0 - 1.0 / n - np.square(directions).sum(axis=1), 1e-9)
    squares = np.square(rest / left).sum()
    return float(1.0 - squares / np.square(away * n / (n - 1.0)).sum())


def logme(x: np.ndarray, y: np.ndarray) -> float:
    """Logarithm of the maximum evidence of a linear model, per label (You et al. 2021).

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features, d < n; each is standardised and a column of ones is added.
    y : ndarray, shape (n,)
        Labels; they are standardised, so that numbers of different labels compare.

    Notes
    -----
    Fixed point of precision of the weights and of the noise, as in the authors' algorithm 3.
    """
    z = _standardised(x)
    f = np.column_stack([z, np.ones(len(z))])
    t = (y - y.mean()) / y.std()
    n, d = f.shape
    values, vectors = np.linalg.eigh(f.T @ f)
    values = np.maximum(values, 0.0)
    turned = vectors.T @ (f.T @ t)
    alpha = beta = 1.0
    for _ in range(100):
        precision = alpha + beta * values
        weights = beta * turned / precision
        gamma = float((beta * values / precision).sum())
        left = float(t @ t - 2.0 * weights @ turned + (values * weights**2).sum())
        old = alpha / beta
        alpha = min(gamma / max(float(weights @ weights), 1e-12), 1e12)
        beta = min((n - gamma) / max(left, 1e-12), 1e12)
        if abs(alpha / beta - old) <= 1e-3 * old:
            break
    precision = alpha + beta * values
    weights = beta * turned / precision
    left = float(t @ t - 2.0 * weights @ turned + (values * weights**2).sum())
    evidence = (
        d * np.log(alpha)
        + n * np.log(beta / (2.0 * np.pi))
        - beta * left
        - alpha * float(weights @ weights)
        - np.log(precision).sum()
    )
    return 0.5 * evidence / n


def _standardised(x: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1; 0 where one is the same everywhere."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    varies = spread > 1e-9 * (1.0 + np.abs(centre))
    return (x - centre) / np.where(varies, spread, np.inf)
