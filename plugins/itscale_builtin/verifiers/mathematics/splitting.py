"""Splitting a text at signs that stand outside all brackets. Every function is linear in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["closes_at", "parts_of"]

TOKEN = re.compile(r"\\[{}]|\\[A-Za-z]+|.", re.DOTALL)
GROUPED = re.compile(r"(?<!\d)(?<!\d,)\d{1,3}(?:,\d{3})+(?![\d])")


def _levels(text: str, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """Yield each token with its place and how many brackets are open after it."""
    level = 0
    for token in TOKEN.finditer(text, start):
        sign = token.group()
        if sign in {"(", "[", "{", r"\{", r"\lfloor", r"\langle"}:
            level += 1
        elif sign in {")", "]", "}", r"\}", r"\rfloor", r"\rangle"}:
            level -= 1
        yield token.start(), sign, level


def closes_at(text: str, start: int) -> int:
    """Return where the bracket that was opened before `start` is closed, -1 if nowhere."""
    return next((at for at, _, level in _levels(text, start) if level < 0), -1)


def parts_of(text: str, signs: str, *, grouped: bool = False) -> list[str]:
    """Split a text at any of `signs` outside brackets; not at commas between `grouped` thousands."""
    kept = {
        at
        for match in (GROUPED.finditer(text) if grouped else ())
        for at in range(match.start(), match.end())
    }
    pieces, begin = [], 0
    for at, sign, level in _levels(text):
        if level <= 0 and sign in signs and at not in kept:
            pieces.append(text[begin:at])
            begin = at + 1
    return [*pieces, text[begin:]]
