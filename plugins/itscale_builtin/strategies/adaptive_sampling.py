"""Sampling that the model itself ends: it is asked if restarting would do better (Manvi et al. 2024)."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import shipped
from itscale.sampling.session import Session
from itscale.types import Completion, NextLogprobs, Question, Trajectory
from itscale_builtin.strategies._chats import go_on
from itscale_builtin.strategies._drawing import DrawingOptions, check_inner, draw


class AdaptiveSamplingOptions(DrawingOptions):
    """Options of self-evaluated sampling; the budget of a run is the most completions it begins (16)."""

    threshold: float = Field(default=0.9, ge=0, le=1)
    """Score above which no other completion is drawn: 0 draws one, 1 as many as the budget."""
    last_temperature: float | None = Field(default=None, ge=0, le=100)
    """Temperature that `temperature`, that of the first completion, goes to; it stays if left out."""
    annealing: float = Field(default=1.0, ge=0, le=1_000)
    """Rate lambda at which it does: T_i = last + (first - last) exp(-lambda i)."""
    prune_at: tuple[int, ...] = Field(default=(), max_length=1_000)
    """Numbers of tokens, increasing, at which completions that run together are scored and pruned; with none,
    completions are drawn one at a time instead, until one is good enough."""
    keep: float = Field(default=0.5, gt=0, le=1)
    """Share of the completions that go on after each pruning, rounded up."""
    hand_in: Literal["best", "all"] = "best"
    """What a run hands in: the completion with the highest score, or all that were finished, weighted by
    their scores."""
    evaluation: str = Field(default=shipped(__package__, "adaptive_sampling", "evaluation"), min_length=1)
    """Prompt after a (partial) completion, whose answer's first token is read."""
    yes: str = Field(default="Yes", min_length=1)
    """Word, of one token, for: restarting would do better. Its case does not matter."""
    no: str = Field(default="No", min_length=1)
    """Word, of one token, for: it would not."""
    top: int = Field(default=20, ge=2, le=10_000)
    """Most probable next tokens that both words are looked for in; servers list 20 at most."""


AROUND = " \t\r\n.,:;!?*_`'\"()[]{}<>"
"""What may stand around a word of one token."""


@dataclass(frozen=True)
class Scored:
    """A completion and P(restarting does no better); -1 where the model said nothing of that."""

    trajectory: Trajectory
    score: float = -1.0


async def adaptive_sampling(
    problem: Question, session: Session, options: AdaptiveSamplingOptions
) -> list[Completion]:
    """Draw until the model would not restart, or draw many and prune those that it would.

    After a (partial) completion the model is asked if restarting would do better; the score is
    P(No) / (P(No) + P(Yes)) of its next token. One at a time: until a score is above the threshold or n are
    drawn, each at its own temperature. Pruning (`prune_at`): n run together; at each number of tokens those
    still running are scored and the top share goes on; what ends is scored at its end. Charged: all that was
    generated, pruned texts too, and a token and its prompt for each evaluation.

    Departures: the paper's model is tuned to evaluate itself, here any is asked, in a turn of its own. Its
    prompt, threshold and schedule are not known, so they are options. Where neither word is among the `top`
    tokens there is no score (counted as unreadable): such a completion ranks last and ends nothing.
    """
    made = await (prune if options.prune_at else one_by_one)(problem, session, options)
    order = sorted(made, key=lambda one: -one.score)  # stable: the first of equals
    handed_in = (order[:1] if options.hand_in == "best" else made) or [Scored(session.start())]
    return session.complete([one.trajectory for one in handed_in], [max(0.0, one.score) for one in handed_in])


async def one_by_one(problem: Question, session: Session, options: AdaptiveSamplingOptions) -> list[Scored]:
    """Draw and score one completion after the other, until a score is above the threshold."""
    made = list[Scored]()
    with suppress(BudgetExhausted):
        while len(made) < session.budget:
            here = options.model_copy(update={"temperature": temperature(options, len(made))})
            (drawn,) = await draw(session, here, 1)
            made.append(Scored(drawn))
            if options.threshold == 0:
                break
            made[-1] = await evaluated(problem, session, options, drawn)
            if made[-1].score > options.threshold:
                break
    return made


async def prune(problem: Question, session: Session, options: AdaptiveSamplingOptions) -> list[Scored]:
    """Run completions together and go on with the best share of those running at each number of tokens."""
    params, before = options.completion(), 0
    running, ended = [session.start()] * session.budget, list[Trajectory]()
    with suppress(BudgetExhausted):
        for tokens in options.prune_at:
            step = replace(params, max_tokens=max(1, tokens - before))
            ran, before = await session.extend(running, step), tokens
            ended += [one for one in ran if one.finished]
            running = [one for one in ran if not one.finished]
            scored = await evaluated_all(problem, session, options, running)
            scored.sort(key=lambda one: -one.score)
            running = [one.trajectory for one in scored[: math.ceil(options.keep * len(scored))]]
        running = await session.extend(running, params)
    made = [one for one in (*ended, *running) if one.step]
    return await evaluated_all(problem, session, options, made)


async def evaluated_all(
    problem: Question, session: Session, options: AdaptiveSamplingOptions, made: Sequence[Trajectory]
) -> list[Scored]:
    """Score completions, all at once."""
    return list(await asyncio.gather(*(evaluated(problem, session, options, one) for one in made)))


async def evaluated(
    problem: Question, session: Session, options: AdaptiveSamplingOptions, one: Trajectory
) -> Scored:
    """Ask the model whether restarting would do better than a completion, as it stands."""
    chat = go_on(problem, one.text, options.evaluation)
    asked = session.start(chat, key=f"evaluation of {one.node}", reads=[one])
    try:
        found = await session.next_logprobs(asked, top=options.top)
    except BudgetExhausted:
        return Scored(one)
    score = no_of_both(found, options)
    if score is None:
        likeliest = int(found.token_ids[np.argmax(found.logprobs)])
        session.unreadable(await session.take(found, likeliest))
        return Scored(one)
    return Scored(one, score)


def no_of_both(found: NextLogprobs, options: AdaptiveSamplingOptions) -> float | None:
    """Return P(No) / (P(No) + P(Yes)) of a next token, however spelt; None if neither is among them."""
    weights = {options.yes.casefold(): 0.0, options.no.casefold(): 0.0}
    highest = float(np.max(found.logprobs))
    for text, logprob in zip(found.texts, found.logprobs[: len(found.texts)], strict=True):
        word = text.strip(AROUND).casefold()
        if word in weights:
            weights[word] += math.exp(logprob - highest)
    total = sum(weights.values())
    return weights[options.no.casefold()] / total if total > 0 else None


def temperature(options: AdaptiveSamplingOptions, number: int) -> float:
    """Return the temperature of a completion, from 0: annealed from the first to the last."""
    first, last = options.temperature, options.last_temperature
    return first if last is None else last + (first - last) * math.exp(-options.annealing * number)


def check(options: AdaptiveSamplingOptions) -> Iterator[str]:
    """Yield what cannot be: pruning, or temperatures, of what another strategy makes whole."""
    yield from check_inner(options)
    counts = options.prune_at
    if any(one >= other for one, other in zip((0, *counts), (*counts, options.max_tokens), strict=True)):
        yield f"prune_at: found {list(counts)}, expected increasing numbers from 1 to below max_tokens"
    if options.inner is not None and counts:
        yield f"prune_at: found {list(counts)} with inner, expected none: its completions come whole"
    if options.inner is not None and options.last_temperature is not None:
        yield f"last_temperature: found {options.last_temperature} with inner, which has its own temperature"
    for name, word in (("yes", options.yes), ("no", options.no)):
        if word != word.strip(AROUND):
            yield f"{name}: found {word!r}, expected a word without blanks or marks around it"
    if options.yes.casefold() == options.no.casefold():
        yield f"no: found {options.no!r}, expected another word than yes"


def hands_in(options: AdaptiveSamplingOptions, budget: int) -> int:
    """Return how many completions a run hands in at most."""
    return 1 if options.hand_in == "best" else budget


def worth(options: AdaptiveSamplingOptions) -> int:
    """Return how many tokens a completion takes at most: its own, and one for each evaluation."""
    return options.max_tokens + len(options.prune_at) + 1


entry = StrategyEntry(
    name="adaptive_sampling",
    aliases=("self_evaluated_sampling", "adaptive_best_of_n"),
    factory=adaptive_sampling,
    family="adaptive",
    options=AdaptiveSamplingOptions,
    check=check,
    draws="runs",
    design="adaptive",
    worth=worth,
    hands_in=hands_in,
    grant=lambda options, budget: worth(options) * budget,
    needs=frozenset({"generate", "continue", "next_logprobs"}),
    summary="Completions until the model would not restart, or the best share of those that it would not.",
    reference="Manvi et al. 2024, Adaptive Inference-Time Compute, arXiv:2410.02725",
)
