"""Beam search: what beams are ranked by, when it stops, and what it hands in."""

import random

import pytest
from lettered_search import drawn, in_order, matched, path, search

from itscale_builtin.strategies._ranking import best
from itscale_builtin.strategies.beam_search import entry

# Three parents with two children each; every rule keeps three others. By hand.
SCORES = {
    "a": 0.9,
    "b": 0.5,
    "c": 0.3,
    "d": 0.1,
    "e": 0.1,
    "f": 0.1,
    "aa": 0.4,
    "ab": 0.2,
    "ba": 0.5,
    "bb": 0.4,
    "ca": 0.8,
    "cb": 0.6,
}
KEPT = {
    "last": {"ba", "ca", "cb"},
    "min": {"aa", "ba", "bb"},
    "product": {"aa", "ba", "ca"},
    "mean": {"aa", "ab", "ca"},
}


@pytest.mark.parametrize("aggregation", KEPT)
def test_beams_are_ranked_by_the_scores_of_their_steps(aggregation):
    made, *_ = search(entry, in_order("abcdef", 3), SCORES, budget=6, width=2, aggregation=aggregation)
    assert {path(one.text)[:2] for one in made} == KEPT[aggregation]
    assert len(made) == 6


def test_it_finds_the_path_that_the_scorer_points_to():
    made, *_ = search(entry, drawn("abcd", 5), matched("cabad"), budget=32, width=4)
    assert "cabad" in {path(one.text) for one in made}


def test_without_selection_it_is_repeated_sampling():
    """Width 1: whatever the scorer says, the beams are those of any other scorer."""
    first, second = (
        search(entry, drawn("abcd", 5), value, budget=8, width=1)[0] for value in (matched("a"), matched("b"))
    )
    assert sorted(one.text for one in first) == sorted(one.text for one in second)
    assert len({one.nodes[-1] for one in first}) == 8


def test_it_may_stop_when_enough_beams_have_finished():
    """Of a, b, c, z only z has ended; those that have are handed in, and no others."""
    made, *_ = search(entry, in_order("abcz", 3), matched("aaa"), budget=4, width=2, enough=0.25)
    assert [path(one.text) for one in made] == ["z"]
    made, *_ = search(entry, in_order("abcz", 3), matched("aaa"), budget=4, width=2, enough=0.26)
    assert [len(path(one.text)) for one in made] == [3] * 4


def test_every_candidate_is_handed_in_once_where_steps_run_out():
    """Copies of the beams that would be continued next would inflate votes."""
    made, *_ = search(entry, drawn("abcd", 9), matched("aaaa"), budget=8, width=4, max_steps=3)
    assert len({tuple(one.nodes) for one in made}) == 8
    assert {(len(path(one.text)), one.finish_reason) for one in made} == {(3, "steps")}


def test_the_order_of_candidates_changes_nothing_even_where_scores_tie():
    made, session, *_ = search(entry, drawn("abcd", 2), matched("a"), budget=16, width=4)
    beams = [session.tree.path(one.nodes) for one in made]
    scores = {beam.node: float(place % 3 == 0) for place, beam in enumerate(beams)}
    kept = best(beams, [scores[beam.node] for beam in beams], 8)
    assert [scores[beam.node] for beam in kept] == [1.0] * 6 + [0.0] * 2
    for seed in range(20):
        shuffled = random.Random(seed).sample(beams, len(beams))
        assert best(shuffled, [scores[beam.node] for beam in shuffled], 8) == kept
