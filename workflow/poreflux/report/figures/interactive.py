"""From the table of all structures to plotly figures: a point for a structure, with its name.

A figure is what plotly takes (``data``, ``layout``), but for the numbers: where plotly wants an
array, it has ``{"column": <key>}``, and ``where`` says which rows a trace shows. The page
(``templates/page.js``) fills both in from the table, which it holds once, so that table and
figures know each other's rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from plotly.offline import get_plotlyjs

from poreflux.report.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION

# Colours and markers of groups: told apart in every common form of colour blindness, and in none.
GROUP_STYLES = (
    (BLUE, "circle"),
    (VERMILLION, "square"),
    (GREEN, "triangle-up"),
    (ORANGE, "diamond"),
    (PURPLE, "cross"),
    (SKY, "x"),
    (GREY, "star"),
)
# From light to dark: prints, and no form of colour blindness folds it.
SCALE = "Cividis"
# Digits that a number keeps in the page.
DIGITS = 4


@dataclass(frozen=True)
class Column:
    """A column of the table of all structures.

    Attributes
    ----------
    key, title : str
        The title has the unit.
    kind : str
        ``text``, ``number``, or ``power``: a number that is printed with a power of ten.
    log : bool
        Its axis is logarithmic.
    listed : bool
        It is shown in the table, and not in figures alone.
    places : int or None
        Decimal places in the table; None for three significant digits.
    """

    key: str
    title: str
    kind: str = "number"
    log: bool = False
    listed: bool = True
    places: int | None = None


@dataclass(frozen=True)
class Catalogue:
    """All structures: columns, and their values, a row per structure."""

    columns: tuple[Column, ...]
    table: pd.DataFrame

    def __getitem__(self, key: str) -> Column:
        return next(column for column in self.columns if column.key == key)

    def has(self, *keys: str) -> bool:
        """Whether it has columns of these names."""
        return set(keys) <= {column.key for column in self.columns}

    def plain(self) -> dict:
        """As plain data: numbers with :data:`DIGITS` digits, None where there is none."""
        return {
            "columns": [vars(column) for column in self.columns],
            "data": {c.key: _plain(self.table[c.key], c.kind) for c in self.columns},
        }


def _plain(values: pd.Series, kind: str) -> list:
    if kind == "text":
        return ["" if pd.isna(v) else str(v) for v in values]
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return [_rounded(v) if math.isfinite(v) else None for v in numbers]


def _rounded(value: float) -> float | int:
    value = float(f"{value:.{DIGITS}g}")
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def scatter(
    catalogue: Catalogue,
    x: str,
    y: str,
    *,
    group: str | None = None,
    names: dict | None = None,
    colour: str | None = None,
    diagonal: bool = False,
    choices: Sequence[str] = (),
) -> dict:
    """A figure of two columns, a point per structure.

    Parameters
    ----------
    catalogue : Catalogue
    x, y : str
        Keys of its columns.
    group : str, optional
        Key of the column whose values tell colours and markers.
    names : dict, optional
        Its values in words, in the order of the legend; of others no point is shown.
    colour : str, optional
        Key of the column that colours the points.
    diagonal : bool
        Both axes have the same range, and a line where both are equal.
    choices : sequence of str
        Keys of the columns that a reader may choose for either axis.
    """
    groups = names if group else {None: "structures"}
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": label,
            "x": {"column": x},
            "y": {"column": y},
            "where": {"column": group, "equals": value} if group else None,
            "marker": {"color": colour, "symbol": symbol, "size": 8, "opacity": 0.8},
        }
        for (value, label), (colour, symbol) in zip(groups.items(), _styles(groups), strict=True)
    ]
    if colour:
        for trace in traces:
            bar = {"title": {"text": catalogue[colour].title, "side": "right"}, "thickness": 14}
            trace["marker"] |= {
                "color": {"column": colour},
                "colorscale": SCALE,
                "colorbar": bar,
            }
    layout = {"xaxis": _axis(catalogue[x]), "yaxis": _axis(catalogue[y])}
    return {
        "data": traces,
        "layout": layout | {"showlegend": len(groups) > 1},
        "diagonal": diagonal,
        "choices": list(choices),
    }


def _styles(groups) -> list[tuple[str, str]]:
    return [GROUP_STYLES[k % len(GROUP_STYLES)] for k in range(len(groups))]


def _axis(column: Column) -> dict:
    return {"title": {"text": column.title}, "type": "log" if column.log else "linear"}


def library() -> str:
    """The source of plotly.js, which draws in the page without a network."""
    source = get_plotlyjs()
    if "</script" in source.lower():
        raise ValueError("plotly.js of this version cannot stand inside a page")
    return source
