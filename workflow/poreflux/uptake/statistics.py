"""Where a trace has equilibrated, its mean, and the mean's standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Fewest blocks that are looked at: their standard error is uncertain by 1/sqrt(2*7), 27 %.
MIN_BLOCKS = 8
# Fewest blocks, longer than the correlation time, of a trace that is long enough.
MIN_INDEPENDENT = 16
# Blocks of the regression that weights the two estimators of N.
_REGRESSION_BLOCKS = 64
# Fewest of them with a molecule that tell how good N is as an estimator.
_VISITED_BLOCKS = 10


@dataclass(frozen=True)
class Estimate:
    """A mean with its error.

    Attributes
    ----------
    mean, error : float
        The mean and its standard error (one sigma).
    discarded : int
        Samples cut off the front.
    equilibrated : bool
        Whether the cut lies well within the first half of the trace.
    converged : bool
        Whether, besides, the trace is long against its correlation time.
    """

    mean: float
    error: float
    discarded: int
    equilibrated: bool
    converged: bool


def equilibrated_at(trace: np.ndarray, batch: int = 5) -> int:
    """First sample of the equilibrated part of a trace, by the marginal standard error rule.

    Parameters
    ----------
    trace : ndarray (n,)
        Successive averages of the observable.
    batch : int
        Samples that are averaged before the rule is applied (5: MSER-5).

    Returns
    -------
    int
        The cut d that minimises ``sum_{i>=d} (x_i - mean_d)^2 / (n-d)^2``, at most n/2: a cut
        there says that the trace is too short.

    References
    ----------
    K. P. White, Simulation 1997, 69, 323; MSER-5: K. P. White, M. J. Cobb, S. C. Spratt,
    Proc. Winter Simulation Conf. 2000, 755.
    """
    trace = np.asarray(trace, float)
    n = len(trace) // batch
    if n < 4:
        return 0
    # the remainder is left out at the front, where it would be discarded first
    start = len(trace) - n * batch
    x = trace[start:].reshape(n, batch).mean(axis=1)
    x = x - x.mean()
    length = np.arange(n, 0, -1)
    first = np.cumsum(x[::-1])[::-1]
    second = np.cumsum(x[::-1] ** 2)[::-1]
    score = (second - first**2 / length) / length**2.0
    cut = int(np.argmin(score[: n // 2 + 1]))
    return 0 if cut == 0 else start + cut * batch


def blocking_error(trace: np.ndarray) -> tuple[float, bool]:
    """Standard error of the mean of a correlated trace.

    Parameters
    ----------
    trace : ndarray (n,)
        Stationary, equally spaced samples.

    Returns
    -------
    error : float
        Blocks of 2^k samples give an error e_k; those with ``2^(3k) > 2 n (e_k/e_0)^4`` are
        well longer than the correlation time. The largest of their e_k, with at least 8
        blocks: 10 to 20 % high for uncorrelated samples, and about right where slow
        fluctuations show in the longest blocks alone.
    converged : bool
        Whether such a k leaves at least 16 blocks: the trace is then longer than about 50
        correlation times. If not, the error is twice the largest e_k: traces of 5 to 50
        correlation times are found to underestimate it by a factor up to 2.

    References
    ----------
    H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 1989, 91, 461; the choice of k: U. Wolff,
    Comput. Phys. Commun. 2004, 156, 143, as in R. M. Lee et al., Phys. Rev. E 2011, 83, 066706.
    """
    x = np.asarray(trace, float)
    n = len(x)
    if n < 2:
        return float("inf"), False
    errors = []
    while len(x) >= MIN_BLOCKS or not errors:
        errors.append(float(np.sqrt(x.var(ddof=1) / len(x))))
        x = 0.5 * (x[: len(x) // 2 * 2 : 2] + x[1 : len(x) // 2 * 2 : 2])
    if errors[0] == 0.0:
        return 0.0, n >= MIN_INDEPENDENT
    for k, error in enumerate(errors):
        if n >> k >= MIN_INDEPENDENT and 8.0**k > 2.0 * n * (error / errors[0]) ** 4:
            return max(errors[k:]), True
    return 2.0 * max(errors), False


def combined(trace_n: np.ndarray, trace_w: np.ndarray) -> np.ndarray:
    """The two estimators of <N> joined with the least variance.

    Parameters
    ----------
    trace_n : ndarray (n,)
        Samples of N.
    trace_w : ndarray (n,)
        Samples of ``beta f V <exp(-beta u)>`` over insertion trials in the same steps.

    Returns
    -------
    ndarray (n,)
        ``N + c (W - N)``, c from 0 to 1 minimising the variance of long blocks.

    Notes
    -----
    Both have the expectation <N> in the grand-canonical ensemble: the second is the detailed
    balance of insertion and deletion summed over N. W is almost exact where guests are few
    (c near 1), N where they are many (c near 0). c comes from 64 blocks of the same data,
    which adds about 1/64 of the variance and no bias of that order. Where fewer than ten blocks
    saw a molecule it is 1: a trace of zeros has no variance and tells nothing.
    """
    length = max(1, len(trace_n) // _REGRESSION_BLOCKS)
    blocks = len(trace_n) // length
    n = trace_n[: blocks * length].reshape(blocks, length).mean(axis=1)
    if np.count_nonzero(n) < min(_VISITED_BLOCKS, blocks):
        return trace_w
    d = (trace_w - trace_n)[: blocks * length].reshape(blocks, length).mean(axis=1)
    d = d - d.mean()
    variance = float(d @ d)
    share = -float((n - n.mean()) @ d) / variance if variance > 0.0 else 0.0
    return trace_n + min(1.0, max(0.0, share)) * (trace_w - trace_n)


def estimate(trace_n: np.ndarray, trace_w: np.ndarray, min_discard: int = 0) -> Estimate:
    """Cut off the equilibration, then the mean number of molecules and its standard error.

    Parameters
    ----------
    trace_n, trace_w : ndarray (n,)
        See :func:`combined`.
    min_discard : int
        Samples that are cut off in any case.
    """
    rest = trace_n[min_discard:]
    cut = equilibrated_at(rest)
    discarded = min_discard + cut
    trace = combined(trace_n[discarded:], trace_w[discarded:])
    error, enough = blocking_error(trace)
    # the rule looks at the first half alone: a cut at its end is no cut
    in_time = cut < len(rest) // 2 - 5
    return Estimate(float(trace.mean()), error, discarded, in_time, enough and in_time)
