"""Correct is what equals the reference as mathematics: string match, or symbolic equality by math-verify.

Equality "string match OR symbolic" is that of Brown et al. 2024 (Large Language Monkeys, appendix D). It is
not transitive, so classes of equivalent answers are found by union-find within a problem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import combinations
from typing import Annotated, Any

from pydantic import Field

from itscale.plugins import Options, VerifierEntry
from itscale.sandbox import Reply, Sandbox
from itscale.types import Problem, Verdict
from itscale_builtin.verifiers.answers import Locator, locate, tidy

INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
WORD = re.compile(r"[A-Za-z]{3,}")
DIGITS = 6
"""Digits after the point to which numbers are compared: math-verify's own."""
TOGETHER = 200
"""Pairs that one process compares: parsing an answer costs more than comparing it."""
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
    """Most processor time of one comparison; one that takes longer has status `timeout`."""


class Math:
    """The oracle; see the module. Expressions are parsed and compared in the sandbox."""

    def __init__(self, options: MathOptions) -> None:
        self.options = options
        self._sandbox = Sandbox(
            f"{__name__}:compare",
            seconds=options.seconds,
            preload=["math_verify"],
            warm=[(PROBE, r"\frac{\sqrt{8}}{2}")],
            together=TOGETHER,
        )

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the answer with cosmetic LaTeX taken off, None if no place holds one."""
        found = locate(text, self.options.find)
        return None if found is None else normalise(found) or None

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return for each answer the first answer of its class; every pair is compared, in sorted order."""
        ordered = self._comparable(sorted(set(answers)))
        parent = {answer: answer for answer in ordered}

        def root(answer: str) -> str:
            while parent[answer] != answer:
                answer = parent[answer]
            return answer

        pairs = list(combinations(ordered, 2))
        for (first, second), verdict in zip(pairs, self._compare(pairs), strict=True):
            one, other = root(first), root(second)
            if one != other and verdict.correct:
                parent[max(one, other)] = min(one, other)
        return [root(answer) if answer in parent else answer for answer in answers]

    def _comparable(self, answers: Sequence[str]) -> list[str]:
        """Return the answers that can be compared at all: one that cannot stands alone, and costs no more."""
        # Prose would be parsed as a product of its letters, and equal letters are no equal meaning.
        terms = [answer for answer in answers if "\\" in answer or len(WORD.findall(answer)) < 2]
        probes = self._compare([(PROBE, answer) for answer in terms])
        return [
            answer
            for answer, probe in zip(terms, probes, strict=True)
            if _number(answer) is not None or probe.status == "judged"
        ]

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Compare each answer with the reference."""
        reference = normalise(problem.reference)
        return self._compare([(reference, answer) for answer in answers])

    def _compare(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """Compare (reference, answer) pairs: what is easy here, the others in the sandbox."""
        verdicts = {pair: _at_a_glance(*pair) for pair in pairs}
        hard = [pair for pair, verdict in verdicts.items() if verdict is None]
        verdicts.update(zip(hard, map(_verdict, self._sandbox.map(hard)), strict=True))
        return [verdict for pair in pairs if (verdict := verdicts[pair]) is not None]


def _verdict(reply: Reply) -> Verdict:
    if reply.status != "done":
        return Verdict(correct=False, status=reply.status, detail=reply.detail)
    if reply.value is None:
        return Verdict(correct=False, status="unparsable", detail="no expression")
    return Verdict(correct=reply.value is True)


def _at_a_glance(reference: str, answer: str) -> Verdict | None:
    """Compare two answers without parsing them, where that can be done."""
    if answer == reference:
        return Verdict(correct=True)
    if INTEGER.fullmatch(answer) and INTEGER.fullmatch(reference):
        return Verdict(correct=_digits(answer) == _digits(reference))
    one, other = _number(reference), _number(answer)
    if one is not None and other is not None:
        return Verdict(correct=round(one, DIGITS) == round(other, DIGITS))
    if len(answer) > LONGEST:
        detail = f"{len(answer)} characters, expected at most {LONGEST}"
        return Verdict(correct=False, status="unparsable", detail=detail)
    return None


def _number(answer: str) -> Decimal | None:
    """Return a plain number of ordinary length, None for anything else."""
    return Decimal(answer) if NUMBER.fullmatch(answer) else None


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

    Runs in the sandbox: without a time limit of its own.
    """
    from math_verify import verify

    parsed = _parse(answer)
    if not parsed:
        return None
    one, other = _value(reference), _value(answer)
    if one is not None and other is not None:  # most answers are; verify takes 10 ms to say the same
        return one == other
    return bool(verify(_parse(reference), parsed, timeout_seconds=None))


@cache
def _value(answer: str) -> int | float | None:
    """Return the number that an answer was parsed to, None if it was parsed to anything else."""
    import sympy

    parsed = _parse(answer)
    number = parsed[0] if parsed else None
    if isinstance(number, sympy.Integer):
        return int(number)
    if isinstance(number, sympy.Float | sympy.Rational):
        return round(float(number), DIGITS)
    return None


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
    evaluates=lambda options, task: True,
    requires=("math_verify",),
    extra="math-verify[antlr4-13-2]",
    summary="Correct is what equals the reference as mathematics (string match or symbolic equality).",
    reference="Brown et al. 2024, Large Language Monkeys, appendix D; Kydlíček 2025, math-verify",
)
