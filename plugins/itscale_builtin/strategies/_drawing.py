"""Whole completions of strategies that draw them: of the model, or of an inner strategy."""

import asyncio

from itscale.plugins.references import StrategyLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Trajectory

__all__ = ["DrawingOptions", "draw"]


class DrawingOptions(SamplingOptions):
    """How whole completions are drawn."""

    inner: StrategyLabel | None = None
    """Label of the exchangeable strategy that makes each of them; the model itself if left out."""


async def draw(session: Session, options: DrawingOptions, count: int) -> list[Trajectory]:
    """Draw whole completions, all at once."""
    if options.inner is None:
        return await session.extend([session.start()] * count, options.completion())
    return list(await asyncio.gather(*(session.inner(options.inner) for _ in range(count))))
