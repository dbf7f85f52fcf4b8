"""Every strategy on a real model: what is charged is what the engine computed, to the token, per model."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from builtins_of_itscale import builtins
from test_vllm_engine import running  # noqa: F401 - a fixture

from itscale.boundary import check_completions
from itscale.plugins.place import Place
from itscale.plugins.strategies import StrategyEntry
from itscale.sampling.ledger import Ledger
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.testing.doubles import Tallied
from itscale.types import Problem
from itscale_builtin.verifiers.logprob import Logprob

ENTRIES: dict[str, StrategyEntry] = {
    plugin.entry.name: plugin.entry for plugin in builtins() if plugin.entry.kind == "strategies"
}


@dataclass(frozen=True)
class Case:
    """How a strategy is run: at a budget (0: one completion), with options that differ from the least."""

    budget: int = 0
    options: dict[str, Any] = field(default_factory=dict)


LAYERS = [
    [{"role": "generator", "samples": 2}, {"role": "generator", "model": "second"}],
    [{"role": "critic", "model": "second"}],
    [{"role": "ranker", "keep": 2}],
    [{"role": "verifier", "model": "second"}],
    [{"role": "unit_test_generator", "tests": 2}],
    [{"role": "unit_test_evaluator", "model": "second"}],
    [{"role": "fuser"}],
]
SHORT = {"max_tokens": 24}
THINKING = {"ask_for_marker": True, "end_of_think": ".", "answer_tokens": 8, "max_tokens": 80}
STEPS = {"scorer": "logprob", "delimiter": "\n", "step_tokens": 8, "max_steps": 3}
CASES = {
    "ab_mcts": Case(4, {"scorer": "logprob", "models": ["second"]}),
    "adaptive_sampling": Case(3, {"prune_at": [8]}),
    "archon": Case(0, {"layers": LAYERS, "retries": 1}),
    "atom_of_thoughts": Case(0, {"retries": 1}),
    "beam_search": Case(4, {**STEPS, "width": 2}),
    "budget_forcing": Case(0, {**THINKING, "thinking_tokens": 48, "waits": 2}),
    "confidence_pruning": Case(4, {"warm_up": 2, "segment_tokens": 8, "group_segments": 1}),
    "debate": Case(0, {"others": ["second"]}),
    "dvts": Case(4, {**STEPS, "width": 2}),
    "dynamic_allocation": Case(4),
    "dynamic_allocation_oracle": Case(4),
    "early_stopping_vote": Case(4),
    "emulated_fine_tuning": Case(0, {"tuned": "second", "untuned": "third", "top": 20, "max_tokens": 6}),
    "iterative_deepening": Case(0, {"first_window": 8, "max_tokens": 40}),
    "lookahead": Case(4, {**STEPS, "width": 2, "lookahead": 1}),
    "mcts": Case(2, {**STEPS, "width": 2}),
    "mixture_of_agents": Case(0, {"others": ["second"], "samples": 1}),
    "parallel_tempering": Case(8, {**STEPS, "iterations": 2}),
    "particle_filter": Case(4, STEPS),
    "particle_gibbs": Case(4, {**STEPS, "iterations": 2}),
    "plan_search": Case(2, {"first": 2, "second": 1, "tries": 1, "diversity": True, "judge": "second"}),
    "repeated_sampling": Case(),
    "revision": Case(4, {"ratio": 1}),
    "rise": Case(3),
    "rise_oracle": Case(3),
    "rstar": Case(1, {"discriminator": "second", "depth": 2, "votes": 2, "masks": 1}),
    "self_refine": Case(0, {"attempts": 2}),
    "step_best_of_n": Case(4, STEPS),
    "tree_of_thoughts": Case(2, {"steps": 2, "branches": 2, "evaluations": 1, "valuer": "second"}),
    "truncated_thinking": Case(16, {**THINKING, "lengths": [4, 8, 16], "end_of_think": "##"}),
    "until_pass": Case(),
}


def test_no_strategy_is_left_out() -> None:
    assert CASES.keys() == ENTRIES.keys()


async def sampled(engine: Any, name: str, number: int) -> tuple[Session, Any, dict[str, Tallied]]:
    """Run one strategy on one problem; return its session, its completions and the engines that counted."""
    entry, case = ENTRIES[name], CASES[name]
    options = entry.options(**{**SHORT, **case.options})
    question = {"role": "user", "content": f"What is the greatest common divisor of {number} and 84?"}
    problem = Problem(problem_id=f"{number}", messages=(question,), reference="7")
    engines = {label: Tallied(engine) for label in ("", "second", "third")}
    most = entry.hands_in(options, case.budget) if entry.hands_in else max(1, case.budget)
    worth = entry.worth(options)
    granted = (entry.grant(options, case.budget) if entry.grant else most * worth) if case.budget else None
    session = Session(
        problem,
        Unit(problem_id=f"{number}", budget=case.budget, stop=most),
        engines[""],
        model="m",
        stream=(0,),
        token_limit=options.max_tokens,
        worth=worth,
        granted=granted,
        paired=entry.paired,
        pooled=entry.per == "pool",
        partners=Partners(
            helpers={label: one for label, one in engines.items() if label},
            scorer=SessionScorer(scorer=Logprob(options), label="logprob", engines={}),
            answer=lambda text: next((word for word in reversed(text.split()) if word.isdigit()), None),
            passes=lambda text: False,
        ),
    )
    return session, await entry.factory(session.problem, session, options), engines


def counted(ledger: Ledger, label: str) -> tuple[int, int]:
    """Return what a model read and generated, as the ledger has it."""
    accounts = [account for (_, by, _), account in ledger.accounts.items() if by == (label or "m")]
    return sum(one.prompt_tokens for one in accounts), sum(one.generated_tokens for one in accounts)


@pytest.mark.vllm
@pytest.mark.parametrize("name", CASES)
def test_the_ledger_is_what_the_engine_counted(running: Any, name: str) -> None:  # noqa: F811
    runner, engine = running

    async def everything() -> list[Any]:
        return await asyncio.gather(*(sampled(engine, name, number) for number in (21, 24, 25, 26)))

    for session, completions, engines in runner.run(everything()):
        whole = ENTRIES[name].design == "fixed"
        assert check_completions(Place("strategies", name), session, completions, whole=whole)
        for label, one in engines.items():
            read = sum(made.prompt_tokens for made in (*one.generated, *one.read))
            written = sum(made.tokens for made in one.generated)
            written += sum(made.generated_tokens for made in one.read)
            assert counted(session.ledger, label) == (read, written), label
