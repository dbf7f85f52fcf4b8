"""Sentences that name what they do not state: a denial (`the answer is not 24`), a bound (`more than 24`)."""

from __future__ import annotations

import re

__all__ = ["GIVEN_UP", "bounded_before", "denied", "denied_after", "denied_before", "given_up"]

BEFORE = re.compile(
    r"\b(?:not|neither|no(?! doubt)|cannot|can't|couldn't|doesn't|isn't|never|impossible|unable|fails?"
    r"|nicht|kein\w{0,2}|pas|não|не)\b(?![,:])"
    r"(?:(?!\bbut\b)[^.!?\n,;:=]|\.(?=\d))*$",
    re.IGNORECASE,
)
AFTER = re.compile(
    r"[)\]*]{0,3} ?\(?(?:cannot|can't|is not|isn't|was not|wasn't|does not|doesn't|fails"
    r"|are (?:both |all )?(?:incorrect|wrong|false)"
    r"|(?:is (?:also |clearly |definitely |therefore )?|would be |must be )?"
    r"(?:impossible|not possible|incorrect|wrong|false|untrue"
    r"|ruled out|eliminated)"
    r"|(?:can|could|should|must|may) be (?:ruled out|eliminated|excluded))\b",
    re.IGNORECASE,
)
BOUND = re.compile(
    r"""
    (?: \bthan(?:\ or\ equal\ to)? | \bat\ (?:the\ )?(?:very\ )?(?:least|most)
      | (?<!add)(?<!adds)(?<!adding)(?<!added)(?<!sum)(?<!sums)(?<!come)(?<!comes)
        (?<!total)(?<!totals)\ up\ to
      | ^up\ to
      | \b(?:upwards|in\ excess)\ of
      | \b(?:over|under|above|below|beyond|exceeds?|exceeding) | \bas\ (?:many|much|few|little)\ as )
    [\s}:*_]{0,4} (?:(?:about|exactly|just|a|the|only)\ )? (?:\\?[$€£(]|\\text\{|[*_]{1,2}){0,3}$
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What makes the number after it a bound: `more than`, `at least`, `up to`, but not `adds up to`."""
GIVEN_UP = re.compile(
    r"\b(?:(?:cannot|can't|can not|could not|couldn't|unable to|not able to|(?:im|not )possible to"
    r"|do not know how to|don't know how to)"
    r" (?:be )?(?:determined?|find|found|solved?|answer(?:ed)?|computed?|calculated?|give|given)"
    r"|(?:not enough|insufficient) information"
    r"|(?:do not|don't) know(?= the answer|[.,;])|(?:has|have|is|are) no solutions?)\b"
)
REASON = re.compile(
    r"=|\b(?:so|thus|therefore|hence|however|but|wait|yet|actually|then|answer is)\b", re.IGNORECASE
)
"""What leads from not knowing to an answer after all."""
FARTHEST = 100
"""Characters before a place that may deny what stands there."""


def denied_before(text: str, at: int) -> bool:
    """Say whether what stands before a place denies what follows: `the answer is not ...`."""
    return BEFORE.search(text, max(0, at - FARTHEST), at) is not None


def denied_after(text: str, at: int) -> bool:
    """Say whether what follows a place denies what stands before: `... is incorrect`."""
    return AFTER.match(text, at) is not None


def bounded_before(text: str, at: int) -> bool:
    """Say whether what stands before a number makes it a bound: `at least ...` states no value."""
    return BOUND.search(text, max(0, at - FARTHEST), at) is not None


def given_up(text: str, at: int) -> bool:
    """Say whether a text says shortly before a place, and nothing since, that it has no answer."""
    said = list(GIVEN_UP.finditer(text, max(0, at - 2 * FARTHEST), at))
    return bool(said) and REASON.search(text, said[-1].end(), at) is None


def denied(found: re.Match[str]) -> bool:
    """Say whether a sentence denies what was found in it: `It is impossible to obtain 24`."""
    return denied_before(found.string, found.start()) or denied_after(found.string, found.end())
