"""What is believed of reasoning_gym's scorers: no wrong answer of any data set, and every right one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, localcontext
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.errors import StudyError
from itscale.study import resolve
from itscale.types import Problem
from itscale_builtin.tasks import reasoning_gym as task
from itscale_builtin.verifiers import puzzles, reasoning_gym
from itscale_builtin.verifiers.answers import is_number
from itscale_builtin.verifiers.readings import read, same

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")


@pytest.fixture(scope="module")
def oracle() -> reasoning_gym.ReasoningGym:
    return reasoning_gym.ReasoningGym(reasoning_gym.ReasoningGymOptions(seconds=20.0))


def problems(dataset: str, size: int = 40, **config: Any) -> Iterator[Problem]:
    config = {**task.MENDED.get(dataset, {}), **config}
    return task.make(task.ReasoningGymOptions(dataset=dataset, size=size, config=config))


def one(dataset: str, pattern: str = "", index: int = 0) -> Problem:
    """Return the first problem whose reference matches."""
    return next(islice((p for p in problems(dataset) if re.search(pattern, p.reference)), index, None))


def correct(oracle: reasoning_gym.ReasoningGym, asked: Problem, said: str) -> bool:
    answer = oracle.answer(asked, f"So.\n<answer>{said}</answer>")
    return answer is not None and oracle.judge(asked, [answer])[0].correct


def moved(reference: str, by: str) -> str:
    return NUMBER.sub(lambda match: str(Decimal(match.group()) + Decimal(by)), reference)


def negated(reference: str) -> str:
    return re.sub(r"\bis (an? )", r"is not \1", reference)


WRONG = [
    ("complex_arithmetic", lambda r: "nan"),
    ("complex_arithmetic", lambda r: "nanj"),
    ("complex_arithmetic", lambda r: "inf"),
    ("number_sorting", lambda r: NUMBER.sub("NaN", r.replace("'", ""))),
    ("number_sorting", lambda r: moved(r, ".9")),
    ("number_sorting", lambda r: r.replace("]", ", '999']")),
    ("gsm_symbolic", lambda r: f"-{r}"),
    ("gsm_symbolic", lambda r: f"-({r})"),
    ("gsm_symbolic", lambda r: f"{r} million"),
    ("gsm_symbolic", lambda r: f"999, {r}"),
    ("knights_knaves", negated),
    ("knights_knaves", lambda r: f"not {r}"),
    ("knights_knaves", lambda r: f"{r} {r}"),
    ("knights_knaves", lambda r: r.partition(",")[0]),
    ("word_sorting", lambda r: f"{r}, 999, zzz"),
    ("word_sorting", lambda r: f"{r}, {', '.join(reversed(r.split(', ')))}"),
    ("spell_backward", lambda r: f"{r}zzz"),
    ("survo", lambda r: f"{r}\n1 2 3"),
    ("survo", lambda r: f"{r}\nnothing"),
    ("quantum_lock", lambda r: f"{r} → D → nothing"),
    ("quantum_lock", lambda r: f"Press {r}"),
    ("game_of_life", lambda r: r.replace("]]", "],[0,0]]")),
    ("pool_matrix", lambda r: moved(r, ".02")),
    ("kakurasu", lambda r: f"{r} zzz"),
    ("tower_of_hanoi", lambda r: r.replace("\n", " and so on\n")),
    ("shortest_path", lambda r: f"{r} then rest"),
    ("jugs", lambda r: r.replace("fill A", "fill A twice")),
    ("polynomial_equations", lambda r: f"{r}, {r}"),
    ("polynomial_equations", lambda r: f"{r}, nan"),
    ("simple_integration", lambda r: f"{r} + oo"),
    ("simple_integration", lambda r: f"{r} + 1/0"),
    ("simple_integration", lambda r: f"{r} # zzz"),
    ("number_format", lambda r: moved(r, ".009")),
    ("base_conversion", lambda r: f"{r}a"),
    ("calendar_arithmetic", lambda r: f"{r}, or not"),
]


@pytest.mark.parametrize(("dataset", "spoil"), WRONG)
def test_full_marks_of_a_scorer_are_not_enough(oracle: Any, dataset: str, spoil: Any) -> None:
    pattern = r"fill A" if dataset == "jugs" else "."
    asked = one(dataset, pattern)
    wrong = spoil(asked.reference)
    assert wrong != asked.reference
    assert correct(oracle, asked, asked.reference)
    assert not correct(oracle, asked, wrong)


RIGHT = [
    ("complex_arithmetic", r"\d [+] \d", lambda r: "{1} + {0}".format(*r.split(" + "))),
    ("complex_arithmetic", r"\d [+] \d", lambda r: f"({r.replace(' ', '').replace('.0', '')})"),
    ("complex_arithmetic", "^-?[0-9.]+$", lambda r: f"{r} + 0i"),
    ("number_sorting", ".", lambda r: r.replace("'", "")),
    ("number_sorting", r"\.0'", lambda r: r.replace(".0'", "'")),
    ("gsm_symbolic", r"^\d{4}$", lambda r: f"{r[0]},{r[1:]}.00"),
    ("gsm_symbolic", ".", lambda r: f"{r} apples"),
    ("gsm_symbolic", r"^\d{4}$", lambda r: f"{r[0]}'{r[1:]}"),
    ("gsm_symbolic", "^8$", lambda r: "eight apples"),
    ("knights_knaves", ".", lambda r: r.rstrip(".").replace(", and ", "\n").replace("\n", " and ")),
    ("knights_knaves", "^[^,]*, and [^,]*$", lambda r: "{1}, and {0}".format(*r.rstrip(".").split(", and "))),
    ("word_sorting", ".", lambda r: r.replace(", ", ",")),
    ("spell_backward", ".", str.upper),
    ("quantum_lock", ".", lambda r: r.replace(" → ", "->").lower()),
    ("game_of_life", ".", lambda r: r.replace(",", ", ")),
    ("polynomial_equations", "^[^,]+, [^,]+$", lambda r: ", ".join(reversed(r.split(", ")))),
    ("simple_integration", ".", lambda r: f"7 + {r.removesuffix(' + C')}"),
    ("polynomial_multiplication", r"[*].* [+] ", lambda r: " + ".join(reversed(r.split(" + ")))),
    ("shortest_path", "right", lambda r: r.replace(" ", ", ")),
    ("time_intervals", "^[0-9]+ days$", lambda r: r.removesuffix(" days")),
    ("time_intervals", "^0[0-9]:", lambda r: r.removeprefix("0")),
    ("list_functions", ", ", lambda r: r.replace(" ", "")),
    ("fraction_simplification", "^[0-9]+/", lambda r: "\\frac{{{}}}{{{}}}".format(*r.split("/"))),
    ("dice", "/", lambda r: r.replace("/", " / ")),
    ("advanced_geometry", "°", lambda r: r.replace("°", " degrees")),
    ("power_function", "e-|[.]", lambda r: f"{Decimal(r):.2e}"),
    ("power_function", "e-|[.]", lambda r: "{} × 10^{}".format(*f"{Decimal(r):.2e}".split("e"))),
    ("bitwise_arithmetic", ".", lambda r: str(int(r, 16))),
    ("isomorphic_strings", ".", str.lower),
    ("tsumego", ".", str.lower),
    ("group_anagrams", ".", lambda r: r.replace("[[", "[").replace("]]", "]").join("[]")),
]


@pytest.mark.parametrize(("dataset", "pattern", "respell"), RIGHT)
def test_other_spellings_of_the_reference_are_right(
    oracle: Any, dataset: str, pattern: str, respell: Any
) -> None:
    asked = one(dataset, pattern)
    assert correct(oracle, asked, respell(asked.reference)), respell(asked.reference)


@pytest.mark.parametrize(
    ("dataset", "pattern"),
    [("word_sequence_reversal", r", (?:so|that|which|and|when|with)\b"), ("sentence_reordering", "[.?]$")],
)
def test_the_line_that_the_prompt_asks_for_is_the_answer_to_its_end(
    oracle: Any, dataset: str, pattern: str
) -> None:
    asked = one(dataset, pattern)
    for text, right in ((asked.reference, True), (f"{asked.reference} zzz", False)):
        answer = oracle.answer(asked, f"So.\nThe answer is {text}")
        assert (answer is not None and oracle.judge(asked, [answer])[0].correct) is right


def test_numbers_of_a_puzzle_are_its_own(oracle: Any) -> None:
    for dataset, wrong in (("puzzle24", "6*4*1*1"), ("puzzle24", "24"), ("countdown", "1*1")):
        asked = one(dataset)
        assert not correct(oracle, asked, wrong)
    asked = one("puzzle24", r"^\d\*\(")
    factor, rest = asked.reference.split("*", 1)
    assert correct(oracle, asked, f"{rest}*{factor}")
    assert not correct(oracle, asked, f"{asked.reference} + 0")
    assert not correct(oracle, asked, f"({asked.reference})*1")


def test_digits_that_were_asked_for_are_needed(oracle: Any) -> None:
    asked = next(p for p in problems("decimal_arithmetic") if p.reference == "6.32098837209")
    assert not correct(oracle, asked, "6.32")
    assert not correct(oracle, asked, "6.3209883721")
    assert correct(oracle, asked, "6.32098837209")


@pytest.mark.parametrize("unit", ["weeks", "hours", "years"])
def test_a_unit_is_part_of_a_duration(oracle: Any, unit: str) -> None:
    asked = one("time_intervals", "^[0-9]+ days$")
    assert not correct(oracle, asked, asked.reference.replace("days", unit))


def test_a_reference_that_was_rounded_step_by_step_is_not_the_only_right_answer(oracle: Any) -> None:
    wrong_by = []
    for asked in problems("decimal_arithmetic"):
        expression = asked.metadata["question"].split("\n")[1].removesuffix(" = ?")
        exact = puzzles.evaluate(expression)
        assert exact is not None
        rounded = Decimal(exact.numerator) / Decimal(exact.denominator)
        said = f"{rounded:.12g}"
        wrong_by.append(abs(Decimal(said) - Decimal(asked.reference)))
        assert correct(oracle, asked, said)
    assert max(wrong_by) > 0


def test_any_stone_that_captures_is_right() -> None:
    board = [list(row) for row in (".....", "XOX..", ".X.XX", "..XOO", "...X.")]  # B5 takes one, E1 two
    item = {"metadata": {"board": board}, "question": "capture some", "answer": "E1"}
    assert puzzles.capture("b5", item) == puzzles.capture("E1", item) == "E1"
    for wrong in ("C4", "B4", "A1", "F9", "B5 or C5"):
        assert puzzles.capture(wrong, item) is None
    most = {**item, "question": "capture as many white stones as possible"}
    assert puzzles.capture("B5", most) is None
    assert puzzles.capture("E1", most) == "E1"


def test_a_survo_has_other_solutions_than_the_reference() -> None:
    puzzle = [[0, 0, 3], [0, 0, 3], [3, 3, 6]]
    made = {"puzzle": puzzle, "candidate_numbers": [1, 2, 2, 1]}
    item = {"metadata": made, "answer": "1 2 3\n2 1 3\n3 3 6"}
    assert puzzles.filled("2 1 3\n1 2 3\n3 3 6", item) == item["answer"]
    for wrong in ("1 2 3\n2 1 3", "0 3 3\n3 0 3\n3 3 6", "1 2 3\n1 2 3\n3 3 6", "1 2 3\n2 1 3\n3 3 6\n0"):
        assert puzzles.filled(wrong, item) is None


def test_inputs_of_which_many_give_an_output_are_not_asked_for() -> None:
    study: dict[str, Any] = {
        "study": "s",
        "tasks": {"mine": {"plugin": "reasoning_gym", "dataset": "codeio", "problems": 1}},
        "models": {"toy": {"plugin": "simulated"}},
        "strategies": {"repeated_sampling": {"completions": 2}},
    }
    with pytest.raises(StudyError, match="any input that gives the output is right"):
        resolve(study)
    study["tasks"]["mine"]["config"] = {"input_prediction_probability": 1}
    resolve(study)


def spoilt(reference: str) -> Iterator[str]:
    """Yield answers that are wrong whatever the data set."""
    numeric = is_number(reference)
    if not numeric:  # a noun after a number is forgiven
        yield from (f"{reference} zzz", f"{reference}\nzzz", f"zzz {reference}", f"{reference} weeks zzz")
    yield from (f"{reference}, 999, zzz", f"{reference} 999", f"{reference}\n999", f"{reference}; 999")
    yield from ("nan", "inf", "-inf", "nanj", "None", "[]", "{}", "zzz", f"not {reference}")
    yield NUMBER.sub("nan", reference) if NUMBER.search(reference) else "NaN"
    if numeric and "/" not in reference and float(reference):
        yield from (f"{-Decimal(reference)}", f"{Decimal(reference) * 10}", f"{Decimal(reference) + 1000}")


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 12])
def test_nothing_beside_an_answer_makes_a_wrong_one_right(oracle: Any, every: int) -> None:
    from reasoning_gym.factory import DATASETS

    faults = []
    for dataset in sorted((DATASETS.keys() - task.DEFECTIVE.keys()) | task.MENDED.keys())[::every]:
        asked = list(problems(dataset, 3))
        others = [other.reference for other in asked if not same(other.reference, asked[0].reference)]
        first = asked[0]
        if not correct(oracle, first, first.reference):
            faults.append(f"{dataset}: its own reference {first.reference!r} is wrong")
        said = [text for text in (*spoilt(first.reference), *others) if text != first.reference]
        found = {oracle.answer(first, f"So.\n<answer>{text}</answer>"): text for text in said}
        found.pop(None, None)
        for verdict, text in zip(oracle.judge(first, list(found)), found.values(), strict=True):
            if verdict.correct:
                faults.append(f"{dataset}: {text!r} counts as {first.reference!r}")
    assert faults == []


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers(1, 999))
def test_a_number_is_its_value_and_nothing_near_it(value: Decimal, step: int) -> None:
    assert same(f"{value:,f}", str(value))
    assert same(f"{value:e}", f"{value:f}")
    with localcontext(prec=100):
        near = value + Decimal(step) / 1000
    assert not same(str(near), str(value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1, 2]", "[2, 1]"), ("[true]", "[1]"), ('{"a": "3"}', '{"a": 3}'), ("1 2\n3", "1 2 3"),
        ("1/2", "2/4"),
        ("2i", "2"), ("i", "j"), ("1:30", "1:03"), ("[NaN]", "[NaN, NaN]"), ("a b", "ab"), ("Ab", "ab"),
    ],
)  # fmt: skip
def test_answers_that_differ(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize("text", ["[" * 5000, "1e999999999999", "9" * 200_000, "1e" + "9" * 400, "'" * 5000])
def test_hostile_texts_are_read(text: str) -> None:
    assert read(text) is not None
    assert puzzles.evaluate(text) is None or text.isdigit()
