"""Step-level best-of-n: one path, of whose every step n candidates were drawn."""

import numpy as np
import pytest
from lettered_search import drawn, matched, path, search
from test_strategies import HOLDS, STEPS, close, right
from test_strategies import run as run_simulated

from itscale_builtin.strategies.step_best_of_n import StepBestOfNOptions, entry


@pytest.mark.parametrize("budget", [1, 4])
def test_a_step_holds_if_one_of_its_candidates_does(budget):
    runs = run_simulated(entry.factory, StepBestOfNOptions(scorer="r"), budget=budget, problems=200)
    expected = (1 - (1 - HOLDS) ** budget) ** STEPS
    assert all(len(made) == 1 for made in runs)
    close([right(made[0]) for made in runs], expected, np.sqrt(expected * (1 - expected)))


def test_it_finds_the_path_that_the_scorer_points_to():
    made, _, engine, _ = search(entry, drawn("abcd", 5), matched("cabad"), budget=32)
    assert [path(one.text) for one in made] == ["cabad"]
    assert [len(request.seeds) for request in engine.requests] == [32] * 5


def test_it_stops_after_its_most_steps():
    (made,), *_ = search(entry, drawn("abcd", 30), matched("a"), budget=4)
    assert (len(made.nodes), made.finish_reason) == (20, "steps")
