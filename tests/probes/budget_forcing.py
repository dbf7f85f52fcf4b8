"""Go on after the model has ended, as a third party would write it (Muennighoff et al. 2025, s1)."""

from contextlib import suppress

from itscale import hookimpl
from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question


class ForcingOptions(SamplingOptions):
    """Options of budget forcing."""

    waits: int = 2
    """Times the text is appended."""
    text: str = "\n\nWait"
    """What is appended."""


async def budget_forcing(problem: Question, session: Session, options: ForcingOptions) -> list[Completion]:
    """Append a text where the model would stop, so often, and let it go on."""
    (forced,) = await session.extend([session.start()], options.completion())
    with suppress(BudgetExhausted):
        for _ in range(options.waits):
            (forced,) = await session.extend([session.append(forced, options.text)], options.completion())
    return session.complete([forced])


entry = StrategyEntry(
    name="budget_forcing",
    factory=budget_forcing,
    options=ForcingOptions,
    draws="exchangeable",
    per="completion",
    needs=frozenset({"generate", "continue"}),
    summary="Completions that are made to go on.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
