"""Traces cut where the model is not confident: groups token by token, scripted cuts, weighted votes."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_engine import PARTNERS, Numbered
from scripted_engine import charged, run

from itscale.testing import StrategyContract
from itscale.types import Problem, Step, Trajectory
from itscale_builtin.strategies.confidence_pruning import entry, lowest

WORDS = 8


def pruned(sure, answers=None, **options):
    """Run traces of eight words, of which the last is the answer, as sure of each word as is said."""
    answers = answers or ["a"] * len(sure)
    texts = [f"t{place} " + "w " * (WORDS - 2) + answer for place, answer in enumerate(answers)]
    engine = Numbered(texts, sure=sure)
    given = {"budget": len(sure), "partners": PARTNERS, "max_tokens": 20, "hand_in": "all"}
    given |= {"warm_up": 2, "keep": 0.5, "consensus": None, "segment_tokens": 2, "group_segments": 2}
    made, session = run(entry, engine, **given | options)
    return [engine.number(one.text) for one in made if one.text], engine, session, made


def flat(*levels):
    return [[level] * WORDS for level in levels]


def trace(steps):
    problem = Problem(problem_id="p", messages=({"role": "user", "content": "?"},), reference="7")
    here = Trajectory(problem.question)
    for node, (confidence, tokens) in enumerate(steps, 1):
        step = Step(text="w " * tokens, tokens=tokens, logprob=None, node=node, confidence=confidence)
        here = Trajectory(problem.question, here, step)
    return here


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.integers(1, 12))
def test_of_segments_of_one_token_groups_are_the_sliding_windows_of_the_paper(confidences, size):
    windows = [confidences[start : start + size] for start in range(len(confidences) - size + 1)]
    expected = min(map(np.mean, windows)) if windows else np.mean(confidences)
    assert lowest(trace([(one, 1) for one in confidences]), size) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5)), min_size=1, max_size=10), st.integers(1, 4))
def test_groups_are_means_over_tokens_whatever_the_segments(steps, size):
    tokens = [[confidence] * count for confidence, count in steps]
    groups = [np.concatenate(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]
    expected = min(map(np.mean, groups)) if groups else np.mean(np.concatenate(tokens))
    assert lowest(trace(steps), size) == pytest.approx(expected)


def test_what_was_not_asked_about_and_what_is_empty_counts_for_nothing():
    assert lowest(trace([(None, 3), (2.0, 1), (4.0, 1)]), 2) == 3.0
    assert lowest(trace([]), 2) == lowest(trace([(None, 4)]), 2) == 0.0


def test_a_trace_is_cut_as_soon_as_a_group_is_below_the_threshold():
    falls = [8.0] * 2 + [1.0] * 2 + [9.0] * 4
    found, engine, session, _ = pruned([*flat(6.0, 4.0), falls, [7.0] * WORDS])
    assert found == [0, 3]
    # the threshold is 5, halfway; the first group, of 4 words, has a mean of 4.5; an end is a token
    assert engine.written == 9 + 9 + 4 + 9
    assert charged(session, "generated_tokens") == engine.written


def test_groups_slide_by_segments():
    """Words 2 to 5 are below, but their group is seen only where it is whole: at 4 it is not, at 6 it is."""
    sure = [9.0, 9.0, 3.0, 3.0, 3.0, 3.0, 9.0, 9.0]
    _, engine, _, _ = pruned([*flat(6.0, 4.0), sure])
    assert engine.written == 9 + 9 + 6


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_the_threshold_keeps_a_share_of_the_warm_up(keep):
    found, engine, _, _ = pruned(flat(1.0, 2.0, 3.0, 4.0, 1.05, 2.6, 3.9), warm_up=4, keep=keep)
    threshold = np.quantile([1.0, 2.0, 3.0, 4.0], 1 - keep)
    assert found == [place for place, low in enumerate([1, 2, 3, 4, 1.05, 2.6, 3.9]) if low >= threshold]
    assert engine.begun == 7


def test_a_budget_within_the_warm_up_cuts_nothing():
    found, engine, _, _ = pruned(flat(1.0, 2.0, 3.0), warm_up=16, keep=0.9)
    assert engine.written == 3 * (WORDS + 1)
    assert found == [1, 2], "the least sure one has no vote"


def test_a_short_trace_is_one_group():
    found, engine, _, _ = pruned(flat(4.0, 4.0, 3.0, 5.0), group_segments=50)
    assert found == [0, 1, 3], "it cannot be cut before it ends, but has no vote if it is below"
    assert engine.written == 4 * (WORDS + 1)


@pytest.mark.parametrize(("consensus", "begun"), [(None, 6), (1.0, 6), (0.8, 4), (0.6, 3), (0.4, 2)])
def test_it_begins_no_more_traces_where_one_answer_has_the_weight(consensus, begun):
    """Weights 2 (b), 2 (a), then 3 (a) each: a has 1/2, 5/7, 8/10 of the weight."""
    sure, answers = flat(2.0, 2.0, 3.0, 3.0, 3.0, 3.0), list("baaaaa")
    assert pruned(sure, answers, consensus=consensus)[1].begun == begun


def test_the_vote_is_weighted_by_confidence():
    sure, answers = flat(2.0, 2.0, 2.5, 8.0), list("aaab")
    found, _, _, made = pruned(sure, answers)
    assert (found, [one.weight for one in made]) == ([0, 1, 2, 3], [2.0, 2.0, 2.5, 8.0])
    found, _, _, made = pruned(sure, answers, hand_in="voted")
    assert (found, [one.weight for one in made]) == ([3], [8.0]), "one of 8 beats three of 6.5 in all"
    sure = flat(2.0, 2.0, 2.5, 6.0)
    assert pruned(sure, answers, hand_in="voted")[0] == [2], "the most confident one of the winning answer"


def test_what_has_no_answer_does_not_vote():
    assert pruned(flat(2.0, 3.0, 9.0), ["a", "b", "none"], hand_in="voted")[0] == [1]
    assert pruned(flat(2.0, 2.0, 9.0), ["a", "b", "none"], hand_in="voted")[0] in ([0], [1])
    assert pruned(flat(2.0, 2.0, 9.0), ["none"] * 3, hand_in="voted")[0] == [2]


@pytest.mark.parametrize("granted", range(1, 60, 4))
def test_a_budget_that_ends_anywhere_leaves_a_completion(granted):
    for hand_in in ("voted", "all"):
        made = pruned(flat(2.0, 3.0, 4.0, 2.5, 3.5), granted=granted, hand_in=hand_in, at_once=2)
        assert len(made[3]) >= 1
        assert charged(made[2], "generated_tokens") <= granted


class TestVoted(StrategyContract):
    """One answer by vote, traces at once, on the simulated model."""

    entry = entry
    test_registering_it_imports_nothing_heavy = None  # done once for all
    test_replicates_are_independent_runs = None  # a vote is mostly the same
    budgets = (6, 12)
    options: ClassVar = {"warm_up": 4, "keep": 0.5, "delimiter": "\n\n", "group_segments": 1, "at_once": 3}
