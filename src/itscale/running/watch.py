"""Live progress of a run: jobs from Snakemake's events, completions and tokens from the sampling jobs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text
from snakemake_interface_logger_plugins.common import LogEvent

from itscale.running.events import EventFile
from itscale.running.job import LOADING, progress_file
from itscale.running.watch_verdicts import VerdictProgress, VerdictWatch, written
from itscale.sampling.progress import BlockExtent, Pace, Sampled, Speed, mean_tokens, seconds_left, total
from itscale.stages.declared import SAMPLING

__all__ = ["Display", "RunProgress", "Watch", "display"]

SUBMITTED = re.compile(r"Job \d+ has been submitted .*/slurm_logs/rule_(\w+)/")
"""What the executor for Slurm says of a job that begins: it lets no event announce one, with its rule."""
PLAIN_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


@dataclass(frozen=True)
class RunProgress:
    """How far a run is; rates are None until there is something to measure."""

    jobs: int
    all_jobs: int
    completions: int
    all_completions: int
    tokens_per_second: float | None
    seconds_left: float | None
    elapsed: float
    rule: str
    loading: str = ""
    seconds_loading: float = 0.0
    failed: int = 0
    verified: VerdictProgress = field(default_factory=VerdictProgress)

    def line(self) -> str:
        """Return it as one line."""
        parts = [clock(self.elapsed), f"jobs {self.jobs}/{self.all_jobs}"]
        if self.all_completions:
            parts.append(f"completions {self.completions:,}/{self.all_completions:,}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.loading:
            parts.append(f"loading {self.loading} {self.seconds_loading:.0f} s")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        if self.seconds_left is not None:
            parts.append(f"{clock(self.seconds_left)} of sampling left")
        parts += self._verification()
        if self.rule:
            parts.append(self.rule)
        return "  ".join(parts)

    def _verification(self) -> Iterator[str]:
        """Yield how far verification is, while it is at work."""
        if self.verified.at_work:
            yield f"verdicts {self.verified.verdicts:,}/{self.verified.all_verdicts:,}"
            if self.verified.failed:
                yield f"{self.verified.failed:,} not judged"
            if self.verified.seconds_left is not None:
                yield f"{clock(self.verified.seconds_left)} of verification left"


def clock(seconds: float) -> str:
    """Return minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass
class Watch:
    """Follows a run.

    Attributes
    ----------
    events
        Where Snakemake writes its events.
    logs
        Where the jobs' logs are.
    blocks
        Blocks to sample (`task/model/strategy/block`), with what each shall hold.
    jobs
        Jobs to do.
    verdicts
        How many verdicts each job that verifies makes (`task/model/strategy/verifier/block`).
    """

    events: Path
    logs: Path
    blocks: Mapping[str, BlockExtent]
    jobs: int
    verdicts: Mapping[str, int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _earlier: Mapping[Path, int] = field(init=False)
    _file: EventFile = field(init=False)
    _verdicts: VerdictWatch = field(init=False)
    _done: int = 0
    _rule: str = ""
    _pace: Pace = field(default_factory=Pace)
    _loading: dict[str, float] = field(default_factory=dict)
    _widest: int = 0
    _full: bool = False

    def __post_init__(self) -> None:
        """Note what an earlier run left; its times would not tell, as clocks are set."""
        self._file = EventFile(self.events)
        there = {path: written(path) for path in map(self._notes, self.blocks)}
        self._earlier = {path: when for path, when in there.items() if when is not None}
        self._verdicts = VerdictWatch(self.logs, self.verdicts)

    def look(self) -> RunProgress:
        """Return how far the run is now."""
        self._follow()
        now = time.monotonic()
        states = self._states(now)
        sampled = total(states.values())
        at_work = any(_unfinished(state, self.blocks[block]) for block, state in states.items())
        if at_work:  # while jobs of other kinds run, time that passes says nothing of speed
            self._pace.see(now, sampled)
            self._note_width(states)
        wanted = sum(extent.completions for extent in self.blocks.values())
        speed = self._pace.speed() if at_work else None
        loading, seconds = self._load(now)
        return RunProgress(
            jobs=self._done,
            all_jobs=self.jobs,
            completions=sampled.completions,
            all_completions=wanted,
            tokens_per_second=speed.tokens_per_second if speed else None,
            seconds_left=self._left(states, speed) if speed else None,
            elapsed=now - self.started,
            rule=self._rule,
            loading=loading,
            seconds_loading=seconds,
            failed=sampled.failed,
            verified=self._verdicts.look(now),
        )

    def _follow(self) -> None:
        """Read what has happened since the last look."""
        for event in self._file.news():
            if event.kind == LogEvent.PROGRESS:
                self._done = min(event.done, self.jobs)  # Snakemake also counts the target itself
            elif event.kind == LogEvent.JOB_INFO:  # the plugin of a verifier may take for ever: it is named
                verifier = event.wildcards.get("verifier")
                self._rule = f"{event.rule} by {verifier}" if verifier else event.rule
            elif not event.kind and (match := SUBMITTED.match(event.message)):
                self._rule = match[1]

    def _states(self, now: float) -> dict[str, Sampled]:
        """Return how far each block of this run is; none while its model is loaded."""
        states = {}
        for block, extent in self.blocks.items():
            path = self._notes(block)
            if self._earlier.get(path) == written(path):
                continue
            try:
                told = json.loads(path.read_bytes())
                if told == LOADING:
                    self._loading.setdefault(block, now)
                    continue
                state = Sampled(**told)
            except (OSError, ValueError, TypeError, RecursionError):
                continue
            self._loading.pop(block, None)
            state.completions = min(state.completions, extent.completions)
            states[block] = state
        return states

    def _load(self, now: float) -> tuple[str, float]:
        """Return the model that is loaded at present, and for how long it has been."""
        if not self._loading:
            return "", 0.0
        block, since = min(self._loading.items(), key=lambda item: item[1])
        return block.split("/")[1], now - since

    def _notes(self, block: str) -> Path:
        """Return where the job that samples a block says how far it is."""
        return progress_file(self.logs / SAMPLING.name / f"{block}.log")

    def _note_width(self, states: Mapping[str, Sampled]) -> None:
        """Note how many sequences run at once, and whether an engine has had as many as it takes."""
        for block, state in states.items():
            waiting = _unfinished(state, self.blocks[block]) - state.running
            self._widest = max(self._widest, state.running)
            self._full = self._full or (state.ended > 0 and waiting > 0)

    def _left(self, states: Mapping[str, Sampled], speed: Speed) -> float | None:
        """Return how long sampling goes on: what has begun, and after it what has not, at the same speed.

        None where nothing tells the speed of what has not begun: the few sequences that an earlier run left
        of a block say little of a whole one.
        """
        waiting = [self.blocks[block] for block in self.blocks if block not in states]
        if not self._full and any(extent.completions > self._widest for extent in waiting):
            return None
        seconds = seconds_left(total(states.values()), self._joint(states), speed)
        for block, extent in self.blocks.items():
            if block not in states:
                alike = [other for other in states if _combination(other) == _combination(block)]
                state = total(states[other] for other in alike)
                mean = mean_tokens(state, self._joint(alike)) if alike else extent.expected
                seconds += extent.completions * mean / speed.tokens_per_second
        return seconds

    def _joint(self, blocks: Iterable[str]) -> BlockExtent:
        """Return the extent of several blocks together."""
        extents = [self.blocks[block] for block in blocks]
        completions = sum(extent.completions for extent in extents)
        tokens = sum(extent.completions * extent.expected for extent in extents)
        return BlockExtent(completions, tokens / completions, max(extent.limit for extent in extents))


def _unfinished(state: Sampled, extent: BlockExtent) -> int:
    return max(0, extent.completions - state.completions - state.failed)


def _combination(block: str) -> str:
    return block.rpartition("/")[0]


class Display(Protocol):
    """Shows progress."""

    def __call__(self, progress: RunProgress) -> None:
        """Show how far the run is."""


@contextmanager
def display(console: Console) -> Iterator[Display]:
    """Show progress: on a terminal in place, elsewhere as a line now and then, and when a speed is known."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(_bar(progress))
        return
    due, fast = PLAIN_EVERY, False

    def show(progress: RunProgress) -> None:
        nonlocal due, fast
        news = progress.tokens_per_second is not None and not fast
        if news or progress.elapsed >= due:
            due, fast = progress.elapsed + PLAIN_EVERY, fast or news
            console.print(progress.line(), markup=False)

    yield show


def _bar(progress: RunProgress, width: int = 24) -> Text:
    """Return a bar over completions where the run samples, else over jobs, with the line behind it."""
    done, total = progress.jobs, progress.all_jobs
    if progress.completions < progress.all_completions:
        done, total = progress.completions, progress.all_completions
    full = round(width * done / total) if total else width
    return Text.assemble(("━" * full, "green"), ("━" * (width - full), "bright_black"), "  ", progress.line())
