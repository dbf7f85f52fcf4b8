"""However few tokens a session has, a sequential strategy hands in a row that a study takes."""

import pytest
from scripted_engine import Scripted, run

from itscale.boundary import check_completions
from itscale.plugins.place import Place
from itscale.sampling.partners import Partners
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies import (
    budget_forcing,
    iterative_deepening,
    revision,
    rise,
    rise_oracle,
    self_refine,
    truncated_thinking,
)

CASES = {
    "budget_forcing": (budget_forcing.entry, 0, {"waits": 2, "end_of_think": "\n\n"}),
    "iterative_deepening": (iterative_deepening.entry, 0, {"first_window": 5}),
    "revision": (revision.entry, 8, {"ratio": 2}),
    "rise": (rise.entry, 3, {}),
    "rise_oracle": (rise_oracle.entry, 3, {}),
    "self_refine": (self_refine.entry, 0, {}),
    "truncated_thinking": (truncated_thinking.entry, 16, {"lengths": [4, 8, 16], "end_of_think": "never"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_session_that_runs_out_leaves_a_row(name):
    entry, budget, given = CASES[name]
    engine = SimulatedEngine(SimulatedOptions(success=0.5, steps=3))
    partners = Partners(passes=lambda text: False)
    for granted in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233):
        made, session = run(entry, engine, budget=budget, granted=granted, partners=partners, **given)
        check_completions(Place("strategies", name), session, made)
        assert made
        spent = sum(account.generated_tokens for account in session.ledger.accounts.values())
        assert spent <= granted


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "text", ["", "\ud800 \ud800", "\n\n" * 50, "x" * 100_000, "{stop} {problem}", "\0 </think>"]
)
def test_whatever_a_model_writes_leaves_a_row(name, text):
    entry, budget, given = CASES[name]
    partners = Partners(passes=lambda text: False)
    made, session = run(entry, Scripted(lambda *_: text), budget=budget, partners=partners, **given)
    check_completions(Place("strategies", name), session, made)
    assert made
