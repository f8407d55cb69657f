"""Direct learning of the target's label against transfer from the source's."""

from __future__ import annotations

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from poreflux.data.labels import DIFFUSIVITY, ISOTHERM
from poreflux.learning.choice import paired_scores
from poreflux.report import published
from poreflux.report.figures.axes import legend_above, rows_axis
from poreflux.report.figures.style import (
    DIRECT,
    GREY,
    INK,
    MARKERS,
    NARROW_WIDTH,
    ORANGE,
    PALETTE,
    R2_FLOOR,
    TRANSFER,
    WIDTH,
    grid,
    panel_layout,
    plain,
    styled,
)
from poreflux.report.numbers import NOT_A_NUMBER, Number, counted, decimal, listed, whole
from poreflux.report.rendering import Section, Table, missing_section, render
from poreflux.report.scores import (
    best_and_worst,
    median_with_quartiles,
    score_summary,
    tests_in_a_draw,
    transfer_verdict,
    valid_scores,
    wins_in_words,
)
from poreflux.report.sources import (
    named_sources,
    source_cell,
    source_head,
    source_short,
    sources_of,
)
from poreflux.report.statistics import usable, wilson
from poreflux.report.study import Study, safe_name

# Fewer draws or test structures than this and a score is called noisy.
FEW_DRAWS, FEW_TESTS = 20, 40
# A panel of R2 against R2 spans at least this.
MIN_R2_RANGE = 0.2
# Panels beside each other.
MAX_PANELS = 3
TITLE = "Direct learning against transfer"
# The published wins are of draws of this size.
PUBLISHED_SIZE = 300


def section(study: Study) -> Section:
    """Medians, wins and learning curves of every learner."""
    scores = valid_scores(study)
    if scores.empty:
        return missing_section("transfer", TITLE, "Scores", _why_no_scores(study))
    summary = score_summary(scores)
    ends = best_and_worst(summary)
    pairs = paired_scores(scores, "source")
    learners = {str(learner): part for learner, part in summary.groupby("learner")}
    learnt = study.quantity(study.target_label)
    body = render(
        "transfer",
        learnt=learnt,
        sources=sources_in_words(study, scores),
        cautions=_cautions(study, scores),
        ends=_ends_table(ends),
        without_direct="dl" not in set(summary["kind"]),
        without_transfer="tl" not in set(summary["kind"]),
        published=_beside_published(study, summary, ends),
        scores=study.draw("scores", draw_scores(summary, learnt.symbol)),
        cut_off=(summary["q1"] < R2_FLOOR).any(),
        learners=[_learner(study, name, scores, summary, ends, pairs) for name in learners],
        curves=study.draw("learning_curves", _curves(study, learners, ends)),
        single_size=summary["size"].nunique() == 1,
        floor=R2_FLOOR,
        # what is slow is known of diffusivities alone
        slow=study.target_label == DIFFUSIVITY,
        near_duplicates=summary["r2_rest_new"].notna().any(),
        all_scores=_all_scores(summary, slow=study.target_label == DIFFUSIVITY),
    )
    return Section("transfer", TITLE, body)


def _why_no_scores(study: Study) -> str:
    given = study.tables.get("study/scores")
    if given is None or given.empty:
        return study.why("study/scores")
    return (
        f"none of the {counted(len(given), 'score')} is a number; R² needs at least two different "
        "test labels, so larger draws or more labelled structures (learning.sizes)"
    )


def sources_in_words(study: Study, scores: pd.DataFrame) -> str:
    """What the source models learnt: ``uptakes``, or which labels."""
    named = set(named_sources(scores).dropna())
    labels = sources_of(scores[scores["kind"] == "tl"])
    others = [label for label in labels if label in named and label != ISOTHERM]
    uptakes = ["uptakes"] if len(others) < len(labels) or not others else []
    return listed([*uptakes, *(study.quantity(label).words for label in others)])


def _cautions(study: Study, scores: pd.DataFrame) -> dict:
    """What makes the scores rough: few draws, few test structures, scores that are no numbers."""
    draws = int(scores.groupby(["learner", "size", "kind"])["draw"].nunique().min())
    smallest = min(int(s) for s in scores["size"].unique())
    tests = tests_in_a_draw(scores, smallest)
    return {
        "draws": draws if draws < FEW_DRAWS else None,
        "smallest": smallest,
        "tests": tests if tests < FEW_TESTS else None,
        "lost": len(usable(study.tables.get("study/scores"))) - len(scores),
    }


def _ends_table(ends: pd.DataFrame) -> Table:
    rows = []
    for r in ends.itertuples():
        best = r.best
        some = best if best is not None else r.direct
        interval = NOT_A_NUMBER
        if best is not None and best["pairs"]:
            low, high = wilson(best["wins"], best["pairs"])
            interval = f"{100 * low:.0f} to {100 * high:.0f} %"
        pressure = source_cell(best["source"]) if best is not None else NOT_A_NUMBER
        rows.append(
            [
                r.learner,
                whole(r.size),
                whole(some["n"]),
                median_with_quartiles(r.direct),
                median_with_quartiles(best),
                Number(pressure),
                wins_in_words(best),
                Number(interval),
                decimal(best["gain"] if best is not None else None),
            ]
        )
    return Table(
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
    )


def _beside_published(study: Study, summary: pd.DataFrame, ends: pd.DataFrame) -> dict | None:
    """The published medians beside those of the network, at the sizes that both have."""
    ours = ends[(ends["learner"] == "mlp") & ends["size"].isin(published.R2)]
    if study.target_label != DIFFUSIVITY or ours.empty:
        return None
    rows = []
    for r in ours.itertuples():
        direct, transfer = published.R2[r.size]
        rows.append(
            [
                whole(r.size),
                decimal(direct, 3),
                decimal(r.direct["median"] if r.direct is not None else None, 3),
                decimal(transfer, 3),
                decimal(r.best["median"] if r.best is not None else None, 3),
                Number(source_cell(r.best["source"]) if r.best is not None else NOT_A_NUMBER),
            ]
        )
    heads = ["Size", "R² direct, published", "here", "R² transfer, published", "here"]
    head = source_head(ours["best"].map(lambda b: b["source"] if b is not None else 0))
    return {
        "table": Table([*heads, head], rows),
        "doi": published.DOI,
        "size": PUBLISHED_SIZE,
        "wins": _wins_beside_published(summary),
    }


def _wins_beside_published(summary: pd.DataFrame) -> list[dict]:
    """Wins of the network there and here, by pressure of the source."""
    ours = summary[
        (summary["learner"] == "mlp") & (summary["size"] == PUBLISHED_SIZE) & (summary["pairs"] > 0)
    ]
    found = []
    for pressure, won in published.WINS.items():
        # not the source, which may go by its name
        at = ours[ours["source_pressure_bar"] == pressure]
        if len(at):
            here = at.iloc[0]
            found.append(
                {
                    "pressure_bar": pressure,
                    "there": won,
                    "here": here["wins"],
                    "pairs": here["pairs"],
                }
            )
    return found


def _learner(study: Study, learner: str, scores, summary, ends, pairs) -> dict:
    """What transfer did for one learner, and its figure ``wins`` where both kinds have scores."""
    own = pairs[pairs["learner"] == learner]
    chosen = {}
    for r in ends[ends["learner"] == learner].itertuples():
        if r.best is not None and r.best["pairs"]:
            worst = r.worst if r.worst["pairs"] else r.best
            chosen[r.size] = (r.best["source"], worst["source"])
    name = safe_name(learner)
    return {
        "name": learner,
        "verdict": transfer_verdict(scores, summary, learner),
        "wins": study.draw(f"wins_{name}", draw_wins(own, chosen)) if chosen else None,
        "below_floor": (own[["r2_tl", "r2_dl"]] < R2_FLOOR).to_numpy().any(),
    }


def _curves(study: Study, learners: dict[str, pd.DataFrame], ends: pd.DataFrame) -> Figure:
    curves: dict[str, dict[str, pd.DataFrame]] = {}
    for learner, part in learners.items():
        lines = {}
        direct = part[part["kind"] == "dl"].sort_values("size")
        if len(direct):
            lines["direct"] = direct
        with_transfer = ends[(ends["learner"] == learner) & ends["best"].notna()]
        if len(with_transfer):
            best = with_transfer.iloc[-1]["best"]["source"]
            rows = part[(part["kind"] == "tl") & (part["source"] == best)]
            lines[f"transfer from {source_short(best)}"] = rows.sort_values("size")
        curves[learner] = lines
    return draw_learning_curves(curves, study.quantity(study.target_label).symbol)


def _all_scores(summary: pd.DataFrame, *, slow: bool) -> Table:
    new = summary["r2_rest_new"].notna().any()
    rows = [
        [
            r["learner"],
            whole(r["size"]),
            "direct" if r["kind"] == "dl" else "transfer",
            Number(NOT_A_NUMBER if r["kind"] == "dl" else source_cell(r["source"])),
            whole(r["n"]),
            median_with_quartiles(r),
            decimal(r["rmse"], 3),
            decimal(r["mae"], 3),
            decimal(r["r2_rest"]),
            *([decimal(r["r2_rest_new"])] if new else []),
            decimal(r["rmse_rest"], 3),
            *([decimal(r["rmse_rest_slow"], 3)] if slow else []),
            wins_in_words(r if r["kind"] == "tl" else None),
            decimal(r["gain"]),
        ]
        for _, r in summary.iterrows()
    ]
    head = source_head(summary["source"].dropna())
    heads = ["Learner", "Size", "Kind", head, "Draws", "R²", "RMSE", "MAE"]
    heads += ["R² outside", *(["R² of these new"] if new else [])]
    heads += ["RMSE outside", *(["of these slow"] if slow else [])]
    return Table([*heads, "Transfer wins", "Median gain"], rows)


@styled
def draw_scores(summary: pd.DataFrame, symbol: str) -> Figure:
    """Median R2 with quartiles: a row per source, a panel per learner, a marker per size.

    Parameters
    ----------
    summary : DataFrame
        As :func:`poreflux.report.scores.score_summary` returns it.
    symbol : str
        What R2 is of.
    """
    learners = list(dict.fromkeys(summary["learner"]))
    sizes, sources = sorted(summary["size"].unique()), sources_of(summary)
    places = {source: k + 1 for k, source in enumerate(sources)}
    n_rows, n_columns = panel_layout(len(learners), MAX_PANELS)
    height = n_rows * (1.0 + 0.24 * (len(sources) + 1))
    figure, axes = grid(n_rows, n_columns, height=height, sharey=True)
    for axis in axes.flat[len(learners) :]:
        axis.remove()
    for axis, learner in zip(axes.flat, learners, strict=False):
        rows = summary[summary["learner"] == learner]
        for k, size in enumerate(sizes):
            part = rows[rows["size"] == size]
            y = part["source"].map(places).where(part["kind"] == "tl", 0)
            shown = part[["q1", "median", "q3"]].clip(lower=R2_FLOOR)
            y = y.astype(float) + 0.26 * (k - (len(sizes) - 1) / 2) / max(1, len(sizes) / 2)
            colour, marker = PALETTE[k % len(PALETTE)], MARKERS[k % len(MARKERS)]
            axis.hlines(y, shown["q1"], shown["q3"], color=colour, lw=1.2)
            axis.plot(shown["median"], y, marker, color=colour, ls="none", label=f"{size} labelled")
            direct = part[part["kind"] == "dl"]["median"]
            if len(direct):
                level = max(R2_FLOOR, float(direct.iloc[0]))
                axis.axvline(level, color=colour, lw=0.9, ls=(0, (4, 3)), zorder=1)
        axis.axhline(0.5, color=GREY, lw=0.8)
        rows_axis(axis, ["direct", *(source_short(s) for s in sources)])
        axis.set(xlabel=f"R² of {plain(symbol)}", title=plain(learner))
        axis.xaxis.set_major_locator(MaxNLocator(5))
    legend_above(figure, axes.flat[0].get_legend_handles_labels()[0])
    return figure


@styled
def draw_wins(pairs: pd.DataFrame, chosen: dict[int, tuple]) -> Figure:
    """R2 of transfer against that of direct learning, draw by draw, a panel per size.

    Parameters
    ----------
    pairs : DataFrame
        Of one learner: size, source, r2_tl, r2_dl.
    chosen : dict of int to tuple of 2
        By size: the best and the worst source (equal: one is drawn).
    """
    n_rows, n_columns = panel_layout(len(chosen), MAX_PANELS)
    width = {1: NARROW_WIDTH, 2: 6.4}.get(n_columns, WIDTH)
    figure = Figure(figsize=(width, n_rows * (width / n_columns + 0.45)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for axis in axes.flat[len(chosen) :]:
        axis.remove()
    for axis, (size, (best, worst)) in zip(axes.flat, chosen.items(), strict=False):
        drawn = []
        styles = [(worst, ORANGE, "s", "none"), (best, TRANSFER, "o", TRANSFER)]
        for source, colour, marker, face in styles[1:] if best == worst else styles:
            rows = pairs[(pairs["size"] == size) & (pairs["source"] == source)]
            won = int((rows["r2_tl"] > rows["r2_dl"]).sum())
            x, y = rows["r2_dl"].clip(lower=R2_FLOOR), rows["r2_tl"].clip(lower=R2_FLOOR)
            drawn += [*x, *y]
            axis.plot(
                x,
                y,
                marker,
                ms=4.5,
                mfc=face,
                mec=colour,
                mew=1,
                alpha=0.85,
                label=f"{source_short(source)}: {won} of {len(rows)} won",
            )
        low, high = min(drawn), max(drawn)
        margin = max(0.07 * (high - low), (MIN_R2_RANGE - (high - low)) / 2)
        limits = (low - margin, high + margin)
        axis.plot(limits, limits, color=INK, lw=0.9, zorder=0)
        axis.set(xlim=limits, ylim=limits, aspect="equal")
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.set(xlabel="R², direct", ylabel="R², transfer")
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(
            handles[::-1],
            labels[::-1],
            title=f"{size} labelled structures",
            title_fontproperties={"weight": "bold", "size": 9.5},
            alignment="left",
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.01),
            borderaxespad=0,
            borderpad=0,
            handletextpad=0.2,
        )
    return figure


@styled
def draw_learning_curves(curves: dict[str, dict[str, pd.DataFrame]], symbol: str) -> Figure:
    """Median R2 with quartiles against the number of labelled structures, a panel per learner.

    Parameters
    ----------
    curves : dict of str to dict of str to DataFrame
        By learner, then by label of the line (``direct`` or a source): size, q1, median, q3.
    symbol : str
        What R2 is of.
    """
    figure, axes = grid(1, len(curves), height=3.3, sharey=True)
    sizes = sorted({s for lines in curves.values() for t in lines.values() for s in t["size"]})
    lows, highs = [0.0], [0.1]
    for axis, (learner, lines) in zip(axes[0], curves.items(), strict=True):
        for k, (label, table) in enumerate(lines.items()):
            direct = label.startswith("direct")
            shown = table[["q1", "median", "q3"]].clip(lower=R2_FLOOR)
            lows.append(shown["q1"].min())
            highs.append(shown["q3"].max())
            axis.errorbar(
                table["size"] * 1.03 ** (k - (len(lines) - 1) / 2),
                shown["median"],
                yerr=[shown["median"] - shown["q1"], shown["q3"] - shown["median"]],
                fmt="s--" if direct else "o-",
                color=DIRECT if direct else TRANSFER,
                elinewidth=1,
                capsize=2.5,
                label=label,
            )
        axis.axhline(0, color=INK, lw=0.8)
        axis.set_xscale("log")
        axis.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
        axis.set_xticks(sizes, [f"{s:g}" for s in sizes])
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(axis="x", which="minor", length=0)
        axis.set(xlabel="Labelled structures", title=learner)
        axis.legend(loc="upper left", bbox_to_anchor=(0, -0.22), borderaxespad=0)
    low, high = min(lows), max(highs)
    margin = 0.05 * (high - low)
    axes[0, 0].set_ylim(low - (margin if low < 0 else 0), high + margin)
    axes[0, 0].set_ylabel(f"R² of {plain(symbol)}")
    return figure
