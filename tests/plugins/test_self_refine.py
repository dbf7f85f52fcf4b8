"""Self-Refine: the five steps, what each reads, when it stops, and what is handed in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_engine import Scripted, charged, run

from itscale.sampling.partners import Partners, SessionScorer
from itscale_builtin.strategies.self_refine import content, entry


def talk(satisfied_after):
    """A model that finds its draft right after so many."""

    def script(request, before, seed):
        said = [turn["content"] for turn in request.chat]
        drafts = sum(text.startswith("draft") for text in said)
        if "Check your answer" in said[-1]:
            number = int(said[-2].split()[1])
            return "**It is correct.**" if number >= satisfied_after else f"step {number} is wrong"
        return f"draft {drafts}"

    return Scripted(script)


def roles(request):
    return [turn["content"].split()[0] for turn in request.chat[1:]]


@pytest.mark.parametrize(
    ("satisfied", "calls", "last"), [(0, 2, 0), (1, 4, 1), (2, 6, 2), (3, 7, 3), (99, 7, 3)]
)
def test_it_stops_where_nothing_is_wrong_and_after_four_attempts(satisfied, calls, last):
    engine = talk(satisfied)
    (one,), session = run(entry, engine)
    assert one.text == f"draft {last}"
    assert len(engine.requests) == calls
    assert charged(session, "generated_tokens") == engine.written


def test_feedback_reads_the_draft_and_a_refinement_all_that_was_said():
    engine = talk(99)
    run(entry, engine, attempts=3)
    assert [roles(request) for request in engine.requests] == [
        [],
        ["draft", "Check"],
        ["draft", "Check", "step", "Solve"],
        ["draft", "Check"],
        ["draft", "Check", "step", "Solve", "draft", "Check", "step", "Solve"],
    ]


def test_it_may_read_the_last_attempt_alone():
    engine = talk(99)
    run(entry, engine, attempts=3, history="last")
    assert roles(engine.requests[-1]) == ["draft", "Check", "step", "Solve"]


def test_a_critic_gives_feedback_and_the_model_refines():
    mine, critic = talk(99), talk(1)
    (one,), session = run(entry, mine, critic="c", partners=Partners(helpers={"c": critic}))
    assert one.text == "draft 1"
    assert (len(mine.requests), len(critic.requests)) == (2, 2)
    assert {by for _, by, *_ in session.ledger.accounts} == {"m", "c"}


@pytest.mark.parametrize(("scores", "best"), [((0.1, 0.9, 0.5), 1), ((0.9, 0.9, 0.2), 1), ((0, 0, 0), 2)])
def test_the_best_of_the_chain_is_the_latest_with_the_highest_score(scores, best):
    class Marks:
        async def score(self, trajectories, desk):
            return [scores[int(one.text.split()[1])] for one in trajectories]

    partners = Partners(scorer=SessionScorer(scorer=Marks(), label="s", engines={}))
    (one,), _ = run(entry, talk(99), attempts=3, scorer="s", partners=partners)
    assert one.text == f"draft {best}"


@pytest.mark.parametrize(
    ("feedback", "right"),
    [
        ("It is correct", True),
        ("All steps hold.\n\n- **It is CORRECT!**", True),
        ("I doubt that it is correct.", False),
        ("It is correct that 3 + 4 = 7, but the question was another.", False),
        ("", False),
        ("\ud800", False),
    ],
)
def test_only_a_line_that_says_it_is_correct_ends_it(feedback, right):
    assert content(feedback, "It is correct") == right


@settings(max_examples=30)
@given(st.text(), st.text())
def test_any_feedback_is_read(feedback, before):
    assert isinstance(content(feedback, "No error"), bool)
    assert content(f"{before}\nno  error.\n{feedback}", "No error")


def test_bag_of_tricks_stops_at_no_error_after_three_iterations_at_most():
    engine = Scripted(lambda request, before, seed: "No error" if len(request.chat) > 5 else "hm")
    run(entry, engine, attempts=4, stop="No error")
    assert "No error" in engine.requests[1].chat[-1]["content"]
    assert len(engine.requests) <= 7


@pytest.mark.parametrize("nothing", ["", " \n\n", "**...**"])
def test_feedback_without_a_word_ends_it_and_is_counted(nothing):
    engine = Scripted(lambda request, before, seed: "draft" if len(request.chat) == 1 else nothing)
    (one,), session = run(entry, engine)
    assert one.text == "draft"
    assert len(engine.requests) == 2
    assert sum(account.unreadable for account in session.ledger.accounts.values()) == 1


@pytest.mark.parametrize("stop", ["###", "✅", " . "])
def test_a_stop_without_a_word_is_refused(stop):
    assert list(entry.check(entry.options(stop=stop)))
    assert not list(entry.check(entry.options()))
