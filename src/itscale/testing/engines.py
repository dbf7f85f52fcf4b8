"""The contract of an engine: as many generations as seeds, honest counts, and exact continuation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest

from itscale.boundary import CheckedEngine
from itscale.testing.entries import EntryContract, kept_word
from itscale.types import (
    Embedding,
    Engine,
    Generation,
    GenerationRequest,
    NextLogprobs,
    NextRequest,
    Problem,
    Reward,
    SamplingParams,
    Step,
    TextLogprobs,
    TextRequest,
    Trajectory,
)

__all__ = ["EngineContract"]

T = TypeVar("T")


def _problem(number: int = 0) -> Problem:
    return Problem(
        problem_id=f"engine-contract-{number}",
        messages=({"role": "user", "content": f"Count from {number} to {number + 5}."},),
        reference=str(number + 5),
    )


class EngineContract(EntryContract):
    """Tests of an engine.

    Attributes
    ----------
    model_directory
        Where the prepared model lies, if the engine needs one.
    params
        How to sample in the tests: keep `max_tokens` small for a real model.
    rereads
        Whether a request of several seeds reads its prompt for each of them, as where a server is asked once
        for every seed: then it is charged with every generation.
    """

    model_directory: ClassVar[Path | None] = None
    params: ClassVar[SamplingParams] = SamplingParams(max_tokens=64, stop=("\n\n",))
    rereads: ClassVar[bool] = False

    def make(self, seed: int = 0) -> Engine:
        """Return the engine."""
        engine: Engine = self.entry.factory(self.validated(), seed=seed, model_directory=self.model_directory)
        return engine

    def use(self, work: Callable[[Engine], Awaitable[T]]) -> T:
        """Run `work` with an engine in a loop of its own, and close the engine."""

        async def run() -> T:
            engine = self.make()
            try:
                return await work(engine)
            finally:
                await engine.close()

        return asyncio.run(run())

    def request(self, *seeds: int, problem: int = 0, **changes: Any) -> GenerationRequest:
        """Return a request for one generation per seed."""
        asked: dict[str, Any] = {"problem": _problem(problem), "prefix": (), "params": self.params}
        return GenerationRequest(**{**asked, **changes}, seeds=seeds)

    def test_it_offers_what_its_entry_says(self) -> None:
        """The study is checked against the entry, long before there is an engine."""
        engine = self.make()
        with kept_word():
            CheckedEngine(engine, self.place())
        assert self.entry.offers <= engine.offers
        assert engine.seed_scope in ("completion", "block")
        assert isinstance(engine.simulated, bool)
        asyncio.run(engine.close())

    def test_one_generation_per_seed(self) -> None:
        """In order, each within the limit and with a reason for its end."""
        generations = self.use(lambda engine: engine.generate(self.request(*range(8))))
        assert len(generations) == 8
        for generation in generations:
            self._check_generation(generation)

    def _check_generation(self, generation: Generation) -> None:
        assert generation.finish_reason in ("eos", "stop", "length", "filtered")
        assert 0 <= generation.tokens <= self.params.max_tokens
        if generation.finish_reason == "length":
            assert generation.tokens == self.params.max_tokens
        if generation.finish_reason == "stop":
            assert generation.text.endswith(self.params.stop)
        assert len(generation.token_ids) <= generation.tokens
        assert 0 <= generation.cached_prompt_tokens <= generation.prompt_tokens
        assert generation.context_tokens > 0
        assert generation.seconds >= 0
        if "generated_logprobs" in self.entry.offers:
            assert generation.logprob is not None
        if generation.logprob is not None:
            assert generation.logprob <= 0

    def test_it_says_how_sure_it_was(self) -> None:
        """Asked for a confidence, it gives one, and generates what it would have."""
        if "generated_confidences" not in self.entry.offers:
            pytest.skip("this engine does not say how sure it is")
        asked = replace(self.params, confidence_top=2)
        first, second = self.use(lambda engine: engine.generate(self.request(1, 2, params=asked)))
        assert (first.confidence or 0) >= 0
        assert second.confidence is not None
        if self._scope() == "completion":
            plain = self.use(lambda engine: engine.generate(self.request(1, 2)))
            assert [one.text for one in plain] == [first.text, second.text]
            assert [one.confidence for one in plain] == [None, None]

    def test_a_study_believes_its_generations(self) -> None:
        """Counts, log-probabilities and reasons are checked as they come."""

        async def work(engine: Engine) -> None:
            with kept_word():
                await CheckedEngine(engine, self.place()).generate(self.request(*range(4)))

        self.use(work)

    def test_the_prompt_is_charged_once(self) -> None:
        """The prompt is computed once for all completions of a request, unless the engine `rereads` it."""
        first, *others = self.use(lambda engine: engine.generate(self.request(*range(4))))
        assert first.prompt_tokens == first.context_tokens
        again = first.prompt_tokens if self.rereads else 0
        assert [generation.prompt_tokens for generation in others] == [again] * 3
        assert {generation.context_tokens for generation in others} == {first.context_tokens}

    def test_different_seeds_differ(self) -> None:
        """Sixteen completions of one problem at temperature 1 are not all the same."""
        generations = self.use(lambda engine: engine.generate(self.request(*range(16))))
        assert len({(generation.text, generation.logprob) for generation in generations}) > 1

    def test_equal_seeds_give_equal_generations(self) -> None:
        """Whatever else is in flight, however the seeds are spread over requests."""

        async def work(engine: Engine) -> tuple[list[Generation], list[list[Generation]]]:
            alone = await engine.generate(self.request(11, 12))
            crowd = [self.request(*range(5), problem=other) for other in range(1, 6)]
            wanted = [self.request(12), self.request(11)]
            found = await asyncio.gather(*(engine.generate(request) for request in [*crowd, *wanted]))
            return alone, found[-2:]

        if self._scope() == "block":
            pytest.skip("this engine is seeded as a whole")
        alone, (twelve, eleven) = self.use(work)
        assert [one.text for one in alone] == [eleven[0].text, twelve[0].text]
        assert [one.tokens for one in alone] == [eleven[0].tokens, twelve[0].tokens]
        assert [one.finish_reason for one in alone] == [eleven[0].finish_reason, twelve[0].finish_reason]

    def _scope(self) -> str:
        engine = self.make()
        scope: str = engine.seed_scope
        asyncio.run(engine.close())
        return scope

    def test_a_continuation_reads_its_prefix(self) -> None:
        """A continuation's prompt is the problem's and every token of the prefix: nothing is re-tokenised."""
        if "continue" not in self.entry.offers:
            pytest.skip("this engine cannot continue")

        async def work(engine: Engine) -> list[tuple[int, Generation]]:
            prefix: tuple[Step, ...] = ()
            seen = []
            for node in range(1, 5):
                (found,) = await engine.generate(self.request(node, prefix=prefix))
                seen.append((sum(step.tokens for step in prefix), found))
                if found.finish_reason == "eos":
                    break
                step = Step(
                    text=found.text,
                    token_ids=found.token_ids,
                    tokens=found.tokens,
                    logprob=found.logprob,
                    node=node,
                )
                prefix = (*prefix, step)
            return seen

        for before, generation in self.use(work):
            assert generation.prompt_tokens == generation.context_tokens + before
            self._check_generation(generation)

    def test_next_tokens_are_a_distribution(self) -> None:
        """All of them add up to 1, and the most probable ones are the first when some are asked for."""
        if "next_logprobs" not in self.entry.offers:
            pytest.skip("this engine does not say how probable next tokens are")

        async def work(engine: Engine) -> tuple[NextLogprobs, NextLogprobs]:
            checked = CheckedEngine(engine, self.place())
            request = NextRequest(problem=_problem())
            with kept_word():
                return await checked.next_logprobs(request), await checked.next_logprobs(
                    replace(request, top=2)
                )

        whole, best = self.use(work)
        assert whole.full
        assert np.exp(whole.logprobs).sum() == pytest.approx(1, abs=1e-3)
        assert len(best.token_ids) == 2
        assert np.sort(best.logprobs) == pytest.approx(np.sort(whole.logprobs)[-2:], abs=1e-3)

    def test_a_text_is_as_probable_as_its_tokens(self) -> None:
        """The first token of a text has the log-probability that it had as the next one."""
        if not {"logprobs", "next_logprobs"} <= self.entry.offers:
            pytest.skip("this engine gives no log-probabilities of both")

        async def work(engine: Engine) -> tuple[float, TextLogprobs]:
            checked = CheckedEngine(engine, self.place())
            request = NextRequest(problem=_problem(), top=1)
            with kept_word():
                found = await checked.next_logprobs(request)
                token = int(found.token_ids[0])
                text = found.texts[0] if found.texts else await checked.spell(request, token)
                step = Step(text=text, token_ids=(token,), tokens=1, logprob=None, node=1)
                return float(found.logprobs[0]), await checked.logprobs(
                    TextRequest(problem=_problem(), scored=(step,))
                )

        expected, text = self.use(work)
        assert text.logprobs == pytest.approx((expected,), abs=1e-3)

    def begun(self) -> list[Trajectory]:
        """Return trajectories of one problem: of one step, of two, and of the same text in one."""
        problem = _problem()
        first, second = "First 0, then 1.\n\n", "At last 5."

        def after(before: Trajectory, text: str, node: int) -> Trajectory:
            step = Step(text=text, tokens=len(text.split()), logprob=None, node=node)
            return Trajectory(problem.question, before, step)

        fresh = Trajectory(problem.question)
        short = after(fresh, first, 1)
        return [short, after(short, second, 2), after(fresh, first + second, 3)]

    def test_rewards_are_what_it_says_it_gives(self) -> None:
        """Of the whole, of each step or both, in [0, 1], the same in any company, with the tokens read."""
        if not self.entry.offers & {"rewards", "step_rewards"}:
            pytest.skip("this engine gives no rewards")
        given = self.begun()

        async def work(engine: Engine) -> tuple[list[Reward], list[Reward]]:
            checked = CheckedEngine(engine, self.place())
            with kept_word():
                return await checked.rewards(given), await checked.rewards(given[:0:-1])

        together, others = self.use(work)
        for trajectory, reward in zip(given, together, strict=True):
            assert ("rewards" in self.entry.offers) == (reward.whole is not None)
            steps = len(trajectory.steps) if "step_rewards" in self.entry.offers else 0
            assert len(reward.steps) == steps
            assert reward.prompt_tokens is None or reward.prompt_tokens > 0
        for one, again in zip(together[:0:-1], others, strict=True):
            assert one.steps == pytest.approx(again.steps, abs=1e-3)

    def test_embeddings_are_of_one_length(self) -> None:
        """One for each text, the same for equal texts."""
        if "embed" not in self.entry.offers:
            pytest.skip("this engine embeds nothing")

        async def work(engine: Engine) -> list[Embedding]:
            with kept_word():
                return await CheckedEngine(engine, self.place()).embed(["one text", "another", "one text"])

        first, other, again = self.use(work)
        assert first.vector == pytest.approx(again.vector, abs=1e-3)
        assert first.vector != other.vector

    def test_closing_twice_is_closing_once(self) -> None:
        """A job that fails while it closes its engine may close it again."""

        async def run() -> None:
            engine = self.make()
            await engine.close()
            await engine.close()

        asyncio.run(run())
