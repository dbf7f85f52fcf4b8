"""Several readings as one: a set, the values of several letters, one value that is said twice."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.values import Reading

__all__ = ["members_of", "same_value", "set_of"]


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
