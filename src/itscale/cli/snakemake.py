"""Snakemake as a subprocess: where its files are, how it is called, and what its output says."""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from itscale.errors import UserError
from itscale.job import ERROR_MARK

__all__ = [
    "DryRun",
    "Failure",
    "command",
    "complaint",
    "dry_run",
    "parse_failures",
    "start",
    "workflow_folder",
]

DONE = re.compile(r"^(\d+) of \d+ steps \(")
_STATISTICS = re.compile(r"^(\w+)\s+(\d+)$")
_WILDCARD = re.compile(r"(\w+)=([\w-]+)")
_ERROR = re.compile(r"\w*(Error|Exception)\b")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Failure:
    """A job that failed: its rule, and the line of its log that says why."""

    rule: str
    reason: str
    log: str


@dataclass
class DryRun:
    """What a run would do: jobs by rule, and `task/model/strategy/block` of the blocks to sample."""

    jobs: dict[str, int] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)


def workflow_folder() -> Path:
    """Return the workflow's folder: of the checkout, or of the installed wheel."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1] / "workflow", package / "_workflow"):
        if (folder / "Snakefile").is_file():
            return folder
    raise UserError(f"{package}: the workflow is not beside it; install itscale again")


def command(study: Path, cores: int, *extra: str) -> list[str]:
    """Return the command line of Snakemake for a study, with the default profile."""
    folder = workflow_folder()
    profile = folder / "profiles" / "default"
    fixed = ["--snakefile", folder / "Snakefile", "--workflow-profile", profile, "--configfile", study]
    return [sys.executable, "-m", "snakemake", *map(str, fixed), "--cores", str(cores), "--nocolor", *extra]


def start(arguments: Sequence[str], log: Path, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start a command with all its output in a log; on Linux it dies with this process, however that dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=keep_open,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def dry_run(arguments: Sequence[str], log: Path) -> DryRun:
    """Ask Snakemake what there is to do.

    Raises
    ------
    UserError
        If Snakemake refuses.
    """
    process = start([*arguments, "--dry-run"], log)
    if process.wait() != 0:
        raise UserError(f"Snakemake refused the study: {complaint(log)} (all it says: {log})")
    return parse_dry_run(log.read_text(encoding="utf-8", errors="replace"))


def parse_dry_run(text: str) -> DryRun:
    """Read jobs and blocks from what a dry run says."""
    found = DryRun()
    rule, counting = "", False
    for line in text.splitlines():
        if line.startswith("rule "):
            rule = line[5:].rstrip(":")
        elif rule == "sample" and line.startswith("    wildcards: "):
            place = dict(_WILDCARD.findall(line))
            found.blocks.append("/".join(place[name] for name in ("task", "model", "strategy", "block")))
        elif line.startswith("Job stats:"):
            counting = True
            found.jobs.clear()
        elif counting and (match := _STATISTICS.match(line)):
            found.jobs[match[1]] = int(match[2])
        elif counting and not line.strip():
            counting = False
    for name in ("total", "all", "default"):  # the targets are no work
        found.jobs.pop(name, None)
    return found


def parse_failures(text: str) -> list[Failure]:
    """Read from a run's output which jobs failed, and from their logs why."""
    failures, rule = [], ""
    for line in text.splitlines():
        if line.startswith("Error in rule "):
            rule = line.removeprefix("Error in rule ").rstrip(":")
        elif rule and line.startswith("    log: "):
            log = line.removeprefix("    log: ").split(" (check log")[0]
            failures.append(Failure(rule, reason_in(Path(log)), log))
            rule = ""
    return failures


def reason_in(log: Path) -> str:
    """Return the line of a job's log that says why it failed: a user's error, else the last line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it was stopped before it could say why"
    marked = [line.removeprefix(ERROR_MARK) for line in lines if line.startswith(ERROR_MARK)]
    return marked[-1] if marked else last_line(log)


def complaint(log: Path) -> str:
    """Return what Snakemake says is wrong: the line of its first error, with the one after a colon."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line, following in pairwise([*lines, ""]):
        if _ERROR.match(line):
            return f"{line} {following.strip()}" if line.endswith(":") else line
    return last_line(log)


def last_line(path: Path) -> str:
    """Return the last line of a text file that says something."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")
