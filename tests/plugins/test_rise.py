"""Introspection over turns: with an oracle it is coverage, without one every turn is handed in."""

import numpy as np
import pytest
from scripted_engine import Scripted, run

from itscale.sampling.partners import Partners
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies.rise import entry
from itscale_builtin.strategies.rise_oracle import entry as with_oracle


def turns(request, before, seed):
    return f"turn {sum(turn['role'] == 'assistant' for turn in request.chat)}"


def test_every_turn_reads_all_before_it_and_is_handed_in():
    engine = Scripted(turns)
    made, _ = run(entry, engine, budget=5)
    assert [one.text for one in made] == [f"turn {at}" for at in range(5)]
    assert [len(request.chat) for request in engine.requests] == [1, 3, 5, 7, 9]
    assert "may be wrong" in engine.requests[-1].chat[-1]["content"]


@pytest.mark.parametrize(("right", "made"), [(0, 1), (2, 3), (4, 5), (7, 5)])
def test_an_oracle_ends_it_at_the_first_attempt_that_is_right(right, made):
    partners = Partners(passes=lambda text: text == f"turn {right}")
    engine = Scripted(turns)
    found, _ = run(with_oracle, engine, budget=5, partners=partners)
    assert len(found) == len(engine.requests) == made
    if made > 1:
        assert "incorrect" in engine.requests[-1].chat[-1]["content"]


def test_an_oracle_over_turns_is_coverage():
    """Each turn of the simulated model is right with the same chance, whatever came before."""
    engine = SimulatedEngine(SimulatedOptions(success=0.3))
    partners = Partners(passes=lambda text: text.endswith("answer is 7"))
    runs = [
        run(with_oracle, engine, budget=4, replicate=replicate, partners=partners)[0]
        for replicate in range(500)
    ]
    right = np.mean([found[-1].text.endswith("answer is 7") for found in runs])
    expected = 1 - 0.7**4
    assert abs(right - expected) < 4 * np.sqrt(expected * (1 - expected) / len(runs))
    lengths = np.mean([len(found) for found in runs])
    assert lengths == pytest.approx(sum(0.7**turn for turn in range(4)), abs=0.2)


def test_the_entry_without_an_oracle_may_not_ask_it():
    assert (entry.asks_oracle, entry.design) == (False, "fixed")
    assert (with_oracle.asks_oracle, with_oracle.design) == (True, "until_success")
