"""DVTS: subtrees apart from each other, each greedy."""

import numpy as np
import pytest
from lettered_search import drawn, in_order, matched, path, search
from test_strategies import HOLDS, STEPS, SUCCESS, close, right
from test_strategies import run as run_simulated

from itscale.errors import StudyError
from itscale_builtin.strategies import beam_search, dvts, step_best_of_n
from itscale_builtin.strategies.dvts import DvtsOptions

entry = dvts.entry


@pytest.mark.parametrize("width", [1, 8])
def test_one_subtree_is_greedy_search_and_subtrees_of_one_are_sampling(width):
    """To the bit what beam search does that keeps one beam, or all of them."""
    runs = [
        run_simulated(
            strategy.entry.factory,
            strategy.entry.options(scorer="r", width=width),
            budget=8,
            problems=20,
            noise=1.0,
        )
        for strategy in (beam_search, dvts)
    ]
    if width == 1:  # beams are listed by rank
        runs = [[sorted(one.text for one in made) for made in found] for found in runs]
    assert runs[0] == runs[1]


def test_one_subtree_holds_the_path_of_step_level_best_of_n():
    given = {"budget": 8, "problems": 20, "noise": 1.0}
    trees = run_simulated(entry.factory, DvtsOptions(scorer="r", width=8), **given)
    paths = run_simulated(step_best_of_n.entry.factory, step_best_of_n.entry.options(scorer="r"), **given)
    for leaves, (only,) in zip(trees, paths, strict=True):
        assert only.nodes in [one.nodes for one in leaves]
        assert only.step_scores[-1] == max(one.step_scores[-1] for one in leaves)


@pytest.mark.parametrize(("budget", "width"), [(8, 2), (16, 4)])
def test_subtrees_are_independent_greedy_searches(budget, width):
    """Closed form: a stem holds a step if one of M does, and each of its last candidates holds by itself."""
    runs = run_simulated(entry.factory, DvtsOptions(scorer="r", width=width), budget=budget, problems=120)
    stem = (1 - (1 - HOLDS) ** width) ** (STEPS - 1)
    solved = stem * (1 - (1 - HOLDS) ** width)
    coverage = 1 - (1 - solved) ** (budget // width)
    assert all(len(made) == budget for made in runs)
    close([any(map(right, made)) for made in runs], coverage, np.sqrt(coverage * (1 - coverage)) + 0.01)
    counts = [sum(map(right, made)) for made in runs]
    close(counts, budget * stem * HOLDS, np.std(counts))
    assert coverage > 1 - (1 - SUCCESS) ** budget


def test_what_one_subtree_finds_takes_no_place_from_another():
    """Beam search would go on from the right first letter alone."""
    made, *_ = search(entry, in_order("abcd", 3), matched("aaa"), budget=4, width=2)
    assert {path(one.text)[0] for one in made} == {"a", "c"}


def test_all_last_candidates_are_handed_in_finished_or_not():
    value = {"z": 0.9, "a": 0.1}
    made, *_ = search(entry, in_order("az", 3), value, budget=2, width=2)
    assert [(path(one.text), one.finish_reason) for one in made] == [("a", "steps"), ("z", "eos")]


def test_a_subtree_that_has_ended_is_left_alone():
    """The second subtree has d and z, and ends; the first goes on to its third step."""
    value = {"a": 0.9, "b": 0.1, "d": 0.2, "z": 0.8}
    made, *_ = search(entry, in_order("abdz", 3), value, budget=4, width=2)
    assert [len(path(one.text)) for one in made] == [3, 3, 1, 1]


def test_it_finds_the_path_that_the_scorer_points_to():
    made, *_ = search(entry, drawn("abcd", 5), matched("cabad"), budget=32, width=16)
    assert "cabad" in {path(one.text) for one in made}


def test_a_budget_that_is_no_whole_number_of_subtrees_is_refused_in_words():
    with pytest.raises(StudyError, match="budget 10 with width 4, expected a budget that is a multiple of 4"):
        entry.admits(DvtsOptions(scorer="r", width=4), 10)
