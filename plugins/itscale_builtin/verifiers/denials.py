"""Sentences that deny what they name: `the answer is not 24`, `24 cannot be obtained`, `C is incorrect`."""

from __future__ import annotations

import re

__all__ = ["denied", "denied_after", "denied_before"]

BEFORE = re.compile(
    r"\b(?:not|no(?! doubt)|cannot|can't|couldn't|doesn't|isn't|never|impossible|unable|fails?)\b(?![,:])"
    r"(?:(?!\bbut\b)[^.!?\n,;:=]|\.(?=\d))*$",
    re.IGNORECASE,
)
AFTER = re.compile(
    r"[)\]*]{0,3} ?\(?(?:cannot|can't|is not|isn't|was not|wasn't|does not|doesn't|fails"
    r"|(?:is |would be |must be )?(?:impossible|not possible|incorrect|wrong|false|untrue"
    r"|ruled out|eliminated)"
    r"|(?:can|could|should|must|may) be (?:ruled out|eliminated|excluded))\b",
    re.IGNORECASE,
)
FARTHEST = 100
"""Characters before a place that may deny what stands there."""


def denied_before(text: str, at: int) -> bool:
    """Say whether what stands before a place denies what follows: `the answer is not ...`."""
    return BEFORE.search(text, max(0, at - FARTHEST), at) is not None


def denied_after(text: str, at: int) -> bool:
    """Say whether what follows a place denies what stands before: `... is incorrect`."""
    return AFTER.match(text, at) is not None


def denied(found: re.Match[str]) -> bool:
    """Say whether a sentence denies what was found in it: `It is impossible to obtain 24`."""
    return denied_before(found.string, found.start()) or denied_after(found.string, found.end())
