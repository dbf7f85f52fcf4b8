"""Correct is what equals the reference, once both are normalised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from itscale.plugins import Options, VerifierEntry
from itscale.sandbox import Sandbox
from itscale.types import Problem, Verdict
from itscale_builtin.verifiers.answers import Locator, in_reference, last_match, locate
from itscale_builtin.verifiers.wrappers import tidy

RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ]+")
"""Signs that compatibility would lower: 10² is not 102."""
TYPED = str.maketrans("‘’‚‛“”„‟−‐‑", "''''\"\"\"\"---")
"""Quotation marks, minus signs and hyphens as a keyboard has them."""
WORDS = re.compile(r"\\(?:text(?:bf|it|rm)?|mbox|mathrm)\{([^{}]{0,1000})\}")
TOGETHER = 10_000
"""Texts that one process looks through: what it finds is text, whatever stands in the others."""
ARTICLES = re.compile(r"\b(?:a|an|the)\b")


class ExactMatchOptions(Options):
    """Options of the exact_match oracle."""

    find: Annotated[tuple[Locator, ...], Field(min_length=1)] = (
        "tags",
        "boxed",
        "hashes",
        "answer_is",
        "emphasis",
        "last_line",
    )
    """Where the answer is looked for: the first of these places that holds one counts."""
    pattern: str | None = None
    """A regular expression that finds the answer instead: its last match, the first group if it has one."""
    seconds: float = Field(default=1.0, gt=0)
    """Most processor time of looking for the pattern in one text; if it takes longer there is no answer."""
    ignore_case: bool = True
    """Whether capital and small letters are the same."""
    ignore_punctuation: bool = False
    """Whether punctuation is left out."""
    ignore_articles: bool = False
    """Whether a, an and the are left out."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        """Refuse what is no regular expression."""
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"found {pattern!r}, expected a regular expression: {error}") from None
        return pattern


class ExactMatch:
    """The oracle; see the module."""

    def __init__(self, options: ExactMatchOptions) -> None:
        self.options = options
        # No model writes the pattern, so any process will do; but only a process can be ended.
        self._sandbox = Sandbox(
            f"{__name__}:last_found", seconds=options.seconds, together=TOGETHER, weakest="process"
        )

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the normalised answer, None if no place holds one."""
        found = locate(text, self.options.find) if self.options.pattern is None else self._match(text)
        return (
            None if found is None else self._normalise(tidy(found, in_reference(problem.reference))) or None
        )

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return the answers themselves: normalised, only equal ones are equivalent."""
        return list(answers)

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Compare each answer with the reference."""
        reference = self._normalise(in_reference(problem.reference))
        return [Verdict(correct=answer == reference) for answer in answers]

    def _match(self, text: str) -> str | None:
        reply = self._sandbox.call(self.options.pattern, text)
        return reply.value if isinstance(reply.value, str) else None

    def _normalise(self, text: str) -> str:
        text = RAISED.sub(
            lambda run: f"^{unicodedata.normalize('NFKC', run.group())}", WORDS.sub(r"\1", text)
        )
        text = unicodedata.normalize("NFKC", text).translate(TYPED)
        if self.options.ignore_case:
            text = text.casefold()
        if self.options.ignore_punctuation:
            text = "".join(" " if unicodedata.category(sign)[0] == "P" else sign for sign in text)
        if self.options.ignore_articles:
            text = ARTICLES.sub(" ", text)
        text = " ".join(text.split())
        return text.rstrip(".").rstrip() or text


def last_found(pattern: str, text: str) -> str | None:
    """Return the last match of a pattern, or its first group; None if there is none. Runs in the sandbox."""
    compiled = re.compile(pattern)
    last = last_match(compiled, text)
    return None if last is None else last.group(1 if compiled.groups else 0)


entry = VerifierEntry(
    name="exact_match",
    aliases=("em", "exact", "string_match"),
    factory=ExactMatch,
    options=ExactMatchOptions,
    role="oracle",
    revision=5,
    summary="Correct is what equals the reference, once both are normalised.",
)
