"""Sampling that the model itself ends: scripted scores, to the token."""

import math
from typing import ClassVar

import pytest
from numbered_engine import PARTNERS, Numbered
from scripted_engine import charged, run

from itscale.testing import StrategyContract
from itscale_builtin.strategies import repeated_sampling
from itscale_builtin.strategies.adaptive_sampling import AdaptiveSamplingOptions, check, entry

TEXTS = [f"t{number} " + "w " * 6 + f"end{number}" for number in range(8)]
SCORES = [0.2, 0.6, 0.4, 0.8, 0.1, 0.3, 0.7, 0.5]


def sampled(budget=8, *, score=lambda number, words: SCORES[number], spelt=("Yes", " No"), **options):
    engine = Numbered(TEXTS, score=score, spelt=spelt)
    made, session = run(entry, engine, budget=budget, partners=PARTNERS, max_tokens=20, **options)
    return [engine.number(one.text) for one in made], engine, session, made


@pytest.mark.parametrize(
    ("threshold", "drawn", "best"),
    [(0, 1, 0), (0.5, 2, 1), (0.6, 4, 3), (0.75, 4, 3), (0.9, 8, 3), (1, 8, 3)],
)
def test_it_draws_until_a_score_is_above_the_threshold(threshold, drawn, best):
    found, engine, _, _ = sampled(threshold=threshold)
    assert engine.begun == drawn
    assert found == [best], "the completion with the highest score"


def test_a_threshold_of_one_is_never_passed_and_one_of_zero_always():
    assert sampled(threshold=1, score=lambda *_: 1.0)[1].begun == 8
    assert sampled(threshold=0, score=lambda *_: 0.0)[1].begun == 1


def test_all_are_handed_in_with_their_scores_if_wanted():
    found, _, _, made = sampled(threshold=0.75, hand_in="all")
    assert found == [0, 1, 2, 3]
    assert [one.weight for one in made] == pytest.approx(SCORES[:4])


@pytest.mark.parametrize("spelt", [("Yes", "No"), (" yes", "\nNO"), ("**Yes", "No."), ("YES", "“No”")])
def test_words_are_read_however_they_are_spelt(spelt):
    found, engine, session, _ = sampled(threshold=0.75, spelt=spelt, hand_in="all")
    if spelt[1] == "“No”":  # a spelling that nobody foresaw is no guess: all that is known is Yes
        assert engine.begun == 8
    else:
        assert found == [0, 1, 2, 3]
    assert charged(session, "unreadable") == 0


def test_what_says_neither_word_is_counted_ranks_last_and_ends_nothing():
    def score(number, words):
        return None if number in (0, 3) else SCORES[number]

    found, engine, session, made = sampled(4, threshold=0, score=score)
    assert (engine.begun, engine.evaluated) == (1, 0), "a threshold of 0 asks nothing"
    found, engine, session, made = sampled(4, threshold=0.7, score=score, hand_in="all")
    assert found == [0, 1, 2, 3]
    assert [one.weight for one in made] == pytest.approx([0, 0.6, 0.4, 0])
    assert charged(session, "unreadable") == 2
    assert sampled(4, threshold=0.7, score=score)[0] == [1]
    assert sampled(4, threshold=0.7, score=lambda *_: None)[0] == [0], "the first, if nothing is known"


def test_every_token_and_every_evaluation_is_charged():
    _, engine, session, _ = sampled(threshold=0.75)
    assert engine.evaluated == 4
    assert charged(session, "generated_tokens") == engine.written + 4


def test_temperatures_are_annealed_from_the_first_to_the_last():
    options: ClassVar = {"temperature": 1.0, "last_temperature": 0.2, "annealing": 0.5}
    _, engine, _, _ = sampled(4, threshold=1, **options)
    found = [request.params.temperature for request in engine.requests]
    assert found == pytest.approx([0.2 + 0.8 * math.exp(-0.5 * number) for number in range(4)])
    assert {request.params.temperature for request in sampled(4, threshold=1)[1].requests} == {1.0}


def test_pruning_keeps_the_best_share_at_each_number_of_tokens():
    found, engine, session, _ = sampled(prune_at=(2, 4), keep=0.5)
    at_two, at_four, at_end = engine.asked[:8], engine.asked[8:12], engine.asked[12:]
    assert sorted(at_two) == [(number, 2) for number in range(8)]
    assert sorted(at_four) == [(number, 4) for number in (1, 3, 6, 7)]
    assert sorted(at_end) == [(number, 8) for number in (3, 6)]
    assert found == [3]
    # 8 run to 2 tokens, 4 to 4, 2 to their 8 words and an end; an evaluation each time
    assert engine.written == 8 * 2 + 4 * 2 + 2 * 5
    assert charged(session, "generated_tokens") == engine.written + 8 + 4 + 2


@pytest.mark.parametrize(("keep", "left"), [(0.25, [8, 2, 1]), (0.3, [8, 3, 1]), (1.0, [8, 8, 8])])
def test_the_share_is_rounded_up(keep, left):
    _, engine, _, _ = sampled(prune_at=(2, 4), keep=keep)
    assert [sum(words == at for _, words in engine.asked) for at in (2, 4, 8)] == left


def test_what_ends_before_it_is_pruned_is_a_candidate():
    found, engine, _, _ = sampled(prune_at=(10,), keep=0.25, hand_in="all")
    assert engine.evaluated == 8
    assert sorted(found) == list(range(8))


@pytest.mark.parametrize("granted", range(1, 60, 3))
def test_a_budget_that_ends_anywhere_leaves_a_completion(granted):
    for options in ({"threshold": 1}, {"prune_at": (2, 4)}):
        engine = Numbered(TEXTS, score=lambda number, words: SCORES[number])
        made, session = run(
            entry, engine, budget=8, granted=granted, partners=PARTNERS, max_tokens=20, **options
        )
        assert len(made) == 1
        assert charged(session, "generated_tokens") <= granted


def test_options_that_contradict_each_other_are_told():
    def told(**options):
        return list(check(AdaptiveSamplingOptions(max_tokens=100, **options)))

    assert told() == told(prune_at=(64, 99)) == []
    for wrong in [(4, 4), (8, 4), (0, 4), (100,)]:
        assert "expected increasing numbers" in told(prune_at=wrong)[0]
    assert "come whole" in told(inner="x", prune_at=(4,))[0]
    assert "last_temperature" in told(inner="x", last_temperature=0.5)[0]
    assert "another word" in told(yes="no")[0]


class TestPruned(StrategyContract):
    """Pruned while they run, on the simulated model, whose sentences are its words."""

    entry = entry
    test_registering_it_imports_nothing_heavy = None  # done once for all
    options: ClassVar = {"prune_at": [8, 24], "yes": "Step 1 fails", "no": "Step 1 holds", "hand_in": "all"}


class TestOfAnother(StrategyContract):
    """Completions of another strategy."""

    entry = entry
    test_registering_it_imports_nothing_heavy = None  # done once for all
    options: ClassVar = {"inner": "base", "yes": "Step 1 fails", "no": "Step 1 holds", "hand_in": "all"}
    inner: ClassVar = {"base": repeated_sampling.entry}
