"""The look of every figure: colours, style, sizes, and how one is saved.

Nothing here touches matplotlib's global state: :func:`styled` puts the style in force while a
figure is made or saved and restores what was there before. Equal figures give equal files.

Every figure has a second form for telephones: half as wide, its panels one below the other, so
that its letters stay as large as those of the text.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from poreflux.base.files import write_atomically

DPI = 150
# Inches: beside text on a wide screen, and on a telephone.
WIDTH, NARROW_WIDTH = 7.6, 3.9
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
# Beyond so many points or lines an SVG holds them as a picture.
MAX_VECTOR = 400
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


_narrow: ContextVar[bool] = ContextVar("narrow", default=False)


def is_narrow() -> bool:
    """Whether the figure that is being drawn is for a telephone."""
    return _narrow.get()


def styled(function: Callable) -> Callable:
    """Run a function with the report's style in force, whatever the user's settings.

    A figure that it returns knows how to draw itself again for a telephone: :func:`narrow_form`.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            made = function(*args, **kwargs)
        if isinstance(made, Figure):
            made.draw_again = functools.partial(wrapper, *args, **kwargs)
        return made

    return wrapper


def narrow_form(figure: Figure) -> Figure:
    """A figure that a :func:`styled` function drew, drawn again for a telephone."""
    token = _narrow.set(True)
    try:
        return figure.draw_again()
    finally:
        _narrow.reset(token)


class Drawn(NamedTuple):
    """A figure as PNG, with its width and height in inches."""

    png: bytes
    width: float
    height: float


@styled
def save(figure: Figure, folder: Path, name: str) -> tuple[Drawn, Drawn]:
    """Write ``<name>.png`` and ``<name>.svg`` into a folder; equal figures give equal bytes.

    Returns
    -------
    wide, narrow : Drawn
        The figure on a wide screen, as it was written, and on a telephone.
    """
    wide = _as_png(figure)
    write_atomically(folder / f"{name}.png", wide.png)
    # what the first drawing laid out holds for the second
    figure.set_layout_engine("none")
    write_atomically(folder / f"{name}.svg", _encoded(figure, "svg", {"Date": None}))
    return wide, _as_png(narrow_form(figure))


def _as_png(figure: Figure) -> Drawn:
    return Drawn(_encoded(figure, "png", {"Software": None}), *map(float, figure.get_size_inches()))


def _encoded(figure: Figure, kind: str, metadata: dict) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def set_colour(name: str, names: Sequence[str]) -> str:
    """The colour of a set of structures, the same in every figure."""
    others = [n for n in names if n not in SET_COLOURS]
    return SET_COLOURS.get(name) or OTHER_SETS[others.index(name) % len(OTHER_SETS)]


def grid(rows: int, columns: int, *, height: float, ratios=None, **share):
    """A figure of full width and its axes; on a telephone they stand one below the other.

    Parameters
    ----------
    rows, columns : int
        Of the axes.
    height : float
        Inches, on a wide screen; the width is :data:`WIDTH`.
    ratios : sequence of float, optional
        Widths of the columns relative to each other.
    **share
        As for :meth:`matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure : Figure
    axes : ndarray of Axes, shape (rows, columns)
    """
    keywords = {"width_ratios": ratios} if ratios and not is_narrow() else {}
    stacked = is_narrow() and columns > 1
    size = (NARROW_WIDTH, height * (columns if stacked else 1)) if is_narrow() else (WIDTH, height)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    layout = (rows * columns, 1) if stacked else (rows, columns)
    axes = figure.subplots(*layout, squeeze=False, **share, **keywords)
    return figure, axes.reshape(rows, columns)


def panel_layout(n: int, most: int) -> tuple[int, int]:
    """Rows and columns of ``n`` panels, ``most`` beside each other; one on a telephone."""
    columns = 1 if is_narrow() else min(most, n)
    return -(-n // columns), columns


def single(width: float, height: float):
    """A figure of one panel, inches, no wider than the page; with its axes."""
    width = min(width, NARROW_WIDTH if is_narrow() else WIDTH)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def rasterise(artist, n: int) -> None:
    """Draw an artist of ``n`` points or lines as a picture where they are many."""
    if n > MAX_VECTOR:
        artist.set_rasterized(True)


def plain(text: str, longest: int = 28) -> str:
    """A name as matplotlib shows it: no formulas, no leading underscore, not too long."""
    text = str(text).replace("$", r"\$")
    text = f"\u200b{text}" if text.startswith("_") else text
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
