"""Lineage: the stream of a trajectory, a function of what it continues and how often that was continued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itscale.seeds import digest, seed63
from itscale.types import Message

__all__ = ["Lineage", "Lineages", "order"]

Lineage = tuple[int | str, ...]
"""The chat a trajectory began with (nothing, if it is the problem's own), then for each step how often its
prefix had been continued before, or a digest of the text that was appended."""


class Lineages:
    """Hands out lineages, so that no stream depends on timing or on what else is under way.

    Parameters
    ----------
    stream
        Entropy of the session.
    first
        Number of the first continuation of a chat: where a pool is drawn in parts, those before are others'.
    """

    def __init__(self, stream: Sequence[int], first: int = 0) -> None:
        self._stream = stream
        self._first = first
        self._continued: dict[Lineage, int] = {}

    def root(self, messages: Sequence[Message] | None, key: str) -> Lineage:
        """Return the lineage of a trajectory not yet begun; two of one chat and one key are the same."""
        if messages is None:
            return (key,) if key else ()
        return (digest([[dict(message) for message in messages], key])[:16],)

    def continued(self, lineage: Lineage, by: str) -> Lineage:
        """Return the lineage of the next trajectory that continues one."""
        number = self._continued.get(lineage, 0)
        self._continued[lineage] = number + 1
        first = self._first if _is_root(lineage) else 0
        return (*lineage, f"{by}:{first + number}" if by else first + number)

    def appended(self, lineage: Lineage, text: str) -> Lineage:
        """Return the lineage of a trajectory with a text appended."""
        return (*lineage, digest(text)[:16])

    def draws(self, lineage: Lineage) -> int:
        """Return how often a trajectory was continued."""
        return self._continued.get(lineage, 0)

    def seed(self, lineage: Lineage) -> int:
        """Return the 63-bit seed of the generation that made a trajectory."""
        return seed63(*self._stream, *lineage)


def _is_root(lineage: Lineage) -> bool:
    return len(lineage) < 2 and not any(isinstance(part, int) for part in lineage)


def order(lineage: Lineage) -> list[tuple[bool, Any]]:
    """Return a key that sorts lineages: ancestors first, the problem's own chat before others."""
    return [(isinstance(part, str), part) for part in lineage]
