"""Comparison of two texts as answers: numbers exactly, lists item by item, others word by word.

A text is read as the first of these that it is as a whole: a number, a fraction, a complex number, a
duration, a JSON list or object, a list of numbers, a word of truth; or else as its lines of words. Two texts
say the same if they are of one kind and one value. Nothing is evaluated; no number is NaN or infinite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from itscale_builtin.verifiers.mathematics.quantities import in_words

__all__ = ["alike", "as_json", "number", "numbers", "plain", "read", "same"]

LONGEST = 100_000
"""Most characters of an answer that is read; longer ones are texts."""
LONGEST_IN_WORDS = 200
"""Most characters of a number in words."""
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
GROUPED = re.compile(r"[-+]?\d{1,3}(?:(?:['_]\d{3})+|(?:\.\d{3}){2,})")
NUMERAL = re.compile(rf"[-+]?(?:{DIGITS}(?:\.\d*)?|\.\d+)(?:e[-+]?\d{{1,6}})?", re.IGNORECASE)
POWER_OF_TEN = re.compile(r"\s?(?:×|\\times|\\cdot|x|\*)\s?10\s?\^\s?(?:\{([-+]?\d{1,6})\}|([-+]?\d{1,6}))$")
FRACTION = re.compile(r"([-+]?\d+)\s*/\s*(\d+)|\\[dt]?frac\s*\{\s*([-+]?\d+)\s*\}\s*\{\s*(\d+)\s*\}")
PART = r"(?:\d+(?:\.\d*)?|\.\d+)"
COMPLEX = re.compile(
    rf"(?P<re>[-+]?{PART})(?P<im>[-+]{PART}?)[ij]"
    rf"|(?P<im_first>[-+]?{PART}?)[ij](?P<re_last>[-+]{PART})"
    rf"|(?P<im_only>[-+]?{PART}?)[ij]"
)
DURATION = re.compile(
    r"(?:(?P<days>\d{1,9}) days?(?:,? ?| and )(?=\d|$))?"
    r"(?:(?P<hours>\d{1,9}):(?P<minutes>[0-5]\d)(?::(?P<seconds>[0-5]\d(?:\.\d{1,9})?))?)?"
)
CLOSED = frozenset({"true", "false", "yes", "no"})
"""Words that mean the same in upper and lower case."""
SIGNS = str.maketrans(dict.fromkeys("−–—﹣－", "-") | {"“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " "})


def same(answer: str, reference: str) -> bool:
    """Say whether an answer says what the reference says; days may be a number alone."""
    expected = read(reference)
    if read(answer) == expected:
        return True
    days = DURATION.fullmatch(reference.strip())
    alone = days is not None and days["days"] is not None and days["hours"] is None
    return (
        alone and re.fullmatch(r"\d{1,9}", answer.strip()) is not None and read(f"{answer} days") == expected
    )


def alike(answer: str, reference: str) -> bool:
    """Say whether two texts differ in case and spaces at most; whether that matters is for others to say."""
    return "".join(answer.split()).casefold() == "".join(reference.split()).casefold()


def plain(text: str) -> str:
    """Return a text with the signs of a keyboard, without space around it or quotes around nothing."""
    text = text.translate(SIGNS).strip()
    return "" if text in {'""', "''"} else text


def read(text: str) -> tuple[str, Hashable]:
    """Return what a text says: a pair of its kind and its value."""
    text = plain(text)
    if len(text) > LONGEST:
        return "text", text
    inside = text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == "$" else text
    for kind, reader in READERS:
        value = reader(inside)
        if value is not None:
            return kind, value
    if text.casefold() in CLOSED:
        return "truth", text.casefold()
    lines = (tuple(line.split()) for line in text.splitlines())
    return "text", tuple(line for line in lines if line)


def number(text: str) -> Decimal | None:
    """Return the finite number that a text is as a whole, None if it is none."""
    text = POWER_OF_TEN.sub(lambda match: f"e{match[1] or match[2]}", plain(text))
    if GROUPED.fullmatch(text):
        text = re.sub("['_.](?=\\d{3})", "", text)
    if NUMERAL.fullmatch(text) is None:
        return _in_words(text)
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _in_words(text: str) -> Decimal | None:
    """Return a whole number that is written in words."""
    found = in_words(text) if text[:1].isalpha() and len(text) < LONGEST_IN_WORDS else None
    return Decimal(int(found[0])) if found and not found[1] and found[0] == int(found[0]) else None


def numbers(text: str) -> tuple[Decimal, ...] | None:
    """Return the numbers that a text lists between commas, in brackets or not; None if it does not."""
    text = plain(text)
    if text[:1] + text[-1:] in {"()", "[]"}:
        text = text[1:-1]
    values = tuple(number(item) for item in text.split(","))
    return None if None in values else tuple(value for value in values if value is not None)


def _fraction(text: str) -> tuple[int, int] | None:
    """Return numerator and denominator as they stand: whether a fraction is reduced is part of the answer."""
    match = FRACTION.fullmatch(text)
    if match is None or len(text) > 2_000:
        return None
    above, below = (part for part in match.groups() if part is not None)
    return int(above), int(below)


def _complex(text: str) -> tuple[Decimal, Decimal] | None:
    """Return real and imaginary part of what has a part with an i or a j."""
    text = text.replace(" ", "").replace("*", "")
    while text[:1] + text[-1:] == "()":
        text = text[1:-1]
    match = COMPLEX.fullmatch(text)
    if match is None or not (any(map(str.isdigit, text)) or text.endswith("i")):  # a lone j is a letter
        return None
    real = match["re"] or match["re_last"] or "0"
    imaginary = next(part for part in (match["im"], match["im_first"], match["im_only"]) if part is not None)
    return Decimal(real), Decimal(f"{imaginary}1" if imaginary in {"", "+", "-"} else imaginary)


def _duration(text: str) -> Decimal | None:
    """Return seconds of `5 days`, `5 days, 01:04:00`, `01:04` or `01:04:00.250`."""
    match = DURATION.fullmatch(text.lower())
    if match is None or not (match["days"] or match["hours"]):
        return None
    days, hours, minutes, seconds = (Decimal(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def as_json(text: str) -> Any:
    """Return the list or object that a text is as JSON, single quotes or not; None if it is none."""
    text = plain(text)
    if text[:1] not in {"[", "{"}:
        return None
    for spelling in (text, text.replace("'", '"').replace("True", "true").replace("False", "false")):
        try:
            return json.loads(spelling, parse_constant=_no_number, parse_float=Decimal, parse_int=Decimal)
        except (ValueError, RecursionError, InvalidOperation):
            continue
    return None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _json(text: str) -> Hashable | None:
    value = as_json(text)
    try:
        return None if value is None else _typed(value)
    except RecursionError:
        return None


def _typed(value: Any, quoted: bool = False) -> Hashable:
    """Return a JSON value that equals another only if their types agree; in lists a number may be quoted."""
    match value:
        case bool() | None:
            return "literal", value
        case str():
            said = None if quoted else number(value)
            return ("string", value) if said is None else said
        case list():
            return "list", tuple(_typed(item, quoted) for item in value)
        case dict():
            return "object", frozenset((key, _typed(item, quoted=True)) for key, item in value.items())
    return Decimal(value)


def _several(text: str) -> tuple[Decimal, ...] | None:
    """Return the numbers of a list without square brackets."""
    return numbers(text) if "," in text and not text.startswith("[") else None


def _whole(text: str) -> tuple[Decimal, Decimal] | None:
    """Return a number as a complex one, so that 12 is 12 + 0i."""
    value = number(text)
    return None if value is None else (value, Decimal(0))


READERS = (
    ("number", _whole),
    ("fraction", _fraction),
    ("number", _complex),
    ("duration", _duration),
    ("json", _json),
    ("numbers", _several),
)
"""Kinds of answers and what reads them, in the order they are tried."""
