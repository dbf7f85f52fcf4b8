"""However few tokens there are, and whatever models write, a structured strategy hands in a row."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_engine import Scripted, run

from itscale.boundary import check_completions
from itscale.plugins.place import Place
from itscale.sampling.partners import Partners
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies import (
    archon,
    atom_of_thoughts,
    debate,
    emulated_fine_tuning,
    mixture_of_agents,
    plan_search,
)

LAYERS = [
    [{"role": "generator", "samples": 3}],
    [{"role": "critic"}],
    [{"role": "ranker"}],
    [{"role": "verifier"}],
    [{"role": "unit_test_generator"}],
    [{"role": "unit_test_evaluator"}],
    [{"role": "fuser"}],
]

CASES = {
    "archon": (archon.entry, 0, {"layers": LAYERS, "retries": 1}),
    "atom_of_thoughts": (atom_of_thoughts.entry, 0, {"retries": 1}),
    "debate": (debate.entry, 0, {"rounds": 3}),
    "mixture_of_agents": (mixture_of_agents.entry, 0, {"samples": 2}),
    "plan_search": (plan_search.entry, 3, {"first": 2, "second": 1, "diversity": True}),
}


def last_word(text):
    return text.split()[-1] if text.split() else None


def taken(name, engine, granted=None, **more):
    entry, budget, given = CASES.get(name, (emulated_fine_tuning.entry, 0, {}))
    partners = Partners(answer=last_word, **more)
    if name not in CASES:
        given = {"tuned": "t", "untuned": "t"}
    made, session = run(
        entry, engine, budget=budget, granted=granted, completions=max(1, budget), partners=partners, **given
    )
    check_completions(Place("strategies", name), session, made)
    assert made
    return session


@pytest.mark.parametrize("name", [*CASES, "emulated_fine_tuning"])
def test_a_session_that_runs_out_leaves_a_row(name):
    engine = SimulatedEngine(SimulatedOptions(success=0.5, steps=3))
    helpers = {} if name in CASES else {"t": engine}
    for granted in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610):
        session = taken(name, engine, granted, helpers=helpers)
        spent = sum(account.generated_tokens for account in session.ledger.accounts.values())
        assert spent <= granted


HOSTILE = st.one_of(
    st.text(st.sampled_from("[]()>*-#:. \n\t0123456789,{}$\\abc²")),
    st.sampled_from(
        [
            "",
            "\n\n\n",
            "\ud800[1] > [2]",
            "[1] " * 500,
            "{problem} {answers} {candidates} {0} {{}}",
            "[999999999999999999999] > [-1] > [0]",
            "1. a (needs: 2)\n2. b (needs: 1)",
            "1. a (needs: 1)\n1. b (needs: none)\n7. c (needs: 99)",
            "[" * 2000,
            '["a", "b", {"c": 1}]',
        ]
    ),
)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(replies=st.lists(HOSTILE, min_size=1, max_size=4))
def test_any_reply_leaves_a_row(name, replies):
    asked = iter(range(1_000_000))
    taken(name, Scripted(lambda request, before, seed: replies[next(asked) % len(replies)]))
