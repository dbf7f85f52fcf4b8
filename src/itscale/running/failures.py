"""Failed jobs of a run and their reasons: from Snakemake, the jobs' logs, and Slurm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from itscale.running.job import ERROR_MARK

__all__ = ["Failure", "last_line", "parse_failures"]

_RESTART = re.compile(r"Trying to restart job (\d+)")
_STATUS = re.compile(r"SLURM status is: '([\w ]+)'")
_END = re.compile(r"slurmstepd\S*: error: \*{3} (?:JOB|STEP) [\d.+]+ ON (\S+) (.+?) \*{3}")
_MEMORY = re.compile(r"slurmstepd\S*: error: .*(?:memory limit|oom.kill)", re.IGNORECASE)
_UNSAID = "it was stopped before it could say why"
_MISSING = re.compile(r"MissingOutputException in rule (\w+)")
_SIGNAL = re.compile(r"died with <Signals\.(SIG\w+)")
SLURM_LOGS = Path("logs/slurm")
"""Where the profile slurm-generic lets sbatch write."""


@dataclass(frozen=True)
class Failure:
    """A job that failed: its rule, the line that says why, its log, and whether it was tried again."""

    rule: str
    reason: str
    log: str
    tried_again: bool = False


def parse_failures(text: str) -> list[Failure]:
    """Read from a run's output which jobs failed, and from their logs why."""
    lines = text.splitlines()
    restarted = [match[1] for line in lines if (match := _RESTART.match(line))]
    return [*(_failure(facts, restarted) for facts in _reports(lines)), *_silent(lines)]


def _reports(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield what Snakemake says of each failure, with what it says before: a signal, a job's own words."""
    facts: dict[str, str] = {}
    signal = said = ""
    for line in [*lines, ""]:
        if line.startswith(ERROR_MARK):
            said = line.removeprefix(ERROR_MARK)
        if match := _SIGNAL.search(line):
            signal = match[1]
        if line.startswith("    ") and facts:
            key, _, value = line.strip().partition(": ")
            facts.setdefault(key, value)
            continue
        if "log" in facts:
            yield facts
        facts = {}
        if line.startswith("Error in rule "):
            facts = {"rule": line.removeprefix("Error in rule ").rstrip(":"), "signal": signal, "said": said}
            signal = said = ""


def _silent(lines: Sequence[str]) -> Iterator[Failure]:
    """Yield jobs that ended as if all were well, and left nothing: whatever ran there ended the process."""
    for at, line in enumerate(lines):
        if match := _MISSING.match(line):
            left_out = next((line for line in lines[at + 1 :] if " (missing " in line), "")
            path = left_out.partition(" (missing ")[0].strip()
            log = _log_of(path, lines)
            yield Failure(
                match[1],
                f"its process ended without a word, with status 0, before it had written "
                f"{path or 'anything'}: a plugin named in that path, or the task's, ended it (os._exit?)",
                log,
            )


def _log_of(output: str, lines: Sequence[str]) -> str:
    """Return the log of the job that makes a file, as Snakemake announced it."""
    made = False
    for line in lines:
        key, _, value = line.strip().partition(": ")
        made = output in value.split(", ") if key == "output" else made and bool(line.strip())
        if made and key == "log":
            return value.split(", ")[0]
    return "none"


def _failure(facts: Mapping[str, str], restarted: list[str]) -> Failure:
    again = facts.get("jobid") in restarted
    if again:
        restarted.remove(facts["jobid"])
    own, *others = facts["log"].split(" (check log")[0].split(", ")
    job = facts.get("external_jobid", "")
    slurm = [Path(other) for other in others] or ([SLURM_LOGS / f"{job}.log"] if job else [])
    ended, killed = _ended(slurm, job, facts), _killed(facts["signal"])
    if again:  # the next try has written its own log over that of this one
        reason = ended or killed or "it failed"
    else:
        reason = _said(Path(own)) or facts["said"] or ended or killed or _last(Path(own)) or _UNSAID
    return Failure(facts["rule"], reason, own, again)


def _said(log: Path) -> str:
    """Return a user's error, if the log ends with one."""
    marked = [line for line in _lines(log) if line.startswith(ERROR_MARK)]
    return marked[-1].removeprefix(ERROR_MARK) if marked else ""


def _ended(logs: Sequence[Path], job: str, facts: Mapping[str, str]) -> str:
    """Return how Slurm ended a job, if it did."""
    lines = [line for log in logs for line in _lines(log)]
    memory = ": out of memory" if any(map(_MEMORY.search, lines)) else ""
    for match in map(_END.search, lines):
        if match:
            return f"Slurm job {job} on {match[1]}{memory}: {match[2]}"
    if memory:
        return f"Slurm job {job}{memory}"
    status = _STATUS.search(facts.get("message", ""))
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
