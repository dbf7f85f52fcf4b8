"""What reward models and models of embeddings say of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from itscale.types.completions import Trajectory

__all__ = ["Embedding", "OnWaste", "PoolingEngine", "Reward", "ignored"]

OnWaste = Callable[[int, int, int], None]
"""Called as `on_waste` of a `GenerationRequest` is: with tokens read, of them cached, and generated."""


def ignored(prompt: int, cached: int, generated: int) -> None:
    """Tell nobody what came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What a reward model says of a trajectory, all of it from one pass.

    Attributes
    ----------
    whole
        Reward of the trajectory as it stands, in [0, 1]; None of a model that has no word for it.
    steps
        Reward of each of its steps, in [0, 1]; () of a model that knows no steps.
    prompt_tokens, cached_prompt_tokens
        Tokens that the model read, by its own tokenizer, and how many of them came from a prefix cache; None
        where nobody counted them.
    """

    whole: float | None = None
    steps: tuple[float, ...] = ()
    prompt_tokens: int | None
    cached_prompt_tokens: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A text as a vector.

    Attributes
    ----------
    vector
        As many finite numbers for every text of a model.
    prompt_tokens
        Tokens that the model read; None where nobody counted them.
    """

    vector: tuple[float, ...]
    prompt_tokens: int | None


class PoolingEngine(Protocol):
    """What an engine has beyond `Engine` if it offers rewards or embeddings: the methods of these.

    `on_waste` is told of the tokens of replies that are of no use: they are charged beside what is returned.
    """

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the reward of each trajectory as it stands: the whole, its steps, or both."""
        ...

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embedding of each text."""
        ...
