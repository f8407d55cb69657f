"""The building blocks of the page: text that is always escaped, tables, figures, numbers.

Every function takes plain text and escapes it; only :class:`Html`, which these functions
return, passes through as it is.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
NOT_A_NUMBER = "–"

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #dde3e8; --tint: #f5f7f9;
  --accent: #00527f; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: #fff; color: var(--ink); line-height: 1.55; font-size: 16px;
  font-family: -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans",
  sans-serif; overflow-wrap: break-word; }
main, header, nav, footer { max-width: 58rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 3rem 0 .75rem; padding-top: 1.1rem;
  border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.9rem 0 .5rem; }
p, ul { margin: .6rem 0; max-width: 46rem; }
ul { padding-left: 1.25rem; }
li { margin: .25rem 0; }
a { color: var(--accent); }
.subtitle { color: var(--soft); margin: 0; }
nav { margin-top: 1.5rem; font-size: .92rem; }
nav ol { list-style: none; margin: 0; padding: .6rem 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.1rem; border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.tiles { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(15rem, 45%), 1fr));
  margin: 1.4rem 0; padding: 0; }
.tile { border: 1px solid var(--line); border-top: 3px solid var(--accent); border-radius: 3px;
  padding: .7rem .9rem .8rem; background: #fff; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; font-weight: 600;
  font-variant-numeric: tabular-nums; }
.tile span { display: block; color: var(--soft); font-size: .86rem; line-height: 1.4; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .32rem .7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
th { font-weight: 600; border-bottom: 1.5px solid var(--ink); vertical-align: bottom; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { white-space: nowrap; }
.remark { color: var(--soft); font-size: .88rem; line-height: 1.45; }
figure { margin: 1.4rem 0; }
figure img { display: block; width: 100%; height: auto; }
figure .wide { overflow-x: auto; }
figure .wide img { min-width: 34rem; }
figcaption { color: var(--soft); font-size: .88rem; line-height: 1.45; margin-top: .5rem;
  max-width: 46rem; }
.note, .missing { border-left: 4px solid #e0a100; background: #fdf8ea; padding: .55rem .9rem;
  margin: 1rem 0; max-width: 46rem; font-size: .93rem; }
.missing { border-left-color: #9aa7b2; background: var(--tint); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: 3px; padding: .8rem;
  overflow-x: auto; font-size: .82rem; line-height: 1.45;
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
footer { color: var(--soft); font-size: .85rem; margin-top: 3rem; padding-bottom: 2.5rem; }
@media (max-width: 40rem) {
  h1 { font-size: 1.6rem; }
  h2 { font-size: 1.2rem; margin-top: 2.2rem; }
  main, header, nav, footer { padding-left: .9rem; padding-right: .9rem; }
  table { font-size: .82rem; }
}
@media print {
  @page { margin: 16mm; }
  body { font-size: 10pt; }
  main, header, nav, footer { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  figure, .scroll, .tile, tr, .note, .missing { break-inside: avoid; }
  .scroll, figure .wide { overflow: visible; }
  figure .wide img { min-width: 0; max-width: 100% !important; }
  figure img { width: auto; max-height: 215mm; }
  pre { white-space: pre-wrap; }
  a { color: inherit; text-decoration: none; }
}
"""


class Html(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


class Number(str):
    """A formatted number: columns of them are aligned to the right."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """One numbered part of the page: ``anchor`` (of its link), ``title``, ``blocks`` (Html)."""

    anchor: str
    title: str
    blocks: list[Html]


def escaped(text) -> Html:
    """``text`` with ``&``, ``<``, ``>`` and quotes made harmless, unless it is Html.

    >>> escaped("<b>x")
    '&lt;b&gt;x'
    """
    return text if isinstance(text, Html) else Html(html.escape(str(text)))


def fill(template: str, **values) -> Html:
    """Markup from a trusted template with ``{name}`` fields and escaped values.

    >>> fill("<b>{n}</b> of it", n="<all>")
    '<b>&lt;all&gt;</b> of it'
    """
    return Html(template.format(**{k: escaped(v) for k, v in values.items()}))


def joined(parts: Iterable, by: str = "") -> Html:
    """Escaped parts one after the other."""
    return Html(by.join(escaped(p) for p in parts))


def paragraph(*sentences) -> Html:
    """A paragraph of sentences; empty ones are left out."""
    return fill("<p>{text}</p>", text=joined((s for s in sentences if s), " "))


def remark(*sentences) -> Html:
    """Small print under a table."""
    return fill('<p class="remark">{text}</p>', text=joined((s for s in sentences if s), " "))


def note(*sentences) -> Html:
    """A warning to the reader that stands out."""
    return fill('<p class="note">{text}</p>', text=joined((s for s in sentences if s), " "))


def missing(what: str, why: str) -> Html:
    """What stands in the place of something that cannot be shown, and why it cannot."""
    return fill('<p class="missing">{what} not shown: {why}.</p>', what=what, why=why)


def heading(text: str) -> Html:
    """A heading inside a section."""
    return fill("<h3>{text}</h3>", text=text)


def bullets(items: Iterable) -> Html:
    """An unordered list."""
    return fill("<ul>{items}</ul>", items=joined(fill("<li>{x}</li>", x=i) for i in items))


def tiles(items: Iterable[tuple[str, str]]) -> Html:
    """Boxes with a large number and what it is."""
    boxes = (fill('<div class="tile"><b>{n}</b><span>{t}</span></div>', n=n, t=t) for n, t in items)
    return fill('<div class="tiles">{boxes}</div>', boxes=joined(boxes))


def folded(summary: str, content: Html, *, opened: bool = False) -> Html:
    """Content that opens when its summary is clicked, or stands open from the start."""
    return fill(
        "<details{state}><summary>{summary}</summary>{content}</details>",
        state=Html(" open" if opened else ""),
        summary=summary,
        content=content,
    )


def preformatted(text: str) -> Html:
    """Text as it stands."""
    return fill("<pre>{text}</pre>", text=text)


def table(columns: Sequence[str], rows: Iterable[Sequence], caption: str = "") -> Html:
    """A table that scrolls sideways on a narrow screen.

    Parameters
    ----------
    columns : sequence of str
        Heads.
    rows : iterable of sequences
        Cells; a column is aligned to the right where its first cell is a :class:`Number`.
    caption : str
        Text above the table.
    """
    rows = [list(row) for row in rows]
    kinds = ["n" if rows and isinstance(cell, Number) else "" for cell in (rows or [columns])[0]]

    def line(tag, cells):
        marks = (f' class="{k}"' if k else "" for k in kinds)
        parts = (
            fill("<{tag}{mark}>{cell}</{tag}>", tag=Html(tag), mark=Html(mark), cell=cell)
            for mark, cell in zip(marks, cells, strict=True)
        )
        return fill("<tr>{cells}</tr>", cells=joined(parts))

    return fill(
        '<div class="scroll"><table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>'
        "</div>",
        caption=fill("<caption>{text}</caption>", text=caption) if caption else Html(""),
        head=line("th", columns),
        body=joined((line("td", row) for row in rows), "\n"),
    )


def figure(name: str, size: tuple[float, float], caption: str, alternative: str) -> Html:
    """A figure of the folder ``figures/``.

    Parameters
    ----------
    name : str
        File name without extension.
    size : tuple of 2 floats
        Width and height on a wide screen, in CSS pixels.
    caption, alternative : str
        Text below the figure and text in its place.
    """
    width, height = (round(x) for x in size)
    return fill(
        '<figure id="figure-{name}"><div class="wide"><a href="figures/{name}.svg">'
        '<img src="figures/{name}.png" width="{width}" height="{height}" '
        'style="max-width: {width}px" alt="{alternative}"></a></div>'
        '<figcaption>{caption} (<a href="figures/{name}.svg">SVG</a>)</figcaption></figure>',
        name=name,
        width=width,
        height=height,
        caption=caption,
        alternative=alternative,
    )


def document(title: str, subtitle: str, lead: Sequence[Html], sections: Sequence[Section]) -> str:
    """The whole page.

    Parameters
    ----------
    title, subtitle : str
        The first lines.
    lead : sequence of Html
        What stands before the list of sections.
    sections : sequence of Section
        Numbered in their order.
    """
    links = (
        fill(
            '<li><a href="#{anchor}">{n}&nbsp;{title}</a></li>', anchor=s.anchor, n=n, title=s.title
        )
        for n, s in enumerate(sections, 1)
    )
    bodies = (
        fill(
            '<section id="{anchor}">\n<h2>{n}&ensp;{title}</h2>\n{blocks}\n</section>',
            anchor=s.anchor,
            n=n,
            title=s.title,
            blocks=joined(s.blocks, "\n"),
        )
        for n, s in enumerate(sections, 1)
    )
    return fill(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<header>\n<h1>{title}</h1>\n<p class="subtitle">{subtitle}</p>\n{lead}\n</header>\n'
        "<nav><ol>{links}</ol></nav>\n<main>\n{bodies}\n</main>\n"
        "<footer><p>Written by Poreflux from the tables of the study; the numbers are theirs.</p>"
        "</footer>\n</body>\n</html>\n",
        title=title,
        subtitle=subtitle,
        style=Html(STYLE),
        lead=joined(lead, "\n"),
        links=joined(links, "\n"),
        bodies=joined(bodies, "\n"),
    )


def whole(value) -> Number:
    """An integer with thin spaces between thousands.

    >>> whole(12345)
    '12\u202f345'
    """
    return Number(f"{int(value):,}".replace(",", "\u202f"))


def decimal(value, places: int = 2) -> Number:
    """A number with fixed decimal places and a true minus sign; a dash where there is none.

    >>> decimal(-0.456), decimal(float("nan"))
    ('−0.46', '–')
    """
    if not _finite(value):
        return Number(NOT_A_NUMBER)
    text = f"{value:.{places}f}"
    # a rounded zero has no sign
    text = text.removeprefix("-") if float(text) == 0 else text
    return Number(text.replace("-", "−"))


def significant(value, digits: int = 3) -> Number:
    """A number with so many significant digits, with a power of ten where that is shorter.

    >>> significant(1.234e-8), significant(12.345), significant(4.0)
    ('1.23 × 10⁻⁸', '12.3', '4.00')
    """
    if not _finite(value):
        return Number(NOT_A_NUMBER)
    if value == 0:
        return Number("0")
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -3 <= power < 5:
        text = f"{float(f'{mantissa}e{exponent}'):.{max(0, digits - 1 - power)}f}"
    else:
        text = f"{mantissa} × 10{str(power).translate(_SUPERSCRIPTS)}"
    return Number(text.replace("-", "−"))


def percent(share) -> Number:
    """A share as whole percent.

    >>> percent(0.7)
    '70 %'
    """
    return Number(f"{share * 100:.0f} %" if _finite(share) else NOT_A_NUMBER)


def with_error(value, error, digits: int = 3) -> Number:
    """A value and its standard error with a common power of ten.

    >>> with_error(1.234e-8, 5e-10), with_error(12.3, 0.4)
    ('(1.23 ± 0.05) × 10⁻⁸', '12.3 ± 0.4')
    """
    if not _finite(value) or value == 0:
        return significant(value, digits)
    power = math.floor(math.log10(abs(value)))
    shift = 0 if -3 <= power < 5 else power
    places = max(0, digits - 1 - (power - shift))
    pair = f"{value / 10**shift:.{places}f}"
    if _finite(error):
        pair += f" ± {error / 10**shift:.{places}f}"
    if shift:
        pair = f"({pair}) × 10{str(shift).translate(_SUPERSCRIPTS)}"
    return Number(pair.replace("-", "−"))


def with_interval(value, low, high, digits: int = 3) -> Number:
    """A value and its interval, all to the decimal place that ``digits`` leave the widest end.

    >>> with_interval(13.92, 9.767, 118.07), with_interval(-0.5, -9.7, 0.3, 2)
    ('14 (10 to 118)', '−0.5 (−9.7 to 0.3)')
    """
    ends = [abs(x) for x in (value, low, high) if _finite(x)]
    if not _finite(value) or not _finite(low) or not _finite(high) or max(ends) == 0:
        return significant(value, digits)
    power = math.floor(math.log10(max(ends)))
    if -3 <= power < 5:
        texts = [decimal(x, max(0, digits - 1 - power)) for x in (value, low, high)]
    else:
        texts = [significant(x, digits) for x in (value, low, high)]
    return Number("{} ({} to {})".format(*texts))


def duration(seconds) -> Number:
    """Seconds in the unit that suits them.

    >>> duration(0.25), duration(90), duration(7200)
    ('0.25 s', '1.5 min', '2.0 h')
    """
    if not _finite(seconds):
        return Number(NOT_A_NUMBER)
    if seconds < 60:
        return Number(f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s")
    return Number(f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h")


def counted(n: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "draw"), counted(3, "draw")
    ('1 draw', '3 draws')
    """
    return f"{whole(n)} {noun}{'' if n == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Words as in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    words = [str(w) for w in words]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _finite(value) -> bool:
    return value is not None and math.isfinite(float(value))
