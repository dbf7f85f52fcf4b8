"""The desk: every request to an engine passes it, and is charged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from itscale.sampling.ledger import Call, Ledger
from itscale.sampling.progress import UnitTally
from itscale.sampling.watching import Watched
from itscale.types import Engine, Generation, GenerationRequest, Problem, SamplingParams, Step, Trajectory

__all__ = ["Desk", "storable"]


class Desk:
    """Asks the engines of a unit's models, and keeps its ledger.

    Parameters
    ----------
    problem
        What all requests are about.
    engines
        By label; that of the model that is sampled by the empty one.
    model
        The label of the model that is sampled.
    ledger
        What is charged.
    tally
        Where what is generated is counted while it is.
    scorer
        Label of the scorer that asks; empty where the strategy does.
    """

    def __init__(
        self,
        problem: Problem,
        engines: Mapping[str, Engine],
        model: str,
        ledger: Ledger,
        tally: UnitTally,
        scorer: str = "",
    ) -> None:
        self.engines = engines
        self.problem = problem
        self._model = model
        self._ledger = ledger
        self._scorer = scorer
        self.tally = tally

    async def generate(
        self, trajectory: Trajectory, params: SamplingParams, seeds: list[int], by: str, used: list[int]
    ) -> list[Generation]:
        """Continue a trajectory once for each seed, and charge that to the model that writes.

        Parameters
        ----------
        used
            Where the tokens that were generated are noted, those of a request that was broken off, too.
        """

        def waste(prompt: int, cached: int, generated: int) -> None:
            spent = {"prompt_tokens": prompt, "cached_prompt_tokens": cached, "generated_tokens": generated}
            calls = int(prompt > 0)  # else it is a part of a reply that is used
            self._charge("generate", by, calls=calls, sequences=0, failed=True, **spent)

        with Watched(self.tally, whole=not params.stop) as watched:
            request = GenerationRequest(
                problem=self.problem,
                messages=None if trajectory.messages is None else tuple(map(dict, trajectory.messages)),
                prefix=tuple(_readable(step, by) for step in trajectory.steps),
                params=params,
                seeds=tuple(seeds),
                on_tokens=watched.tell,
                on_prompt=watched.read,
                on_end=watched.end,
                on_waste=waste,
            )
            try:
                made = await self.engines[by].generate(request)
            except BaseException as error:  # cancelled, or failed in the middle
                failed = not isinstance(error, asyncio.CancelledError)
                spent = watched.spent()
                generated = spent["generated_tokens"]
                # Of what nobody counted, all that was asked for may have been generated.
                used.append(params.max_tokens * len(seeds) if generated is None else generated)
                if watched.told:
                    self._charge("generate", by, sequences=len(seeds), failed=failed, **spent)
                raise
            for place, one in enumerate(made):  # what the engine did not tell before
                watched.tell(place, one.tokens - watched.told.get(place, 0))
                watched.end(place)
        generated = sum(one.tokens for one in made)
        used.append(generated)
        counted = all(one.counted for one in made)
        self._charge(
            "generate",
            by,
            sequences=len(made),
            prompt_tokens=sum(one.prompt_tokens for one in made) if counted else None,
            cached_prompt_tokens=sum(one.cached_prompt_tokens for one in made) if counted else None,
            generated_tokens=generated if counted else None,
            seconds=sum(one.seconds for one in made),
        )
        return made

    async def rewards(
        self, trajectories: Sequence[Trajectory], by: str, prompt_tokens: int | None
    ) -> list[float]:
        """Return a model's reward of each trajectory, and charge to it the tokens that it reads."""
        rewards = await self.engines[by].score(list(trajectories))
        self._charge("score", by, sequences=len(trajectories), prompt_tokens=prompt_tokens)
        return rewards

    def _charge(self, call: Call, by: str, **spent: Any) -> None:
        self._ledger.charge(call, by or self._model, scorer=self._scorer, **spent)


def _readable(step: Step, by: str) -> Step:
    """Return a step as a model reads it: another model's tokens mean nothing to it."""
    return step if step.by == by or not step.token_ids else replace(step, token_ids=())


def storable(text: str) -> str:
    """Return a text that can be stored: what a server writes may hold halves of characters (surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
