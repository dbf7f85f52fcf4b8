"""Scores of a session: each trajectory is scored once, whoever asks for it and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from itscale.types import Scorer, ScorerDesk, Trajectory

__all__ = ["Scores"]


class Scores:
    """Asks a scorer for what is not known yet.

    Parameters
    ----------
    scorer
        What is asked.
    desk
        Makes what it asks models by, for each time that it is asked.
    known
        By node, the scores there are: new ones are put into it.
    alone
        Whether each trajectory is scored by itself, all at the same time: so it is known what each one asks.
    """

    def __init__(
        self, scorer: Scorer, desk: Callable[[], ScorerDesk], known: dict[int, float], *, alone: bool = False
    ) -> None:
        self._scorer = scorer
        self._desk = desk
        self._known = known
        self._alone = alone
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
                await self._score(new)
            finally:
                for node in new:
                    del self._asked[node]
                told.set()

    async def _score(self, trajectories: Mapping[int, Trajectory]) -> None:
        """Ask the scorer; of several that are asked apart, one that fails takes the others along."""
        if self._alone and len(trajectories) > 1:
            try:
                async with asyncio.TaskGroup() as group:
                    for node, trajectory in trajectories.items():
                        group.create_task(self._score({node: trajectory}))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
            return
        scores = await self._scorer.score(list(trajectories.values()), self._desk())
        self._known.update(zip(trajectories, scores, strict=True))
