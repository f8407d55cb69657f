"""Where a trace has equilibrated, its mean, and the mean's standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

# Fewest blocks that are looked at: their standard error is uncertain by 1/sqrt(2*7), 27 %.
MIN_BLOCKS = 8
# Fewest blocks, longer than the correlation time, of a trace that is long enough.
MIN_INDEPENDENT = 16
# What the largest block error of a shorter trace is multiplied with.
TOO_SHORT = 1.9
# Standard errors that a mean may be off by as rarely as one of a normal distribution.
TAIL = 3.0
# Blocks of the regression that weights the two estimators of N.
_REGRESSION_BLOCKS = 64
# Fewest of them with a molecule that tell how good N is as an estimator.
_VISITED_BLOCKS = 10
# The insertion trials count as sampled from so many samples of equal weight on.
MIN_EFFECTIVE_SAMPLES = 30
# Standard errors within which the two estimators agree.
AGREEMENT = 4.0


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
    confirmed : bool
        Whether the insertion trials confirm it (:func:`combined`). If not, the state is too dense
        or too cold for insertions, and the error may be far too small.
    """

    mean: float
    error: float
    discarded: int
    equilibrated: bool
    converged: bool
    confirmed: bool = True


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


def blocking_error(trace: np.ndarray, slower: np.ndarray | None = None) -> tuple[float, bool]:
    """Standard error of the mean of a correlated trace.

    Parameters
    ----------
    trace : ndarray (n,)
        Stationary, equally spaced samples.
    slower : ndarray (n,), optional
        A trace of the same chain whose correlation time counts as well. In a sum of N and a
        little of a noisy estimator the noise hides how slowly N fluctuates.

    Returns
    -------
    error : float
        Blocks of 2^k samples give an error e_k; those with ``2^(3k) > 2 n (e_k/e_0)^4`` are
        well longer than the correlation time. The largest of their e_k, with at least 8
        blocks, is multiplied with :func:`tail_factor` of the blocks at the smallest such k: 20 to
        40 % high for uncorrelated samples, and about right where slow fluctuations show in the
        longest blocks alone.
    converged : bool
        Whether such a k leaves at least 16 blocks: the trace is then longer than about 50
        correlation times. If not, the error is 1.9 times the largest e_k: traces of 5 to 50
        correlation times are found to underestimate it by a factor up to 2.

    References
    ----------
    H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 1989, 91, 461; the choice of k: U. Wolff,
    Comput. Phys. Commun. 2004, 156, 143, as in R. M. Lee et al., Phys. Rev. E 2011, 83, 066706.
    """
    n = len(trace)
    if n < 2:
        return float("inf"), False
    errors = _block_errors(trace)
    if errors[0] == 0.0:
        return 0.0, n >= MIN_INDEPENDENT
    levels = [_independent_from(errors, n)]
    if slower is not None:
        levels.append(_independent_from(_block_errors(slower), n))
    if None in levels:
        return TOO_SHORT * max(errors), False
    k = max(levels)
    return max(errors[k:]) * tail_factor(n >> k), True


def _block_errors(trace: np.ndarray) -> list[float]:
    """Standard error of the mean from blocks of 1, 2, 4 ... samples, taken for independent."""
    x = np.asarray(trace, float)
    errors: list[float] = []
    while len(x) >= MIN_BLOCKS or not errors:
        errors.append(float(np.sqrt(x.var(ddof=1) / len(x))))
        x = 0.5 * (x[: len(x) // 2 * 2 : 2] + x[1 : len(x) // 2 * 2 : 2])
    return errors


def _independent_from(errors: list[float], n: int) -> int | None:
    """The first k whose blocks of 2^k samples are independent, if enough of them are left."""
    for k, error in enumerate(errors):
        long = errors[0] == 0.0 or 8.0**k > 2.0 * n * (error / errors[0]) ** 4
        if long and n >> k >= MIN_INDEPENDENT:
            return k
    return None


def tail_factor(blocks: int) -> float:
    """What makes an error from a few blocks as good as a known one, at three standard errors.

    A mean over its error from so many independent blocks has Student's distribution. This is the
    ratio of its quantile to the normal one: 1.20 for 16 blocks, 1.09 for 32.
    """
    return float(stdtrit(blocks - 1, ndtr(TAIL))) / TAIL


def combined(trace_n: np.ndarray, trace_w: np.ndarray) -> tuple[np.ndarray, bool]:
    """The two estimators of <N> joined with the least variance.

    Parameters
    ----------
    trace_n : ndarray (n,)
        Samples of N.
    trace_w : ndarray (n,)
        Samples of ``beta f V <exp(-beta u)>`` over insertion trials in the same steps.

    Returns
    -------
    joined : ndarray (n,)
        ``N + c (W - N)``, c from 0 to 1 minimising the variance of long blocks; N alone where
        W does not confirm it.
    confirmed : bool
        Whether W was sampled (:func:`effective_samples`) and agrees with N within their errors.

    Notes
    -----
    Both have the expectation <N> in the grand-canonical ensemble: the second is the detailed
    balance of insertion and deletion summed over N. W is almost exact where guests are few
    (c near 1), N where they are many (c near 0). c comes from 64 blocks of the same data,
    which adds about 1/64 of the variance and no bias of that order. Where fewer than ten blocks
    saw a molecule it is 1: a trace of zeros has no variance and tells nothing.

    In a cold, dense state W comes from rare gaps. A trace that met none has a W near zero with
    hardly any variance, which a regression would take for exact. Such a trace cannot tell either
    whether N has seen all packings of the guests.
    """
    sampled = effective_samples(trace_w) >= MIN_EFFECTIVE_SAMPLES
    length = max(1, len(trace_n) // _REGRESSION_BLOCKS)
    blocks = len(trace_n) // length
    n = trace_n[: blocks * length].reshape(blocks, length).mean(axis=1)
    if np.count_nonzero(n) < min(_VISITED_BLOCKS, blocks):
        return trace_w, sampled
    if not (sampled and _agree(trace_n, trace_w)):
        return trace_n, False
    d = (trace_w - trace_n)[: blocks * length].reshape(blocks, length).mean(axis=1)
    d = d - d.mean()
    variance = float(d @ d)
    share = -float((n - n.mean()) @ d) / variance if variance > 0.0 else 0.0
    return trace_n + min(1.0, max(0.0, share)) * (trace_w - trace_n), True


def effective_samples(weights: np.ndarray) -> float:
    """How many samples of equal weight tell as much: ``(sum w)^2 / sum w^2`` (Kish)."""
    largest = float(np.max(weights, initial=0.0))
    if not 0.0 < largest < np.inf:
        return 0.0
    w = weights / largest
    return float(w.sum() ** 2 / (w @ w))


def _agree(trace_n: np.ndarray, trace_w: np.ndarray) -> bool:
    error = np.hypot(blocking_error(trace_n)[0], blocking_error(trace_w)[0])
    return bool(abs(trace_n.mean() - trace_w.mean()) <= AGREEMENT * error < np.inf)


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
    n = trace_n[discarded:]
    trace, confirmed = combined(n, trace_w[discarded:])
    error, enough = blocking_error(trace, slower=n)
    # the rule looks at the first half alone: a cut at its end is no cut
    in_time = cut < len(rest) // 2 - 5
    return Estimate(float(trace.mean()), error, discarded, in_time, enough and in_time, confirmed)
