"""However few tokens a session has, a search hands in a row that a study takes, and nothing twice."""

import pytest
from lettered_search import drawn, matched, search

from itscale.boundary import check_completions
from itscale.plugins.place import Place
from itscale_builtin.strategies import beam_search, dvts, lookahead, mcts, step_best_of_n

CASES = {
    "beam_search": (beam_search.entry, 4, {"width": 2}),
    "dvts": (dvts.entry, 4, {"width": 2}),
    "lookahead": (lookahead.entry, 8, {"width": 2, "lookahead": 1}),
    "mcts": (mcts.entry, 4, {"width": 2}),
    "step_best_of_n": (step_best_of_n.entry, 4, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_session_that_runs_out_leaves_a_row(name):
    entry, budget, given = CASES[name]
    for granted in range(1, 60):
        made, session, engine, _ = search(
            entry, drawn("abz", 5), matched("abab"), budget=budget, granted=granted, **given
        )
        check_completions(Place("strategies", name), session, made)
        assert made
        assert engine.written <= granted
        begun = [tuple(one.nodes) for one in made if one.nodes]
        assert len(set(begun)) == len(begun), "copies would inflate votes"
