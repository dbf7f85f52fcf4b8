"""How different ideas are: a judge says of every two whether they are the same (Wang et al. 2024)."""

import re
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from itscale.errors import BudgetExhausted
from itscale.plugins.prompts import fill
from itscale.plugins.references import ModelLabel
from itscale.sampling.session import Session
from itscale.types import Question, SamplingParams, Trajectory
from itscale_builtin.strategies._chats import question
from itscale_builtin.strategies._panel import together
from itscale_builtin.strategies._stance import stance

__all__ = ["IdeaJudge", "are_same", "shares_of_others"]

VERDICT = re.compile(r"\b(same|different)\b(?!\s*\?)", re.IGNORECASE)


def are_same(text: str) -> bool | None:
    """Return the last verdict in a text, None if there is none; "not the same" is "different"."""
    found = list(VERDICT.finditer(text))
    how = stance(text, found[-1].start()) if found else "unclear"
    return None if how == "unclear" else (found[-1][1].casefold() == "same") == (how == "plain")


def shares_of_others(same: dict[tuple[int, int], bool | None], count: int) -> list[float]:
    """Return which share of the others each idea differs from; their mean is D = 1 - mean(same).

    Pairs without a verdict are left out: the share is of those with one, 0 where there is none.
    """
    told: list[list[bool]] = [[] for _ in range(count)]
    for pair, alike in same.items():
        for place in pair:
            told[place] += [] if alike is None else [not alike]
    return [sum(different) / max(1, len(different)) for different in told]


@dataclass(frozen=True)
class IdeaJudge:
    """A model that sums up ideas, and compares them, greedily."""

    problem: Question
    session: Session
    by: ModelLabel | None
    summarise: str
    compare: str
    max_tokens: int

    async def diversity(self, codes: Sequence[Trajectory]) -> list[float]:
        """Return which share of the other codes' ideas each code's differs from.

        Raises
        ------
        BudgetExhausted
            If there are not tokens enough to compare all.
        """
        ideas = await self._all(self._ask(self.summarise, [code], answer=code.text) for code in codes)
        replies = await self._all(
            self._ask(self.compare, [one, other], first=one.text, second=other.text)
            for one, other in combinations(ideas, 2)
        )
        verdicts = [are_same(reply.text) for reply in replies]
        for reply, verdict in zip(replies, verdicts, strict=True):
            if verdict is None:
                self.session.unreadable(reply)
        pairs = combinations(range(len(codes)), 2)
        return shares_of_others(dict(zip(pairs, verdicts, strict=True)), len(codes))

    async def _all(self, branches: Iterable[Awaitable[Trajectory]]) -> list[Trajectory]:
        made = await together(branches)
        if None in made:
            raise BudgetExhausted("found tokens for a part of the ideas, expected enough to compare all")
        return [one for one in made if one is not None]

    async def _ask(self, prompt: str, reads: Sequence[Trajectory], **said: str) -> Trajectory:
        chat = [{"role": "user", "content": fill(prompt, problem=question(self.problem), **said)}]
        key = " ".join(str(one.node) for one in reads)
        params = SamplingParams(temperature=0.0, max_tokens=self.max_tokens)
        return await self.session.write(chat, params, by=self.by, key=key, reads=reads)
