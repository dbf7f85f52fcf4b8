"""One value with what stands around it: an expression with a unit, a ratio, a number in words, words."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from itscale_builtin.verifiers.mathematics.arithmetic import Number, evaluate
from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.grammar import read_expression
from itscale_builtin.verifiers.mathematics.notation import OPEN_WORDS, without_marks
from itscale_builtin.verifiers.mathematics.numerals import GROUPED_BY_TWO, number_of
from itscale_builtin.verifiers.mathematics.quantities import (
    CURRENCIES,
    SMALL,
    UNITS,
    Tail,
    in_words,
    read_tail,
    unit_of,
)
from itscale_builtin.verifiers.mathematics.statements import has, key

__all__ = ["CHOICE", "Reading", "compound", "expression_value", "in_proportion", "special_value", "words_of"]

RATIO = re.compile(r"\d{1,9}(?:\.\d{1,9})?(?: ?: ?\d{1,9}(?:\.\d{1,9})?)+")
RATIO_IN_WORDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) to (\d{1,9}(?:\.\d{1,9})?)")
PART_OF = re.compile(r"(\d{1,9}) out of (?:every )?(\d{1,9})(?![\d.,])(.{0,200})")
"""Which is the first number, or a fraction."""
HOURS = {"noon": "12:00 pm", "midday": "12:00 pm", "midnight": "12:00 am"}
CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
BASE = re.compile(r"(-?[0-9A-Fa-f]{1,60}) ?_ ?(?:\{ ?(?:[^{}]{0,10}?)(\d{1,2}) ?[^{}]{0,10}\}|(\d{1,2}))")
BASES = {
    "binary": 2, "octal": 8, "decimal": 10, "hexadecimal": 16, "two": 2, "three": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16,
}  # fmt: skip
NAMED_BASE = "|".join(BASES)
IN_BASE = re.compile(
    rf"\(?(?P<digits>-?[0-9A-Fa-f]{{1,60}})\)? ?(?:_ ?\{{? ?\(?(?P<below>{NAMED_BASE})\)? ?\}}?"
    rf"|_ ?\{{? ?\(?(?P<number>\d{{1,2}})\)? ?\}}?"
    rf"|,? ?\(?(?:in )?base[ -]?(?P<base>\d{{1,2}}|{NAMED_BASE})\)?"
    r"|,? ?\(?in (?P<name>binary|octal|hexadecimal)\)?)",
    re.IGNORECASE,
)
"""A number in another base, with the base in words: `52_{\\text{eight}}`, `52 (base 8)`, `4210 base 5`."""
THOUSANDS = re.compile(
    r"(-?(?:\d{2,9}(?=[kK])|\d{1,9}\.\d{1,9}(?=[kK])|\d{1,9}(?:\.\d{1,9})?(?=M)))([kKM])(?![A-Za-z])"
)
MONEY_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}
LETTERED_SCALE = re.compile(r"(-?[\d.,]{1,30}) ?([kKMB])(?![A-Za-z])")
CHOICE = re.compile(r"\(([A-H])\)[.:]? {1,2}(?=\S)(.{1,200})")
"""A choice with its text: `(C) 12`."""
SUBJECT = re.compile(
    r"(?:it|this|that|he|she|(?:the )?(?:function|conic|curve|graph|figure|shape|direction"
    r"|(?:function )?[a-z](?: ?\([a-z]\))?)) (?:is|was) (?!not\b|never\b|neither\b|no\b)",
    re.IGNORECASE,
)
"""What words are said of: `f is even` says `even`."""
FILLERS = frozenset({"the", "a", "an", "due", "direction", "facing", "function"})
INFINITE = re.compile(r"([-+]?) ?(?:\\infty|infinity|inf)", re.IGNORECASE)
COMPOUND = re.compile(
    r"(?<=[\d)}]) ([A-Za-zμ]{1,4}(?:\^\{?-?\d\}?)?(?:/[A-Za-zμ]{1,4}(?:\^\{?-?\d\}?)?){0,3})$"
)
"""What may be a unit in letters after a number and a space: `m`, `m/s^2`."""
LETTER = re.compile(r"(?<![\\A-Za-z])[a-z](?![A-Za-z])")
"""A letter after which a last one is a letter, too: the `h` of `\\pi r^2 h` is no hour."""
AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]{1,12})\b\.?")
COMPOUND_AMOUNT = re.compile(rf"{AMOUNT.pattern}(?:,? (?:and )?{AMOUNT.pattern}){{1,3}}")
"""An amount in several units, of which each is a part of the one before."""
SPELLED = re.compile(rf"\b(?:{'|'.join(SMALL)})(?:[ -](?:{'|'.join(SMALL)}))?\b")
OF_NUMBER = re.compile(r" ?of (?:\\?\$)?\d")
HALF_MORE = re.compile(r"(?:an?|one) ([a-z]{2,20}) and a half", re.IGNORECASE)
LEADING = re.compile(r"(?:(?:on|in) )?(?:(?:a|an|the) )?(?=[A-Za-z][a-z]{2,}$)", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    r"""What an answer says.

    Attributes
    ----------
    core
        Key of the value as it is written, without unit and name.
    unit
        Key of the value in base units, and these; None without a unit.
    percent
        Whether the value is written as a percentage.
    name
        What the answer says the value is of (`x`), None if nothing.
    equation
        Key of the answer as an equation, None if it is none.
    otherwise
        What it may say, too: `70k` if `k` is no letter but a thousand, `(3, 90^\circ)` with the angle in
        radians.
    label
        Key of the letter of a choice that stands before its text (`(C) 12`), None without one.
    base_in_words
        Whether a base is named in words (`101 base 2`), as where a question asks for it; a bare index
        (`101_2`) makes another number of the digits.
    """

    core: Any
    unit: Any = None
    percent: bool = False
    name: str | None = None
    equation: Hashable = None
    otherwise: Reading | None = None
    label: Hashable = None
    base_in_words: bool = False

    @property
    def key(self) -> Hashable:
        """Return what tells the answer from others that do not say the same."""
        return (self.core, self.unit, self.percent, self.name, self.label)


def words_of(text: str) -> str:
    """Return a text as its words and numbers in small letters, which is how texts are compared."""
    text = " ".join(text.split())
    words = WORD.findall(
        SUBJECT.sub("", text, count=1).casefold() if SUBJECT.match(text) else text.casefold()
    )
    return " ".join(word for word in words if word not in FILLERS) or " ".join(words) or text


def special_value(text: str) -> Reading | None:
    """Read what is no expression: infinity, a ratio, a number in another base, a number in words."""
    infinite = INFINITE.fullmatch(without_marks(text).strip())
    if infinite:
        return Reading(("infinity", -1 if infinite.group(1) == "-" else 1))
    text = HOURS.get(without_marks(text).strip(" .").lower(), text)
    in_words = RATIO_IN_WORDS.fullmatch(without_marks(text))
    if in_words:
        return Reading(("ratio", in_proportion([number_of(part) for part in in_words.groups()])))
    part = PART_OF.fullmatch(without_marks(text))
    if part and int(part[2]):
        fraction = ("number", Fraction(int(part[1]), int(part[2])))
        return replace(expression_value(text), otherwise=Reading(fraction))
    ratio = RATIO.match(text)
    if ratio:
        parts = tuple(number_of(part.strip()) for part in ratio.group().split(":"))
        kind = "clock" if CLOCK.fullmatch(ratio.group()) else "ratio"
        core: Hashable = (kind, _to_the_minute(parts) if kind == "clock" else in_proportion(parts))
        return _on_a_dial(_with_tail(core, None, read_tail(text[ratio.end() :])))
    based = _in_base(text)
    if based:
        return based
    short = THOUSANDS.match(text)
    if short:
        return _short(short, text)
    if text[0].isalpha() or text[0] == OPEN_WORDS:
        return _spelled(text)
    return None


def _to_the_minute(parts: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Return a time without seconds that are none."""
    return parts[:2] if len(parts) == 3 and not parts[2] else parts


def _on_a_dial(reading: Reading) -> Reading:
    """Return a time of 24 hours that says the same after noon, too: `14:30` is 2:30 PM."""
    kind, parts = reading.core
    if kind != "clock" or reading.unit is not None or not 13 <= parts[0] <= 23:
        return reading
    core = ("clock", (parts[0] - 12, *parts[1:]))
    return replace(reading, otherwise=_with_tail(core, None, read_tail("pm")))


def compound(text: str) -> Reading | None:
    """Read an amount in a unit and in smaller ones: `1 hour and 30 minutes`, `5 ft 3 in`."""
    text = SPELLED.sub(_in_digits, without_marks(text).strip(" ."))
    if COMPOUND_AMOUNT.fullmatch(text) is None:
        return None
    parts = [(number_of(number), unit_of(name)) for number, name in AMOUNT.findall(text)]
    units = [unit for _, unit in parts if unit is not None]
    if len(units) != len(parts) or len({base for _, base in units}) != 1:
        return None
    for (_, (larger, _)), (number, (smaller, _)) in pairwise(zip((n for n, _ in parts), units, strict=True)):
        if number * smaller >= larger:
            return None
    total = sum((number * factor for (number, _), (factor, _) in zip(parts, units, strict=True)), Fraction(0))
    (first, base), (last, _) = units[0], units[-1]
    core = ("number", total / first)
    return Reading(core, (("number", total), base), otherwise=Reading(("number", total / last)))


def _in_digits(found: re.Match[str]) -> str:
    value = in_words(found.group())
    return str(value[0]) if value and not value[1] else found.group()


def _in_base(text: str) -> Reading | None:
    found = BASE.fullmatch(text)
    named = None if found else IN_BASE.fullmatch(without_marks(text).strip())
    if found:
        digits, base = found.group(1), int(found.group(2) or found.group(3))
    elif named:
        said = next(filter(None, named.group("below", "number", "base", "name"))).lower()
        digits, base = named["digits"], BASES.get(said) or int(said)
    else:
        return None
    core = ("number", Fraction(int(digits))) if digits.lstrip("-").isdigit() else ("text", digits)
    in_words = named is not None and named["number"] is None
    return Reading(core, ((digits.lower(), base), "base"), base_in_words=in_words)


def _short(found: re.Match[str], text: str) -> Reading | None:
    """Read `70k` or `3M`: a product with a letter, or 70 thousand, 3 million."""
    number = number_of(found[1].lstrip("-")) * (-1 if found[1].startswith("-") else 1)
    rest = text[found.end() :]
    try:
        tail = read_tail(rest) if not rest or rest[0] in " ." else None
        reading = expression_value(text)
    except UnreadableError:
        return None
    if tail is None or tail.percent:
        return reading
    number *= 1_000_000 if found[2] == "M" else 1000
    return replace(reading, otherwise=_with_tail(("number", number), number, tail))


def in_proportion(parts: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return a ratio's terms as multiples of its first that is not zero."""
    scale = next((part for part in parts if part), Fraction(1))
    return tuple(part / scale for part in parts)


def _spelled(text: str) -> Reading | None:
    spelled = in_words(text)
    if spelled is not None:
        value, rest = spelled
        return _with_tail(("number", value), value, read_tail(rest))
    half = HALF_MORE.fullmatch(without_marks(text).strip())
    if half:
        return _with_tail(("number", Fraction(3, 2)), Fraction(3, 2), read_tail(half[1]))
    plain = LEADING.sub("", without_marks(text).strip(), count=1)
    word = plain.strip(" .!?'\"")
    if (
        len(re.findall(r"[^\W\d_]{2,}", plain)) >= 2 or re.fullmatch(r"[^\W\d_]{3,}|[Nn]o|NO", word)
    ) and not re.search(r"[\\^_=+*/<>|{}\[\]]", plain):
        return (
            None
            if re.fullmatch(r"(?:sin|cos|tan|ln|log|sqrt|pi|exp)\b.*", word)
            else Reading(("text", words_of(word)))
        )
    if not word.isascii() and word.isalpha():
        return Reading(("text", words_of(word)))
    return None


def expression_value(text: str) -> Reading:
    """Read one expression with what stands around it: a currency before, a unit or a noun after."""
    negative = False
    tail_before = ""
    bare = text
    if bare[0] == "-" and bare[1:].lstrip().startswith(("$", r"\$", r"\euro", r"\pounds")):
        negative, bare = True, bare[1:].lstrip()
    for sign, unit in sorted(CURRENCIES.items(), key=lambda item: -len(item[0])):
        if bare.startswith(sign):
            bare, tail_before = bare[len(sign) :].strip(), unit
            bare = GROUPED_BY_TWO.sub(lambda found: found.group().replace(",", ""), bare, count=1)
            bare = LETTERED_SCALE.sub(lambda found: f"{found[1]} {MONEY_SCALES[found[2]]}", bare, count=1)
            break
    bare, unit = _without_unit(bare)
    tree, end = read_expression(bare)
    if negative:
        tree = ("*", ("number", Fraction(-1)), tree)
    rest = bare[end:] + unit
    half = re.match(r" ?and a half\b", rest)
    if half:
        tree, rest = ("+", tree, ("number", Fraction(1, 2))), rest[half.end() :]
    tail = read_tail(f"{tail_before} {rest}" if tail_before and not rest.strip(" .") else rest)
    if tail_before and tail.unit is None:
        tail = replace(tail, unit=UNITS[tail_before])
    constant = not has(tree, "letter")
    if OF_NUMBER.match(rest) and constant and getattr(evaluate(tree), "denominator", 2) != 1:
        raise UnreadableError("a part of a number")
    if tail.scale != 1:
        tree = ("*", tree, ("number", tail.scale))
    cores = [key(tree, sign) for sign in ((1, -1) if has(tree, "plus-minus") else (1,))]
    if len(cores) == 2:
        return Reading(("set", frozenset(cores)) if cores[0] != cores[1] else cores[0], percent=tail.percent)
    return _with_tail(cores[0], evaluate(tree) if constant else None, replace(tail, scale=Fraction(1)))


def _without_unit(text: str) -> tuple[str, str]:
    """Split off a unit in letters that would otherwise be read as a product of them."""
    found = COMPOUND.search(text)
    if (
        found is None
        or LETTER.search(text, 0, found.start())
        or not all(name in UNITS for name in re.findall(r"[A-Za-zμ]+", found.group(1)))
    ):
        return text, ""
    return text[: found.start()], f" {found.group(1)}"


def _with_tail(core: Hashable, value: Number | None, tail: Tail) -> Reading:
    if tail.scale != 1 and isinstance(value, Fraction):
        value *= tail.scale
        core = ("number", value)
    if tail.unit is None:
        return Reading(core, percent=tail.percent)
    factor, base = tail.unit
    if base in {"am", "pm"} and isinstance(value, Fraction) and value in range(1, 13):
        core = ("clock", (value, Fraction(0)))  # 7 AM is 7:00 AM
        return Reading(core, ((core, factor), base))
    inside: Hashable = (
        (core, factor) if value is None else key(("*", ("value", value), ("number", factor)), 1)
    )
    return Reading(core, (inside, base), tail.percent)
