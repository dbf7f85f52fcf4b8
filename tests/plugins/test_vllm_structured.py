"""Structured strategies on a real model: each model is charged what its engine computed, to the token."""

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
    archon,
    atom_of_thoughts,
    debate,
    emulated_fine_tuning,
    mixture_of_agents,
    plan_search,
)

LAYERS = [
    [{"role": "generator", "samples": 2}, {"role": "generator", "model": "other"}],
    [{"role": "critic", "model": "other"}],
    [{"role": "ranker", "keep": 2}],
    [{"role": "verifier", "model": "other"}],
    [{"role": "unit_test_generator", "tests": 2}],
    [{"role": "unit_test_evaluator", "model": "other"}],
    [{"role": "fuser"}],
]
SMALL = {"tuned": "other", "untuned": "other", "top": 10, "max_tokens": 8}
CASES = {
    "archon": (archon.entry, 0, {"layers": LAYERS, "retries": 1, "max_tokens": 24}),
    "atom_of_thoughts": (atom_of_thoughts.entry, 0, {"retries": 1, "max_tokens": 24}),
    "debate": (debate.entry, 0, {"others": ["other"], "max_tokens": 24}),
    "emulated_fine_tuning": (emulated_fine_tuning.entry, 0, SMALL),
    "mixture_of_agents": (mixture_of_agents.entry, 0, {"others": ["other"], "samples": 1, "max_tokens": 24}),
    "plan_search": (
        plan_search.entry,
        2,
        {"first": 2, "second": 1, "tries": 1, "diversity": True, "judge": "other", "max_tokens": 24},
    ),
}


async def sampled(engine, name, number):
    """Run one strategy on one problem; return its session, its completions and its engines, by label."""
    entry, budget, given = CASES[name]
    question = {"role": "user", "content": f"What is the greatest common divisor of {number} and 84?"}
    problem = Problem(problem_id=f"{number}", messages=(question,), reference="7")
    options = entry.options(**given)
    engines = {label: Tallied(engine) for label in ("m", "other")}
    session = Session(
        problem,
        Unit(problem_id=f"{number}", budget=budget, stop=budget or 1),
        engines["m"],
        model="m",
        stream=(0,),
        token_limit=options.max_tokens,
        worth=entry.worth(options),
        granted=entry.grant(options, budget) if budget else None,
        pooled=False,
        partners=Partners(helpers={"other": engines["other"]}, answer=lambda text: text[-3:] or None),
    )
    return session, await entry.factory(session.problem, session, options), engines


@pytest.mark.vllm
def test_each_model_is_charged_what_its_engine_counted(running):  # noqa: F811
    runner, engine = running

    async def everything():
        pairs = [(name, number) for name in CASES for number in (21, 24, 25, 26)]
        return pairs, await asyncio.gather(*(sampled(engine, *pair) for pair in pairs))

    for (name, _), (session, completions, engines) in zip(*runner.run(everything()), strict=True):
        check_completions(Place("strategies", name), session, completions)
        for label, tallied in engines.items():
            accounts = [account for (_, by, *_), account in session.ledger.accounts.items() if by == label]
            made, read = tallied.generated, tallied.read
            assert sum(one.sequences for one in accounts) == len(made) + len(read)
            assert sum(one.prompt_tokens for one in accounts) == sum(
                one.prompt_tokens for one in [*made, *read]
            )
            assert sum(one.generated_tokens for one in accounts) == sum(one.tokens for one in made) + sum(
                one.generated_tokens for one in read
            )
