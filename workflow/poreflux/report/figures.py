"""The figures of the report: each function draws one from tables and returns it.

Nothing here touches matplotlib's global state: :func:`styled` puts the style in force while a
figure is made or saved and restores what was there before. Equal tables give equal files.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from poreflux.base.files import write_atomically
from poreflux.report.summary import (
    isotherm_quartiles,
    mean_histogram,
    source_cell,
    source_head,
    source_name,
    sources_of,
)

DPI = 150
WIDTH = 7.6
# Okabe and Ito's colours, told apart in every common form of colour blindness.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, GREY, INK = "#56B4E9", "#CC79A7", "#6B7680", "#1D2733"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
SET_COLOURS = {"source": BLUE, "target": VERMILLION}
OTHER_SETS = (GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DIRECT, TRANSFER = GREY, GREEN
# R2 below this is drawn here: a model that is useless by any measure.
R2_FLOOR = -1.0
# A panel of R2 against R2 spans at least this.
MIN_R2_RANGE = 0.2
# Beyond so many points or lines an SVG holds them as a picture.
MAX_VECTOR = 400
# Ratio of the ends of an axis below which powers of ten alone are too few ticks.
FEW_DECADES = 300.0
# Structures that a legend can name.
MAX_LEGEND = 8
# Isotherms drawn one by one, at most.
MAX_ISOTHERMS = 300

# A colour map from light to dark that prints, and that no form of colour blindness folds.
DENSITY_MAP = LinearSegmentedColormap.from_list(
    "density", ["#F0C94F", "#8FBF7F", "#3A9393", "#1F5F87", "#1B2A52"]
)

STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": "#E7EBEE",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.dpi": DPI,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "poreflux",
    "axes.unicode_minus": True,
}


def styled(function: Callable) -> Callable:
    """Run a function with the report's style in force, whatever the user's settings."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return function(*args, **kwargs)

    return wrapper


@styled
def save(figure: Figure, folder: Path, name: str) -> None:
    """Write ``<name>.png`` and ``<name>.svg``; equal figures give equal bytes."""
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        write_atomically(folder / f"{name}.{kind}", buffer.getvalue())
        # what the first drawing laid out holds for the second
        figure.set_layout_engine("none")


def set_colour(name: str, names: Sequence[str]) -> str:
    """The colour of a set of structures, the same in every figure."""
    others = [n for n in names if n not in SET_COLOURS]
    return SET_COLOURS.get(name) or OTHER_SETS[others.index(name) % len(OTHER_SETS)]


@styled
def distributions(
    sets: dict[str, pd.DataFrame],
    panels: Sequence[tuple[str, str]],
    marks: dict[str, tuple[float, str]],
) -> Figure:
    """Distributions of up to four columns in every set.

    Parameters
    ----------
    sets : dict of str to DataFrame
        By set, with the columns of the panels; what is not finite is left out.
    panels : sequence of (str, str)
        Columns and the labels of their axes; an even number.
    marks : dict of str to (float, str)
        By column: where to draw a vertical line, and its label.
    """
    figure, axes = grid(len(panels) // 2, 2, height=2.5 * (len(panels) // 2))
    for axis, (column, label) in zip(axes.flat, panels, strict=True):
        finite = {name: _finite(table[column]) for name, table in sets.items()}
        edges = _edges(list(finite.values()))
        for name, table in sets.items():
            colour = set_colour(name, list(sets))
            counts, _ = np.histogram(finite[name], edges)
            shares = 100 * counts / len(table)
            fill = name == "source" or len(sets) == 1
            if fill:
                axis.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
            axis.stairs(shares, edges, color=colour, lw=1.0 if fill else 1.8)
        if column in marks:
            x, text = marks[column]
            axis.axvline(x, color=INK, lw=1, ls=(0, (4, 3)))
            axis.annotate(
                text,
                (x, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -2),
                textcoords="offset points",
                va="top",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            )
        axis.set(xlabel=label, ylabel="Structures (%)")
        axis.set_ylim(bottom=0)
    handles = [
        Patch(
            facecolor=set_colour(name, list(sets))
            if name == "source" or len(sets) == 1
            else "none",
            edgecolor=set_colour(name, list(sets)),
            alpha=0.8,
            lw=1.8,
            label=f"{name} (n = {len(table)})",
        )
        for name, table in sets.items()
    ]
    legend_above(figure, handles)
    return figure


@styled
def energies(energy: dict[str, pd.DataFrame], range_K: tuple[float, float]) -> Figure:
    """Mean energy histogram of every set, with quartiles.

    The last bin holds everything above its lower edge: the framework itself. It dwarfs the
    rest and is left out of the drawing.
    """
    figure, axes = grid(1, 1, height=3.1)
    axis = axes[0, 0]
    for name, table in energy.items():
        mean, low, high = mean_histogram(table)
        edges = np.linspace(*range_K, len(mean) + 1)
        shown = slice(0, max(1, len(mean) - 1))
        centres = ((edges[:-1] + edges[1:]) / 2)[shown]
        colour = set_colour(name, list(energy))
        axis.fill_between(
            centres, 100 * low[shown], 100 * high[shown], color=colour, alpha=0.18, step="mid", lw=0
        )
        axis.step(
            centres,
            100 * mean[shown],
            where="mid",
            color=colour,
            ls="-" if name == "source" else (0, (5, 1.5)),
            label=f"{name}, mean and quartiles (n = {len(table)})",
        )
    axis.axvline(0, color=GREY, lw=0.8)
    axis.set(xlabel="Energy of the guest, E / k$_\\mathrm{B}$ (K)", ylabel="Grid points (%)")
    axis.set_ylim(bottom=0)
    axis.margins(x=0.01)
    axis.legend()
    return figure


@styled
def isotherms(uptake: dict[str, pd.DataFrame]) -> Figure:
    """Isotherms of every structure, set by set, with the median."""
    figure, axes = grid(1, len(uptake), height=3.3, sharey=True)
    for axis, (name, table) in zip(axes[0], uptake.items(), strict=True):
        wide = table.pivot_table(
            index="name", columns="pressure_bar", values="uptake_cm3stp_cm3", aggfunc="mean"
        )
        wide = wide.loc[wide.iloc[:, -1].sort_values(kind="stable").index]
        if len(wide) > MAX_ISOTHERMS:
            # spread evenly over the uptakes at the highest pressure
            places = np.linspace(0, len(wide) - 1, MAX_ISOTHERMS).round().astype(int)
            wide = wide.iloc[places]
        pressures = wide.columns.to_numpy(float)
        colour = set_colour(name, list(uptake))
        alpha = float(np.clip(12 / len(wide), 0.12, 0.6))
        values = wide.to_numpy(float)
        if len(pressures) > 1:
            lines = LineCollection(
                [np.column_stack([pressures, row]) for row in values],
                colors=colour,
                alpha=alpha,
                lw=0.8,
            )
            axis.add_collection(lines)
        else:
            jitter = np.geomspace(0.9, 1.1, len(values)) * pressures[0]
            axis.plot(jitter, values[:, 0], ".", color=colour, alpha=max(alpha, 0.4))
        stats = isotherm_quartiles(table)
        axis.plot(stats["pressure_bar"], stats["median"], "o-", color=INK, label="median")
        _pressure_axis(axis, pressures)
        axis.set_title(f"{name} (n = {table['name'].nunique()})")
        axis.autoscale_view()
        axis.set_ylim(bottom=0)
        axis.legend(loc="upper left")
    axes[0, 0].set_ylabel("Uptake (cm³(STP) cm⁻³)")
    return figure


@styled
def uptake_quartiles(uptake: dict[str, pd.DataFrame]) -> Figure:
    """Median and quartiles of the uptake against pressure, the sets side by side."""
    figure, axes = grid(1, 1, height=3.2)
    axis = axes[0, 0]
    pressures = []
    for k, (name, table) in enumerate(uptake.items()):
        stats = isotherm_quartiles(table)
        pressures += list(stats["pressure_bar"])
        # moved sideways, so that error bars do not hide each other
        x = stats["pressure_bar"] * 1.035 ** (k - (len(uptake) - 1) / 2)
        axis.errorbar(
            x,
            stats["median"],
            yerr=[stats["median"] - stats["q1"], stats["q3"] - stats["median"]],
            fmt=f"{MARKERS[k % len(MARKERS)]}-",
            color=set_colour(name, list(uptake)),
            elinewidth=1,
            capsize=2,
            label=f"{name}, median and quartiles (n = {table['name'].nunique()})",
        )
    _pressure_axis(axis, pressures)
    axis.set_ylabel("Uptake (cm³(STP) cm⁻³)")
    axis.margins(y=0.12)
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left")
    return figure


@styled
def parity(table: pd.DataFrame, value: str, error: str, quantity: str, engines: tuple) -> Figure:
    """Our engine against the reference code, and the deviation in percent.

    Parameters
    ----------
    table : DataFrame
        name, ``value`` and ``error``, each also with ``_reference``; values finite.
    quantity : str
        Label with unit.
    engines : tuple of 2 str
        Names of ours and of the reference.
    """
    figure, axes = grid(1, 2, height=3.5)
    left, right = axes[0]
    both = table[[value, f"{value}_reference"]].to_numpy(float)
    low, high = both.min(), both.max()
    logarithmic = low > 0
    margin = 0.08 * (high - low or abs(high) or 1)
    limits = (low / 1.6, high * 1.6) if logarithmic else (low - margin, high + margin)
    left.plot(limits, limits, color=GREY, lw=1, zorder=1)
    right.axhline(0, color=GREY, lw=1, zorder=1)
    handles = []
    names = list(dict.fromkeys(table["name"]))
    for k, name in enumerate(names):
        rows = table[table["name"] == name]
        x, y = rows[f"{value}_reference"], rows[value]
        x_err, y_err = rows[f"{error}_reference"].fillna(0), rows[error].fillna(0)
        style = {
            "fmt": MARKERS[k % len(MARKERS)],
            "color": PALETTE[k % len(PALETTE)],
            "elinewidth": 1,
            "capsize": 2.5,
            "ls": "none",
            "label": plain(name),
        }
        handles.append(left.errorbar(x, y, xerr=x_err, yerr=y_err, **style))
        scale = 100 / x.where(x != 0).abs()
        right.errorbar(x, (y - x) * scale, yerr=np.hypot(x_err, y_err) * scale, **style)
    left.set(xlim=limits, ylim=limits)
    for axis in axes[0]:
        axis.set_xlabel(f"{engines[1]}: {quantity}")
        axis.set_xlim(limits)
    left.set_ylabel(f"{engines[0]}: {quantity}")
    right.set_ylabel("Deviation (%)")
    right.margins(y=0.15)
    if logarithmic:
        left.set(xscale="log", yscale="log")
        right.set_xscale("log")
        for axis in (left.xaxis, left.yaxis, right.xaxis):
            log_ticks(axis, both)
    if len(names) <= MAX_LEGEND:
        legend_above(figure, handles)
    return figure


@styled
def diffusivities(table: pd.DataFrame) -> Figure:
    """Distribution of the diffusivity, and every value with its standard error.

    Parameters
    ----------
    table : DataFrame
        d_m2_s (positive), d_err_m2_s, diffusive (bool).
    """
    figure, axes = grid(1, 2, height=3.2, ratios=(1, 1.25))
    left, right = axes[0]
    log_d = np.log10(table["d_m2_s"])
    good = table["diffusive"].to_numpy(bool)
    edges = _edges([log_d])
    kinds = [(good, BLUE, "diffusive"), (~good, ORANGE, "not diffusive")]
    kinds = [kind for kind in kinds if kind[0].any()]
    left.hist(
        [10 ** log_d[mask] for mask, _, _ in kinds],
        bins=10**edges,
        stacked=True,
        color=[colour for _, colour, _ in kinds],
        label=[f"{label} (n = {mask.sum()})" for mask, _, label in kinds],
        edgecolor="white",
        lw=0.5,
    )
    left.set(xscale="log", xlabel="D (m² s⁻¹)", ylabel="Structures")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    order = table["d_m2_s"].argsort(kind="stable").to_numpy()
    ranked = table.iloc[order].reset_index(drop=True)
    mask = ranked["diffusive"].to_numpy(bool)
    for chosen, colour, marker in ((mask, BLUE, "o"), (~mask, ORANGE, "s")):
        rows = ranked[chosen]
        d, err = rows["d_m2_s"], rows["d_err_m2_s"].fillna(0)
        points = right.errorbar(
            rows.index + 1,
            d,
            # an error bar that reached zero would run out of a logarithmic axis
            yerr=[np.minimum(err, 0.95 * d), err],
            fmt=marker,
            ms=3 if len(table) <= MAX_VECTOR else 1.2,
            color=colour,
            elinewidth=0.8,
            ls="none",
        )
        _rasterise(points.lines[0], len(table))
        for bars in points.lines[2]:
            _rasterise(bars, len(table))
    right.set(yscale="log", xlabel="Structures, by rising D", ylabel="D ± standard error (m² s⁻¹)")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    for log_axis in (left.xaxis, right.yaxis):
        log_ticks(log_axis, table["d_m2_s"])
    if len(table) == 1:
        right.set_xlim(0, 2)
    legend_above(figure, left.get_legend_handles_labels()[0])
    return figure


@styled
def uptake_against_diffusivity(table: pd.DataFrame, pressure_bar: float) -> Figure:
    """Diffusivity against uptake, coloured by density.

    Parameters
    ----------
    table : DataFrame
        uptake_cm3stp_cm3, d_m2_s (positive), density_g_cm3; finite.
    pressure_bar : float
        Of the uptake.
    """
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    points = axis.scatter(
        table["uptake_cm3stp_cm3"],
        table["d_m2_s"],
        c=table["density_g_cm3"],
        cmap=DENSITY_MAP,
        norm=Normalize(*np.quantile(table["density_g_cm3"], [0.02, 0.98])),
        s=22 if len(table) <= MAX_VECTOR else 8,
        edgecolors="white",
        linewidths=0.3,
    )
    _rasterise(points, len(table))
    axis.set(
        yscale="log",
        xlabel=f"Uptake at {pressure_bar:g} bar (cm³(STP) cm⁻³)",
        ylabel="D (m² s⁻¹)",
    )
    log_ticks(axis.yaxis, table["d_m2_s"])
    bar = figure.colorbar(points, ax=axis, pad=0.02, extend="both")
    bar.set_label("Density (g cm⁻³)")
    bar.outline.set_visible(False)
    return figure


@styled
def pretraining(table: pd.DataFrame) -> Figure:
    """R2 of the pretrained models on their test structures against the source pressure."""
    figure, axes = grid(1, 1, height=3.0)
    axis = axes[0, 0]
    _source_axis(axis, sources_of(table))
    colours = (BLUE, VERMILLION, PURPLE, ORANGE)
    low = 1.0
    for k, (learner, rows) in enumerate(table.groupby("learner")):
        stats = rows.groupby("source", sort=False)["r2"].median()
        low = min(low, stats.min())
        axis.plot(
            stats.index,
            stats.clip(lower=R2_FLOOR),
            f"{MARKERS[k % len(MARKERS)]}-",
            color=colours[k % len(colours)],
            label=learner,
        )
    axis.axhline(0.9, color=GREY, lw=1, ls=(0, (4, 3)))
    axis.annotate(
        "0.9",
        (1, 0.9),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=GREY,
    )
    bottom = max(R2_FLOOR - 0.05, min(0.8, low - 0.05))
    axis.set_ylim(bottom, 1.0 + 0.02 * (1 - bottom))
    axis.set(xlabel=source_head(table["source"]), ylabel="R² of the source's label")
    axis.legend(loc="lower right")
    return figure


@styled
def score_bars(summary: pd.DataFrame) -> Figure:
    """Median R2 with quartiles of one learner, a panel a size, a bar a source.

    Parameters
    ----------
    summary : DataFrame
        Rows of one learner of :func:`poreflux.report.summary.score_summary`.
    """
    sizes = sorted(summary["size"].unique())
    figure, axes = grid(len(sizes), 1, height=0.75 + 1.95 * len(sizes), sharex=True)
    sources = sources_of(summary)
    labels = ["direct", *map(source_cell, sources)]
    for axis, size in zip(axes[:, 0], sizes, strict=True):
        rows = summary[summary["size"] == size]
        for _, row in rows.iterrows():
            transfer = row["kind"] == "tl"
            x = 1 + sources.index(row["source"]) if transfer else 0
            _bar(axis, x, row, TRANSFER if transfer else DIRECT)
        direct = rows[rows["kind"] == "dl"]
        if len(direct):
            level = max(R2_FLOOR, float(direct["median"].iloc[0]))
            axis.axhline(level, color=DIRECT, lw=1, ls=(0, (4, 3)), zorder=1)
        axis.axhline(0, color=INK, lw=0.8)
        low = max(R2_FLOOR, min(0.0, rows["q1"].min()))
        high = max(0.1, rows["q3"].clip(lower=R2_FLOOR).max())
        margin = 0.06 * (high - low)
        axis.set_ylim(low - (margin if low < 0 else 0), high + margin)
        axis.set_ylabel("R²")
        axis.set_title(f"{size} labelled structures (n = {int(rows['n'].max())} draws)")
        axis.grid(axis="x", visible=False)
    axes[-1, 0].set_xticks(range(len(labels)), labels)
    axes[-1, 0].set_xlabel(source_head(sources) if sources else "")
    return figure


@styled
def wins(pairs: pd.DataFrame, chosen: dict[int, tuple]) -> Figure:
    """R2 of transfer against that of direct learning, draw by draw, a panel a size.

    Parameters
    ----------
    pairs : DataFrame
        Of one learner: size, source, r2_tl, r2_dl.
    chosen : dict of int to tuple of 2
        By size: the best and the worst source (equal: one is drawn).
    """
    n_columns = min(3, len(chosen))
    n_rows = -(-len(chosen) // n_columns)
    width = {1: 3.9, 2: 6.4}.get(n_columns, WIDTH)
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
                label=f"{source_name(source)}: {won} of {len(rows)} won",
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
def learning_curves(curves: dict[str, dict[str, pd.DataFrame]], symbol: str) -> Figure:
    """Median R2 with quartiles against the number of labelled structures, a panel a learner.

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


@styled
def importances(top: pd.DataFrame, labels: dict[str, str], columns: dict) -> Figure:
    """Importance of the reference's leading features in the reference and in chosen sources.

    Parameters
    ----------
    top : DataFrame
        Index: features in falling order; columns as in ``columns``.
    labels : dict of str to str
        Readable names of the features.
    columns : dict
        Column of ``top`` to legend, at most three, the reference first.
    """
    figure, axes = grid(1, 1, height=0.9 + 0.42 * len(top))
    axis = axes[0, 0]
    y = np.arange(len(top))
    height = 0.8 / len(columns)
    colours = (GREY, GREEN, ORANGE)
    for k, (column, label) in enumerate(columns.items()):
        axis.barh(
            y + (k - (len(columns) - 1) / 2) * height,
            100 * top[column],
            height * 0.92,
            color=colours[k],
            label=label,
        )
    axis.set_yticks(y, [labels[f] for f in top.index])
    axis.invert_yaxis()
    axis.axvline(0, color=INK, lw=0.8)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("Permutation importance, share of the sum (%)")
    axis.legend(loc="lower right")
    return figure


@styled
def distances(table: pd.DataFrame, gains: pd.DataFrame) -> Figure:
    """Distance of each source's importance from the reference's; gain of transfer against it.

    Parameters
    ----------
    table : DataFrame
        source, distance, rank.
    gains : DataFrame
        learner, distance, gain, source; may be empty, then one panel is drawn.
    """
    figure, axes = grid(1, 2 if len(gains) else 1, height=3.2)
    left = axes[0, 0]
    _source_axis(left, table["source"])
    left.plot(table["source"], table["distance"], "o-", color=BLUE)
    best = table.loc[table["distance"].idxmin()]
    left.plot(
        best["source"],
        best["distance"],
        "o",
        ms=9,
        mfc="none",
        mec=VERMILLION,
        label=f"nearest: {source_name(best['source'])}",
    )
    left.legend()
    left.margins(y=0.15)
    left.set(xlabel=source_head(table["source"]), ylabel="Distance of importances")
    if len(gains):
        right = axes[0, 1]
        for k, (learner, rows) in enumerate(gains.groupby("learner")):
            right.plot(
                rows["distance"],
                rows["gain"],
                MARKERS[k % len(MARKERS)],
                color=(GREEN, PURPLE, ORANGE)[k % 3],
                label=learner,
            )
        right.axhline(0, color=INK, lw=0.8)
        right.set(xlabel="Distance of importances", ylabel="Gain in R² over direct (median)")
        right.legend()
    return figure


def grid(rows, columns, *, height, ratios=None, **share):
    """A figure of full width and its axes, (rows, columns)."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    keywords = {"width_ratios": ratios} if ratios else {}
    axes = figure.subplots(rows, columns, squeeze=False, **share, **keywords)
    return figure, axes


def _finite(values) -> np.ndarray:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def _edges(arrays, bins: int = 24) -> np.ndarray:
    values = np.concatenate([np.asarray(a, float) for a in arrays])
    return np.histogram_bin_edges(values, bins)


def _source_axis(axis, sources) -> None:
    """An axis of pressures, or of names in this order where sources are not all uptakes."""
    if source_head(sources) == "Source":
        axis.xaxis.update_units(list(sources))
        axis.tick_params(axis="x", rotation=45)
    else:
        _pressure_axis(axis, sources)


def _pressure_axis(axis, pressures) -> None:
    pressures = sorted(set(map(float, pressures)))
    axis.set_xscale("log")
    if len(pressures) == 1:
        axis.set_xlim(pressures[0] / 3, pressures[0] * 3)
    axis.set_xlabel("Pressure (bar)")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", which="minor", length=0)


def _bar(axis, x, row, colour) -> None:
    median, low, high = (max(R2_FLOOR, row[c]) for c in ("median", "q1", "q3"))
    axis.bar(x, median, 0.72, color=colour, alpha=0.75)
    axis.errorbar(
        x, median, yerr=[[median - low], [high - median]], color=INK, elinewidth=1, capsize=2.5
    )
    if row["median"] < R2_FLOOR:
        axis.annotate(
            f"{row['median']:.1f}".replace("-", "−"),
            (x, 0),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )


def legend_above(figure, handles, most: int = 4) -> None:
    """One legend for all panels, with ``most`` entries a line."""
    ncols = min(most, max(1, len(handles)))
    figure.legend(handles=handles, loc="outside upper left", ncols=ncols)


def log_ticks(axis, values) -> None:
    """Ticks at every power of ten, or at 1, 2 and 5 of each where the values span little."""
    narrow = np.max(values) / np.min(values) < FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    axis.set_major_formatter(FuncFormatter(_power_label))
    axis.set_minor_formatter(NullFormatter())


def _power_label(x: float, _=None) -> str:
    """A tick on a logarithmic axis: ``20`` or, far from one, ``2 × 10⁻⁹`` (as mathtext)."""
    if 1e-3 < x < 1e5:
        return f"{x:g}"
    mantissa, _, exponent = f"{x:.0e}".partition("e")
    head = "" if mantissa == "1" else rf"{mantissa} \times "
    return rf"${head}10^{{{int(exponent)}}}$"


def _rasterise(artist, n: int) -> None:
    if n > MAX_VECTOR:
        artist.set_rasterized(True)


def plain(text: str, longest: int = 28) -> str:
    """A name as matplotlib shows it: no formulas, no leading underscore, not too long."""
    text = str(text).replace("$", r"\$")
    text = f"\u200b{text}" if text.startswith("_") else text
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
