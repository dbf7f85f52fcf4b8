"""Chats that strategies make: turns that an engine can be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from itscale.plugins.place import Place, textual
from itscale.types import Message

__all__ = ["own_chat"]


def own_chat(place: Place, what: str, messages: Any, problem: str) -> tuple[Message, ...]:
    """Return a copy of a chat, which whoever made it cannot change.

    Raises
    ------
    ContractError
        If it is none: each turn needs a role and a content that are texts.
    """
    expected = "turns, each with a role and a content that are texts"
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence) or not messages:
        raise place.broken(what, messages, expected, problem)
    for turn in messages:
        if not isinstance(turn, Mapping) or not all(textual(turn.get(name)) for name in ("role", "content")):
            raise place.broken(what, turn, expected, problem)
    return tuple(dict(turn) for turn in messages)
