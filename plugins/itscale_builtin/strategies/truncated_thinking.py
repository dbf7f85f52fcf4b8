"""Truncated thinking: one thinking, answers forced at many lengths (Hou et al. 2025, T1)."""

from contextlib import suppress
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from itscale.errors import BudgetExhausted, StudyError
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question
from itscale_builtin.strategies._thinking import ThinkingOptions, answered, begin, check, is_over, think

Length = Annotated[int, Field(ge=1, le=10_000_000)]


def _increasing(lengths: tuple[int, ...]) -> tuple[int, ...]:
    if any(shorter >= longer for shorter, longer in pairwise(lengths)):
        raise ValueError("expected lengths that increase")
    return lengths


class TruncatedThinkingOptions(ThinkingOptions):
    """Options of truncated thinking; a run's budget is the length, in tokens, at which thinking ends."""

    lengths: Annotated[
        tuple[Length, ...], Field(min_length=1, max_length=1000), AfterValidator(_increasing)
    ] = (512, 1024, 2048, 4096, 8192, 16384)
    """Lengths at which thinking may be cut; every budget is one of them."""


async def truncated_thinking(
    problem: Question, session: Session, options: TruncatedThinkingOptions
) -> list[Completion]:
    """Think up to the budget, in pieces that end at the same lengths whatever the budget; then answer.

    Runs of all budgets share their streams (`paired`), so where the engine is reproducible a longer run
    begins with the very tokens of a shorter one: points of the curve are answers of one thinking, cut at
    many lengths. A thinking that ends by itself has the same answer at every budget beyond.

    The thinking is generated anew at each budget, where T1 cuts one that was stored: budgets b_1 .. b_m cost
    their sum, not b_m. Each piece reads those before it again, as prompt (a prefix cache has them); between
    doubling lengths that is less than twice the thinking. How T1 makes its models answer was not verified:
    here the same model answers, after the end of thinking and `lead_in`.
    """
    thinking = begin(problem, session, options)
    with suppress(BudgetExhausted):
        for length in options.lengths:
            if length > session.budget or is_over(thinking, options):
                break
            if length > thinking.tokens:
                thinking = await think(session, thinking, options, length - thinking.tokens)
        thinking = await answered(session, thinking, options)
    return session.complete([thinking])


def admits(options: TruncatedThinkingOptions, budget: int) -> None:
    """Raise StudyError if thinking is not cut at a length."""
    if budget not in options.lengths:
        told = ", ".join(map(str, options.lengths[:20]))
        raise StudyError(f"found budget {budget}, expected one of the lengths: {told}")


def worth(options: TruncatedThinkingOptions) -> int:
    """Return how many tokens the longest thinking and its answer take."""
    return min(options.max_tokens, options.lengths[-1] + options.answer_tokens)


entry = StrategyEntry(
    name="truncated_thinking",
    aliases=("t1", "thinking_truncation"),
    family="sequential",
    factory=truncated_thinking,
    options=TruncatedThinkingOptions,
    draws="runs",
    paired=True,
    axis="thinking tokens",
    admits=admits,
    worth=worth,
    grant=lambda options, budget: min(options.max_tokens, budget + options.answer_tokens),
    needs=frozenset({"generate", "continue"}),
    check=check,
    summary="One thinking, cut at many lengths, with an answer forced at each.",
    reference="Hou et al. 2025, T1: Advancing Language Model Reasoning through RL and Inference Scaling",
)
