"""Sets that have a name: the real numbers, the positive ones, all but one, nothing at all."""

from __future__ import annotations

import re
from collections.abc import Hashable
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.intervals import without_points

__all__ = ["any_but", "named_set"]

REALS = ("sequence", "(", ")", (("infinity", -1), ("infinity", 1)))
POSITIVE_REALS = ("sequence", "(", ")", (("number", Fraction(0)), ("infinity", 1)))
EVERYTHING = frozenset({"all real numbers", "all reals", r"\mathbb{r}", "all real number"})
POSITIVE = re.compile(
    r"\\mathbb ?\{? ?r ?\}? ?(?:\^ ?\{? ?\+ ?\}?|_ ?\{? ?> ?0 ?\}?)|all positive real(?: number)?s"
)
NOTHING = frozenset({
    "no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set",
    r"\{\}", r"\emptyset",
})  # fmt: skip


def named_set(name: str) -> Hashable:
    """Return the key of the set with this name (in small letters), None if it is none."""
    if name in EVERYTHING:
        return REALS
    if POSITIVE.fullmatch(name):
        return POSITIVE_REALS
    return ("set", frozenset()) if name in NOTHING else None


def any_but(core: Hashable) -> Hashable:
    """Return the key of all numbers but one: two intervals, if it is known exactly."""
    try:
        return without_points(REALS, [core])
    except UnreadableError:
        return ("not", core)
