"""rStar: which action may follow which, bounds and rewards by hand, and what two models agree on."""

import asyncio
from math import inf, log, sqrt

import pytest
from scripted_engine import PROBLEM, Scripted

from itscale.sampling.partners import Partners
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale_builtin.strategies._rstar_actions import ACTIONS, Node, asked_in
from itscale_builtin.strategies.rstar import (
    RStarOptions,
    back_up,
    beginning,
    bound,
    path,
    path_reward,
    rstar,
)


def replies(finish="so it is 7", question="How many are 3 + 3?"):
    """Return a script that takes every action; `finish` may be a function of the seed."""

    def script(request, before, seed):
        said = request.chat[-1]["content"]
        if "Go on from here" in said:
            return finish(seed) if callable(finish) else finish
        if "question mark" in said:
            return question
        if "Answer only this question" in said or "answer only this question" in said:
            return "It is 6"
        return "In other words, add." if "own words" in said else "First add 3 and 3."

    return script


def search(script=None, budget=4, second=None, tokens=None, **options):
    """Run a search on scripted models; return the session, the engines and what was handed in."""
    engine, other = Scripted(script or replies()), Scripted(second or replies())
    given = RStarOptions(max_tokens=60, votes=3, discriminator="second" if second else None, **options)
    session = Session(
        PROBLEM,
        Unit(problem_id="p", budget=budget, stop=budget),
        engine,
        model="m",
        stream=(1,),
        token_limit=60,
        granted=tokens or 1_000_000,
        partners=Partners(
            helpers={"second": other},
            answer=lambda text: text.split()[-1] if text.startswith("so it is") else None,
        ),
    )
    return session, engine, other, asyncio.run(rstar(PROBLEM.question, session, given))


def test_a_sub_question_is_answered_again_right_after_it_and_the_problem_rephrased_first() -> None:
    assert {action for action, after in ACTIONS.items() if "again" in after} == {"sub_question"}
    assert {action for action, after in ACTIONS.items() if "rephrase" in after} == {"root"}
    assert all("finish" in after for action, after in ACTIONS.items() if action != "finish")
    _, engine, _, _ = search(budget=8, depth=3)
    asked = [request.chat[-1]["content"] for request in engine.requests]
    assert all(any(words in said for said in asked) for words in ("own words", "check each step"))
    for said in asked:
        if "own words" in said:
            assert said.startswith("What is 3 + 4?\n\nDo not solve it.")
        if "check each step" in said:
            assert "How many are 3 + 3? It is 6" in said


def test_uct_by_hand() -> None:
    """1.5 / 2 + 2 sqrt(ln 5 / 2); what was never visited comes first."""
    top = Node("root", "q", visits=5, value=2.5)
    child = Node("thought", "q", parent=top, visits=2, value=1.5, name="0.0")
    assert bound(child, top, 2.0) == pytest.approx(0.75 + 2 * sqrt(log(5) / 2))
    assert bound(Node("finish", "q", parent=top), top, 2.0) == inf


def test_rewards_are_backed_up_and_averaged_over_the_path() -> None:
    """Two roll-outs through a thought, of confidence 1 and 0.5: (0.75 + 1) / 2."""
    top = Node("root", "q")
    thought = Node("thought", "q", parent=top, name="0.0")
    ends = [Node("finish", "q", parent=thought, confidence=one, name=f"0.0.{one}") for one in (1.0, 0.5)]
    for end in ends:
        back_up(end)
    assert (top.visits, top.value) == (2, 1.5)
    assert path_reward(ends[0]) == pytest.approx((0.75 + 1.0) / 2)
    assert [node.action for node in path(ends[0])] == ["finish", "thought", "root"]


def test_the_most_common_answer_is_handed_in_with_its_share_of_the_votes() -> None:
    """Of three votes of every finish, some say 7 and some 8; with depth 1 there is nothing else."""
    script = replies(finish=lambda seed: f"so it is {7 + seed % 2}")
    session, engine, _, made = search(script, budget=1, depth=1)
    (request,) = engine.requests
    said = [7 + seed % 2 for seed in request.seeds]
    common = max(set(said), key=said.count)
    (one,) = made
    assert one.text == f"so it is {common}"
    assert one.weight == pytest.approx((said.count(common) / 3) ** 2)
    assert session.ledger.rows()[0]["sequences"] == 3


def test_solutions_that_a_second_model_does_not_come_to_count_nothing() -> None:
    """The second model always says 8: solutions that say 8 are kept, others have no weight."""
    script = replies(finish=lambda seed: f"so it is {7 + seed % 2}")
    _, _, second, made = search(script, budget=6, depth=2, second=replies(finish="so it is 8"))
    assert {one.text for one in made} == {"so it is 7", "so it is 8"}
    assert all((one.weight > 0) == (one.text == "so it is 8") for one in made)
    assert len(second.requests) == 4 * len(made)


def test_where_nothing_is_agreed_on_confidence_alone_decides() -> None:
    _, _, _, made = search(budget=3, depth=2, second=replies(finish="I do not know"))
    assert all(one.weight == 1.0 for one in made)


def test_beginnings_never_show_the_end() -> None:
    steps = ("one\ntwo", "three\n\nfour")
    assert [beginning(steps, share).count("\n") + 1 for share in (0.1, 0.5, 0.75, 1.0)] == [1, 2, 3, 3]
    assert beginning(("so it is 7",), 1.0) == "so it is"
    assert beginning(("", "seven"), 0.5) == ""


def test_questions_as_models_write_them() -> None:
    assert asked_in("Sure. **How many apples are left?** Then we add.") == "How many apples are left?"
    assert asked_in("First we add.") == ""
    assert asked_in("先算。还剩多少\uff1f") == "先算。还剩多少\uff1f"
    assert asked_in("word " * 100_000) == ""  # hours, were each beginning tried to the end


@pytest.mark.parametrize("reply", ["", " \n", "?" * 3000, "\ud800 what"])
def test_replies_of_any_kind_leave_completions(reply: str) -> None:
    _, _, _, made = search(lambda request, before, seed: reply, budget=3, depth=3)
    assert 1 <= len(made) <= 3


@pytest.mark.parametrize("tokens", [1, 4, 12, 40, 90, 200])
def test_a_budget_that_ends_anywhere_leaves_completions(tokens: int) -> None:
    session, _, _, made = search(tokens=tokens, depth=3, second=replies())
    assert made
    assert (session.ledger.generated_tokens or 0) <= tokens
