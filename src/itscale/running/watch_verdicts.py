"""Live progress of verification: verdicts, from what its jobs note beside their logs."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from itscale.running.job import LOADING, progress_file
from itscale.sampling.judged import Judged
from itscale.stages.declared import VERIFICATION

__all__ = ["VerdictProgress", "VerdictWatch", "written"]

WINDOW = 60.0
"""Seconds over which speed is averaged."""

SHORTEST = 3.0
"""Seconds from which a speed is made at least."""


@dataclass(frozen=True)
class VerdictProgress:
    """How far verification is.

    Attributes
    ----------
    verdicts, all_verdicts
        How many there are, of how many that this run makes.
    failed
        How many of them say that their verifier failed.
    at_work
        Whether one is under way.
    seconds_left
        None until there is something to measure.
    """

    verdicts: int = 0
    all_verdicts: int = 0
    failed: int = 0
    at_work: bool = False
    seconds_left: float | None = None


@dataclass
class VerdictWatch:
    """Follows the jobs of a run that verify.

    Attributes
    ----------
    logs
        Where their logs are.
    blocks
        How many verdicts each makes at most (`task/model/strategy/verifier/block`).
    """

    logs: Path
    blocks: Mapping[str, int]
    _earlier: dict[str, int | None] = field(init=False)
    _done: dict[str, Judged] = field(default_factory=dict)
    _seen: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note what an earlier run left; its times would not tell, as clocks are set."""
        self._earlier = {block: written(self._notes(block)) for block in self.blocks}

    def look(self, now: float) -> VerdictProgress:
        """Return how far the run is at a time (seconds)."""
        for block in self.blocks:
            if (known := self._done.get(block)) is None or known.verdicts < self._wanted(block):
                self._read(block)
        states = self._done.items()
        return VerdictProgress(
            verdicts=sum(min(state.verdicts, self._wanted(block)) for block, state in states),
            all_verdicts=sum(map(self._wanted, self.blocks)),
            failed=sum(state.failed for _, state in states),
            at_work=any(state.verdicts < self._wanted(block) for block, state in states),
            seconds_left=self._left(now),
        )

    def _wanted(self, block: str) -> int:
        """Return how many verdicts a block will have: runs may hand in fewer completions than they may."""
        told = self._done.get(block, Judged()).wanted
        return min(told, self.blocks[block]) if told else self.blocks[block]

    def _read(self, block: str) -> None:
        path = self._notes(block)
        if written(path) == self._earlier[block]:
            return
        try:
            told = json.loads(path.read_bytes())
            self._done[block] = Judged() if told == LOADING else Judged(**told)
        except (OSError, ValueError, TypeError, RecursionError):
            return

    def _left(self, now: float) -> float | None:
        """Return how long verifiers at work take for the rest, one after the other; None if one is new."""
        seconds = 0.0
        for verifier in {_verifier(block) for block in self._done}:
            mine = [block for block in self.blocks if _verifier(block) == verifier]
            states = {block: self._done.get(block, Judged()) for block in mine}
            rest = sum(max(0, self._wanted(block) - state.verdicts) for block, state in states.items())
            speed = self._speed(now, verifier, sum(state.made for state in states.values()))
            if rest and speed is None:
                return None
            seconds += rest / speed if rest and speed else 0.0
        return seconds

    def _speed(self, now: float, verifier: str, made: int) -> float | None:
        """Return verdicts per second of late."""
        seen = self._seen.setdefault(verifier, deque())
        seen.append((now, made))
        while now - seen[0][0] > WINDOW:
            seen.popleft()
        (then, before), (_, after) = seen[0], seen[-1]
        return (after - before) / (now - then) if now - then >= SHORTEST and after > before else None

    def _notes(self, block: str) -> Path:
        """Return where the job on a block says how far it is."""
        return progress_file(self.logs / VERIFICATION.name / f"{block}.log")


def _verifier(block: str) -> str:
    return block.split("/")[-2]


def written(path: Path) -> int | None:
    """Return when a file was written, in nanoseconds; None if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
