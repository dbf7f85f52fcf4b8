"""Mixtures of agents: what each layer reads, of whom it consists, and what it costs."""

import pytest
from scripted_engine import Scripted, charged, run

from itscale.sampling.partners import Partners
from itscale_builtin.strategies.mixture_of_agents import entry


def proposing(name):
    return Scripted(lambda request, before, seed: f"{name}{seed}")


def answers(*requests):
    return [seed for request in requests for seed in request.seeds]


def test_a_layer_reads_the_layer_before_and_no_other():
    engine = proposing("p")
    (made,), _ = run(entry, engine, samples=2, layers=4)
    assert [len(request.seeds) for request in engine.requests] == [2, 2, 2, 1]
    for before, request in zip(engine.requests, engine.requests[1:], strict=False):
        (turn,) = request.chat
        assert [
            int(word[1:]) for word in turn["content"].split() if word[1:].isdigit() and word[0] == "p"
        ] == answers(before)
        assert "What is 3 + 4?" in turn["content"]
    assert made.text == f"p{engine.requests[-1].seeds[0]}"


def test_all_models_propose_in_each_layer_and_one_aggregates():
    mine, other, last = proposing("a"), proposing("b"), proposing("c")
    partners = Partners(helpers={"o": other, "last": last})
    (made,), session = run(
        entry, mine, others=["o"], samples=1, layers=3, aggregator="last", partners=partners
    )
    assert [len(engine.requests) for engine in (mine, other, last)] == [2, 2, 1]
    asked = last.requests[0].chat[0]["content"]
    assert f"[1] a{mine.requests[1].seeds[0]}" in asked
    assert f"[2] b{other.requests[1].seeds[0]}" in asked
    assert made.text.startswith("c")
    assert charged(session, "sequences") == 2 * 2 + 1


@pytest.mark.parametrize(("layers", "samples", "calls"), [(2, 1, 2), (3, 6, 13), (2, 4, 5)])
def test_its_worth_is_what_it_calls(layers, samples, calls):
    _, session = run(entry, proposing("p"), layers=layers, samples=samples, max_tokens=7)
    assert charged(session, "sequences") == calls
    assert entry.worth(entry.options(layers=layers, samples=samples, max_tokens=7)) == 7 * calls
