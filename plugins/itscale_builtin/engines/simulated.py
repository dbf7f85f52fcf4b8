"""A model whose truth is known: for tests, power analysis and dry runs; labelled in every figure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import scipy
from pydantic import Field

from itscale.plugins import EngineEntry, Options
from itscale.seeds import generator
from itscale.types import (
    Capability,
    Embedding,
    Generation,
    GenerationRequest,
    Message,
    NextLogprobs,
    NextRequest,
    OnWaste,
    Problem,
    ReadRequest,
    Reward,
    SamplingParams,
    Step,
    TextLogprobs,
    TextRequest,
    Trajectory,
    ignored,
)
from itscale_builtin.engines._sentences import ANSWER, DELIMITER, END, RIGHT, WRONG, Writer

OFFERS: frozenset[Capability] = frozenset(
    {
        "generate",
        "continue",
        "generated_logprobs",
        "generated_confidences",
        "logprobs",
        "next_logprobs",
        "rewards",
        "step_rewards",
        "embed",
    }
)
DIMENSIONS = 16  # of an embedding
TICK = 0.05  # seconds between two looks at the clock


class Beta(Options):
    """How success probabilities are spread over problems: Beta(a, b), with a share of problems at 0."""

    a: float = Field(default=0.5, ge=1e-6, le=1e6)
    """First shape parameter: the exponent of the coverage law."""
    b: float = Field(default=2.0, ge=1e-6, le=1e6)
    """Second shape parameter."""
    unsolvable: float = Field(default=0.0, ge=0, le=1)
    """Share of problems that are never solved."""


class ProcessReward(Options):
    """A process reward model of known quality."""

    right: float = Field(default=0.8, gt=0, lt=1)
    """Reward of a prefix whose every step holds."""
    wrong: float = Field(default=0.3, gt=0, lt=1)
    """Reward of a prefix with a step that fails."""
    noise: float = Field(default=0.0, ge=0, le=100)
    """Standard deviation of what is added to the logit of the reward."""


class SimulatedOptions(Options):
    """Options of the simulated engine. What it writes depends on them and on seeds alone."""

    truth_seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Root of what is true of the problems and of the reward model."""
    success: Annotated[float, Field(ge=0, le=1)] | Beta = Beta()
    """Probability that a completion is correct: one for all problems, or their distribution."""
    steps: int = Field(default=4, ge=1, le=10_000)
    """Steps of a completion; each holds with probability success ** (1 / steps), a failing one spoils all."""
    step_tokens: float = Field(default=12.0, ge=1, le=1_000_000)
    """Mean number of tokens of a step (geometric)."""
    wrong_answers: int = Field(default=8, ge=1, le=1_000_000)
    """Number of distinct wrong answers; the j-th is chosen in proportion to 1 / j."""
    process_reward: ProcessReward = ProcessReward()
    """What it says of a prefix, asked for rewards."""
    seconds_per_token: float = Field(default=0.0, ge=0, le=3_600)
    """How long a token takes (real time), to try out what happens while a model works."""


class SimulatedEngine:
    """Writes steps that hold or fail, then an answer; scores what it reads in them.

    A completion is correct exactly if all its steps hold. Its text says so, step by step, hence the
    probability of success from any prefix, the process reward and every closed form of a search are known.
    Asked for log-probabilities, it takes its sentences for its tokens.
    """

    offers = OFFERS
    seed_scope: Literal["completion", "block"] = "completion"
    simulated = True

    def __init__(self, options: SimulatedOptions) -> None:
        self.options = options
        self.tokenizer = f"simulated: {options.steps} steps, {options.wrong_answers} wrong answers"
        self._success: dict[str, float] = {}

    def success(self, problem: Problem) -> float:
        """Return the probability that a completion of the problem is correct."""
        if isinstance(self.options.success, float):
            return self.options.success
        if problem.problem_id not in self._success:
            rng = generator(self.options.truth_seed, "success", problem.problem_id)
            beta = self.options.success
            solvable = rng.random() >= beta.unsolvable
            self._success[problem.problem_id] = float(rng.beta(beta.a, beta.b)) if solvable else 0.0
        return self._success[problem.problem_id]

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Write one continuation per seed."""
        made = [
            self._continue(
                request.problem, "".join(step.text for step in request.prefix), request.params, seed
            )
            for seed in request.seeds
        ]
        context, prompt = _lengths(request)
        request.on_prompt(prompt, 0)
        await asyncio.sleep(0)  # other requests come in
        if self.options.seconds_per_token:
            await self._take_time(request, [tokens for _, tokens, *_ in made])
        return [
            Generation(
                text=text,
                tokens=tokens,
                prompt_tokens=0 if place else prompt,
                context_tokens=context,
                logprob=logprob,
                finish_reason=reason,
                confidence=self._confidence(request, text, sentences),
            )
            for place, (text, tokens, logprob, reason, sentences) in enumerate(made)
        ]

    async def _take_time(self, request: GenerationRequest, lengths: Sequence[int]) -> None:
        """Let time pass as if tokens came one after the other, all sequences at once."""
        began, done = time.monotonic(), 0
        while done < max(lengths):
            await asyncio.sleep(max(TICK, self.options.seconds_per_token))
            now = int((time.monotonic() - began) / self.options.seconds_per_token)
            for place, length in enumerate(lengths):
                request.on_tokens(place, max(0, min(now, length) - min(done, length)))
                if done < length <= now:
                    request.on_end(place)
            done = now

    def _continue(
        self, problem: Problem, prefix: str, params: SamplingParams, seed: int
    ) -> tuple[str, int, float, Literal["eos", "stop", "length"], list[tuple[int, int]]]:
        """Return text, tokens, log-probability, reason, and where each sentence begins with its tokens."""
        rng = np.random.default_rng(seed)
        options = self.options
        holds_with = self.success(problem) ** (1 / options.steps)
        flawed = WRONG in prefix
        text, tokens, logprob = "", 0, 0.0
        began: list[tuple[int, int]] = []  # of each sentence, where and with how many tokens
        for number in range(prefix.count(DELIMITER) + 1, options.steps + 1):
            # Every draw is made whatever came before, so that a step's stream has one layout.
            holds, wrong, length = rng.random(), rng.random(), int(rng.geometric(1 / options.step_tokens))
            flawed = flawed or holds >= holds_with
            last = number == options.steps
            ending = f"{ANSWER}{self._answer(problem, flawed, wrong)}" if last else DELIMITER
            step = f"Step {number} {WRONG if flawed else RIGHT}.{ending}"
            kept = min(length, params.max_tokens - tokens)
            began.append((len(text), kept))
            if kept < length:
                text += step[: len(step) * kept // length].rstrip("\n")
                return text, params.max_tokens, logprob - 0.5 * kept, "length", began
            text, tokens, logprob = text + step, tokens + length, logprob - 0.5 * length
            if not last and DELIMITER in params.stop:
                return text, tokens, logprob, "stop", began
        return text, max(tokens, 1), logprob, "eos", began

    def _confidence(
        self, request: GenerationRequest, text: str, began: Sequence[tuple[int, int]]
    ) -> float | None:
        """Return the mean confidence of its sentences by their tokens, each as `next_logprobs` has it; exact.

        A sentence is written as one choice, so all its tokens are as sure as that.
        """
        top, tokens = request.params.confidence_top, sum(tokens for _, tokens in began)
        if not top or not tokens:
            return None
        before, writer = "".join(step.text for step in request.prefix), self._writer(request.problem)
        total = 0.0
        for place, length in began:
            likely = sorted((one.probability for one in writer.after(before + text[:place])), reverse=True)
            total -= length * float(np.mean(np.log(likely[:top])))
        return max(0.0, total / tokens)

    def _answer(self, problem: Problem, flawed: bool, quantile: float) -> str:
        if not flawed:
            return problem.reference
        weights = np.cumsum(1 / np.arange(1, self.options.wrong_answers + 1))
        return self._wrong(problem, int(np.searchsorted(weights / weights[-1], quantile, side="right")) + 1)

    def _wrong(self, problem: Problem, place: int) -> str:
        """Return the wrong answer at a place, from 1."""
        try:
            return str(int(problem.reference) + place)
        except ValueError:
            return f"wrong answer {place}"

    def _writer(self, problem: Problem) -> Writer:
        """Return how the model writes about a problem."""
        options, places = self.options, range(1, self.options.wrong_answers + 1)
        weights = 1 / np.array(places)
        return Writer(
            steps=options.steps,
            holds_with=self.success(problem) ** (1 / options.steps),
            answers=[problem.reference, *(self._wrong(problem, place) for place in places)],
            weights=(weights / weights.sum()).tolist(),
        )

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the sentences that may come next; exact."""
        context, prompt = _lengths(request)
        request.on_prompt(prompt, 0)
        await asyncio.sleep(self.options.seconds_per_token)
        before = "".join(step.text for step in request.prefix)
        found = self._writer(request.problem).after(before)
        full = request.top is None or len(found) <= request.top
        if not full:
            found = sorted(found, key=lambda one: (-one.probability, one.token_id))[: request.top]
        return NextLogprobs(
            token_ids=np.array([one.token_id for one in found]),
            logprobs=np.log([one.probability for one in found]),
            texts=tuple(one.text for one in found),
            full=full,
            ends=frozenset({END}),
            tokenizer=self.tokenizer,
            context_tokens=context,
            prompt_tokens=prompt,
        )

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each sentence of a text, of each word where it is none; exact."""
        before, text = ("".join(step.text for step in steps) for steps in (request.prefix, request.scored))
        ids, texts, logprobs = zip(*self._writer(request.problem).read(before, text), strict=True)
        prompt = _lengths(request)[1] + len(ids)
        request.on_prompt(prompt, 0)
        await asyncio.sleep(0)
        return TextLogprobs(
            token_ids=ids, texts=texts, logprobs=logprobs, tokenizer=self.tokenizer, prompt_tokens=prompt
        )

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the process reward of each step's prefix, noise included; that of the whole is the last."""
        return [self._rewarded(trajectory) for trajectory in trajectories]

    def _rewarded(self, trajectory: Trajectory) -> Reward:
        about, steps = trajectory.problem.problem_id, trajectory.steps
        prefixes = accumulate((step.text for step in steps), initial="")
        nothing, *rewards = (self._reward(about, text) for text in prefixes)
        return Reward(
            whole=rewards[-1] if rewards else nothing,
            steps=tuple(rewards),
            prompt_tokens=_counted(trajectory.chat, steps)[1],
        )

    def _reward(self, problem_id: str, text: str) -> float:
        reward = self.options.process_reward
        level = reward.wrong if WRONG in text else reward.right
        if not reward.noise:
            return level
        rng = generator(self.options.truth_seed, "reward", problem_id, text)
        return float(scipy.special.expit(scipy.special.logit(level) + reward.noise * rng.standard_normal()))

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return a vector of length 1 in a direction of each text's own: equal texts alone are close."""
        return [Embedding(vector=direction(text), prompt_tokens=len(text.split())) for text in texts]

    async def close(self) -> None:
        """Nothing is held."""


def direction(text: str) -> tuple[float, ...]:
    """Return a point on a sphere, drawn by a text."""
    point = generator("embedding", text).standard_normal(DIMENSIONS)
    return tuple(map(float, point / np.linalg.norm(point)))


def _lengths(request: GenerationRequest | ReadRequest) -> tuple[int, int]:
    """Return the tokens of a request that no model wrote, which are words, and all of its prompt."""
    return _counted(request.chat, request.prefix)


def _counted(chat: Sequence[Message], steps: Sequence[Step]) -> tuple[int, int]:
    """Return the tokens of a chat and of steps that no model wrote, which are words, and all of them."""
    context = sum(len(message["content"].split()) for message in chat)
    context += sum(len(step.text.split()) for step in steps if step.given)
    return context, context + sum(step.tokens for step in steps)


def make(options: SimulatedOptions, *, seed: int = 0, model_directory: Path | None = None) -> SimulatedEngine:
    """Return the engine; `seed` has no effect, as every completion is seeded by itself."""
    return SimulatedEngine(options)


entry = EngineEntry(
    name="simulated",
    factory=make,
    options=SimulatedOptions,
    offers=OFFERS,
    summary="A model whose truth is known: success probabilities, step structure, reward of known quality.",
)
