"""Workplaces for calls: as many as there are processors, made when they are needed, used again."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import resource
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from itscale.errors import SandboxError

__all__ = ["Pool", "processors"]

MOST_AT_ONCE = 8
"""Most workplaces, however many processors there are: each holds what it imported."""

DESCRIPTORS = 32
"""Descriptors that a workplace may take, with some to spare for the rest of the process."""


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
    """Return how many calls run at once: as many as there are processors, and descriptors for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    afforded = files // DESCRIPTORS if files != resource.RLIM_INFINITY else MOST_AT_ONCE
    return max(1, min(len(os.sched_getaffinity(0)), MOST_AT_ONCE, afforded))


class Pool(Generic[W]):
    """Workplaces that are made by number and borrowed one at a time."""

    def __init__(self, make: Callable[[int], W]) -> None:
        self._make = make
        self._open()

    def _open(self) -> None:
        self._host = os.getpid()
        self._numbers = itertools.count()  # `next` of it is atomic: no two workplaces have one number
        self._made: list[W] = []
        self._idle: queue.LifoQueue[W] = queue.LifoQueue()
        weakref.finalize(self, _close, self._made, self._host)

    @contextmanager
    def borrowed(self) -> Iterator[W]:
        """Lend a workplace; one whose user is interrupted is cleared: the next finds nothing half done."""
        if os.getpid() != self._host:  # a fork of the host's: what was made is the host's alone
            self._open()
        try:
            workplace = self._idle.get_nowait()
        except queue.Empty:
            workplace = self._make(next(self._numbers))
            self._made.append(workplace)
        try:
            yield workplace
        except OSError as fault:  # of the machine: no call raises one
            workplace.discard()
            raise SandboxError(f"a call cannot be made: {fault}") from None
        except BaseException:
            workplace.discard()
            raise
        finally:
            self._idle.put(workplace)

    def map(self, work: Callable[[W, T], R], items: Iterable[T]) -> list[R]:
        """Do some work on every item, on all processors; results come in order.

        What one item raises ends the rest, once those under way have come back.
        """
        items = list(items)
        results: dict[int, R] = {}
        left = iter(enumerate(items))  # `next` of an enumeration is atomic: threads take turns
        faults: list[BaseException] = []

        def in_turn() -> None:
            try:
                with self.borrowed() as workplace:
                    for place, item in left:
                        if faults:
                            return
                        results[place] = work(workplace, item)
            except BaseException as fault:
                faults.append(fault)

        # Threads of its own, not an executor: that takes no work once the main thread has come to its end.
        helpers = [threading.Thread(target=in_turn) for _ in range(min(processors(), len(items)) - 1)]
        started = []
        with contextlib.suppress(RuntimeError):  # no more threads to be had: this one does it all
            for helper in helpers:
                helper.start()
                started.append(helper)
        if items:
            in_turn()
        try:
            for helper in started:
                helper.join()
        except BaseException as interrupt:
            faults.append(interrupt)
            for helper in started:
                helper.join()
        if faults:
            raise faults[0]
        return [results[place] for place in range(len(items))]

    def close(self) -> None:
        """End all of them; the next call makes others."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait()
        _close(self._made, self._host)
        self._made.clear()


def _close(made: Sequence[Workplace], host: int) -> None:
    if os.getpid() == host:
        for workplace in made:
            workplace.close()
