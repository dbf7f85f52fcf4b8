"""Recursive introspection: several turns, each after all attempts before it (Qu et al. 2024, RISE)."""

from contextlib import suppress

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import shipped
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import go_on


class RiseOptions(SamplingOptions):
    """Options of introspection; the number of turns is the budget of the run (5 in the paper)."""

    retry: str = shipped(__package__, "rise", "retry")
    """What the user says after an attempt of which nobody knows whether it is right."""


class RiseOracleOptions(SamplingOptions):
    """Options of introspection with an oracle; the number of turns is the budget of the run."""

    retry: str = shipped(__package__, "rise", "incorrect")
    """What the user says after an attempt that is wrong."""


async def rise(problem: Question, session: Session, options: RiseOptions) -> list[Completion]:
    """Answer, and try again, as often as there are turns; hand in the attempts of all turns.

    Without an oracle the answer is a majority over turns (selector `majority_vote`). Every turn reads all
    attempts before it, so the prompt grows: compare with parallel sampling at equal tokens. The model is
    taken as it is; the paper trains it for this.
    """
    return await _introspect(problem, session, options, asks=False)


async def rise_oracle(problem: Question, session: Session, options: RiseOracleOptions) -> list[Completion]:
    """Answer, and try again as long as the oracle says that the attempt is wrong and turns are left.

    Right if the last attempt is, so its accuracy is coverage over turns (selector `oracle`).
    """
    return await _introspect(problem, session, options, asks=True)


async def _introspect(
    problem: Question, session: Session, options: RiseOptions | RiseOracleOptions, *, asks: bool
) -> list[Completion]:
    chat, attempts = go_on(problem), list[Trajectory]()
    with suppress(BudgetExhausted):
        for _ in range(session.budget):
            attempt = await session.write(chat, options.completion(), reads=attempts)
            attempts.append(attempt)
            if asks and session.passes(attempt):
                break
            chat = go_on(chat, attempt.text, options.retry)
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
with_oracle = StrategyEntry(
    name="rise_oracle",
    aliases=("recursive_introspection_oracle",),
    family="sequential",
    factory=rise_oracle,
    options=RiseOracleOptions,
    draws="runs",
    axis="turns",
    hands_in=lambda options, budget: budget,
    design="until_success",
    asks_oracle=True,
    summary="Turns in which the model tries again until an attempt is right: coverage over turns.",
    reference="Qu et al. 2024, Recursive Introspection (RISE), section 4",
)
