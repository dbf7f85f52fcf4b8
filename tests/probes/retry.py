"""Answers until the oracle takes one, as a third party would write it (Qu et al. 2024)."""

from contextlib import suppress

from itscale import hookimpl
from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class RetryOptions(SamplingOptions):
    """Options of the retries."""

    told: str = "That is wrong. Try again."
    """What the model is told after an answer that the oracle does not take."""


async def retry(problem: Question, session: Session, options: RetryOptions) -> list[Completion]:
    """Answer, be told, and answer again with all that was said before."""
    chat, tries = list(problem.messages), list[Trajectory]()
    with suppress(BudgetExhausted):
        while len(tries) < session.budget:
            tries.append(await session.write(chat, options.completion()))
            if session.passes(tries[-1]):
                break
            chat += [
                {"role": "assistant", "content": tries[-1].text},
                {"role": "user", "content": options.told},
            ]
    return session.complete(tries)


entry = StrategyEntry(
    name="retry",
    factory=retry,
    options=RetryOptions,
    draws="runs",
    design="adaptive",
    asks_oracle=True,
    summary="Answers until one passes, each after being told of the last.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
