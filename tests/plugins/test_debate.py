"""Debates: who reads what in which round, and whose answer is handed in."""

import pytest
from scripted_engine import Scripted, charged, run

from itscale.sampling.partners import Partners
from itscale_builtin.strategies.debate import entry


def speaking(name):
    return Scripted(lambda request, before, seed: f"{name}{len(request.chat) // 2} says {seed % 7}")


def last_word(text):
    return text.split()[-1] if text.split() else None


def debated(engine=None, other=None, **given):
    partners = Partners(helpers={"other": other} if other else {}, answer=last_word)
    return run(entry, engine or speaking("a"), partners=partners, **given)


def test_every_agent_reads_all_others_and_what_it_said_itself():
    engine = speaking("a")
    debated(engine, rounds=3)
    first, *later = engine.requests
    firsts = [f"a0 says {seed % 7}" for seed in first.seeds]
    assert len(firsts) == 3
    assert len(later) == 6
    for agent, request in enumerate(later[:3]):
        mine, asked = request.chat[1]["content"], request.chat[2]["content"]
        assert mine == firsts[agent]
        assert all(text in asked for other, text in enumerate(firsts) if other != agent)
        assert asked.count("says") == 2
    assert [len(request.chat) for request in later] == [3, 3, 3, 5, 5, 5]
    assert [request.chat[1]["content"] for request in later[3:]] == firsts


@pytest.mark.parametrize(("agents", "rounds"), [(2, 1), (3, 2), (5, 4)])
def test_it_charges_an_answer_for_each_agent_and_round(agents, rounds):
    engine = speaking("a")
    _, session = debated(engine, agents=agents, rounds=rounds)
    assert charged(session, "sequences") == agents * rounds
    assert charged(session, "generated_tokens") == engine.written


def test_models_speak_by_turns():
    mine, other = speaking("a"), speaking("b")
    _, session = debated(mine, other, agents=3, rounds=2, others=["other"])
    sequences = {by: account.sequences for (_, by, *_), account in session.ledger.accounts.items()}
    assert sequences == {"m": 4, "other": 2}
    asked = other.requests[-1].chat[-1]["content"]
    assert asked.count("a0 says") == 2


@pytest.mark.parametrize(
    ("last", "handed_in"),
    [("775", "7"), ("577", "7"), ("567", "567"), ("  7", "7"), ("   ", "")],
)
def test_the_majority_of_the_last_answers_is_handed_in(last, handed_in):
    said = iter(last)
    engine = Scripted(lambda request, before, seed: "no" if len(request.chat) == 1 else next(said).strip())
    (made,), _ = debated(engine)
    assert made.text in (list(handed_in) or [""])  # of equals, any


def test_a_model_that_is_named_twice_speaks_twice_and_is_drawn_no_more_often():
    mine, other = speaking("a"), speaking("b")
    _, session = debated(mine, other, agents=4, rounds=1, others=["other", "other"])
    assert charged(session, "sequences") == 4


def test_agents_that_disagree_win_by_turns():
    """Two agents that never agree: neither is always handed in."""
    engine = Scripted(lambda request, before, seed: f"so {seed % 1000}")
    firsts = [debated(engine, agents=2, rounds=1, stream=(n,))[0][0].text for n in range(12)]
    placed = [first == f"so {engine.requests[n].seeds[0] % 1000}" for n, first in enumerate(firsts)]
    assert len(set(placed)) == 2
