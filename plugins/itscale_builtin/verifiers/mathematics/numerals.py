r"""Numbers in digits: `1,234.5`, `1 000 000`, `.5`, `2.5e-3`, `1 1/4`, `1\frac14`, `0.1\overline{6}`."""

from __future__ import annotations

import re
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.errors import TooLargeError

__all__ = ["GROUPED_BY_TWO", "as_one_number", "number_of", "plainly_grouped", "read_number"]

LARGEST_EXPONENT = 6_000
"""Most decimal places that an exponent of ten shifts."""

NUMBER = re.compile(
    r"(?P<grouped>\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,3}(?: \d{3})+(?! ?\d))(?P<part>\.\d+)?"
    r"|(?P<plain>\d+\.\d*|\d+|\.\d+)"
)
GROUPED_BY_TWO = re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2}){1,5},\d{3}(?![\w,])")
"""Thousands, then hundreds of thousands, as in India: `12,34,567`."""
RUPEES = re.compile(rf"(?:\\rupee|Rs\.?) ?{GROUPED_BY_TWO.pattern}")
DECIMAL_COMMA = re.compile(r"-?\d{1,9},(?:\d{1,2}|\d{4,9})(?!\d) ?[A-Za-z%$\\][^\d,;]{0,40}")
"""One number with a comma for its point, before a unit, or two numbers: `3,5 kg`."""
OTHER_GROUPS = re.compile(
    r"(?<![\w.,'])(?:\d{1,3}(?:\.\d{3}){2,10}(?:,\d{1,9})?|\d{1,3}(?:[. ]\d{3}){1,10},\d{1,2}"
    r"|\d{1,3}(?:['’]\d{3}){1,10}(?:\.\d{1,9})?|\d{1,3}(?:_\d{3}){1,10})(?![\w'’]|[.,]\d)"
)
"""Numbers that are grouped as in Europe or in programs, and can be nothing else: `1.234.567`, `12.345,67`."""
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


def plainly_grouped(text: str) -> str:
    """Return a text with what is grouped as in Europe or in programs as plain digits."""
    return OTHER_GROUPS.sub(_plain, text)


def as_one_number(text: str) -> tuple[str, bool]:
    """Return a list of numbers as the one number that it may be (empty if it may not), and whether it is."""
    if DECIMAL_COMMA.fullmatch(text):
        return text.replace(",", "."), False
    single = text.replace(",", "")
    if GROUPED_BY_TWO.fullmatch(text):
        return single, ",0" in text
    return (single, True) if RUPEES.fullmatch(text) else ("", False)


def _plain(found: re.Match[str]) -> str:
    digits = found.group()
    whole, mark, part = digits.partition("." if "'" in digits or "’" in digits else ",")
    return re.sub(r"\D", "", whole) + ("." if mark else "") + part


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
