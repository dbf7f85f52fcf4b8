r"""Intervals as they are written: `]3,4]`, `(0,9) U (9,36)`, `(0,36) \setminus \{9\}`."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.notation import CLOSE_WORDS, OPEN_WORDS

__all__ = ["WITHOUT", "common_part", "in_one_notation", "without_points"]

END = r"[^\[\](),;]{1,60}"
OUTWARDS = re.compile(rf"([\]\[(]) ?({END}[,;]{END})([\])\[])")
"""An interval, maybe with an open end written as a bracket that opens outwards: `]3,4]`."""
UNION = re.compile(rf"(?<=[\])}}]) ?(?:U|union|{OPEN_WORDS} ?union ?{CLOSE_WORDS}) ?(?=[\[({{\\])")
WITHOUT = re.compile(r"\\(?:setminus|smallsetminus|backslash)(?![A-Za-z])")
"""What stands between a set and what is taken from it."""


def in_one_notation(text: str) -> str:
    r"""Return a text with open ends as parentheses and unions as `\cup`."""
    if ("[" in text or "]" in text) and r"\sqrt" not in text:
        text = OUTWARDS.sub(_facing, text)
    return UNION.sub(r"\\cup ", text)


def _facing(interval: re.Match[str]) -> str:
    opening, inside, closing = interval.groups()
    return f"{'(' if opening == ']' else opening}{inside}{')' if closing == '[' else closing}"


def without_points(interval: Hashable, points: Iterable[Hashable]) -> Hashable:
    """Return the key of what is left of an interval, given by its key, without points inside it.

    Raises
    ------
    UnreadableError
        If it is no interval, the points are not inside it, or their order is not known exactly.
    """
    if not (isinstance(interval, tuple) and interval[0] == "sequence" and len(interval[3]) == 2):
        raise UnreadableError("points taken from no interval")
    _, opening, closing, (low, high) = interval
    ordered = sorted(map(_place, points))
    if not ordered or not _place(low) < ordered[0] or not ordered[-1] < _place(high):
        raise UnreadableError("points that are not inside an interval")
    ends = [low, *(("number", point) for point in ordered), high]
    last = len(ends) - 2
    return (
        "set",
        frozenset(
            (
                "sequence",
                opening if place == 0 else "(",
                closing if place == last else ")",
                (ends[place], ends[place + 1]),
            )
            for place in range(last + 1)
        ),
    )


def common_part(intervals: Iterable[Hashable]) -> Hashable:
    """Return the key of what several intervals, given by their keys, have in common.

    Raises
    ------
    UnreadableError
        If they are no intervals, have nothing in common, or the order of their ends is not known exactly.
    """
    lows, highs = [], []
    for interval in intervals:
        if not (isinstance(interval, tuple) and interval[0] == "sequence" and len(interval[3]) == 2):
            raise UnreadableError("no interval")
        _, opening, closing, (low, high) = interval
        lows.append((_place(low), opening == "(", opening, low))
        highs.append((_place(high), closing == "]", closing, high))
    left, right = max(lows, key=lambda end: end[:2]), min(highs, key=lambda end: end[:2])
    if not left[0] < right[0]:
        raise UnreadableError("intervals that have nothing in common")
    return ("sequence", left[2], right[2], (left[3], right[3]))


def _place(core: Hashable) -> Fraction | float:
    """Return a rational or infinite value as a number."""
    if isinstance(core, tuple) and core[0] == "infinity":
        return float(core[1]) * float("inf")
    if isinstance(core, tuple) and core[0] == "number" and isinstance(core[1], Fraction):
        return core[1]
    raise UnreadableError("an interval whose ends are not compared")
