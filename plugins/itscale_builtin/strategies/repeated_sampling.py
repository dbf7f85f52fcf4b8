"""Repeated sampling: independent completions, selected afterwards (Brown et al. 2024, section 2)."""

from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question


async def repeated_sampling(
    problem: Question, session: Session, options: SamplingOptions
) -> list[Completion]:
    """Draw every completion independently from the model."""
    trajectories = [session.start() for _ in range(session.budget)]
    return session.complete(await session.extend(trajectories, options.completion()))


entry = StrategyEntry(
    name="repeated_sampling",
    aliases=("independent_sampling", "parallel_sampling", "iid"),
    factory=repeated_sampling,
    family="parallel",
    options=SamplingOptions,
    draws="exchangeable",
    summary="Independent completions; one pool serves every budget and selector.",
    reference="Brown et al. 2024, Large Language Monkeys, section 2",
)
