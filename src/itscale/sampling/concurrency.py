"""Branches of a strategy that run at the same time: the first that will do, and never too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

__all__ = ["bounded", "first"]

T = TypeVar("T")


async def first(branches: Sequence[Coroutine[Any, Any, T]], accept: Callable[[T], bool]) -> T | None:
    """Run branches at the same time and return the first, in their order, whose result is accepted.

    Those after it are cancelled as soon as that is known: engines abort their requests, and what was
    generated is charged. The order is that of `branches`, not of time: latency decides on the cost alone,
    and on what that leaves of the session's budget.

    Returns
    -------
    object or None
        None if no result is accepted.
    """
    tasks = [asyncio.create_task(branch) for branch in branches]
    try:
        for task in tasks:
            if accept(found := await task):
                return found
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def bounded(branches: Sequence[Coroutine[Any, Any, T]], most: int) -> list[T]:
    """Run branches, at most so many at the same time; return their results in order.

    Raises
    ------
    Exception
        What the first branch to fail raised; the others are cancelled.
    """
    room = asyncio.Semaphore(most)

    async def run(branch: Awaitable[T]) -> T:
        async with room:
            return await branch

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(branch)) for branch in branches]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        for branch in branches:  # those that had not begun when another failed
            branch.close()
    return [task.result() for task in tasks]
