"""From numbers and strings to markup: the templates, their filters, and what they are handed.

Everything that a template prints is escaped, but for what another template made.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from poreflux.learning.choice import LEAST_GAIN
from poreflux.report import numbers
from poreflux.report.numbers import Number
from poreflux.report.sources import source_name
from poreflux.report.words import capitalised

_FOLDER = Path(__file__).parent / "templates"
# Rows that a table lists before it says how many more there are.
MAX_ROWS = 40


@dataclass(frozen=True)
class Section:
    """One numbered part of the page: ``anchor`` (of its link), ``title``, ``body``."""

    anchor: str
    title: str
    body: Markup


@dataclass(frozen=True)
class Table:
    """Heads and cells of a table; a column whose first cell is a Number is aligned right."""

    heads: Sequence[str]
    rows: Sequence[Sequence]

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers."""
        return [isinstance(cell, Number) for cell in (self.rows or [self.heads])[0]]


@dataclass(frozen=True)
class Image:
    """What stands in the page itself: a picture as data URI; width and height, CSS pixels."""

    uri: str
    width: int
    height: int

    @classmethod
    def of(cls, png: bytes, width: float, height: float) -> Image:
        """A PNG in the page itself."""
        data = base64.b64encode(png).decode()
        return cls(f"data:image/png;base64,{data}", round(width), round(height))


@dataclass(frozen=True)
class Picture:
    """A saved figure: name without extension, and as it is shown on wide and narrow screens.

    ``interactive`` says that the page draws it anew from the table of all structures, with a
    name to every point.
    """

    name: str
    wide: Image
    narrow: Image
    interactive: bool = False


def render(template: str, **values) -> Markup:
    """A template of ``templates/`` filled with these values.

    Parameters
    ----------
    template : str
        Path below the folder, without ``.html.j2``.
    **values
        Every name that the template uses.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a name that it is not given.
    """
    return Markup(_ENVIRONMENT.get_template(f"{template}.html.j2").render(**values))


def missing_section(anchor: str, title: str, what: str, why: str) -> Section:
    """A section that has nothing to show but the reason for it."""
    return Section(anchor, title, render("missing", what=what, why=why))


def document(lead: Iterable[Markup], sections: Sequence[Section], **values) -> Markup:
    """The whole page.

    Parameters
    ----------
    lead : iterable of Markup
        What stands before the list of sections.
    sections : sequence of Section
        Numbered in their order.
    **values
        The other names of the template ``page``.
    """
    return render("page", lead=list(lead), sections=sections, **values)


def as_json(value) -> Markup:
    """Plain data as JSON inside a ``script`` element, which no text of it can end."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    for function in (
        numbers.whole,
        numbers.decimal,
        numbers.significant,
        numbers.percent,
        numbers.duration,
        numbers.with_error,
        numbers.with_interval,
        numbers.counted,
        numbers.listed,
        numbers.general,
        capitalised,
    ):
        environment.filters[function.__name__] = function
    environment.filters["as_json"] = as_json
    environment.globals |= {"least_gain": LEAST_GAIN, "source_name": source_name}
    return environment


_ENVIRONMENT = _environment()
