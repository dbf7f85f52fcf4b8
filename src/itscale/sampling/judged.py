"""Progress of verification: how many verdicts there are, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Judged"]


@dataclass
class Judged:
    """What a job that verifies has done.

    Attributes
    ----------
    verdicts
        Those that there are, of an earlier try or recorded while sampling included.
    failed
        How many of them say that the verifier failed.
    made
        How many this try made.
    wanted
        How many there will be; 0 where that is not known yet.
    """

    verdicts: int = 0
    failed: int = 0
    made: int = 0
    wanted: int = 0
