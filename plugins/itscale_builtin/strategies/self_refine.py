"""Self-Refine: feedback, and an answer that mends what it says (Madaan et al. 2023, section 2)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.references import ModelLabel, ScorerLabel
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import go_on, question
from itscale_builtin.strategies._drawing import DrawingOptions, draw


class SelfRefineOptions(DrawingOptions):
    """Options of Self-Refine; with `inner`, that strategy makes the first attempt."""

    temperature: float = Field(default=0.7, ge=0, le=100)
    """Softmax temperature of answers; 0 is greedy."""
    attempts: int = Field(default=4, ge=1, le=1_000)
    """Most answers, the first one included."""
    feedback_temperature: float = Field(default=0.7, ge=0, le=100)
    """Softmax temperature of the feedback."""
    stop: str = Field(default="It is correct", min_length=1)
    """What the feedback says, in a line of its own, where nothing is wrong."""
    history: Literal["all", "last"] = "all"
    """Attempts and feedback that the next attempt reads."""
    critic: ModelLabel | None = None
    """Label of the model that gives feedback; the one that answers if left out."""
    scorer: ScorerLabel | None = None
    """Label of the scorer by which the best attempt is handed in; the last one if left out."""
    feedback: Annotated[str, fills("stop")] = shipped(__package__, "self_refine", "feedback")
    """Prompt of the feedback, after an attempt."""
    refine: Annotated[str, fills()] = shipped(__package__, "self_refine", "refine")
    """Prompt of the next attempt, after the feedback; `{problem}` is what the problem asks."""


async def self_refine(problem: Question, session: Session, options: SelfRefineOptions) -> list[Completion]:
    """Answer; then feedback, a check whether it finds nothing wrong, and a refined answer, and so on.

    Feedback reads the problem and the attempt; the next attempt reads all attempts and feedback so far
    (`history: all`). Handed in is the last attempt, or with a `scorer` the best of the chain, the latest of
    equals; the tree has them all. Charged: up to 2 * attempts - 1 generations, and scores.

    Variant of Bag of Tricks (Liu et al. 2025): `attempts: 4` (three iterations), `stop: No error`. Feedback
    that does not say `stop` asks for another attempt, whatever else it says; one without a word is counted as
    unreadable and ends the chain, as there is nothing to refine by.
    """
    asking = fill(options.feedback, stop=options.stop)
    again = fill(options.refine, problem=question(problem))
    critical = replace(options.completion(), temperature=options.feedback_temperature)
    chat, attempts, said = go_on(problem), [session.start()], list[Trajectory]()
    with suppress(BudgetExhausted):
        attempts = await draw(session, options, 1)
        for _ in range(options.attempts - 1):
            draft = attempts[-1]
            criticised = go_on(problem, draft.text, asking)
            critique = await session.write(criticised, critical, by=options.critic, reads=[draft])
            if not words(critique.text):
                session.unreadable(critique)
                break
            if content(critique.text, options.stop):
                break
            said += [draft, critique]
            chat = chat if options.history == "all" else go_on(problem)
            chat = go_on(chat, draft.text, asking, critique.text, again)
            read = said if options.history == "all" else said[-2:]
            attempts.append(await session.write(chat, options.completion(), reads=read[::-1]))
    return session.complete([await chosen(session, attempts) if options.scorer else attempts[-1]])


async def chosen(session: Session, attempts: list[Trajectory]) -> Trajectory:
    """Return the attempt with the highest score, the latest of equals."""
    begun = [attempt for attempt in attempts if attempt.step]
    if not begun:
        return attempts[-1]
    scores = await session.score(begun)
    return begun[len(begun) - 1 - int(np.argmax(scores[::-1]))]


def content(feedback: str, stop: str) -> bool:
    """Return whether a line of the feedback says that nothing is wrong, and nothing else.

    Markup, punctuation and capitals do not matter. That the words appear in a sentence is not enough: "I
    doubt that it is correct".
    """
    return words(stop) in map(words, feedback.splitlines())


def words(text: str) -> list[str]:
    """Return the words of a text in small letters."""
    return re.findall(r"\w+", text.casefold())


def check(options: SelfRefineOptions) -> Iterator[str]:
    """Yield what would end every chain at once."""
    if not words(options.stop):
        yield f"stop: found {options.stop!r}, expected at least a word: marks and blanks do not count"


entry = StrategyEntry(
    name="self_refine",
    aliases=("self_refinement",),
    family="sequential",
    factory=self_refine,
    options=SelfRefineOptions,
    check=check,
    draws="exchangeable",
    per="completion",
    worth=lambda options: (2 * options.attempts - 1) * options.max_tokens,
    summary="An answer that its own feedback refines until nothing is wrong with it.",
    reference="Madaan et al. 2023, Self-Refine: Iterative Refinement with Self-Feedback, section 2",
)
