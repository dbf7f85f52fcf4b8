"""Wrappers of an answer that are no part of it: emphasis, quotation marks, delimiters of formulas."""

from __future__ import annotations

import re

__all__ = ["REPEATED", "tidy"]

LONGEST_ANSWER = 100_000
"""Most characters of what is tidied."""
REPEATED = re.compile(r"\.\d{0,20}?(\d{1,6}?)\1{2,20}\.{3}$")
"""A decimal that goes on as it ends: `0.666...`."""
WRAPPERS = (
    *((mark, mark) for mark in ("**", "__", "*", "`", "$", '"', "'")),
    ("<", ">"),
    ("“", "”"),
    ("‘", "’"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
)


def tidy(answer: str, reference: str = "") -> str:
    """Strip what is no part of an answer: emphasis, quotes, `$`, a final full stop.

    What the reference has around it, too, is part of the answer and stays. What is longer than any answer
    only loses the space around it.
    """
    if len(answer) > LONGEST_ANSWER:
        return answer.strip()
    marks = [(opening, closing) for opening, closing in WRAPPERS if not _wrapped(reference, opening, closing)]
    begin, end = 0, len(answer)
    while True:
        while begin < end and answer[begin].isspace():
            begin += 1
        while begin < end and answer[end - 1].isspace():
            end -= 1
        after_digit = answer.endswith("...", begin, end) and answer[end - 4 : end - 3].isdigit()
        goes_on = after_digit and REPEATED.search(answer, max(begin, end - 100), end)
        if begin < end and answer[end - 1] == "." and not (reference.endswith(".") or goes_on):
            end -= 1
            continue
        for opening, closing in marks:
            if _wrapped(answer, opening, closing, begin, end):
                begin, end = begin + len(opening), end - len(closing)
                break
        else:
            return answer[begin:end]


def _wrapped(text: str, opening: str, closing: str, begin: int = 0, end: int | None = None) -> bool:
    end = len(text) if end is None else end
    return (
        end - begin > len(opening) + len(closing)
        and text.startswith(opening, begin, end)
        and text.endswith(closing, begin, end)
    )
