"""Problems: what strategies and verifiers know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Message", "Problem", "Problems", "Question"]

Message = Mapping[str, str]
"""A chat turn: `role` and `content`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a strategy knows of a problem: no answer to it.

    Attributes
    ----------
    problem_id
        Unique within its task; every random stream of the problem derives from it.
    messages
        The chat that is put to the model: dicts with `role` and `content`.
    material
        What there is to work with beyond the messages (documents, hints ...). JSON values only.
    """

    problem_id: str
    messages: tuple[Message, ...]
    material: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Question):
    """One item of a task.

    Attributes
    ----------
    reference
        The right answer, as text. Never None: a problem without a reference cannot be verified.
    metadata
        What its verifier needs beyond the reference; no strategy sees it. JSON values only.
    """

    reference: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> Question:
        """The problem without its answer."""
        return Question(problem_id=self.problem_id, messages=self.messages, material=self.material)


Problems = Iterable[Problem]
"""What a task's factory returns."""
