"""Iterative deepening: windows that grow, each opened by a call to correct oneself (Chen et al. 2025)."""

from contextlib import suppress
from dataclasses import replace

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question


class IterativeDeepeningOptions(SamplingOptions):
    """Options of iterative deepening; B0, gamma and the trigger are not those of the paper for certain."""

    max_tokens: int = Field(default=8192, ge=1, le=100_000_000)
    """B_max: most generated tokens of one completion."""
    first_window: int = Field(default=512, ge=1, le=100_000_000)
    """B0: tokens after which the trigger is appended for the first time."""
    growth: float = Field(default=2.0, ge=1.1, le=1_000)
    """Gamma: each boundary is so many times the one before."""
    trigger: str = Field(
        default="\n\nWait! I may have made a mistake. Let me check my steps from the beginning.\n\n",
        min_length=1,
    )
    """What is appended at each boundary."""


async def iterative_deepening(
    problem: Question, session: Session, options: IterativeDeepeningOptions
) -> list[Completion]:
    """Generate; at each boundary append the trigger and go on, until the model ends or at B_max.

    Boundaries count generated tokens. The trigger's own are no model's: they are charged as prompt, with
    what was written before, which is read again at each boundary.
    """
    text = session.start()
    with suppress(BudgetExhausted):
        most = options.max_tokens
        for boundary in [*boundaries(options.first_window, options.growth, most), most]:
            params = replace(options.completion(), max_tokens=max(1, boundary - text.tokens))
            (text,) = await session.extend([text], params)
            if text.finished or text.tokens >= most:
                break
            text = session.append(text, options.trigger)
    return session.complete([text])


def boundaries(first: int, growth: float, most: int) -> list[int]:
    """Return where the trigger is appended: B0, B0 * gamma ..., below B_max.

    >>> boundaries(512, 2, 8192)
    [512, 1024, 2048, 4096]
    """
    found, here = [], first
    while here < most:
        found.append(here)
        here = max(here + 1, int(here * growth))
    return found


entry = StrategyEntry(
    name="iterative_deepening",
    aliases=("iterative_deepening_sampling",),
    family="sequential",
    factory=iterative_deepening,
    options=IterativeDeepeningOptions,
    draws="exchangeable",
    per="completion",
    needs=frozenset({"generate", "continue"}),
    summary="A text with a call to correct itself at windows that grow.",
    reference="Chen et al. 2025, Iterative Deepening Sampling as Efficient Test-Time Scaling",
)
