"""One value with what stands around it: an expression with a unit, a ratio, a number in words, words."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from itscale_builtin.verifiers.mathematics.arithmetic import Number, evaluate
from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.grammar import read_expression
from itscale_builtin.verifiers.mathematics.notation import OPEN_WORDS, without_marks
from itscale_builtin.verifiers.mathematics.numerals import number_of
from itscale_builtin.verifiers.mathematics.quantities import CURRENCIES, UNITS, Tail, in_words, read_tail
from itscale_builtin.verifiers.mathematics.statements import has, key

__all__ = ["CHOICE", "Reading", "expression_value", "in_proportion", "special_value", "words_of"]

RATIO = re.compile(r"\d{1,9}(?:\.\d{1,9})?(?: ?: ?\d{1,9}(?:\.\d{1,9})?)+")
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
THOUSANDS = re.compile(r"(-?(?:\d{2,9}|\d{1,9}\.\d{1,9}))[kK](?![A-Za-z])")
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
    ratio = RATIO.match(text)
    if ratio:
        parts = tuple(number_of(part.strip()) for part in ratio.group().split(":"))
        kind = "clock" if CLOCK.fullmatch(ratio.group()) else "ratio"
        core: Hashable = (kind, parts if kind == "clock" else in_proportion(parts))
        return _with_tail(core, None, read_tail(text[ratio.end() :]))
    based = _in_base(text)
    if based:
        return based
    short = THOUSANDS.match(text)
    if short:
        return _short(short, text)
    if text[0].isalpha() or text[0] == OPEN_WORDS:
        return _spelled(text)
    return None


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
    """Read `70k`: a product with a letter, or 70 thousand."""
    number = number_of(found[1].lstrip("-")) * (-1 if found[1].startswith("-") else 1)
    rest = text[found.end() :]
    try:
        tail = read_tail(rest) if not rest or rest[0] in " ." else None
        reading = expression_value(text)
    except UnreadableError:
        return None
    if tail is None or tail.percent:
        return reading
    return replace(reading, otherwise=_with_tail(("number", 1000 * number), 1000 * number, tail))


def in_proportion(parts: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return a ratio's terms as multiples of its first that is not zero."""
    scale = next((part for part in parts if part), Fraction(1))
    return tuple(part / scale for part in parts)


def _spelled(text: str) -> Reading | None:
    spelled = in_words(text)
    if spelled is not None:
        value, rest = spelled
        return _with_tail(("number", value), value, read_tail(rest))
    plain = without_marks(text)
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
    if tail.scale != 1:
        tree = ("*", tree, ("number", tail.scale))
    cores = [key(tree, sign) for sign in ((1, -1) if has(tree, "plus-minus") else (1,))]
    if len(cores) == 2:
        return Reading(("set", frozenset(cores)) if cores[0] != cores[1] else cores[0], percent=tail.percent)
    constant = not has(tree, "letter")
    return _with_tail(cores[0], evaluate(tree) if constant else None, replace(tail, scale=Fraction(1)))


def _without_unit(text: str) -> tuple[str, str]:
    """Split off a unit in letters that would otherwise be read as a product of them."""
    found = COMPOUND.search(text)
    if found is None or not all(name in UNITS for name in re.findall(r"[A-Za-zμ]+", found.group(1))):
        return text, ""
    return text[: found.start()], f" {found.group(1)}"


def _with_tail(core: Hashable, value: Number | None, tail: Tail) -> Reading:
    if tail.scale != 1 and isinstance(value, Fraction):
        value *= tail.scale
        core = ("number", value)
    if tail.unit is None:
        return Reading(core, percent=tail.percent)
    factor, base = tail.unit
    inside: Hashable = (
        (core, factor) if value is None else key(("*", ("value", value), ("number", factor)), 1)
    )
    return Reading(core, (inside, base), tail.percent)
