"""Repeated sampling: what prompts put around a problem."""

from typing import ClassVar

import pytest

from itscale.testing import StrategyContract
from itscale.types import Problem
from itscale_builtin.strategies.repeated_sampling import SHIPPED, RepeatedSamplingOptions, entry, prompted

ASKED = {"role": "user", "content": "2 + 2?"}


class TestPrompted(StrategyContract):
    entry = entry
    options: ClassVar = {"prompt": "few_shot"}


def chat(prompt, *before):
    problem = Problem(problem_id="p", messages=(*before, ASKED), reference="4")
    made = prompted(problem, RepeatedSamplingOptions(prompt=prompt))
    return made and [(turn["role"], turn["content"]) for turn in made]


def test_a_plain_prompt_is_the_problems_own_chat_and_no_part_of_the_fingerprint():
    assert chat("plain") is None
    assert chat({}) is None
    assert "prompt" not in RepeatedSamplingOptions().model_dump(mode="json")
    named = RepeatedSamplingOptions(prompt="few_shot").model_dump(mode="json")["prompt"]
    assert "9:40" in str(named)  # its words, which completions depend on, not its name


def test_what_is_said_stands_around_the_problem():
    own = {"system": "s", "examples": [{"question": "q", "answer": "a"}], "instruction": "i"}
    around = [("user", "q"), ("assistant", "a"), ("user", "2 + 2?\n\ni")]
    assert chat(own) == [("system", "s"), *around]
    before = {"role": "system", "content": "t"}
    assert chat(own, before) == [("system", "t\n\ns"), *around]
    assert chat({"instruction": "i"}, before) == [("system", "t"), ("user", "2 + 2?\n\ni")]


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - {"plain"}))
def test_each_prompt_that_is_shipped_says_something_more_and_ends_with_the_problem(name):
    found = chat(name)
    assert found != [("user", "2 + 2?")]
    assert found[-1][0] == "user"
    assert found[-1][1].startswith("2 + 2?")
