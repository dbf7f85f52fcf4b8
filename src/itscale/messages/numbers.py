"""Estimates with their intervals in words, the same wherever they are printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import floor, isclose, log10

__all__ = [
    "above_zero",
    "counted",
    "failed_refits_text",
    "holdout_text",
    "interval_note",
    "interval_text",
    "marks_note",
    "parameters_text",
    "percent",
    "share_text",
]

MOST_PARAMETERS = 9
"""More are weights of a free form and say nothing one by one."""

OPEN, NO_INTERVAL = "..", "(no interval)"
_MARKS = {
    OPEN: f"[{OPEN}, x]: open on that side, as refits pile up at the estimate.",
    NO_INTERVAL: f"{NO_INTERVAL}: no side has an end, or nothing in these data moves it.",
}
"""What stands where an interval has no end of its own."""

MANY_FAILED = 0.1
"""Share of refits that failed from which on a table says so."""

AT_END = 1e-3
"""How near to an end of its interval, in widths of it, an estimate is that end."""

MOST_DIGITS = 7
"""Of a number whose interval would else have no width in print."""


def marks_note(cells: Iterable[str]) -> str:
    """Return the legend of the marks of `interval_text` that some of the cells carry, or nothing."""
    text = " ".join(cells)
    present = {OPEN: f"[{OPEN}," in text or f", {OPEN}]" in text, NO_INTERVAL: NO_INTERVAL in text}
    return " ".join(legend for mark, legend in _MARKS.items() if present[mark])


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
    if low is None or high is None:
        return format(estimate, digits)
    if isclose(low, high, abs_tol=1e-12):
        return f"{format(estimate, digits)} {NO_INTERVAL}"
    is_open = [abs(estimate - end) <= AT_END * (high - low) for end in (low, high)]
    shown, *ends = _told_apart(estimate, low, high, digits)
    bounds = [OPEN if opened else end for opened, end in zip(is_open, ends, strict=True)]
    return f"{shown} [{', '.join(bounds)}]"


def _told_apart(estimate: float, low: float, high: float, digits: str) -> list[str]:
    """Return three numbers with as many digits as it takes to tell the ends of the interval apart."""
    found = re.fullmatch(r"(.*\.)(\d+)([a-z%]?)", digits)
    most = MOST_DIGITS if found and found[3] == "g" else 0
    start = int(found[2]) if found else 0
    for places in range(start, max(start, most) + 1):
        how = f"{found[1]}{places}{found[3]}" if found else digits
        shown = [format(value, how) for value in (estimate, low, high)]
        if shown[1] != shown[2]:
            break
    return shown


def above_zero(value: float, digits: str, factor: float = 1) -> str:
    """Return a number that is shown as 0 only if it is 0: `<0.01` of .0014, `>-0.01` of its negative.

    Parameters
    ----------
    value, factor
        Their product is shown.
    digits
        How it is formatted, with a fixed number of places.
    """
    shown = format(factor * value, digits)
    if value == 0 or any(digit in "123456789" for digit in shown):
        return shown
    least = format(10.0 ** -int(digits.partition(".")[2].rstrip("f")), "g")
    return f"<{least}" if value > 0 else f">-{least}"


def share_text(share: float, digits: int = 1) -> str:
    """Return a share in percent, without the sign; one between 0 and 1 is never shown as either."""
    if share in {0.0, 1.0}:
        return f"{100 * share:.0f}"
    shown = f"{100 * share:.{digits}f}"
    least = 10.0**-digits
    if 0 < share < 1 and float(shown) in {0.0, 100.0}:
        return f"<{least:g}" if share < 0.5 else f">{100 - least:g}"
    return shown


def holdout_text(shown: str, origins: int | None, most: int | None) -> str:
    """Return a hold-out error, with the origins it is over where those of other laws are over more."""
    fewer = origins is not None and most is not None and origins < most
    return f"{shown} ({origins} of {most} origins)" if fewer else shown


def failed_refits_text(refits: int | None, failed: int | None) -> str:
    """Return how many refits failed, in brackets, where those are many; refits are those that did not."""
    if not failed or failed < MANY_FAILED * (failed + (refits or 0)):
        return ""
    return f" ({failed} of {failed + (refits or 0)} refits failed)"


def counted(number: int, thing: str) -> str:
    """Return `1 point`, or `2 points`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def parameters_text(parameters: Iterable[tuple[str, float, float | None, float | None]]) -> str:
    """Return `name = estimate [low, high]` of each parameter, or how many there are of a free form's."""
    shown = [f"{name} = {interval_text(estimate, low, high)}" for name, estimate, low, high in parameters]
    return ", ".join(shown) if len(shown) <= MOST_PARAMETERS else f"{len(shown)} parameters"


def percent(share: float) -> str:
    """Return a share in percent, with digits enough to tell it from 0 and from 100: 12.34 %, 0.0199 %."""
    rest = 100 * min(share, 1 - share)
    return f"{100 * share:.{max(2, 2 - floor(log10(rest))) if rest > 1e-12 else 2}f} %"
