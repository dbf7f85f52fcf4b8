"""Two models that read each other and reconsider, as a third party would write it (Du et al. 2023)."""

import asyncio
from contextlib import suppress

from itscale import hookimpl
from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class DebateOptions(SamplingOptions):
    """Options of the debate."""

    rounds: int = 2
    """Times they answer again."""
    opponent: ModelLabel
    """Label of the other model."""


async def debate(problem: Question, session: Session, options: DebateOptions) -> list[Completion]:
    """Let two models answer, then read each other and answer again."""
    sides = (None, options.opponent)

    async def speak(side: int, said: list[Trajectory] | None) -> Trajectory:
        chat = None
        if said:
            chat = [*problem.messages, {"role": "assistant", "content": said[side].text}]
            chat.append({"role": "user", "content": f"Another says: {said[1 - side].text} Reconsider."})
        return await session.write(chat, options.completion(), by=sides[side], reads=said or [])

    said = await asyncio.gather(speak(0, None), speak(1, None))
    with suppress(BudgetExhausted):
        for _ in range(options.rounds):
            said = await asyncio.gather(speak(0, said), speak(1, said))
    return session.complete([said[0]])


entry = StrategyEntry(
    name="debate",
    factory=debate,
    options=DebateOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: 2 * (1 + options.rounds) * options.max_tokens,
    summary="Two models that read each other.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
