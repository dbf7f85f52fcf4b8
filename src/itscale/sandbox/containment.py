"""Containment as a study asks for it, and as its calls had it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from itscale.sandbox.settings import RUNGS, Rung

__all__ = ["DEFAULT_WEAKEST", "Containment", "containment", "containment_of_study"]

DEFAULT_WEAKEST: Rung = "landlock"
"""The weakest rung that is used unless a study allows a weaker one by name."""


@dataclass
class Containment:
    """The weakest rung that will do, and the rungs that were used."""

    weakest: Rung = DEFAULT_WEAKEST
    rungs: set[Rung] = field(default_factory=set)

    @property
    def used(self) -> Rung | None:
        """The weakest rung that was used; None if nothing was evaluated."""
        return max(self.rungs, key=RUNGS.index, default=None)


_current: ContextVar[Containment | None] = ContextVar("containment", default=None)


@contextmanager
def containment(weakest: Rung) -> Iterator[Containment]:
    """Let every sandbox that is made inside do with this rung; the record says which were used."""
    record = Containment(weakest)
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)


def containment_of_study() -> Containment:
    """Return the containment in force; the default one outside of any study."""
    return _current.get() or Containment()
