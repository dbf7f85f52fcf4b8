"""Estimates with their intervals in words, the same wherever they are printed."""

from __future__ import annotations

from collections.abc import Iterable
from math import isclose

__all__ = ["AGREED", "AT_BOUND", "MARKS", "counted", "interval_note", "interval_text", "parameters_text"]

MOST_PARAMETERS = 9
"""More are weights of a free form and say nothing one by one."""

AT_BOUND, AGREED = "(at a bound)", "(all refits alike)"
MARKS = (
    f"{AT_BOUND}: refits pile up at the estimate, which has no interval on that side; "
    f"{AGREED}: at a bound, or nothing in these data moves it."
)
"""What stands behind a number that its interval does not qualify."""


def interval_note(kinds: Iterable[str | None]) -> str:
    """Return where intervals come from, by their kinds (column `interval`), for a sentence."""
    known = " ".join(kind for kind in kinds if kind)
    others = ["exact bounds where all problems agree"] if "exact" in known else []
    others += ["bounds of any mean where few problems differ"] if "bounded" in known else []
    return "intervals from resampling problems" + (f" ({'; '.join(others)})" if others else "")


def interval_text(estimate: float, low: float | None, high: float | None, digits: str = "z.3g") -> str:
    """Return `estimate [low, high]`, with a mark where the interval has no end of its own.

    Parameters
    ----------
    estimate
        Any number.
    low, high
        Its interval; None where there is none.
    digits
        How each number is formatted.
    """
    shown = format(estimate, digits)
    if low is None or high is None:
        return shown
    if isclose(low, high):
        return f"{shown} {AGREED}"
    mark = f" {AT_BOUND}" if isclose(estimate, low) or isclose(estimate, high) else ""
    return f"{shown} [{low:{digits}}, {high:{digits}}]{mark}"


def counted(number: int, thing: str) -> str:
    """Return `1 point`, or `2 points`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def parameters_text(parameters: Iterable[tuple[str, float, float | None, float | None]]) -> str:
    """Return `name = estimate [low, high]` of each parameter, or how many there are of a free form's."""
    shown = [f"{name} = {interval_text(estimate, low, high)}" for name, estimate, low, high in parameters]
    return ", ".join(shown) if len(shown) <= MOST_PARAMETERS else f"{len(shown)} parameters"
