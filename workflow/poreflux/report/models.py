"""The sections of the report on pretraining, transfer and feature importance."""

from __future__ import annotations

import pandas as pd

from poreflux.data.labels import DIFFUSIVITY, ISOTHERM, uptake_at
from poreflux.report import figures, page
from poreflux.report.page import Html, Section
from poreflux.report.study import Study, safe_name
from poreflux.report.summary import (
    TOP_FEATURES,
    best_and_worst,
    finite,
    importance_distances,
    named_sources,
    paired_scores,
    quartiles,
    rank_correlation,
    score_summary,
    source_cell,
    source_head,
    source_name,
    sources_of,
    usable,
    wilson,
    with_source,
)

# The paper whose study this is.
PAPER_DOI = "10.1039/d2me00082b"
# What it reports: median R2 of log10 D by size of the draws, direct and from the best source.
PUBLISHED_R2 = {100: (0.146, 0.175), 300: (0.406, 0.507), 500: (0.491, 0.568)}
# Draws of 300 that transfer won there, of 50, by pressure of the source in bar.
PUBLISHED_WINS = {0.25: 25, 100.0: 37}
# Test share of a draw there and here, where the scores do not tell their number.
TEST_SHARE = 0.20
# Fewer draws or test structures than this and a score is called noisy.
FEW_DRAWS, FEW_TESTS = 20, 40
SCORE_COLUMNS = ("kind", "learner", "source_pressure_bar", "size", "draw", "r2", "rmse", "mae")


def valid_scores(study: Study) -> pd.DataFrame:
    """The scores whose R2 is a number, with a learner and a kind."""
    table = usable(study.tables.get("study/scores"), *SCORE_COLUMNS)
    return _with_source(study, finite(table, "size", "draw", "r2"))


def _with_source(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """With a column ``source``: names in every table of the study, or pressures in every one."""
    tables = ("study/scores", "study/pretraining", "study/importance")
    some = [usable(study.tables.get(key), "source_pressure_bar") for key in tables]
    return with_source(table, named=any(named_sources(t).notna().any() for t in some))


def pretraining(study: Study) -> Section:
    """How well the labels of the source are learnt."""
    title = "Pretraining"
    table = usable(
        study.tables.get("study/pretraining"), "learner", "source_pressure_bar", "r2", "rmse", "mae"
    )
    table = _with_source(study, finite(table, "r2")).dropna(subset="source")
    if table.empty:
        why = study.why("study/pretraining")
        return Section("pretraining", title, [page.missing("Pretraining", why)])
    table = table.sort_values(["learner", "source_pressure_bar"], kind="stable")
    low, high = table["r2"].min(), table["r2"].max()
    blocks = [
        page.paragraph(
            "Each learner first learns cheap labels of the source set from its descriptors, such "
            "as the uptake, one model a label; R² is that of structures it has not seen.",
            f"R² is {page.decimal(low)} to {page.decimal(high)}; "
            f"{(table['r2'] >= 0.9).sum()} of {page.counted(len(table), 'model')} reach 0.9."
            if len(table) > 1
            else f"R² is {page.decimal(low)}.",
        ),
        study.figure(
            "pretraining",
            figures.pretraining(table),
            "R² of the pretrained models on their test structures. Dashed: 0.9, which the "
            "published models exceed at every pressure.",
            "R² against source pressure for each learner; the values are in the table below.",
        ),
        _pretraining_table(study, table),
    ]
    return Section("pretraining", title, blocks)


def _pretraining_table(study: Study, table: pd.DataFrame) -> Html:
    learners = list(dict.fromkeys(table["learner"]))
    by_key = {(r.learner, r.source): r for r in table.itertuples()}
    units = {s: study.quantity(label).error_unit for s, label in _labels_of(table).items()}
    alike = len(set(units.values())) == 1
    rows = []
    for source in sources_of(table):
        cells = [page.Number(source_cell(source))]
        if not alike:
            cells.append(units[source] or page.NOT_A_NUMBER)
        for learner in learners:
            r = by_key.get((learner, source))
            cells += (
                [page.decimal(r.r2, 3), page.significant(r.rmse), page.significant(r.mae)]
                if r
                else [page.Number(page.NOT_A_NUMBER)] * 3
            )
        rows.append(cells)
    # n counts the training share as well
    counts = pd.to_numeric(usable(table, "n_test")["n_test"], errors="coerce").dropna().unique()
    tests = f" on {page.counted(counts[0], 'test structure')}" if len(counts) == 1 else ""
    heads = [f"{learner}: {score}" for learner in learners for score in ("R²", "RMSE", "MAE")]
    first = [source_head(table["source"]), *([] if alike else ["Errors in"])]
    errors = f"; errors in {_unit(units.popitem()[1])}" if alike else ""
    return page.table([*first, *heads], rows, f"Scores{tests}{errors}")


def _labels_of(table: pd.DataFrame) -> dict:
    """What was learnt in each source: an uptake, or what the source is named after."""
    rows = table.dropna(subset="source").drop_duplicates("source")
    return {
        r.source: r.source if pd.isna(r.source_pressure_bar) else uptake_at(r.source_pressure_bar)
        for r in rows.itertuples()
    }


def _unit(unit: str) -> str:
    return unit or "the unit of the label"


def _sources_in_words(study: Study, scores: pd.DataFrame) -> str:
    """What the source models learnt: ``uptakes``, or which labels."""
    labels = _labels_of(scores[scores["kind"] == "tl"])
    others = [s for s in sources_of(scores) if s in labels and labels[s] == s and s != ISOTHERM]
    uptakes = ["uptakes"] if len(others) < len(labels) or not others else []
    return page.listed([*uptakes, *(study.quantity(label).words for label in others)])


def transfer(study: Study) -> Section:
    """Direct learning of the target's label against transfer from the source's."""
    title = "Direct learning against transfer"
    scores = valid_scores(study)
    if scores.empty:
        given = study.tables.get("study/scores")
        why = study.why("study/scores")
        if given is not None and len(given):
            why = (
                f"none of the {page.counted(len(given), 'score')} is a number; R² needs at least "
                "two different test labels, so larger draws or more labelled structures "
                "(learning.sizes)"
            )
        return Section("transfer", title, [page.missing("Scores", why)])
    summary = score_summary(scores)
    ends = best_and_worst(summary)
    pairs = paired_scores(scores)
    learnt = study.quantity(study.target_label)
    unit = f" ({learnt.unit})" if learnt.unit else ""
    blocks = [
        page.paragraph(
            f"{learnt.words[0].upper()}{learnt.words[1:]}{unit} is learnt from few labelled target "
            "structures: directly, or starting from a model pretrained on "
            f"{_sources_in_words(study, scores)} of the source. "
            "Both see the same draws of structures, and each is scored on the test share of its "
            "draw. Medians and quartiles are over draws."
        ),
        *_cautions(study, scores),
        _ends_table(ends),
        page.remark(
            "The best source is the one with the highest median of these very scores, which "
            "flatters it. A win is a draw in which transfer has the higher R²; the interval of "
            "the share of wins takes the draws as independent and the source as given."
        ),
        *_missing_kinds(study, summary),
        *_beside_published(study, summary, ends),
    ]
    for learner, part in summary.groupby("learner"):
        blocks.append(page.heading(str(learner)))
        blocks += _learner(study, str(learner), part, ends, pairs)
    blocks += _curves(study, summary, ends)
    blocks.append(_all_scores(study, summary))
    return Section("transfer", title, blocks)


def _cautions(study: Study, scores: pd.DataFrame) -> list[Html]:
    draws = int(scores.groupby(["learner", "size", "kind"])["draw"].nunique().min())
    sizes = sorted(int(s) for s in scores["size"].unique())
    smallest = scores[scores["size"] == sizes[0]]
    counts = finite(usable(smallest, "n_test"), "n_test")["n_test"]
    tests = int(counts.min()) if len(counts) else max(1, round(TEST_SHARE * sizes[0]))
    sentences = []
    if draws < FEW_DRAWS:
        sentences.append(
            f"With only {page.counted(draws, 'draw')} a size, medians and quartiles are rough."
        )
    if tests < FEW_TESTS:
        sentences.append(
            f"A draw of {sizes[0]} leaves {page.counted(tests, 'test structure')}: the R² of "
            "one draw is noisy, and single draws can be far below zero."
        )
    if sentences:
        sentences.append(
            "Differences that are small against the quartiles mean nothing here; the draws "
            "share structures, so they are not independent either."
        )
    given = usable(study.tables.get("study/scores"))
    lost = len(given) - len(scores)
    if lost:
        sentences.append(f"{page.counted(lost, 'score')} without a finite R² left out.")
    return [page.note(*sentences)] if sentences else []


def _missing_kinds(study: Study, summary: pd.DataFrame) -> list[Html]:
    kinds = set(summary["kind"])
    words = {"dl": "Direct learning", "tl": "Transfer"}
    return [
        page.missing(word, "the scores table holds no finite score of it")
        for kind, word in words.items()
        if kind not in kinds
    ]


def median_with_quartiles(row) -> page.Number:
    """R2 of a summary row as ``0.53 (0.40 to 0.60)``."""
    if row is None:
        return page.Number(page.NOT_A_NUMBER)
    return page.Number(
        f"{page.decimal(row['median'])} ({page.decimal(row['q1'])} to {page.decimal(row['q3'])})"
    )


def wins_in_words(row) -> page.Number:
    """Wins of transfer in a summary row as ``14 of 20 (70 %)``."""
    if row is None or not row["pairs"]:
        return page.Number(page.NOT_A_NUMBER)
    share = page.percent(row["wins"] / row["pairs"])
    return page.Number(f"{row['wins']} of {row['pairs']} ({share})")


def _ends_table(ends: pd.DataFrame) -> Html:
    rows = []
    for r in ends.itertuples():
        best = r.best
        some = best if best is not None else r.direct
        interval = page.NOT_A_NUMBER
        if best is not None and best["pairs"]:
            low, high = wilson(best["wins"], best["pairs"])
            interval = f"{100 * low:.0f} to {100 * high:.0f} %"
        pressure = source_cell(best["source"]) if best is not None else page.NOT_A_NUMBER
        rows.append(
            [
                r.learner,
                page.whole(r.size),
                page.whole(some["n"]),
                median_with_quartiles(r.direct),
                median_with_quartiles(best),
                page.Number(pressure),
                wins_in_words(best),
                page.Number(interval),
                page.decimal(best["gain"] if best is not None else None),
            ]
        )
    return page.table(
        [
            "Learner",
            "Size",
            "Draws",
            "R² direct",
            "R² transfer, best source",
            source_head([r.best["source"] for r in ends.itertuples() if r.best is not None]),
            "Transfer wins",
            "95 % interval",
            "Median gain",
        ],
        rows,
        "Median R² (first to third quartile) over draws",
    )


def _beside_published(study: Study, summary: pd.DataFrame, ends: pd.DataFrame) -> list[Html]:
    """The published medians beside those of the network, at the sizes that both have."""
    ours = ends[(ends["learner"] == "mlp") & ends["size"].isin(PUBLISHED_R2)]
    if study.target_label != DIFFUSIVITY or ours.empty:
        return []
    rows = []
    for r in ours.itertuples():
        direct, transfer = PUBLISHED_R2[r.size]
        rows.append(
            [
                page.whole(r.size),
                page.decimal(direct, 3),
                page.decimal(r.direct["median"] if r.direct is not None else None, 3),
                page.decimal(transfer, 3),
                page.decimal(r.best["median"] if r.best is not None else None, 3),
                page.Number(source_cell(r.best["source"]) if r.best is not None else "–"),
            ]
        )
    sentences = []
    for pressure, won in PUBLISHED_WINS.items():
        at = summary[
            (summary["learner"] == "mlp") & (summary["size"] == 300) & (summary["pairs"] > 0)
        ]
        # not the source, which may go by its name
        at = at[at["source_pressure_bar"] == pressure]
        if len(at):
            sentences.append(
                f"From {pressure:g} bar transfer won {won} of 50 draws of 300 there, "
                f"{at['wins'].iloc[0]} of {at['pairs'].iloc[0]} here."
            )
    heads = ["Size", "R² direct, published", "here", "R² transfer, published", "here"]
    return [
        page.heading("Beside the published study"),
        page.table(
            [*heads, source_head(ours["best"].map(lambda b: b["source"] if b is not None else 0))],
            rows,
            f"Medians over draws of the network; published: doi {PAPER_DOI}, whose draws of one "
            "size in the released code hold the same structures",
        ),
        *([page.paragraph(*sentences)] if sentences else []),
    ]


def _learner(study: Study, learner: str, part, ends, pairs) -> list[Html]:
    blocks = [
        study.figure(
            f"scores_{safe_name(learner)}",
            figures.score_bars(part),
            f"Median R² of {learner} with quartiles over draws; dashed: the median of direct "
            "learning."
            + (
                f" What is below {page.decimal(figures.R2_FLOOR, 0)} is cut off there; such a "
                "median is written out."
                if (part["q1"] < figures.R2_FLOOR).any()
                else ""
            ),
            f"Bars of the median R² of {learner} by size and source pressure; the numbers are in "
            "the table at the end of the section.",
        )
    ]
    own = pairs[pairs["learner"] == learner]
    chosen = {}
    for r in ends[ends["learner"] == learner].itertuples():
        if r.best is not None and r.best["pairs"]:
            worst = r.worst if r.worst["pairs"] else r.best
            chosen[r.size] = (r.best["source"], worst["source"])
    if not chosen:
        why = "no draw has a score of both"
        return [*blocks, page.missing(f"Transfer against direct learning of {learner}", why)]
    below = int((own[["r2_tl", "r2_dl"]] < figures.R2_FLOOR).any(axis=1).sum())
    blocks.append(
        study.figure(
            f"wins_{safe_name(learner)}",
            figures.wins(own, chosen),
            f"R² of transfer against direct learning of {learner}, a point a draw; above the line "
            "transfer wins. Filled: the source with the best median, open: with the worst."
            + (f" R² below {page.decimal(figures.R2_FLOOR, 0)} is drawn there." if below else ""),
            f"Scatter of R² of transfer against direct learning of {learner}; the shares of wins "
            "are in its legends.",
        )
    )
    return blocks


def _curves(study: Study, summary: pd.DataFrame, ends: pd.DataFrame) -> list[Html]:
    blocks = [page.heading("Learning curves")]
    curves: dict[str, dict[str, pd.DataFrame]] = {}
    for learner, part in summary.groupby("learner"):
        lines = {}
        direct = part[part["kind"] == "dl"].sort_values("size")
        if len(direct):
            lines["direct"] = direct
        with_transfer = ends[(ends["learner"] == learner) & ends["best"].notna()]
        if len(with_transfer):
            best = with_transfer.iloc[-1]["best"]["source"]
            rows = part[(part["kind"] == "tl") & (part["source"] == best)]
            lines[f"transfer from {source_name(best)}"] = rows.sort_values("size")
        curves[str(learner)] = lines
    one = summary["size"].nunique() == 1
    blocks.append(
        study.figure(
            "learning_curves",
            figures.learning_curves(curves, study.quantity(study.target_label).symbol),
            "Median R² with quartiles against the number of labelled structures (training, "
            "validation and test together); the source is the one that is best at the largest size."
            + (" The study has a single size, so this is a point and no curve yet." if one else ""),
            "Median R² against size for direct learning and transfer.",
        )
    )
    return blocks


def _all_scores(study: Study, summary: pd.DataFrame) -> Html:
    # what is slow is known of diffusivities alone
    slow = study.target_label == DIFFUSIVITY
    rows = [
        [
            r["learner"],
            page.whole(r["size"]),
            "direct" if r["kind"] == "dl" else "transfer",
            page.Number(page.NOT_A_NUMBER if r["kind"] == "dl" else source_cell(r["source"])),
            page.whole(r["n"]),
            median_with_quartiles(r),
            page.decimal(r["rmse"], 3),
            page.decimal(r["mae"], 3),
            page.decimal(r["r2_rest"]),
            page.decimal(r["rmse_rest"], 3),
            *([page.decimal(r["rmse_rest_slow"], 3)] if slow else []),
            wins_in_words(r if r["kind"] == "tl" else None),
            page.decimal(r["gain"]),
        ]
        for _, r in summary.iterrows()
    ]
    head = source_head(summary["source"].dropna())
    heads = ["Learner", "Size", "Kind", head, "Draws", "R²", "RMSE", "MAE"]
    heads += ["R² outside", "RMSE outside", *(["of these slow"] if slow else [])]
    unit = _unit(study.quantity(study.target_label).error_unit)
    return page.folded(
        "All scores in numbers",
        page.table(
            [*heads, "Transfer wins", "Median gain"],
            rows,
            f"Medians over draws, R² with first to third quartile; RMSE and MAE in {unit}. "
            "Outside: all labelled structures outside the draw, far more than its test share"
            + ("; slow: those of them with D below 3·10⁻¹⁰ m² s⁻¹" if slow else ""),
        ),
    )


def importance(study: Study) -> Section:
    """What the models look at, and which source looks at the same as the reference."""
    title = "Feature importance and the source advisor"
    table = usable(
        study.tables.get("study/importance"),
        "kind",
        "source_pressure_bar",
        "feature",
        "pfi_normalised",
    )
    valid = _with_source(study, finite(table, "pfi_normalised"))
    if valid.empty:
        given = study.tables.get("study/importance")
        why = (
            "no importance is a number"
            if given is not None and len(given)
            else study.why("study/importance")
        )
        return Section("importance", title, [page.missing("Feature importance", why)])
    blocks = [
        page.paragraph(
            "Permutation importance: how much worse a model predicts when one feature is shuffled "
            "among the structures, as a share of the sum over all features. A source whose model "
            "looks at the same features as the reference (direct learning on the most labels) "
            "is a good one to transfer from: that is what the distance measures, before any "
            "fine-tuning."
        )
    ]
    if "learner" in valid.columns and valid["learner"].nunique() > 1:
        for learner, part in valid.groupby("learner"):
            blocks.append(page.heading(str(learner)))
            blocks += _importance_of(study, part, str(learner))
    else:
        named = "learner" in valid.columns
        learner = str(valid["learner"].iloc[0]) if named else _default_learner(study)
        blocks += _importance_of(study, valid, learner, single=True)
    return Section("importance", title, blocks)


def _default_learner(study: Study) -> str:
    """Whose importance it is where the table does not say: the study's first learner's."""
    return str((study.setting("learning", "learners") or ["mlp"])[0])


def _importance_of(study: Study, rows, learner: str, *, single: bool = False) -> list[Html]:
    suffix = "" if single else f"_{safe_name(learner)}"
    top, table = importance_distances(rows)
    if top.empty:
        why = "the table has no reference (direct learning), or shuffling no feature costs it R²"
        return [page.missing("Feature importance", why)]
    columns = {"reference": "reference, direct learning"}
    if len(table):
        near = table.loc[table["distance"].idxmin(), "source"]
        far = table.loc[table["distance"].idxmax(), "source"]
        columns[near] = f"nearest source, {source_name(near)}"
        if far != near:
            columns[far] = f"farthest source, {source_name(far)}"
    labels = {f: study.feature_label(f) for f in top.index}
    first = top.index[0]
    blocks = [
        page.paragraph(
            f"The reference looks most at {labels[first]} "
            f"({page.percent(top.loc[first, 'reference'])} of the sum)."
        ),
        study.figure(
            f"importance{suffix}",
            figures.importances(top, labels, columns),
            f"The {len(top)} most important features of the reference ({learner}), and what they "
            "weigh in the sources whose importances lie nearest and farthest.",
            "Bars of the permutation importance; the first feature is "
            f"{labels[first]} with {page.percent(top.loc[first, 'reference'])}.",
        ),
    ]
    if table.empty:
        why = "there is no source model whose importances are not all zero"
        blocks.append(page.missing("The source advisor", why))
        return blocks
    return [*blocks, *_advisor(study, table, learner, suffix)]


def _advisor(study: Study, table: pd.DataFrame, learner: str, suffix: str) -> list[Html]:
    gains, size = _gains(study, table, learner)
    near = table.loc[table["distance"].idxmin()]
    blocks = [
        page.heading("Source advisor" if not suffix else f"Source advisor, {learner}"),
        page.paragraph(
            f"Advice: transfer from {source_name(near['source'])}, whose importances lie "
            f"nearest to the reference (distance {page.decimal(near['distance'], 3)} over its top "
            f"{TOP_FEATURES}).",
            *_how_good(gains, size, near),
        ),
        study.figure(
            f"distances{suffix}",
            figures.distances(table, gains),
            "Left: Euclidean distance of the normalised importances from the reference's, over "
            "its leading features."
            + (
                f" Right: what transfer gained at size {size} against that distance; if the "
                "distance tells, the points fall to the right."
                if len(gains)
                else ""
            ),
            "Distance of importances against source pressure; the numbers are in the table below.",
        ),
    ]
    by_pressure = gains.set_index("source")["gain"] if len(gains) else {}
    with_gain = bool(len(gains))
    blocks.append(
        page.table(
            [
                source_head(table["source"]),
                "Distance",
                "Rank",
                *([f"Median gain in R² at size {size}"] if with_gain else []),
            ],
            [
                [
                    page.Number(source_cell(r.source)),
                    page.decimal(r.distance, 3),
                    page.whole(r.rank),
                    *([page.decimal(by_pressure.get(r.source))] if with_gain else []),
                ]
                for r in table.itertuples()
            ],
        )
    )
    return blocks


def _gains(study: Study, table: pd.DataFrame, learner: str) -> tuple[pd.DataFrame, int]:
    """Median gain of transfer at the largest size beside the distance of its source."""
    scores = valid_scores(study)
    empty = pd.DataFrame(columns=["learner", "source", "distance", "gain"])
    if scores.empty:
        return empty, 0
    summary = score_summary(scores)
    rows = summary[(summary["learner"] == learner) & (summary["pairs"] > 0)]
    if rows.empty:
        return empty, 0
    size = int(rows["size"].max())
    rows = rows[rows["size"] == size].merge(table, on="source")
    return rows[empty.columns], size


def _how_good(gains: pd.DataFrame, size: int, near) -> list[str]:
    if gains.empty:
        return ["No paired scores tell yet whether the advice is good."]
    correlation = rank_correlation(gains["distance"], gains["gain"])
    n = len(gains)
    if correlation != correlation:
        return [f"The gains of {page.counted(n, 'source')} are too few or too alike to judge it."]
    best = gains.loc[gains["gain"].idxmax()]
    own = gains[gains["source"] == near["source"]]["gain"]
    sentences = [
        f"At size {size} the rank correlation of distance and gain over {n} sources is "
        f"{page.decimal(correlation)} (−1: the distance orders the sources perfectly, 0: it says "
        "nothing)."
    ]
    if len(own):
        sentences.append(
            f"The advised source gained {page.decimal(own.iloc[0])} in R² (median); the best one, "
            f"{source_name(best['source'])}, {page.decimal(best['gain'])}; the median "
            f"source {page.decimal(quartiles(gains['gain'])[1])}."
        )
    return sentences
