"""What strategies and scorers ask with: chats, keys and parameters that an engine can be sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from itscale.plugins.place import Place, is_count, is_number, textual
from itscale.types import Message, SamplingParams, Trajectory

__all__ = ["own_chat", "own_key", "own_params", "own_trajectories"]


def own_chat(place: Place, what: str, messages: Any, problem: str) -> tuple[Message, ...]:
    """Return a copy of a chat, which nobody can change.

    Raises
    ------
    ContractError
        If it is none: each turn needs a role and a content that are texts; whatever else it has is JSON.
    """
    expected = "turns, each with a role and a content that are texts"
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence) or not messages:
        raise place.broken(f"{what}: messages", messages, expected, problem)
    for turn in messages:
        if not isinstance(turn, Mapping) or not all(textual(turn.get(name)) for name in ("role", "content")):
            raise place.broken(f"{what}: messages", turn, expected, problem)
        try:
            json.dumps(dict(turn)).encode()
        except (TypeError, ValueError, RecursionError):
            raise place.broken(f"{what}: messages", turn, "a turn of JSON values", problem) from None
    return tuple(MappingProxyType(json.loads(json.dumps(dict(turn)))) for turn in messages)


def own_key(place: Place, what: str, key: Any, problem: str) -> str:
    """Return a key; ContractError if it is no text."""
    if not textual(key):
        raise place.broken(f"{what}: key", key, "a text", problem)
    return str(key)


def own_params(place: Place, what: str, params: Any, problem: str) -> SamplingParams:
    """Return parameters of sampling; ContractError if one of them cannot be."""
    if not isinstance(params, SamplingParams):
        raise place.broken(f"{what}: params", params, "SamplingParams", problem)

    def within(value: Any, low: float, high: float) -> bool:
        return is_number(value) and low <= value <= high

    stops = params.stop
    texts = isinstance(stops, tuple) and all(textual(stop) and stop for stop in stops)
    checked = (
        ("max_tokens", is_count(params.max_tokens, 1), "a whole number, at least 1"),
        ("temperature", is_number(params.temperature) and params.temperature >= 0, "a number, at least 0"),
        ("top_p", within(params.top_p, 0, 1) and params.top_p > 0, "a number in (0, 1]"),
        ("top_k", is_count(params.top_k), "a whole number, at least 0"),
        ("min_p", within(params.min_p, 0, 1), "a number in [0, 1]"),
        ("stop", texts, "a tuple of texts that are not empty"),
        ("confidence_top", is_count(params.confidence_top), "a whole number, at least 0"),
    )
    for name, right, expected in checked:
        if not right:
            raise place.broken(f"{what}: params.{name}", getattr(params, name), expected, problem)
    return params


def own_trajectories(place: Place, what: str, given: Any, problem: str) -> list[Trajectory]:
    """Return trajectories in a list, of a generator too; ContractError if they are anything else."""
    expected = "a list of trajectories"
    if isinstance(given, Trajectory | str | Mapping) or not isinstance(given, Iterable):
        raise place.broken(what, given, expected, problem)
    trajectories = list(given)
    for one in trajectories:
        if not isinstance(one, Trajectory):
            raise place.broken(what, one, expected, problem)
    return trajectories
