"""Draft, criticise, revise, as a third party would write it (Madaan et al. 2023)."""

from contextlib import suppress

from itscale import hookimpl
from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question


class SelfRefineOptions(SamplingOptions):
    """Options of self-refine."""

    rounds: int = 2
    """Most revisions."""


async def self_refine(problem: Question, session: Session, options: SelfRefineOptions) -> list[Completion]:
    """Revise a draft until the critic has nothing to say."""
    draft = await session.write(None, options.completion())
    with suppress(BudgetExhausted):
        for _ in range(options.rounds):
            chat = [*problem.messages, {"role": "assistant", "content": draft.text}]
            chat.append({"role": "user", "content": "Find mistakes. Say 'none' if there are none."})
            critique = await session.write(chat, options.completion(), reads=[draft])
            if "none" in critique.text:
                break
            chat += [{"role": "assistant", "content": critique.text}, {"role": "user", "content": "Revise."}]
            draft = await session.write(chat, options.completion(), reads=[draft, critique])
    return session.complete([draft])


entry = StrategyEntry(
    name="self_refine",
    factory=self_refine,
    options=SelfRefineOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: (1 + 2 * options.rounds) * options.max_tokens,
    summary="A draft that is criticised and revised.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
