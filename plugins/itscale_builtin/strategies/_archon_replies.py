"""What components of an Archon write, read leniently: rankings, verdicts, results. Nothing is guessed."""

import re

__all__ = ["NOT", "is_correct", "passed", "ranking"]

CHAIN = re.compile(r"\[?\b\d{1,6}\b\]?(?:\s*(?:>|&gt;)\s*\[?\b\d{1,6}\b\]?)+")
BRACKETED = re.compile(r"\[\s*(\d{1,6})\s*\]")
NUMERAL = re.compile(r"\d{1,6}")
NOT = r"(?:(?:\b(?:not|never|cannot)|n['’]t)\b\W+(?:\w+\W+)?)?"
"""A negation before a verdict, with at most a word between them."""
VERDICT = re.compile(rf"({NOT})\b(in)?correct\b", re.IGNORECASE)
MARKED = re.compile(rf"\[\W{{0,5}}({NOT})(in)?correct\W{{0,5}}\]", re.IGNORECASE)
NUMBERED = re.compile(r"[ \t>#*_-]*\[? *(\d{1,6})\b(.*)")
RESULT = re.compile(rf"({NOT})\b(pass|fail)(?:e[sd]|ing|s)?\b", re.IGNORECASE)
LONGEST = 2_000
"""Characters of a line that are read for a result."""


def ranking(text: str, count: int) -> list[int]:
    """Return places from 0, best first: all of them, or none if the text names none.

    Of chains as `[2] > [1]` that with the most places counts, the last of equals; without one, the numbers in
    brackets as they come. A place stands where it is first named, what is out of range is nowhere, and places
    not named follow in their own order.
    """
    found = [_places(NUMERAL.findall(chain), count) for chain in CHAIN.findall(text)]
    chains = [places for places in found if len(set(places)) > 1]
    fit = max(reversed(chains), key=lambda places: len(set(places)), default=[])
    fit = fit or _places(BRACKETED.findall(text), count)
    return list(dict.fromkeys([*fit, *range(count)])) if fit else []


def is_correct(text: str) -> bool | None:
    """Return the last verdict in a text: those in brackets before others; None if there is none.

    "not correct" is a verdict against, "not incorrect" one for.
    """
    found = MARKED.findall(text) or VERDICT.findall(text)
    return bool(found[-1][0]) == bool(found[-1][1]) if found else None


def passed(text: str, count: int) -> int | None:
    """Return how many of the tests passed, each by the last word of the last line on it; None if of none."""
    results: dict[int, bool] = {}
    for line in text.splitlines():
        numbered = NUMBERED.match(line[:LONGEST])
        if numbered and (said := RESULT.findall(numbered[2])) and 1 <= int(numbered[1]) <= count:
            negated, word = said[-1]
            results[int(numbered[1])] = (word.casefold() == "pass") != bool(negated)
    return sum(results.values()) if results else None


def _places(named: list[str], count: int) -> list[int]:
    return [int(number) - 1 for number in named if 1 <= int(number) <= count]
