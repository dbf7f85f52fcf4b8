"""Checks of what pooling models say: rewards of trajectories and their steps, embeddings of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itscale.plugins.place import Place, Shown, is_count, real
from itscale.types import Embedding, Reward, Trajectory

__all__ = ["checked_embeddings", "checked_rewards"]


def checked_rewards(place: Place, given: Any, trajectories: Sequence[Trajectory]) -> list[Reward]:
    """Return a reward of each trajectory.

    Raises
    ------
    ContractError
        On anything but a Reward for each, with numbers in [0, 1], one a step or none at all.
    """
    what = "rewards()"
    rewards = place.as_many(what, "rewards", given, (len(trajectories), "trajectories"))
    return [_reward(place, what, one, about) for one, about in zip(rewards, trajectories, strict=True)]


def _reward(place: Place, what: str, one: Any, trajectory: Trajectory) -> Reward:
    problem = trajectory.problem.problem_id
    if not isinstance(one, Reward):
        raise place.broken(what, one, "a Reward for each trajectory", problem)
    if not isinstance(one.steps, Sequence) or isinstance(one.steps, str):
        raise place.broken(f"{what}: steps", one.steps, "a tuple of numbers", problem)
    begun = len(trajectory.steps)
    if len(one.steps) not in (0, begun):
        raise place.broken(f"{what}: steps", Shown(f"{len(one.steps)}"), f"one for each of {begun}", problem)
    if one.whole is None and not one.steps and begun:
        raise place.broken(what, one, "a number for the whole, or for each step", problem)
    steps = [_unit(place, f"{what}: steps", number, problem) for number in one.steps]
    read = _counted(place, f"{what}: prompt_tokens", one.prompt_tokens, problem)
    cached = _counted(place, f"{what}: cached_prompt_tokens", one.cached_prompt_tokens, problem)
    if read is not None and cached is not None and cached > read:
        expected = f"at most the {read} of the prompt"
        raise place.broken(f"{what}: cached_prompt_tokens", cached, expected, problem)
    return Reward(
        whole=None if one.whole is None else _unit(place, f"{what}: whole", one.whole, problem),
        steps=tuple(steps),
        prompt_tokens=read,
        cached_prompt_tokens=cached,
    )


def checked_embeddings(
    place: Place, given: Any, texts: Sequence[str], length: int | None = None
) -> list[Embedding]:
    """Return an embedding of each text.

    Parameters
    ----------
    length
        That of vectors of earlier calls.

    Raises
    ------
    ContractError
        On anything but an Embedding for each, all of one length and of finite numbers.
    """
    what = "embed()"
    made = place.as_many(what, "embeddings", given, (len(texts), "texts"))
    found = [_embedding(place, what, one) for one in made]
    lengths = {len(one.vector) for one in found} | ({length} if length else set())
    if len(lengths) > 1:
        raise place.broken(f"{what}: vector", Shown(f"lengths {sorted(lengths)}"), "vectors of one length")
    return found


def _embedding(place: Place, what: str, one: Any) -> Embedding:
    if not isinstance(one, Embedding):
        raise place.broken(what, one, "an Embedding for each text")
    if not isinstance(one.vector, Sequence) or isinstance(one.vector, str) or not one.vector:
        raise place.broken(f"{what}: vector", one.vector, "a tuple of numbers")
    numbers = [real(number) for number in one.vector]
    if None in numbers:
        raise place.broken(f"{what}: vector", one.vector[numbers.index(None)], "a finite number")
    vector = tuple(number for number in numbers if number is not None)
    return Embedding(
        vector=vector, prompt_tokens=_counted(place, f"{what}: prompt_tokens", one.prompt_tokens)
    )


def _unit(place: Place, what: str, found: Any, problem: str) -> float:
    number = real(found)
    if number is None or not 0 <= number <= 1:
        raise place.broken(what, found, "a reward in [0, 1]", problem)
    return number


def _counted(place: Place, what: str, found: Any, problem: str | None = None) -> int | None:
    if found is not None and not is_count(found):
        raise place.broken(what, found, "a whole number, or None where nobody counted", problem)
    return None if found is None else int(found)
