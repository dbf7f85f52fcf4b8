r"""Correct is what equals the reference as mathematics.

Answers are read by a grammar of numbers and plain expressions, in this process, and compared exactly where
both are rational. What the grammar does not read but sympy may (sums, integrals, limits) is evaluated in a
sandbox, one call for each such answer. What counts as equal is documented in docs/verdicts.md.

Two answers are of one class if they say the same by themselves, whatever the reference; a class is never made
of values that differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from itscale.plugins import Options, VerifierEntry
from itscale.sandbox import Reply, Sandbox
from itscale.types import Problem, Verdict
from itscale_builtin.verifiers.answers import NUMBER, Locator, in_reference, locate
from itscale_builtin.verifiers.denials import bounded_before, denied, denied_before
from itscale_builtin.verifiers.mathematics.agreement import Conventions, agree, classes_of
from itscale_builtin.verifiers.mathematics.dates import DATE
from itscale_builtin.verifiers.mathematics.errors import TooLargeError, UnreadableError
from itscale_builtin.verifiers.mathematics.phrases import in_formulas
from itscale_builtin.verifiers.mathematics.quantities import in_words
from itscale_builtin.verifiers.mathematics.reading import LONGEST, Reading, read
from itscale_builtin.verifiers.mathematics.symbolic import (
    PRELOADED,
    WARMING,
    identity,
    values_of_formula,
    worth_trying,
)
from itscale_builtin.verifiers.wrappers import tidy

DIGIT = re.compile(r"\d")
PROSE = re.compile(r"(?!(?:minus|negative)\b)(?:[Aa] )?[A-Za-z]{2,}[ ,:]", re.IGNORECASE)
CIRCUMSTANCE = re.compile(
    r"\b(?:in|after|for|within|during|every|each|(?<!total )of|from|by|over|at|on|per|with)"
    r" (?:the |only )?\$?$"
)
"""What stands before a number that is not the answer but says when, for how long, of how many."""
BEFORE_EQUATION = re.compile(r"(?:[Aa]n? )?(?:[A-Za-z]{2,}[,:]? )+(?=\S[^=]{0,200}=)")
CONDITION = re.compile(
    r"\b(?:where|when|if|for|with(?! (?:the )?equation)|since|because|given|as|and|or|total|sum|cost)\b",
    re.IGNORECASE,
)
"""What makes an equation an aside rather than the answer."""
ABOUT_BASES = re.compile(r"\b(?:base|binary|octal|hexadecimal|ternary)\b|_\{?\d", re.IGNORECASE)
DATE_ALONE = re.compile(rf"(?:(?:it (?:is|was) )?on )?((?:{DATE.pattern}))[.!]?")
REMARK = re.compile(
    r"([-$\\]{0,3}\d[^()]{0,100}?) \((?!(?:or|at|mod|modulo|base|in|not|if|approx\w*|about)\b)"
    r"((?=[^()]*\d)(?=[^()]*[A-Za-z]{2})[^()]{1,200})\)[.!]?"
)
"""A value, and in brackets how it comes about."""
RESTATED = re.compile(r"[A-Za-z -]{3,40},? or \S{1,30}")
"""A number in words, and another way to write it."""
EMPHASIS = re.compile(r"(?<![\w)])(?:\*\*|__|`)(?=\S)([^*_`\n]{1,300}?)(?<=\S)(?:\*\*|__|`)(?![\w(])")
TAGS = re.compile(r"</?(?:b|i|u|em|strong|code|span|p|br)\s{0,2}/?>", re.IGNORECASE)
LOOKS = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])")


class MathOptions(Options):
    """Options of the math oracle."""

    find: Annotated[tuple[Locator, ...], Field(min_length=1)] = (
        "alone",
        "boxed",
        "hashes",
        "answer_is",
        "last_formula",
        "last_number",
    )
    """Where the answer is looked for: the first of these places that holds one counts. `alone`, the whole
    text where it is an answer and nothing else, is for files that have answers instead of completions."""
    units: Literal["optional", "required"] = "optional"
    """Whether a unit that only one of reference and answer has is forgiven; where both have one, they must
    agree (100 cm is 1 m, 6 pm is not 6 am). A noun that is no unit is never compared: 72 eggs is 72."""
    percent: Literal["optional", "required"] = "optional"
    """Whether 35 and 35% agree, or only 35% and 0.35, which always do."""
    tolerance: float = Field(default=1e-8, ge=0, lt=1)
    """Largest relative difference of two values that agree where one is not rational: 1.41421356 and
    the root of 2, but not 3.14159 and pi. Rational values agree only if they are equal."""
    symbolic: bool = True
    """Whether what the grammar does not read (sums, integrals, limits) is evaluated by sympy, in the sandbox.
    Without, such answers are right only if they are the reference to the letter, and no sandbox is needed."""
    seconds: float = Field(default=2.0, gt=0)
    """Most processor time of evaluating one answer in the sandbox; longer has status `timeout`."""


class Math:
    """The oracle; see the module."""

    def __init__(self, options: MathOptions) -> None:
        self.options = options
        self._conventions = Conventions(options.units, options.percent, options.tolerance)
        self._sandbox = Sandbox(
            f"{values_of_formula.__module__}:{values_of_formula.__name__}",
            seconds=options.seconds,
            preload=PRELOADED,
            warm=[(WARMING,)],
        )
        self._evaluated: dict[str, Reply] = {}

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the answer without what is said around it, None if no place holds one."""
        found = locate(text, self.options.find)
        answer = None if found is None else concise(found) or None
        factorial = f"{answer}!"  # or an exclamation, which only the reference can tell
        return factorial if factorial == problem.reference.strip() and factorial in text else answer

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return for each answer the first answer of its class; one that is not read stands alone."""
        self._evaluate(answers)
        readings = {answer: self._read(answer) for answer in set(answers)}
        named = classes_of({text: found for text, found in readings.items() if isinstance(found, Reading)})
        return [named.get(answer, answer) for answer in answers]

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Compare each answer with the reference."""
        reference = concise(in_reference(problem.reference))
        self._evaluate([reference, *answers])
        expected = self._read(reference)
        asked = any(ABOUT_BASES.search(message["content"]) for message in problem.messages)
        conventions = replace(self._conventions, base_asked=asked)
        return [self._judge(reference, expected, answer, conventions) for answer in answers]

    def _judge(
        self, reference: str, expected: Reading | Verdict, answer: str, conventions: Conventions
    ) -> Verdict:
        if answer == reference:
            return Verdict(correct=True)
        found = self._read(answer)
        if isinstance(found, Verdict):
            return found
        return Verdict(correct=isinstance(expected, Reading) and agree(expected, found, conventions))

    def _read(self, answer: str) -> Reading | Verdict:
        """Return what an answer says, or the verdict on one that says nothing."""
        try:
            return read(answer)
        except UnreadableError as error:
            reply = self._evaluated.get(answer)
            if reply is None:
                return _unreadable(str(error))
        if reply.status != "done":
            return Verdict(correct=False, status=reply.status, detail=reply.detail)
        try:
            return Reading(identity(reply.value))
        except UnreadableError as error:
            return _unreadable(str(error))

    def _evaluate(self, answers: Sequence[str]) -> None:
        """Have the sandbox evaluate what the grammar does not read and has not been evaluated yet."""
        wanted = {answer for answer in answers if answer not in self._evaluated and self._is_hard(answer)}
        ordered = sorted(wanted)
        replies = self._sandbox.map([(answer,) for answer in ordered]) if ordered else []
        self._evaluated.update(zip(ordered, replies, strict=True))

    def _is_hard(self, answer: str) -> bool:
        """Say whether only sympy may read an answer."""
        try:
            read(answer)
        except TooLargeError:
            return False
        except UnreadableError:
            return self.options.symbolic and worth_trying(answer)
        return False


def _unreadable(detail: str) -> Verdict:
    return Verdict(correct=False, status="unparsable", detail=" ".join(detail.split()))


def concise(answer: str) -> str:
    """Return an answer without emphasis, and without the words before its number where it is a sentence."""
    answer = EMPHASIS.sub(r"\1", LOOKS.sub("", tidy(TAGS.sub("", answer))))
    answer = " ".join(answer.split())
    answer = in_formulas(answer.removeprefix("+").lstrip(",;: "))
    if (date := DATE_ALONE.fullmatch(answer)) is not None:
        return date[1]
    equation = _equation_in_prose(answer)
    if equation:
        return equation
    try:
        read(answer)
    except UnreadableError:
        return _without_remark(answer) or _number_in_prose(answer) or answer
    return answer if not _is_prose(answer) else _number_in_prose(answer) or answer


def _without_remark(answer: str) -> str | None:
    """Return an answer without the calculation in brackets after it: `7 (14 divided by 2)`."""
    found = REMARK.fullmatch(answer)
    if found is None or denied_before(found[2], len(found[2])):
        return None
    try:
        read(found[1])
    except UnreadableError:
        return None
    return found[1]


def _is_prose(answer: str) -> bool:
    """Say whether an answer begins with a word and holds a number: `therefore 72`, but not `minus 7`."""
    if RESTATED.fullmatch(answer) and in_words(answer) is not None:
        return False  # one half or 50%
    return PROSE.match(answer) is not None and DIGIT.search(answer) is not None and "\\" not in answer


def _equation_in_prose(answer: str) -> str | None:
    """Return the equation that a sentence ends with, whose right side is not what it gives.

    `the plane $5x - 7y + 4 = 0$` does not say 0; `the total is 3 + 4 = 7` says 7.
    """
    found = BEFORE_EQUATION.match(answer[:LONGEST])
    if found is None or CONDITION.search(found.group()) or denied_before(answer, found.end()):
        return None
    equation = answer[found.end() :].strip().strip("$").strip()
    if equation.count("=") != 1 or "$" in equation:
        return None
    try:
        return equation if read(equation).equation is not None else None
    except UnreadableError:
        return None


def _number_in_prose(answer: str) -> str | None:
    """Return the number that a sentence gives: its last, if that is no circumstance (`after 3 days`)."""
    if not _is_prose(answer):
        return None
    answer = answer[-LONGEST:]
    found = [number for number in NUMBER.finditer(answer) if not denied(number)]
    stated = [
        number
        for number in found
        if not (CIRCUMSTANCE.search(answer, 0, number.start()) or bounded_before(answer, number.start()))
    ]
    if not stated:
        stated = [number for number in found if not bounded_before(answer, number.start())]
    return stated[-1].group() if stated else None


entry = VerifierEntry(
    name="math",
    aliases=("math_verify", "math_equivalence", "symbolic"),
    factory=Math,
    options=MathOptions,
    role="oracle",
    revision=5,
    evaluates=lambda options, task: options.symbolic,
    requires=("math_verify",),
    extra="math-verify[antlr4-13-2]",
    summary="Correct is what equals the reference as mathematics: exactly where both are rational.",
    reference="Brown et al. 2024, Large Language Monkeys, appendix D; Kydlíček 2025, math-verify",
)
