"""A common budget spent where the next completion most probably is the first to pass."""

import math
from collections.abc import Sequence

from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies.dynamic_allocation import AllocationOptions, allocate, check

__all__ = ["entry", "gain_of_passing"]


async def dynamic_allocation_oracle(
    problem: Question, session: Session, options: AllocationOptions
) -> list[Completion]:
    """Draw until one completion passes, or the next one hardly will at the common price.

    A problem's success rate is Beta(a, b) beforehand; after j failures the next completion passes with
    probability a / (a + b + j), which is its gain; once one has passed there is none. Gains only fall, so the
    shared threshold is optimal among all adaptive ways to spend what it spends. With one prior for all, it is
    a cap on failures: `until_pass`, capped where the price says. Else as `dynamic_allocation`.
    """

    def gain(drawn: Sequence[Trajectory]) -> float:
        if session.passes(drawn[-1]):
            return -math.inf  # nothing is left to gain, not even for nothing
        return gain_of_passing(len(drawn), options.a, options.b)

    return await allocate(session, options, gain)


def gain_of_passing(failures: int, a: float, b: float) -> float:
    """Return the probability that the next completion passes, after so many failures."""
    return a / (a + b + failures)


entry = StrategyEntry(
    name="dynamic_allocation_oracle",
    factory=dynamic_allocation_oracle,
    family="adaptive",
    options=AllocationOptions,
    check=check,
    draws="runs",
    design="adaptive",
    asks_oracle=True,
    summary="Completions until one passes, or the next one hardly will, at a price that all problems share.",
    reference="Damani et al. 2024, Learning How Hard to Think: Input-Adaptive Allocation of LM Computation",
)
