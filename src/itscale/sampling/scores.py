"""Scores of a session: each trajectory is scored once, whoever asks for it and when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from itscale.types import Scorer, ScorerDesk, Trajectory

__all__ = ["Scores"]


class Scores:
    """Asks a scorer for what is not known yet.

    Parameters
    ----------
    scorer, desk
        What is asked, and what it asks models by.
    known
        By node, the scores there are: new ones are put into it.
    """

    def __init__(self, scorer: Scorer, desk: ScorerDesk, known: dict[int, float]) -> None:
        self._scorer = scorer
        self._desk = desk
        self._known = known
        self._asked: dict[int, asyncio.Event] = {}

    async def ask(self, trajectories: Mapping[int, Trajectory]) -> None:
        """Make known the scores of some trajectories, by the nodes of their last steps.

        What somebody else has asked for meanwhile is waited for, and asked for again if that failed.
        """
        while left := {node: one for node, one in trajectories.items() if node not in self._known}:
            new = {node: one for node, one in left.items() if node not in self._asked}
            if not new:
                await next(self._asked[node] for node in left).wait()
                continue
            told = asyncio.Event()
            self._asked |= dict.fromkeys(new, told)
            try:
                scores = await self._scorer.score(list(new.values()), self._desk)
                self._known.update(zip(new, scores, strict=True))
            finally:
                for node in new:
                    del self._asked[node]
                told.set()
