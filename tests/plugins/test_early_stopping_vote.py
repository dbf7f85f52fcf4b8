"""Votes that stop early: closed forms, and reductions to plain sampling."""

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_engine import PARTNERS, Numbered
from scipy.integrate import quad
from scripted_engine import run

from itscale.testing import StrategyContract
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies import repeated_sampling
from itscale_builtin.strategies.early_stopping_vote import ahead, entry, unanimous


def drawn(answers, budget=None, **options):
    """Return how many completions are drawn where these are the answers of the first, the second ..."""
    engine = Numbered([f"t{place} {answer}" for place, answer in enumerate(answers)])
    budget = budget or len(answers)
    made, _ = run(entry, engine, budget=budget, completions=budget, partners=PARTNERS, **options)
    assert [one.text for one in made] == engine.texts[: engine.begun]
    return engine.begun


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("aaabbb", 3),
        ("abbbbb", 6),  # windows do not slide: abb, bbb
        ("ababab", 6),
        ("aabaaaaaa", 6),
        ("aaba", 4),  # the last window is what is left
    ],
)
def test_it_stops_after_the_first_window_that_agrees(answers, expected):
    assert drawn(answers, window=3) == expected


def test_completions_without_an_answer_agree_with_nothing():
    assert drawn(["none"] * 6, window=3) == 6
    assert drawn(["a", "a", "none", "a", "a", "a"], window=3) == 6
    assert drawn(["none"] * 8, rule="beta") == 8
    assert not unanimous([None, None])


@given(st.integers(0, 12), st.integers(0, 12))
def test_the_posterior_is_the_integral_of_the_beta_density(first, second):
    first, second = max(first, second), min(first, second)
    whole = quad(lambda p: p**first * (1 - p) ** second, 0, 1)[0]
    above = quad(lambda p: p**first * (1 - p) ** second, 0.5, 1)[0]
    answers = ["a"] * first + ["b"] * second + [None]
    assert ahead(answers) == pytest.approx(above / whole, rel=1e-6)


def test_of_answers_that_agree_the_posterior_needs_four():
    """1 - 2^-(v + 1) for v votes for one answer: .9375 of three, .96875 of four."""
    assert [ahead(["a"] * votes) for votes in range(5)] == pytest.approx([0.5, 0.75, 0.875, 0.9375, 0.96875])
    assert drawn("a" * 9, rule="beta") == 4
    assert drawn("a" * 9, rule="beta", at_once=3) == 6, "it is looked at after each three"


@pytest.mark.parametrize(("threshold", "expected"), [(0.6, 1), (0.8, 2), (0.95, 4), (0.999, 9)])
def test_a_higher_threshold_draws_more(threshold, expected):
    assert drawn("a" * 12, rule="beta", threshold=threshold) == expected


def test_only_the_two_first_answers_count():
    assert ahead("aaabbc") == ahead("aaabb")
    assert drawn("abcdefgh", rule="beta") == 8


def test_a_window_of_the_whole_budget_is_plain_sampling():
    engine = SimulatedEngine(SimulatedOptions(success=0.4))
    asked = {"budget": 8, "completions": 8, "partners": PARTNERS}
    made, _ = run(entry, engine, window=8, temperature=1.0, **asked)
    plain, _ = run(repeated_sampling.entry, engine, **asked)
    assert [one.text for one in made] == [one.text for one in plain]


@pytest.mark.parametrize("rule", ["window", "beta"])
def test_a_stopped_vote_is_the_beginning_of_a_longer_one(rule):
    """So it never draws otherwise than a vote of the whole budget would."""
    engine = SimulatedEngine(SimulatedOptions(success=0.7))
    whole, _ = run(repeated_sampling.entry, engine, budget=30, completions=30)
    made, _ = run(
        entry, engine, budget=30, completions=30, partners=PARTNERS, rule=rule, window=3, temperature=1.0
    )
    assert 1 < len(made) < 30
    assert [one.text for one in made] == [one.text for one in whole[: len(made)]]


class TestBeta(StrategyContract):
    """The posterior rule, of completions that another strategy makes."""

    entry = entry
    test_registering_it_imports_nothing_heavy = None  # done once for all
    options: ClassVar = {"rule": "beta", "inner": "base", "at_once": 2}
    inner: ClassVar = {"base": repeated_sampling.entry}
