"""Verdicts on pairs of a reference and a completion whose right value is known.

`data/verdicts.tsv` holds them: what a kind of pair is called, the right value (`+` or `-`), the reference,
and the completion's text, in which a pilcrow stands for a line break. They are cases of the kinds that
reports on answer checkers are about, in words of our own.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.types import Problem
from itscale_builtin.tasks import math500
from itscale_builtin.verifiers import math
from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.reading import Reading, read

PAIRS = Path(__file__).with_name("data") / "verdicts.tsv"


def problem(reference: str) -> Problem:
    return Problem(problem_id="p", messages=({"role": "user", "content": "?"},), reference=reference)


@cache
def oracle() -> math.Math:
    return math.Math(math.MathOptions())


def correct(reference: str, text: str, judge: Any = None) -> bool:
    judge = judge or oracle()
    answer = judge.answer(problem(reference), text)
    return answer is not None and bool(judge.judge(problem(reference), [answer])[0].correct)


def pairs() -> Iterator[tuple[str, bool, str, str]]:
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, right, reference, text = line.split("\t")
            yield kind, right == "+", reference, text.replace("¶", "\n")


@pytest.mark.parametrize("kind", sorted({kind for kind, *_ in pairs()}))
def test_pairs_of_a_kind_are_judged_as_they_should_be(kind: str) -> None:
    wrong = [
        (reference, text, right)
        for found, right, reference, text in pairs()
        if found == kind and correct(reference, text) is not right
    ]
    assert wrong == []


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
    ["(1,2)", "[1,2]", "(1,2]", "1,2"],
    ["x < 3", r"x \le 3", "x > 3"],
    [r"x \equiv 3 \pmod 5", r"x \equiv 3 \pmod 7"],
]


@pytest.mark.parametrize("answers", APART, ids=lambda answers: answers[0])
def test_a_vote_keeps_apart_what_differs(answers: list[str]) -> None:
    assert oracle().classes(answers) == answers


TOGETHER = [
    ["18", "$18", "18 dollars", "18.00", r"\$18"],
    ["72", "72 eggs", "seventy-two", "72 apples"],
    ["1/2", "0.5", r"\frac12", r"\frac{2}{4}"],
    ["100 cm", "1 m", "1 metre"],
    ["2, 3", "3, 2", r"\{2, 3\}", r"x=2 \text{ or } x=3"],
    ["x=3", "3"],
    [r"90^\circ", "90 degrees", "90"],
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
    ("15", r"15\mbox{ cm}^2"), ("40", "40_9"), ("5", "x=5"),
}  # fmt: skip
"""Pairs of references of MATH500 of which one leaves out a unit, a base or a name that the other has."""


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


# Hostile answers ---------------------------------------------------------------------------------------


@given(text=st.text(st.sampled_from(list("0123456789.,()[]{}^_!*/+-=<>|$% xei\\")), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UnreadableError):
        assert isinstance(read(text), Reading)
