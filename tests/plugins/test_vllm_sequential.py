"""Sequential strategies on a real model: what is charged is what the engine computed, to the token."""

import asyncio

import pytest
from test_vllm_engine import running  # noqa: F401 - a fixture

from itscale.boundary import check_completions
from itscale.plugins.place import Place
from itscale.sampling.partners import Partners
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.testing.doubles import Tallied
from itscale.types import Problem
from itscale_builtin.strategies import (
    budget_forcing,
    iterative_deepening,
    revision,
    rise,
    rise_oracle,
    self_refine,
    truncated_thinking,
)

ASKED = {"ask_for_marker": True, "end_of_think": ".", "answer_tokens": 8}
CASES = {
    "budget_forcing": (budget_forcing.entry, 0, {**ASKED, "thinking_tokens": 48, "waits": 2}),
    "iterative_deepening": (iterative_deepening.entry, 0, {"first_window": 8, "max_tokens": 40}),
    "revision": (revision.entry, 4, {"ratio": 1, "max_tokens": 16}),
    "rise": (rise.entry, 3, {"max_tokens": 16}),
    "rise_oracle": (rise_oracle.entry, 3, {"max_tokens": 16}),
    "self_refine": (self_refine.entry, 0, {"attempts": 2, "max_tokens": 16}),
    "truncated_thinking": (
        truncated_thinking.entry,
        16,
        {**ASKED, "lengths": [4, 8, 16], "end_of_think": "##"},
    ),
}


async def sampled(engine, name, number):
    """Run one strategy on one problem; return its session, its completions and what the engine counted."""
    entry, budget, given = CASES[name]
    question = {"role": "user", "content": f"What is the greatest common divisor of {number} and 84?"}
    problem = Problem(problem_id=f"{number}", messages=(question,), reference="7")
    options, tallied = entry.options(**given), Tallied(engine)
    most = entry.hands_in(options, budget) if entry.hands_in else 1
    granted = (
        (entry.grant(options, budget) if entry.grant else most * entry.worth(options)) if budget else None
    )
    session = Session(
        problem,
        Unit(problem_id=f"{number}", budget=budget, stop=most),
        tallied,
        model="m",
        stream=(0,),
        token_limit=options.max_tokens,
        worth=entry.worth(options),
        granted=granted,
        paired=entry.paired,
        pooled=False,
        partners=Partners(passes=lambda text: False),
    )
    return session, await entry.factory(session.problem, session, options), tallied.generated


@pytest.mark.vllm
def test_the_ledger_is_what_the_engine_counted(running):  # noqa: F811
    runner, engine = running

    async def everything():
        pairs = [(name, number) for name in CASES for number in (21, 24, 25, 26)]
        return pairs, await asyncio.gather(*(sampled(engine, *pair) for pair in pairs))

    for (name, _), (session, completions, generated) in zip(*runner.run(everything()), strict=True):
        check_completions(Place("strategies", name), session, completions)
        (account,) = session.ledger.accounts.values()
        assert account.sequences == len(generated)
        assert account.prompt_tokens == sum(one.prompt_tokens for one in generated)
        assert account.generated_tokens == sum(one.tokens for one in generated)
