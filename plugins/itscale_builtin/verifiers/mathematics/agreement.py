"""Agreement of answers with a reference, and with each other.

Values are compared exactly where both are rational, and to a relative tolerance where one is not. What one
side leaves out (a unit, a name) is forgiven or not by option; what both have must agree.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from typing import Any, Literal

from itscale_builtin.verifiers.mathematics.values import Reading, in_proportion

__all__ = ["Conventions", "agree", "classes_of"]

TEMPERATURES = [{"degree", "degree Celsius"}, {"degree", "degree Fahrenheit"}]
"""A bare degree, and a scale that it leaves out."""
ROUNDING = 1e-12
"""Relative difference that comes of rounding: an angle in degrees and the same in radians."""
MOST_PERMUTED = 6
"""Most members of a set that are paired by trying all orders."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """What is no matter of mathematics.

    Attributes
    ----------
    units
        Whether a unit that only one side has is forgiven (`optional`) or makes an answer wrong (`required`).
    percent
        Whether 35 and 35% agree (`optional`), or only 35% and 0.35 (`required`).
    tolerance
        Largest relative difference of two values that agree where one is not rational.
    base_asked
        Whether the question is about numbers in some base: a base that only the answer names in words is
        then the one asked for (`101 in base 2` for 101).
    """

    units: Literal["optional", "required"] = "optional"
    percent: Literal["optional", "required"] = "optional"
    tolerance: float = 1e-8
    base_asked: bool = False


def agree(reference: Reading, answer: Reading, conventions: Conventions = Conventions()) -> bool:
    """Say whether an answer says what the reference says."""
    if answer.label and reference.core == answer.label:
        return True
    if _may_say_otherwise(reference, answer) and agree(
        reference.otherwise or reference, answer.otherwise or answer, conventions
    ):
        return True
    if reference.equation and answer.equation and reference.equation == answer.equation:
        return True
    if reference.name and answer.name and reference.name != answer.name:
        return False
    if (turned := _turned(reference, answer)) is not None:
        return turned
    if {_base(reference), _base(answer)} in TEMPERATURES:
        return _same(reference.core, answer.core, conventions.tolerance)
    if reference.unit and answer.unit:
        return _same(reference.unit, answer.unit, conventions.tolerance)
    if _counted(reference) is not None and _counted(reference) == _counted(answer):
        return True
    if (reference.unit or answer.unit) and conventions.units == "required":
        return False
    if reference.unit is None and _names_another_number(answer, conventions):
        return False
    if reference.percent != answer.percent:
        one, other = (_value(reading) for reading in (reference, answer))
        if one is not None and one == other:
            return True
        if conventions.percent == "required":
            return False
    if {_kind(reference.core), _kind(answer.core)} == {"matrix", "sequence"}:
        return _same(_coordinates(reference.core), _coordinates(answer.core), conventions.tolerance)
    if {_kind(reference.core), _kind(answer.core)} == {"clock", "ratio"}:  # 8:10 may be either
        return in_proportion(reference.core[1]) == in_proportion(answer.core[1])
    if {_kind(reference.core), _kind(answer.core)} == {"ratio", "number"}:
        return _quotient(reference.core) == _quotient(answer.core) is not None
    if {_kind(reference.core), _kind(answer.core)} == {"clock", "number"}:  # 7 and 7:00
        return _hours(reference.core) == _hours(answer.core) is not None
    return _same(reference.core, answer.core, conventions.tolerance)


def _may_say_otherwise(reference: Reading, answer: Reading) -> bool:
    """Say whether two may be compared by what they say otherwise; a letter is a thousand for numbers only."""
    if answer.otherwise is None and reference.otherwise is None:
        return False
    if answer.otherwise and _kind(answer.otherwise.core) == "number":
        return reference.otherwise is None and _value(reference) is not None
    if _kind(reference.core) == "clock":
        return (reference.unit is None) != (answer.unit is None)
    return bool(_kind(reference.core) == "sequence")


def _turned(*readings: Reading) -> bool | None:
    """Compare an angle in degrees with one in radians; None if that is not what they are.

    Without a unit, a value that is not rational is in radians: 90 degrees are a half pi.
    """
    units = [_base(reading) for reading in readings]
    if units.count("degree") != 1:
        return None
    turned, other = readings if units[0] == "degree" else readings[::-1]
    stated = "radian" in units
    if not stated and (other.unit is not None or not _irrational(other.core)):
        return None
    degrees = _complex(turned.unit[0][1])
    radians = _complex(other.unit[0][1] if stated else other.core[1])
    if degrees is None or radians is None:
        return None
    agreed = abs(degrees * math.pi / 180 - radians) <= ROUNDING * abs(radians)
    return True if agreed else False if stated else None


def _base(reading: Reading) -> str | None:
    """Return the base unit of one number, None without it."""
    unit = reading.unit
    return unit[1] if isinstance(unit, tuple) and _kind(unit[0]) == "number" else None


def _irrational(core: Any) -> bool:
    return _kind(core) == "number" and not isinstance(core[1], Fraction)


def _kind(core: Any) -> Any:
    return core[0] if isinstance(core, tuple) else None


def _coordinates(core: Any) -> Any:
    """Return the coordinates of a point or of a matrix of one column, which is the same vector."""
    if core[0] == "sequence":
        return core[3] if core[1:3] == ("(", ")") else core
    return tuple(row[0] for row in core[1]) if all(len(row) == 1 for row in core[1]) else core


def _counted(reading: Reading) -> Hashable:
    """Return how many something is, where that is all that is said: 4 dozen is 48."""
    if reading.unit is None:
        return None if reading.percent else reading.core
    return reading.unit[0] if isinstance(reading.unit, tuple) and reading.unit[1] == "one" else None


def _names_another_number(reading: Reading, conventions: Conventions) -> bool:
    """Say whether a unit makes the digits another number than they spell: a dozen, a base that is not ten."""
    if not isinstance(reading.unit, tuple):
        return False
    said, base = reading.unit
    if base == "base":
        return said[1] != 10 and not (reading.base_in_words and conventions.base_asked)
    return bool(base == "one")


def _quotient(core: Any) -> Fraction | None:
    """Return a ratio of two or a number as a fraction, None where it is whole: 4:1 is not 4."""
    if core[0] == "ratio":
        value = core[1][0] / core[1][1] if len(core[1]) == 2 and core[1][1] else None
    else:
        value = core[1] if isinstance(core[1], Fraction) else None
    return None if value is None or value.denominator == 1 else value


def _hours(core: Any) -> Fraction | None:
    """Return the hour of a time on the hour, or a number."""
    if core[0] == "clock":
        return None if any(core[1][1:]) else core[1][0]
    return core[1] if isinstance(core[1], Fraction) else None


def _value(reading: Reading) -> Fraction | None:
    """Return a rational value with its percent sign taken into account."""
    core = reading.core
    if isinstance(core, tuple) and core[0] == "number" and isinstance(core[1], Fraction):
        return core[1] / 100 if reading.percent else core[1]
    return None


def _same(one: Hashable, other: Hashable, tolerance: float) -> bool:
    """Compare two keys, number by number."""
    if one == other:
        return True
    if isinstance(one, tuple) and isinstance(other, tuple):
        if len(one) == len(other) == 2 and one[0] == other[0] == "number":
            return _close(one[1], other[1], tolerance)
        return len(one) == len(other) and all(
            _same(first, second, tolerance) for first, second in zip(one, other, strict=True)
        )
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return len(one) == len(other) and _paired(one, other, tolerance)
    return False


def _paired(one: frozenset[Hashable], other: frozenset[Hashable], tolerance: float) -> bool:
    left, right = list(one - other), list(other - one)
    if len(left) > MOST_PERMUTED:
        return False
    return any(
        all(_same(first, second, tolerance) for first, second in zip(left, order, strict=True))
        for order in permutations(right)
    )


def _close(one: Hashable, other: Hashable, tolerance: float) -> bool:
    """Compare two values of which not both are rational."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return False
    first, second = _complex(one), _complex(other)
    if first is None or second is None:
        return False
    return bool(abs(first - second) <= tolerance * max(abs(first), abs(second)))


def _complex(value: Hashable) -> complex | None:
    try:
        if isinstance(value, Fraction):
            return complex(float(value))
        if isinstance(value, tuple):
            return complex(float(value[0]), float(value[1]))
    except OverflowError:
        pass
    return None


def classes_of(readings: Mapping[str, Reading]) -> dict[str, str]:
    """Return for each answer the first, in sorted order, that says the same.

    An answer without a unit joins those with one if these are one class, and all have its number: 100 joins
    100 cm, but not where 1 m is of that class, too. Likewise one without a name. Percentages stand
    apart: 35% is 0.35, and may be meant as 35.
    """
    same: dict[Hashable, list[str]] = defaultdict(list)
    for answer in sorted(readings):
        reading = readings[answer]
        same[(reading.unit or reading.core, reading.unit is None, reading.percent, reading.label)].append(
            answer
        )
    groups = [group for answers in same.values() for group in _by_name(answers, readings)]
    bare = [group for group in groups if readings[group[0]].unit is None]
    hosts = {group[0]: _host(group, groups, readings) for group in bare}
    for group in bare:
        host = hosts[group[0]]
        if host is not None and sum(other is host for other in hosts.values()) == 1:
            host += group
            groups.remove(group)
    return {answer: min(group) for group in groups for answer in group}


def _by_name(answers: Sequence[str], readings: Mapping[str, Reading]) -> list[list[str]]:
    """Split answers of one value by name; where that is a constant with one name, those without join it."""
    names = {readings[answer].name for answer in answers} - {None}
    if len(names) <= 1 and _is_constant(readings[answers[0]].core):
        return [list(answers)]
    groups: dict[str | None, list[str]] = defaultdict(list)
    for answer in answers:
        groups[readings[answer].name].append(answer)
    return list(groups.values())


def _host(
    bare: Sequence[str], groups: Sequence[list[str]], readings: Mapping[str, Reading]
) -> list[str] | None:
    """Return the one group with a unit that says what a group without one says, None if there is none."""
    core, percent = readings[bare[0]].core, readings[bare[0]].percent
    found = [
        group
        for group in groups
        if all(
            readings[answer].unit is not None
            and readings[answer].core == core
            and readings[answer].percent == percent
            for answer in group
        )
    ]
    if len(found) != 1:
        return None
    names = {readings[answer].name for answer in (*bare, *found[0])} - {None}
    return found[0] if len(names) <= 1 else None


def _is_constant(core: Hashable) -> bool:
    if isinstance(core, frozenset):
        return all(map(_is_constant, core))
    return not isinstance(core, tuple) or (core[:1] != ("expression",) and all(map(_is_constant, core)))
