"""Numbers as people write them in scenarios, and as they are shown: 8/255, exactly."""

import math
import re

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_number(text: str) -> float | None:
    """Read a plain decimal number with a point, ``0.05`` or ``5e-2``; None where it is none."""
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    return number if math.isfinite(number) else None


def parse_fraction(value: object) -> object:
    """Read ``"8/255"`` as a number; leave anything else for the field to judge."""
    if not isinstance(value, str):
        return value
    numerator, slash, denominator = value.partition("/")
    over, under = parse_number(numerator), parse_number(denominator if slash else "1")
    return over / under if over is not None and under else value


def exactly(value: float) -> str:
    """Write a number in the fewest digits that are read back as the same number."""
    return repr(float(value)).removesuffix(".0")


def exact_pixels(value: float) -> str:
    """Write a pixel distance so that the field reads back the same number.

    That is ``8/255`` where 255ths give it in a few digits; where they do not, or a plain number is
    as short as in l2's ``0.5``, the number itself: ``0.031``.
    """
    plain = exactly(value)
    numerator = round(value * 255, 4)
    fraction = f"{exactly(numerator)}/255"
    whole = numerator == int(numerator) or len(plain) > len(fraction)
    is_same = value <= 1 and repr(parse_fraction(fraction)) == repr(float(value))
    return fraction if whole and is_same else plain


def in_255ths(value: float) -> str:
    """Write a pixel distance to be looked at: as the field writes it, or to four digits of 255ths.

    What somebody has chosen is short and told exactly; what was computed may have 17 digits.
    """
    exact = exact_pixels(value)
    if len(exact) <= _LONG:
        return exact
    return f"{value:g}" if value > 1 else f"{round(value * 255, 4):g}/255"


_LONG = 12
"""Characters of a number that nobody has chosen, only computed."""


def count_of(number: int, noun: str) -> str:
    """Write ``1 epoch`` or ``2 epochs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
