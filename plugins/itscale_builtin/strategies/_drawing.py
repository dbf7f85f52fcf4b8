"""Whole completions of strategies that draw them: of the model, or of an inner strategy."""

from collections.abc import Iterator

from itscale.plugins.references import StrategyLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Trajectory
from itscale_builtin.strategies._panel import answers

__all__ = ["DrawingOptions", "check_inner", "draw"]


class DrawingOptions(SamplingOptions):
    """How whole completions are drawn."""

    inner: StrategyLabel | None = None
    """Label of the exchangeable strategy that makes each of them; the model itself if left out."""


def check_inner(options: DrawingOptions) -> Iterator[str]:
    """Yield parameters of a model that is not asked, where all is drawn from another strategy."""
    for name in ("temperature", "top_p", "top_k", "min_p"):
        value = getattr(options, name)
        if options.inner is not None and value != type(options).model_fields[name].default:
            yield f"{name}: found {value:g} beside inner, expected none: {options.inner!r} has its own"


async def draw(session: Session, options: DrawingOptions, count: int) -> list[Trajectory]:
    """Draw whole completions, all at once; of another strategy as many as there are tokens for.

    Raises
    ------
    BudgetExhausted
        If there are not tokens enough for any.
    """
    return await answers(session, options.completion(), count, inner=options.inner)
