"""How results look in a notebook: tables with units, rounded to what is known, and plots."""

from __future__ import annotations

import html as escaping
import math
from importlib import import_module
from typing import TYPE_CHECKING

from poreflux.base.drawing import legend_where_needed
from poreflux.base.endings import unit
from poreflux.base.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of numbers whose error is not known.
DIGITS = 4
# Beside one of the same unit a number that is smaller by this is none: a component of a tensor.
NOTHING = 1e-12


def rounded(value: float, error: float | None = None, digits: int = DIGITS) -> str:
    """A number as far as it is known: ``1.23(4) × 10⁻⁹`` for 1.2345e-9 with error 4.2e-11.

    Parameters
    ----------
    value : float
    error : float, optional
        One standard error; it is given in units of the last digit.
    digits : int
        Significant digits where there is no error.

    References
    ----------
    Rounding rules of the Particle Data Group (R. L. Workman et al., Prog. Theor. Exp. Phys. 2022,
    083C01, introduction, section 5.3): an error whose first three digits are 100 to 354 has two
    digits, up to 949 one; beyond it is rounded up to 1000 and has two.
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    if not error or not math.isfinite(error):
        return _scaled(value, digits - 1 - _exponent(f"{value:.{digits - 1}e}")) if value else "0"
    three = f"{error:.2e}"
    return _scaled(value, (1 if three[:4] <= "3.54" else 0) - _exponent(three), error)


def _exponent(text: str) -> int:
    return int(text.partition("e")[2])


def _scaled(value: float, decimals: int, error: float | None = None) -> str:
    """``value`` with so many decimals, times a power of ten where it is very large or small."""
    largest = max(abs(value), error or 0.0)
    power = math.floor(math.log10(largest))
    # 9.99 may be rounded to 10.0
    power = _exponent(f"{largest:.{max(decimals + power, 0)}e}")
    if -4 < power < 6 and decimals > -3:
        power = 0
    value, decimals = value / 10.0**power, decimals + power
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    if error:
        units = round(error / 10.0**power * 10.0**decimals)
        text += f"({units if decimals >= 0 else units * 10**-decimals})"
    return text + (f" × 10{str(power).translate(_RAISED)}" if power else "")


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def html(result: Result) -> str:
    """A result as an HTML table: quantity, value and unit, or a row for each of several."""
    rows = [_cells(row) for row in result.shown()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(rows) == 1:
        lines = [[name, rows[0][name], unit(name)] for name in names]
        head = [type(result).__name__, "value", "unit"]
    else:
        lines = [[row.get(name, "") for name in names] for row in rows]
        head = [f"{name} ({unit(name)})" if unit(name) else name for name in names]
    body = "".join(map(_line, lines))
    return f"<table><thead>{_line(head, 'th')}</thead><tbody>{body}</tbody></table>"


def _line(cells: list[str], tag: str = "td") -> str:
    inner = "".join(f"<{tag}>{escaping.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"


def _cells(row: dict) -> dict[str, str]:
    """Values as text, without those that are not there; ``d_m2_s`` takes in ``d_err_m2_s``."""
    errors = {of: row[name] for name in row if (of := name.replace("_err", "", 1)) != name}
    errors = {name: error for name, error in errors.items() if name in row}
    cells = {}
    for name, value in row.items():
        if name.replace("_err", "", 1) in errors and name not in errors:
            continue
        near = next((e for e in errors if unit(e) == unit(name)), None)
        beside = (row[near], errors[near]) if near else None
        if text := _text(value, errors.get(name), beside):
            cells[name] = text
    return cells


def _text(value, error: float | None, beside: tuple[float, float] | None) -> str:
    """``beside``: another number of this unit, with its error: this one is known no better."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or not isinstance(value, float):
        return "" if value is None else str(value)
    digits = DIGITS
    if error is None and beside and all(beside):
        if abs(value) < NOTHING * abs(beside[0]):
            return "0"
        digits = min(max(1, math.ceil(1 - math.log10(abs(beside[1] / beside[0])))), DIGITS)
    return "" if math.isnan(value) else rounded(value, error, digits)


def plot(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a result: by ``draw(table, ax, result)`` of the module ``plot`` beside its class."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("plot() needs matplotlib: pip install 'poreflux[report]'") from None
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    room = type(result).__module__.rpartition(".")[0]
    import_module(f"{room}.plot").draw(result.to_frame(), ax, result)
    legend_where_needed(ax)
    return ax
