"""Failed jobs of a run and their reasons: from Snakemake's events, the jobs' logs, and Slurm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from itscale.running.events import Event
from itscale.running.job import ERROR_MARK

__all__ = ["JobFailure", "failures_of", "last_line"]

_STATUS = re.compile(r"SLURM status is: '([\w ]+)'")
_END = re.compile(r"slurmstepd\S*: error: \*{3} (?:JOB|STEP) [\d.+]+ ON (\S+) (.+?) \*{3}")
_MEMORY = re.compile(r"slurmstepd\S*: error: .*(?:memory limit|oom.kill)", re.IGNORECASE)
_SIGNAL = re.compile(r"died with <Signals\.(SIG\w+)")
_MISSING = " (missing "
"""What follows the path of a file that a job left out."""
_UNSAID = "it was stopped before it could say why"
SLURM_LOGS = Path("logs/slurm")
"""Where the profile slurm-generic lets sbatch write."""


@dataclass(frozen=True)
class JobFailure:
    """A job that failed: its rule, the line that says why, its log, and whether it was tried again."""

    rule: str
    reason: str
    log: str
    tried_again: bool = False


def failures_of(events: Sequence[Event], output: str = "") -> list[JobFailure]:
    """Return which jobs of a run failed, in the order in which they did, and from their logs why.

    Parameters
    ----------
    events
        All events of the run.
    output
        What Snakemake and its jobs printed: the words of a job that could not write its log.
    """
    said = _marked(output.splitlines())
    starting = [(at, event) for at, event in enumerate(events) if event.kind == LogEvent.JOB_STARTED]
    started = {job: at for at, event in starting for job in event.jobs}
    signals: dict[int, str] = {}  # by which a process ended: said just before, in the same thread
    failures = []
    for at, event in enumerate(events):
        if event.kind == LogEvent.JOB_ERROR:
            signal = signals.pop(event.thread, "")
            failures.append(_failure(event, signal, said, again=_starts(event, started, after=at)))
        elif event.kind == LogEvent.ERROR and (match := _SIGNAL.search(event.message)):
            signals[event.thread] = match[1]
        elif event.kind == LogEvent.ERROR and event.exception == "MissingOutputException":
            job = _left_out_by(event, events[:at])
            failures.append(_silent(event, job, again=_starts(job, started, after=at)))
    return failures


def _starts(job: Event, started: Mapping[str, int], after: int) -> bool:
    """Return whether a job is started after an event; `started` has the last start of each."""
    return any(started.get(name, -1) > after for name in job.jobs)


def _left_out_by(event: Event, before: Sequence[Event]) -> Event:
    """Return the announcement of the job that left files out: the error names no job but in its text."""
    path = _left_out(event)
    announced = (one for one in reversed(before) if one.kind == LogEvent.JOB_INFO and path in one.output)
    rule, _, _ = event.message.partition(" in rule ")[2].partition(" ")
    return next(announced, Event(rule=rule))


def _left_out(event: Event) -> str:
    """Return the first file that a job left out."""
    line = next((line for line in event.message.splitlines() if _MISSING in line), "")
    return line.partition(_MISSING)[0].strip()


def _silent(event: Event, job: Event, *, again: bool) -> JobFailure:
    """Return a job that ended as if all were well, and left nothing: whatever ran there ended the process."""
    return JobFailure(
        job.rule,
        f"its process ended without a word, with status 0, before it had written "
        f"{_left_out(event) or 'anything'}: a plugin named in that path, or the task's, ended it (os._exit?)",
        next(iter(job.logs), "none"),
        again,
    )


def _failure(event: Event, signal: str, said: str, *, again: bool) -> JobFailure:
    own, *others = event.logs or ["none"]
    job = event.external_job
    slurm = [Path(other) for other in others] or ([SLURM_LOGS / f"{job}.log"] if job else [])
    ended, killed = _ended(slurm, event), _killed(signal)
    if again:  # the next try has written its own log over that of this one
        reason = ended or killed or "it failed"
    else:
        reason = _marked(_lines(Path(own))) or ended or killed or said or _last(Path(own)) or _UNSAID
    return JobFailure(event.rule, reason, own, again)


def _marked(lines: Sequence[str]) -> str:
    """Return a user's error, if lines hold one; the last of several."""
    marked = [line for line in lines if line.startswith(ERROR_MARK)]
    return marked[-1].removeprefix(ERROR_MARK) if marked else ""


def _ended(logs: Sequence[Path], event: Event) -> str:
    """Return how Slurm ended a job, if it did."""
    job = event.external_job
    lines = [line for log in logs for line in _lines(log)]
    memory = ": out of memory" if any(map(_MEMORY.search, lines)) else ""
    for match in map(_END.search, lines):
        if match:
            return f"Slurm job {job} on {match[1]}{memory}: {match[2]}"
    if memory:
        return f"Slurm job {job}{memory}"
    status = _STATUS.search(event.message)
    if status and status[1] != "FAILED":
        return f"Slurm job {job} ended as {status[1]}"
    return ""


def _killed(signal: str) -> str:
    """Return by which signal a job of this machine was ended, if it was."""
    if signal == "SIGKILL":
        return "it was killed (SIGKILL), as the system does when memory runs out"
    return f"it was ended by {signal}" if signal else ""


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _last(log: Path) -> str:
    return next((line.strip() for line in reversed(_lines(log)) if line.strip()), "")


def last_line(path: Path) -> str:
    """Return the last line of a text file that says something."""
    return _last(path) or "it said nothing"
