"""Finding the final answer in what a model wrote. Every function is linear in the text, which is hostile."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

__all__ = ["LOCATORS", "Locator", "is_number", "last_match", "last_number", "locate", "tidy"]

Locator = Literal["tags", "boxed", "hashes", "answer_is", "last_number", "last_line", "whole"]
"""Where an answer may stand; see `LOCATORS`."""

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+(?!\d|\.\d))?")
ANSWER_IS = re.compile(
    r"\banswer[*_]{0,3}[ \t]{0,4}(?:is\b|:|=)(?:[*_]{1,3}(?=[ \t]))?[:= \t]{0,8}", re.IGNORECASE
)
BRACE = re.compile(r"\\boxed\s{0,4}\{|\\[\\{}]|[{}]")
WRAPPERS = ("**", "__", "*", "`", "$", '"', "'")


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last match of a pattern."""
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def tagged(text: str) -> str | None:
    """Return what stands in the last `<answer>` ... `</answer>`; an unclosed one reaches to the end."""
    _, tag, after = text.rpartition("<answer>")
    return after.partition("</answer>")[0].strip() if tag else None


def boxed(text: str) -> str | None:
    r"""Return what stands in the last closed `\boxed{...}` (the innermost of nested ones)."""
    opened: list[int | None] = []
    found: str | None = None
    for brace in BRACE.finditer(text):
        token = brace.group()
        if token.startswith("\\boxed"):
            opened.append(brace.end())
        elif token == "{":
            opened.append(None)
        elif token == "}" and opened:
            start = opened.pop()
            if start is not None and "\\boxed" not in text[start : start + 6]:
                found = text[start : brace.start()].strip()
    return found


def after_hashes(text: str) -> str | None:
    """Return the rest of the line after the last `####`, as GSM8K's solutions end."""
    _, marker, after = text.rpartition("####")
    return after.partition("\n")[0].strip() if marker else None


def after_answer_is(text: str) -> str | None:
    """Return the rest of the line after the last "answer is" or "answer:"."""
    last = last_match(ANSWER_IS, text)
    return text[last.end() :].partition("\n")[0].strip() if last else None


def last_number(text: str) -> str | None:
    """Return the last number (digits, with thousands commas, a fraction or decimals)."""
    last = last_match(NUMBER, text)
    return last.group() if last else None


def last_line(text: str) -> str | None:
    """Return the last line that is not blank."""
    return text.rstrip().rpartition("\n")[2].strip() or None


def whole(text: str) -> str | None:
    """Return the whole text without surrounding space."""
    return text.strip() or None


LOCATORS: Mapping[Locator, Callable[[str], str | None]] = {
    "tags": tagged,
    "boxed": boxed,
    "hashes": after_hashes,
    "answer_is": after_answer_is,
    "last_number": last_number,
    "last_line": last_line,
    "whole": whole,
}


def locate(text: str, places: Sequence[Locator]) -> str | None:
    """Return the answer at the first of `places` that holds one, None if none does."""
    for place in places:
        found = LOCATORS[place](text)
        if found:
            return found
    return None


def tidy(answer: str, reference: str = "") -> str:
    """Strip what is no part of an answer: emphasis, quotes, `$`, a final full stop.

    What the reference has around it, too, is part of the answer and stays.
    """
    answer = answer.strip()
    while True:
        kept = answer
        if answer.endswith(".") and not reference.endswith("."):
            answer = answer[:-1].rstrip()
        for mark in WRAPPERS:
            if _wrapped(answer, mark) and not _wrapped(reference, mark):
                answer = answer[len(mark) : -len(mark)].strip()
        if answer == kept:
            return answer


def _wrapped(text: str, mark: str) -> bool:
    return len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark)


def is_number(text: str) -> bool:
    """Say whether a text is one number and nothing else."""
    return NUMBER.fullmatch(text.strip()) is not None
