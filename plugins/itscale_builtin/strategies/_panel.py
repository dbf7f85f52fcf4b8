"""Several models about one problem: branches that share the tokens left, answers listed by number."""

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from itscale.errors import BudgetExhausted
from itscale.plugins.references import ModelLabel, StrategyLabel
from itscale.sampling.session import Session
from itscale.types import Message, Question, SamplingParams, Trajectory
from itscale_builtin.strategies._chats import question

__all__ = ["answers", "commonest", "instead", "items", "listed", "numbered_parts", "together"]

T = TypeVar("T")

NUMBER = re.compile(r"^[ \t>#*_-]*\[ *(\d{1,6}) *\]", re.MULTILINE)
"""A number that begins a line, as `[2]`; markup before it does not matter."""


ITEM = re.compile(r"^[ \t>]*(?:[-*+]|\[?\d{1,6}[\]).:]+)[ \t]+(\S.*)$", re.MULTILINE)
"""An item of a list, after its dash or its number."""


async def together(branches: Iterable[Awaitable[T]]) -> list[T | None]:
    """Run branches at the same time, to their ends; None for each that found no tokens left.

    Where one fails, the others still finish: nothing goes on unseen after a strategy has handed in.
    """
    found = await asyncio.gather(*branches, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, BudgetExhausted):
            raise one
    return [None if isinstance(one, BaseException) else one for one in found]


async def answers(
    session: Session,
    params: SamplingParams,
    count: int,
    *,
    by: ModelLabel | None = None,
    inner: StrategyLabel | None = None,
) -> list[Trajectory]:
    """Draw answers to the problem, of a model in one request, or of a strategy as far as there are tokens.

    Raises
    ------
    BudgetExhausted
        If there are not tokens enough for any.
    """
    if inner is None:
        return await session.extend([session.start()] * count, params, by=by)
    made = [one for one in await together(session.inner(inner) for _ in range(count)) if one is not None]
    if not made:
        raise BudgetExhausted(f"{session.problem.problem_id}: found no tokens for an answer of {inner!r}")
    return made


def commonest(votes: Mapping[T, float], rng: np.random.Generator) -> T:
    """Return what has the most votes, of several alike any; there must be one."""
    most = [one for one, weight in votes.items() if weight == max(votes.values())]
    return most[int(rng.integers(len(most)))]


def instead(problem: Question, text: str) -> list[Message]:
    """Return the problem's chat with a text in place of what its user asks last; `text` quotes that."""
    asked, chat = question(problem), list(problem.messages)
    last = max(place for place, turn in enumerate(chat) if turn["content"] == asked)
    return [*chat[:last], {**chat[last], "content": text}, *chat[last + 1 :]]


def listed(texts: Sequence[str]) -> str:
    """Return texts one below the other, each after its number: [1], [2] ..."""
    return "\n\n".join(f"[{number}] {text.strip()}" for number, text in enumerate(texts, 1))


def items(text: str) -> list[str]:
    """Return the items of a list, one a line."""
    return [item.strip() for item in ITEM.findall(text)]


def numbered_parts(text: str, count: int) -> dict[int, str]:
    """Return what follows each number that begins a line, from 1 to `count`; the first of two alike."""
    found = list(NUMBER.finditer(text))
    ends = [*(one.start() for one in found[1:]), len(text)]
    parts: dict[int, str] = {}
    for one, end in zip(found, ends, strict=False):
        number, said = int(one[1]), text[one.end() : end].strip(" \t\n:*-")
        if 1 <= number <= count and said:
            parts.setdefault(number, said)
    return parts
