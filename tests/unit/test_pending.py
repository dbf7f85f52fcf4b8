"""Nothing of a session goes on after its strategy has ended, and what had been generated is charged."""

import asyncio
from typing import Any

import pytest

from itscale.boundary import run_strategy
from itscale.plugins import StrategyEntry
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Completion, Generation, GenerationRequest, Problem, Question

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "?"},), reference="7")


class Slow:
    """Tells of a token at once, and takes its time for the rest; fails where it is asked for one token."""

    offers = frozenset({"generate"})
    seed_scope = "completion"
    simulated = True

    def __init__(self) -> None:
        self.running = 0

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        if request.params.max_tokens == 1:
            await asyncio.sleep(0.001)
            raise ValueError("broken")
        self.running += 1
        try:
            request.on_prompt(5, 0)
            request.on_tokens(0, 1)
            await asyncio.sleep(60)
        finally:
            self.running -= 1
        raise AssertionError("nobody waits a minute")


async def careless(problem: Question, session: Session, options: SamplingOptions) -> list[Completion]:
    """Leave two branches to themselves when the third fails."""
    limits = (10, 20, 1)
    params = [options.model_copy(update={"max_tokens": limit}).completion() for limit in limits]
    await asyncio.gather(*(session.write(None, one, key=f"{one.max_tokens}") for one in params))
    return []


async def hasty(problem: Question, session: Session, options: SamplingOptions) -> list[Completion]:
    """Hand in what is there while a branch still writes."""
    branch = asyncio.create_task(session.write(None, options.completion()))
    await asyncio.sleep(0.001)
    assert not branch.done()
    return session.complete([session.start()])


def run(strategy: Any) -> tuple[Slow, Session]:
    entry = StrategyEntry(
        name="left_alone", factory=strategy, draws="exchangeable", options=SamplingOptions, summary="Leaves."
    )
    engine = Slow()
    session = Session(PROBLEM, Unit(problem_id="p", stop=1), engine, model="m", stream=(1,), token_limit=100)
    session_of = Ingredient("alone", entry, SamplingOptions(), "tests", "0")

    async def everything() -> None:
        try:
            await run_strategy(session_of, session)
        finally:
            assert engine.running == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

    if strategy is careless:
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(everything())
    else:
        asyncio.run(everything())
    return engine, session


@pytest.mark.parametrize(("strategy", "branches"), [(careless, 2), (hasty, 1)])
def test_branches_that_were_left_alone_are_ended_and_charged(strategy: Any, branches: int) -> None:
    _, session = run(strategy)
    rows = session.ledger.rows()
    assert sum(row["generated_tokens"] for row in rows) == branches
    assert sum(row["prompt_tokens"] for row in rows) == 5 * branches


def test_an_ended_session_writes_nothing_more() -> None:
    _, session = run(hasty)

    async def late() -> None:
        await session.write(None, SamplingOptions().completion())

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(late())
