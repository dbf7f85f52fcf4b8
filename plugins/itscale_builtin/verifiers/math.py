"""Correct is what equals the reference as mathematics: string match, or symbolic equality by math-verify.

Equality "string match OR symbolic" is that of Brown et al. 2024 (Large Language Monkeys, appendix D). It is
not transitive, so classes of equivalent answers are found by union-find within a problem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import Field

from itscale.plugins import Options, VerifierEntry
from itscale.types import Problem, Verdict
from itscale_builtin.verifiers.answers import Locator, locate, tidy
from itscale_builtin.worker import Worker

INTEGER = re.compile(r"-?\d+")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
PROBE = r"\sqrt{2}"
"""What an answer is compared with to find out whether it can be compared."""
LONGEST = 1000
"""Answers with more characters are not parsed: no reference is that long, and parsing is superlinear."""


class MathOptions(Options):
    """Options of the math oracle."""

    find: Annotated[tuple[Locator, ...], Field(min_length=1)] = (
        "boxed",
        "hashes",
        "answer_is",
        "last_number",
    )
    """Where the answer is looked for: the first of these places that holds one counts."""
    seconds: float = Field(default=5.0, gt=0)
    """Most processor time of one comparison; a comparison that takes longer has status `timeout`."""


class Math:
    """The oracle; see the module. Expressions are parsed in a process of their own, which can be killed."""

    def __init__(self, options: MathOptions) -> None:
        self.options = options
        self._worker = Worker(f"{__name__}:compare", seconds=options.seconds, preload=["math_verify"])

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the answer with cosmetic LaTeX taken off, None if no place holds one."""
        found = locate(text, self.options.find)
        return None if found is None else normalise(found) or None

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return for each answer the first answer of its class; every pair is compared, in sorted order."""
        ordered = [answer for answer in sorted(set(answers)) if self._comparable(answer)]
        parent = {answer: answer for answer in ordered}

        def root(answer: str) -> str:
            while parent[answer] != answer:
                answer = parent[answer]
            return answer

        for place, first in enumerate(ordered):
            for second in ordered[place + 1 :]:
                one, other = root(first), root(second)
                if one != other and self._compare(first, second).correct:
                    parent[max(one, other)] = min(one, other)
        return [root(answer) if answer in parent else answer for answer in answers]

    def _comparable(self, answer: str) -> bool:
        """Say whether an answer can be compared at all: one that cannot stands alone, and costs no more."""
        return INTEGER.fullmatch(answer) is not None or self._compare(PROBE, answer).status == "judged"

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Compare each answer with the reference."""
        reference = normalise(problem.reference)
        return [self._compare(reference, answer) for answer in answers]

    def _compare(self, reference: str, answer: str) -> Verdict:
        if answer == reference:
            return Verdict(correct=True)
        if INTEGER.fullmatch(answer) and INTEGER.fullmatch(reference):
            return Verdict(correct=_digits(answer) == _digits(reference))
        if len(answer) > LONGEST:
            detail = f"{len(answer)} characters, expected at most {LONGEST}"
            return Verdict(correct=False, status="unparsable", detail=detail)
        reply = self._worker.call(reference, answer)
        if reply.status != "done":
            return Verdict(correct=False, status=reply.status, detail=reply.detail)
        if reply.value is None:
            return Verdict(correct=False, status="unparsable", detail="no expression")
        return Verdict(correct=reply.value)


def normalise(answer: str) -> str:
    """Take off what changes the look of an answer but not its meaning."""
    answer = tidy(answer)
    for look in (r"\left", r"\right", r"\!", r"\,", r"\;", r"\displaystyle"):
        # \left is also the beginning of \leftarrow: only the command itself is taken off.
        answer = re.sub(re.escape(look) + ("(?![A-Za-z])" if look[-1].isalpha() else ""), "", answer)
    answer = re.sub(r"\\[dt]frac(?![A-Za-z])", r"\\frac", answer)
    answer = " ".join(answer.split()).removeprefix("+")
    # A dollar sign that is closed again delimits mathematics; one that is not is the currency.
    if answer.count("$") == 1:
        answer = answer.removeprefix("\\$").removeprefix("$").strip()
    return THOUSANDS.sub("", answer) if GROUPED.fullmatch(answer) else answer


def _digits(integer: str) -> str:
    """Return an integer's shortest form as text: `int` refuses thousands of digits."""
    digits = integer.lstrip("-").lstrip("0") or "0"
    return f"-{digits}" if integer.startswith("-") and digits != "0" else digits


def compare(reference: str, answer: str) -> bool | None:
    """Say whether two answers are equal as mathematics, None if the second is no expression.

    Runs in the worker: without a time limit of its own.
    """
    from math_verify import verify

    parsed = _parse(answer)
    if not parsed:
        return None
    return bool(verify(_parse(reference), parsed, timeout_seconds=None))


@cache
def _parse(answer: str) -> list[Any]:
    from math_verify import parse

    delimited = answer if "$" in answer else f"${answer}$"
    return list(parse(delimited, parsing_timeout=None) or parse(answer, parsing_timeout=None))


entry = VerifierEntry(
    name="math",
    factory=Math,
    options=MathOptions,
    role="oracle",
    requires=("math_verify",),
    extra="math-verify[antlr4-13-2]",
    summary="Correct is what equals the reference as mathematics (string match or symbolic equality).",
    reference="Brown et al. 2024, Large Language Monkeys, appendix D; Kydlíček 2025, math-verify",
)
