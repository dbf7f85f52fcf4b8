"""Numbers that the last line of a text states in words: `So she makes eighteen dollars every day`."""

from __future__ import annotations

import re

from itscale_builtin.verifiers.denials import bounded_before, denied, given_up
from itscale_builtin.verifiers.mathematics.quantities import SCALES, SMALL, in_words

__all__ = ["number_in_words"]

WORD = "|".join(sorted((*SMALL, *SCALES), key=len, reverse=True))
NUMBER = re.compile(
    rf"(?<![\w-])(?:minus |negative )?(?:{WORD})(?:(?: and |[ -])(?:{WORD})){{0,12}}"
    r"(?: and a half| (?:halves|thirds|quarters|fourths|fifths))?(?![\w-])",
    re.IGNORECASE,
)
CIRCUMSTANCE = re.compile(
    r"\b(?:in|after|for|within|during|every|each|(?<!total )of|from|by|over|at|on|per|with|all|the|these"
    r"|those|both|last|first|next|other) $",
    re.IGNORECASE,
)
"""What stands before a number that only says when, for how long, of how many."""
DIGIT = re.compile(r"\d")
SMALLEST_BESIDE_DIGITS = 13
"""A smaller number in words may be said in passing where the text has others in digits."""
LONGEST_LINE = 2_000
"""Characters of the last line that are looked at."""


def number_in_words(text: str) -> str | None:
    """Return the number in words that the last line states, None if it has none, several, or digits.

    `one` is a pronoun more often than a number.
    """
    line = text.rstrip().rpartition("\n")[2][-LONGEST_LINE:]
    if DIGIT.search(line) or "\\" in line:
        return None
    stated = [
        found
        for found in NUMBER.finditer(line)
        if found.group().lower() != "one" and not CIRCUMSTANCE.search(line, 0, found.start())
    ]
    if len(stated) != 1 or denied(stated[0]) or bounded_before(line, stated[0].start()):
        return None
    value = in_words(stated[0].group())
    if value is None or value[1] or given_up(line, stated[0].start()):
        return None
    beside_digits = DIGIT.search(text) is not None
    return None if beside_digits and value[0] < SMALLEST_BESIDE_DIGITS else stated[0].group()
