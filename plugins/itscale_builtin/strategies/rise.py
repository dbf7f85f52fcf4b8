"""Recursive introspection: several turns, each after all attempts before it (Qu et al. 2024, RISE)."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import go_on, question


class RiseOptions(SamplingOptions):
    """Options of introspection; the number of turns is the budget of the run (5 in the paper)."""

    retry: Annotated[str, fills()] = shipped(__package__, "rise", "retry")
    """What the user says after an attempt; `{problem}` is what the problem asks."""


async def rise(problem: Question, session: Session, options: RiseOptions) -> list[Completion]:
    """Answer, and try again, as often as there are turns; hand in the attempts of all turns.

    Without an oracle the answer is a majority over turns (selector `majority_vote`); `rise_oracle` is the
    mode with one. Charged is a generation a turn. Every turn reads all attempts before it, so the prompt
    grows: compare with parallel sampling at equal tokens. The model is taken as it is; the paper trains it.
    """
    return await introspect(problem, session, options, lambda attempt: False)


async def introspect(
    problem: Question, session: Session, options: RiseOptions, will_do: Callable[[Trajectory], bool]
) -> list[Completion]:
    """Answer, and try again, until an attempt will do or there are no turns left."""
    again = fill(options.retry, problem=question(problem))
    chat, attempts = go_on(problem), list[Trajectory]()
    with suppress(BudgetExhausted):
        for _ in range(session.budget):
            attempt = await session.write(chat, options.completion(), reads=attempts[::-1])
            attempts.append(attempt)
            if will_do(attempt):
                break
            chat = go_on(chat, attempt.text, again)
    return session.complete(attempts)


entry = StrategyEntry(
    name="rise",
    aliases=("recursive_introspection", "sequential_introspection"),
    family="sequential",
    factory=rise,
    options=RiseOptions,
    draws="runs",
    axis="turns",
    hands_in=lambda options, budget: budget,
    summary="Turns in which the model tries again after all its attempts; the majority over turns answers.",
    reference="Qu et al. 2024, Recursive Introspection (RISE), section 4",
)
