r"""Readings of an answer: a value as it is written, with its unit, its name, and whether it is a percentage.

A reading is made of the text alone and compared by keys, so that "means the same" is an equivalence. What is
only forgiven (a unit or a name that one side leaves out) is a matter of `agree`, never of classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from itscale_builtin.verifiers.mathematics.dates import date_of
from itscale_builtin.verifiers.mathematics.errors import TooLargeError, UnreadableError
from itscale_builtin.verifiers.mathematics.intervals import WITHOUT, in_one_notation, without_points
from itscale_builtin.verifiers.mathematics.named_sets import any_but, named_set
from itscale_builtin.verifiers.mathematics.notation import (
    CLOSE_WORDS,
    OPEN_WORDS,
    ROW,
    in_one_spelling,
    without_marks,
)
from itscale_builtin.verifiers.mathematics.numerals import as_one_number, number_of
from itscale_builtin.verifiers.mathematics.quantities import BOUND_AFTER, in_words
from itscale_builtin.verifiers.mathematics.several import (
    common_interval,
    in_radians,
    members_of,
    same_value,
    set_of,
)
from itscale_builtin.verifiers.mathematics.splitting import closes_at, parts_of
from itscale_builtin.verifiers.mathematics.statements import (
    equation_key,
    has_letters,
    inequality_key,
    is_name,
    name_of,
)
from itscale_builtin.verifiers.mathematics.values import (
    CHOICE,
    Reading,
    compound,
    expression_value,
    special_value,
)

__all__ = ["LONGEST", "Reading", "read"]

LONGEST = 1000
"""Answers with more characters are not read as mathematics; no reference is that long."""
DIGITS = re.compile(r"[-+]?\d+")
DECIMAL = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?")
RELATION = re.compile(r"\\le(?![A-Za-z])|\\ge(?![A-Za-z])|<=|>=|<|>")
ABSOLUTE = re.compile(r"\| ?([A-Za-z]) ?\|")
MEMBER = re.compile(r"\\(in|ne)(?![A-Za-z])")
MODULUS = re.compile(
    r"(?:\\pmod|\(? ?\\b?mod|\(mod|\b(?:mod|modulo)\b) ?\{? ?(?P<modulus>\d{1,30}) ?\}? ?\)?$"
)
CONJUNCTION = re.compile(
    rf"(?:{OPEN_WORDS} ?,? ?(?:and|or) ?{CLOSE_WORDS}|,? (?:and|or) (?!a half|\d+ ?/ ?\d))"
)
MATRIX = re.compile(
    r"(?P<factor>[^=<>&]{0,60}?)(?:\* ?)?"
    r"\\begin ?\{(?P<kind>[pbB]?|v|V|small)(?P<form>matrix|array)\}(?:\{[lcr|]*\})?(?P<rows>.*)"
    r"\\end ?\{(?P=kind)(?P=form)\}(?P<transposed> ?\^ ?(?:\{ ?)?(?:T|\\top|\\intercal)(?: ?\})?)?"
)
LABEL = re.compile(rf"{OPEN_WORDS}[A-Za-z ]{{2,30}}[:=] ?{CLOSE_WORDS} ?(?=.)")
ROUGHLY = re.compile(
    rf"[ ,{OPEN_WORDS}]*(?:about|approximately|approx\.?|roughly|around|\\approx)(?![A-Za-z])"
)
"""What makes an alternative an approximation of what stands before it."""
RESTATED = re.compile(
    r"(.{1,100}\S) \((?:or |= ?|i\.e\.,? |that is,? )?"
    r"((?<=[ =])[^()]{1,60}|[^()]{0,30}[.%][^()]{0,30}|[^()=]{1,40}=[^()=]{1,40})\)"
)
BUILT = re.compile(r"\\\{ ?(\\?[A-Za-z]+) ?(?:\\in ?\\mathbb ?\{? ?R ?\}? ?)?[|:] ?(.{1,200})\\\}")
"""A set by its condition: `\\{x \\mid 3 < x \\le 4\\}`."""


@lru_cache(maxsize=20_000)
def read(answer: str) -> Reading:
    """Read an answer.

    Raises
    ------
    UnreadableError
        If it is neither mathematics that is read here nor plain words.
    """
    if DECIMAL.fullmatch(answer):
        return Reading(("number", number_of(answer.lstrip("+-")) * (-1 if answer[0] == "-" else 1)))
    if DIGITS.fullmatch(answer):
        digits = answer.lstrip("+-").lstrip("0") or "0"
        return Reading(("digits", f"-{digits}" if answer[0] == "-" else digits))
    if len(answer) > LONGEST:
        raise TooLargeError(f"{len(answer)} characters, expected at most {LONGEST}")
    try:
        return _read(_undelimited(in_one_spelling(answer)))
    except RecursionError:  # pragma: no cover - the bounds on depth are reached first
        raise TooLargeError("nested too deeply") from None


def _undelimited(text: str) -> str:
    """Take off what delimits formulas; a single dollar sign is the currency."""
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        text = text.replace(opening, " ").replace(closing, " ")
    bare = text.replace(r"\$", "")
    return (text if bare.count("$") == 1 else re.sub(r"(?<!\\)\$", " ", text)).strip()


def _read(text: str, depth: int = 0) -> Reading:
    if depth > 8:
        raise TooLargeError("nested too deeply")
    text = text.strip().rstrip(".,;").strip()
    text = text.removeprefix(r"\approx").lstrip()
    text = in_one_notation(text)
    label = LABEL.match(text)
    if label:
        return _read(text[label.end() :], depth + 1)
    if text.startswith(OPEN_WORDS) and text.find(CLOSE_WORDS) == len(text) - 1:
        inner = text[1:-1].strip()
        return _read(inner, depth + 1) if inner else Reading(("text", ""))
    if not text:
        raise UnreadableError("nothing there")
    day = date_of(without_marks(text))
    if day:
        return Reading(("date", day))
    amount = compound(text)
    if amount is not None:
        return amount
    choice = CHOICE.fullmatch(without_marks(text).strip())
    if choice:
        return replace(_read(choice[2], depth + 1), label=_read(choice[1]).core)
    named = named_set(without_marks(text).strip().lower())
    if named is not None:
        return Reading(named)
    for attempt in (
        _built,
        _restated,
        _conjunction,
        _statement,
        _listed,
        _united,
        _without,
        _bracketed,
        _matrix,
    ):
        reading = attempt(text, depth)
        if reading is not None:
            return reading
    return special_value(text) or expression_value(text)


# Several values ------------------------------------------------------------------------------------------


def _conjunction(text: str, depth: int) -> Reading | None:
    if "and" not in text and "or" not in text:
        return None
    pieces = [piece for piece in CONJUNCTION.split(text) if piece and piece.strip(" ,")]
    if len(pieces) < 2 or not any(sign.isdigit() or sign == "\\" for sign in text):
        return None
    if any(BOUND_AFTER.match(without_marks(piece)) for piece in pieces[1:]):
        raise UnreadableError("a bound")
    if all(map(_is_remark, pieces[1:])) and any(sign.isdigit() for sign in pieces[0]):
        return _read(pieces[0], depth + 1)
    if all("and" in joint for joint in CONJUNCTION.findall(text)):
        common = common_interval([_read(piece, depth + 1) for piece in pieces])
        if common is not None:
            return common
    if not any(", and" in joint or " and " in joint for joint in CONJUNCTION.findall(text)):
        pieces = [pieces[0], *(piece for piece in pieces[1:] if not ROUGHLY.match(piece))]
        alternatives = [_read(piece, depth + 1) for piece in pieces]
        if all(same_value(alternatives[0], other) for other in alternatives[1:]):
            return alternatives[0]
    parts = [part for piece in pieces for part in parts_of(piece, ",;", grouped=True) if part.strip()]
    return set_of([_read(part, depth + 1) for part in parts])


def _listed(text: str, depth: int) -> Reading | None:
    pieces = parts_of(text, ",;", grouped=True)
    if len(pieces) < 2:
        return None
    if all(map(_is_remark, pieces[1:])) and any(sign.isdigit() for sign in pieces[0]):
        return _read(pieces[0], depth + 1)  # an apposition: 72, which is the total
    single, certain = as_one_number(text)
    if certain:
        return _read(single, depth + 1)
    several = set_of([_read(piece, depth + 1) for piece in pieces if piece.strip()])
    return replace(several, otherwise=_read(single, depth + 1)) if single else several


def _is_remark(text: str) -> bool:
    """Say whether a text is words only, without a number or a formula."""
    text = without_marks(text).strip(" .!?")
    return re.fullmatch(r"[A-Za-z' -]*[a-z]{3}[A-Za-z' -]*", text) is not None and (in_words(text) is None)


def _united(text: str, depth: int) -> Reading | None:
    pieces = text.split(r"\cup")
    return None if len(pieces) < 2 else set_of([_read(piece, depth + 1) for piece in pieces])


def _restated(text: str, depth: int) -> Reading | None:
    """Read a value that a parenthesis says again: `3/4 (75%)`, `3/4 (or 0.75)`."""
    found = RESTATED.fullmatch(text)
    if found is None:
        return None
    try:
        value, again = _read(found[1], depth + 1), _read(found[2], depth + 1)
    except TooLargeError:
        raise
    except UnreadableError:
        return None
    return value if ROUGHLY.match(found[2]) or same_value(value, again) else None


def _built(text: str, depth: int) -> Reading | None:
    r"""Read a set by its condition: `\{x \mid 3 < x \le 4\}`."""
    found = BUILT.fullmatch(text)
    if found is None or not is_name(found[1]):
        return None
    reading = _read(found[2], depth + 1)
    if reading.name != name_of(found[1]):
        raise UnreadableError("a set by a condition on something else")
    return replace(reading, name=None, equation=None)


def _without(text: str, depth: int) -> Reading | None:
    r"""Read an interval without some points, as the intervals that are left: `(0,36) \setminus \{9\}`."""
    pieces = WITHOUT.split(text)
    if len(pieces) != 2:
        return None
    interval, points = (_read(piece, depth + 1).core for piece in pieces)
    return Reading(without_points(interval, members_of(points)))


def _bracketed(text: str, depth: int) -> Reading | None:
    r"""Read a tuple, an interval or a set: `(1,2)`, `[1,2)`, `\{1,2\}`."""
    text = re.sub(r"^\\langle(?![A-Za-z])", "(", text)
    text = re.sub(r"\\rangle$", ")", text)
    for opening, closings in (("(", ")]"), ("[", ")]"), (r"\{", (r"\}",)), ("{", "}")):
        if not text.startswith(opening):
            continue
        end = closes_at(text, len(opening))
        closing = next((sign for sign in closings if text.endswith(sign)), None)
        if closing is None or end != len(text) - len(closing):
            return None
        inside = text[len(opening) : end]
        pieces = parts_of(inside, ",;", grouped=", " in inside)
        if len(pieces) < 2:
            wrapped = opening in {r"\{", "{"} or inside.strip().startswith(r"\begin")
            return _member(inside, opening, depth) if wrapped else None
        readings = [_member(piece, opening, depth) for piece in pieces]
        if opening in {r"\{", "{"}:
            return set_of(readings)
        units = [reading.unit for reading in readings]
        turned = tuple(map(in_radians, readings))
        said = tuple(reading.core for reading in readings)
        return Reading(
            ("sequence", opening, closing, said),
            tuple(units) if all(units) else None,
            all(reading.percent for reading in readings),
            otherwise=Reading(("sequence", opening, closing, turned)) if turned != said else None,
        )
    return None


def _member(text: str, opening: str, depth: int) -> Reading:
    r"""Read what stands in brackets; a set in a set is a member, not its members: `\{\emptyset\}`."""
    reading = _read(text, depth + 1)
    if opening == r"\{" and text.strip().startswith((r"\{", r"\emptyset")):
        return replace(reading, core=("member", reading.core))
    return reading


def _matrix(text: str, depth: int) -> Reading | None:
    found = MATRIX.fullmatch(text)
    if found is None:
        return None
    factor, determinant = found["factor"].strip(), found["kind"] in {"v", "V"}
    if "\\begin" in found["rows"] or (determinant and (factor or found["transposed"])):
        raise UnreadableError("a matrix in a product")
    if factor:
        expression_value(f"{factor}1" if factor == "-" else factor)  # refuses what is no factor
        before = "-" if factor == "-" else f"({factor})*"
    rows = [row.split("&") for row in found["rows"].split(ROW) if row.strip()]
    if factor:
        rows = [[f"{before}({cell})" for cell in row] for row in rows]
    if found["transposed"] and len({len(row) for row in rows}) == 1:
        rows = [list(column) for column in zip(*rows, strict=True)]
    cells = tuple(tuple(_read(cell, depth + 1).core for cell in row) for row in rows)
    return Reading(("determinant" if determinant else "matrix", cells))


# Equations, inequalities, congruences -----------------------------------------------------------------


def _statement(text: str, depth: int) -> Reading | None:
    r"""Read what says something of something: `x = 3`, `1 < x \le 2`, `x \in [1,2]`, `x \equiv 3 \pmod 5`."""
    if r"\implies" in text:
        return _read(text.rpartition(r"\implies")[2], depth + 1)
    congruent = _congruence(text, depth)
    if congruent is not None:
        return congruent
    said = MEMBER.search(text)
    if said and is_name(text[: said.start()]):
        reading = replace(_read(text[said.end() :], depth + 1), name=name_of(text[: said.start()]))
        return reading if said.group(1) == "in" else replace(reading, core=any_but(reading.core))
    if len(parts_of(text, ",;", grouped=True)) > 1:
        return None
    if r"\approx" in text:
        left, _, right = text.partition(r"\approx")
        return _read(f"{left} = {right}" if is_name(left) else left, depth + 1)
    if RELATION.search(text):
        return _inequality(text)
    sides = re.split(r"(?<![<>!:])={1,2}", text)
    return _equation(sides, depth) if len(sides) > 1 else None


def _congruence(text: str, depth: int) -> Reading | None:
    left, found, right = text.partition(r"\equiv")
    said = right if found else left
    modulus = MODULUS.search(said)
    if modulus is None:
        return replace(_read(right, depth + 1), name=name_of(left)) if found and is_name(left) else None
    reading = _read(said[: modulus.start()], depth + 1)
    size = int(modulus.group("modulus"))
    if not (isinstance(reading.core, tuple) and isinstance(reading.core[1], Fraction)) or size == 0:
        raise UnreadableError("a congruence of no number")
    rest = reading.core[1] % size
    name = name_of(left) if found and is_name(left) else None
    return Reading(("number", rest), ((rest, size), "modulo"), name=name)


def _equation(sides: Sequence[str], depth: int) -> Reading:
    *before, last = sides
    if (
        len(sides) == 2
        and not is_name(sides[0])
        and is_name(sides[1])
        and not re.search("[A-Za-z]", sides[0])
    ):
        before, last = [sides[1]], sides[0]
    named = is_name(before[0])
    name = name_of(before[0]) if named else None
    rest = before[1:] if named else before
    if named and not rest:
        return replace(_read(last, depth + 1), name=name, equation=equation_key(before[0], last))
    values = [_read(side, depth + 1) for side in (*rest, last)]
    if all(value.core == values[-1].core for value in values):
        return replace(values[-1], name=name)
    if named or len(sides) > 2:
        raise UnreadableError("an equation whose sides differ")
    key = equation_key(before[0], last)
    if key is None:
        raise UnreadableError("an equation that is not read")
    return Reading(key, equation=key)


def _inequality(text: str) -> Reading:
    sides = [side.strip() for side in RELATION.split(text)]
    signs = [{"\\le": "<=", "\\ge": ">="}.get(sign, sign) for sign in RELATION.findall(text)]
    if all(sign[0] == ">" for sign in signs):
        sides, signs = sides[::-1], [sign.replace(">", "<") for sign in signs[::-1]]
    absolute = ABSOLUTE.fullmatch(sides[0]) if len(sides) == 2 and signs[0][0] == "<" else None
    if absolute:
        sides, signs = [f"-({sides[1]})", absolute[1], sides[1]], signs * 2
    if not all(sign[0] == "<" for sign in signs) or len(sides) > 3:
        raise UnreadableError("inequalities in both directions")
    open_ends = [sign == "<" for sign in signs]
    named = [place for place, side in enumerate(sides) if is_name(side)]
    if len(named) == 1 and (len(sides) == 2 or named == [1]):
        at = named[0]
        if any(has_letters(side) for place, side in enumerate(sides) if place != at):
            return _relation(sides, open_ends)
        low = _read(sides[at - 1]).core if at > 0 else ("infinity", -1)
        high = _read(sides[at + 1]).core if at + 1 < len(sides) else ("infinity", 1)
        opening = "[" if at > 0 and not open_ends[at - 1] else "("
        closing = "]" if at + 1 < len(sides) and not open_ends[at] else ")"
        return Reading(("sequence", opening, closing, (low, high)), name=name_of(sides[at]))
    return _relation(sides, open_ends)


def _relation(sides: Sequence[str], open_ends: Sequence[bool]) -> Reading:
    """Read an inequality of expressions."""
    if len(sides) != 2:
        raise UnreadableError("inequalities of several letters")
    ratios = inequality_key(*sides)
    if ratios is None:
        raise UnreadableError("an inequality of constants")
    return Reading(("inequality", open_ends[0], ratios))
