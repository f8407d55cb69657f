"""What to learn a few dozen labels from: which source, by which model, and how well.

The candidates are the mean, a Gaussian process on all features (``direct``), and for each source,
a column that physics gives, the straight line in it and the line with a process on what it leaves
(:mod:`poreflux.learning.kriging`). Nothing is judged on rows that it has seen: folds are held out,
and what is chosen is chosen anew within the rest of each (nested cross-validation), so that the
error given is that of the whole procedure, its choice included.

References
----------
S. Varma, R. Simon, BMC Bioinformatics 7, 91 (2006) (nested cross-validation). R. F. Barber, E. J.
Candes, A. Ramdas, R. J. Tibshirani, Ann. Stat. 49, 486 (2021) (intervals from left-out residuals).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from poreflux.base.errors import DataError
from poreflux.learning.kriging import Decompositions, Fit, Rows, fit
from poreflux.learning.scoring import scores
from poreflux.learning.splits import grouped_folds

MEAN, DIRECT, LINE, PROCESS = "mean", "direct", "line", "line and process"
FOLDS = 5
# Fewer labels than this are dealt into folds more than once.
FEW, REPEATS = 60, 3
# Fewer cannot be learnt from and judged; for more a study is the way.
LEAST, MOST = 12, 1000
COVERAGE = 0.9
# Numbers that a process fits besides its line: length, share of the source, noise, and the choice
# of itself among the candidates.
FITTED = 4
# Errors are smaller for sure if the signed-rank test says so with so many standard deviations; more
# where the model is the best of many.
SURE, CLEAR = 2.0, 2.5


@dataclass(frozen=True, order=True)
class Candidate:
    """A way to learn: a kind, and the name of its source, empty without one."""

    kind: str
    source: str = ""

    @property
    def name(self) -> str:
        """Such as ``direct`` or ``line: CH4_mobility``."""
        return f"{self.kind}: {self.source}" if self.source else self.kind


@dataclass(frozen=True)
class Material:
    """What is known of structures without any label.

    Attributes
    ----------
    features : ndarray of float64, shape (n, d)
    sources : dict of str to ndarray of float64, shape (n,)
        Finite, on the scale on which a straight line makes sense.
    """

    features: np.ndarray
    sources: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows) -> Material:
        return Material(self.features[rows], {k: v[rows] for k, v in self.sources.items()})

    @property
    def candidates(self) -> list[Candidate]:
        """All ways to learn from it, the simplest first."""
        kinds = [Candidate(kind, name) for kind in (LINE, PROCESS) for name in self.sources]
        return [Candidate(MEAN), Candidate(DIRECT), *kinds]


@dataclass(frozen=True)
class Trained:
    """A trained candidate.

    Attributes
    ----------
    candidate : Candidate
    fit : Fit
    scale : Scale
        Of what it sees.
    stretch : float
        Half the width of the 90 % interval in standard deviations, from the left-out residuals.
    """

    candidate: Candidate
    fit: Fit
    scale: Scale
    stretch: float

    def predict(self, material: Material) -> tuple[np.ndarray, np.ndarray]:
        """Labels (m,), and half the width of their 90 % intervals."""
        mean, deviation = self.fit.predict(self.rows(material))
        return mean, self.stretch * deviation

    def rows(self, material: Material) -> Rows:
        """Material as the model sees it."""
        return self.scale.rows(material, self.candidate.source)


@dataclass(frozen=True)
class Scale:
    """Means and standard deviations of training rows."""

    centre: np.ndarray
    spread: np.ndarray
    sources: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, material: Material) -> Scale:
        """Of these rows; what is the same everywhere says nothing."""
        centre, spread = material.features.mean(axis=0), material.features.std(axis=0)
        spread = np.where(spread > 1e-9 * (1.0 + np.abs(centre)), spread, np.inf)
        sources = {name: (v.mean(), v.std()) for name, v in material.sources.items()}
        return cls(centre, spread, sources)

    def rows(self, material: Material, source: str) -> Rows:
        """Material in these units, with one of its sources or none."""
        features = (material.features - self.centre) / self.spread
        if not source:
            return Rows(features)
        mean, deviation = self.sources[source]
        return Rows(features, (material.sources[source] - mean) / deviation)


def train_all(
    material: Material, y: np.ndarray, candidates: Iterable[Candidate] | None = None
) -> dict[Candidate, Trained]:
    """Train candidates on labels (n,).

    Parameters
    ----------
    material : Material
    y : ndarray, shape (n,)
    candidates : iterable of Candidate, optional
        All that the material allows, if not given; those whose source is the same everywhere are
        left out.
    """
    # matrices are small: threads only cost
    with threadpool_limits(1, user_api="blas"):
        return _train_all(material, y, material.candidates if candidates is None else candidates)


def _train_all(
    material: Material, y: np.ndarray, candidates: Iterable[Candidate]
) -> dict[Candidate, Trained]:
    scale, shared = Scale.of(material), Decompositions()
    found = {}
    for candidate in candidates:
        if candidate.source and not _varies(*scale.sources[candidate.source]):
            continue
        trained = fit(
            scale.rows(material, candidate.source),
            y,
            process=candidate.kind in (DIRECT, PROCESS),
            decompositions=shared,
        )
        found[candidate] = Trained(candidate, trained, scale, _stretch(trained))
    return found


def _varies(mean: float, deviation: float) -> bool:
    return deviation > 1e-9 * (1.0 + abs(mean))


def _stretch(trained: Fit) -> float:
    """So many of its standard deviations that nine tenths of new residuals are smaller."""
    ratios = np.sort(np.abs(trained.left_out / trained.left_out_std))
    rank = min(int(np.ceil(COVERAGE * (len(ratios) + 1))), len(ratios))
    # hyperparameters knew the labels that were left out
    fitted = FITTED if trained.kernel is not None else 0
    return float(ratios[rank - 1] * np.sqrt(len(ratios) / (len(ratios) - fitted)))


def choose(trained: Mapping[Candidate, Trained]) -> Candidate:
    """The candidate under which labels left out are likeliest, if it clearly beats the mean.

    The logarithm of their density (Rasmussen and Williams 2006, ch. 5.4.2) lets a model that knows
    where it errs off a few labels far out; mean squares would be ruled by these.
    """
    surprise = {c: _surprise(t.fit) for c, t in trained.items()}
    best, mean = min(surprise, key=surprise.get), Candidate(MEAN)
    if mean not in trained:
        return best
    errors = [np.abs(trained[c].fit.left_out) for c in (mean, best)]
    return best if signed_rank(errors[0] - errors[1]) > CLEAR else mean


def _surprise(trained: Fit) -> float:
    """Mean of minus the logarithm of the density of labels left out, but for a constant."""
    ratios = trained.left_out / trained.left_out_std
    return float((np.log(trained.left_out_std) + 0.5 * np.square(ratios)).mean())


def signed_rank(differences: np.ndarray) -> float:
    """Standard deviations by which the signed ranks of paired differences (n,) are above chance.

    References
    ----------
    F. Wilcoxon, Biometrics Bulletin 1, 80 (1945), in the normal approximation. A few labels far
    out, which rule mean squares, have no more say than others.
    """
    differences = differences[differences != 0.0]
    if not len(differences):
        return 0.0
    ranks = rankdata(np.abs(differences))
    return float((np.sign(differences) * ranks).sum() / np.sqrt(np.square(ranks).sum()))


@dataclass(frozen=True)
class Judged:
    """Held-out predictions, R repeats of n rows.

    Attributes
    ----------
    y : ndarray, shape (n,)
    chosen, baseline : ndarray, shape (R, n)
        Of the candidate chosen among all, and among those without a source.
    half_width : ndarray, shape (R, n)
        Of the 90 % intervals of ``chosen``.
    by_candidate : dict of Candidate to ndarray, shape (R, n)
    choices : list of Candidate
        One per fold and repeat.
    groups : sequence of str, length n
        What was kept together.
    """

    y: np.ndarray
    chosen: np.ndarray
    baseline: np.ndarray
    half_width: np.ndarray
    by_candidate: Mapping[Candidate, np.ndarray]
    choices: Sequence[Candidate]
    groups: Sequence[str]

    def score(self, predicted: np.ndarray) -> dict[str, float]:
        """``r2``, ``rmse`` and ``mae`` of predictions (R, n), over all repeats."""
        return scores(np.tile(self.y, len(predicted)), predicted.ravel())

    @property
    def coverage(self) -> float:
        """Share of the labels inside their interval."""
        return float((np.abs(self.chosen - self.y) <= self.half_width).mean())

    def gain(self, predicted: np.ndarray, baseline: np.ndarray) -> Gain:
        """What predictions (R, n) gain over a baseline (R, n), paired over structures."""
        errors = [np.abs(p - self.y) for p in (baseline, predicted)]
        squares = [np.square(e).mean(axis=0) for e in errors]
        less = squares[0] - squares[1]
        # rows of a group are no independent witnesses
        _, which = np.unique(np.asarray(self.groups, str), return_inverse=True)
        sums = np.bincount(which, less)
        smaller = np.bincount(which, (errors[0] - errors[1]).mean(axis=0))
        n = len(sums)
        mean = less.mean()
        spread = sums - mean * np.bincount(which)
        error = float(np.sqrt(np.square(spread).sum() * n / max(n - 1, 1))) / len(less)
        before, after = (float(np.sqrt(s.mean())) for s in squares)
        return Gain(before, after, float(mean), error, signed_rank(smaller))


@dataclass(frozen=True)
class Gain:
    """From a baseline's error to another's.

    Attributes
    ----------
    before, after : float
        Root mean squared errors.
    less : float
        By how much the mean squared error fell.
    less_err : float
        Its standard error over groups of structures.
    ranks : float
        :func:`signed_rank` of the absolute errors of groups.
    """

    before: float
    after: float
    less: float
    less_err: float
    ranks: float

    @property
    def rmse(self) -> float:
        """By how much the root mean squared error fell."""
        return self.before - self.after

    @property
    def rmse_err(self) -> float:
        """Its standard error, to first order."""
        total = self.before + self.after
        return self.less_err / total if total > 0 else 0.0

    @property
    def is_sure(self) -> bool:
        """Whether errors are clearly smaller, the largest ones included."""
        return self.less > 0.0 and self.ranks > SURE


def judge(
    material: Material,
    y: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int = 0,
    step: Callable[[int], None] = lambda n: None,
) -> Judged:
    """Hold out each group once per repeat, and choose and train on the rest.

    Parameters
    ----------
    material : Material
        Of the n labelled structures.
    y : ndarray, shape (n,)
    groups : sequence of str, length n
        Rows of a group are held out together.
    seed : int
        Deals the folds.
    step : callable
        Called with 1 after each fold.

    Raises
    ------
    DataError
        If there are too few or too many labels, or all are equal.
    """
    check(y)
    repeats = REPEATS if len(y) < FEW else 1
    dealt = grouped_folds(groups, FOLDS, seed, n_repeats=repeats)
    shape = dealt.shape
    chosen, baseline, half = (np.full(shape, np.nan) for _ in range(3))
    by_candidate = {c: np.full(shape, np.nan) for c in material.candidates}
    choices = []
    for repeat, fold in folds_of(dealt):
        out = dealt[repeat] == fold
        trained = train_all(material[~out], y[~out])
        for candidate, model in trained.items():
            by_candidate[candidate][repeat, out] = model.predict(material[out])[0]
        best = choose(trained)
        choices.append(best)
        chosen[repeat, out], half[repeat, out] = trained[best].predict(material[out])
        plain = choose({c: t for c, t in trained.items() if not c.source})
        baseline[repeat, out] = by_candidate[plain][repeat, out]
        step(1)
    whole = {c: p for c, p in by_candidate.items() if np.isfinite(p).all()}
    return Judged(y, chosen, baseline, half, whole, choices, groups)


def folds_of(dealt: np.ndarray) -> list[tuple[int, int]]:
    """Repeat and number of each fold in fold numbers (R, n)."""
    return [(r, int(f)) for r in range(len(dealt)) for f in np.unique(dealt[r])]


def check(y: np.ndarray) -> None:
    """Whether labels (n,) can be learnt from.

    Raises
    ------
    DataError
        If not.
    """
    if len(y) < LEAST:
        raise DataError(
            f"{len(y)} labels can be used, and {LEAST} are the least that can be learnt and "
            "judged; label more structures"
        )
    if len(y) > MOST:
        raise DataError(
            f"{len(y)} labels are more than this method is for (at most {MOST}); give them to a "
            "study (docs/learning.md, labels from files)"
        )
    if y.max() - y.min() <= 1e-12 * max(1.0, np.abs(y).max()):
        raise DataError("all labels are equal: there is nothing to learn")


def most_informative(trained: Trained, material: Material, n: int) -> tuple[list[int], list[float]]:
    """Which rows to measure next: each the one that tells most when those before it are known.

    Parameters
    ----------
    trained : Trained
        With a process.
    material : Material
        To choose from.
    n : int
        How many.

    Returns
    -------
    rows : list of int
    gains : list of float
        Information that each measurement adds, in nats: half the logarithm of one plus the
        variance of what is not known over that of the noise.

    References
    ----------
    A. Krause, A. Singh, C. Guestrin, J. Mach. Learn. Res. 9, 235 (2008). The variance does not
    depend on what the measurements give, so that all can be chosen beforehand.
    """
    rows, model = trained.rows(material), trained.fit
    total = np.square(model.predict(rows)[1])
    noise = model.noise * model.variance
    unknown = np.maximum(total - noise, 0.0)
    factors: list[np.ndarray] = []
    chosen, gains = [], []
    for _ in range(min(n, len(rows))):
        free = np.where(np.isin(np.arange(len(rows)), chosen), -np.inf, unknown)
        best = int(free.argmax())
        gains.append(0.5 * float(np.log1p(unknown[best] / noise)))
        column = model.covariance(rows, rows[[best]])[:, 0]
        column -= sum((f * f[best] for f in factors), np.zeros(len(rows)))
        factors.append(column / np.sqrt(unknown[best] + noise))
        unknown = np.maximum(unknown - factors[-1] ** 2, 0.0)
        chosen.append(best)
    return chosen, gains
