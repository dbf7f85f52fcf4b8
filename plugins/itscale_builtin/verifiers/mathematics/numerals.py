r"""Numbers in digits: `1,234.5`, `1 000 000`, `.5`, `2.5e-3`, `1 1/4`, `1\frac14`, `0.1\overline{6}`."""

from __future__ import annotations

import re
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.errors import TooLargeError

__all__ = ["number_of", "read_number"]

LARGEST_EXPONENT = 6_000
"""Most decimal places that an exponent of ten shifts."""

NUMBER = re.compile(
    r"(?P<grouped>\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,3}(?: \d{3})+(?! ?\d))(?P<part>\.\d+)?"
    r"|(?P<plain>\d+\.\d*|\d+|\.\d+)"
)
REPEATING = re.compile(r"\s?\\overline\s?\{(\d{1,1000})\}|\((\d{1,1000})\)(?=$)")
POWER_OF_TEN = re.compile(r"[eE]([-+]?\d{1,20})(?![\d.A-Za-z])")
MIXED = re.compile(r"(\d{1,30})(?: (?:and )?|-(?=\d+/\d))(\d{1,30}) ?/ ?(\d{1,30})(?![\d./^!])")
MIXED_FRACTION = re.compile(r" ?\\frac ?(?:\{ ?(\d{1,30}) ?\}|(\d)) ?(?:\{ ?(\d{1,30}) ?\}|(\d))(?! ?\^)")


def number_of(digits: str) -> Fraction:
    """Return digits, with or without a decimal point, as a fraction."""
    if len(digits) > LARGEST_EXPONENT:
        raise TooLargeError("a number of too many digits")
    whole, _, part = digits.partition(".")
    return Fraction(int((whole + part) or "0"), 10 ** len(part))


def read_number(text: str, at: int) -> tuple[Fraction, int]:
    """Read the number that begins at a place; return it and where it ends."""
    found = NUMBER.match(text, at)
    assert found is not None
    mixed = MIXED.match(text, at)
    if mixed and not found.group("grouped"):
        whole, over, under = (int(part) for part in mixed.groups())
        if 0 < over < under:
            return whole + Fraction(over, under), mixed.end()
    digits = (found.group("grouped") or "").replace(",", "").replace(" ", "")
    value = number_of(digits + (found.group("part") or "") or found.group("plain"))
    end = found.end()
    if "." in found.group():
        repeating = REPEATING.match(text, end)
        if repeating:
            period = repeating.group(1) or repeating.group(2)
            places = len(found.group().partition(".")[2])
            value, end = value + Fraction(int(period), 10**places * (10 ** len(period) - 1)), repeating.end()
    power = POWER_OF_TEN.match(text, end)
    if power:
        if abs(int(power.group(1))) > LARGEST_EXPONENT:
            raise TooLargeError("a number of too many digits")
        return value * Fraction(10) ** int(power.group(1)), power.end()
    fraction = MIXED_FRACTION.match(text, end)
    if fraction and value.denominator == 1 and value > 0:
        over, under = (int(part) for part in fraction.groups() if part)
        if 0 < over < under:
            return value + Fraction(over, under), fraction.end()
    return value, end
