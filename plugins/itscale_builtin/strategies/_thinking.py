"""Thinking that ends at a marker, and the answer after it: what budget forcing and truncation share."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Question, Trajectory
from itscale_builtin.strategies._chats import question

__all__ = ["ThinkingOptions", "answered", "begin", "check", "is_over", "think"]


class ThinkingOptions(SamplingOptions):
    """How a model thinks, and how it is made to answer."""

    max_tokens: int = Field(default=1_000_000, ge=1, le=100_000_000)
    """Most generated tokens of thinking and answer together, should that be less than both may have."""
    answer_tokens: int = Field(default=1024, ge=1, le=100_000_000)
    """Most tokens of the answer, after the thinking."""
    end_of_think: str = Field(default="</think>", min_length=1)
    """Text that ends the thinking. The engine must show it: a special token that it leaves out of the text
    cannot be seen."""
    lead_in: str = "\n\nFinal Answer:"
    """What is appended after the end of thinking where that is forced, so that an answer follows."""
    opening: str = ""
    """What is appended before the thinking, where the model's chat template does not ("<think>\\n")."""
    ask_for_marker: bool = False
    """Ask for `end_of_think` in the prompt: for a model that was not trained to write it."""
    instruction: Annotated[str, fills("problem", "marker")] = shipped(__package__, "thinking", "instruction")
    """What is asked then."""


def check(options: ThinkingOptions) -> Iterator[str]:
    """Yield texts that would end the thinking, were they appended to it."""
    for name in ("opening", "wait"):
        if options.end_of_think in getattr(options, name, ""):
            yield f"{name}: found end_of_think in it, {options.end_of_think!r}, expected a text without"


def begin(problem: Question, session: Session, options: ThinkingOptions) -> Trajectory:
    """Return a thinking that has not begun."""
    chat = None
    if options.ask_for_marker:
        asked = fill(options.instruction, problem=question(problem), marker=options.end_of_think)
        chat = [*problem.messages[:-1], {"role": "user", "content": asked}]
    return session.append(session.start(chat), options.opening)


async def think(session: Session, thinking: Trajectory, options: ThinkingOptions, most: int) -> Trajectory:
    """Return a thinking that went on to its end, or for so many tokens."""
    if (left := _left(thinking, options, most)) < 1:
        return thinking
    params = replace(options.completion(), max_tokens=left, stop=(options.end_of_think,))
    before, marker = len(thinking.text), options.end_of_think
    (thinking,) = await session.extend([thinking], params)
    began = thinking.text.find(marker, max(0, before - len(marker) + 1), before + len(marker) - 1)
    rest = thinking.text[began + len(marker) :]
    # A marker that began in an earlier piece stops nothing: what follows it is no thinking.
    return await session.cut(thinking, rest) if began >= 0 and rest.strip() else thinking


def is_over(thinking: Trajectory, options: ThinkingOptions) -> bool:
    """Return whether a thinking ended by itself: at its marker, or with the text."""
    return thinking.finished or options.end_of_think in thinking.text


async def answered(session: Session, thinking: Trajectory, options: ThinkingOptions) -> Trajectory:
    """Return a thinking and its answer: the model's own, or one that is forced where it has not ended.

    What a provider withheld is not gone on from.
    """
    if thinking.finish_reason == "filtered" or (left := _left(thinking, options, options.answer_tokens)) < 1:
        return thinking
    if options.end_of_think not in thinking.text:
        lead_in = "" if thinking.finish_reason == "eos" else options.lead_in
        thinking = session.append(thinking, f"\n{options.end_of_think}{lead_in}")
    params = replace(options.completion(), max_tokens=left)
    (whole,) = await session.extend([thinking], params)
    return whole


def _left(thinking: Trajectory, options: ThinkingOptions, most: int) -> int:
    """Return how many tokens a step may have, at most so many: a session's own limit may be a larger one."""
    return min(most, options.max_tokens - thinking.tokens)
