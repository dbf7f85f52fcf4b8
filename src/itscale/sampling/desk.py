"""The desk: every request to an engine passes it, and is charged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

from itscale.sampling.ledger import TOKEN_COUNTS, Call, Ledger, known_sum
from itscale.sampling.progress import UnitTally
from itscale.sampling.watching import Watched
from itscale.types import (
    Embedding,
    Engine,
    Generation,
    GenerationRequest,
    LogprobsEngine,
    Message,
    NextLogprobs,
    NextRequest,
    PoolingEngine,
    Problem,
    Reward,
    SamplingParams,
    Step,
    TextLogprobs,
    TextRequest,
    Trajectory,
)

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
        self,
        trajectory: Trajectory,
        params: SamplingParams,
        seeds: list[int],
        by: str,
        used: list[int],
        on_loss: Callable[[Watched, BaseException], None] = lambda watched, error: None,
    ) -> list[Generation]:
        """Continue a trajectory once for each seed, and charge that to the model that writes.

        Parameters
        ----------
        used
            Where the tokens that were generated are noted, those of a request that was broken off, too.
        on_loss
            Called where the request is broken off, with what its engine had told of it, and why.
        """
        with Watched(self.tally, whole=not params.stop) as watched:
            request = GenerationRequest(
                problem=self.problem,
                messages=_chat(trajectory),
                prefix=self._readable(trajectory.steps, by),
                params=params,
                seeds=tuple(seeds),
                on_tokens=watched.tell,
                on_prompt=watched.read,
                on_end=watched.end,
                on_waste=partial(self._waste, "generate", by),
            )
            try:
                made = await self.engines[by].generate(request)
            except BaseException as error:  # cancelled, or failed in the middle
                on_loss(watched, error)
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

    async def rewards(self, trajectories: Sequence[Trajectory], by: str) -> list[Reward]:
        """Return a model's reward of each trajectory, and charge to it the tokens that it read."""
        rewards = await cast("PoolingEngine", self.engines[by]).rewards(
            list(trajectories), on_waste=partial(self._waste, "score", by)
        )
        self._charge(
            "score",
            by,
            sequences=len(rewards),
            prompt_tokens=known_sum(one.prompt_tokens for one in rewards),
            cached_prompt_tokens=known_sum(one.cached_prompt_tokens for one in rewards),
        )
        return rewards

    async def logprobs(self, trajectory: Trajectory, scored: Sequence[Step], by: str) -> TextLogprobs:
        """Return a model's log-probabilities of steps that follow a trajectory, and charge what it reads."""
        engine, told = cast("LogprobsEngine", self.engines[by]), _Told()
        request = TextRequest(
            problem=self.problem,
            messages=_chat(trajectory),
            prefix=self._readable(trajectory.steps, by),
            scored=self._readable(scored, by),
            on_prompt=told,
            on_waste=partial(self._reading_wasted, told, "logprobs", by),
        )
        with self._charged("logprobs", by, told):
            told.answer = found = await engine.logprobs(request)
        return found

    async def next_logprobs(self, trajectory: Trajectory, top: int | None, by: str) -> NextLogprobs:
        """Return a model's log-probabilities of the token after a trajectory, and charge what it reads."""
        engine, told = cast("LogprobsEngine", self.engines[by]), _Told()
        with self._charged("next_logprobs", by, told):
            told.answer = found = await engine.next_logprobs(self._next(trajectory, top, by, told))
        return found

    async def spell(self, trajectory: Trajectory, token_id: int, by: str) -> str:
        """Return what a token of a model would add to the text of a trajectory."""
        request = self._next(trajectory, None, by, _Told())
        return storable(await cast("LogprobsEngine", self.engines[by]).spell(request, token_id))

    def spells(self, by: str) -> bool:
        """Return whether a model's engine can say what a token would add to a text."""
        engine = self.engines[by]
        return bool(getattr(engine, "spells", callable(getattr(engine, "spell", None))))

    def _next(self, trajectory: Trajectory, top: int | None, by: str, told: _Told) -> NextRequest:
        return NextRequest(
            problem=self.problem,
            messages=_chat(trajectory),
            prefix=self._readable(trajectory.steps, by),
            top=top,
            on_prompt=told,
            on_waste=partial(self._reading_wasted, told, "next_logprobs", by),
        )

    @contextmanager
    def _charged(self, call: Call, by: str, told: _Told) -> Iterator[None]:
        """Charge a reading by what was answered, or, if that never came, by what the engine told before."""
        began, failed = self.tally.begin(), False
        try:
            yield
        except Exception:  # to be cancelled is none
            failed = True
            raise
        finally:
            generated = 0 if told.answer is None else told.answer.generated_tokens or 0
            self.tally.generate(generated)
            self.tally.end(generated, began, whole=False)
            if (spent := told.spent()) is not None:
                self._charge(call, by, sequences=1, failed=failed, **spent)

    def _reading_wasted(self, told: _Told, call: Call, by: str, *counts: int) -> None:
        """Charge a reply to a reading that is of no use, and so not what was told of it as it began."""
        told.forget()
        self._waste(call, by, *counts)

    def _waste(self, call: Call, by: str, prompt: int, cached: int, generated: int) -> None:
        """Charge what a server states of a reply that is of no use."""
        spent = {"prompt_tokens": prompt, "cached_prompt_tokens": cached, "generated_tokens": generated}
        calls = int(prompt > 0)  # else it is a part of a reply that is used
        self._charge(call, by, calls=calls, sequences=0, failed=True, **spent)

    def _readable(self, steps: Sequence[Step], by: str) -> tuple[Step, ...]:
        """Return steps as a model reads them: the tokens of another tokenizer mean nothing to it."""
        mine = getattr(self.engines[by], "tokenizer", "")

        def known(step: Step) -> bool:
            theirs = getattr(self.engines.get(step.by), "tokenizer", "")
            return step.by == by or bool(mine and theirs == mine)

        return tuple(
            step if known(step) or not step.token_ids else replace(step, token_ids=()) for step in steps
        )

    async def embed(self, texts: Sequence[str], by: str) -> list[Embedding]:
        """Return a model's embedding of each text, and charge to it the tokens that it read."""
        made = await cast("PoolingEngine", self.engines[by]).embed(
            list(texts), on_waste=partial(self._waste, "embed", by)
        )
        read = known_sum(one.prompt_tokens for one in made)
        self._charge("embed", by, sequences=len(made), prompt_tokens=read)
        return made

    def _charge(self, call: Call, by: str, **spent: Any) -> None:
        self._ledger.charge(call, by or self._model, scorer=self._scorer, **spent)


class _Told:
    """What an engine tells of a reading: its prompt when it begins, all the rest in its answer."""

    def __init__(self) -> None:
        self.answer: TextLogprobs | NextLogprobs | None = None
        self._prompt: tuple[int, int] | None = None

    def __call__(self, prompt: int, cached: int) -> None:
        self._prompt = prompt, cached

    def forget(self) -> None:
        """Begin anew: what was told is charged."""
        self._prompt = None

    def spent(self) -> dict[str, Any] | None:
        """Return what it cost, as a ledger takes it; None if it had not begun."""
        if self.answer is not None:
            return {name: getattr(self.answer, name) for name in (*TOKEN_COUNTS, "seconds")}
        return None if self._prompt is None else dict(zip(TOKEN_COUNTS, (*self._prompt, 0), strict=True))


def _chat(trajectory: Trajectory) -> tuple[Message, ...] | None:
    """Return the chat of a trajectory that has one of its own, as an engine may change it."""
    return None if trajectory.messages is None else tuple(map(dict, trajectory.messages))


def storable(text: str) -> str:
    """Return a text that can be stored: what a server writes may hold halves of characters (surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
