"""Units: what one session is to do, the smallest work that is kept when a job is killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Unit"]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What one session is to do: completions [start, stop) of a pool, or one run of a run-based strategy.

    `budget` (of what the strategy's axis names) and `replicate` are 0 for an exchangeable strategy.
    """

    problem_id: str
    budget: int = 0
    replicate: int = 0
    start: int = 0
    stop: int

    @property
    def identity(self) -> dict[str, Any]:
        """What names it in a row of the ledger."""
        return {
            "problem_id": self.problem_id,
            "budget": self.budget,
            "replicate": self.replicate,
            "start": self.start,
        }

    @property
    def completions(self) -> int:
        """Completions the session may hand in."""
        return self.stop - self.start
