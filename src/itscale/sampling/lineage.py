"""Lineage: the stream of a trajectory, a function of what it continues and how often that was continued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itscale.seeds import digest, seed63
from itscale.types import Lineage, Message

__all__ = ["Lineages", "ends_drawn", "is_chosen", "is_cut", "is_drawn", "node_of"]

CHAT, TEXT, DRAWN, TOKEN, CUT = "chat", "text", "drawn", "token", "cut"


class Lineages:
    """Hands out lineages, so that no stream depends on timing or on what else is under way.

    Parameters
    ----------
    stream
        Entropy of the session.
    first
        Number of the first draw from anything that was not drawn itself: where a pool is drawn in parts,
        those before are others'.
    """

    def __init__(self, stream: Sequence[int], first: int = 0) -> None:
        self._stream = stream
        self._first = first
        self._continued: dict[Lineage, int] = {}

    def root(self, messages: Sequence[Message] | None, key: str) -> Lineage:
        """Return the lineage of a trajectory not yet begun; two of one chat and one key are the same."""
        if messages is None and not key:
            return ()
        chat = None if messages is None else digest([dict(message) for message in messages])[:16]
        return ((CHAT, chat or "", key),)

    def continued(self, lineage: Lineage, by: str) -> Lineage:
        """Return the lineage of the next trajectory that continues one."""
        number = self._continued.get(lineage, 0)
        self._continued[lineage] = number + 1
        return (*lineage, (DRAWN, by, number if is_drawn(lineage) else self._first + number))

    def appended(self, lineage: Lineage, text: str) -> Lineage:
        """Return the lineage of a trajectory with a text appended."""
        return (*lineage, (TEXT, digest(text)[:16]))

    def taken(self, lineage: Lineage, by: str, token_id: int) -> Lineage:
        """Return the lineage of a trajectory with a token of a model's that the strategy chose."""
        return (*lineage, (TOKEN, by, token_id))

    def cut(self, lineage: Lineage, dropped: str) -> Lineage:
        """Return the lineage of a trajectory whose last step, which a model drew, ends before a text."""
        return (*lineage[:-1], (CUT, *lineage[-1][1:], digest(dropped)[:16]))

    def draws(self, lineage: Lineage) -> int:
        """Return how often a trajectory was continued."""
        return self._continued.get(lineage, 0)

    def seed(self, lineage: Lineage) -> int:
        """Return the 63-bit seed of the generation that made a trajectory."""
        parts: list[Any] = [list(part) for part in lineage]
        return seed63(*self._stream, *parts)


def node_of(lineage: Lineage) -> int:
    """Return what names a lineage in tables: 60 bits of its digest; 0 for the problem's own chat.

    Of a million nodes in one tree, two have one name with a chance of 4 in ten million.
    """
    return int(digest([list(part) for part in lineage])[:15], 16) if lineage else 0


def is_drawn(lineage: Lineage) -> bool:
    """Return whether a model wrote anything of a trajectory: else parts of a pool would draw it alike."""
    return any(part[0] in (DRAWN, CUT) for part in lineage)


def is_chosen(lineage: Lineage) -> bool:
    """Return whether the last step of a trajectory is a token that its strategy chose."""
    return bool(lineage) and lineage[-1][0] == TOKEN


def is_cut(lineage: Lineage) -> bool:
    """Return whether the last step of a trajectory is a beginning of one that a model drew."""
    return bool(lineage) and lineage[-1][0] == CUT


def ends_drawn(lineage: Lineage) -> bool:
    """Return whether a model drew the last step of a trajectory, whole."""
    return bool(lineage) and lineage[-1][0] == DRAWN
