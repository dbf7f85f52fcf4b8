"""A tournament of completions before a judge, as a third party would write it (Chen et al. 2024, section 3).

What a completion is worth against others is no function of it alone, so it is no score, and no pool can be
cut into smaller ones: each budget is a run.
"""

import asyncio

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, SamplingParams, Trajectory


class KnockoutOptions(SamplingOptions):
    """Options of the tournament."""

    judge: ModelLabel
    """Model that compares."""
    second: str = "B"
    """What it ends on if it prefers the second."""
    words: int = 50
    """Most tokens of a comparison."""


async def knockout(problem: Question, session: Session, options: KnockoutOptions) -> list[Completion]:
    """Draw completions; of each two, keep the one that the judge prefers in both orders, else the first."""

    async def prefers_second(first: Trajectory, second: Trajectory) -> bool:
        asked = f"Which answer is better?\n\nA: {first.text}\n\nB: {second.text}"
        chat = [*problem.messages, {"role": "user", "content": asked}]
        params = SamplingParams(max_tokens=options.words)
        said = await session.write(chat, params, by=options.judge)
        return said.text.strip().endswith(options.second)

    async def duel(one: Trajectory, other: Trajectory) -> Trajectory:
        there, back = await asyncio.gather(prefers_second(one, other), prefers_second(other, one))
        return other if there and not back else one

    left = await session.extend([session.start()] * session.budget, options.completion())
    while len(left) > 1:
        rest = left[len(left) // 2 * 2 :]
        left = [*await asyncio.gather(*map(duel, left[::2], left[1::2])), *rest]
    return session.complete(left)


entry = StrategyEntry(
    name="knockout",
    factory=knockout,
    options=KnockoutOptions,
    draws="runs",
    worth=lambda options: options.max_tokens + 2 * options.words,
    summary="The completion that wins a tournament before a judge.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
