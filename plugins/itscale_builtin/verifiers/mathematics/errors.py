"""Reasons why an answer has no value."""

from __future__ import annotations

__all__ = ["TooLargeError", "UnreadableError"]


class UnreadableError(ValueError):
    """The text is no number and no plain expression."""


class TooLargeError(UnreadableError):
    """The value, or what stands on the way to it, exceeds the bounds."""
