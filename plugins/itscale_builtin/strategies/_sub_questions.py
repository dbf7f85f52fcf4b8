"""Sub-questions of a problem as a model writes them: which needs which, how deep, and what is left of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

__all__ = ["SubQuestion", "depth", "new_question", "sub_questions"]

LINE = re.compile(r"^[ \t>#*_-]*\[?[QqAa]?(\d{1,4})(?!\d)\]?[ \t]*[).:\]-]*[ \t]*(\S.*)$")
NEEDS = re.compile(r"(.*)\b(?:needs?|depends?(?: +on)?|requires?)\b([^\n]*)$", re.IGNORECASE)
"""What a sub-question needs, at the end of its line: the question itself may need something, too."""
DENIED = re.compile(r"(?:\b(?:not|never|cannot)|n['\u2019]t)\W+$", re.IGNORECASE)
LONGEST = 2_000
"""Characters of a line: what is longer is no sub-question, and would take long to read."""
NONE = re.compile(r"\b(?:none|nothing|no|n/?a)\b|\[\s*\]|^\W*-\W*$", re.IGNORECASE)
TAGGED = re.compile(r"<question>(.*?)(?:</question>|(?<=[.?!])\s*$)", re.IGNORECASE | re.DOTALL)
"""A question; the tag after it may be missing, its end may not."""


@dataclass(frozen=True)
class SubQuestion:
    """A sub-question, with its answer if one stands beside it, and the numbers of those that it needs."""

    text: str
    needs: frozenset[int]


def sub_questions(text: str) -> dict[int, SubQuestion] | None:
    """Return sub-questions by number, each line that says what it needs being one.

    None if there are none, if two have one number, if one needs what is not there, or itself in the end.
    """
    found: dict[int, SubQuestion] = {}
    lines = (LINE.match(line.rstrip()) for line in text.splitlines() if len(line) <= LONGEST)
    for line in filter(None, lines):
        number, said = int(line[1]), line[2]
        if not (needs := NEEDS.match(said)):
            continue
        none = NONE.match(needs[2].lstrip(" \t:=*_(-"))
        named = frozenset(int(name) for name in re.findall(r"\d{1,4}", "" if none else needs[2]))
        asked = needs[1].rstrip(" \t([|;,*_-")
        if number in found or DENIED.search(needs[1]) or not asked or not (named or NONE.search(needs[2])):
            return None
        found[number] = SubQuestion(asked, named)
    known = all(one.needs <= found.keys() for one in found.values())
    return found if found and known and _order(found) is not None else None


def _order(graph: Mapping[int, SubQuestion]) -> list[int] | None:
    """Return numbers so that each comes after those that it needs; None if there is a cycle."""
    try:
        return list(TopologicalSorter({number: one.needs for number, one in graph.items()}).static_order())
    except CycleError:
        return None


def depth(graph: Mapping[int, SubQuestion] | None) -> int:
    """Return how many dependencies the longest chain of them has; 0 without a graph."""
    chain: dict[int, int] = {}
    for number in _order(graph or {}) or []:
        chain[number] = max((1 + chain[needed] for needed in (graph or {})[number].needs), default=0)
    return max(chain.values(), default=0)


def new_question(text: str) -> str:
    """Return the last text between <question> tags; empty if there is none."""
    found = [one.strip() for one in TAGGED.findall(text)]
    return next((one for one in reversed(found) if one), "")
