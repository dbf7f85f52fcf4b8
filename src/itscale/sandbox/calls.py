"""Calling a function on hostile arguments, in confined processes that cost milliseconds.

`Sandbox` keeps a warm zygote per processor, which has imported the function, and forks a child that is shut
in for each call, or for a few. Whatever the arguments do to a child, a reply comes back and the next call
finds another child.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from itscale.sandbox.children import Limits, converse
from itscale.sandbox.contained import Contained
from itscale.sandbox.replies import Reply
from itscale.sandbox.settings import Rung
from itscale.sandbox.slots import Slot

__all__ = ["Sandbox"]


class Sandbox(Contained[Slot]):
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
        self._together = together
        super().__init__(
            target,
            allowance=Limits(seconds, output),
            preload=preload,
            warm=warm,
            memory=memory,
            weakest=weakest,
            workplace=lambda number: self._slot(number, together),
        )

    def call(self, *arguments: Any) -> Reply:
        """Call the function. Whatever its arguments do to it, a reply comes back."""
        return self.map([arguments])[0]

    def map(self, calls: Iterable[Sequence[Any]]) -> list[Reply]:
        """Call the function on each tuple of arguments, on all processors; replies come in order."""
        return self._pool.map(self._call, calls)

    def _call(self, slot: Slot, arguments: Sequence[Any]) -> Reply:
        child = slot.child(self._together)
        outcome = converse([child], [json.dumps(arguments).encode()], self._allowance)
        reply = self._reply(outcome, slot)
        if reply.status != "done":
            slot.discard()
        return reply
