"""Axes, ticks and legends that several figures share."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from poreflux.report.figures.style import INK, is_narrow, plain
from poreflux.report.sources import source_head, source_short

# Labels such as 2 × 10⁻⁹ that do not touch one another along the sides of half a page's width.
MOST_LABELS = {"x": 4, "y": 8}
# Longest text beside an axis, in characters, and longest of which two stand in a telephone's line.
LONGEST, SHORT_LABEL = 34, 22


def finite_values(values) -> np.ndarray:
    """The finite ones of values, as float64."""
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def bin_edges(arrays, bins: int = 24) -> np.ndarray:
    """Edges of so many bins over the values of several arrays: (bins + 1,)."""
    values = np.concatenate([np.asarray(a, float) for a in arrays])
    return np.histogram_bin_edges(values, bins)


def source_axis(axis, sources) -> None:
    """An axis of pressures, or of names in this order where sources are not all uptakes."""
    if source_head(sources) == "Source":
        names = list(dict.fromkeys(sources))
        axis.xaxis.update_units(names)
        axis.set_xticks(range(len(names)), [source_short(name) for name in names])
        axis.tick_params(axis="x", rotation=45)
    else:
        pressure_axis(axis, sources)


def pressure_axis(axis, pressures) -> None:
    """A logarithmic horizontal axis of pressures in bar, with round ticks."""
    pressures = sorted(set(map(float, pressures)))
    axis.set_xscale("log")
    if len(pressures) == 1:
        axis.set_xlim(pressures[0] / 3, pressures[0] * 3)
    axis.set_xlabel("Pressure (bar)")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(axis="x", which="minor", length=0)


def legend_above(figure, handles, most: int = 4) -> None:
    """One legend for all panels: ``most`` entries a line, on a telephone two, or one if long."""
    if is_narrow():
        most = 1 if any(len(str(h.get_label())) > SHORT_LABEL for h in handles) else 2
    ncols = min(most, max(1, len(handles)))
    figure.legend(handles=handles, loc="outside upper left", ncols=ncols)


def equal_axes(axes, values, *, is_log: bool) -> None:
    """Both axes alike around all values, and the line on which they are equal."""
    low, high = np.min(values), np.max(values)
    if is_log:
        limits = low / 1.6, high * 1.6
        axes.set(xscale="log", yscale="log")
        for side in (axes.xaxis, axes.yaxis):
            log_ticks(side, values)
    else:
        margin = 0.06 * ((high - low) or 1.0)
        limits = low - margin, high + margin
    axes.plot(limits, limits, color=INK, lw=0.9, zorder=0)
    axes.set(xlim=limits, ylim=limits, aspect="equal")


def log_ticks(axis, values) -> None:
    """Ticks at 1, 2 and 5, at 1 and 3, or at every power of ten: as many as do not overprint."""
    low, high = np.min(values), np.max(values)
    for subs in ((1, 2, 5), (1, 3), (1,)):
        ticks = [s * 10.0**p for p in range(*_decades(low, high)) for s in subs]
        if sum(low <= tick <= high for tick in ticks) <= MOST_LABELS[axis.axis_name]:
            break
    # with fewer than two ticks matplotlib's are those of a linear axis
    if sum(low <= tick <= high for tick in ticks) < 2:
        subs = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)
    axis.set_major_locator(LogLocator(subs=subs, numticks=MOST_LABELS[axis.axis_name] + 2))
    axis.set_major_formatter(FuncFormatter(_power_label))
    axis.set_minor_formatter(NullFormatter())


def _decades(low: float, high: float) -> tuple[int, int]:
    return int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1


def _power_label(x: float, _=None) -> str:
    """A tick on a logarithmic axis: ``20`` or, far from one, ``2 × 10⁻⁹`` (as mathtext)."""
    if 1e-3 < x < 1e5:
        return f"{x:g}"
    mantissa, _, exponent = f"{x:.1e}".replace(".0e", "e").partition("e")
    head = "" if mantissa == "1" else rf"{mantissa} \times "
    return rf"${head}10^{{{int(exponent)}}}$"


def fine_log_ticks(axis, values) -> None:
    """:func:`log_ticks`, and more of them within a decade."""
    log_ticks(axis, values)
    ratio = np.max(values) / np.min(values)
    if ratio < 4:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)))
    elif ratio < 10:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))


def zero_line(axis) -> None:
    """A vertical line at zero, behind what is drawn."""
    axis.axvline(0, color=INK, lw=0.9, zorder=1)


def rows_axis(axis, labels) -> None:
    """A vertical axis with a labelled row each, the first one on top."""
    labels = [plain(x, LONGEST) for x in labels]
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)


def draw_intervals(axis, rows, value, y, colour, marker, *, clear: bool) -> None:
    """Dots with bars from low to high; with ``clear``, open where a bar holds zero."""
    y = np.asarray(y, float)
    axis.hlines(y, rows["low"], rows["high"], color=colour, lw=1.2)
    filled = ((rows["low"] > 0) | (rows["high"] < 0)).to_numpy() | (not clear)
    x = rows[value].to_numpy(float)
    axis.plot(x[filled], y[filled], marker, color=colour)
    axis.plot(x[~filled], y[~filled], marker, mec=colour, mfc="white", mew=1.2)
