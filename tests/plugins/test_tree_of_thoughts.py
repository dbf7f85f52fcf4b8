"""Tree of Thoughts: values that force a path, lists as models write them, and hostile replies."""

import asyncio
import re

import pytest
from scripted_engine import PROBLEM, Scripted

from itscale.sampling.partners import Partners
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale_builtin.strategies.tree_of_thoughts import (
    TreeOfThoughtsOptions,
    check,
    grant,
    last_label,
    listed_steps,
    tree_of_thoughts,
)

LETTERS = "abc"


def search(script, budget=2, tokens=None, stream=1, **options):
    """Run a search on a scripted model; return the session, the engine and what was handed in."""
    engine = Scripted(script)
    given = TreeOfThoughtsOptions(max_tokens=200, branches=3, **options)
    session = Session(
        PROBLEM,
        Unit(problem_id="p", budget=budget, stop=budget),
        engine,
        model="m",
        stream=(stream,),
        token_limit=200,
        granted=tokens or 1_000_000,
        partners=Partners(answer=lambda text: text.split()[-1]),
    )
    return session, engine, asyncio.run(tree_of_thoughts(PROBLEM.question, session, given))


def asked(engine: Scripted) -> list[str]:
    """Return what was asked, in order."""
    return [request.chat[-1]["content"] for request in engine.requests]


def steps_of(said: str) -> str:
    """Return the steps that a prompt shows, one letter each."""
    part = said.partition("steps:")[2] if "Go on from these steps:" in said else said.partition("so far:")[2]
    return "".join(re.findall(r"^([abc])$", part, re.MULTILINE))


def lettered(values):
    """Propose a, b and c everywhere; value a path by a function; answer with the path."""

    def script(request, before, seed):
        said = request.chat[-1]["content"]
        if "next steps" in said:
            return "1. a\n2. b\n3. c"
        if "Write the next step" in said:
            return LETTERS[seed % 3]
        if "last line" in said:
            return f"Let me see.\n{values(steps_of(said))}"
        return f"so it is {steps_of(said)}"

    return script


def test_the_best_states_of_each_depth_go_on() -> None:
    """b then c are sure; of the rest what has a b is likely: of equal ones any two go on."""
    script = lettered(
        lambda path: "**Sure**" if set(path) <= {"b", "c"} else "likely" if "b" in path else "no"
    )
    session, engine, made = search(script, steps=2)
    assert len({one.text for one in made}) == 2
    assert all(set(one.text.split()[-1]) <= {"b", "c"} for one in made)
    assert [one.weight for one in made] == [60.0, 60.0]  # three valuations of 20 each
    calls = asked(engine)
    assert sum("next steps" in said for said in calls) == 1 + 2
    assert sum("last line" in said for said in calls) == 3 + 6
    assert session.ledger.rows()[0]["sequences"] == 3 + 3 * 9 + 2


def test_depth_first_explores_the_best_child_first_and_prunes() -> None:
    """c is best at every depth, a is never gone into."""
    script = lettered(lambda path: {"a": "impossible", "b": "likely", "c": "sure"}[path[-1]])
    _, engine, made = search(script, budget=3, search="dfs", steps=2, prune=0.5)
    assert [one.text for one in made] == ["so it is cc", "so it is cb", "so it is bc"]
    expanded = [
        steps_of(one.chat[-1]["content"])
        for one in engine.requests
        if "next steps" in one.chat[-1]["content"]
    ]
    assert expanded == ["", "c", "b"]


def test_steps_that_are_there_already_are_not_valued_again() -> None:
    _, engine, made = search(lettered(lambda path: "sure"), budget=1, expansion="sample", steps=2)
    valued = [
        steps_of(one.chat[-1]["content"]) for one in engine.requests if "last line" in one.chat[-1]["content"]
    ]
    assert len(valued) == len(set(valued))
    assert len(made) == 1


def test_states_are_drawn_in_proportion_to_their_values() -> None:
    """impossible three times is 0.003, sure three times 60: never drawn before it."""
    script = lettered(lambda path: "sure" if path == "b" else "impossible")
    _, _, made = search(script, budget=1, steps=1, selection="proportional")
    assert made[0].text == "so it is b"


@pytest.mark.parametrize(
    "reply", ["", "\n\n \n", "x" * 5000, "\n".join(f"{n}. step {n}" for n in range(3000))]
)
def test_replies_that_are_no_list_are_counted_and_the_search_answers_all_the_same(reply: str) -> None:
    session, _, made = search(lambda request, before, seed: reply, steps=2)
    assert 1 <= len(made) <= 2
    assert sum(row["unreadable"] for row in session.ledger.rows()) > 0


@pytest.mark.parametrize("tokens", [1, 3, 10, 30, 60, 100, 150, 300])
@pytest.mark.parametrize("how", ["bfs", "dfs"])
def test_a_budget_that_ends_anywhere_leaves_completions(tokens: int, how: str) -> None:
    session, _, made = search(lettered(lambda path: "likely"), tokens=tokens, search=how, steps=2)
    assert 1 <= len(made) <= 2
    assert (session.ledger.generated_tokens or 0) <= tokens


def test_lists_as_models_write_them() -> None:
    assert listed_steps("Sure!\n1. 4 + 4 = 8 (left: 8 6)\n2) **10 - 4 = 6**\n- a") == [
        "4 + 4 = 8 (left: 8 6)",
        "10 - 4 = 6",
        "a",
    ]
    assert listed_steps("4 + 4 = 8\n\n10 - 4 = 6\n4 + 4 = 8") == ["4 + 4 = 8", "10 - 4 = 6"]


def test_the_label_that_is_named_last_counts() -> None:
    labels = {"impossible": 0.0, "possible": 1.0, "sure": 2.0}
    assert last_label("It is not sure, but **Possible**.", labels) == "possible"
    assert last_label("It seems impossible", labels) == "impossible"
    assert last_label("surely", labels) is None


def test_a_prompt_without_its_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found no \{steps\}"):
        TreeOfThoughtsOptions(value="Is {problem} solvable? {labels}")


@pytest.mark.parametrize("text", ["l\u0131kely", "L\u0130KELY", "\u0130mpossible"])
def test_letters_that_are_no_letter_of_a_label_to_others_raise_nothing(text: str) -> None:
    assert last_label(text, {"impossible": 0.001, "likely": 1.0}) in ("impossible", "likely", None)


def test_a_state_without_a_next_step_is_answered_from() -> None:
    """a is sure and leads nowhere; b leads on to what is impossible: a stays among the best."""
    lead_on = lettered(lambda path: "sure" if path == "a" else "impossible")

    def script(request, before, seed):
        said = request.chat[-1]["content"]
        return " " if "next steps" in said and steps_of(said) == "a" else lead_on(request, before, seed)

    _, _, made = search(script, budget=1, steps=2)
    assert made[0].text == "so it is a"


def test_equal_states_are_not_taken_in_the_order_of_the_lists() -> None:
    kept = {search(lettered(lambda path: "likely"), budget=1, steps=1, stream=n)[2][0].text for n in range(9)}
    assert len(kept) > 1


def test_a_search_in_depth_keeps_tokens_for_its_answers() -> None:
    """Nothing at the last depth is good enough, so the search goes on and on: an answer is paid for."""
    script = lettered(lambda path: "likely" if len(path) < 3 else "impossible")
    options = {"search": "dfs", "steps": 3, "prune": 0.5, "step_tokens": 8, "value_tokens": 8}
    given = TreeOfThoughtsOptions(max_tokens=200, branches=3, **options)
    _, _, made = search(script, budget=1, tokens=grant(given, 1), **options)
    assert made[0].text.startswith("so it is")
    assert made[0].finish_reason == "eos"


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("I am not sure", None),
        ("It is impossible to be sure", None),
        ("That isn't likely", None),
        ("not impossible, but likely", "likely"),
        ("Impossible, likely, sure.", "sure"),
        ("It cannot be done: impossible", "impossible"),
    ],
)
def test_a_label_that_is_denied_is_none(reply, label):
    assert last_label(reply, {"impossible": 0.001, "likely": 1, "sure": 20}) == label


@pytest.mark.parametrize("values", [{"sure": 1.7e308}, {"sure": 1, "SURE": 2}])
def test_values_that_cannot_be_summed_or_told_apart_are_refused(values):
    assert list(check(TreeOfThoughtsOptions(values=values)))
