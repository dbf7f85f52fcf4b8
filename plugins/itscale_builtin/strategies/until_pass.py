"""Sampling until the oracle accepts, or r completions of it (PassUntil, Hu et al. 2023, section 4.1)."""

from contextlib import suppress

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class UntilPassOptions(SamplingOptions):
    """Options of sampling until success; the cap K_max is the number of completions of the pool."""

    successes: int = Field(default=1, ge=1, le=1_000_000)
    """Correct completions r after which a problem is left; of r = 1 the rate 1/K is biased, of 2 it need not
    be."""
    at_once: int = Field(default=1, ge=1, le=100_000)
    """Completions drawn together: faster, and those after the r-th correct one are charged for nothing."""


async def until_pass(problem: Question, session: Session, options: UntilPassOptions) -> list[Completion]:
    """Draw until r completions are correct, or K_max are drawn; hand in all up to the r-th correct one.

    With `at_once`, what was drawn after the r-th correct one, in the order of draws, is not handed in, so the
    number of completions is the one that drawing one by one would have had. Charged: every draw. The paper's
    K_max is 100 000 and its r 1 or 2; the estimates and their biases are those of `itscale.estimators`.
    """
    drawn, passed = list[Trajectory](), 0
    with suppress(BudgetExhausted):
        while passed < options.successes and len(drawn) < session.budget:
            count = min(options.at_once, session.budget - len(drawn))
            for one in await session.extend([session.start()] * count, options.completion()):
                drawn.append(one)
                passed += session.passes(one)
                if passed == options.successes:
                    break
    return session.complete(drawn)


entry = StrategyEntry(
    name="until_pass",
    aliases=("pass_until", "until_success"),
    factory=until_pass,
    family="adaptive",
    options=UntilPassOptions,
    draws="exchangeable",
    design="until_success",
    successes=lambda options: int(options.successes),
    asks_oracle=True,
    summary="Completions until r of them are correct, capped: PassUntil.",
    reference="Hu et al. 2023, Predicting Emergent Abilities with Infinite Resolution Evaluation",
)
