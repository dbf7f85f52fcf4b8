"""PlanSearch: how many nodes there are, what is made of them, what is not, and how different ideas are."""

import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import Scripted, charged, run

from itscale.errors import StudyError
from itscale.sampling.partners import Partners
from itscale_builtin.strategies._diversity import are_same, shares_of_others
from itscale_builtin.strategies.plan_search import (
    IdeaSearch,
    PlanSearchOptions,
    counted,
    entry,
    listing,
    subsets,
)

STEPS = {
    "observations about the problem": "observe",
    "new observations that follow": "derive",
    "as a list, one a line": "list",
    "Leave out of the list": "filter",
    "as a JSON list": "parse",
    "Use these observations": "solve",
    "Suppose that this solution": "criticise",
    "Write the whole solution again": "fix",
    "as short numbered steps": "pseudocode",
    "Carry out these steps": "code",
    "main idea": "summarise",
    "same or different": "compare",
}


class Model(Scripted):
    """Finds so many observations, all of them new, and counts the steps that it is asked for."""

    def __init__(self, first=10, second=5, **replies):
        self.first, self.second, self.replies = first, second, replies
        self.asked, self.solved = Counter(), []
        super().__init__(self.reply)

    def reply(self, request, before, seed):
        said = request.chat[-1]["content"]
        step = next(name for words, name in STEPS.items() if words in said)
        self.asked[step] += 1
        if step in self.replies:
            reply = self.replies[step]
            return reply(request) if callable(reply) else reply
        if step == "parse":
            count = self.second if "new observations" in request.chat[0]["content"] else self.first
            return json.dumps([f"seen-{seed}-{number}" for number in range(count)])
        if step == "solve":
            self.solved.append(frozenset(re.findall(r"seen-\d+-\d+", said)))
        return f"{step} {seed % 1000}"


def searched(model, budget, of=entry, **given):
    return run(of, model, budget=budget, completions=budget, **given)


@pytest.mark.parametrize(
    ("first", "second", "subset", "nodes"),
    [(10, 5, 2, 896), (10, 5, 1, 66), (3, 2, 2, 28), (0, 5, 2, 16), (4, 0, 2, 11), (3, 3, 3, 64)],
)
def test_nodes_are_counted_as_in_the_paper(first, second, subset, nodes):
    options = PlanSearchOptions(first=first, second=second, subset=subset)
    sets, found = counted(options)
    assert found == nodes
    assert sets == len(list(subsets(range(first), subset)))
    entry.admits(options, 2 * nodes)
    with pytest.raises(StudyError, match=f"at most {2 * nodes}"):
        entry.admits(options, 2 * nodes + 1)


@pytest.mark.parametrize(("first", "second"), [(3, 2), (4, 1), (0, 2)])
def test_a_whole_search_makes_each_node_once_and_two_codes_of_it(first, second):
    model = Model(first, second)
    sets, nodes = counted(PlanSearchOptions(first=first, second=second))
    made, session = searched(model, 2 * nodes, first=first, second=second)
    assert len(made) == model.asked["code"] == model.asked["pseudocode"] == 2 * nodes
    assert model.asked["solve"] == model.asked["criticise"] == model.asked["fix"] == nodes
    assert len(set(model.solved)) == nodes
    assert (model.asked["observe"], model.asked["derive"]) == (first > 0, sets)
    assert model.asked["list"] == model.asked["filter"] == model.asked["parse"] == (first > 0) + sets
    assert charged(session, "generated_tokens") == model.written


def test_by_default_there_are_896_nodes_and_1792_codes():
    async def drawn(problem, session, options):
        nodes = await IdeaSearch(problem, session, options).ideas(session.budget)
        assert len(nodes) == len(set(map(frozenset, nodes))) == 896
        assert all(wanted == {False, True} for wanted in nodes.values())
        assert Counter(map(len, nodes))[4] == 45 * 10  # two observations and two derived from them
        return session.complete([session.start()])

    model = Model()
    searched(model, 1792, of=replace(entry, factory=drawn))
    assert model.asked["derive"] == 56


def test_what_is_not_drawn_is_not_made():
    model = Model()
    made, _ = searched(model, 4)
    assert len(made) == model.asked["code"] == 4
    assert model.asked["solve"] <= 4
    assert model.asked["derive"] <= 4
    assert model.asked["fix"] == model.asked["criticise"] <= 4


def test_every_node_is_drawn_as_often_as_any_other():
    found = Counter()

    async def drawn(problem, session, options):
        found.update(map(len, await IdeaSearch(problem, session, options).ideas(1)))
        return session.complete([session.start()])

    for replicate in range(400):
        searched(Model(1, 1), 1, of=replace(entry, factory=drawn), first=1, second=1, replicate=replicate)
    # of the four nodes one has no observation, one is observed, one derived, and one has both
    shares = np.array([found[size] / 400 for size in range(3)])
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.1)


def test_observations_that_come_twice_make_one_node():
    same = json.dumps(["Seen it.", "seen  it", "another"])
    model = Model(parse=same)
    made, _ = searched(model, 100)
    # two observations; nothing new is derived but where one of them was missing
    assert model.asked["solve"] == 4
    assert len(made) == 8


def test_a_search_of_fewer_ideas_than_its_budget_hands_in_all():
    made, _ = searched(Model(2, 1), 1792)
    assert len(made) == 2 * (1 + 2 + 1) * 2


def test_a_list_that_cannot_be_read_is_asked_for_again_and_then_missing():
    model = Model(parse="I see nothing.")
    made, session = searched(model, 6, tries=2)
    assert model.solved == [frozenset()]
    assert len(made) == 2
    assert charged(session, "unreadable") == model.asked["parse"] == 2 + 2
    temperatures = [
        request.params.temperature
        for request in model.requests
        if "as a JSON list" in request.chat[-1]["content"]
    ]
    assert sorted(set(temperatures)) == [0.0, 0.2]


def test_a_code_reads_the_problem_and_the_steps_of_its_solution():
    model = Model()
    searched(model, 1)
    code = model.requests[-1].chat
    assert "What is 3 + 4?" in code[-1]["content"]
    assert "pseudocode " in code[-1]["content"]
    assert "program" not in code[-1]["content"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('```json\n["a", "A ", "b."]\n```', ["a", "b."]),
        ("1. a\n2. b\n", ["a", "b"]),
        ("- **a**\n- b [1]", ["**a**", "b [1]"]),
        ('["a", 3]', []),
        ("[" * 5000, []),
        ("", []),
    ],
)
def test_a_list_is_read_or_is_empty(text, found):
    assert listing(text) == found


@given(st.text(st.sampled_from('["a,b]{}1.-\n \ud800')))
def test_any_list_is_read(text):
    found = listing(text)
    assert all(isinstance(one, str) and one for one in found)
    assert len({one.casefold() for one in found}) == len(found)


def test_diversity_is_one_less_the_share_of_pairs_that_are_the_same():
    same = {(0, 1): True, (0, 2): False, (0, 3): False, (1, 2): False, (1, 3): False, (2, 3): True}
    shares = shares_of_others(same, 4)
    assert shares == [2 / 3] * 4
    assert np.mean(shares) == pytest.approx(1 - np.mean(list(same.values())))
    assert shares_of_others({(0, 1): None}, 2) == [0, 0]
    assert are_same("They look different, but are the **same**.") is True
    assert are_same("") is None


def test_ideas_are_compared_by_a_judge_two_by_two():
    def verdict(request):
        first, second = re.findall(r"summary (\d)", request.chat[-1]["content"])
        return "same" if first == second else "different"

    numbers = iter("112")
    judge = Model(summarise=lambda request: f"summary {next(numbers)}", compare=verdict)
    made, _ = searched(Model(), 3, diversity=True, judge="j", partners=Partners(helpers={"j": judge}))
    assert sorted(one.weight for one in made) == [0.5, 0.5, 1]
    assert judge.asked == {"summarise": 3, "compare": 3}
    assert all(request.params.temperature == 0 for request in judge.requests)
    with pytest.raises(StudyError, match="at most 25"):
        entry.admits(PlanSearchOptions(diversity=True), 26)


def test_all_calls_are_within_its_grant():
    model = Model(3, 2)
    options = PlanSearchOptions(first=3, second=2, tries=1, max_tokens=50)
    searched(model, 56, first=3, second=2, tries=1, max_tokens=50)
    assert sum(model.asked.values()) <= entry.grant(options, 56) / 50
    assert entry.grant(options, 56) == (4 * (1 + 7) + 5 * 56) * 50


def test_escapes_of_half_characters_are_mended_and_negations_are_read():
    (one,) = listing(r'["use \ud835 here"]')
    assert one.encode()
    assert are_same("A and B are not the same.") is False
    assert are_same("They are not different.") is True
    assert are_same("They aren't quite the same.") is False
    assert are_same("Not at all the same") is False
    assert are_same("hardly the same") is None
    assert are_same("Are they the same? No.") is None
