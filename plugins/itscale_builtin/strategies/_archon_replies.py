"""What components of an Archon write, read leniently: rankings, verdicts, results. Nothing is guessed."""

import re

__all__ = ["is_correct", "passed", "ranking"]

CHAIN = re.compile(r"\[?\b\d{1,6}\b\]?(?:\s*(?:>|&gt;)\s*\[?\b\d{1,6}\b\]?)+")
BRACKETED = re.compile(r"\[\s*(\d{1,6})\s*\]")
NUMERAL = re.compile(r"\d{1,6}")
VERDICT = re.compile(r"\b(in)?correct\b", re.IGNORECASE)
MARKED = re.compile(r"\[\W{0,5}(in)?correct\W{0,5}\]", re.IGNORECASE)
RESULT = re.compile(r"^[ \t>#*_-]*\[? *(\d{1,6}) *[\]).:]*[^\n]*?\b(pass|fail)", re.IGNORECASE | re.MULTILINE)


def ranking(text: str, count: int) -> list[int]:
    """Return places from 0, best first: all of them, or none if the text names none.

    The last chain as `[2] > [1]` counts; without one, the numbers in brackets as they come. A place stands
    where it is first named, what is out of range is nowhere, and places not named follow in their own order.
    """
    chains = CHAIN.findall(text)
    named = NUMERAL.findall(chains[-1]) if chains else BRACKETED.findall(text)
    places = [int(number) - 1 for number in named]
    fit = [place for place in places if 0 <= place < count]
    return list(dict.fromkeys([*fit, *range(count)])) if fit else []


def is_correct(text: str) -> bool | None:
    """Return the last verdict in a text: those in brackets before others; None if there is none."""
    found = MARKED.findall(text) or VERDICT.findall(text)
    return not found[-1] if found else None


def passed(text: str, count: int) -> int | None:
    """Return how many of the tests passed, each by the last line on it; None if there is a line on none."""
    found = {int(number): word.casefold() for number, word in RESULT.findall(text)}
    results = [word for number, word in found.items() if 1 <= number <= count]
    return sum(word == "pass" for word in results) if results else None
