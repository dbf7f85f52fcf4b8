"""What components of an Archon write, read leniently: rankings, verdicts, results. Nothing is guessed."""

import re

from itscale_builtin.strategies._stance import stance

__all__ = ["is_correct", "passed", "ranking"]

CHAIN = re.compile(r"\[?\b\d{1,6}\b\]?(?:\s*(?:>|&gt;)\s*\[?\b\d{1,6}\b\]?)+")
BRACKETED = re.compile(r"\[\s*(\d{1,6})\s*\]")
LETTER = re.compile(r"[^\W\d_]")
NUMERAL = re.compile(r"\d{1,6}")
VERDICT = re.compile(
    r"\b(in ?)?correct\b(?!\s+(?:answer|solution|result|value|response|option|one|way)s?\b)", re.IGNORECASE
)
MARKED = re.compile(r"\[[^\]\w]{0,5}(?:(?P<not>not)\s+)?(in)?correct[^\]\w]{0,5}\]", re.IGNORECASE)
NUMBERED = re.compile(r"[ \t>#*_-]*(?:\[ *)?(\d{1,6})\b(.*)")
RESULT = re.compile(r"\b(pass|fail)(?:e[sd]|ing|s)?\b", re.IGNORECASE)
LONGEST = 2_000
"""Characters of a line that are read for a result."""


def ranking(text: str, count: int) -> list[int]:
    """Return places from 0, best first: all of them, or none if the text names none.

    Of chains as `[2] > [1]` that with the most places counts, the last of equals; one without brackets counts
    if it names all places or has no words beside it. Without a chain, the numbers in brackets count as they
    come. A place stands where it is first named, what is out of range is nowhere, and places not named follow
    in their own order.
    """
    chains: dict[bool, list[list[int]]] = {True: [], False: []}
    for line in text.splitlines():
        for chain in CHAIN.findall(line):
            places, marked = _places(NUMERAL.findall(chain), count), "[" in chain
            beside = line.replace(chain, "").rpartition(":")[2]
            read = marked or len(set(places)) == count or not LETTER.search(beside)
            if read and len(set(places)) > 1:
                chains[marked].append(places)
    fit = max(reversed(chains[True] or chains[False]), key=lambda places: len(set(places)), default=[])
    fit = fit or _places(BRACKETED.findall(text), count)
    return list(dict.fromkeys([*fit, *range(count)])) if fit else []


def is_correct(text: str) -> bool | None:
    """Return the last verdict in a text: those in brackets before others; None if there is none.

    "not correct" is a verdict against, "not incorrect" one for, "I cannot say whether it is correct" none.
    """
    if marked := list(MARKED.finditer(text)):
        return bool(marked[-1]["not"]) == bool(marked[-1][2])
    found = list(VERDICT.finditer(text))
    how = stance(text, found[-1].start()) if found else "unclear"
    return None if how == "unclear" else (how == "negated") == bool(found[-1][1])


def passed(text: str, count: int) -> int | None:
    """Return how many of the tests passed, each by the last word of the last line on it; None if of none."""
    results: dict[int, bool] = {}
    for line in text.splitlines():
        numbered = NUMBERED.match(line[:LONGEST])
        said = list(RESULT.finditer(numbered[2])) if numbered else []
        if numbered and said and 1 <= int(numbered[1]) <= count:
            how = stance(numbered[2], said[-1].start())
            if how != "unclear":
                results[int(numbered[1])] = (said[-1][1].casefold() == "pass") == (how == "plain")
    return sum(results.values()) if results else None


def _places(named: list[str], count: int) -> list[int]:
    return [int(number) - 1 for number in named if 1 <= int(number) <= count]
