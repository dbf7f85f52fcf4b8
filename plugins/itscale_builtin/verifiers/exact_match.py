"""Correct is what equals the reference, once both are normalised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from itscale.plugins import Options, VerifierEntry
from itscale.types import Problem, Verdict
from itscale_builtin.verifiers.answers import Locator, last_match, locate, tidy

ARTICLES = re.compile(r"\b(?:a|an|the)\b")


class ExactMatchOptions(Options):
    """Options of the exact_match oracle."""

    find: Annotated[tuple[Locator, ...], Field(min_length=1)] = (
        "tags",
        "boxed",
        "hashes",
        "answer_is",
        "last_line",
    )
    """Where the answer is looked for: the first of these places that holds one counts."""
    pattern: str | None = None
    """A regular expression that finds the answer instead: its last match, the first group if it has one."""
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
        self._pattern = re.compile(options.pattern) if options.pattern else None

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the normalised answer, None if no place holds one."""
        found = self._match(text) if self._pattern else locate(text, self.options.find)
        return None if found is None else self._normalise(tidy(found, problem.reference)) or None

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return the answers themselves: normalised, only equal ones are equivalent."""
        return list(answers)

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Compare each answer with the reference."""
        reference = self._normalise(problem.reference)
        return [Verdict(correct=answer == reference) for answer in answers]

    def _match(self, text: str) -> str | None:
        assert self._pattern is not None
        last = last_match(self._pattern, text)
        return None if last is None else last.group(1 if self._pattern.groups else 0)

    def _normalise(self, text: str) -> str:
        text = unicodedata.normalize("NFKC", text)
        if self.options.ignore_case:
            text = text.casefold()
        if self.options.ignore_punctuation:
            text = "".join(" " if unicodedata.category(sign)[0] == "P" else sign for sign in text)
        if self.options.ignore_articles:
            text = ARTICLES.sub(" ", text)
        return " ".join(text.split())


entry = VerifierEntry(
    name="exact_match",
    factory=ExactMatch,
    options=ExactMatchOptions,
    role="oracle",
    summary="Correct is what equals the reference, once both are normalised.",
)
