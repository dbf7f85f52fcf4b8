"""Verdicts on pairs of a reference and a completion whose right value is known.

`data/verdicts.tsv` holds them: what a kind of pair is called, the right value (`+` or `-`), the reference,
and the completion's text, in which a pilcrow stands for a line break. They are cases of the kinds that
reports on answer checkers are about, in words of our own.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.plugins import VerifierEntry
from itscale.types import Problem
from itscale_builtin.tasks import gsm8k, math500
from itscale_builtin.verifiers import answers, exact_match, math, multiple_choice
from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.reading import Reading, read

PAIRS = Path(__file__).with_name("data") / "verdicts.tsv"


def problem(reference: str) -> Problem:
    return Problem(problem_id="p", messages=({"role": "user", "content": "?"},), reference=reference)


@cache
def oracle() -> math.Math:
    return math.Math(math.MathOptions(seconds=1.0))


def correct(reference: str, text: str, judge: Any = None) -> bool:
    judge = judge or oracle()
    answer = judge.answer(problem(reference), text)
    return answer is not None and bool(judge.judge(problem(reference), [answer])[0].correct)


def pairs() -> Iterator[tuple[str, bool, str, str]]:
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, right, reference, text = line.split("\t")
            yield kind, right == "+", *(part.replace("¶", "\n") for part in (reference, text))


@pytest.mark.parametrize("kind", sorted({kind for kind, *_ in pairs()}))
def test_pairs_of_a_kind_are_judged_as_they_should_be(kind: str) -> None:
    wrong = [
        (reference, text, right)
        for found, right, reference, text in pairs()
        if found == kind and correct(reference, text) is not right
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("question", "right"),
    [("Write 5 in base 2.", True), ("Write 5 in binary.", True), ("What is 1 + 100?", False)],
)
def test_a_base_named_in_words_is_forgiven_where_the_question_is_about_bases(
    question: str, right: bool
) -> None:
    asked = replace(problem("101"), messages=({"role": "user", "content": question},))
    verdicts = oracle().judge(asked, ["101", "101 base 2", "101 in base two", "101_2"])
    assert [verdict.correct for verdict in verdicts] == [True, right, right, False]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\\boxed{10}</think>The answer is 12.", "12"),
        ("\\boxed{10}?</think>12", "12"),
        ("<think>\\boxed{10}", None),
        ("<|channel|>analysis<|message|>10<|end|><|channel|>final<|message|>12<|return|>", "12"),
        ("<|channel|>analysis<|message|>It is 10", None),
        ("The answer is 10. No, that's wrong.", None),
        ("The answer is <s>10</s> 12.", "12"),
        ('{"reasoning": "5 + 7", "answer": "12"}', "12"),
    ],
)
def test_what_is_only_thought_or_taken_back_is_no_answer(text: str, answer: str | None) -> None:
    assert oracle().answer(problem("12"), text) == answer
    assert exact_match.ExactMatch(exact_match.ExactMatchOptions()).answer(problem("12"), text) == answer


# A vote ------------------------------------------------------------------------------------------------

APART = [
    ["0.35", "35", "35%", "3500%"],
    ["6", "6 am", "6 pm"],
    ["29 cm", "29 m", "29"],
    ["5 dollars", "5 cents"],
    ["10", "10 million", "10 thousand"],
    ["x=3", "y=3", "2x=3"],
    [r"1.6\times10^{-19}", r"3.2\times10^{-19}", "0"],
    ["0.333333", "1/3", "0.3333333", "0.33333333333333333333"],
    [r"\sqrt{2}", "1.41421356237", "1.414"],
    ["2 m", "200"],
    ["(C) 12", "12", "(D) 12"],
    ["(1,2)", "[1,2]", "(1,2]", "1,2"],
    ["x < 3", r"x \le 3", "x > 3"],
    [r"x \equiv 3 \pmod 5", r"x \equiv 3 \pmod 7"],
]


@pytest.mark.parametrize("answers", APART, ids=lambda answers: answers[0])
def test_a_vote_keeps_apart_what_differs(answers: list[str]) -> None:
    assert oracle().classes(answers) == answers


def test_an_answer_without_a_unit_joins_none_that_is_written_with_another_number() -> None:
    assert oracle().classes(["1 m", "100 cm", "100"]) == ["1 m", "1 m", "100"]
    assert oracle().classes(["5 dollars", "500 cents", "5"]) == ["5 dollars", "5 dollars", "5"]


TOGETHER = [
    ["18", "$18", "18 dollars", "18.00", r"\$18"],
    ["72", "72 eggs", "seventy-two", "72 apples"],
    ["1/2", "0.5", r"\frac12", r"\frac{2}{4}"],
    ["100 cm", "1 m", "1 metre"],
    ["2, 3", "3, 2", r"\{2, 3\}", r"x=2 \text{ or } x=3"],
    ["x=3", "3"],
    [r"90^\circ", "90 degrees", "90"],
    ["100 cm", "100"],
]


@pytest.mark.parametrize("answers", TOGETHER, ids=lambda answers: answers[0])
def test_a_vote_joins_what_says_the_same(answers: list[str]) -> None:
    assert len(set(oracle().classes(answers))) == 1


SPELLINGS = sorted({text for group in APART + TOGETHER for text in group})


@given(
    given=st.lists(st.sampled_from(SPELLINGS), unique=True, max_size=8), reference=st.sampled_from(SPELLINGS)
)
def test_classes_are_an_equivalence_and_never_hold_two_numbers(given: list[str], reference: str) -> None:
    classes = oracle().classes(given)
    named = dict(zip(given, classes, strict=True))
    assert dict(zip(given[::-1], oracle().classes(given[::-1]), strict=True)) == named
    assert all(named[name] == name for name in classes)
    for one, other in combinations(given, 2):
        if named[one] == named[other]:
            first, second = read(one), read(other)
            assert first.core == second.core or first.unit == second.unit is not None


# Real references ---------------------------------------------------------------------------------------


def _with_space(text: str) -> str:
    return re.sub(r"(?<![\d{,(])([+=])", r" \1 ", text)


WAYS = {
    "box": "So the result is $\\boxed{{{}}}$.",
    "display": "Hence\n\\[\n\\boxed{{{}}}\n\\]\nas desired, in 3 steps.",
    "sentence": "The answer is ${}$.",
    "hope": "Therefore, the final answer is ${}$. I hope it is correct.",
    "bold": "**Final Answer:** **${}$**",
    "hashes": "2 + 2 = 4\n#### {}",
    "full stop": "\\boxed{{{}.}}",
    "inline": "The answer is \\({}\\).",
    "below": "The final answer is:\n$$\n{}\n$$",
    "look": "\\boxed{{\\displaystyle {}}}",
    "exclamation": "The answer is ${}$! I hope this answer is helpful!",
    "relative clause": "The answer is ${}$, which is the value we were asked for.",
}
SPELT = {
    "dfrac": lambda text: text.replace(r"\frac", r"\dfrac"),
    "tfrac": lambda text: text.replace(r"\frac", r"\tfrac"),
    "spaces": _with_space,
    "minus": lambda text: text.replace("-", "−"),
    "pi": lambda text: text.replace(r"\pi", "π"),
    "braces": lambda text: re.sub(r"\^(\d)(?!\d)", r"^{\1}", text),
}


@pytest.mark.shared_data
def test_every_math500_reference_is_right_in_18_spellings(shared_data: Path) -> None:
    file = shared_data / "tasks" / "math500" / "test.jsonl"
    unread = []
    for asked in math500.make(math500.Math500Options(file=file)):
        texts = [way.format(asked.reference) for way in WAYS.values()]
        texts += [f"\\boxed{{{spell(asked.reference)}}}" for spell in SPELT.values()]
        unread += [(asked.reference, text) for text in texts if not correct(asked.reference, text)]
    assert unread == []


SAME_BUT_FOR_A_UNIT = {
    ("120", r"120^\circ"), ("30", r"30^\circ"), ("36", r"36^\circ"), ("90", r"90^\circ"), ("36", r"\$36"),
    ("15", r"15\mbox{ cm}^2"), ("40", "40_9"), ("5", "x=5"), (r"180^\circ", r"\pi"),
}  # fmt: skip
"""Pairs of references of MATH500 of which one leaves out a unit, a base or a name that the other has, and a
half turn in degrees and in radians."""


@pytest.mark.shared_data
def test_no_two_math500_references_that_differ_are_taken_for_one(shared_data: Path) -> None:
    file = shared_data / "tasks" / "math500" / "test.jsonl"
    references = sorted({asked.reference for asked in math500.make(math500.Math500Options(file=file))})
    equal = set()
    for reference in references:
        others = [other for other in references if other != reference]
        verdicts = oracle().judge(problem(reference), others)
        equal |= {
            tuple(sorted((reference, other)))
            for other, verdict in zip(others, verdicts, strict=True)
            if verdict.correct
        }
    same = {
        (r"\frac14", r"\frac{1}{4}"),
        (r"2 \sqrt{5}", r"2\sqrt{5}"),
        (r"10,\!080", "10080"),
        ("-2,1", "1,-2"),
    }
    assert equal == same | SAME_BUT_FOR_A_UNIT


SAID = [
    "{0}",
    "It is {0}.",
    "#### {0}",
    "The answer is {0} dollars.",
    "She has {0} of them.",
    "\\boxed{{{0}}}",
]


@pytest.mark.shared_data
def test_every_gsm8k_reference_is_right_in_words_and_no_other(shared_data: Path) -> None:
    problems = list(gsm8k.make(gsm8k.Gsm8kOptions(file=shared_data / "tasks" / "gsm8k" / "test.jsonl")))
    for number, asked in enumerate(problems):
        way, value = SAID[number % len(SAID)], int(asked.reference)
        assert correct(asked.reference, way.format(f"{value:,}")), (asked.reference, way)
        assert not correct(asked.reference, way.format(f"{value + 1:,}")), (asked.reference, way)


RIGHT_AFTER_ALL = {(3, "4:30p.."), (72, "10{,}000")}
"""Problems of which math-cot-100 calls right answers wrong: the half of the day, and a comma in braces."""


@pytest.mark.shared_data
def test_verdicts_on_real_completions_are_those_recorded(shared_data: Path) -> None:
    file = shared_data / "completions" / "math-cot-100" / "math_cot_100.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    differ = [
        ((row["idx"], row["gt"]), said)
        for row in rows
        for text, said in zip(row["code"], row["score"], strict=True)
        if correct(row["gt"], text) is not said
    ]
    assert {problem for problem, _ in differ} <= RIGHT_AFTER_ALL
    assert not any(said for _, said in differ)  # nothing recorded as right is wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"\frac{1}{9}", True), ("4a-2", True), (r"7\pi", True), (r"1\frac{1}{10}", True), ("A", True),
        ("18 dollars per day", True), ("x = 2 or x = 3", True), ("no real solutions", True), ("(3, 4]", True),
        (r"\frac{1}{9", True), ("5 apples and 3 pears", True), ("$x^2 = 4$", True), ("$$\n3\n$$", True),
        ("It is 3.", False), ("So 8 * 9 = 72", False), ("3 * 5 = 15, 15 + 1 = 16", False), ("= 624", False),
        ("3 * 5 = 15. 15 + 1 = 16.", False), (r"\boxed{3}", False), ("3 + 4\n= 7", False), ("A: 18", False),
        ("The answer is 3", False), ("#### 3", False), ("She has 72 eggs", False), ("", False),
        ("I don't know.", False), ("9 * 2 -> 18", False), ("The total cost of 3 pens: 7", False),
    ],
)  # fmt: skip
def test_an_answer_alone_is_told_from_a_completion(text: str, said: bool) -> None:
    assert (answers.alone(text) is not None) is said


# Hostile answers ---------------------------------------------------------------------------------------


NASTY = [
    "9^{9^{9^{9}}}",
    "9^9^9^9", "9**9**9**9", "(((9^9)^9)^9)^9", "10000000!", "((100!)!)!", "2^{2^{2^{2^{2^2}}}}",
    r"\binom{100000000}{50000000}", "(" * 900, "{" * 499 + "}" * 499, "x^{" * 300, r"\frac{" * 160, "|" * 900,
    r"\sqrt{" * 190 + "2" + "}" * 190, "1" * 100_000, "1," * 450, "1/" * 450 + "1", "-" * 900 + "1",
    "1e999999999",
    r"\begin{pmatrix}" * 60, "x_" * 400, r"\text{" * 150, "$" * 900, r"e^{e^{e^{e^{9}}}}", "0^{0^0}", "1/0",
    r"\sin(10^{10^{10}})", r"\ln 0", "0.(" + "3" * 500 + ")", "1 000" * 150, "(x+1)^{9999}", "x^{x^{x^{x}}}",
    "sqrt" * 200, r"\exp(\exp(\exp(99)))", "a" * 1000,
]  # fmt: skip


def test_nasty_answers_are_refused_without_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = math.Math(math.MathOptions())
    calls: list[str] = []
    monkeypatch.setattr(judge._sandbox, "map", lambda given: calls.extend(text for (text,) in given) or [])
    answers = [answer for answer in NASTY if not judge._is_hard(answer)]
    assert len(answers) >= len(NASTY) - 2
    verdicts = judge.judge(problem("3"), answers)
    assert not any(verdict.correct for verdict in verdicts)
    assert judge.classes(answers) == answers
    assert calls == []


def test_a_slow_answer_costs_its_own_limit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = oracle()
    asked: list[str] = []
    evaluate = judge._sandbox.map
    monkeypatch.setattr(
        judge._sandbox, "map", lambda given: asked.extend(text for (text,) in given) or evaluate(given)
    )
    slow = r"\int_0^1 \frac{1}{x^{17}+x+1} dx"
    answers = [slow, *(rf"\sum_{{k=1}}^{{{n}}} k" for n in (2, 3, 4))]
    verdicts = judge.judge(problem("6"), answers)
    judge.classes(answers)
    judge.judge(problem("10"), answers)
    assert [verdict.status for verdict in verdicts] == ["timeout", "judged", "judged", "judged"]
    assert [verdict.correct for verdict in verdicts] == [False, False, True, False]
    assert sorted(asked) == sorted(answers)


def test_without_sympy_nothing_is_evaluated() -> None:
    judge = math.Math(math.MathOptions(symbolic=False))
    integral = r"\int_0^1 x dx"
    (same, other) = (judge.judge(problem(reference), [integral])[0] for reference in (integral, "1/2"))
    assert (same.correct, other.correct, other.status) == (True, False, "unparsable")
    assert math.entry.evaluates is not None
    assert not math.entry.evaluates(math.MathOptions(symbolic=False), None)


@given(text=st.text(st.sampled_from(list("0123456789.,()[]{}^_!*/+-=<>|$% xei\\")), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UnreadableError):
        assert isinstance(read(text), Reading)


# What is documented ------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verdicts.md"


def test_the_page_counts_the_pairs() -> None:
    found = [right for _, right, _, _ in pairs()]
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"**{len(found):,} pairs**" in text
    assert f"({sum(found):,} right, {len(found) - sum(found)} wrong)" in text


@pytest.mark.parametrize(
    "entry", [math.entry, multiple_choice.entry, exact_match.entry], ids=lambda entry: entry.name
)
def test_the_page_names_every_option(entry: VerifierEntry) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"## `{entry.name}`")[1].split("\n## ")[0]
    assert {name for name in entry.options.model_fields if f"`{name}`" not in section} <= {"find", "labels"}


def test_the_page_gives_the_defaults_of_math() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    stated = {name: value.replace("`", "") for name, value in rows}
    for name, value in math.MathOptions().model_dump(mode="json").items():
        shown = ", ".join(value) if isinstance(value, list) else str(value).lower()
        assert stated[name] == shown or float(stated[name]) == value
