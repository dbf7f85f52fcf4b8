"""Calling a function on hostile arguments, in confined processes that cost milliseconds.

`Sandbox` keeps a warm zygote per processor, which has imported the function, and forks a child that is shut
in for each call, or for a few. Whatever the arguments do to a child, a reply comes back and the next call
finds another child.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from itscale.sandbox.children import Allowance, Outcome, converse
from itscale.sandbox.containment import containment_of_study
from itscale.sandbox.ladder import best_rung
from itscale.sandbox.pool import Pool
from itscale.sandbox.settings import Rung
from itscale.sandbox.slots import Slot

__all__ = ["UNWATCHED", "Reply", "Sandbox", "ending", "overrun", "understood"]

LONGEST_DETAIL = 200
UNWATCHED = 10
"""Seconds of processor time beyond its calls' after which the kernel ends a child by itself."""


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
        Most processor time of one call. One that waits instead of working ends, too: a second after as much
        time has passed, the time it waited for a processor not counted.
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
        memory: int = 2 << 30,
        output: int = 1 << 20,
        together: int = 1,
        weakest: Rung | None = None,
    ) -> None:
        self._target = target
        self._allowance = Allowance(seconds, output)
        self._together = together
        self._preload, self._warm, self._memory = tuple(preload), tuple(map(tuple, warm)), memory
        self._containment = containment_of_study()
        self._weakest = weakest or self._containment.weakest
        self._pool = Pool(self._slot)

    @property
    def rung(self) -> Rung:
        """How calls are contained here."""
        return best_rung(self._weakest)

    def call(self, *arguments: Any) -> Reply:
        """Call the function. Whatever its arguments do to it, a reply comes back."""
        return self.map([arguments])[0]

    def map(self, calls: Iterable[Sequence[Any]]) -> list[Reply]:
        """Call the function on each tuple of arguments, on all processors; replies come in order."""
        return self._pool.map(self._call, calls)

    def close(self) -> None:
        """End all processes; the next call starts others."""
        self._pool.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _slot(self, number: int) -> Slot:
        rung = self.rung
        self._containment.rungs.add(rung)
        return Slot(
            self._target,
            rung=rung,
            preload=self._preload,
            warm=self._warm,
            memory=self._memory,
            processor=int(self._allowance.seconds * self._together) + UNWATCHED,
            number=number,
        )

    def _call(self, slot: Slot, arguments: Sequence[Any]) -> Reply:
        child = slot.child(self._together)
        outcome = converse([child], [json.dumps(arguments).encode()], self._allowance)
        if outcome.kind == "reply":
            reply = understood(outcome.reply)
        elif outcome.kind == "gone":
            reply = Reply("error", detail=f"the process {ending(slot.discard(ending=True))}")
        else:
            reply = overrun(outcome, self._allowance)
        if reply.status != "done":
            slot.discard()
        return reply


def overrun(outcome: Outcome, allowance: Allowance) -> Reply:
    """Say which limit a call overran."""
    if outcome.kind == "processor":
        return Reply("timeout", detail=f"more than {allowance.seconds:g} s of processor time")
    if outcome.kind == "idle":
        return Reply("timeout", detail=f"more than {allowance.patience:g} s, some of them idle")
    return Reply("error", detail=f"more than {allowance.output} bytes of output")


def ending(status: int | None) -> str:
    """Say in words how a process ended."""
    if status is None:
        return "ended unexpectedly"
    if os.WIFSIGNALED(status):
        return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended early, with status {os.WEXITSTATUS(status)}"


def understood(content: bytes) -> Reply:
    """Read a reply; the child may have been taken over, so it can be anything."""
    try:
        match json.loads(content):
            case ["done", value, ""]:
                return Reply("done", value)
            case ["error", None, str(detail)]:
                return Reply("error", detail=" ".join(detail.split())[:LONGEST_DETAIL])
    except (ValueError, RecursionError):
        pass
    return Reply("error", detail="a reply that is none")
