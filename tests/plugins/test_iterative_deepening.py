"""Iterative deepening: where the trigger is appended, and what ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import Scripted, run

from itscale_builtin.strategies.iterative_deepening import boundaries, entry

TRIGGER = " Wait!"


def endless(request, before, seed):
    return " w" * 10_000


def test_boundaries_of_the_worked_example():
    assert boundaries(512, 2, 8192) == [512, 1024, 2048, 4096]


@given(st.integers(1, 2000), st.floats(1.1, 4), st.integers(1, 20_000))
def test_boundaries_grow_and_stay_below_the_limit(first, growth, most):
    found = boundaries(first, growth, most)
    assert found == sorted(set(found))
    assert all(boundary < most for boundary in found)
    assert len(found) < 200


def test_the_trigger_stands_at_the_boundaries_and_the_limit_holds():
    engine = Scripted(endless)
    (one,), _ = run(entry, engine, trigger=TRIGGER)
    assert one.text.count(TRIGGER) == 4
    generated = [len(part.split()) for part in one.text.split(TRIGGER)]
    assert [sum(generated[: place + 1]) for place in range(5)] == [512, 1024, 2048, 4096, 8192]
    assert (engine.written, one.finish_reason) == (8192, "length")


@pytest.mark.parametrize(("words", "triggers"), [(5, 0), (7, 0), (8, 1), (15, 1), (16, 2), (40, 2)])
def test_a_model_that_ends_is_left_alone(words, triggers):
    """The end is a token too: a text of 7 words ends as its window of 8 does."""
    engine = Scripted(lambda request, before, seed: " w" * (words - before.count("w")))
    (one,), _ = run(entry, engine, trigger=" ?", first_window=8, growth=2, max_tokens=32)
    assert one.text.count("?") == triggers
    assert engine.written <= 32


def test_one_window_is_plain_sampling():
    engine = Scripted(lambda request, before, seed: f" {seed}")
    (one,), session = run(entry, engine, first_window=8192)
    assert len(engine.requests) == 1
    assert one.nodes == [session.tree.made[one.nodes[0]].node]
