"""Units, scales and numbers in words: what stands after a number, and what a number in words is worth.

A unit is a factor and a dimension, so that 100 cm is 1 m and 5 dollars is 500 cents. Any other noun says what
is counted and is no part of the value: 72 eggs is 72. Words that change the value (`or more`, `times`) are
refused.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.notation import without_marks

__all__ = ["BOUND_AFTER", "CURRENCIES", "SHORT_WORDS", "UNITS", "Tail", "in_words", "read_tail", "unit_of"]

Unit = tuple[Fraction, str]
"""What one of it is worth in its base unit, and the base unit (with a power if not 1)."""


def _units() -> dict[str, Unit]:
    table: dict[str, Unit] = {}

    def add(base: str, factor: str, names: str) -> None:
        for name in names.split():
            table[name.replace("_", " ")] = (Fraction(factor), base)

    for base, prefixes in (
        ("m", {"k": "1000", "c": "1/100", "d": "1/10", "m": "1/1000", "μ": "1/1000000", "n": "1/1000000000"}),
        ("g", {"k": "1000", "m": "1/1000", "μ": "1/1000000"}),
        ("s", {"m": "1/1000", "μ": "1/1000000", "n": "1/1000000000"}),
        ("L", {"m": "1/1000", "c": "1/100", "d": "1/10"}),
        ("W", {"k": "1000", "M": "1000000", "m": "1/1000"}),
        ("J", {"k": "1000", "M": "1000000", "m": "1/1000"}),
        ("Hz", {"k": "1000", "M": "1000000", "G": "1000000000"}),
        ("Pa", {"k": "1000", "M": "1000000"}),
        ("V", {"k": "1000", "m": "1/1000"}),
        ("N", {"k": "1000", "m": "1/1000"}),
        ("mol", {"m": "1/1000"}),
        ("eV", {"k": "1000", "M": "1000000", "G": "1000000000"}),
    ):
        add(base, "1", base)
        for prefix, factor in prefixes.items():
            add(base, factor, prefix + base)
    long = {"kilo": "1000", "centi": "1/100", "deci": "1/10", "milli": "1/1000", "micro": "1/1000000"}
    long |= {"nano": "1/1000000000", "mega": "1000000", "": "1"}
    for base, names in {
        "m": "meter metre", "g": "gram gramme", "s": "second", "L": "liter litre", "W": "watt", "J": "joule",
        "Hz": "hertz", "Pa": "pascal", "V": "volt", "N": "newton", "mol": "mole",
    }.items():  # fmt: skip
        for name in names.split():
            for prefix, factor in long.items():
                add(base, factor, prefix + name)
    add("m", "0.0254", "inch in in. inches")
    add("m", "0.3048", "foot feet ft ft.")
    add("m", "0.9144", "yard yd yd.")
    add("m", "1609.344", "mile mi mi.")
    add("m", "1852", "nautical_mile")
    add("m^2", "4046.8564224", "acre")
    add("m^2", "10000", "hectare ha")
    add("g", "453.59237", "pound lb lbs lb.")
    add("g", "28.349523125", "ounce oz oz.")
    add("g", "1000000", "tonne metric_ton")
    add("ton", "1", "ton")
    add("L", "3.785411784", "gallon gal gal.")
    add("L", "0.946352946", "quart qt qt.")
    add("L", "0.473176473", "pint pt pt.")
    add("L", "0.2365882365", "cup")
    add("fluid ounce", "1", "fluid_ounce fl_oz")
    add("teaspoon", "1", "teaspoon tsp")
    add("teaspoon", "3", "tablespoon tbsp")
    add("L", "1/1000", "cc ml")
    add("L", "1", "l")
    add("L", "1/100", "cl")
    add("s", "1", "sec sec. secs")
    add("s", "60", "minute min min. mins")
    add("s", "3600", "hour hr hr. hrs h")
    add("s", "86400", "day")
    add("s", "604800", "week wk")
    add("month", "1", "month")
    add("month", "12", "year yr yrs yr.")
    add("month", "120", "decade")
    add("month", "1200", "century centuries")
    add("dollar", "1", "dollar $ \\$ USD buck")
    add("dollar", "1/100", "cent ¢")
    add("euro", "1", "euro € EUR")
    add("pound sterling", "1", "£ GBP")
    add("pound sterling", "1/100", "pence penny")
    add("yen", "1", "yen ¥ JPY")
    add("rupee", "1", "rupee ₹ INR Rs Rs.")
    add("degree", "1", "degree deg")
    add("degree", "1/60", "arcminute")
    add("radian", "1", "radian rad")
    add("degree Celsius", "1", "celsius C")
    add("degree Fahrenheit", "1", "fahrenheit F")
    add("kelvin", "1", "kelvin K")
    add("am", "1", "am a.m. a.m AM A.M.")
    add("pm", "1", "pm p.m. p.m PM P.M.")
    add("m s^-1", "0.44704", "mph")
    add("m s^-1", "5/18", "kph kmph")
    add("turn s^-1", "1/60", "rpm")
    add("bit", "1", "bit")
    add("bit", "8", "byte")
    add("bit", "8000", "kilobyte KB kB")
    add("bit", "8000000", "megabyte MB")
    add("bit", "8000000000", "gigabyte GB")
    add("cal", "1", "calorie cal")
    add("cal", "1000", "kcal kilocalorie")
    add("ohm", "1", "ohm")
    add("ampere", "1", "ampere amp")
    add("ampere", "1/1000", "milliampere mA")
    add("coulomb", "1", "coulomb")
    add("tesla", "1", "tesla")
    add("one", "12", "dozen")
    return table


UNITS = _units()
CURRENCIES = {"$": "$", r"\$": "$", "US$": "$", r"\euro": "€", r"\pounds": "£", r"\yen": "¥", r"\rupee": "₹"}
COUNTS: dict[str, Unit] = {"gross": (Fraction(144), "one"), "score": (Fraction(20), "one")}
"""Names of numbers where nothing follows them: 2 gross, but not $2 gross of tax."""
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
PERCENT = frozenset({"%", "percent", "per cent", "pct", "percentage"})
CHANGING = frozenset([
    "or", "and", "to", "times", "minus", "plus", "divided", "over", "not", "mod", "modulo", "factorial",
    "choose", "half", "halves", "third", "thirds", "more", "less", "fewer", "greater", "than",
    "at-least", "most", "least", "root", "roots", "pairs", "nor", "versus", "vs", "raised", "log", "ln",
    "negative", "sum", "except", "approximately", "about", "almost", "nearly",
])  # fmt: skip
"""Words that make another value of the number before them, if they do not end what is read."""
ENDING = frozenset([
    "of", "in", "for", "after", "at", "on", "from", "with", "by", "during", "within", "before", "since",
    "when", "if", "that", "which", "who", "because", "so", "where", "while", "as", "out", "left",
    "remaining", "total", "altogether", "each", "overall", "whose", "therefore", "thus", "hence", "given",
    "such", "is", "are", "was", "were", "will", "can", "has", "have", "had", "he", "she", "it", "they",
    "we", "you", "i", "his", "her", "their", "its", "this", "but",
])  # fmt: skip
"""Words after which nothing is part of the value."""
DENIAL = re.compile(r"\b(?:not|cannot|can't|isn't|impossible|incorrect|wrong)\b", re.IGNORECASE)
BOUNDED = re.compile(
    r"\bat (?:the )?(?:very )?(?:least|most|minimum|maximum)$|\bat (?:the )?(?:least|most)\b"
)
BOUND_AFTER = re.compile(
    r" ?(?:(?:more|less|fewer|above|below|over|under|beyond|up)\b(?! to)"
    r"|(?:great|high|low|larg|small|old|young|long)er\b)"
)
"""What makes the number before `or` or `and` a bound: `18 or more`."""
DISTANCE = re.compile(
    r"\b(?:short|shy)(?: of\b|$)"
    r"|\b(?:below|above|under|beyond|away from|off(?: from)?|before) (?:\\?\$)?(?:\d|zero\b|that\b)",
    re.IGNORECASE,
)
"""What makes a number how far a value is from another: `3 short of 20`."""
PART_OF = re.compile(r"(?:%|\bpercent) ?of (?:\\?\$)?\d")
PERCENT_OF_LETTER = re.compile(r"% ?[B-Zb-z](?![A-Za-z])|%[Aa](?![A-Za-z])")
SHORT_WORDS = frozenset(word for word in (*CHANGING, *ENDING, "sq", "cu", "an") if len(word) == 2)
"""Words that are as short as a product of two letters."""
TOKEN = re.compile(r"[^\W\d_]+\.?(?:[A-Za-z]\.?)?|\^ ?\{? ?(-?\d) ?\}?|\\\$|[%$€£¥¢₹/*·-]|\S")


@dataclass(frozen=True, slots=True)
class Tail:
    """What the words after a number say: a scale to multiply by, a unit, whether it is a percentage."""

    scale: Fraction = Fraction(1)
    unit: Unit | None = None
    percent: bool = False


def unit_of(word: str) -> Unit | None:
    """Return the unit a word names, in the singular or the plural."""
    for name in (word, word.rstrip("."), word.lower(), word.lower().rstrip(".")):
        for form in (name, name.removesuffix("s"), name.removesuffix("es")):
            if form and form in UNITS:
                return UNITS[form]
    return None


def read_tail(text: str) -> Tail:
    """Read what stands after a number.

    Raises
    ------
    UnreadableError
        If it may change the value in a way that is not known here.
    """
    text = re.sub(r"\([^()]{0,80}\)", " ", without_marks(text)).strip(" .,;:!?'\"-")
    if PERCENT_OF_LETTER.search(text):
        raise UnreadableError("a percentage of a letter")
    if DENIAL.search(text):
        raise UnreadableError("a number that is denied")
    for command, sign in ((r"\euro", "€"), (r"\pounds", "£"), (r"\yen", "¥"), (r"\rupee", "₹")):
        text = text.replace(command, sign)
    for phrase in ("per cent", "percentage points", "percentage point"):
        text = text.replace(phrase, "percent")
    for phrase in ("nautical mile", "fluid ounce", "metric ton", "fl oz"):
        text = text.replace(phrase, phrase.replace(" ", "_"))
    if BOUNDED.search(text) or DISTANCE.search(text):
        raise UnreadableError("a bound or a distance")
    if PART_OF.search(text):
        raise UnreadableError("a part of a number")
    reader = _TailReader(text)
    return reader.read()


class _TailReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [match.group() for match in TOKEN.finditer(text.replace("_", "\x00"))]
        self.tokens = [token.replace("\x00", " ") for token in self.tokens]
        self.scale = Fraction(1)
        self.factor = Fraction(1)
        self.powers: dict[str, int] = {}
        self.percent = False
        self.next_power = 1
        self.sign = 1
        self.last: tuple[str, Fraction, int] | None = None

    def read(self) -> Tail:
        for place, token in enumerate(self.tokens):
            if not self._read(token, place):
                break
        powers = {base: power for base, power in self.powers.items() if power}
        name = " ".join(base if power == 1 else f"{base}^{power}" for base, power in sorted(powers.items()))
        return Tail(self.scale, (self.factor, name) if name else None, self.percent)

    def _read(self, token: str, place: int) -> bool:
        """Take in a token; return whether to go on."""
        word = token.lower().rstrip(".")
        if (power := re.search(r"-?\d", token)) is not None and token[0] == "^":
            self._raise(int(power.group()))
        elif word in {"squared", "cubed"}:
            self._raise({"squared": 2, "cubed": 3}[word])
        elif word in {"square", "sq", "cubic", "cu"}:
            self.next_power = 2 if word.startswith("sq") else 3
        elif token == "/" or word == "per" or (word in {"a", "an", "each", "every"} and self.powers):
            self.sign = -1
        elif word in SCALES and not self.powers:
            self.scale *= 10 ** SCALES[word]
        elif word in PERCENT:
            self.percent = True
        elif word == "in" and place + 1 < len(self.tokens):
            return False
        elif (unit := unit_of(token) or (COUNTS.get(word) if len(self.tokens) == 1 else None)) is not None:
            self._take(unit)
        else:
            return self._other(token, word)
        return True

    def _other(self, token: str, word: str) -> bool:
        if word == "times" and token is self.tokens[-1]:
            return False
        if word in CHANGING:
            raise UnreadableError(f"{word!r} after a number")
        if word in ENDING:
            return False
        if unicodedata.category(token[0]) in {"So", "Mn", "Cf"}:
            return True
        if not (token[0].isalpha() or token in {"-", ",", "'", "&", "*", "·"}):
            raise UnreadableError(f"{token!r} after a number")
        if token == ",":
            return False
        self.sign, self.next_power = 1, 1
        return True

    def _take(self, unit: Unit) -> None:
        factor, base = unit
        if base in {"degree Celsius", "degree Fahrenheit"}:
            self.powers.pop("degree", None)
        power = self.sign * self.next_power
        for part in base.split(" ") if "^" in base or base == "turn s^-1" else [base]:
            name, _, own = part.partition("^")
            self.powers[name] = self.powers.get(name, 0) + power * int(own or 1)
            self.last = (name, factor, power)
        self.factor *= factor**power
        self.sign, self.next_power = 1, 1

    def _raise(self, exponent: int) -> None:
        if self.last is None:
            raise UnreadableError("a power after a word")
        name, factor, power = self.last
        self.powers[name] += power * (exponent - 1)
        self.factor *= factor ** (power * (exponent - 1))
        self.last = None


ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SMALL = {word: value for value, word in enumerate(ONES)} | {
    word: 10 * value for value, word in enumerate(TENS, start=2)
}
PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
PARTS |= {"ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100, "thousandth": 1000}
PARTS |= {f"{word}s": value for word, value in PARTS.items()} | {"halves": 2}


def in_words(text: str) -> tuple[Fraction, str] | None:
    """Read the number in words that a text begins with: its value, and the words after it."""
    words = re.split(r"[ -]+", without_marks(text).strip().lower())
    negative = words[0] in {"minus", "negative"}
    at = int(negative)
    count = _cardinal(words, at)
    if count is None:
        if words[at] == "half" or words[at : at + 2] in (["a", "half"], ["a", "third"], ["a", "quarter"]):
            at += words[at] == "a"
            value = Fraction(1, PARTS[words[at]])
            return (-value if negative else value), " ".join(words[at + 1 :])
        return None
    whole, at = count
    value = Fraction(whole)
    if words[at : at + 3] == ["and", "a", "half"]:
        value, at = value + Fraction(1, 2), at + 3
    elif at < len(words) and words[at] in PARTS and words[at] != "second":
        value, at = value / PARTS[words[at]], at + 1
    return (-value if negative else value), " ".join(words[at:])


def _cardinal(words: list[str], at: int) -> tuple[int, int] | None:
    """Read a whole number in words from a place: its value, and the place after it."""
    total = group = 0
    start, last = at, at
    while at < len(words):
        word = words[at]
        if word in SMALL:
            group += SMALL[word]
        elif word in SCALES and (at > start or word != "hundred"):
            if at == start:
                return None
            if word == "hundred":
                group *= 100
            else:
                total, group = total + group * 10 ** SCALES[word], 0
        elif not (
            word == "and"
            and at > start
            and words[at - 1] in SCALES
            and words[at + 1 : at + 2]
            and (words[at + 1] in SMALL)
        ):
            break
        at += 1
        last = at
    return (total + group, last) if last > start else None
