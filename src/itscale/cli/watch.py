"""Live progress of a run: jobs from Snakemake's output, completions and tokens from the sampling jobs."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from itscale.cli.snakemake import DONE
from itscale.job import progress_file

__all__ = ["Display", "Progress", "Watch", "display"]

WINDOW = 20.0
"""Seconds over which tokens per second are averaged."""
SUBMITTED = re.compile(r"^Job \d+ has been submitted .*/slurm_logs/rule_(\w+)/")
"""All that some versions of the Slurm executor say of a job that begins."""
PLAIN_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


@dataclass(frozen=True)
class Progress:
    """How far a run is; rates are None until there is something to measure."""

    jobs: int
    all_jobs: int
    completions: int
    all_completions: int
    tokens_per_second: float | None
    seconds_left: float | None
    elapsed: float
    rule: str

    def line(self) -> str:
        """Return it as one line."""
        parts = [clock(self.elapsed), f"jobs {self.jobs}/{self.all_jobs}"]
        if self.all_completions:
            parts.append(f"completions {self.completions:,}/{self.all_completions:,}")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:,.0f} tokens/s")
        if self.seconds_left is not None:
            parts.append(f"{clock(self.seconds_left)} of sampling left")
        if self.rule:
            parts.append(self.rule)
        return "  ".join(parts)


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
    output
        Snakemake's own output.
    logs
        Where the jobs' logs are.
    blocks
        Blocks to sample (`task/model/strategy/block`), with the completions of each.
    jobs
        Jobs to do.
    """

    output: Path
    logs: Path
    blocks: Mapping[str, int]
    jobs: int
    started: float = field(default_factory=time.monotonic)
    _earlier: Mapping[Path, int] = field(init=False)
    _read: int = 0
    _done: int = 0
    _rule: str = ""
    _seen: deque[tuple[float, int, int]] = field(default_factory=deque)
    _first: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        """Note what an earlier run left; its times would not tell, as clocks are set."""
        written = {path: _written(path) for path in map(self._notes, self.blocks)}
        self._earlier = {path: when for path, when in written.items() if when is not None}

    def look(self) -> Progress:
        """Return how far the run is now."""
        self._follow()
        now = time.monotonic()
        completions, tokens = self._sampled()
        if tokens and self._first is None:
            self._first = (now, completions)
        self._seen.append((now, completions, tokens))
        while now - self._seen[0][0] > WINDOW:
            self._seen.popleft()
        total = sum(self.blocks.values())
        sampling = tokens > 0 and completions < total
        return Progress(
            jobs=self._done,
            all_jobs=self.jobs,
            completions=completions,
            all_completions=total,
            tokens_per_second=self._rate() if sampling else None,
            seconds_left=self._left(now, completions, total) if sampling else None,
            elapsed=now - self.started,
            rule=self._rule,
        )

    def _follow(self) -> None:
        """Read what Snakemake has said since the last look."""
        with self.output.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]  # a line may be half written
        self._read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if match := DONE.match(line):
                self._done = min(int(match[1]), self.jobs)  # Snakemake also counts the target itself
            elif line.startswith(("rule ", "localrule ")):
                self._rule = line.split()[1].rstrip(":")
            elif match := SUBMITTED.match(line):
                self._rule = match[1]

    def _sampled(self) -> tuple[int, int]:
        """Sum completions and tokens over the blocks of this run."""
        completions = tokens = 0
        for block, most in self.blocks.items():
            path = self._notes(block)
            if self._earlier.get(path) == _written(path):
                continue
            try:
                state = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            completions += min(int(state["completions"]), most)
            tokens += int(state["tokens"])
        return completions, tokens

    def _notes(self, block: str) -> Path:
        """Return where the job that samples a block says how far it is."""
        return progress_file(self.logs / "sampling" / f"{block}.log")

    def _rate(self) -> float | None:
        (then, _, before), (now, _, after) = self._seen[0], self._seen[-1]
        if now - then < 1 or after < before:  # a job that is tried again counts anew
            return None
        return (after - before) / (now - then)

    def _left(self, now: float, completions: int, total: int) -> float | None:
        if self._first is None or completions <= self._first[1]:
            return None
        return (total - completions) * (now - self._first[0]) / (completions - self._first[1])


def _written(path: Path) -> int | None:
    """Return when a file was written, in nanoseconds; None if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


class Display(Protocol):
    """Shows progress."""

    def __call__(self, progress: Progress) -> None:
        """Show how far the run is."""


@contextmanager
def display(console: Console) -> Iterator[Display]:
    """Show progress: on a terminal in place, elsewhere as a line every now and then."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(_bar(progress))
        return
    shown = [0.0]

    def show(progress: Progress) -> None:
        if progress.elapsed - shown[0] >= PLAIN_EVERY:
            shown[0] = progress.elapsed
            console.print(progress.line(), markup=False)

    yield show


def _bar(progress: Progress, width: int = 24) -> Text:
    """Return a bar over completions where the run samples, else over jobs, with the line behind it."""
    done, total = progress.jobs, progress.all_jobs
    if progress.completions < progress.all_completions:
        done, total = progress.completions, progress.all_completions
    full = round(width * done / total) if total else width
    return Text.assemble(("━" * full, "green"), ("━" * (width - full), "bright_black"), "  ", progress.line())
