"""Recursive introspection with an oracle: turns until an attempt is right (Qu et al. 2024, RISE)."""

from typing import Annotated

from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fills, shipped
from itscale.sampling.session import Session
from itscale.types import Completion, Question
from itscale_builtin.strategies.rise import RiseOptions, introspect


class RiseOracleOptions(RiseOptions):
    """Options of introspection with an oracle; the number of turns is the budget of the run."""

    retry: Annotated[str, fills()] = shipped(__package__, "rise", "incorrect")
    """What the user says after an attempt, which is wrong; `{problem}` is what the problem asks."""


async def rise_oracle(problem: Question, session: Session, options: RiseOracleOptions) -> list[Completion]:
    """Answer, and try again as long as the oracle says that the attempt is wrong and turns are left.

    Right if the last attempt is, so its accuracy is coverage over turns (selector `oracle`). Else as `rise`.
    """
    return await introspect(problem, session, options, session.passes)


entry = StrategyEntry(
    name="rise_oracle",
    aliases=("recursive_introspection_oracle",),
    family="sequential",
    factory=rise_oracle,
    options=RiseOracleOptions,
    draws="runs",
    axis="turns",
    hands_in=lambda options, budget: budget,
    design="until_success",
    asks_oracle=True,
    summary="Turns in which the model tries again until an attempt is right: coverage over turns.",
    reference="Qu et al. 2024, Recursive Introspection (RISE), section 4",
)
