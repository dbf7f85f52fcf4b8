"""Lookahead search: a step is worth what the scorer says where a greedy roll-out from it ends."""

import pytest
from lettered_search import drawn, in_order, matched, path, search
from scripted_engine import charged
from test_strategies import run as run_simulated

from itscale.errors import StudyError
from itscale_builtin.strategies import beam_search, lookahead
from itscale_builtin.strategies.lookahead import LookaheadOptions, admits

entry = lookahead.entry


@pytest.mark.parametrize("aggregation", ["last", "product"])
def test_without_lookahead_it_is_beam_search_to_the_bit(aggregation):
    given = {"scorer": "r", "width": 2, "aggregation": aggregation}
    runs = [
        run_simulated(
            strategy.entry.factory, strategy.entry.options(**given, **more), budget=8, problems=20, noise=1.0
        )
        for strategy, more in ((beam_search, {}), (lookahead, {"lookahead": 0}))
    ]
    assert runs[0] == runs[1]
    assert len({one.text for made in runs[0] for one in made}) > 1


def promising(letters):
    """A first step b looks well and leads to nothing, a does not and leads to the end."""
    if len(letters) == 1:
        return {"a": 0.1, "b": 0.9}[letters]
    return 0.5 if len(letters) == 2 else float(letters[0] == "a")


@pytest.mark.parametrize(("steps", "first"), [(0, "b"), (2, "a"), (50, "a")])
def test_where_a_roll_out_ends_decides_and_not_how_its_step_looks(steps, first):
    budget = 2 * (steps + 1)
    made, *_ = search(entry, in_order("ab", 3), promising, budget=budget, width=2, lookahead=steps)
    assert {path(one.text)[0] for one in made} == {first}


def test_roll_outs_are_greedy_and_discarded():
    """Sampling never writes g, greedy decoding nothing else: k of them are scored, none is handed in."""
    made, _, engine, scorer = search(
        entry, drawn("abcd", 6), matched("abcdab"), budget=12, width=2, lookahead=2
    )
    assert not any("g" in path(one.text) for one in made)
    assert all(one[1:] == "gg" for one in scorer.asked[:4])
    assert {one.count("g") for one in scorer.asked} == {0, 1, 2}  # fewer where a completion ends
    greedy = [request for request in engine.requests if request.params.temperature == 0]
    assert sum(len(request.seeds) for request in greedy) == 4 * (2 * 4 + 1)  # four rounds of two, one of one


def test_a_budget_pays_for_the_roll_outs():
    made, session, engine, _ = search(
        entry, drawn("abcd", 40), matched("a"), budget=16, width=2, lookahead=3, max_tokens=20
    )
    assert len(made) == 4
    assert engine.written == charged(session, "generated_tokens") <= 16 * 20


@pytest.mark.parametrize(
    ("budget", "given", "said"),
    [
        (6, {"lookahead": 3}, "budget 6 with lookahead 3, expected a multiple of 4"),
        (24, {"lookahead": 3, "width": 4}, "number of beams .* 6 with width 4, expected .* multiple of 4"),
        (16, {"lookahead": 1, "width": "sqrt"}, "number of beams .* 8 with width 'sqrt', .* square number"),
    ],
)
def test_other_budgets_are_refused_in_words(budget, given, said):
    with pytest.raises(StudyError, match=said):
        admits(LookaheadOptions(scorer="r", **given), budget)
