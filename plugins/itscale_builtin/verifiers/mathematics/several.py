"""Several readings as one: a set, the values of several letters, one value that is said twice."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.intervals import common_part
from itscale_builtin.verifiers.mathematics.statements import key
from itscale_builtin.verifiers.mathematics.values import Reading

__all__ = ["common_interval", "in_radians", "members_of", "same_value", "set_of"]


def same_value(one: Reading, other: Reading) -> bool:
    """Say whether two readings are exactly one value, in other units or as a percentage maybe."""
    if one.name and other.name and one.name != other.name:
        return False
    if one.unit is not None and other.unit is not None:
        return bool(one.unit == other.unit)
    values = [
        reading.core[1] / (100 if reading.percent else 1)
        if isinstance(reading.core, tuple) and isinstance(reading.core[1], Fraction)
        else (reading.core, reading.percent)
        for reading in (one, other)
    ]
    return bool(values[0] == values[1])


def set_of(readings: Sequence[Reading]) -> Reading:
    """Return several values without an order; a unit or a name is that of all."""
    if len(readings) == 1:
        return readings[0]
    cores: set[Hashable] = set()
    for reading in readings:
        cores |= members_of(reading.core)
    names = {reading.name for reading in readings}
    letters = {name.partition("_")[0] for name in names if name}
    if len(letters) == len(readings):
        return _assigned({reading.name: reading.core for reading in readings if reading.name})
    units = [reading.unit for reading in readings if reading.unit]
    return Reading(
        ("set", frozenset(cores)) if len(cores) > 1 else next(iter(cores)),
        frozenset(units) if len(units) == len(readings) else (units[-1] if units else None),
        all(reading.percent for reading in readings),
        names.pop() if len(names) == 1 else None,
    )


def _assigned(cores: dict[str, Hashable]) -> Reading:
    """Return values of several letters: the tuple of them, in the order of the letters."""
    names = sorted(cores)
    return Reading(("sequence", "(", ")", tuple(cores[name] for name in names)), name=f"({','.join(names)})")


def members_of(core: Hashable) -> set[Hashable]:
    """Return the values of a set, or the one value."""
    return set(core[1]) if isinstance(core, tuple) and core[0] == "set" else {core}


def common_interval(readings: Sequence[Reading]) -> Reading | None:
    """Return what several inequalities of one letter leave, None if they are none or leave nothing."""
    names = {reading.name for reading in readings}
    if len(names) != 1 or None in names:
        return None
    try:
        return Reading(common_part([reading.core for reading in readings]), name=names.pop())
    except UnreadableError:
        return None


def in_radians(reading: Reading) -> Any:
    """Return the key of a value, of an angle in degrees the value in radians."""
    unit = reading.unit
    if not isinstance(unit, tuple) or unit[1] != "degree" or not isinstance(unit[0][1], Fraction):
        return reading.core
    return key(("*", ("number", unit[0][1] / 180), ("constant", "pi")))
