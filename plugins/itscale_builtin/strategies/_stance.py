"""What the words before a verdict make of it: some deny it, of others nobody can say what they do."""

import re
from typing import Literal

__all__ = ["Stance", "stance"]

Stance = Literal["plain", "negated", "unclear"]

CLAUSE = re.compile(r"[.!?;:,\n\[\]]|\b(?:but|and|so|thus|therefore|hence)\b", re.IGNORECASE)
"""What begins a clause: words before it are about something else."""
DOUBT = re.compile(
    r"\b(?:no|none|not|never|cannot|hardly|barely|scarcely|neither|nor|without|unable|impossible|far|fail(?:s|ed|ing)?"
    r"|doubt\w*|whether|if|unsure|would|could)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
DIRECT = re.compile(
    r"(?:\b(?:not|never|cannot)|n['\u2019]t)\W+(?:(?:the|a|an|be|in|yet|at|all|seem|look|appear|sound|quite|exactly|really"
    r"|entirely|fully|completely|totally) ){0,4}$",
    re.IGNORECASE,
)
"""A negation of the very next word."""
LONGEST = 200
"""Characters before a verdict that are looked at."""


def stance(text: str, place: int) -> Stance:
    """Return what stands before a place of a text, from the beginning of its clause."""
    clause = CLAUSE.split(text[max(0, place - LONGEST) : place])[-1]
    found = len(DOUBT.findall(clause))
    if found == 0:
        return "plain"
    return "negated" if found == 1 and DIRECT.search(clause) else "unclear"
