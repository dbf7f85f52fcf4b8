"""Workplaces for calls: as many as there are processors, made when they are needed, used again."""

from __future__ import annotations

import contextlib
import os
import queue
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

__all__ = ["Pool", "processors"]

MOST_AT_ONCE = 8
"""Most workplaces, however many processors there are: each holds what it imported."""


class Workplace(Protocol):
    """What a pool holds."""

    def close(self) -> None:
        """End its processes."""
        ...

    def discard(self) -> object:
        """End what was under way."""
        ...


W = TypeVar("W", bound=Workplace)
T = TypeVar("T")
R = TypeVar("R")


def processors() -> int:
    """Return how many calls run at once."""
    return min(len(os.sched_getaffinity(0)), MOST_AT_ONCE)


class Pool(Generic[W]):
    """Workplaces that are made by number and borrowed one at a time."""

    def __init__(self, make: Callable[[int], W]) -> None:
        self._make = make
        self._made: list[W] = []
        self._idle: queue.LifoQueue[W] = queue.LifoQueue()
        weakref.finalize(self, _close, self._made)

    @contextmanager
    def borrowed(self) -> Iterator[W]:
        """Lend a workplace; one whose user is interrupted is cleared: the next finds nothing half done."""
        try:
            workplace = self._idle.get_nowait()
        except queue.Empty:
            workplace = self._make(len(self._made))
            self._made.append(workplace)
        try:
            yield workplace
        except BaseException:
            workplace.discard()
            raise
        finally:
            self._idle.put(workplace)

    def map(self, work: Callable[[W, T], R], items: Iterable[T]) -> list[R]:
        """Do some work on every item, on all processors; results come in order."""
        items = list(items)
        results: dict[int, R] = {}
        left = iter(enumerate(items))  # `next` of an enumeration is atomic: threads take turns

        def in_turn() -> None:
            with self.borrowed() as workplace:
                for place, item in left:
                    results[place] = work(workplace, item)

        workers = min(processors(), len(items))
        if workers == 1:
            in_turn()
        elif workers:
            with ThreadPoolExecutor(workers) as threads:
                for working in [threads.submit(in_turn) for _ in range(workers)]:
                    working.result()
        return [results[place] for place in range(len(items))]

    def close(self) -> None:
        """End all of them; the next call makes others."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait()
        _close(self._made)
        self._made.clear()


def _close(made: Sequence[Workplace]) -> None:
    for workplace in made:
        workplace.close()
