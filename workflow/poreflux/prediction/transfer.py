"""Your own few labels: which physical quantity they follow, how well, and what to measure next.

A label is any number that somebody measured or computed of 20 to 200 structures, too expensive to
get for all. :func:`transfer` looks for the cheap physical quantity that explains it best, judges
itself on structures held out, predicts all others with intervals, and says which structures to
measure next.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.results import Result
from poreflux.base.settings import names_checked
from poreflux.data.features import matrix
from poreflux.learning import few_labels
from poreflux.learning.advisor import ADVICE_COLUMNS, advice
from poreflux.learning.few_labels import DIRECT, LINE, MEAN, PROCESS, Candidate, Judged, Material
from poreflux.learning.predict import neighbours, standardised
from poreflux.learning.scoring import interval
from poreflux.prediction import shipped
from poreflux.prediction.description import (
    features_of,
    meaning,
    parts_in,
    sources_of,
)

AUTO, LOG, LINEAR = "auto", "log", "linear"
# Positive labels that differ by more than this factor are learnt as logarithms.
WIDE = 30.0
FEATURE_SET = "mobility"
# Volumes per atom of equal formulas that differ by less than this share: variants of a framework.
SIMILAR_VOLUME = 0.03
PREDICTION_COLUMNS = (
    *("name", "predicted", "low", "high", "measured", "in_domain", "nearest", "status", "reason"),
)
SOURCE_COLUMNS = (
    *("source", "unit", "meaning", "known", *ADVICE_COLUMNS, "rmse_line", "rmse"),
    *("gain", "gain_err", "helps"),
)


@dataclass(frozen=True)
class Transfer(Result):
    """What came out of labels of one's own; :meth:`to_frame` gives the numbers and the advice.

    Attributes
    ----------
    label : str
        What was learnt.
    scale : str
        ``log``: learnt as log10, errors are in decades; ``linear``: in the label's unit.
    n_labels : int
        That were used.
    advice : str
        One sentence: which source to take and what it gains, or that none helps.
    model : str
        What predicts, such as ``line and process: CH4_d_m2_s``.
    source : str
        Its source; empty without one.
    helps : bool
        Whether the gain of choosing among the sources is clearly above zero.
    r2, rmse : float
        Of the whole procedure, its choice included, on structures held out.
    coverage : float
        Share of these in their 90 % interval.
    rmse_without : float
        The error without any source.
    predictions : DataFrame
        A row per structure: name, predicted, low and high (its 90 % interval), measured, in_domain
        (whether it resembles the labelled ones), nearest (of these), status and reason. The status
        is ``predicted``; ``measured``, where the prediction is that of models that did not see the
        label; ``no source``; or what the caller said of it.
    sources : DataFrame
        A row per source, the best first: what the advisor says of each before any fit (how
        well a straight line predicts labels left out; LogME), the errors held out of the line and
        of the line with a process, what the latter gains over learning without a source, and
        whether that is clearly above zero.
    next : DataFrame
        Structures to measure next, in order: ``name``, ``predicted``, ``low``, ``high`` and
        ``information_bits``.
    left_out : DataFrame
        ``name`` and ``reason`` of each label that was not used, or not as it stood.
    advisor : DataFrame
        Rank correlation of each score of the advisor with the measured gain over the sources:
        ``score``, ``correlation``, ``low``, ``high`` (95 %).
    """

    label: str
    scale: str
    n_labels: int
    advice: str
    model: str
    source: str
    helps: bool
    r2: float
    rmse: float
    coverage: float
    rmse_without: float
    predictions: pd.DataFrame = field(repr=False)
    sources: pd.DataFrame = field(repr=False)
    next: pd.DataFrame = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    advisor: pd.DataFrame = field(repr=False)

    def columns(self) -> dict:
        """The numbers and the advice; tables are attributes."""
        return {k: v for k, v in vars(self).items() if not isinstance(v, pd.DataFrame)}

    @property
    def unit(self) -> str:
        """Of errors: ``decades``, or nothing where it is that of the label."""
        return "decades" if self.scale == LOG else ""


@names_checked()
def transfer(
    labels: pd.Series | Mapping[str, float],
    rows: pd.DataFrame | None = None,
    *,
    label: str | None = None,
    scale: str = AUTO,
    size_of_next: int = 10,
    lost: Mapping[str, tuple[str, str]] | None = None,
    seed: int = 0,
    step: Callable[[int], None] | None = None,
) -> Transfer:
    """Learn a label from the physical quantity that explains it best.

    Parameters
    ----------
    labels : Series or mapping of str to float
        By name of the structure; not a number where there is none.
    rows : DataFrame, optional
        Structures by name, with the columns of :func:`poreflux.dataset`, which is taken by default;
        :func:`poreflux.prediction.description.describe` gives such a row of any structure.
    label : str, optional
        What it is called; the name of the series by default.
    scale : str
        ``log``, ``linear`` or ``auto``: logarithms of positive labels over more than a decade and
        a half.
    size_of_next : int
        How many structures to propose.
    lost : mapping of str to (status, reason), optional
        Structures without a row: ``closed`` or ``failed``, and why.
    seed : int
        Deals the folds.
    step : callable, optional
        Called with 1 after each fold, to show progress.

    Returns
    -------
    Transfer

    Raises
    ------
    DataError
        If too few labels can be used, or the scale does not suit them.

    Examples
    --------
    Thirty known uptakes in place of labels of your own:

    >>> import poreflux
    >>> labels = poreflux.dataset()["CH4_uptake_35bar_mol_kg"].iloc[:300:10]
    >>> found = poreflux.transfer(labels)
    >>> found.source, found.n_labels, len(found.next)
    ('CH4_uptake_35bar_mol_kg', 30, 10)
    """
    labels = _as_series(labels)
    label = str(labels.name or "label") if label is None else label
    rows = shipped.dataset() if rows is None else rows
    step = step or (lambda n: None)
    lost = dict(lost or {})
    values, left_out = _matched(labels, rows, lost)
    scale = _scale_of(values, scale, label)
    y = (np.log10(values) if scale == LOG else values).groupby(level=0).mean()
    few_labels.check(y.to_numpy())
    known = rows.loc[y.index]
    part = parts_in(rows)[0]
    sources = {n: v for n, v in sources_of(rows).items()}
    is_labelled = rows.index.isin(y.index)
    counts = {name: int(np.isfinite(v[is_labelled]).sum()) for name, v in sources.items()}
    whole = {name: v for name, v in sources.items() if counts[name] == len(y)}
    everything = Material(matrix(features_of(rows, part), FEATURE_SET)[0], whole)
    place = rows.index.get_indexer(y.index)
    material, numbers = everything[place], y.to_numpy()
    judged = few_labels.judge(material, numbers, variants(known), seed=seed, step=step)
    trained = few_labels.train_all(material, numbers)
    chosen = few_labels.choose(trained)
    gain = judged.gain(judged.chosen, judged.baseline)
    helps = bool(chosen.source) and gain.is_sure
    table = _sources(judged, material, numbers, counts, len(y))
    score = judged.score(judged.chosen)
    unit = " decades" if scale == LOG else ""
    back = (lambda v: 10.0**v) if scale == LOG else (lambda v: v)
    domain = _domain(everything, place, rows)
    predictions = _predictions(rows, everything, trained[chosen], judged, y, domain, lost, back)
    return Transfer(
        label=label,
        scale=scale,
        n_labels=len(y),
        advice=_advice(chosen, gain, score["r2"], helps, unit),
        model=chosen.name,
        source=chosen.source,
        helps=helps,
        r2=score["r2"],
        rmse=score["rmse"],
        coverage=judged.coverage,
        rmse_without=gain.before,
        predictions=predictions,
        sources=table,
        next=_next(trained, chosen, everything, predictions, size_of_next),
        left_out=left_out,
        advisor=_advisor(table, seed),
    )


# --- labels --------------------------------------------------------------------------------------


def _as_series(labels) -> pd.Series:
    if not isinstance(labels, (pd.Series, Mapping)):
        raise DataError(
            "labels are a Series or a dict of numbers by name of the structure, not "
            f'{type(labels).__name__}; of a table read pandas.read_csv(...).set_index("name"), and '
            "take one column"
        )
    return pd.to_numeric(pd.Series(labels), errors="coerce")


def _matched(
    labels: pd.Series, rows: pd.DataFrame, lost: Mapping[str, tuple[str, str]]
) -> tuple[pd.Series, pd.DataFrame]:
    """Labels by the names of rows, and what is to be told of the others."""
    resolve = resolver([*rows.index, *lost])
    kept, told = [], []
    for given, value in labels.items():
        name = resolve(str(given))
        if not np.isfinite(value):
            told.append((given, "no number stands there: not used"))
        elif name is None:
            told.append((given, "no structure of this name is known: not used"))
        elif name in lost:
            told.append((given, f"{': '.join(lost[name])}: not used"))
        else:
            kept.append((name, float(value)))
    names = [name for name, _ in kept]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        told.append((name, f"has {names.count(name)} labels: their mean is used"))
    values = pd.Series([v for _, v in kept], index=pd.Index(names, name="name"), dtype=float)
    return values, pd.DataFrame(told, columns=["name", "reason"])


def resolver(names: Sequence[str]) -> Callable[[str], str | None]:
    """A function from a name that somebody wrote to the one of ``names`` that it means.

    A name that stands there means itself; otherwise a folder, ``.cif``, ``_clean`` at the end and
    case do not count, where that leaves one.

    >>> resolve = resolver(["ABAYOU_clean", "ZIF-8"])
    >>> resolve("abayou.cif"), resolve("my/zif-8"), resolve("MOF-5")
    ('ABAYOU_clean', 'ZIF-8', None)
    """
    exact = set(names)
    short: dict[str, str | None] = {}
    for name in names:
        key = _short(name)
        short[key] = None if key in short else name
    return lambda given: given if given in exact else short.get(_short(given))


def _short(name: str) -> str:
    name = re.split(r"[/\\]", name.strip())[-1].casefold()
    return name.removesuffix(".cif").removesuffix("_clean")


def _scale_of(values: pd.Series, wanted: str, label: str) -> str:
    if wanted not in (AUTO, LOG, LINEAR):
        raise DataError(f"there is no scale {wanted!r}; there are: auto, log, linear")
    positive = bool((values > 0.0).all())
    if wanted == LOG and not positive:
        worst = values.idxmin()
        raise DataError(
            f"{label} of {worst} is {values.min():g}, which has no logarithm; take the scale linear"
        )
    if wanted != AUTO or not len(values):
        return LINEAR if wanted == AUTO else wanted
    return LOG if positive and values.max() / values.min() > WIDE else LINEAR


def variants(rows: pd.DataFrame) -> list[str]:
    """A group per row: equal structures, and those of one formula and nearly one density.

    A cheap stand-in for a comparison of the structures themselves: equal reduced formulas whose
    volumes per atom follow one another within 3 %.

    Parameters
    ----------
    rows : DataFrame
        Columns content_hash, formula, n_atoms and volume_A3.
    """
    table = pd.DataFrame(
        {
            "formula": [reduced(formula) for formula in rows["formula"]],
            "volume": np.log(rows["volume_A3"].to_numpy(float) / rows["n_atoms"].to_numpy(float)),
        }
    ).sort_values(["formula", "volume"], kind="stable")
    apart = table["formula"].ne(table["formula"].shift()) | (
        table["volume"].diff() > SIMILAR_VOLUME
    )
    which = apart.cumsum().sort_index()
    # named by content, so that no order of rows shows
    first = rows["content_hash"].to_numpy(str)
    return list(pd.Series(first).groupby(which.to_numpy()).transform("min"))


def reduced(formula: str) -> str:
    """A formula over the greatest common divisor of its numbers.

    >>> reduced("C24 H12 Zn6")
    'C4 H2 Zn1'
    """
    found = [(e, int(n or 1)) for e, n in re.findall(r"([A-Z][a-z]?)(\d*)", formula)]
    divisor = functools.reduce(math.gcd, (n for _, n in found), 0) or 1
    return " ".join(f"{e}{n // divisor}" for e, n in found)


# --- tables --------------------------------------------------------------------------------------


def _sources(
    judged: Judged, material: Material, y: np.ndarray, counts: Mapping[str, int], n: int
) -> pd.DataFrame:
    direct = judged.by_candidate[Candidate(DIRECT)]
    found = []
    for name, known in counts.items():
        unit, words = meaning(name)
        row = {"source": name, "unit": unit, "meaning": words, "known": known, "helps": False}
        line, process = (judged.by_candidate.get(Candidate(k, name)) for k in (LINE, PROCESS))
        if known == n and process is not None:
            column = material.sources[name]
            gain = judged.gain(process, direct)
            row |= {
                **advice(column, y),
                "rmse_line": judged.score(line)["rmse"],
                "rmse": gain.after,
                "gain": gain.rmse,
                "gain_err": gain.rmse_err,
                "helps": gain.is_sure,
            }
        found.append(row)
    table = pd.DataFrame(found, columns=SOURCE_COLUMNS)
    best = table[["rmse", "rmse_line"]].min(axis=1)
    return table.iloc[np.argsort(best.fillna(np.inf), kind="stable")].reset_index(drop=True)


def _advisor(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rank correlations with the measured gain, their intervals by drawing sources again."""
    known = table[table["gain"].notna()]
    stream = np.random.default_rng(np.random.SeedSequence(seed))
    drawn = stream.integers(len(known), size=(400, len(known))) if len(known) else np.zeros((0, 0))
    found = []
    for score in ADVICE_COLUMNS:
        pair = known[[score, "gain"]].to_numpy(float)
        low, high = interval(np.array([_rank_correlation(pair[rows]) for rows in drawn]))
        found.append((score, _rank_correlation(pair), low, high))
    return pd.DataFrame(found, columns=["score", "correlation", "low", "high"])


def _rank_correlation(pair: np.ndarray) -> float:
    if len(pair) < 3 or (np.ptp(pair, axis=0) == 0.0).any():
        return math.nan
    ranks = pd.DataFrame(pair).rank().to_numpy()
    return float(np.corrcoef(ranks.T)[0, 1])


def _domain(
    everything: Material, place: np.ndarray, rows: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Names of the nearest labelled structures, and whether each row is near enough."""
    x_train = everything.features[place]
    nearest, inside = neighbours(
        standardised(everything.features, x_train), standardised(x_train, x_train)
    )
    return rows.index.to_numpy()[place][nearest], inside


def _predictions(rows, everything, model, judged, y, domain, lost, back) -> pd.DataFrame:
    source = model.candidate.source
    usable = np.isfinite(everything.sources[source]) if source else np.ones(len(rows), bool)
    mean, half = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    mean[usable], half[usable] = model.predict(everything[usable])
    place = rows.index.get_indexer(y.index)
    mean[place], half[place] = judged.chosen.mean(axis=0), judged.half_width.mean(axis=0)
    status = np.where(usable, "predicted", "no source").astype(object)
    status[place] = "measured"
    measured = np.full(len(rows), np.nan)
    measured[place] = back(y.to_numpy())
    table = pd.DataFrame(
        {
            "name": rows.index,
            "predicted": back(mean),
            "low": back(mean - half),
            "high": back(mean + half),
            "measured": measured,
            "in_domain": domain[1],
            "nearest": domain[0],
            "status": status,
            "reason": np.where(usable, "", f"{source} is not known of it"),
        }
    )
    gone = pd.DataFrame(
        [
            {"name": name, "in_domain": False, "nearest": "", "status": status, "reason": reason}
            for name, (status, reason) in lost.items()
        ],
        columns=PREDICTION_COLUMNS,
    )
    parts = [part for part in (table, gone) if len(part)]
    return pd.concat(parts, ignore_index=True).sort_values("name", ignore_index=True)


def _next(trained, chosen, everything, predictions, size: int) -> pd.DataFrame:
    """By the process of the chosen source: a line alone would only look at its ends."""
    own = Candidate(PROCESS, chosen.source) if chosen.source else Candidate(DIRECT)
    model = trained[own if own in trained else Candidate(DIRECT)]
    by_name = predictions.set_index("name")
    by_row = by_name[~by_name["status"].isin(["closed", "failed"])]
    wanted = ((by_row["status"] == "predicted") & by_row["in_domain"].astype(bool)).to_numpy()
    places = np.flatnonzero(wanted)
    best, nats = few_labels.most_informative(model, everything[places], size)
    table = by_row.iloc[places[best]].reset_index()[["name", "predicted", "low", "high"]]
    return table.assign(information_bits=np.array(nats) / math.log(2.0))


def _advice(chosen: Candidate, gain, score_r2: float, helps: bool, unit: str) -> str:
    before, after = f"{gain.before:.3g}", f"{gain.after:.3g}{unit}"
    if helps:
        return (
            f"Take {chosen.source} ({words_of(chosen.source)}) as the source: the error on "
            f"structures held out falls from {before} to {after} (R² {score_r2:.2f})."
        )
    if chosen.kind == MEAN:
        return (
            "None helps: no source, and no model of pores and energies, predicts this label "
            f"better than its mean does (R² {score_r2:.2f})."
        )
    if chosen.source:
        return (
            f"None helps for sure: with {chosen.source} ({words_of(chosen.source)}) the error on "
            f"structures held out goes from {before} to {after}, which chance may do."
        )
    return (
        f"None helps: pores and energies alone predict the label with an error of {after} on "
        f"structures held out (R² {score_r2:.2f})."
    )


def words_of(source: str) -> str:
    """A source in words: ``self-diffusivity at infinite dilution ... of CH4 at 298 K``."""
    _, words = meaning(source)
    return words or source
