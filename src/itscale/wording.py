"""Estimates with their intervals in words, the same wherever they are printed."""

from __future__ import annotations

from math import isclose

__all__ = ["AGREED", "AT_BOUND", "MARKS", "interval_text"]

AT_BOUND, AGREED = "(at a bound)", "(all refits alike)"
MARKS = (
    f"{AT_BOUND}: refits pile up at the estimate, which has no interval on that side; "
    f"{AGREED}: at a bound, or nothing in these data moves it."
)
"""What stands behind a number that its interval does not qualify."""


def interval_text(estimate: float, low: float | None, high: float | None, digits: str = ".3g") -> str:
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
