"""Atom of Thoughts: graphs of sub-questions, what is contracted, how often, and which answer is handed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import Scripted, charged, run

from itscale.sampling.partners import Partners
from itscale_builtin.strategies._sub_questions import depth, new_question, sub_questions
from itscale_builtin.strategies.atom_of_thoughts import AtomOfThoughtsOptions, entry

CHAIN = "1. a (needs: none)\n2. b (needs: 1)\n3. c (needs: 2)\n4. d (needs: 1, 3)\n5. e (needs: 4)"


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("1. How many? 3 (needs: none)\n2. And then? 2 (needs: 1)", {1: set(), 2: {1}}),
        ("- **Q1**: how many? [depends on: []]\n- **Q2**: then? [depends on: 1]", {1: set(), 2: {1}}),
        (
            "2) then, needs 1 and 3\n1) first; needs nothing\n3) too | requires: none",
            {1: set(), 2: {1, 3}, 3: set()},
        ),
        ("Here:\n1. a (needs: none)\n\nThat is all 2.", {1: set()}),
        (r"1. What is \(2^{3}\)? $8$ (needs: none)", {1: set()}),
        ("1. a (needs: 2)\n2. b (needs: 1)", None),
        ("1. a (needs: 1)", None),
        ("1. a (needs: none)\n2. b (needs: 7)", None),
        ("1. a (needs: none)\n1. b (needs: none)", None),
        ("1. a (needs: more thought)", None),
        ("a, then b", None),
        ("", None),
    ],
)
def test_a_graph_is_read_or_is_none(text, needs):
    found = sub_questions(text)
    assert (found and {number: set(one.needs) for number, one in found.items()}) == needs


def test_a_sub_question_keeps_its_answer_and_loses_what_it_needs():
    found = sub_questions("1. **How many?** 3 (needs: none)")
    assert found[1].text == "**How many?** 3"


@pytest.mark.parametrize(
    ("text", "deep"),
    [(CHAIN, 4), ("1. a (needs: none)\n2. b (needs: none)", 0), ("1. a (needs: none)\n2. b (needs: 1)", 1)],
)
def test_its_depth_is_the_longest_chain_of_needs(text, deep):
    assert depth(sub_questions(text)) == deep
    assert depth(None) == 0


@given(st.text(st.sampled_from("123. abneds:(),\n[]<question>/-\ud800²")))
def test_any_graph_and_question_is_read(text):
    graph = sub_questions(text)
    assert 0 <= depth(graph) < max(1, len(graph or {}))
    assert new_question(text) in text


def test_the_last_question_in_tags_counts():
    assert new_question("<question></question> no: <Question>\nb?\n</question><question> </question>") == "b?"
    assert new_question("so: <question>What is 3 + 4?\n") == "What is 3 + 4?"
    assert new_question("so: <question>What is 3 plus fo") == ""
    assert new_question("What is it?") == ""


STEPS = (
    ("Break the problem", "decompose"),
    ("List the sub-questions", "label"),
    ("Write one new problem", "contract"),
    ("each found in another way", "ensemble"),
)


class Model(Scripted):
    """Replies by the step that it is asked for, a question without a step being answered directly."""

    def __init__(self, **replies):
        self.asked = []
        self.replies = {
            "direct": "1",
            "decompose": "2",
            "label": CHAIN,
            "simpler": "3",
            "ensemble": "4",
            **replies,
        }
        self.replies.setdefault("contract", "<question>a simpler one</question>")
        super().__init__(self.reply)

    def reply(self, request, before, seed):
        said = request.chat[-1]["content"]
        step = next((name for words, name in STEPS if words in said), "direct")
        step = "simpler" if said == "a simpler one" else step
        self.asked.append(step)
        reply = self.replies[step]
        return reply if isinstance(reply, str) else reply.pop(0)


def answered(model, **given):
    partners = Partners(answer=lambda text: text.split()[-1] if text.split() else None)
    (made,), session = run(entry, model, partners=partners, **given)
    assert charged(session, "generated_tokens") == model.written
    return made.text, session


ONE = ["direct", "decompose", "label", "contract", "simpler", "ensemble"]


@pytest.mark.parametrize(
    ("ensemble", "handed_in"), [("1", "1"), ("2", "2"), ("3", "3"), ("so 4", "so 4"), ("", "1")]
)
def test_whichever_answer_agrees_with_the_ensemble_is_handed_in(ensemble, handed_in):
    model = Model(ensemble=ensemble)
    text, session = answered(model, iterate=False)
    assert text == handed_in
    assert model.asked == ONE
    assert charged(session, "unreadable") == (ensemble == "")


def test_ties_prefer_the_direct_answer():
    text, _ = answered(Model(direct="so 2", ensemble="2"), iterate=False)
    assert text == "so 2"


@pytest.mark.parametrize(
    ("given", "graph", "transitions"),
    [({}, CHAIN, 3), ({"depth": 2}, CHAIN, 2), ({"iterate": False}, CHAIN, 1), ({"depth": 9}, CHAIN, 4),
     ({}, "1. a (needs: none)\n2. b (needs: 1)", 1)],
)  # fmt: skip
def test_it_contracts_as_often_as_the_graph_is_deep_while_the_ensemble_agrees(given, graph, transitions):
    model = Model(ensemble="3", label=graph)
    text, _ = answered(model, **given)
    assert model.asked == ONE + ONE[1:] * (transitions - 1)
    assert text == "3"


def test_a_simpler_question_that_the_ensemble_does_not_agree_with_is_not_followed():
    model = Model(ensemble="2")
    answered(model)
    assert model.asked == ONE


def test_what_is_independent_is_given_and_the_rest_is_asked():
    model = Model()
    answered(model, iterate=False)
    said = model.requests[ONE.index("contract")].chat[-1]["content"]
    known, left = said.split("This is still to be answered:")
    assert "- a" in known
    assert all(f"- {name}" in left and f"- {name}" not in known for name in "bcde")
    assert "What is 3 + 4?" in model.requests[-1].chat[-1]["content"]


def test_a_cycle_is_counted_and_asked_again():
    cycle = "1. a (needs: 2)\n2. b (needs: 1)"
    model = Model(label=[cycle, "?", CHAIN])
    _, session = answered(model, iterate=False)
    assert model.asked.count("label") == 3
    assert charged(session, "unreadable") == 2


def test_without_a_graph_or_a_question_nothing_is_contracted():
    cycle = "1. a (needs: 2)\n2. b (needs: 1)"
    model = Model(label=cycle, ensemble="2")
    text, session = answered(model, retries=2)
    assert model.asked == ["direct", "decompose", *["label"] * 3, "ensemble"]
    assert charged(session, "unreadable") == 3
    assert text == "2"
    model = Model(contract="It is 7", ensemble="2")
    answered(model, retries=1)
    assert model.asked == ["direct", "decompose", "label", "contract", "contract", "ensemble"]


def test_where_nothing_depends_on_anything_nothing_is_contracted():
    model = Model(label="1. a (needs: none)\n2. b (needs: none)")
    answered(model)
    assert model.asked == ["direct", "decompose", "label", "ensemble"]


def test_all_calls_are_within_its_worth():
    late = [*["?"] * 2, CHAIN] * 3
    questions = [*["?"] * 2, "<question>a simpler one</question>"] * 3
    model = Model(label=late, contract=questions, ensemble="3")
    answered(model, retries=2)
    assert len(model.asked) == entry.worth(AtomOfThoughtsOptions(retries=2, max_tokens=1)) == 1 + 3 * 9


def test_a_question_may_need_something_itself():
    found = sub_questions(
        "1. How many eggs does she need? 3 (needs: none)\n2. Which box requires 3? (needs: 1)"
    )
    assert found is not None
    assert [one.text for one in found.values()] == ["How many eggs does she need? 3", "Which box requires 3?"]
    assert [set(one.needs) for one in found.values()] == [set(), {1}]


@pytest.mark.parametrize(
    "reply", ["1. x needs none\n2. y does not need 1", "12345. x needs none", "1. needs: none"]
)
def test_a_list_that_may_mean_anything_is_no_graph(reply):
    assert sub_questions(reply) is None


def test_none_may_be_explained():
    assert sub_questions("1. x? needs: none\n2. y? needs: none (1 is independent)")[2].needs == frozenset()
