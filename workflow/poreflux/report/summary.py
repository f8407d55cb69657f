"""The numbers of the report, computed from the tables: counts, quartiles, wins, distances."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd

STAGES = ("structures", "geometry", "energy", "percolation", "uptake", "diffusion")
# Features of the reference model that the distance between importances looks at (Lim & Kim 2022).
TOP_FEATURES = 10
# Two values that differ by more than this many combined standard errors disagree.
AGREEMENT_SE = 3.0
# 97.5 % point of the normal distribution, for 95 % intervals.
NORMAL_QUANTILE = 1.959964

# Scores on all labelled structures outside a draw; the slow ones have D below 3e-10 m2/s.
REST_COLUMNS = ("r2_rest", "rmse_rest", "rmse_rest_slow")
# What score_summary() says of each model.
SUMMARY_COLUMNS = [
    "learner",
    "size",
    "kind",
    "source",
    "source_pressure_bar",
    "n",
    "q1",
    "median",
    "q3",
    "rmse",
    "mae",
    "r2_rest",
    "rmse_rest",
    "rmse_rest_slow",
    "wins",
    "pairs",
    "gain",
]

_WARNING = re.compile(r"(?:^|; )([a-z_]+): ")
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


def usable(table: pd.DataFrame | None, *columns: str) -> pd.DataFrame:
    """The rows of a table that hold results, with at least the columns asked for.

    Parameters
    ----------
    table : DataFrame or None
        A row may have a ``status``; a table in which everything failed lacks the results'
        columns.
    *columns : str
        Names; a missing one is added, filled with NaN.

    Returns
    -------
    DataFrame
        Rows whose status is ``ok`` (all where there is no status), index from 0.
    """
    table = pd.DataFrame() if table is None else table
    if "status" in table.columns:
        table = table[table["status"] == "ok"]
    wanted = [*table.columns, *(c for c in columns if c not in table.columns)]
    return table.reindex(columns=wanted).reset_index(drop=True)


def finite(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows in which all of these columns are finite numbers, converted to float64."""
    numbers = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    keep = np.isfinite(numbers.to_numpy()).all(axis=1)
    return table.assign(**{c: numbers[c] for c in columns})[keep].reset_index(drop=True)


def quartiles(values) -> tuple[float, float, float]:
    """First quartile, median and third quartile (linear interpolation), NaN without values."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan, math.nan
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def wilson(wins: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson's score interval).

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> [round(x, 2) for x in wilson(37, 50)]
    [0.6, 0.84]
    """
    if n == 0:
        return math.nan, math.nan
    z2 = NORMAL_QUANTILE**2
    centre = (wins + z2 / 2) / (n + z2)
    half = NORMAL_QUANTILE * math.sqrt(wins * (n - wins) / n + z2 / 4) / (n + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def rank_correlation(a, b) -> float:
    """Spearman's rank correlation, NaN for fewer than three pairs or constant values."""
    pairs = pd.DataFrame({"a": np.asarray(a, float), "b": np.asarray(b, float)}).dropna()
    ranks = pairs.rank()
    if len(pairs) < 3 or (ranks.nunique() < 2).any():
        return math.nan
    return float(np.corrcoef(ranks["a"], ranks["b"])[0, 1])


def outcome_counts(tables: dict[str, pd.DataFrame], sets: list[str]) -> pd.DataFrame:
    """How many structures of each set came through each stage.

    Returns
    -------
    DataFrame
        set, stage, total, ok, failed (structures, not rows); in the order of the stages, only
        of tables that are there.
    """
    rows = []
    for name in sets:
        for stage in STAGES:
            table = tables.get(f"{name}/{stage}")
            if table is None or "status" not in table.columns:
                continue
            good = table.assign(good=table["status"] == "ok").groupby("name")["good"].all()
            total, ok = len(good), int(good.sum())
            rows.append((name, stage, total, ok, total - ok))
    return pd.DataFrame(rows, columns=["set", "stage", "total", "ok", "failed"])


def complete_structures(tables: dict[str, pd.DataFrame], set_name: str) -> tuple[int, int, int]:
    """Structures of a set that came through every stage with a table, that failed in one, and all.

    Tables from files need not hold the same structures: one may be neither.
    """
    names: set | None = None
    broken: set = set()
    every: set = set()
    for stage in STAGES:
        table = tables.get(f"{set_name}/{stage}")
        if table is None or "status" not in table.columns:
            continue
        failed = set(table.loc[table["status"] != "ok", "name"])
        broken |= failed
        every |= set(table["name"])
        good = set(table["name"]) - failed
        names = good if names is None else names & good
    return len(names or ()), len(broken), len(every)


def failures(tables: dict[str, pd.DataFrame], sets: list[str]) -> pd.DataFrame:
    """Failed structures by set, the first stage in which they failed, and reason.

    Returns
    -------
    DataFrame
        set, stage, reason (the first of its kind), structures (number), names (list), varied
        (whether the others' reasons differ from it). Reasons that differ in their numbers alone
        are one kind.
    """
    found: dict[tuple, dict] = {}
    for name in sets:
        before: set = set()
        for stage in STAGES:
            table = tables.get(f"{name}/{stage}")
            if table is None or "status" not in table.columns:
                continue
            failed = table[table["status"] != "ok"].drop_duplicates("name")
            failed = failed[~failed["name"].isin(before)]
            for row in failed.sort_values("name").itertuples():
                reason = str(row.reason) if row.reason else "no reason given"
                kind = (name, stage, _NUMBERS.sub("#", reason))
                entry = found.setdefault(
                    kind,
                    {"set": name, "stage": stage, "reason": reason, "names": [], "varied": False},
                )
                entry["names"].append(row.name)
                entry["varied"] |= reason != entry["reason"]
            before |= set(failed["name"])
    rows = [entry | {"structures": len(entry["names"])} for entry in found.values()]
    return pd.DataFrame(rows, columns=["set", "stage", "reason", "structures", "names", "varied"])


def warning_counts(tables: dict[str, pd.DataFrame], sets: list[str]) -> pd.DataFrame:
    """Structures with each warning of the structure checks.

    Returns
    -------
    DataFrame
        set, code, structures (number), names (list), example (the first one's text).
    """
    found: dict[tuple, dict] = {}
    for name in sets:
        table = tables.get(f"{name}/structures")
        if table is None or "warnings" not in table.columns:
            continue
        for row in table[table["warnings"].fillna("") != ""].sort_values("name").itertuples():
            # code: text; code: text
            parts = _WARNING.split(row.warnings)[1:]
            for code, text in zip(parts[::2], parts[1::2], strict=True):
                entry = found.setdefault(
                    (name, code), {"set": name, "code": code, "names": [], "example": text.strip()}
                )
                entry["names"].append(row.name)
    rows = [entry | {"structures": len(entry["names"])} for entry in found.values()]
    return pd.DataFrame(rows, columns=["set", "code", "structures", "names", "example"])


def isotherm_quartiles(uptake: pd.DataFrame) -> pd.DataFrame:
    """Quartiles over structures of the uptake at each pressure.

    Parameters
    ----------
    uptake : DataFrame
        pressure_bar, uptake_cm3stp_cm3; finite.

    Returns
    -------
    DataFrame
        pressure_bar, q1, median, q3, n; by rising pressure.
    """
    rows = [
        (pressure, *quartiles(rows["uptake_cm3stp_cm3"]), len(rows))
        for pressure, rows in uptake.groupby("pressure_bar")
    ]
    return pd.DataFrame(rows, columns=["pressure_bar", "q1", "median", "q3", "n"])


def mean_histogram(energy: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and quartiles over structures of the share in each bin: three arrays (bins,)."""
    shares = energy[histogram_columns(energy)].to_numpy(np.float64)
    low, high = np.quantile(shares, [0.25, 0.75], axis=0)
    return shares.mean(axis=0), low, high


def histogram_columns(table: pd.DataFrame) -> list[str]:
    """The columns h00, h01 ... in order of energy."""
    names = [c for c in table.columns if re.fullmatch(r"h\d+", str(c))]
    return sorted(names, key=lambda c: int(c[1:]))


def agreement(table: pd.DataFrame, value: str) -> dict:
    """How well our engine agrees with the reference code.

    Parameters
    ----------
    table : DataFrame
        As :func:`poreflux.run.crosscheck.compare` returns.
    value : str
        The compared column.

    Returns
    -------
    dict
        n (pairs with a deviation in standard errors), agree (within :data:`AGREEMENT_SE`),
        worst (row of the largest deviation, or None), relative (median of the absolute
        relative deviation), failed (rows without a pair).
    """
    pairs = finite(usable(table, value, f"{value}_reference"), value, f"{value}_reference")
    judged = finite(usable(pairs, "deviation_se"), "deviation_se")
    size = judged["deviation_se"].abs()
    reference = pairs[f"{value}_reference"]
    relative = ((pairs[value] - reference) / reference.where(reference != 0)).abs()
    return {
        "n": len(judged),
        "agree": int((size <= AGREEMENT_SE).sum()),
        "worst": judged.loc[size.idxmax()] if len(judged) else None,
        "relative": quartiles(relative)[1],
        "failed": len(table) - len(pairs),
    }


def with_source(table: pd.DataFrame, *, named: bool = False) -> pd.DataFrame:
    """With a column ``source``: what a model was transferred from, NaN for direct learning.

    By rising pressure, other sources last. The pressure in bar where all sources are uptakes, as
    in the published study; else, or where another table has names (``named``), their names.
    """
    table = table.sort_values("source_pressure_bar", kind="stable")
    pressure = pd.to_numeric(table["source_pressure_bar"], errors="coerce")
    others = named_sources(table)
    if others.isna().all() and not named:
        return table.assign(source=pressure)
    names = pressure.map(lambda p: source_name(p) if p == p else math.nan)
    return table.assign(source=names.astype(object).where(others.isna(), others))


def named_sources(table: pd.DataFrame) -> pd.Series:
    """The label of each row's source where that is no uptake at one pressure, else NaN."""
    pressure = pd.to_numeric(table["source_pressure_bar"], errors="coerce")
    label = table.get("source_label", pd.Series("", index=table.index)).fillna("")
    return label.where(pressure.isna() & (label != ""))


def sources_of(table: pd.DataFrame) -> list:
    """The sources in a table with columns source and source_pressure_bar, each once.

    By rising pressure, others last by name: ``2 bar`` stands before ``10 bar``.
    """
    rows = table.dropna(subset="source").drop_duplicates("source")
    return rows.sort_values(["source_pressure_bar", "source"])["source"].tolist()


def source_name(source) -> str:
    """A source in a sentence: ``65 bar`` or its name."""
    return source if isinstance(source, str) else f"{source:g} bar"


def source_cell(source) -> str:
    """A source in a column headed by :func:`source_head`."""
    return source if isinstance(source, str) else f"{source:g}"


def source_head(sources) -> str:
    """The head of a column of sources."""
    return "Source" if any(isinstance(s, str) for s in sources) else "Source (bar)"


def paired_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Transfer and direct learning on the same draw side by side.

    Returns
    -------
    DataFrame
        learner, size, draw, source, r2_tl, r2_dl.
    """
    keys = ["learner", "size", "draw"]
    direct = scores[scores["kind"] == "dl"][[*keys, "r2"]]
    transfer = scores[scores["kind"] == "tl"][[*keys, "source", "r2"]]
    return transfer.merge(direct, on=keys, suffixes=("_tl", "_dl"))


def score_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Medians and quartiles over the draws, and how often transfer wins.

    Parameters
    ----------
    scores : DataFrame
        kind, learner, source, source_pressure_bar, size, draw, r2, rmse, mae; R2 finite;
        scores on the structures outside the draw (:data:`REST_COLUMNS`) where there are any.

    Returns
    -------
    DataFrame
        learner, size, kind, source and source_pressure_bar (NaN for ``dl``), n, q1, median,
        q3 (of R2), rmse, mae, r2_rest, rmse_rest, rmse_rest_slow (medians); for ``tl`` also
        wins and pairs (draws with a higher R2 than direct learning on the same draw, of how
        many) and gain (median of the difference).
    """
    pairs = paired_scores(scores)
    pairs = pairs.assign(gain=pairs["r2_tl"] - pairs["r2_dl"])
    rows = []
    for (learner, size), group in scores.groupby(["learner", "size"]):
        direct = group[group["kind"] == "dl"]
        if len(direct):
            rows.append(_score_row(learner, size, "dl", math.nan, direct, pairs.iloc[:0]))
        for source, part in group[group["kind"] == "tl"].groupby("source", sort=False):
            paired = pairs[
                (pairs["learner"] == learner)
                & (pairs["size"] == size)
                & (pairs["source"] == source)
            ]
            rows.append(_score_row(learner, size, "tl", source, part, paired))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _score_row(learner, size, kind, source, rows, paired) -> tuple:
    return (
        learner,
        int(size),
        kind,
        source,
        rows["source_pressure_bar"].iloc[0],
        len(rows),
        *quartiles(rows["r2"]),
        quartiles(rows["rmse"])[1],
        quartiles(rows["mae"])[1],
        *(quartiles(rows[c])[1] if c in rows else math.nan for c in REST_COLUMNS),
        int((paired["gain"] > 0).sum()),
        len(paired),
        quartiles(paired["gain"])[1],
    )


def best_and_worst(summary: pd.DataFrame) -> pd.DataFrame:
    """Direct learning, the best and the worst source (by median R2) of each learner and size.

    Returns
    -------
    DataFrame
        learner, size, direct, best, worst: rows (Series) of ``summary`` or None.
    """
    rows = []
    for (learner, size), group in summary.groupby(["learner", "size"]):
        direct, transfer = group[group["kind"] == "dl"], group[group["kind"] == "tl"]
        rows.append(
            {
                "learner": learner,
                "size": int(size),
                "direct": direct.iloc[0] if len(direct) else None,
                "best": transfer.loc[transfer["median"].idxmax()] if len(transfer) else None,
                "worst": transfer.loc[transfer["median"].idxmin()] if len(transfer) else None,
            }
        )
    columns = ["learner", "size", "direct", "best", "worst"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def importance_distances(importance: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How far each source's feature importance lies from that of the reference.

    Parameters
    ----------
    importance : DataFrame
        kind (``dl``: the reference; ``source``: source models; ``tl``: fine-tuned ones, looked at
        where there is no ``source``), source, source_pressure_bar, feature, pfi_normalised;
        several rows of one model and feature are averaged. A model whose importances are all
        zero rests on nothing and is left out.

    Returns
    -------
    top : DataFrame
        Index: the reference's :data:`TOP_FEATURES` most important features in falling order
        (equal ones as in the table); columns: ``reference`` and the sources.
    distances : DataFrame
        source, distance (Euclidean, over those features), rank (1: nearest); in the order of
        :func:`sources_of`.
    """
    empty = pd.DataFrame(columns=["source", "distance", "rank"])
    rows = finite(importance, "pfi_normalised")
    reference = rows[rows["kind"] == "dl"].groupby("feature", sort=False)["pfi_normalised"].mean()
    if not (reference > 0).any():
        return pd.DataFrame(), empty
    reference = reference.sort_values(ascending=False, kind="stable").head(TOP_FEATURES)
    kind = "source" if (rows["kind"] == "source").any() else "tl"
    rows = rows[rows["kind"] == kind]
    sources = rows.pivot_table(
        index="feature", columns="source", values="pfi_normalised", aggfunc="mean"
    )
    # a pivot table sorts names as text: 100 bar before 2 bar
    sources = sources[sources_of(rows)]
    sources = sources.loc[:, (sources > 0).any()]
    sources = sources.reindex(reference.index)
    top = pd.concat([reference.rename("reference"), sources], axis=1)
    distance = np.sqrt(((sources.sub(reference, axis=0)) ** 2).sum(axis=0, skipna=False))
    distances = distance.dropna().rename("distance").rename_axis("source")
    distances = distances.reset_index()
    if distances.empty:
        return top, empty
    rank = distances["distance"].rank(method="first").astype(int)
    return top, distances.assign(rank=rank)
