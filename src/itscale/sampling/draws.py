"""Draws: the requests of one call of a strategy, together, and what becomes of those that end early."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from itscale.sampling.desk import Desk
from itscale.sampling.tree import Lost, Tree
from itscale.sampling.watching import Watched
from itscale.types import FinishReason, Generation, Lineage, SamplingParams, Trajectory

__all__ = ["Draw", "draw_together", "ending"]


@dataclass
class Draw:
    """One request: a trajectory continued as often as it was named in a call, each time by a step.

    Attributes
    ----------
    parent
        What is continued.
    by
        Label of the helper model that writes; empty for the model that is sampled.
    places
        Where in the call it was named.
    lineages, seeds
        What each of the continuations is, and its random stream.
    tokens
        Most tokens of each.
    made
        What was generated, when it is.
    """

    parent: Trajectory
    by: str
    places: list[int] = field(default_factory=list)
    lineages: list[Lineage] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    tokens: int = 0
    made: list[Generation] = field(default_factory=list)

    async def ask(self, desk: Desk, tree: Tree, params: SamplingParams, used: list[int]) -> None:
        """Ask for all continuations; what is broken off is noted in the tree, with what it was charged."""

        def lose(watched: Watched, error: BaseException) -> None:
            spent = watched.spent()
            counted = spent["generated_tokens"] is not None
            tokens = [watched.told.get(place, 0) if counted else None for place in range(len(self.seeds))]
            self._lose(tree, tokens, spent["prompt_tokens"], isinstance(error, asyncio.CancelledError))

        params = replace(params, max_tokens=self.tokens)
        self.made = await desk.generate(self.parent, params, self.seeds, self.by, used, lose)

    def drop(self, tree: Tree) -> None:
        """Note in the tree what was generated beside a request that ended the call early."""
        counted = all(one.counted for one in self.made)
        tokens = [one.tokens if counted else None for one in self.made]
        prompt = sum(one.prompt_tokens for one in self.made) if counted else None
        self._lose(tree, tokens, prompt, cancelled=True)

    def _lose(self, tree: Tree, tokens: list[int | None], prompt: int | None, cancelled: bool) -> None:
        for place, (lineage, generated) in enumerate(zip(self.lineages, tokens, strict=False)):
            read = prompt if place == 0 or prompt is None else 0
            tree.lost[lineage] = Lost(self.parent, self.by, cancelled, read, generated)


async def draw_together(
    draws: Iterable[Draw], desk: Desk, tree: Tree, params: SamplingParams, used: list[int]
) -> None:
    """Ask for all draws at once; one that fails takes the others along.

    Parameters
    ----------
    used
        Where the tokens that were generated are noted, those of requests that were broken off, too.
    """
    draws = list(draws)
    try:
        async with asyncio.TaskGroup() as group:
            for draw in draws:
                group.create_task(draw.ask(desk, tree, params, used))
    except BaseException as error:
        for draw in draws:
            if draw.made:
                draw.drop(tree)
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None
        raise


def ending(made: Generation, params: SamplingParams, room: int, *, whole: bool) -> FinishReason | None:
    """Return why nothing is left to generate after a step; None if something is.

    Parameters
    ----------
    room
        Tokens that its trajectory could still have before it.
    whole
        Whether it was given all the tokens that the parameters and the trajectory's limit allow.
    """
    if made.finish_reason in ("eos", "filtered"):
        return made.finish_reason
    if not (made.tokens or made.text):  # nothing can come after nothing, however often it is asked for
        return "length"
    if made.finish_reason == "length" and not whole and not params.stop:
        return "budget"
    if made.tokens >= room or (made.finish_reason == "length" and params.max_tokens >= room):
        return "length"
    return None
