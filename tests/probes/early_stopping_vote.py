"""Draw until one answer leads, as a third party would write it (Aggarwal et al. 2023)."""

from collections import Counter

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class EarlyStoppingOptions(SamplingOptions):
    """Options of the early-stopping vote."""

    lead: int = 3
    """Votes that the first answer must be ahead of the second."""


async def vote(problem: Question, session: Session, options: EarlyStoppingOptions) -> list[Completion]:
    """Draw one by one until an answer leads."""
    drawn: list[Trajectory] = []
    while len(drawn) < session.budget:
        drawn += await session.extend([session.start()], options.completion())
        votes = [count for _, count in Counter(map(session.answer, drawn)).most_common(2)]
        if votes[0] - sum(votes[1:]) >= options.lead:
            break
    return session.complete(drawn)


entry = StrategyEntry(
    name="early_stopping_vote",
    factory=vote,
    options=EarlyStoppingOptions,
    draws="runs",
    design="adaptive",
    summary="Completions until one answer leads.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
