"""Calling a function on hostile arguments, in confined processes that cost milliseconds.

`Sandbox` keeps a warm zygote per processor, which has imported the function, and forks a child that is shut
in for each call, or for a few. Whatever the arguments do to a child, a reply comes back and the next call
finds another child.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from itscale.sandbox.children import Allowance, Outcome, converse
from itscale.sandbox.containment import containment_of_study
from itscale.sandbox.ladder import best_rung
from itscale.sandbox.settings import Rung
from itscale.sandbox.slots import Slot

__all__ = ["Reply", "Sandbox"]

MOST_PROCESSES = 8
"""Most zygotes of a sandbox, however many processors there are: each holds what it imported."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call: its value, or why there is none."""

    status: Literal["done", "timeout", "error"]
    value: Any = None
    detail: str = ""


class Sandbox:
    """Calls one trusted function on arguments that nobody trusts.

    Parameters
    ----------
    target
        `package.module:function`; its arguments and its result are JSON values.
    seconds
        Most processor time of one call. One that waits instead of working ends, too: after twice as long and
        a second, the time it waited for a processor not counted.
    preload
        Modules the function imports when it is called: imported beforehand, outside the limit.
    warm
        Arguments of calls made beforehand, outside the limit; they fill the caches of libraries.
    memory
        Most address space of a call, in bytes.
    output
        Most bytes of a reply, as JSON.
    together
        How many calls one child answers at most before it is replaced. It is replaced at once after a call
        that did not end well. More than one shares caches between calls, and lets an answer that takes over
        its child falsify the replies that follow in it.
    weakest
        The weakest rung that will do; what the study says (`sandbox`) if left out.

    Raises
    ------
    SandboxError
        At the first call, if there is no sandbox that will do, or the target cannot be imported.
    """

    def __init__(
        self,
        target: str,
        *,
        seconds: float,
        preload: Sequence[str] = (),
        warm: Sequence[Sequence[Any]] = (),
        memory: int = 4 << 30,
        output: int = 16 << 20,
        together: int = 1,
        weakest: Rung | None = None,
    ) -> None:
        self._target = target
        self._allowance = Allowance(seconds, output)
        self._together = together
        self._preload, self._warm, self._memory = tuple(preload), tuple(map(tuple, warm)), memory
        self._containment = containment_of_study()
        self._weakest = weakest or self._containment.weakest
        self._slots: list[Slot] = []
        self._idle: queue.LifoQueue[Slot] = queue.LifoQueue()
        weakref.finalize(self, _close, self._slots)

    @property
    def rung(self) -> Rung:
        """How calls are contained here."""
        return best_rung(self._weakest)

    def call(self, *arguments: Any) -> Reply:
        """Call the function. Whatever its arguments do to it, a reply comes back."""
        with self._slot() as slot:
            return self._call(slot, arguments)

    def map(self, calls: Iterable[Sequence[Any]]) -> list[Reply]:
        """Call the function on each tuple of arguments, on all processors; replies come in order."""
        calls = list(calls)
        workers = min(processors(), len(calls))
        if workers <= 1:
            return [self.call(*arguments) for arguments in calls]
        replies: list[Reply | None] = [None] * len(calls)
        left = iter(enumerate(calls))

        def work() -> None:
            with self._slot() as slot:
                for place, arguments in left:  # `next` of an enumeration is atomic: threads take turns
                    replies[place] = self._call(slot, arguments)

        with ThreadPoolExecutor(workers) as threads:
            for working in [threads.submit(work) for _ in range(workers)]:
                working.result()
        return [reply for reply in replies if reply is not None]

    def close(self) -> None:
        """End all processes; the next call starts others."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait()
        _close(self._slots)
        self._slots.clear()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @contextmanager
    def _slot(self) -> Iterator[Slot]:
        try:
            slot = self._idle.get_nowait()
        except queue.Empty:
            slot = self._new_slot()
        try:
            yield slot
        finally:
            self._idle.put(slot)

    def _new_slot(self) -> Slot:
        rung = self.rung
        self._containment.rungs.add(rung)
        slot = Slot(
            self._target,
            rung=rung,
            preload=self._preload,
            warm=self._warm,
            memory=self._memory,
            processor=int(self._allowance.seconds * self._together) + 10,
            number=len(self._slots),
        )
        self._slots.append(slot)
        return slot

    def _call(self, slot: Slot, arguments: Sequence[Any]) -> Reply:
        child = slot.child(self._together)
        outcome = converse([child], [json.dumps(arguments).encode()], self._allowance)
        reply = self._reply(outcome, slot)
        if reply.status != "done":
            slot.discard()
        return reply

    def _reply(self, outcome: Outcome, slot: Slot) -> Reply:
        seconds = self._allowance.seconds
        if outcome.kind == "processor":
            return Reply("timeout", detail=f"more than {seconds:g} s of processor time")
        if outcome.kind == "idle":
            return Reply("timeout", detail=f"more than {self._allowance.patience:g} s, most of them idle")
        if outcome.kind == "output":
            return Reply("error", detail=f"a reply of more than {self._allowance.output} bytes")
        if outcome.kind == "gone":
            return Reply("error", detail=f"the process {ending(slot.discard())}")
        return _understood(outcome.reply)


def processors() -> int:
    """Return how many calls run at once."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def ending(status: int | None) -> str:
    """Say in words how a process ended."""
    if status is None:
        return "ended unexpectedly"
    if os.WIFSIGNALED(status):
        return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended early, with status {os.WEXITSTATUS(status)}"


def _understood(content: bytes) -> Reply:
    """Read a reply; the child may have been taken over, so it can be anything."""
    try:
        match json.loads(content):
            case ["done", value, ""]:
                return Reply("done", value)
            case ["error", None, str(detail)]:
                return Reply("error", detail=" ".join(detail.split())[:200])
    except (ValueError, RecursionError):
        pass
    return Reply("error", detail="a reply that is none")


def _close(slots: Sequence[Slot]) -> None:
    for slot in slots:
        slot.close()
