"""Numbers as the page prints them; every function is a filter of the templates, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from poreflux.report.statistics import quartiles

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
NOT_A_NUMBER = "–"


class Number(str):
    """A formatted number: columns of them are aligned to the right."""

    __slots__ = ()


def whole(value) -> Number:
    """An integer with thin spaces between thousands.

    >>> whole(12345)
    '12\u202f345'
    """
    return Number(f"{int(value):,}".replace(",", "\u202f"))


def whole_or_dash(value) -> Number:
    """:func:`whole`, or a dash where there is no number."""
    return whole(value) if _finite(value) else Number(NOT_A_NUMBER)


def rounded(value) -> Number:
    """The nearest integer, as :func:`whole` prints it."""
    return whole(round(value))


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


def general(value) -> Number:
    """A number with as many digits as it needs, at most six.

    >>> general(65.0), general(0.25)
    ('65', '0.25')
    """
    return Number(f"{value:g}")


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


def spread(values, form: Callable[[float], str]) -> Number:
    """Median and, in brackets, first and third quartile of values, each printed by ``form``."""
    low, middle, high = quartiles(values)
    return Number(f"{form(middle)} ({form(low)} to {form(high)})")


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
