"""Common parts of `Sandbox` and `Programs`: the rung that contains them, their zygotes, replies and end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from itscale.sandbox.children import Limits, Outcome
from itscale.sandbox.containment import containment_of_study
from itscale.sandbox.ladder import best_rung
from itscale.sandbox.pool import Pool, Workplace
from itscale.sandbox.replies import Reply, ending, overrun, understood
from itscale.sandbox.settings import Rung
from itscale.sandbox.slots import Slot

__all__ = ["Contained"]

UNWATCHED = 10
"""Seconds of processor time beyond its calls' after which the kernel ends a child by itself."""

W = TypeVar("W", bound=Workplace)
Self = TypeVar("Self", bound="Contained[Any]")


class Contained(Generic[W]):
    """Calls to one target, contained by one rung.

    Parameters
    ----------
    target, preload, warm, memory
        See `itscale.sandbox.settings.Settings`.
    allowance
        What a call may use.
    weakest
        The weakest rung that will do; what the study says (`sandbox`) if left out.
    workplace
        Makes the workplace of a number, for which `_slot` makes the zygotes.
    """

    def __init__(
        self,
        target: str,
        *,
        allowance: Limits,
        preload: Sequence[str],
        warm: Sequence[Sequence[Any]],
        memory: int,
        weakest: Rung | None,
        workplace: Callable[[int], W],
    ) -> None:
        self._target = target
        self._allowance = allowance
        self._preload, self._warm, self._memory = tuple(preload), tuple(map(tuple, warm)), memory
        self._containment = containment_of_study()
        self._weakest = weakest or self._containment.weakest
        self._pool = Pool(workplace)

    @property
    def rung(self) -> Rung:
        """How calls are contained here."""
        return best_rung(self._weakest)

    def close(self) -> None:
        """End all processes; the next call starts others."""
        self._pool.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _slot(self, number: int, together: int = 1) -> Slot:
        """Return a zygote's place, whose children answer `together` calls at most."""
        rung = self.rung
        self._containment.rungs.add(rung)
        return Slot(
            self._target,
            rung=rung,
            preload=self._preload,
            warm=self._warm,
            memory=self._memory,
            processor=int(self._allowance.seconds * together) + UNWATCHED,
            number=number,
        )

    def _reply(self, outcome: Outcome, slot: Slot) -> Reply:
        """Say what came of a call to a slot's child; SandboxError if that was not confined."""
        if outcome.kind == "reply":
            return understood(outcome.reply)
        status = slot.discard(ending=outcome.kind == "gone")
        slot.require_confined()
        if outcome.kind == "gone":
            return Reply("error", detail=f"the process {ending(status)}")
        return overrun(outcome, self._allowance)
