"""The tuning of a small model lent to a large one, as a third party would write it (Mitchell et al. 2023)."""

import asyncio

import numpy as np

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.reading import aligned
from itscale.sampling.session import Session
from itscale.types import Completion, Question


class EmulatedOptions(SamplingOptions):
    """Options of emulated fine-tuning."""

    tuned: ModelLabel
    """Label of the small model, tuned."""
    untuned: ModelLabel
    """Label of the small model before it was tuned."""


async def emulated(problem: Question, session: Session, options: EmulatedOptions) -> list[Completion]:
    """Draw token by token from the large model times the ratio of the small ones."""
    writing, models = session.start(), (None, options.tuned, options.untuned)
    while not writing.finished:
        found = await asyncio.gather(*(session.next_logprobs(writing, by=by) for by in models))
        tokens, (large, tuned, untuned) = aligned(*found)
        logits = (large + tuned - untuned) / options.temperature
        weights = np.exp(logits - logits.max())
        writing = await session.take(found[0], session.rng.choice(tokens, p=weights / weights.sum()))
    return session.complete([writing])


offered = frozenset({"next_logprobs"})
entry = StrategyEntry(
    name="emulated_fine_tuning", factory=emulated, options=EmulatedOptions, draws="exchangeable",
    per="completion", worth=lambda options: 3 * options.max_tokens, needs=offered, asks=offered,
    summary="A large model with the tuning of a small one.",
)  # fmt: skip


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
