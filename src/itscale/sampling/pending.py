"""Pending calls: those of a session that are under way, so that none goes on after its strategy has ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Pending"]


class Pending:
    """The tasks that wait for a session.

    `asyncio.gather` hands on what the first of its branches raises, and lets the others go on: they would
    spend tokens that no row of a ledger has.
    """

    def __init__(self) -> None:
        self._tasks: Counter[asyncio.Task[Any]] = Counter()
        self._over = False

    @contextmanager
    def call(self) -> Iterator[None]:
        """Note that a task waits for the session.

        Raises
        ------
        asyncio.CancelledError
            If the strategy has ended.
        """
        if self._over:
            raise asyncio.CancelledError("the strategy that this belongs to has ended")
        task = asyncio.current_task()
        assert task is not None  # it is awaited
        self._tasks[task] += 1
        try:
            yield
        finally:
            self._tasks[task] -= 1
            if not self._tasks[task]:
                del self._tasks[task]

    async def end(self) -> None:
        """Cancel what still goes on, and wait for its end: engines abort requests, and that is charged."""
        self._over = True
        left = self._tasks.keys() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
