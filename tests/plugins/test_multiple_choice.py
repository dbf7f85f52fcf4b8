"""Letters of multiple choice: `data/choices.tsv` has texts with the choice that each of them makes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.errors import DataError
from itscale.types import Problem
from itscale_builtin.verifiers.multiple_choice import MultipleChoice, MultipleChoiceOptions

TEXTS = Path(__file__).with_name("data") / "choices.tsv"
CITIES = ["London", "Paris", "Rome", "New York"]


def problem(reference: str = "B", **metadata: Any) -> Problem:
    return Problem(
        problem_id="p",
        messages=({"role": "user", "content": "?"},),
        reference=reference,
        metadata=metadata or {"choices": CITIES},
    )


def oracle(**options: Any) -> MultipleChoice:
    return MultipleChoice(MultipleChoiceOptions(**options))


def test_a_choice_is_known_however_it_is_written() -> None:
    wrong = []
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        label, _, text = line.partition("\t")
        if not line.startswith("#"):
            found = oracle().answer(problem(), text.replace("¶", "\n"))
            if (found or "-") != label:
                wrong.append((label, text, found))
    assert wrong == []


def test_the_letter_i_is_a_choice_only_where_it_stands_alone() -> None:
    letters = problem(choices=[str(n) for n in range(10, 22)])
    said = {
        text: oracle().answer(letters, text) for text in ("I", "(I)", "I would choose C.", "I am not sure")
    }
    assert said == {"I": "I", "(I)": "I", "I would choose C.": "C", "I am not sure": None}


@pytest.mark.parametrize("reference", ["B", "b", "(B)", "B. Paris", "Paris", "paris", r"\text{B}"])
def test_a_reference_is_a_label_or_a_text(reference: str) -> None:
    assert [verdict.correct for verdict in oracle().judge(problem(reference), ["A", "B"])] == [False, True]


@pytest.mark.parametrize(("first", "reference"), [(0, "1"), (1, "2")])
def test_a_reference_may_be_a_number(first: int, reference: str) -> None:
    assert oracle(first=first).judge(problem(reference), ["B"])[0].correct


@pytest.mark.parametrize("reference", ["E", "Madrid", "A or B", "17", "-1"])
def test_a_reference_that_is_no_choice_is_refused(reference: str) -> None:
    with pytest.raises(DataError, match=r"expected one of A, B, C, D or the text of a choice"):
        oracle(first=0).judge(problem(reference), ["A"])


def test_choices_may_be_texts_by_label() -> None:
    asked = problem("Z", choices={"X": "red", "Y": "green", "Z": "blue"})
    assert oracle().answer(asked, "The answer is blue.") == "Z"
    assert oracle().answer(asked, "The answer is A.") is None


def test_choices_that_are_none_are_refused() -> None:
    with pytest.raises(DataError, match="expected a list of at most 26 texts"):
        oracle().answer(problem(choices="red, green"), "A")


def test_the_number_of_choices_bounds_the_labels() -> None:
    asked = problem("B", subject="colours")
    assert oracle(count=4).answer(asked, "The answer is E.") is None
    assert oracle(count=5).answer(asked, "The answer is E.") == "E"
    assert oracle(labels="1234").answer(asked, "Option 3.") == "3"


def test_several_choices_may_be_right_together() -> None:
    judge = oracle(several=True)
    asked = problem("A, C")
    for text in (r"\boxed{A, C}", "The answer is C and A.", "(A), (C)", "A/C", "A and C"):
        answer = judge.answer(asked, text)
        assert answer == "A, C"
        assert judge.judge(asked, [answer])[0].correct
    assert judge.judge(problem("AC"), ["A, C", "A"]) == judge.judge(asked, ["A, C", "A"])
    assert not judge.judge(asked, ["A"])[0].correct


@given(text=st.text())
def test_an_answer_is_always_a_choice(text: str) -> None:
    assert oracle().answer(problem(), text) in {None, *"ABCD"}
