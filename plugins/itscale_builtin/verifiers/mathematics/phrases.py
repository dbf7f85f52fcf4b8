"""Roots, powers, products and fractions in words: `10 root 2`, `2 to the power of 10`."""

from __future__ import annotations

import re

from itscale_builtin.verifiers.mathematics.quantities import SMALL

__all__ = ["in_formulas"]

SPOKEN = re.compile(r"\b(?:root|times|over|squared|cubed|power)\b", re.IGNORECASE)
WORD = "|".join(sorted((word for word in SMALL if word != "zero"), key=len, reverse=True))
BEFORE = re.compile(
    rf"\b({WORD})(?= (?:times|over|squared|cubed|root|(?:square|cube) root|to the)\b)", re.IGNORECASE
)
AFTER = re.compile(rf"(?<=\w )(root |root of |times |over )({WORD})\b(?![ -](?:{WORD}))", re.IGNORECASE)
ROOT = re.compile(
    r"\b(?:the )?(?:(square|cube) )?root (?:of )?(\d{1,30}(?:\.\d{1,30})?(?![\d,.]*\d)|[a-z](?![A-Za-z]))",
    re.IGNORECASE,
)
POWER = re.compile(
    r"(?<![\w.])(\d{1,30}|[a-z]) (?:to the (?:power (?:of )?(-?\d{1,6})|(\d{1,6})(?:st|nd|rd|th) power)"
    r"|raised to the (?:power (?:of )?(-?\d{1,6})|(\d{1,6})(?:st|nd|rd|th) power))\b"
)
RAISED = re.compile(r"(?<![\w.,])(\d{1,30}|[a-z]) (squared|cubed)(?=[.,]?$| (?:plus|minus|times|over)\b)")
OPERATOR = re.compile(r"(?<=[\w)}]) (times|plus|minus|over) (?=\d|\\sqrt|\\?pi\b|[a-z](?![A-Za-z]))")
SIGNS = {"times": "*", "plus": "+", "minus": "-", "over": "/"}
LONGEST = 200
"""Most characters of an answer in words."""


def in_formulas(text: str) -> str:
    """Return an answer with what it says in words of roots, powers and products as formulas."""
    if len(text) > LONGEST or SPOKEN.search(text) is None:
        return text
    spelled = AFTER.sub(lambda found: f"{found[1]}{SMALL[found[2].lower()]}", BEFORE.sub(_digits, text))
    spelled = ROOT.sub(lambda found: f"\\sqrt{_degree(found[1])}{{{found[2]}}}", spelled)
    spelled = POWER.sub(lambda found: f"{found[1]}^{{{next(filter(None, found.groups()[1:]))}}}", spelled)
    spelled = RAISED.sub(lambda found: f"{found[1]}^{'2' if found[2] == 'squared' else '3'}", spelled)
    return OPERATOR.sub(_operator, spelled)


def _digits(found: re.Match[str]) -> str:
    return str(SMALL[found[1].lower()])


def _degree(word: str | None) -> str:
    return "[3]" if (word or "").lower() == "cube" else ""


def _operator(found: re.Match[str]) -> str:
    """Return the sign of an operation between two operands; words stay as they are: `3 boxes times 4`."""
    before = found.string[max(0, found.start() - 3) : found.start()]
    operand = re.search(r"(?:\d|[)}]|(?<![A-Za-z])[a-z]|(?<![A-Za-z])pi)$", before)
    return f" {SIGNS[found[1]]} " if operand else found.group()
